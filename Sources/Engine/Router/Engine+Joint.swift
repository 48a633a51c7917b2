internal import RESP
internal import Sharding
internal import Storage

// Commands over several shards that are atomic and isolated (`router-atomic`), and commands over all keys that must see all workers at
// one instant. Other commands know nothing of it: no lock, no test on their way.
//
//   worker A, the client's              worker B                        worker C
//   takes the process's turn
//   prepare ───────────────────────────▶ stops between two commands;
//           ───────────────────────────────────────────────────────────▶ stops; looks whether it has
//        ◀───────────────────────────── its slots, and memory
//        ◀───────────────────────────────────────────────────────────── the same
//   looks at its own part
//   commit ────────────────────────────▶ runs its part, goes on
//          ───────────────────────────────────────────────────────────▶ runs its part, goes on
//   runs its own part, passes the turn on
//
// A worker that has stopped runs nothing: no command, no hop, no migration; it waits for the commit or the release. So nobody sees a part
// of the command: who has seen one worker's part done asks the others after they were stopped, and they run theirs first. That is two-phase
// locking, with a worker as the lock. There is one turn in the process, so there is no deadlock.
//
// If a part cannot be run everybody is released, and the client's worker begins again a millisecond later, by the newer map.
//
// A command over all keys (DBSIZE, KEYS …) comes here if it has met slots on the move. It stops *all* workers, the client's too, and
// holds them until each has run it: keys under way between two workers would be seen twice, or not at all.
//
// Limits: a stop lasts as long as the slowest worker takes to come to the end of a command, and twice the way there and back.

extension Engine {
  /// Whether this worker has stopped for a command of another one, or for one of its own over all keys. The caller of `workHops` then
  /// calls nothing but `drainMailbox` and `workHops` until it has not.
  public var isStopped: Bool { router.stoppedFor != nil || router.isStoppedItself }

  /// Whether word of joint commands was taken out of the mailbox and waits for `workHops`: the worker must not sleep over it.
  public var hasJointWord: Bool { !router.jointMessages.isEmpty }

  /// Whether a joint command of a client of this worker is on its way: others may have stopped for it.
  public var hasJointCommand: Bool { router.joint != nil }

  // MARK: the client's worker

  /// A command of the current client waits for the end of the round, and then for the process's turn.
  mutating func putOffJointly(_ call: Call) {
    putOff(call)
    router.round.putOff?.isJoint = true
  }

  /// Commands of which one instant must be seen, if slots are on the move.
  static func isOverAllKeys(_ id: CommandID) -> Bool {
    switch id {
    case .dbsize, .keys, .randomkey, .flushall, .flushdb: true
    default: false
    }
  }

  /// A client's joint command is next.
  mutating func beginJoint(_ index: Int32) {
    guard let putOff = sessions[index].round?.state.putOff, !putOff.isBegun else { return }
    putOff.isBegun = true
    router.jointQueue.append((ClientID(index: index), sessions[index].id))
    goOnJointly()
  }

  /// Takes up the next joint command, if none is on its way.
  private mutating func goOnJointly() {
    // One that is run at once has ended within the loop, which goes on with the next.
    if router.isGoingOnJointly { return }
    router.isGoingOnJointly = true
    defer { router.isGoingOnJointly = false }
    while router.joint == nil, !router.jointQueue.isEmpty {
      if !router.hasTurn {
        if router.awaitsTurn { return }
        router.hasTurn = router.turn.take(for: mailbox)
        router.awaitsTurn = !router.hasTurn
        if router.awaitsTurn { return }
      }
      let next = router.jointQueue.removeFirst()
      prepareJoint(next.client, next.clientNumber)
    }
    if router.joint == nil, router.hasTurn { passTurn() }
  }

  private mutating func passTurn() {
    router.hasTurn = false
    router.turn.pass()
  }

  /// Decides where the parts of a client's command go, and stops the workers that have them.
  private mutating func prepareJoint(_ client: ClientID, _ clientNumber: UInt64) {
    let index = client.index
    guard sessions.contains(index), sessions[index].id == clientNumber,
      let round = sessions[index].round, let putOff = round.state.putOff
    else { return }
    let isHeld = Self.isOverAllKeys(putOff.queue.requests[0].id)
    let joint = Joint(
      router.turn.nextNumber(), client: client, clientNumber: clientNumber, isHeld: isHeld)
    router.joint = joint
    ledger[0].jointTurns += 1
    if !lay(joint, putOff, index) { return retryLater(joint) }
    if joint.isHeld { router.isStoppedItself = true }
    joint.isSent = true
    joint.outstanding = joint.batches.count
    for batch in joint.batches { router.peers[batch.worker].push(.prepare(batch)) }
    if joint.outstanding == 0 { commitJoint(joint) }
  }

  /// Fills the batches of a joint command. False if it cannot be run at this moment.
  private mutating func lay(_ joint: Joint, _ putOff: Postponed, _ index: Int32) -> Bool {
    var queue = CommandQueue()
    swap(&queue, &putOff.queue)
    current = index
    look()
    large = queue.large(of: 0)
    let isLaid = lay(joint, queue)
    large = []
    sessions[index].shard = Session.endpoint
    current = -1
    swap(&queue, &putOff.queue)
    return isLaid
  }

  private mutating func lay(_ joint: Joint, _ queue: borrowing CommandQueue) -> Bool {
    let request = queue.requests[0]
    let call = Call(
      queue.arguments(of: 0), id: request.id, slot: Int(request.slot), hash: request.hash)
    if joint.isHeld { return layHeld(joint, call) }
    return request.id == .exec ? layTransaction(joint, call) : layKeys(joint, call)
  }

  /// The batch of a joint command for a worker.
  private mutating func batch(of joint: Joint, for worker: Int) -> HopBatch {
    if let batch = joint.batches.first(where: { $0.worker == worker }) { return batch }
    let batch = router.free.popLast() ?? HopBatch(from: mailbox)
    batch.worker = worker
    batch.joint = joint.number
    batch.isHeld = joint.isHeld
    batch.verdict = .ready
    batch.watcher = nil
    batch.isTransaction = false
    batch.needsAbsence = false
    batch.load.groups.append(
      HopGroup(
        client: joint.client, worker: self.worker, clientNumber: joint.clientNumber,
        version: sessions[current].version,
        leavesClocks: sessions[current].mode.contains(.noTouch), isAwaited: true,
        address: sessions[current].address, first: 0, count: 0))
    joint.batches.append(batch)
    return batch
  }

  /// A command that all workers run.
  private mutating func layHeld(_ joint: Joint, _ call: Call) -> Bool {
    for worker in router.peers.indices {
      joint.ways.append(
        Way(slot: -1, hash: .none, route: .here(shard: Session.endpoint, table: -1)))
      if worker == self.worker { continue }
      let batch = batch(of: joint, for: worker)
      do throws(OutOfMemory) {
        try batch.load.queue.append(call, large: [], isDeniedWithoutMemory: false)
      } catch { return false }
      batch.load.hops.append(Hop(kind: .worker, place: Int32(worker)))
      batch.load.groups[0].count += 1
    }
    return true
  }

  /// A command whose keys are in several slots, a part for each key.
  private mutating func layKeys(_ joint: Joint, _ call: Call) -> Bool {
    let step = Int(hot[Int(call.id.rawValue)].step)
    var ranges = Pile<ArgumentRange>()
    lay(call, step: step, &joint.ways, &ranges)
    defer { swap(&ranges, &joint.ranges) }
    for i in joint.ways.indices {
      let part = Call(
        call.arguments.others(ranges.span, first: i * (step + 1), count: step + 1),
        id: call.id, slot: joint.ways[i].slot, hash: joint.ways[i].hash)
      joint.ways[i].route = route(part, hot[Int(HotCommand.part(of: call.id).rawValue)], asked: nil)
      switch joint.ways[i].route {
      case .here: continue
      case .there(let worker, let asked):
        let batch = batch(of: joint, for: worker)
        do throws(OutOfMemory) {
          try batch.load.queue.append(
            part: 1 + i * step, step: step, of: call, id: HotCommand.part(of: call.id),
            slot: joint.ways[i].slot, joint.ways[i].hash, large: large)
        } catch { return false }
        batch.load.hops.append(Hop(place: Int32(i), asked: asked))
        batch.load.groups[0].count += 1
        batch.needsAbsence = call.id == .msetnx
      case .split:
        joint.verdict = .split
        return false
      case .later, .down, .crossed: return false
      }
    }
    return true
  }

  /// EXEC of commands on several shards, a part for each command.
  private mutating func layTransaction(_ joint: Joint, _ call: Call) -> Bool {
    guard let transaction = sessions[current].transaction else { return true }
    var queue = CommandQueue()
    swap(&queue, &transaction.queue)
    defer { swap(&queue, &transaction.queue) }
    for i in queue.requests.indices {
      let request = queue.requests[i]
      var way = Way(
        slot: Int(request.slot), hash: request.hash,
        route: .here(shard: Session.endpoint, table: -1))
      let part = Call(
        queue.arguments(of: i), id: request.id, slot: way.slot, hash: request.hash)
      if way.slot >= 0 { way.route = route(part, hot[Int(request.id.rawValue)], asked: nil) }
      joint.ways.append(way)
      switch way.route {
      case .here: continue
      case .there(let worker, let asked):
        let batch = batch(of: joint, for: worker)
        do throws(OutOfMemory) {
          try batch.load.queue.append(
            part, large: queue.large(of: i), isDeniedWithoutMemory: false)
        } catch { return false }
        batch.load.hops.append(Hop(place: Int32(i), asked: asked))
        batch.load.groups[0].count += 1
        batch.isTransaction = true
      case .split:
        joint.verdict = .split
        return false
      case .later, .down, .crossed: return false
      }
    }
    for watchWorker in sessions[current].round?.watchWorkers ?? [] where watchWorker != worker {
      batch(of: joint, for: watchWorker).watcher = joint.clientNumber
    }
    return true
  }

  /// All workers have stopped: the parts are run, if all of them can be.
  private mutating func commitJoint(_ joint: Joint) {
    let index = joint.client.index
    guard sessions.contains(index), sessions[index].id == joint.clientNumber,
      let round = sessions[index].round, let putOff = round.state.putOff
    else { return release(joint) }
    var queue = CommandQueue()
    swap(&queue, &putOff.queue)
    large = queue.large(of: 0)
    let isOver = commit(joint, queue, round, index)
    large = []
    if isOver { return }
    swap(&queue, &putOff.queue)
    retryLater(joint)
  }

  /// False if it cannot be run at this moment.
  private mutating func commit(
    _ joint: Joint, _ queue: borrowing CommandQueue, _ round: Round, _ index: Int32
  ) -> Bool {
    let request = queue.requests[0]
    let call = Call(
      queue.arguments(of: 0), id: request.id, slot: Int(request.slot), hash: request.hash)
    current = index
    reply.version = sessions[index].version
    if joint.verdict == .ready { joint.verdict = ownVerdict(joint, call) }
    sessions[index].shard = Session.endpoint
    current = -1
    switch joint.verdict {
    case .ready:
      round.state.putOff = nil
      perform(joint, call, round, index)
    case .later, .split: return false
    case .present, .conflicted, .noMemory:
      round.state.putOff = nil
      refuse(joint, round, index)
    }
    return true
  }

  /// Whether this worker's own parts can be run.
  private mutating func ownVerdict(_ joint: Joint, _ call: Call) -> JointVerdict {
    if joint.isHeld { return .ready }
    look()
    if let transaction = sessions[current].transaction, call.id == .exec {
      for watched in transaction.watched where !transaction.isConflicted {
        _ = live(Int(watched.slot), watched.hash, watched.key.rawBytes)
      }
      if transaction.isConflicted { return .conflicted }
      if isMemoryLimited, transaction.queue.isDeniedWithoutMemory, !hasRoom() { return .noMemory }
      var queue = CommandQueue()
      swap(&queue, &transaction.queue)
      defer { swap(&queue, &transaction.queue) }
      for i in joint.ways.indices where joint.ways[i].slot >= 0 {
        guard case .here = joint.ways[i].route else { continue }
        let part = Call(
          queue.arguments(of: i), id: queue.requests[i].id, slot: joint.ways[i].slot,
          hash: joint.ways[i].hash)
        joint.ways[i].route = route(part, hot[Int(part.id.rawValue)], asked: nil)
        guard case .here = joint.ways[i].route else { return joint.ways[i].route.verdict }
      }
      return .ready
    }
    let step = Int(hot[Int(call.id.rawValue)].step)
    if isMemoryLimited,
      hot[Int(call.id.rawValue)].attention.contains(.deniedWithoutMemory), !hasRoom()
    {
      return .noMemory
    }
    var ranges = Pile<ArgumentRange>()
    swap(&ranges, &joint.ranges)
    defer { swap(&ranges, &joint.ranges) }
    for i in joint.ways.indices {
      guard case .here = joint.ways[i].route else { continue }
      let part = Call(
        call.arguments.others(ranges.span, first: i * (step + 1), count: step + 1),
        id: HotCommand.part(of: call.id), slot: joint.ways[i].slot, hash: joint.ways[i].hash)
      joint.ways[i].route = route(part, hot[Int(part.id.rawValue)], asked: nil)
      guard case .here(_, let table) = joint.ways[i].route else {
        return joint.ways[i].route.verdict
      }
      if call.id == .msetnx, live(table, joint.ways[i].hash, part[1]) != nil { return .present }
    }
    return .ready
  }

  /// Has all parts run: the others', which have stopped for it, and this worker's.
  private mutating func perform(
    _ joint: Joint, _ call: Call, _ round: Round, _ index: Int32
  ) {
    swap(&router.round, &round.state)
    router.round.removeAll()
    for _ in joint.ways.indices { _ = router.round.addPlace() }
    router.round.layPlaces()
    router.round.outstanding = joint.isHeld ? 0 : joint.batches.count
    for batch in joint.batches { router.peers[batch.worker].push(.commit(batch)) }
    sessions[index].mode.insert(.routing)
    asCurrent(index) { engine in
      // It begins now, as far as CLIENT REPLY is concerned.
      if !engine.sessions[index].mode.isDisjoint(with: .quiet) { engine.turnReplies() }
      let isSilent = engine.reply.isSilent
      engine.reply.setSilent(false)
      engine.layPiece(joint, call, isSilent: isSilent)
      engine.runOwnParts(joint, call)
    }
    swap(&router.round, &round.state)
    if joint.isHeld {
      joint.outstanding = joint.batches.count
      if joint.outstanding == 0 { endHeld(joint) }
      return
    }
    router.ready.append((joint.client, joint.clientNumber))
    endJoint()
  }

  private mutating func layPiece(_ joint: Joint, _ call: Call, isSilent: Bool) {
    let merge: ReplyMerge
    switch CommandTable.all[Int(call.id.rawValue)].router {
    case .fanOut(let kind), .allShards(let kind): merge = call.id == .keys ? .inRequestOrder : kind
    case .local, .byKey: merge = .special
    }
    router.round.pieces.append(
      RoundState.Piece(
        kind: .merged(merge, call.id), first: 0, count: joint.ways.count, isSilent: isSilent))
  }

  private mutating func runOwnParts(_ joint: Joint, _ call: Call) {
    if joint.isHeld {
      look()
      runPart(
        Call(call.arguments, id: call.id, slot: -1, hash: .none), as: Session.endpoint, at: worker)
      router.round.places[worker].revision = mapRevision
      router.round.places[worker].keyCount = shownKeyCount
      return
    }
    if call.id == .exec {
      guard let transaction = sessions[current].transaction else { return }
      var queue = CommandQueue()
      swap(&queue, &transaction.queue)
      unwatch(current)
      isInTransaction = true
      for i in joint.ways.indices {
        guard case .here(let shard, let table) = joint.ways[i].route else { continue }
        large = queue.large(of: i)
        runPart(
          Call(
            queue.arguments(of: i), id: queue.requests[i].id, slot: table,
            hash: joint.ways[i].hash), as: shard, at: i)
        large = []
      }
      isInTransaction = false
      discard(current)
      ownRound(of: current).watchWorkers = []
      return
    }
    let step = Int(hot[Int(call.id.rawValue)].step)
    var ranges = Pile<ArgumentRange>()
    swap(&ranges, &joint.ranges)
    for i in joint.ways.indices {
      guard case .here(let shard, let table) = joint.ways[i].route else { continue }
      runPart(
        Call(
          call.arguments.others(ranges.span, first: i * (step + 1), count: step + 1),
          id: HotCommand.part(of: call.id), slot: table, hash: joint.ways[i].hash),
        as: shard, at: i)
    }
  }

  /// Runs one part; its reply waits at its place.
  private mutating func runPart(_ call: Call, as shard: Int32, at place: Int) {
    act(as: shard)
    var output = OutputQueue()
    swap(&reply.queue, &output)
    runAdmitted(call, byteCount: 0)
    swap(&reply.queue, &output)
    keep(&output, for: place)
  }

  /// The command is answered without having been run.
  private mutating func refuse(_ joint: Joint, _ round: Round, _ index: Int32) {
    asCurrent(index) { engine in
      swap(&engine.reply.queue, &engine.sessions[index].output)
      if !engine.sessions[index].mode.isDisjoint(with: .quiet) { engine.turnReplies() }
      switch joint.verdict {
      case .present: engine.reply.integer(0)
      case .conflicted:
        engine.reply.nullArray(engine.reply.version)
        engine.discard(index)
        engine.endWatch(of: index)
      case .noMemory:
        let reason = "OOM command not allowed when used memory > 'maxmemory'."
        if engine.sessions[index].transaction != nil,
          engine.sessions[index].mode.contains(.multi)
        {
          engine.failExec(reason)
          engine.endWatch(of: index)
        } else {
          engine.fail(text: reason)
        }
      case .split:
        if engine.sessions[index].mode.contains(.multi) {
          engine.discard(index)
          engine.endWatch(of: index)
        }
        engine.fail(line: Self.keysApart)
      case .ready, .later: break
      }
      swap(&engine.reply.queue, &engine.sessions[index].output)
    }
    round.state.removeAll()
    router.ready.append((joint.client, joint.clientNumber))
    release(joint)
  }

  /// Everybody goes on; nothing was run. The client's command is begun again, a little later.
  private mutating func retryLater(_ joint: Joint) {
    let index = joint.client.index
    if sessions.contains(index), sessions[index].id == joint.clientNumber,
      let round = sessions[index].round
    {
      if joint.verdict == .split, givesUp(index) {
        round.state.putOff = nil
        return refuse(joint, round, index)
      }
      round.state.notBefore = nextTry(of: index)
      round.state.putOff?.isBegun = false
      sessions[index].mode.insert(.routing)
      makeLate(index, round, until: round.state.notBefore)
    }
    release(joint)
  }

  private mutating func release(_ joint: Joint) {
    // Those that were not asked yet have not stopped.
    if joint.isSent {
      for batch in joint.batches { router.peers[batch.worker].push(.release(joint.number)) }
    }
    router.isStoppedItself = false
    endJoint()
  }

  /// The command at hand is over: those of other workers have their turn, then the next of this one.
  private mutating func endJoint() {
    router.joint = nil
    if router.hasTurn { passTurn() }
    goOnJointly()
  }

  /// All workers have run a command over all keys: everybody goes on.
  private mutating func endHeld(_ joint: Joint) {
    for batch in joint.batches { router.peers[batch.worker].push(.release(joint.number)) }
    router.isStoppedItself = false
    let index = joint.client.index
    if sessions.contains(index), sessions[index].id == joint.clientNumber,
      let round = sessions[index].round
    {
      round.state.outstanding = joint.batches.count
      // They were all there at one instant, whatever map each has looked at last.
      round.state.whole.removeAll()
    }
    for batch in joint.batches { router.arrived.append(.answers(batch)) }
    if joint.batches.isEmpty { router.ready.append((joint.client, joint.clientNumber)) }
    endJoint()
  }

  // MARK: the others

  /// The process ends: nobody waits for anybody.
  public mutating func abandonStop() {
    router.stoppedFor = nil
    router.isStoppedItself = false
  }

  /// What workers tell each other. Never while a command runs.
  mutating func workJointly() {
    if router.jointMessages.isEmpty { return }
    for message in router.jointMessages.takeAll() {
      switch message {
      case .turn:
        router.awaitsTurn = false
        router.hasTurn = true
        goOnJointly()
      case .prepare(let batch):
        precondition(router.stoppedFor == nil, "one command at a time stops a worker")
        router.stoppedFor = batch
        router.stopNumber = batch.joint
        batch.verdict = verdict(of: batch)
        batch.origin.push(.prepared(batch))
      case .prepared(let batch):
        guard let joint = router.joint, joint.number == batch.joint else { continue }
        if joint.verdict == .ready || batch.verdict == .noMemory {
          joint.verdict = batch.verdict
        }
        joint.outstanding -= 1
        if joint.outstanding == 0 { commitJoint(joint) }
      case .commit(let batch):
        if router.stoppedFor === batch { runStopped(batch) }
      case .ran(let batch):
        guard let joint = router.joint, joint.number == batch.joint else { continue }
        joint.outstanding -= 1
        if joint.outstanding == 0 { endHeld(joint) }
      case .release(let number):
        // Its batch may have been filled for the next command by now.
        if router.stopNumber == number { router.stoppedFor = nil }
      }
    }
  }

  /// Whether the hops of a batch can be run here, all of them.
  private mutating func verdict(of batch: HopBatch) -> JointVerdict {
    if batch.isHeld { return .ready }
    guard let agent = hopAgent() else { return .later }
    look()
    if let number = batch.watcher {
      guard let watcher = router.watchers[number], let own = sessions[watcher].transaction else {
        return .conflicted
      }
      for watched in own.watched where !own.isConflicted {
        _ = live(Int(watched.slot), watched.hash, watched.key.rawBytes)
      }
      if own.isConflicted { return .conflicted }
    }
    var load = HopLoad()
    swap(&load, &batch.load)
    defer { swap(&load, &batch.load) }
    current = agent
    defer {
      sessions[agent].shard = Session.agent
      current = -1
    }
    for i in load.hops.indices {
      let request = load.queue.requests[i]
      let known = hot[Int(request.id.rawValue)]
      let call = Call(
        load.queue.arguments(of: i), id: request.id, slot: Int(request.slot), hash: request.hash)
      let way = route(call, known, asked: load.hops[i].asked)
      guard case .here(_, let table) = way else { return way.verdict }
      if isMemoryLimited, known.attention.contains(.deniedWithoutMemory), !hasRoom() {
        return .noMemory
      }
      if batch.needsAbsence, live(table, call.hash, call[1]) != nil { return .present }
    }
    return .ready
  }

  /// Runs the batch that this worker has stopped for.
  private mutating func runStopped(_ batch: HopBatch) {
    if let number = batch.watcher { endWatcher(of: number) }
    isInTransaction = batch.isTransaction
    router.runsJointly = true
    perform(batch)
    router.runsJointly = false
    isInTransaction = false
    if batch.isHeld {
      batch.origin.push(.ran(batch))
    } else {
      router.stoppedFor = nil
      batch.origin.answer(batch)
    }
  }
}

extension HotCommand {
  /// What is run for one key of a command over several.
  static func part(of id: CommandID) -> CommandID { id == .msetnx ? .mset : id }
}

extension Route {
  /// What a worker says to a joint command that has a part on such a way.
  fileprivate var verdict: JointVerdict {
    switch self {
    case .here: .ready
    case .split: .split
    case .there, .later, .down, .crossed: .later
    }
  }
}
