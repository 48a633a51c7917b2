// SCAN through the router, while slots move.
//
// A cursor is a place in hash order and nothing else, and its slot's owner goes on from there: hand-over
// changes nothing about what is behind it. Along a migration's cursor the target has what is below, the
// source the rest. By presence a key goes from the source to the target at any time, and only the source
// knows that it may. So a call walks through such a slot alone, in two halves:
//
//     source's worker    p ────────▶ p′           all that is there of [p, p′)
//     target's worker    p ─────────────▶ q       what has gone there of [p, q), before or meanwhile
//     the reply                      min(p′, q)   to there both have been
//
// On one worker both are done in one step. Else the move may end between them, and the next one begin,
// which takes keys from the target on to a third shard. So the second half counts only where the map's
// epoch is the one that the source's worker knew; if not, the whole call begins again from p.
import Sharding

extension Simulation {
  /// Where a walk goes on, as far as shards of this worker know; else nil.
  func wayOfScan(_ cursor: ScanCursor, asked: Int?, worker index: Int) -> SimulatedRoute? {
    if let asked, worker(of: asked) == index,
      let incoming = shards[asked].stays[cursor.slot].incoming, incoming.way == .cursor
    {
      return cursor.rank < incoming.cursor ? .here(shard: asked, isAsking: true) : .later
    }
    guard let owner = owner(of: cursor.slot, worker: index) else {
      return mutation == .scanGoesToOldOwner && asked == nil
        ? shards.indices.first { worker(of: $0) == index && shards[$0].id != nil }
          .map { .here(shard: $0, isAsking: false) } : nil
    }
    guard let outgoing = shards[owner].stays[cursor.slot].outgoing, outgoing.way == .cursor,
      cursor.rank < outgoing.cursor
    else { return .here(shard: owner, isAsking: false) }
    let target = outgoing.target
    if worker(of: target) != index { return .there(worker: worker(of: target), asked: target) }
    if shards[target].stays[cursor.slot].incoming?.way != .cursor { return .later }
    return wayOfScan(cursor, asked: target, worker: index)
  }

  /// To whom a shard of this worker gives a slot away by presence.
  func targetByPresence(of slot: Int, worker index: Int) -> Int? {
    owner(of: slot, worker: index).flatMap { shards[$0].stays[slot].outgoing }
      .flatMap { $0.way == .presence ? $0.target : nil }
  }

  /// What this worker shows of a slot from a rank on, and up to where; nil if another one has to.
  private func shownPart(
    of slot: Int, from rank: Int, worker index: Int
  ) -> (table: SimulatedTable, end: Int)? {
    for shard in shards.indices where worker(of: shard) == index {
      if let incoming = shards[shard].stays[slot].incoming, incoming.way == .cursor,
        rank < incoming.cursor
      {
        return (incoming.table, incoming.cursor)
      }
    }
    if let owner = owner(of: slot, worker: index), let table = shards[owner].stays[slot].table {
      let outgoing = shards[owner].stays[slot].outgoing
      if let outgoing, outgoing.way == .cursor, rank < outgoing.cursor { return nil }
      return (table, SimulatedKey.count)
    }
    let isNobodys = workers[index].known.owner(of: Simulation.slots[slot]) == nil
    return isNobodys || mutation == .scanGoesToOldOwner
      ? (SimulatedTable(), SimulatedKey.count) : nil
  }

  /// One call of SCAN at a worker: what it finds, or the first half of it.
  mutating func scan(_ cursor: ScanCursor, worker index: Int) -> HopOutcome {
    // By an old map the second half would be too late for ever, and a slot nobody's that is somebody's.
    if mutation != .scanKnowsOldMap { refreshMap(worker: index) }
    var place = cursor
    var keys: [SimulatedKey] = []
    var left = 1 + numbers.below(6)
    while left > 0, place.slot < Simulation.slots.count {
      if let target = targetByPresence(of: place.slot, worker: index) {
        if place.slot == cursor.slot { return scanBoth(place, target, upTo: left, worker: index) }
        // In a call of its own.
        hit(.stoppedBeforeOpenSlot)
        if mutation != .scanRunsIntoOpenSlot { break }
      }
      // From here on another worker may know more.
      guard let part = shownPart(of: place.slot, from: place.rank, worker: index) else { break }
      if part.end < SimulatedKey.count { hit(.scannedOpenSlot) }
      keys += walk(part.table, to: part.end, &place, &left)
    }
    return .done(.scanned(keys, place))
  }

  /// The keys of a table from a place on, of so many ranks at the most; an empty table costs nothing.
  private func walk(
    _ table: SimulatedTable, to end: Int, _ place: inout ScanCursor, _ left: inout Int
  ) -> [SimulatedKey] {
    let slot = place.slot
    let last = table.isEmpty ? end : min(end, place.rank + left)
    let ranks = place.rank..<last
    if !table.isEmpty { left -= ranks.count }
    place = ScanCursor(slot: slot, rank: last).normal
    return ranks.filter { table.values[$0] != 0 }.map { SimulatedKey(slot: slot, rank: $0) }
  }

  /// A slot that is given away by presence: the first half, and the second as well if the target is
  /// here.
  private mutating func scanBoth(
    _ cursor: ScanCursor, _ target: Int, upTo count: Int, worker index: Int
  ) -> HopOutcome {
    guard let part = shownPart(of: cursor.slot, from: cursor.rank, worker: index),
      let source = owner(of: cursor.slot, worker: index)
    else { preconditionFailure("whoever gives a slot away has it") }
    var place = cursor
    var left = count
    let keys = walk(part.table, to: part.end, &place, &left)
    hit(.scannedOpenSlot)
    if mutation == .scanSkipsSecondHalf { return .done(.scanned(keys, place)) }
    var half = ScanHalf(
      target: target, epoch: workers[index].known.epoch, keys: keys, end: place)
    if worker(of: target) != index {
      if mutation == .scanSecondHalfFirst {
        half.keys = []
        half.end = .end
        half.source = source
      }
      return .half(half)
    }
    hit(.bothHalvesHere)
    return .done(scanGiven(cursor, half))
  }

  /// The second half, from the same place on: what the target has been given, or has by now. Both
  /// together are the reply.
  private mutating func scanGiven(_ cursor: ScanCursor, _ half: ScanHalf) -> SimulatedReply {
    let stay = shards[half.target].stays[cursor.slot]
    if stay.table == nil, stay.incoming == nil { hit(.targetKnowsNothing) }
    var place = cursor
    var left = 1 + numbers.below(6)
    let keys = walk(
      stay.table ?? stay.incoming?.table ?? SimulatedTable(), to: SimulatedKey.count, &place, &left)
    let isFarther = half.end < place
    let end = isFarther == (mutation != .scanTakesFartherCursor) ? half.end : place
    return .scanned(half.keys + keys, end)
  }

  /// The second half, where the router has sent it, behind a look.
  mutating func scanHalf(_ cursor: ScanCursor, _ half: ScanHalf, worker index: Int) -> HopOutcome {
    if half.epoch != workers[index].known.epoch, mutation != .scanIgnoresEpoch {
      hit(.secondHalfBegunAgain)
      return .elsewhere
    }
    hit(.secondHalfElsewhere)
    let reply = scanGiven(cursor, half)
    if let source = half.source, case .scanned(let keys, let end) = reply {
      return .half(ScanHalf(target: source, epoch: half.epoch, keys: keys, end: end))
    }
    return .done(reply)
  }

  // MARK: Those who walk

  /// Begins a walk, or goes on with it.
  mutating func stepWalker(_ client: Int) {
    guard routerClients[client].pending.isEmpty, routerClients[client].asleepUntil <= now else {
      return
    }
    if !isHealing, numbers.chance(100) {
      routerClients[client].asleepUntil = now + numbers.below(300)
      return
    }
    if routerClients[client].walk == nil {
      guard !isHealing else { return }
      routerClients[client].walk = Walk(
        present: truth.indices.map { truth[$0] != 0 }, deletions: deletions)
    } else if numbers.chance(400) {
      return
    }
    guard let walk = routerClients[client].walk else { return }
    send(.scan(walk.cursor), routerClient: client, due: due(after: now))
  }

  /// A walk goes on, or has come to its end: it has met all keys that were there all the time.
  mutating func goOn(_ keys: [SimulatedKey], _ cursor: ScanCursor, _ client: Int) {
    routerClients[client].walk?.seen.formUnion(keys)
    if !cursor.isEnd {
      routerClients[client].walk?.cursor = cursor
      return
    }
    guard let walk = routerClients[client].walk else { return }
    routerClients[client].walk = nil
    hit(.walked)
    for slot in Simulation.slots.indices {
      for rank in 0..<SimulatedKey.count {
        let key = SimulatedKey(slot: slot, rank: rank)
        if walk.present[key.index], walk.deletions[key.index] == deletions[key.index],
          !isExcused[key.index] || isDropped[key.index], !walk.seen.contains(key)
        {
          fail(.scan, "router client \(client) has not met \(key)")
        }
      }
    }
  }
}
