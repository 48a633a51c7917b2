internal import RESP
internal import Sharding
internal import Storage

// Commands of router clients that concern several slots, or all of them (`Engine+Router.swift`): split by key, or run once by every worker.

extension Engine {
  // MARK: several slots

  /// A command with keys in several slots: split by key if it can be.
  mutating func routesSlots(_ call: Call, _ known: HotCommand) -> Bool {
    if !sessions[current].mode.contains(.multi),
      case .fanOut(let merge) = CommandTable.all[Int(call.id.rawValue)].router,
      call.id != .msetnx || settings.routerAtomic || isOneShard(call, step: Int(known.step))
    {
      fanOut(call, step: Int(known.step), merge)
    } else {
      fail(text: Self.crossSlot)
    }
    return false
  }

  /// Runs a command for each of its keys, where that is.
  private mutating func fanOut(_ call: Call, step: Int, _ merge: ReplyMerge) {
    if (call.count - 1) % step != 0 {
      return fail(
        text:
          "ERR wrong number of arguments for '\(CommandTable.all[Int(call.id.rawValue)].name)' command"
      )
    }
    var ways = Pile<Way>()
    var ranges = Pile<ArgumentRange>()
    swap(&ways, &router.ways)
    swap(&ranges, &router.ranges)
    lay(call, step: step, &ways, &ranges)
    if decide(&ways, call, ranges.span, step: step) {
      let isJoint = settings.routerAtomic || call.id == .msetnx
      if isJoint, !isHere(ways) {
        putOffJointly(call)
      } else if !mayDeal(ways, call) {
        stayBehind(call)
      } else if call.id == .msetnx, isMemoryLimited, !hasRoom() {
        // As in one slot: before a look at any key.
        fail("OOM command not allowed when used memory > 'maxmemory'.")
      } else if call.id == .msetnx, isAnyThere(ways, call, ranges.span) {
        reply.integer(0)
      } else {
        deal(ways, call, ranges.span, step: step, merge)
      }
    }
    ways.removeAll()
    ranges.removeAll()
    swap(&ways, &router.ways)
    swap(&ranges, &router.ranges)
  }

  /// Whether all of a command over many keys is run here: then nothing comes between its parts.
  private func isHere(_ ways: borrowing Pile<Way>) -> Bool {
    for i in ways.indices { guard case .here = ways[i].route else { return false } }
    return true
  }

  /// Whether no part of a command could have its effect before that of a request that is under way.
  private func mayDeal(_ ways: borrowing Pile<Way>, _ call: Call) -> Bool {
    if !router.hasOpenRound { return true }
    for i in ways.indices {
      var (target, asked): (Int, ShardID?) = (worker, nil)
      if case .there(let other, let shard) = ways[i].route { (target, asked) = (other, shard) }
      if !router.round.mayRun(on: target, readsOnly: readsOnly(call.id, asked)) { return false }
    }
    return true
  }

  /// Whether one of the keys of a MSETNX, all of which are here, is there.
  private mutating func isAnyThere(
    _ ways: borrowing Pile<Way>, _ call: Call, _ ranges: Span<ArgumentRange>
  ) -> Bool {
    for i in ways.indices {
      guard case .here(let shard, let table) = ways[i].route else { continue }
      act(as: shard)
      let part = call.arguments.others(ranges, first: i * 3, count: 3)
      if live(table, ways[i].hash, part[1]) != nil { return true }
    }
    return false
  }

  /// Lays out the keys of a command and where its parts' arguments are; where they go is to be decided.
  func lay(
    _ call: Call, step: Int, _ ways: inout Pile<Way>, _ ranges: inout Pile<ArgumentRange>
  ) {
    for key in stride(from: 1, to: call.count, by: step) {
      ranges.append(call.arguments.range(0))
      for i in 0..<step { ranges.append(call.arguments.range(key + i)) }
      let hash = key == 1 ? call.hash : KeyHash(call[key], seed: hashSeed)
      let slot = key == 1 ? call.slot : HashSlot.of(call[key]).index
      ways.append(Way(slot: slot, hash: hash, route: .later))
    }
  }

  /// Whether all keys of a command are one shard's, by the map.
  private mutating func isOneShard(_ call: Call, step: Int) -> Bool {
    refreshMap()
    let owner = map.owner(of: HashSlot(UInt16(call.slot)))
    for key in stride(from: 1, to: call.count, by: step)
    where map.owner(of: HashSlot.of(call[key])) != owner { return false }
    return true
  }

  /// Decides where each key of a command goes, all of them by one view. False if it was put off or answered.
  private mutating func decide(
    _ ways: inout Pile<Way>, _ call: Call, _ ranges: Span<ArgumentRange>, step: Int
  ) -> Bool {
    let known = hot[Int(call.id.rawValue)]
    var view = router.view
    for _ in 0..<3 {
      view = router.view
      for i in ways.indices {
        let slot = ways[i].slot
        if openSlotBits == 0, pauses.isEmpty {
          let owner = keyspace.owner(of: slot)
          if owner >= 0 {
            ways[i].route = .here(shard: owner, table: slot)
            continue
          }
          let worker = workerByMap(slot)
          if worker >= 0, canSend(to: worker) {
            ways[i].route = .there(worker: worker, asked: nil)
            continue
          }
        }
        let part = Call(
          call.arguments.others(ranges, first: i * (step + 1), count: step + 1), id: call.id,
          slot: slot, hash: ways[i].hash)
        ways[i].route = route(part, known, asked: nil)
      }
      if view == router.view { break }
    }
    var (isLate, isSplit) = (false, false)
    for i in ways.indices {
      switch ways[i].route {
      case .later: isLate = true
      case .split: isSplit = true
      case .down, .crossed:
        fail(line: ErrorReply.clusterDown)
        return false
      case .here, .there: break
      }
    }
    if isSplit {
      if givesUp(current) {
        fail(line: Self.keysApart)
        return false
      }
      isLate = true
    }
    if isLate || view != router.view || !isInView {
      putOff(call, isLate: isLate)
      return false
    }
    return true
  }

  /// Runs a command for each of its keys, or sends it there.
  private mutating func deal(
    _ ways: borrowing Pile<Way>, _ call: Call, _ ranges: Span<ArgumentRange>, step: Int,
    _ merge: ReplyMerge
  ) {
    openRound()
    router.round.endInline(at: reply.queue.byteCount)
    router.round.layPlaces()
    let first = router.round.placeCount
    var i = 0
    while i < ways.count {
      let end = min(i + 16, ways.count)
      prefetch(ways, i..<end)
      while i < end {
        let place = router.round.addPlace()
        router.round.layPlaces()
        switch ways[i].route {
        case .here(let shard, let table):
          let before = reply.queue.byteCount
          act(as: shard)
          var byteCount = 0
          for argument in 0...step {
            byteCount &+= Int(ranges[i * (step + 1) + argument].count & 0x7fff_ffff)
          }
          runRouted(
            Call(
              call.arguments.others(ranges, first: i * (step + 1), count: step + 1),
              id: HotCommand.part(of: call.id), slot: table, hash: ways[i].hash),
            byteCount: byteCount)
          router.round.places[place].byteCount = reply.queue.byteCount &- before
        case .there(let worker, let asked):
          note(target: worker, call.id, asked)
          add(
            Hop(place: Int32(place), asked: asked), part: 1 + i * step, step: step, of: call,
            ways[i], to: worker)
        case .later, .split, .down, .crossed: preconditionFailure("all ways were decided")
        }
        i += 1
      }
    }
    router.round.inlineByteCount = reply.queue.byteCount
    hasFailed = false
    router.round.pieces.append(
      RoundState.Piece(
        kind: .merged(merge, call.id), first: first, count: ways.count,
        isSilent: reply.isSilent))
    if router.round.placeCount >= Self.roundLimit { sessions[current].mode.insert(.routing) }
  }

  private func prefetch(_ ways: borrowing Pile<Way>, _ range: Range<Int>) {
    for i in range { keyspace.prefetchTable(ways[i].slot) }
    for i in range { keyspace.prefetchDirectory(ways[i].slot, ways[i].hash) }
    for i in range { keyspace.prefetchBucket(ways[i].slot, ways[i].hash) }
    for i in range { keyspace.prefetchEntry(ways[i].slot, ways[i].hash) }
  }

  // MARK: all shards

  /// Whether a router client's command without keys runs here and now; if not, it is under way, put off, queued, or answered.
  @inline(never)
  mutating func routesWithoutKeys(_ call: Call, _ known: HotCommand) -> Bool {
    guard isAllowed(call) else { return false }
    if putsOffBehindRound(call) { return false }
    act(as: Session.endpoint)
    guard isUnhindered(call) else { return false }
    if sessions[current].mode.contains(.multi) {
      switch call.id {
      case .exec: return routesExec(call)
      case .discard, .reset, .quit: endWatch(of: current)
      case .multi, .unwatch: break
      default:
        let command = CommandTable.all[Int(call.id.rawValue)]
        if known.attention.contains(.wholeKeyspace) || command.view == .process
          || !command.flags.isDisjoint(with: [.admin, .noscript])
        {
          fail("ERR Command not allowed inside a transaction at this port; see a shard's own port")
          return false
        }
      }
      return admitsInMulti(call, known)
    }
    sessions[current].mode.remove(.asking)
    switch call.id {
    case .unwatch, .reset, .quit: endWatch(of: current)
    case .clientTracking:
      fail(
        "ERR CLIENT TRACKING is not available at the configuration endpoint yet; use a client for Redis Cluster, which tracks at the shards' ports"
      )
      return false
    case .migrate: return refuseWholeKeyspace()
    case .scan: return routesScan(call, known)
    case .dbsize, .keys, .randomkey, .flushall, .flushdb:
      if router.peers.count <= 1 { return true }
      fanOutToAll(call)
      return false
    case _ where Self.isAboutAllWorkers(call.id):
      if router.peers.count <= 1 || call.id == .monitor && isInTransaction { return true }
      fanOutToAll(call)
      return false
    case .debug where mayDebug && Self.debugsKeys(call): return refuseWholeKeyspace()
    default: break
    }
    if known.attention.contains(.wholeKeyspace) { return refuseWholeKeyspace() }
    return true
  }

  /// Whether a DEBUG is about the keys of one shard.
  private static func debugsKeys(_ call: Call) -> Bool {
    switch Word(call[1]) {
    case "OBJECT", "SDSLEN", "DIGEST", "DIGEST-VALUE", "POPULATE", "HTSTATS", "HTSTATS-KEY",
      "LISTPACK", "QUICKLIST":
      true
    default: false
    }
  }

  /// SCAN goes on where its cursor is: on the worker of the next slot that anybody has.
  private mutating func routesScan(_ call: Call, _ known: HotCommand) -> Bool {
    if call.count < 2 { return true }
    guard let cursor = Self.cursor(call[1]) else { return true }
    refreshMap()
    var slot = Int(cursor >> 39)
    while slot < HashSlot.count {
      if keyspace.owner(of: slot) >= 0 || map.owner(of: HashSlot(UInt16(slot))) != nil { break }
      slot += 1
    }
    if slot == HashSlot.count { return true }
    switch route(Call(call.arguments, id: call.id, slot: slot, hash: .none), known, asked: nil) {
    case .here:
      guard let target = targetByPresence(of: slot), self.worker(of: target) != worker else {
        return true
      }
      // Both halves of it are run as if they came from another worker.
      hop(Call(call.arguments, id: call.id, slot: slot, hash: .none), Hop(), to: worker)
    case .there(let worker, let asked):
      hop(Call(call.arguments, id: call.id, slot: slot, hash: .none), Hop(asked: asked), to: worker)
    case .later, .split, .crossed: putOff(call, isLate: true)
    case .down: return true
    }
    return false
  }

  /// Runs a command once on every worker.
  private mutating func fanOutToAll(_ call: Call) {
    var merge = ReplyMerge.special
    if case .allShards(let kind) = CommandTable.all[Int(call.id.rawValue)].router { merge = kind }
    if call.id == .keys { merge = .inRequestOrder }
    openRound()
    do throws(OutOfMemory) {
      try router.round.whole.append(call, large: [], isDeniedWithoutMemory: false)
    } catch { return abandon(current) }
    router.round.endInline(at: reply.queue.byteCount)
    router.round.pieces.append(
      RoundState.Piece(
        kind: .merged(merge, call.id),
        first: router.round.placeCount, count: router.peers.count, isSilent: reply.isSilent))
    for _ in router.peers { _ = router.round.addPlace() }
    sendToAll(for: current)
    // One at a time: it may have to be done again.
    sessions[current].mode.insert(.routing)
  }

  /// Sends the command for all shards of the round at hand on its way, and does this worker's part of it. Its places are the last ones.
  mutating func sendToAll(for index: Int32) {
    router.round.layPlaces()
    let first = router.round.placeCount - router.peers.count
    var whole = CommandQueue()
    swap(&whole, &router.round.whole)
    look()
    for worker in router.peers.indices {
      router.round.places[first + worker].byteCount = -1
      if worker == self.worker {
        run(whole, 0, as: Session.endpoint, in: -1, for: first + worker)
        router.round.places[first + worker].revision = shownRevision
        router.round.places[first + worker].keyCount = shownKeyCount
      } else {
        let call = Call(whole.arguments(of: 0), id: whole.requests[0].id, slot: -1, hash: .none)
        add(
          Hop(kind: .worker, place: Int32(first + worker)), call, large: [], to: worker,
          for: index)
      }
    }
    hasFailed = false
    swap(&whole, &router.round.whole)
  }

  /// Keys that the shards of this worker own, or have been given already of slots on the move.
  var shownKeyCount: Int {
    var count = 0
    for shard in shards.indices { count += keyspace.keyCount(ofShard: Int32(shard)) }
    for open in openSlots where open.isImporting { count += keyspace.keyCount(of: open.table) }
    return count
  }

  /// What a command over all keys has seen of the map: no two workers may have seen different ones, and none a slot on the move.
  var shownRevision: UInt64 { openSlots.isEmpty ? mapRevision : .max - UInt64(worker) }
}
