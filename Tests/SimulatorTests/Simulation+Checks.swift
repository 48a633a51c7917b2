// The checks of a simulated cluster.
import Sharding

extension Simulation {
  /// I2, of the slots whose place has changed in this step.
  mutating func checkTouched() {
    for slot in touched {
      if shards.contains(where: { $0.stays[slot].isOpen }) { lastOpen[slot] = now }
      let count = tableCount(of: slot)
      if count != (control.unassigned.contains(slot) ? 0 : 1) {
        fail(.oneTable, "slot \(slot) has \(count) tables")
      }
      for rank in 0..<SimulatedKey.count {
        let key = SimulatedKey(slot: slot, rank: rank)
        if isExcused[key.index] { continue }
        let acceptors = shards.indices.filter { accepts(key, at: $0) }
        if acceptors.count > 1 { fail(.oneAcceptor, "\(key) is accepted by \(acceptors)") }
      }
    }
  }

  /// Where the slot's table is, counted.
  private func tableCount(of slot: Int) -> Int {
    var count = shards.count { $0.stays[slot].table != nil }
    for worker in workers {
      if case .releasing(let tables, _, _, false, _) = worker.activity {
        count += tables.count { $0.slot == slot }
      }
      for case .tables(let tables, _) in worker.mail { count += tables.count { $0.slot == slot } }
      for (_, order, _) in worker.orders {
        if case .release(let tables, _, _) = order { count += tables.count { $0.slot == slot } }
      }
    }
    return count
  }

  /// Whether a shard would carry out a write of the key, with ASKING or without. That an import by
  /// presence creates absent keys is left out: it is the promise of the client that it was sent.
  private func accepts(_ key: SimulatedKey, at shard: Int) -> Bool {
    let stay = shards[shard].stays[key.slot]
    guard shards[shard].id != nil, !stay.isInFlight[key.rank] else { return false }
    guard stay.table != nil || stay.isOpen || mutation == .mapConfersOwnership else { return false }
    if stay.table == nil, stay.incoming?.way == .presence, !isHere(key, stay) { return false }
    return decide([key], at: shard, isAsking: false) == .serve
      || decide([key], at: shard, isAsking: true) == .serve
  }

  /// I3, at the instant of a MOVED.
  mutating func checkMoved(_ connection: Int, _ slot: Int, to target: Int) {
    let operation = connections[connection].requests[0].operation
    let shard = connections[connection].shard
    if target == shard { fail(.movedToSelf, "shard \(shard + 1) names itself for slot \(slot)") }
    if !hasOrFinds(slot, target) {
      fail(.movedToOwner, "shard \(shard + 1) names \(target + 1) for slot \(slot)")
    }
    operations[operation].redirects += 1
    if operations[operation].redirects > 1, lastOpen[slot] < operations[operation].invoked,
      !shards.contains(where: { $0.stays[slot].isOpen })
    {
      fail(.redirects, "\(operations[operation]) is redirected again by shard \(shard + 1)")
    }
  }

  /// Whether a shard holds a slot, finds it when it looks, or is in the turn that hands it over.
  private func hasOrFinds(_ slot: Int, _ shard: Int) -> Bool {
    if shards[shard].stays[slot].table != nil { return true }
    let worker = workers[worker(of: shard)]
    if case .releasing(let tables, let flip, _, _, false) = worker.activity,
      flip.source.map({ Int($0.number) - 1 }) == shard
    {
      return tables.contains { $0.slot == slot }
    }
    return worker.mail.contains { letter in
      guard case .tables(let tables, let flip) = letter,
        flip.target.map({ Int($0.number) - 1 }) == shard
      else { return false }
      return tables.contains { $0.slot == slot }
    }
  }

  /// I3, at the instant of an ASK along a cursor.
  mutating func checkAsk(_ keys: [SimulatedKey], _ shard: Int, _ slot: Int, to target: Int) {
    guard let outgoing = shards[shard].stays[slot].outgoing, outgoing.way == .cursor,
      !outgoing.isCancelling
    else { return }
    for key in keys {
      if key.rank < shards[target].stays[slot].incoming?.cursor ?? 0 { continue }
      let isUnderWay = workers[worker(of: target)].mail.contains { letter in
        if case .slice(slot, target, let ranks, _) = letter { return ranks.contains(key.rank) }
        return false
      }
      if !isUnderWay {
        fail(.askToHolder, "shard \(shard + 1) asks \(target + 1) for \(key)")
      }
    }
  }

  /// ASKING before MULTI covers all of it: what is refused behind it is not here.
  mutating func checkMultiBehindAsking(_ connection: Int) {
    guard connections[connection].multiIsAsking, let queue = connections[connection].queue else {
      return
    }
    let command = connections[connection].requests[0].command
    let keys = command.keys.isEmpty ? queue.flatMap(\.keys) : command.keys
    guard !keys.isEmpty else { return }
    if decide(keys, at: connections[connection].shard, isAsking: true) == .serve {
      fail(.askToHolder, "\(command) behind ASKING and MULTI is refused, though \(keys) are here")
    }
  }

  // MARK: At the end

  /// Whether nobody waits for anything.
  var isAtRest: Bool {
    guard now % 8 == 0, control.answers.isEmpty, redisCLI.replies.isEmpty, !rebalancer.isBusy,
      rebalancer.nextDeadline == nil,
      clients.allSatisfy({ $0.outstanding.isEmpty && $0.transaction == nil })
    else { return false }
    if case .idle = redisCLI.stage {} else { return false }
    guard routerClients.allSatisfy({ $0.isAtRest }), workers.allSatisfy({ $0.hops.isEmpty }) else {
      return false
    }
    for worker in workers {
      guard worker.mail.isEmpty, worker.orders.isEmpty, case .none = worker.activity else {
        return false
      }
    }
    return connections.allSatisfy { $0.pending.isEmpty && $0.requests.isEmpty }
      && !shards.contains { $0.stays.contains { $0.isOpen } }
      && !control.unassigned.contains { slot in shards.allSatisfy { $0.stays[slot].table == nil } }
  }

  /// What has to be true when everything has healed.
  mutating func checkAtRest() {
    guard isAtRest else {
      let open = shards.indices.flatMap { shard in
        Simulation.slots.indices.filter { shards[shard].stays[$0].isOpen }.map {
          "\(shard + 1): \(shards[shard].stays[$0])"
        }
      }
      let waiting = (clients.flatMap(\.outstanding) + routerClients.flatMap(\.pending)).map {
        operations[$0].command
      }
      return fail(
        .liveness,
        "no rest: \(rebalancer.jobs.filter { !$0.state.isEnded }), open \(open), \(waiting), \(redisCLI.stage), \(clients.map { $0.transaction as Any }), \(String(describing: rebalancer.nextDeadline)) \(now)"
      )
    }
    for slot in Simulation.slots.indices {
      let holder = shards.indices.first { shards[$0].stays[slot].table != nil }
      guard let holder, let table = shards[holder].stays[slot].table else {
        return fail(.oneTable, "slot \(slot) is nobody's")
      }
      let owner = board.owner(of: Simulation.slots[slot]).map { Int($0.number) - 1 }
      if owner != holder {
        fail(
          .liveness, "slot \(slot) is at \(holder + 1), the map says \(owner.map { $0 + 1 } ?? 0)")
      }
      for rank in 0..<SimulatedKey.count {
        let key = SimulatedKey(slot: slot, rank: rank)
        if isExcused[key.index] { continue }
        if table.values[rank] != truth[key.index] {
          fail(.readBack, "\(key) is \(table.values[rank]), not \(truth[key.index])")
        }
        if rank == SimulatedKey.counter, table.values[rank] != acknowledgedIncrements[key.index] {
          fail(
            .counter,
            "\(key) is \(table.values[rank]) after \(acknowledgedIncrements[key.index]) increments")
        }
        if let fault = history.fault(of: key.index) { fail(.linearizable, "\(key): \(fault)") }
      }
    }
    if rebalancer.map.epoch != board.epoch {
      fail(.epoch, "the rebalancer is at \(rebalancer.map.epoch), the board at \(board.epoch)")
    }
  }
}
