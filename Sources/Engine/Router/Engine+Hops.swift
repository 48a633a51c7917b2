internal import RESP
internal import Sharding
internal import Storage

// Hops between workers: batches are filled and sent here, and run where they arrive.

extension Engine {
  // MARK: sending

  /// Whether a hop can be added to what goes to a worker.
  func canSend(to worker: Int) -> Bool {
    guard worker < router.outgoing.count, let batch = router.outgoing[worker] else { return true }
    return !batch.isFull
  }

  /// Adds a request of a client to the batch for a worker. With a place the client's round waits for the answer.
  mutating func add(
    _ hop: Hop, _ call: Call, large: [HeldBulk], to worker: Int, for index: Int32
  ) {
    let batch = outgoing(to: worker)
    do throws(OutOfMemory) {
      try batch.queue.append(call, large: large, isDeniedWithoutMemory: false)
    } catch { return abandon(index) }
    let first = batch.hops.count
    batch.hops.append(hop)
    if let last = batch.groups.indices.last, batch.groups[last].client.index == index,
      batch.groups[last].clientNumber == sessions[index].id, hop.kind != .unwatch,
      batch.hops[batch.groups[last].first].kind != .unwatch
    {
      batch.groups[last].count += 1
    } else {
      batch.groups.append(
        HopGroup(
          client: ClientID(index: index), clientNumber: sessions[index].id,
          version: sessions[index].version,
          leavesClocks: sessions[index].mode.contains(.noTouch),
          address: sessions[index].address, first: first, count: 1))
      if hop.kind != .unwatch { sessions[index].round?.outstanding += 1 }
    }
    if batch.isFull { post(batch) }
  }

  /// Adds an EXEC of the current client with its transaction.
  mutating func add(_ hop: Hop, _ call: Call, to worker: Int, with transaction: Transaction) {
    let batch = outgoing(to: worker)
    var hop = hop
    hop.transaction = Int32(batch.transactions.count)
    batch.transactions.append(transaction)
    add(hop, call, large: [], to: worker, for: current)
  }

  /// The batch for a worker that is being filled.
  private mutating func outgoing(to worker: Int) -> HopBatch {
    while router.outgoing.count < router.peers.count { router.outgoing.append(nil) }
    if let batch = router.outgoing[worker] { return batch }
    let batch: HopBatch
    if let place = router.free.lastIndex(where: { $0.worker == worker }) {
      batch = router.free.remove(at: place)
    } else {
      batch = HopBatch(to: worker, from: mailbox)
    }
    router.outgoing[worker] = batch
    return batch
  }

  /// Leaves a batch in its worker's mailbox. If that is full it stays, and is tried again in the next turn.
  private mutating func post(_ batch: HopBatch) {
    if router.peers[batch.worker].send(batch) { router.outgoing[batch.worker] = nil }
  }

  /// Sends what was gathered. Called at the end of a turn.
  public mutating func sendHops() {
    for worker in router.outgoing.indices {
      if let batch = router.outgoing[worker] { post(batch) }
    }
  }

  /// Whether hops wait to be sent or run, so that the next turn should follow at once.
  public var hasHops: Bool {
    !router.arrived.isEmpty || router.outgoing.contains { $0 != nil }
  }

  // MARK: running

  /// Runs hops that came from other workers, and takes the answers to those that were sent. Never while a command runs.
  public mutating func workHops() {
    if router.arrived.isEmpty || current >= 0 { return }
    var place = 0
    while place < router.arrived.count {
      switch router.arrived[place] {
      case .requests(let batch): answer(batch)
      case .answers(let batch): take(answered: batch)
      }
      place += 1
    }
    router.arrived.removeAll(keepingCapacity: true)
  }

  /// Runs a batch and sends it back.
  private mutating func answer(_ batch: HopBatch) {
    if let agent = hopAgent() {
      var queue = CommandQueue()
      swap(&queue, &batch.queue)
      swap(&reply.queue, &batch.replies)
      reply.pool.expect(requestByteCount: queue.byteCount)
      for group in batch.groups {
        current = agent
        sessions[agent].address = group.address
        reply.version = group.version
        if group.leavesClocks { touchClock = .max }
        let before = batch.answers.count
        run(group, of: batch, queue)
        touchClock = accessClock
        if reply.finish() {
          for i in before..<batch.answers.count { batch.answers[i].outcome = .lost }
        }
      }
      sessions[agent].shard = Session.agent
      current = -1
      swap(&reply.queue, &batch.replies)
      swap(&queue, &batch.queue)
    } else {
      for _ in batch.hops { batch.answers.append(HopAnswer(outcome: .later)) }
    }
    batch.origin.answer(batch)
  }

  /// The session that hops run in; nil if there is no memory for it.
  private mutating func hopAgent() -> Int32? {
    if router.agent < 0 { router.agent = newAgent() ?? -1 }
    return router.agent < 0 ? nil : router.agent
  }

  /// A session without a connection.
  private mutating func newAgent() -> Int32? {
    var session = Session(
      id: 0, shard: Session.agent, address: "", localAddress: "", fileDescriptor: -1, now: now)
    session.isSpared = true
    do throws(OutOfMemory) { return try sessions.insert(session) } catch { return nil }
  }

  /// Runs a client's hops, up to one that cannot be run; those behind it come back too.
  private mutating func run(
    _ group: HopGroup, of batch: HopBatch, _ queue: borrowing CommandQueue
  ) {
    let begin = reply.queue.byteCount
    var isHindered = false
    for number in 0..<group.count {
      let i = group.first + number
      if number % 16 == 0 { prefetch(queue, i..<min(i + 16, group.first + group.count)) }
      if isHindered || reply.queue.byteCount - begin > settings.clientOutputPause {
        isHindered = true
        batch.answers.append(HopAnswer(outcome: .again))
        continue
      }
      let before = reply.queue.byteCount
      var answer = HopAnswer()
      answer.outcome = run(batch.hops[i], i, of: batch, group, queue)
      answer.byteCount = reply.queue.byteCount - before
      if batch.hops[i].kind == .worker {
        answer.revision = mapRevision
        answer.keyCount = shownKeyCount
      }
      batch.answers.append(answer)
      isHindered = answer.outcome != .done
    }
  }

  private func prefetch(_ queue: borrowing CommandQueue, _ range: Range<Int>) {
    if range.count == 1 { return }
    for i in range where queue.requests[i].slot >= 0 {
      keyspace.prefetchTable(Int(queue.requests[i].slot))
    }
    for i in range where queue.requests[i].slot >= 0 {
      keyspace.prefetchDirectory(Int(queue.requests[i].slot), queue.requests[i].hash)
    }
    for i in range where queue.requests[i].slot >= 0 {
      keyspace.prefetchBucket(Int(queue.requests[i].slot), queue.requests[i].hash)
    }
    for i in range where queue.requests[i].slot >= 0 {
      keyspace.prefetchEntry(Int(queue.requests[i].slot), queue.requests[i].hash)
    }
  }

  /// Runs one hop as the shard that has its keys.
  private mutating func run(
    _ hop: Hop, _ i: Int, of batch: HopBatch, _ group: HopGroup, _ queue: borrowing CommandQueue
  ) -> HopOutcome {
    let request = queue.requests[i]
    switch hop.kind {
    case .keyed:
      let call = Call(
        queue.arguments(of: i), id: request.id, slot: Int(request.slot), hash: request.hash)
      let way = route(call, hot[Int(request.id.rawValue)], asked: hop.asked)
      guard case .here(let shard, let table) = way else { return outcome(of: way) }
      act(as: request.id == .scan ? Session.endpoint : shard)
      if request.bulkCount > 0 { large = queue.large(of: i) }
      runRouted(
        Call(queue.arguments(of: i), id: request.id, slot: table, hash: request.hash),
        byteCount: Int(request.byteCount))
      if request.bulkCount > 0 { large = [] }
      return .done
    case .worker:
      look()
      act(as: Session.endpoint)
      let call = Call(queue.arguments(of: i), id: request.id, slot: -1, hash: .none)
      runRouted(call, byteCount: Int(request.byteCount))
      return .done
    case .exec: return runExec(batch.transactions[Int(hop.transaction)], hop, for: group)
    case .watch:
      let call = Call(
        queue.arguments(of: i), id: request.id, slot: Int(request.slot), hash: request.hash)
      return runWatch(call, hop, for: group)
    case .unwatch:
      endWatcher(of: group.clientNumber)
      return .done
    }
  }

  /// What is told to the router of a command that does not run here. One whose slot nobody has is answered.
  func outcome(of way: Route) -> HopOutcome {
    switch way {
    case .here, .later: return .later
    case .there(_, .some(let asked)): return .ask(asked)
    case .there, .crossed, .down: return .elsewhere
    }
  }

  // MARK: transactions

  /// Watches keys for a client of another worker.
  private mutating func runWatch(_ call: Call, _ hop: Hop, for group: HopGroup) -> HopOutcome {
    let way = route(call, hot[Int(call.id.rawValue)], asked: hop.asked)
    guard case .here(let shard, let table) = way else { return outcome(of: way) }
    let agent = current
    defer { current = agent }
    if let watcher = router.watchers[group.clientNumber] {
      current = watcher
      if sessions[watcher].shard != shard, sessions[watcher].transaction?.watched.isEmpty == false {
        fail(text: Self.crossSlot)
        return .done
      }
    } else {
      guard let watcher = newAgent() else { return .later }
      router.watchers[group.clientNumber] = watcher
      current = watcher
    }
    sessions[current].address = group.address
    act(as: shard)
    count(forShard: shard)
    runRouted(Call(call.arguments, id: call.id, slot: table, hash: call.hash), byteCount: 0)
    return .done
  }

  /// Runs the transaction of a client of another worker.
  private mutating func runExec(
    _ transaction: Transaction, _ hop: Hop, for group: HopGroup
  ) -> HopOutcome {
    let agent = current
    defer { current = agent }
    guard let watcher = router.watchers[group.clientNumber],
      let own = sessions[watcher].transaction
    else {
      let way = route(transaction, asked: hop.asked)
      guard case .here(let shard, _) = way else { return outcome(of: way) }
      act(as: shard)
      perform(transaction)
      return .done
    }
    current = watcher
    let watched = sessions[watcher].shard
    if !own.isConflicted {
      let way = route(transaction, asked: hop.asked)
      switch way {
      case .later: return .later
      case .here(let shard, _) where shard == watched || shard == Session.endpoint: break
      default:
        // What it watches is here, and what it would change elsewhere.
        fail(text: Self.crossSlot)
        endWatcher(of: group.clientNumber)
        return .done
      }
    }
    swap(&own.queue, &transaction.queue)
    own.queuedCount = transaction.queuedCount
    count(forShard: watched)
    perform(own)
    endWatcher(of: group.clientNumber)
    return .done
  }

  /// Runs a transaction in the current session, which may be one without a connection.
  mutating func perform(_ transaction: Transaction) {
    sessions[current].transaction = transaction
    sessions[current].mode.insert(.multi)
    var word = CommandQueue()
    do throws(OutOfMemory) { try word.appendExec() } catch { return failExec("out of memory") }
    if isMemoryLimited, transaction.queue.isDeniedWithoutMemory, !hasRoom() {
      return failExec("OOM command not allowed when used memory > 'maxmemory'.")
    }
    runAdmitted(Call(word.arguments(of: 0), id: .exec, slot: -1, hash: .none), byteCount: 0)
  }

  /// A client of another worker watches nothing here any more.
  private mutating func endWatcher(of clientNumber: UInt64) {
    guard let watcher = router.watchers.removeValue(forKey: clientNumber) else { return }
    discard(watcher)
    _ = sessions.remove(watcher)
  }

  /// Where the queue of a transaction is to run: all of its slots are one shard's.
  mutating func route(_ transaction: Transaction, asked: ShardID?) -> Route {
    var queue = CommandQueue()
    swap(&queue, &transaction.queue)
    defer { swap(&queue, &transaction.queue) }
    if queue.slot < 0 { return .here(shard: Session.endpoint, table: -1) }
    var way = routeOnce(queue, asked: asked)
    if case .here = way { return way }
    look()
    way = routeOnce(queue, asked: asked)
    return way
  }

  private mutating func routeOnce(_ queue: borrowing CommandQueue, asked: ShardID?) -> Route {
    if openSlotBits != 0, !queue.isCrossSlot {
      let askedHere = asked.flatMap { localIndex(of: $0) }
      let shard = askedHere ?? keyspace.owner(of: queue.slot)
      if shard < 0 { return routeByMap(queue.slot) }
      sessions[current].shard = shard
      if askedHere != nil { sessions[current].mode.insert(.asking) }
      let verdict = decide(queue, queue.slot, shard)
      sessions[current].mode.remove(.asking)
      switch verdict {
      case .serve: break
      case .moved, .clusterDown: return routeByMap(queue.slot)
      case .tryAgain:
        hasten(queue.slot)
        return .later
      case .ask(let target):
        return askedHere != nil ? .later : .there(worker: worker(of: target), asked: target)
      }
      if flightThatHolds(queue) != nil { return .later }
      return isPaused(queue, at: shard) ? .later : .here(shard: shard, table: queue.slot)
    }
    let owner = keyspace.owner(of: queue.slot)
    let ownerByMap = map.owner(of: HashSlot(UInt16(queue.slot)))
    for request in queue.requests where request.slot >= 0 {
      let slot = Int(request.slot)
      if owner >= 0 {
        if keyspace.owner(of: slot) != owner { return .crossed }
        if openSlotBits != 0, openSlotSet.contains(HashSlot(UInt16(slot))) { return .later }
      } else if keyspace.owner(of: slot) >= 0
        || map.owner(of: HashSlot(UInt16(slot))) != ownerByMap
      {
        return .crossed
      }
    }
    if owner < 0 { return routeByMap(queue.slot) }
    return isPaused(queue, at: owner) ? .later : .here(shard: owner, table: queue.slot)
  }

  private func isPaused(_ queue: borrowing CommandQueue, at shard: Int32) -> Bool {
    guard let pause = pauses.first(where: { $0.shard == shard }) else { return false }
    return pause.includesReads || queue.contains([.write])
  }

  /// WATCH of a router client, whose keys are in one slot: runs here (true), or is under way or answered.
  mutating func routesWatch(_ call: Call, _ known: HotCommand) -> Bool {
    if putsOffBehindRound(call) { return false }
    let round = ownRound(of: current)
    let way = route(call, known, asked: nil)
    let target: Int
    var shard: Int32 = -1
    switch way {
    case .here(let local, let table):
      guard table == call.slot else {
        fail(text: Self.crossSlot)
        return false
      }
      (target, shard) = (worker, local)
    case .there(let worker, _): target = worker
    case .later:
      putOff(call, isLate: true)
      return false
    case .down, .crossed:
      fail(line: ErrorReply.clusterDown)
      return false
    }
    if round.watchWorker >= 0, round.watchWorker != target || round.watchShard != shard {
      fail(text: Self.crossSlot)
      return false
    }
    round.watchWorker = target
    round.watchShard = shard
    if target == worker {
      act(as: shard)
      return true
    }
    hop(call, Hop(kind: .watch), to: target)
    return false
  }

  /// EXEC of a router client: runs here (true), or is under way or answered.
  mutating func routesExec(_ call: Call) -> Bool {
    guard let transaction = sessions[current].transaction, !transaction.isAborted else {
      endWatch(of: current)
      return true
    }
    let watchWorker = sessions[current].round?.watchWorker ?? -1
    let watchShard = sessions[current].round?.watchShard ?? -1
    if watchWorker < 0 || watchWorker == worker {
      let way = transaction.isConflicted ? nil : route(transaction, asked: nil)
      act(as: Session.endpoint)
      switch way {
      case nil: break
      case .here(let shard, _):
        if watchWorker >= 0, shard != watchShard, shard >= 0 { return failCrossed() }
        if shard >= 0 { act(as: shard) }
        if isMemoryLimited, transaction.queue.isDeniedWithoutMemory, !hasRoom() {
          failExec("OOM command not allowed when used memory > 'maxmemory'.")
          return false
        }
      case .later:
        putOff(call, isLate: true)
        return false
      case .down:
        discard(current)
        fail(line: ErrorReply.clusterDown)
        return false
      case .crossed: return failCrossed()
      case .there(let target, let asked):
        if watchWorker >= 0 { return failCrossed() }
        hopExec(call, transaction, to: target, asked: asked)
        return false
      }
      sessions[current].round?.watchWorker = -1
      return true
    }
    hopExec(call, transaction, to: watchWorker, asked: nil, isWatching: true)
    return false
  }

  private mutating func failCrossed() -> Bool {
    endWatch(of: current)
    discard(current)
    fail(text: Self.crossSlot)
    return false
  }

  /// Sends a transaction to the worker that has its keys. Here it is over.
  private mutating func hopExec(
    _ call: Call, _ transaction: Transaction, to worker: Int, asked: ShardID?,
    isWatching: Bool = false
  ) {
    let round = openRound()
    round.endInline(at: reply.queue.byteCount)
    let place = round.addPlace()
    sessions[current].transaction = nil
    sessions[current].mode.remove([.multi, .asking])
    round.watchWorker = -1
    add(
      Hop(kind: .exec, isWatching: isWatching, place: Int32(place), asked: asked), call,
      to: worker, with: transaction)
    round.add(answerAt: place, isSilent: reply.isSilent)
  }

  /// Whatever a router client watches on other workers it watches no more.
  mutating func endWatch(of index: Int32) {
    guard let round = sessions[index].round, round.watchWorker >= 0 else { return }
    let worker = round.watchWorker
    round.watchWorker = -1
    if worker == self.worker { return }
    var word = CommandQueue()
    do throws(OutOfMemory) { try word.appendExec() } catch { return abandon(index) }
    add(
      Hop(kind: .unwatch), Call(word.arguments(of: 0), id: .unwatch, slot: -1, hash: .none),
      large: [], to: worker, for: index)
  }
}
