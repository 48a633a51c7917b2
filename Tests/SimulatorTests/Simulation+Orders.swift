// What workers do for the rebalancer: being prepared, hand-over in three steps, moves along a
// cursor.
import Sharding

extension Simulation {
  /// Who sends an order: each keeps the order of what it sends.
  enum Link: Int {
    case control, operatorsPort, ownTurns
  }

  /// Sends an order to the worker of a shard.
  mutating func send(_ order: Order, to shard: Int, by link: Link, ticket: Int? = nil) {
    let index = worker(of: shard)
    let pause = link == .ownTurns ? numbers.below(options.slicePause) : 0
    let time = due(after: workers[index].lastDue[link.rawValue]) + pause
    workers[index].lastDue[link.rawValue] = time
    workers[index].orders.append((time, order, ticket))
  }

  /// Tells the control plane something.
  mutating func tell(_ input: Rebalancer.Input, worker index: Int) {
    let time = due(after: workers[index].lastAnswer)
    workers[index].lastAnswer = time
    control.answers.append((time, input))
  }

  /// Carries out an order.
  mutating func obey(_ order: Order, ticket: Int?, worker index: Int) {
    trace("worker \(index) obeys \(order)")
    switch order {
    case .prepare(let flip): prepare(flip, worker: index)
    case .handOver(let flip, let map): beginRelease(flip, map, worker: index)
    case .openImport(let flip): openImport(flip, worker: index)
    case .openMigration(let flip): openMigration(flip, worker: index)
    case .slice(let flip): slice(flip, worker: index)
    case .closeImport(let slot, let target):
      touched.append(slot)
      shards[target].stays[slot].incoming = nil
    case .map(let map): workers[index].copy = map
    case .release(let tables, let flip, let map):
      workers[index].activity = .releasing(
        tables, flip, map, isPushed: false, isPublished: false)
    case .push(let letter):
      if case .slice(_, let target, _, _) = letter { push(letter, to: target) }
    case .cut(let flip, let end): cut(flip, to: end)
    case .setImporting, .setMigrating, .getKeys, .migrate, .setNode, .setStable:
      obeyOperator(order, ticket: ticket ?? 0)
    }
  }

  private mutating func refuse(
    _ flip: Rebalancer.Flip, _ refusal: Rebalancer.FlipRefusal, worker index: Int
  ) {
    trace("\(flip.number) refused: \(refusal)")
    hit(.refusedFlip)
    if mutation == .refusedFlipStaysInMap { control.refusedFlips.append(flip) }
    tell(.refused(flip: flip.number, refusal), worker: index)
  }

  // MARK: Hand-over

  private mutating func prepare(_ flip: Rebalancer.Flip, worker index: Int) {
    guard let target = flip.target.flatMap({ port(of: $0) }) else {
      return refuse(flip, .other("the target has left"), worker: index)
    }
    for slot in slotIndexes(of: flip) {
      guard let incoming = shards[target].stays[slot].incoming else { continue }
      if !isOwnPresence(incoming, flip) {
        return refuse(flip, .open(Simulation.slots[slot]), worker: index)
      }
    }
    if !isHealing, numbers.chance(100) {
      hit(.notReady)
      return refuse(flip, numbers.chance(500) ? .busy : .noMemory, worker: index)
    }
    tell(.ready(flip: flip.number), worker: index)
  }

  private func isOwnPresence(_ incoming: Incoming, _ flip: Rebalancer.Flip) -> Bool {
    flip.mustBeEmpty && incoming.way == .presence
  }

  /// Why the source cannot let a slot go.
  private func refusal(_ slot: Int, _ source: Int, _ flip: Rebalancer.Flip)
    -> Rebalancer.FlipRefusal?
  {
    let stay = shards[source].stays[slot]
    guard let table = stay.table else { return .other("the slot is not here") }
    if mutation == .nodeWithKeysLeft, flip.mustBeEmpty { return nil }
    if mutation == .openSlotHandedOver { return nil }
    if flip.mustBeEmpty, !table.isEmpty { return .notEmpty }
    guard let outgoing = stay.outgoing else { return nil }
    let target = flip.target.flatMap { port(of: $0) }
    switch outgoing.way {
    case .cursor:
      return outgoing.cursor == SimulatedKey.count && outgoing.target == target
        ? nil : .open(Simulation.slots[slot])
    case .presence:
      return flip.mustBeEmpty ? nil : .open(Simulation.slots[slot])
    }
  }

  private mutating func beginRelease(
    _ flip: Rebalancer.Flip, _ map: ClusterMap, worker index: Int
  ) {
    guard let source = (flip.source ?? flip.target).flatMap({ port(of: $0) }) else {
      return refuse(flip, .other("the source has left"), worker: index)
    }
    let slots = slotIndexes(of: flip)
    // Slots that are nobody's: the target makes their tables.
    guard flip.source != nil else {
      for slot in slots {
        touched.append(slot)
        control.unassigned.remove(slot)
        shards[source].stays[slot].table = SimulatedTable()
        shards[source].stays[slot].incoming = nil
      }
      workers[index].view += 1
      publish(map, worker: index)
      tell(.released(flip: flip.number), worker: index)
      return tell(.adopted(flip: flip.number, keys: 0, bytes: 0, pause: 0), worker: index)
    }
    for slot in slots {
      if let refusal = refusal(slot, source, flip) {
        if case .other = refusal { fail(.sourceHolds, "\(flip) but \(shards[source].stays[slot])") }
        if shards[source].stays[slot].outgoing?.way == .cursor { preconditionFailure("own slices") }
        return refuse(flip, refusal, worker: index)
      }
    }
    var tables: [(slot: Int, table: SimulatedTable)] = []
    for slot in slots {
      guard let table = shards[source].stays[slot].table else { continue }
      touched.append(slot)
      tables.append((slot, table))
      shards[source].stays[slot].table = nil
      shards[source].stays[slot].departures += 1
      if shards[source].stays[slot].outgoing != nil { lastOpen[slot] = now }
      shards[source].stays[slot].outgoing = nil
      if mutation == .mergeOnAdopt { shards[source].stays[slot].leftover = table }
      if mutation != .watchersForgotten { dirtyWatchers(of: slot, at: source) }
    }
    if flip.target.map({ worker(of: Int($0.number) - 1) == index }) ?? false { hit(.sameWorker) }
    if mutation == .answerBeforePush {
      return send(.release(tables, flip, map), to: source, by: .ownTurns)
    }
    workers[index].activity = .releasing(tables, flip, map, isPushed: false, isPublished: false)
  }

  /// Pushes, or publishes, what is to be pushed or published next.
  mutating func release(
    _ tables: [(slot: Int, table: SimulatedTable)], _ flip: Rebalancer.Flip, _ map: ClusterMap,
    isPushed: Bool, isPublished: Bool, worker index: Int
  ) {
    let pushesNext = !isPushed && (isPublished || mutation != .publishBeforePush)
    if pushesNext {
      if let target = flip.target {
        push(.tables(tables, flip), to: Int(target.number) - 1)
      } else {
        for (slot, _) in tables { drop(slot) }
      }
    } else {
      publish(map, worker: index)
    }
    if isPushed || isPublished {
      workers[index].activity = .none
      tell(.released(flip: flip.number), worker: index)
      if mutation == .nextFlipWithoutAdoption {
        tell(.adopted(flip: flip.number, keys: 0, bytes: 0, pause: 0), worker: index)
      }
    } else {
      workers[index].activity = .releasing(
        tables, flip, map, isPushed: pushesNext, isPublished: !pushesNext)
    }
  }

  /// Somebody has unassigned a slot, and with it its keys.
  private mutating func drop(_ slot: Int) {
    touched.append(slot)
    control.unassigned.insert(slot)
    for rank in 0..<SimulatedKey.count {
      let key = SimulatedKey(slot: slot, rank: rank)
      isDropped[key.index] = isDropped[key.index] || !isExcused[key.index]
      isExcused[key.index] = true
      truth[key.index] = 0
      deletions[key.index] += 1
    }
  }

  /// Puts a map on the board.
  mutating func publish(_ map: ClusterMap, worker index: Int) {
    var map = map
    if mutation == .flipWithoutEpoch {
      map = ClusterMap(
        epoch: board.epoch,
        shards: map.shards.map { shard in
          var shard = shard
          shard.epoch = min(shard.epoch, board.epoch)
          return shard
        }, owners: map.owners)
    }
    if map.epoch <= board.epoch {
      fail(.epoch, "\(map.epoch.number) is published after \(board.epoch.number)")
    }
    board = map
    trace("epoch \(map.epoch.number) is out")
    for client in clients.indices {
      for operation in clients[client].outstanding { operations[operation].redirects = 0 }
    }
    if mutation == .copyOfTheMap {
      for shard in workers.indices { send(.map(map), to: shard, by: .control) }
    }
  }

  /// Tells that a flip's tables have been adopted.
  mutating func tellAdopted(_ flip: Rebalancer.Flip, worker index: Int) {
    if mutation == .nextFlipWithoutPublication {
      tell(.released(flip: flip.number), worker: index)
    }
    tell(.adopted(flip: flip.number, keys: 0, bytes: 0, pause: 0), worker: index)
  }

  // MARK: Along a cursor

  private mutating func openImport(_ flip: Rebalancer.Flip, worker index: Int) {
    guard let source = flip.source.flatMap({ port(of: $0) }),
      let target = flip.target.flatMap({ port(of: $0) })
    else { return refuse(flip, .other("a shard has left"), worker: index) }
    for slot in slotIndexes(of: flip) {
      let stay = shards[target].stays[slot]
      guard stay.table == nil, stay.incoming == nil else {
        return refuse(flip, .open(Simulation.slots[slot]), worker: index)
      }
      touched.append(slot)
      shards[target].stays[slot].incoming = Incoming(way: .cursor, source: source)
    }
    send(.openMigration(flip), to: source, by: .control)
  }

  private mutating func openMigration(_ flip: Rebalancer.Flip, worker index: Int) {
    guard let source = flip.source.flatMap({ port(of: $0) }),
      let target = flip.target.flatMap({ port(of: $0) })
    else { return refuse(flip, .other("a shard has left"), worker: index) }
    guard let slot = slotIndexes(of: flip).first else {
      return tell(.progress(flip: flip.number, keys: 0, bytes: 0, done: true), worker: index)
    }
    let stay = shards[source].stays[slot]
    guard stay.table != nil, stay.outgoing == nil else {
      send(.closeImport(slot: slot, target: target), to: target, by: .control)
      return refuse(flip, .open(Simulation.slots[slot]), worker: index)
    }
    touched.append(slot)
    hit(.cursorMove)
    shards[source].stays[slot].outgoing = Outgoing(way: .cursor, target: target)
    send(.slice(flip), to: source, by: .ownTurns)
  }

  private mutating func slice(_ flip: Rebalancer.Flip, worker index: Int) {
    guard let source = flip.source.flatMap({ port(of: $0) }),
      let slot = slotIndexes(of: flip).first,
      let table = shards[source].stays[slot].table,
      let outgoing = shards[source].stays[slot].outgoing, outgoing.way == .cursor
    else { return }
    let first = outgoing.cursor
    if !isHealing, first > 0, numbers.chance(options.scarcity) {
      // No memory for the rest: everything comes back, behind what is on its way.
      touched.append(slot)
      shards[source].stays[slot].outgoing?.isCancelling = true
      let isFirst = mutation == .giveBackOvertakes
      let hasSlice = workers[worker(of: outgoing.target)].mail.contains {
        if case .slice(slot, _, _, _) = $0 { true } else { false }
      }
      if hasSlice { hit(.sliceInFlightAtGiveBack) }
      return push(
        .giveBack(slot: slot, target: outgoing.target, flip), to: outgoing.target, first: isFirst)
    }
    let end = min(SimulatedKey.count, first + 1 + numbers.below(2))
    let letter = Letter.slice(
      slot: slot, target: outgoing.target, first..<end, Array(table.values[first..<end]))
    switch mutation {
    case .targetCursorAhead:
      push(letter, to: outgoing.target)
      return send(.cut(flip, to: end), to: source, by: .ownTurns)
    case .askBeforeSlice:
      send(.push(letter), to: source, by: .ownTurns)
    default: push(letter, to: outgoing.target)
    }
    cut(flip, to: end)
  }

  /// Has the source's cursor go on.
  private mutating func cut(_ flip: Rebalancer.Flip, to end: Int) {
    guard let source = flip.source.flatMap({ port(of: $0) }),
      let slot = slotIndexes(of: flip).first,
      let outgoing = shards[source].stays[slot].outgoing
    else { return }
    touched.append(slot)
    for rank in outgoing.cursor..<end {
      shards[source].stays[slot].table?.values[rank] = 0
      dirtyWatchers(of: slot, rank: rank, at: source)
    }
    shards[source].stays[slot].outgoing?.cursor = end
    let isDone = end == SimulatedKey.count
    tell(
      .progress(flip: flip.number, keys: end - outgoing.cursor, bytes: 0, done: isDone),
      worker: worker(of: source))
    if !isDone { send(.slice(flip), to: source, by: .ownTurns) }
  }
}
