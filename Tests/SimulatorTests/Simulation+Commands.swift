// What a shard does with a command: the verdict, and carrying it out.
import Sharding

/// What becomes of a command.
enum Resolution {
  case reply(SimulatedReply)
  /// A key is in flight.
  case wait
  /// Not served; what the client is told is decided again behind the look into the mailbox.
  case refuse(Verdict, slot: Int)
}

extension Simulation {
  /// What a shard is to a slot.
  func state(of shard: Int, _ slot: Int) -> SlotState {
    let stay = shards[shard].stays[slot]
    if stay.table != nil {
      guard let outgoing = stay.outgoing else { return .held }
      return .migrating(to: shards[outgoing.target].id ?? board.shards[0].id)
    }
    if let incoming = stay.incoming {
      let servesAll = mutation == .askingServesAboveCursor
      return incoming.way == .cursor && !servesAll ? .importingByCursor : .importingByPresence
    }
    guard let owner = map(at: shard).owner(of: Simulation.slots[slot]) else { return .unassigned }
    return mutation == .mapConfersOwnership && owner == shards[shard].id ? .held : .elsewhere
  }

  /// The map that a shard points by.
  func map(at shard: Int) -> ClusterMap { workers[worker(of: shard)].copy ?? board }

  /// Whether a key is here, by presence or by cursor.
  func isHere(_ key: SimulatedKey, _ stay: Stay) -> Bool {
    if let table = stay.table {
      guard let outgoing = stay.outgoing else { return true }
      return outgoing.way == .cursor ? key.rank >= outgoing.cursor : table.values[key.rank] != 0
    }
    guard let incoming = stay.incoming else { return false }
    return incoming.way == .cursor
      ? key.rank < incoming.cursor : incoming.table.values[key.rank] != 0
  }

  /// On which side the keys, all of one slot, are.
  func side(_ keys: [SimulatedKey], _ stay: Stay) -> KeySide {
    let hereCount = keys.count { isHere($0, stay) }
    if hereCount == keys.count { return .here }
    if keys.allSatisfy({ $0 == keys[0] }) { return .oneGone }
    return hereCount == 0 ? .allGone : .someGone
  }

  /// The verdict on keys of one slot.
  func decide(_ keys: [SimulatedKey], at shard: Int, isAsking: Bool) -> Verdict {
    let state = state(of: shard, keys[0].slot)
    guard state.asksForKeys(asking: isAsking) else {
      return verdict(state, asking: isAsking, keys: .here)
    }
    let decided = verdict(
      state, asking: isAsking, keys: side(keys, shards[shard].stays[keys[0].slot]))
    return decided == .tryAgain && mutation == .tryAgainServed ? .serve : decided
  }

  /// Decides on a connection's first command, and carries it out if it is served here.
  mutating func resolve(_ connection: Int) -> Resolution {
    let request = connections[connection].requests[0]
    let shard = connections[connection].shard
    guard shards[shard].id != nil else {
      endMulti(connection)
      return .reply(.closed)
    }
    switch request.command {
    case .topology: return .reply(.topology(map(at: shard)))
    case .multi:
      connections[connection].queue = []
      connections[connection].multiIsAsking = request.isAsking
      return .reply(.values([]))
    case .unwatch:
      endMulti(connection)
      return .reply(.values([]))
    case .exec: return resolveExec(connection)
    case .scan: preconditionFailure("walks go through the router")
    case .get, .set, .delete, .increment, .getTwo, .setTwo, .watch, .restore: break
    }
    let keys = request.command.keys
    let isQueueing = connections[connection].queue != nil
    let isAsking =
      isQueueing
      ? connections[connection].multiIsAsking && mutation != .askingForgottenInMulti
      : request.isAsking
    if !(request.hasWaited && mutation == .waitedNotDecidedAgain) {
      let verdict = decide(keys, at: shard, isAsking: isAsking)
      if verdict != .serve { return .refuse(verdict, slot: keys[0].slot) }
    }
    if isQueueing {
      connections[connection].queue?.append(request.command)
      return .reply(.queued)
    }
    guard canRunNow(keys, shard) else { return .wait }
    if case .watch(let key) = request.command {
      connections[connection].watches.append(
        (key, versions[key.index], shards[shard].stays[key.slot].departures))
    }
    return .reply(
      execute(
        request.command, at: shard, isAsking: isAsking,
        isRestore: connections[connection].client >= clients.count))
  }

  /// Whether none of the keys is being sent away.
  func canRunNow(_ keys: [SimulatedKey], _ shard: Int) -> Bool {
    keys.allSatisfy { !shards[shard].stays[$0.slot].isInFlight[$0.rank] }
  }

  private mutating func resolveExec(_ connection: Int) -> Resolution {
    let shard = connections[connection].shard
    // UNWATCH or a redirect have ended it.
    guard let queue = connections[connection].queue else { return .reply(.execAborted) }
    if connections[connection].isAborted {
      hit(.execAborted)
      endMulti(connection)
      return .reply(.execAborted)
    }
    let keys = queue.flatMap(\.keys)
    let isAsking = connections[connection].multiIsAsking && mutation != .askingForgottenInMulti
    if !keys.isEmpty, mutation != .execNotDecided {
      let verdict = decide(keys, at: shard, isAsking: isAsking)
      if verdict != .serve { return .refuse(verdict, slot: keys[0].slot) }
      guard canRunNow(keys, shard) else { return .wait }
    }
    let watches = connections[connection].watches
    let isDirty = connections[connection].isDirty
    let hasLeft = watches.contains { shards[shard].stays[$0.key.slot].departures != $0.departures }
    if hasLeft { hit(.watchedSlotCameBack) }
    if isDirty {
      hit(.execNull)
      endMulti(connection)
      return .reply(.execNull)
    }
    for watch in watches where !isExcused[watch.key.index] {
      if versions[watch.key.index] != watch.version {
        fail(.watch, "EXEC ran though \(watch.key) was written")
      }
    }
    if hasLeft { fail(.watch, "EXEC ran though its slot had left and come back") }
    var values: [Int] = []
    for command in queue {
      if case .values(let more) = execute(command, at: shard, isAsking: isAsking) {
        values += more
      }
    }
    hit(isAsking ? .execAsking : .execServed)
    endMulti(connection)
    return .reply(.values(values))
  }

  /// Forgets what was queued and watched.
  mutating func endMulti(_ connection: Int) {
    connections[connection].queue = nil
    connections[connection].multiIsAsking = false
    connections[connection].isAborted = false
    connections[connection].watches = []
    connections[connection].isDirty = false
  }
}

// MARK: Carrying out

extension Simulation {
  /// Carries out a command as a shard.
  mutating func execute(
    _ command: SimulatedCommand, at shard: Int, isAsking: Bool, isRestore: Bool = false
  ) -> SimulatedReply {
    noteHole(command.keys, shard, isRestore: isRestore)
    if isAsking, shards[shard].stays[command.keys[0].slot].incoming != nil,
      command.keys.contains(where: { read($0, shard) == 0 })
    {
      hit(.askedKeyCreated)
    }
    switch command {
    case .get(let key):
      return .values([checkedRead(key, shard)])
    case .getTwo(let first, let second):
      return .values([checkedRead(first, shard), checkedRead(second, shard)])
    case .set(let key, let value):
      write(key, value, shard)
      return .values([])
    case .setTwo(let first, let value, let second, let other):
      write(first, value, shard)
      write(second, other, shard)
      return .values([])
    case .delete(let key):
      write(key, 0, shard)
      return .values([])
    case .increment(let key):
      let value = checkedRead(key, shard) + 1
      write(key, value, shard)
      return .values([value])
    case .restore(let key, let value, let replaces):
      if read(key, shard) != 0, !replaces { return .busyKey }
      // The same value in another place is no write.
      touched.append(key.slot)
      store(key, value, shard)
      return .values([])
    case .multi, .exec, .watch, .unwatch, .topology, .scan: return .values([])
    }
  }

  /// What is in the shard's table, nothing if it has none.
  private func read(_ key: SimulatedKey, _ shard: Int) -> Int {
    let stay = shards[shard].stays[key.slot]
    return (stay.table ?? stay.incoming?.table)?.values[key.rank] ?? 0
  }

  private mutating func checkedRead(_ key: SimulatedKey, _ shard: Int) -> Int {
    let value = read(key, shard)
    if value != truth[key.index], !isExcused[key.index] {
      fail(.lastWrite, "shard \(shard + 1) read \(value) of \(key), not \(truth[key.index])")
    }
    return value
  }

  private mutating func write(_ key: SimulatedKey, _ value: Int, _ shard: Int) {
    trace("shard \(shard + 1) writes \(key) = \(value)")
    if value == 0 { deletions[key.index] += 1 }
    truth[key.index] = value
    versions[key.index] += 1
    store(key, value, shard)
  }

  private mutating func store(_ key: SimulatedKey, _ value: Int, _ shard: Int) {
    if shards[shard].stays[key.slot].table != nil {
      shards[shard].stays[key.slot].table?.values[key.rank] = value
    } else {
      shards[shard].stays[key.slot].incoming?.table.values[key.rank] = value
    }
    dirtyWatchers(of: key.slot, rank: key.rank, at: shard)
  }

  /// Has EXEC fail for those who watch a key of the slot here, or this one.
  mutating func dirtyWatchers(of slot: Int, rank: Int? = nil, at shard: Int) {
    for index in connections.indices
    where connections[index].shard == shard && !connections[index].watches.isEmpty {
      if connections[index].watches.contains(where: {
        $0.key.slot == slot && (rank == nil || $0.key.rank == rank)
      }) {
        connections[index].isDirty = true
      }
    }
  }

  /// By presence, an ASKING from an earlier move, or one that a cancelled move has overtaken, creates
  /// a key at the target that the source has or may create: Redis's hole, and documented. What it
  /// hits is checked no more.
  private mutating func noteHole(_ keys: [SimulatedKey], _ shard: Int, isRestore: Bool) {
    guard let incoming = shards[shard].stays[keys[0].slot].incoming, incoming.way == .presence,
      !isRestore
    else { return }
    let source = shards.first { $0.stays[keys[0].slot].table != nil }?.stays[keys[0].slot]
    for key in keys where incoming.table.values[key.rank] == 0 {
      let isProper =
        source?.outgoing?.way == .presence && source?.outgoing?.target == shard
        && source?.table?.values[key.rank] == 0
      if !isProper { excuse(key) }
    }
  }

  /// The hole has hit a key.
  mutating func excuse(_ key: SimulatedKey) {
    hit(.presenceHole)
    isExcused[key.index] = true
    isDropped[key.index] = false
  }
}
