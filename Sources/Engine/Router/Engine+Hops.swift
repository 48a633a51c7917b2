internal import RESP
internal import Sharding
internal import Storage

// Hops between workers: batches are filled and sent here, and run where they arrive.

extension Engine {
  // MARK: sending

  /// So many clients with requests for a worker are few.
  private static let fewClients = 2

  /// Whether a hop can be added to what goes to a worker.
  @inline(__always)
  func canSend(to worker: Int) -> Bool {
    worker < router.peers.count && (router.lanes.isEmpty || !router.lanes[worker].isFull)
  }

  /// Adds a request of a client to what goes to a worker. The client's round, which is the one at hand, waits for the answer.
  mutating func add(
    _ hop: Hop, _ call: Call, large: [HeldBulk], to worker: Int, for index: Int32
  ) {
    if router.lanes.isEmpty { layLanes() }
    do throws(OutOfMemory) {
      try router.lanes[worker].queue.append(call, large: large, isDeniedWithoutMemory: false)
    } catch { return abandon(index) }
    addAppended(hop, call.id, to: worker, for: index)
  }

  /// The same for the part of a request that concerns one key.
  mutating func add(
    _ hop: Hop, part key: Int, step: Int, of call: Call, _ way: Way, to worker: Int
  ) {
    if router.lanes.isEmpty { layLanes() }
    do throws(OutOfMemory) {
      try router.lanes[worker].queue.append(
        part: key, step: step, of: call, id: call.id, slot: way.slot, way.hash, large: large)
    } catch { return abandon(current) }
    addAppended(hop, call.id, to: worker, for: current)
  }

  /// Adds an EXEC of a client with its transaction.
  mutating func add(
    _ hop: Hop, _ call: Call, to worker: Int, with transaction: Transaction, for index: Int32
  ) {
    if router.lanes.isEmpty { layLanes() }
    var hop = hop
    hop.transaction = Int32(router.lanes[worker].transactions.count)
    router.lanes[worker].transactions.append(transaction)
    add(hop, call, large: [], to: worker, for: index)
  }

  /// Its request is in the queue already.
  @inline(__always)
  private mutating func addAppended(
    _ hop: Hop, _ id: CommandID, to worker: Int, for index: Int32
  ) {
    let isBrief = hop.kind == .keyed && hot[Int(id.rawValue)].attention.contains(.brief)
    let isAwaited = hop.kind != .unwatch
    let isOfGroup = router.lanes[worker].append(
      hop, isBrief: isBrief, isAwaited: isAwaited, of: index, sessions[index].id)
    if !isOfGroup {
      beginGroup(
        at: router.lanes[worker].hops.count &- 1, isAwaited: isAwaited, to: worker, for: index)
    }
    if router.lanes[worker].isFull { endBatch(of: index) }
  }

  /// A batch is full. What follows of a client must not be run where something before it, in another batch, comes back unrun: it waits.
  @inline(never)
  private mutating func endBatch(of index: Int32) {
    router.hasFullLane = true
    if index == current { sessions[index].mode.insert(.routing) }
  }

  /// Sends what is full, between two clients.
  @inline(__always)
  mutating func postFullLanes() {
    if router.hasFullLane { postFull() }
  }

  @inline(never)
  private mutating func postFull() {
    router.hasFullLane = false
    for worker in router.lanes.indices where router.lanes[worker].isFull {
      post(takeBatch(for: worker))
    }
  }

  @inline(never)
  private mutating func beginGroup(
    at first: Int, isAwaited: Bool, to worker: Int, for index: Int32
  ) {
    router.lanes[worker].groups.append(
      HopGroup(
        client: ClientID(index: index), worker: self.worker, clientNumber: sessions[index].id,
        version: sessions[index].version,
        leavesClocks: sessions[index].mode.contains(.noTouch), isAwaited: isAwaited,
        address: sessions[index].address, first: first, count: 1))
    if isAwaited { router.round.outstanding += 1 }
  }

  @inline(never)
  private mutating func layLanes() {
    for _ in router.peers { router.lanes.append(HopLoad()) }
  }

  /// What was gathered for a worker.
  mutating func takeBatch(for worker: Int) -> HopBatch {
    let batch = router.free.popLast() ?? HopBatch(from: mailbox)
    batch.worker = worker
    swap(&batch.load, &router.lanes[worker])
    return batch
  }

  /// Leaves a batch in its worker's mailbox. If that is full it is gathered still, and is tried again in the next turn.
  mutating func post(_ batch: HopBatch) {
    // With many clients there is always something else to do.
    let isFollowed = router.isFollowed && batch.load.groups.count <= Self.fewClients
    batch.isFollowed = isFollowed
    if router.peers[batch.worker].send(batch) {
      if isFollowed { router.expectsWord = true }
      return
    }
    swap(&batch.load, &router.lanes[batch.worker])
    router.free.append(batch)
  }

  /// Sends what was gathered. Called at the end of a turn.
  public mutating func sendHops() {
    for worker in router.lanes.indices where !router.lanes[worker].hops.isEmpty {
      helpOrPost(worker)
    }
    router.isFollowed = false
  }

  /// Whether it is worth while to wait awake for word of other workers. Asked once before the worker waits.
  public mutating func expectsWord() -> Bool {
    if !router.expectsWord { return false }
    router.expectsWord = false
    return true
  }

  /// Whether hops wait to be sent or run, so that the next turn should follow at once.
  public var hasHops: Bool {
    if !router.arrived.isEmpty || !router.ready.isEmpty || !router.jointMessages.isEmpty {
      return true
    }
    for worker in router.lanes.indices where !router.lanes[worker].hops.isEmpty { return true }
    return false
  }

  // MARK: running

  /// Runs hops that came from other workers, and takes the answers to those that were sent. Never while a command runs.
  public mutating func workHops() {
    if current >= 0 { return }
    workJointly()
    readKeptMail()
    if router.arrived.isEmpty { return }
    var place = 0
    while place < router.arrived.count, !isStopped {
      let arrival = router.arrived[place]
      place += 1
      switch arrival {
      case .requests(let batch):
        perform(batch)
        if batch.isFollowed { router.expectsWord = true }
        batch.origin.answer(batch)
      case .answers(let batch): take(answered: batch)
      }
    }
    router.arrived.removeFirst(place)
    leaveOutTime()
  }

  /// Runs a batch; its answers and replies are in it then.
  mutating func perform(_ batch: HopBatch) {
    var load = HopLoad()
    swap(&load, &batch.load)
    if let agent = hopAgent() {
      leaveOutTime()
      swap(&reply.queue, &load.replies)
      reply.pool.expect(requestByteCount: load.queue.byteCount)
      for place in load.groups.indices {
        current = agent
        sessions[agent].address = load.groups[place].address
        reply.version = load.groups[place].version
        if load.groups[place].leavesClocks { touchClock = .max }
        run(&load.groups[place], &load.answers, load.hops, load.queue, load.transactions)
        touchClock = accessClock
        if reply.finish() {
          load.groups[place].isDone = false
          for i in load.groups[place].first..<load.answers.count {
            load.answers[i].outcome = .lost
          }
        }
      }
      sessions[agent].shard = Session.agent
      current = -1
      swap(&reply.queue, &load.replies)
    } else {
      for place in load.groups.indices { load.groups[place].isDone = false }
      for _ in load.hops.indices { load.answers.append(HopAnswer(outcome: .later)) }
    }
    swap(&load, &batch.load)
  }

  /// The session that hops run in; nil if there is no memory for it.
  mutating func hopAgent() -> Int32? {
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
    _ group: inout HopGroup, _ answers: inout Pile<HopAnswer>, _ hops: borrowing Pile<Hop>,
    _ queue: borrowing CommandQueue, _ transactions: [Transaction]
  ) {
    let begin = reply.queue.byteCount
    let end = group.first + group.count
    for i in group.first..<end {
      if (i &- group.first) & 15 == 0 { prefetch(queue, i..<min(i + 16, end)) }
      let before = reply.queue.byteCount
      if !group.isDone
        || before - begin > settings.clientOutputPause && !router.runsJointly
      {
        group.isDone = false
        answers.append(HopAnswer(outcome: .again))
        continue
      }
      let outcome = run(hops[i], i, &group, queue, transactions)
      answers.append(
        HopAnswer(outcome: outcome, byteCount: reply.queue.byteCount &- before))
      if outcome != .done { group.isDone = false }
    }
    group.byteCount = reply.queue.byteCount - begin
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
  @inline(__always)
  private mutating func run(
    _ hop: Hop, _ i: Int, _ group: inout HopGroup, _ queue: borrowing CommandQueue,
    _ transactions: [Transaction]
  ) -> HopOutcome {
    let request = queue.requests[i]
    let known = hot[Int(request.id.rawValue)]
    if hop.kind == .keyed, known.lastKey == known.firstKey, openSlotBits == 0, pauses.isEmpty,
      request.bulkCount == 0, known.firstKey > 0
    {
      let owner = keyspace.owner(of: Int(request.slot))
      if owner >= 0 {
        act(as: owner)
        runRouted(
          Call(
            queue.arguments(of: i), id: request.id, slot: Int(request.slot), hash: request.hash),
          byteCount: Int(request.byteCount))
        return .done
      }
    }
    return runSlowly(hop, i, &group, queue, transactions)
  }

  @inline(never)
  private mutating func runSlowly(
    _ hop: Hop, _ i: Int, _ group: inout HopGroup, _ queue: borrowing CommandQueue,
    _ transactions: [Transaction]
  ) -> HopOutcome {
    let request = queue.requests[i]
    switch hop.kind {
    case .keyed:
      let call = Call(
        queue.arguments(of: i), id: request.id, slot: Int(request.slot), hash: request.hash)
      if let half = hop.half {
        look()
        // It may have gone on, or be about to: then from the beginning.
        let isGivenOn =
          targetByPresence(of: call.slot) != nil
          && localIndex(of: half.target) == keyspace.owner(of: call.slot)
        return half.epoch == map.epoch && !isGivenOn ? runScan(queue, i, hop) : .elsewhere
      }
      let way = route(call, hot[Int(request.id.rawValue)], asked: hop.asked)
      guard case .here(let shard, let table) = way else { return outcome(of: way) }
      if request.id == .scan { return runScan(queue, i, hop) }
      act(as: shard)
      if request.bulkCount > 0 { large = queue.large(of: i) }
      runRouted(
        Call(queue.arguments(of: i), id: request.id, slot: table, hash: request.hash),
        byteCount: Int(request.byteCount))
      if request.bulkCount > 0 { large = [] }
      return .done
    case .worker:
      look()
      act(as: Session.endpoint)
      if request.id == .monitor {
        addMonitor(of: group)
        reply.ok()
        return .done
      }
      let call = Call(queue.arguments(of: i), id: request.id, slot: -1, hash: .none)
      runRouted(call, byteCount: Int(request.byteCount))
      group.revision = shownRevision
      group.keyCount = shownKeyCount
      return .done
    case .exec: return runExec(transactions[Int(hop.transaction)], hop, for: group)
    case .watch:
      let call = Call(
        queue.arguments(of: i), id: request.id, slot: Int(request.slot), hash: request.hash)
      return runWatch(call, hop, for: group)
    case .unwatch:
      endWatcher(of: group.clientNumber)
      return .done
    }
  }

  /// Runs a SCAN, or one half of it.
  private mutating func runScan(
    _ queue: borrowing CommandQueue, _ i: Int, _ hop: Hop
  ) -> HopOutcome {
    let request = queue.requests[i]
    act(as: Session.endpoint)
    router.scanHalf = hop.half
    runRouted(
      Call(queue.arguments(of: i), id: .scan, slot: Int(request.slot), hash: .none),
      byteCount: Int(request.byteCount))
    defer { router.scanHalf = nil }
    if hop.half == nil, let half = router.scanHalf { return .half(half) }
    return .done
  }

  /// What is told to the router of a command that does not run here. One whose slot nobody has is answered.
  func outcome(of way: Route) -> HopOutcome {
    switch way {
    case .here, .later: return .later
    case .split: return .split
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
      if sessions[watcher].transaction?.isConflicted == true {
        // What it watches may have moved. EXEC will do nothing.
        reply.ok()
        return .done
      }
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
      case .split: return .split
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
  mutating func endWatcher(of clientNumber: UInt64) {
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
      let askedHere = asked.flatMap { importer($0, of: queue.slot) }
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
        return .split
      case .ask(let target):
        return askedHere != nil ? .split : .there(worker: worker(of: target), asked: target)
      }
      if flightThatHolds(queue) != nil { return .later }
      return isPaused(queue, at: shard) ? .later : .here(shard: shard, table: queue.slot)
    }
    let owner = keyspace.owner(of: queue.slot)
    let ownerByMap = map.owner(of: HashSlot(UInt16(queue.slot)))
    for i in queue.requests.indices where queue.requests[i].slot >= 0 {
      let slot = Int(queue.requests[i].slot)
      if owner >= 0 {
        if keyspace.owner(of: slot) != owner { return .crossed }
        if openSlotBits != 0, openSlotSet.contains(HashSlot(UInt16(slot))) { return .split }
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
    case .split where givesUp(current):
      fail(line: Self.keysApart)
      return false
    case .later, .split:
      putOff(call, isLate: true)
      return false
    case .down, .crossed:
      fail(line: ErrorReply.clusterDown)
      return false
    }
    if round.watchWorker >= 0, round.watchWorker != target || round.watchShard != shard {
      refreshMap()
      if map.owner(of: HashSlot(UInt16(round.watchSlot)))
        == map.owner(of: HashSlot(UInt16(call.slot)))
      {
        // What is watched has moved, so EXEC will do nothing.
        reply.ok()
      } else {
        fail(text: Self.crossSlot)
      }
      return false
    }
    let isWatching = round.watchWorker >= 0
    if !isWatching { round.watchSlot = call.slot }
    round.watchWorker = target
    round.watchShard = shard
    if target == worker {
      act(as: shard)
      return true
    }
    hop(call, Hop(kind: .watch, isWatching: isWatching), to: target)
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
        if watchWorker >= 0, shard != watchShard, shard >= 0 { return crossed(call) }
        if shard >= 0 { act(as: shard) }
        if isMemoryLimited, transaction.queue.isDeniedWithoutMemory, !hasRoom() {
          failExec("OOM command not allowed when used memory > 'maxmemory'.")
          return false
        }
      case .split where givesUp(current):
        endWatch(of: current)
        discard(current)
        fail(line: Self.keysApart)
        return false
      case .later, .split:
        putOff(call, isLate: true)
        return false
      case .down:
        discard(current)
        fail(line: ErrorReply.clusterDown)
        return false
      case .crossed: return crossed(call)
      case .there(let target, let asked):
        if watchWorker >= 0 { return crossed(call) }
        hopExec(call, transaction, to: target, asked: asked)
        return false
      }
      sessions[current].round?.watchWorker = -1
      return true
    }
    if settings.routerAtomic { return crossed(call) }
    hopExec(call, transaction, to: watchWorker, asked: nil, isWatching: true)
    return false
  }

  /// An EXEC of commands on several shards, or of what is watched on another one.
  private mutating func crossed(_ call: Call) -> Bool {
    if settings.routerAtomic {
      putOffJointly(call)
      return false
    }
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
    openRound()
    router.round.endInline(at: reply.queue.byteCount)
    let place = router.round.addPlace()
    note(target: worker, call.id, asked)
    sessions[current].transaction = nil
    sessions[current].mode.remove([.multi, .asking])
    ownRound(of: current).watchWorker = -1
    add(
      Hop(kind: .exec, isWatching: isWatching, place: Int32(place), asked: asked), call,
      to: worker, with: transaction, for: current)
    router.round.add(answerAt: place, isSilent: reply.isSilent)
    // It may have to be run on several shards after all.
    if settings.routerAtomic { sessions[current].mode.insert(.routing) }
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
