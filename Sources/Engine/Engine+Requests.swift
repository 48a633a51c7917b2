internal import RESP
internal import Sharding
internal import Storage

// From bytes to executed commands: parse, plan, prefetch, execute, in batches of up to 16 (DESIGN §2).

/// What is known of a request before it runs.
struct Plan {
  /// The command; meaningless if `problem` is set.
  var id: CommandID = .ping
  /// Why it cannot run at all.
  var problem: Problem = .none
  /// The slot of its first key, −1 without keys.
  var slot: Int32 = -1
  /// The hash of its first key.
  var hash = KeyHash.none

  /// What is wrong with a request, found without looking at any key.
  enum Problem: UInt8 {
    case none, unknownCommand, unknownSubcommand, arity
  }
}

extension Engine {
  /// Runs the whole requests at the beginning of `bytes`, one batch after the other, until there are no more or the session is stopped.
  /// Returns how many bytes are done with.
  mutating func run(_ bytes: RawSpan, of index: Int32, _ foresight: Foresight = .none) -> Int {
    guard var batch = self.batch.take() else { return 0 }
    current = index
    swap(&reply.queue, &sessions[index].output)
    reply.version = sessions[index].version
    reply.pool.expect(requestByteCount: bytes.byteCount)
    var offset = 0
    while true {
      let rest = bytes.extracting(offset..<bytes.byteCount)
      let consumed: Int
      do throws(ProtocolError) {
        consumed =
          sessions[index].mode.contains(.unauthenticated)
          ? try parseCarefully(rest, index, into: &batch)
          : try sessions[index].parser.parse(rest, into: &batch, limits: limits)
      } catch {
        refuse(error)
        offset = bytes.byteCount
        break
      }
      if batch.count == 0 {
        offset += consumed
        break
      }
      if !sessions[index].large.isEmpty {
        swap(&large, &sessions[index].large)
        sessions[index].largeByteCount = 0
      }
      let executed = execute(batch, rest, offset == 0 ? foresight : .none)
      if executed < batch.count {
        // Stopped on the way: what was not run is parsed again from its beginning.
        sessions[index].parser = RequestParser()
        if executed > 0 { offset += Int(batch.request(executed - 1).end) }
        break
      }
      offset += consumed
      if !sessions[index].mode.isDisjoint(with: .stopped) { break }
    }
    if reply.hasFailed || !sessions[index].mode.isEmpty { finishReplies(to: index) }
    swap(&reply.queue, &sessions[index].output)
    current = -1
    self.batch = consume batch
    return offset
  }

  /// Requests of a client that may have to authenticate yet: one at a time, and small ones if so.
  @inline(never)
  private mutating func parseCarefully(
    _ bytes: RawSpan, _ index: Int32, into batch: inout RequestBatch
  ) throws(ProtocolError) -> Int {
    var limits = limits
    limits.isAuthenticated = settings.requirePass.isEmpty
    return try sessions[index].parser.parse(bytes, into: &batch, limits: limits)
  }

  /// After the commands of a client whose replies could not be written, or that is in some mode.
  @inline(never)
  private mutating func finishReplies(to index: Int32) {
    touchClock = accessClock
    // Not emptied here: the reactor may be sending the front of it.
    let hasFailed = reply.finish()
    if sessions[index].mode.contains(.router) { endRouting(of: index) }
    if hasFailed { abandon(index) }
  }

  /// Runs a request that was put off, alone.
  mutating func resume(_ postponed: Postponed, of index: Int32) {
    var queue = CommandQueue()
    swap(&queue, &postponed.queue)
    if queue.requests.isEmpty { return }
    let request = queue.requests[0]
    current = index
    swap(&reply.queue, &sessions[index].output)
    reply.version = sessions[index].version
    if postponed.isAsking { sessions[index].mode.insert(.asking) }
    if request.bulkCount > 0 { large = queue.large(of: 0) }
    let call = Call(
      queue.arguments(of: 0), id: request.id, slot: Int(request.slot), hash: request.hash)
    execute(call, .none, byteCount: request.byteCount)
    large = []
    finishReplies(to: index)
    swap(&reply.queue, &sessions[index].output)
    current = -1
  }

  /// Runs a batch's requests in order, and says how many were run: all, unless the session was stopped by one of them.
  private mutating func execute(
    _ batch: borrowing RequestBatch, _ bytes: RawSpan, _ foresight: Foresight
  ) -> Int {
    let count = batch.count
    if count == 1 {
      // Nothing to plan ahead: what there is to prefetch was foreseen.
      execute(0, of: batch, bytes, plan(batch.arguments(of: 0, in: bytes), foresight))
      return router.leavesRequest ? doneBeforeLeaving(1) : 1
    }
    var plans = InlineArray<16, Plan>(repeating: Plan())
    for i in 0..<count {
      plans[i] = plan(batch.arguments(of: i, in: bytes), i == 0 ? foresight : .none)
      if plans[i].slot >= 0 { keyspace.prefetchTable(Int(plans[i].slot)) }
    }
    for i in 0..<count where plans[i].slot >= 0 {
      keyspace.prefetchDirectory(Int(plans[i].slot), plans[i].hash)
    }
    for i in 0..<count where plans[i].slot >= 0 {
      keyspace.prefetchBucket(Int(plans[i].slot), plans[i].hash)
    }
    for i in 0..<count where plans[i].slot >= 0 {
      keyspace.prefetchEntry(Int(plans[i].slot), plans[i].hash)
    }
    for i in 0..<count {
      execute(i, of: batch, bytes, plans[i])
      if !sessions[current].mode.isDisjoint(with: .stopped) {
        return router.leavesRequest ? doneBeforeLeaving(i + 1) : i + 1
      }
    }
    return count
  }

  /// The last of so many requests was left where it is.
  @inline(never)
  private mutating func doneBeforeLeaving(_ count: Int) -> Int {
    router.leavesRequest = false
    return count - 1
  }

  /// Runs one request of a batch.
  @inline(__always)
  private mutating func execute(
    _ i: Int, of batch: borrowing RequestBatch, _ bytes: RawSpan, _ plan: Plan
  ) {
    let call = Call(
      batch.arguments(of: i, in: bytes), id: plan.id, slot: Int(plan.slot), hash: plan.hash)
    execute(call, plan.problem, byteCount: batch.request(i).byteCount)
    if !large.isEmpty { large = [] }
  }

  /// Which command it is, and where its first key is. Reads nothing but the request.
  @inline(__always)
  private func plan(_ arguments: Arguments, _ foresight: Foresight) -> Plan {
    var plan = Plan()
    guard let id = lookup.command(arguments[0]) else {
      plan.problem = .unknownCommand
      return plan
    }
    plan.id = id
    var known = hot[Int(id.rawValue)]
    if known.attention.contains(.container), arguments.count > 1 {
      guard let subcommand = lookup.command(arguments[1], of: Int16(id.rawValue)) else {
        plan.problem = .unknownSubcommand
        return plan
      }
      plan.id = subcommand
      known = hot[Int(subcommand.rawValue)]
    }
    let count = arguments.count
    let arity = Int(known.arity)
    guard arity >= 0 ? count == arity : count >= -arity else {
      plan.problem = .arity
      return plan
    }
    if known.firstKey > 0 {
      let key = arguments[Int(known.firstKey)]
      // An inline request, or empty lines before it, are not foreseen.
      if foresight.client >= 0, known.firstKey == 1, key.byteCount == foresight.keyByteCount {
        plan.slot = foresight.slot
        plan.hash = foresight.hash
        return plan
      }
      plan.slot = Int32(HashSlot.of(key).index)
      plan.hash = KeyHash(key, seed: hashSeed)
    }
    return plan
  }

  /// One command, from verdict to statistics.
  @inline(__always)
  private mutating func execute(_ call: Call, _ problem: Plan.Problem, byteCount: Int32) {
    hasFailed = false
    let before = reply.queue.byteCount
    let command = Int(call.id.rawValue)
    guard problem == .none, admits(call, hot[command]) else { return reject(call, problem) }
    _ = listeners == 0 ? dispatch(call) : heard(call)
    statistics.commands[command].calls &+= 1
    if hasFailed { statistics.commands[command].failed &+= 1 }
    let time = clock.nanoseconds()
    let spent = time &- lastNanoseconds
    lastNanoseconds = time
    statistics.commands[command].nanoseconds &+= spent
    latencies.record(spent, row: call.id.rawValue | untrackedLatency)
    var cost = spent
    if spent >= slowTime {
      note(call, spent)
      if spent >= Self.longTime { cost = self.cost(ofLong: spent) }
    }
    statistics.commandCount &+= 1
    sessions[current].commandCount &+= 1
    sessions[current].lastCommand = call.id
    let made = reply.queue.byteCount &- before
    if call.slot >= 0 {
      keyspace.charge(
        call.slot, cpu: cost, bytesIn: UInt64(UInt32(byteCount)),
        bytesOut: UInt64(truncatingIfNeeded: made))
    }
    pauseIfFull()
  }

  /// More replies wait than may: nothing more is run until some are sent.
  @inline(__always)
  private mutating func pauseIfFull() {
    if reply.queue.byteCount > settings.clientOutputPause {
      sessions[current].mode.insert(.outputFull)
    }
  }

  /// A command that does not run now, and what is counted of it: as with Redis neither time nor a command processed, and nothing at all
  /// of a name that is unknown.
  @inline(never)
  private mutating func reject(_ call: Call, _ problem: Plan.Problem) {
    if problem != .none {
      if !sessions[current].mode.isDisjoint(with: .quiet) { turnReplies() }
      refuse(call, problem)
      if !sessions[current].mode.contains(.multi) { sessions[current].mode.remove(.asking) }
    }
    if hasFailed { abortTransaction() }
    endCaching(problem == .none || problem == .arity ? call.id : nil)
    if problem == .none || problem == .arity {
      // Neither run nor failed: it was queued.
      if hasFailed { statistics.commands[Int(call.id.rawValue)].rejected &+= 1 }
      sessions[current].lastCommand = call.id
    }
    // Of one that is under way to another worker the end of the round says it.
    if !router.hasOpenRound { leaveOutTime() }
    pauseIfFull()
  }

  /// Whether a command may run now, here; if not, it has been answered.
  @inline(__always)
  private mutating func admits(_ call: Call, _ known: HotCommand) -> Bool {
    if call.slot >= 0 {
      if known.lastKey != known.firstKey
        || keyspace.owner(of: call.slot) | openSlotBits
          != sessions[current].shard
        || !sessions[current].mode.isEmpty
      {
        guard isRoutedHere(call, known) else { return false }
      }
      if isMemoryLimited, known.attention.contains(.deniedWithoutMemory), !hasRoom() {
        fail("OOM command not allowed when used memory > 'maxmemory'.")
        return false
      }
    } else if !sessions[current].mode.isEmpty {
      return admitsInMode(call, known)
    }
    return true
  }

  /// Answers that a command has no meaning for all shards together, and is false.
  mutating func refuseWholeKeyspace() -> Bool {
    fail("ERR This command concerns a whole shard; connect to a shard's own port")
    return false
  }
}
