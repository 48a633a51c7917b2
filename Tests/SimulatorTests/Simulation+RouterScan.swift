// SCAN through the router, while slots move.
//
// A cursor is a place in hash order, and its slot's owner goes on from there: hand-over changes nothing
// about what is behind it. Along a migration's cursor the target has what is below, the source the
// rest. By presence a key goes from the source to the target at any time: the walk goes through the
// source's table first, and then, in a second look, through the target's from its beginning; who was
// not met in the first had gone to the second by then.
//
// But the move may end while the walk is in the slot, and another begin. A first look that goes on at
// the new owner would miss keys that had gone before it came by; so it begins again. A second look that
// goes on at the target of the next move would miss what is still at its source; so from its place on
// it is a first one. The mark in the cursor says which stay of the slot at an owner it speaks of.
import Sharding

extension Simulation {
  /// What a cursor means by now: the slot may have come to another owner.
  private func current(_ cursor: ScanCursor) -> ScanCursor {
    if mutation == .scanForgetsStay {
      guard case .first = cursor.mark else { return cursor }
      return ScanCursor(slot: cursor.slot, rank: cursor.rank)
    }
    switch cursor.mark {
    case .plain: return cursor
    case .first(let stay):
      return stay == arrivals[cursor.slot] ? cursor : ScanCursor(slot: cursor.slot)
    case .second(let stay):
      return stay == arrivals[cursor.slot]
        ? cursor : ScanCursor(slot: cursor.slot, rank: cursor.rank)
    }
  }

  /// The beginning of the next slot.
  func next(behind cursor: ScanCursor) -> ScanCursor? {
    cursor.slot + 1 < Simulation.slots.count ? ScanCursor(slot: cursor.slot + 1) : nil
  }

  private func isSecond(_ cursor: ScanCursor) -> Bool {
    if case .second = cursor.mark { true } else { false }
  }

  /// Where a walk goes on, as far as shards of this worker know; else nil.
  func wayOfScan(_ cursor: ScanCursor, asked: Int?, worker index: Int) -> SimulatedRoute? {
    let cursor = current(cursor)
    if let asked, worker(of: asked) == index,
      let incoming = shards[asked].stays[cursor.slot].incoming
    {
      let isHere = incoming.way == .cursor ? cursor.rank < incoming.cursor : isSecond(cursor)
      return isHere ? .here(shard: asked, isAsking: true) : .later
    }
    guard let owner = owner(of: cursor.slot, worker: index) else {
      return mutation == .scanGoesToOldOwner && asked == nil && !shards.isEmpty
        ? shards.indices.first { worker(of: $0) == index && shards[$0].id != nil }
          .map { .here(shard: $0, isAsking: false) } : nil
    }
    guard let outgoing = shards[owner].stays[cursor.slot].outgoing else {
      return .here(shard: owner, isAsking: false)
    }
    let isThere = outgoing.way == .cursor ? cursor.rank < outgoing.cursor : isSecond(cursor)
    if !isThere { return .here(shard: owner, isAsking: false) }
    let target = outgoing.target
    if worker(of: target) != index { return .there(worker: worker(of: target), asked: target) }
    if shards[target].stays[cursor.slot].incoming == nil { return .later }
    return wayOfScan(cursor, asked: target, worker: index)
  }

  /// The next keys of a walk, all of one shard's part of a slot.
  mutating func scan(_ cursor: ScanCursor, at shard: Int) -> SimulatedReply {
    let isOld = cursor.mark != current(cursor).mark
    if isOld { hit(isSecond(cursor) ? .secondLookGoesOn : .firstLookBeginsAgain) }
    let cursor = current(cursor)
    let stay = shards[shard].stays[cursor.slot]
    let table = stay.table ?? stay.incoming?.table ?? SimulatedTable()
    var end = SimulatedKey.count
    if let incoming = stay.incoming, incoming.way == .cursor { end = incoming.cursor }
    let last = max(cursor.rank, min(end, cursor.rank + 1 + numbers.below(3)))
    let keys = (cursor.rank..<last).filter { table.values[$0] != 0 }.map {
      SimulatedKey(slot: cursor.slot, rank: $0)
    }
    if stay.outgoing != nil || stay.incoming != nil { hit(.scannedOpenSlot) }
    let isOpen = stay.table != nil && stay.outgoing?.way == .presence
    if last < SimulatedKey.count {
      var mark = cursor.mark
      if isOpen, mark == .plain { mark = .first(stay: arrivals[cursor.slot]) }
      return .scanned(keys, ScanCursor(slot: cursor.slot, rank: last, mark: mark))
    }
    if isOpen, mutation != .scanSkipsSecondLook {
      hit(.secondLook)
      return .scanned(
        keys, ScanCursor(slot: cursor.slot, mark: .second(stay: arrivals[cursor.slot])))
    }
    return .scanned(keys, next(behind: cursor))
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
  mutating func goOn(_ keys: [SimulatedKey], _ cursor: ScanCursor?, _ client: Int) {
    routerClients[client].walk?.seen.formUnion(keys)
    if let cursor {
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
          !isExcused[key.index], !walk.seen.contains(key)
        {
          fail(.scan, "router client \(client) has not met \(key)")
        }
      }
    }
  }
}
