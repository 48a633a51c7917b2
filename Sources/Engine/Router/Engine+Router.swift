internal import RESP
internal import Sharding
internal import Storage

// The router endpoint (DESIGN §5): clients of the configuration endpoint's port use all shards as one server.
//
//   client ─▶ router session, here on worker 0
//               GET a      a's shard is on worker 0:  runs at once, as that shard
//               GET b  ┐   b's and c's are on worker 1
//               GET c  ┘                     HopBatch ──▶ mailbox of worker 1 ──▶ run in order, as their shards
//               PING                                                                     │
//             replies in order ◀── round complete ◀── mailbox of worker 0 ◀── the same batch, with replies
//
// Rounds
// ======
// What one run of a client's bytes sends to other workers, and what is run between it here, is a *round*. While a round is under way
// nothing more of the client is run: its bytes wait, and the peer is not read beyond `readLimit`. A pipeline of any depth costs one
// hand-over and back for all of it that came in one read. So what the design asks for holds by construction: nothing is sent under a
// newer epoch while requests under an older one are in flight, for nothing is sent at all; what is in flight is bounded by a read; and
// where a mailbox is full, or a worker slow, exactly the clients that have asked it wait.
//
// Requests have their effects in their order (I5). Within a round that is so for those of one slot if the slot does not change its way: a
// round belongs to one *view*, a number that grows with every newer map and every adopted table. A request that finds another view is put
// off until the round is over, and decided again. Over several workers it is so because nobody gets ahead of what is under way: while
// requests are on their way to one worker, a request for another one, this one included, runs or is sent only if it and all of those just
// read. Any other stays in the client's bytes until the round is over, and the replies to all of these leave together. So pipelines of
// reads run side by side, and those of writes go to and fro between workers; `router-ordered no` has both run side by side, as those of a
// cluster client do. What is not about keys (PING, HELLO, EXEC …) waits for the end of the round too.
//
// A worker that does not have the slot of a hop (any more) does not pass it on: it says so, and from there on all further hops of that
// client in the batch come back unrun. The router sends them again, in their order, once nothing else of the client is in flight, by the
// newer map, which the source has published before it could answer. (Passing on behind the table would need as many queues to
// keep their order as the slot has made moves; and an epoch in each request for a slot that has left and come back. A flip costs
// a client one more round.) In the same way a hop comes back that needs `ASKING` at another shard, or time (keys on both sides, keys
// under way, clients paused): clients of the router never see MOVED, ASK or TRYAGAIN.
//
// Commands over many slots are split by key: MGET, MSET, DEL, UNLINK, EXISTS, TOUCH. Each part is a command of its own, counted by its
// shard; the whole is not atomic. With all keys in one slot nothing is split. Commands over all keys run once on every worker;
// if they have met different maps, a slot may have been seen twice or not at all, and all of it is done again; where that does not help,
// all workers are stopped for it, as some are for commands over several shards with `router-atomic` (`Engine+Joint.swift`).
//
// SCAN goes to the worker of the slot that its cursor names, which walks on as long as the slots are its own: a cursor is a
// place in the hash space, so its guarantee holds while slots move.
//
// MULTI queues here; EXEC goes as a whole to the worker that has all of its slots, which must be one shard's. Watched keys are
// watched on their shard's worker, by a session there that stands for the client.
//
// Invariants
// ==========
// - While `hasOpenRound` the replies of the current client go into `RoundState.inline`; the session has its output queue.
// - A router session's `shard` is the shard that its current command runs as, and the endpoint whenever nothing of it runs.
// - `leavesRequest` is set only between a request that stays behind and the end of its batch.
// - Hops run, and answers are taken, only while no command runs (`current` < 0).
// - A session whose round is under way is in mode `.routing`, and so stopped.
//
// Limits: `roundLimit` hops a round; a batch `HopLoad.hopLimit` hops or `byteLimit` bytes; a hop's group gives back what is left of it once its
// replies exceed `client-output-pause`, so that replies in flight are bounded as those of other clients are.

/// What is to be done with a command, as far as this worker knows.
enum Route {
  /// It runs here, as that shard, in that table.
  case here(shard: Int32, table: Int)
  /// It goes to that worker, with `ASKING` to that shard if there is one.
  case there(worker: Int, asked: ShardID?)
  /// It cannot be run at this moment.
  case later
  /// Nobody has its slot, or nobody that this engine can reach.
  case down
  /// Its keys are on several shards.
  case crossed
}

extension Engine {
  /// Hops of a client that are under way at once.
  static let roundLimit = 1024
  /// Bytes of replies that are held back for those of requests that have come already.
  static let gatherLimit = 16 << 10
  /// Bytes of a client with a round under way from which on it is not read.
  static let readLimit = 256 << 10

  static let crossSlot =
    "CROSSSLOT Keys in request don't hash to the same slot; give them a common hash tag, as in {user1}:name, use a client for Redis Cluster, or set router-atomic to yes"

  /// What is run from now on runs as that shard, or (`Session.endpoint`) for all of them.
  @inline(__always)
  mutating func act(as shard: Int32) {
    if sessions[current].shard == shard { return }
    sessions[current].shard = shard
    count(forShard: shard)
  }

  // MARK: commands with keys

  /// Whether a router client's command with keys runs here and now, on the way of all commands; if not, it is under way, put off,
  /// queued, or answered.
  @inline(never)
  mutating func routes(_ call: Call, _ known: HotCommand) -> Bool {
    if sessions[current].mode == .router, known.lastKey == known.firstKey, openSlotBits == 0,
      pauses.isEmpty, isInView
    {
      let owner = keyspace.owner(of: call.slot)
      if owner >= 0 {
        if router.hasOpenRound, staysBehind(call, known, to: worker) { return false }
        act(as: owner)
        return true
      }
      let worker = workerByMap(call.slot)
      if worker >= 0, canSend(to: worker) {
        if router.hasOpenRound, staysBehind(call, known, to: worker) { return false }
        hop(call, Hop(), to: worker)
        return false
      }
    }
    return routesSlowly(call, known)
  }

  /// The other worker that a slot is on, if there is nothing newer to be known of it; else −1.
  @inline(__always)
  private func workerByMap(_ slot: Int) -> Int {
    if router.workers.isEmpty || isMapOld || mailbox.hasMail { return -1 }
    guard let index = map.owners[HashSlot(UInt16(slot))] else { return -1 }
    let worker = Int(router.workers[index])
    return worker == self.worker ? -1 : worker
  }

  /// The map has changed: which worker each of its shards is on.
  mutating func setWorkers() {
    router.workers.removeAll()
    if router.peers.count < 2 { return }
    for shard in map.shards { router.workers.append(Int32(worker(of: shard.id))) }
  }

  @inline(never)
  private mutating func routesSlowly(_ call: Call, _ known: HotCommand) -> Bool {
    guard isAllowed(call) else { return false }
    if !sessions[current].mode.isDisjoint(with: [.monitor, .paused]) {
      if putsOffBehindRound(call) { return false }
      guard isUnhindered(call) else { return false }
    }
    sessions[current].mode.remove(.asking)
    if known.lastKey != known.firstKey, !isOneSlot(call, known) {
      return routesSlots(call, known)
    }
    if sessions[current].mode.contains(.multi) { return admitsInMulti(call, known) }
    if call.id == .watch { return routesWatch(call, known) }
    return carry(call, known, route(call, known, asked: nil))
  }

  /// Whether nothing was learnt of slots since the current round began.
  @inline(__always)
  var isInView: Bool {
    !router.hasOpenRound || router.round.view == router.view
  }

  /// Does what a route says. True if the command runs now on the way of all commands.
  private mutating func carry(_ call: Call, _ known: HotCommand, _ route: Route) -> Bool {
    if !isInView {
      putOff(call)
      return false
    }
    switch route {
    case .here(let shard, let table):
      if staysBehind(call, known, to: worker) { return false }
      act(as: shard)
      if table == call.slot { return true }
      runInOpenTable(call, known, table)
    case .there(let worker, let asked):
      if staysBehind(call, known, to: worker) { return false }
      hop(call, Hop(asked: asked), to: worker)
    case .later: putOff(call, isLate: true)
    case .down: fail(line: map.redirect(for: HashSlot(UInt16(call.slot))))
    case .crossed: fail(text: Self.crossSlot)
    }
    return false
  }

  /// Where a command whose keys are in one slot is to run. Looks before it says no (DESIGN §4).
  mutating func route(_ call: Call, _ known: HotCommand, asked: ShardID?) -> Route {
    if let route = routeHere(call, known, asked: asked) { return route }
    look()
    if let route = routeHere(call, known, asked: asked) { return route }
    return routeByMap(call.slot)
  }

  /// The same of a SCAN whose cursor is in a slot: below the cursor of a migration it goes to the target, and for a second look too.
  private mutating func routeScan(_ call: Call, asked: ShardID?) -> Route? {
    let slot = call.slot
    let cursor = Self.cursor(call[1]) ?? ScanCursor(0)
    let isIn = cursor.slot == slot
    let prefix = isIn ? cursor.prefix : 0
    let isSecondLook = isIn && cursor.isSecondLook
    for open in openSlots where open.slot == slot {
      // By presence: as if all had gone already, and only for the second look.
      guard let boundary = open.cursor ?? (isSecondLook ? .max : nil) else { continue }
      if case .migrating(let target) = open.state, prefix < boundary {
        let worker = worker(of: target)
        if worker == self.worker { return .here(shard: open.shard, table: slot) }
        return canSend(to: worker) ? .there(worker: worker, asked: target) : .later
      }
      if open.isImporting, asked != nil {
        return prefix < boundary ? .here(shard: open.shard, table: slot) : .later
      }
    }
    let owner = keyspace.owner(of: slot)
    if owner >= 0 { return .here(shard: owner, table: slot) }
    // It knows nothing of it, and that is all there is to be seen.
    if isSecondLook, let asked, let index = localIndex(of: asked) {
      return .here(shard: Int32(index), table: slot)
    }
    return nil
  }

  /// Where a slot is that no shard of this worker has, by the map.
  func routeByMap(_ slot: Int) -> Route {
    guard let owner = map.owner(of: HashSlot(UInt16(slot))) else { return .down }
    // An engine that knows no others can only point to them.
    if router.peers.isEmpty, localIndex(of: owner) == nil { return .down }
    let worker = worker(of: owner)
    // Its table has left meanwhile, or is about to come.
    if worker == self.worker { return .later }
    return canSend(to: worker) ? .there(worker: worker, asked: nil) : .later
  }

  /// The worker of a shard (DESIGN §1).
  func worker(of shard: ShardID) -> Int {
    router.peers.isEmpty ? worker : (Int(shard.number) - 1) % router.peers.count
  }

  /// The same as far as shards of this worker have the slot; else nil.
  private mutating func routeHere(_ call: Call, _ known: HotCommand, asked: ShardID?) -> Route? {
    if call.id == .scan, openSlotBits != 0 || asked != nil { return routeScan(call, asked: asked) }
    let owner = keyspace.owner(of: call.slot)
    if openSlotBits == 0 {
      guard owner >= 0 else { return nil }
      return isPaused(call, at: owner) ? .later : .here(shard: owner, table: call.slot)
    }
    let askedHere = asked.flatMap { localIndex(of: $0) }
    let shard = askedHere ?? owner
    guard shard >= 0 else { return nil }
    let isAsking = askedHere != nil || known.attention.contains(.asking)
    switch decide(call, known, shard, asking: isAsking) {
    case .serve:
      guard let table = table(of: call.slot, at: shard) else { return nil }
      if !heldKeys.isEmpty, flightThatHolds(call.arguments, known, table) != nil { return .later }
      return isPaused(call, at: shard) ? .later : .here(shard: shard, table: table)
    case .moved, .clusterDown: return nil
    case .ask(let target):
      if askedHere != nil { return .later }
      let worker = worker(of: target)
      if worker == self.worker { return routeHere(call, known, asked: target) ?? .later }
      return canSend(to: worker) ? .there(worker: worker, asked: target) : .later
    case .tryAgain:
      hasten(call.slot)
      return .later
    }
  }

  /// Whether the clients of a shard are paused, which concerns this command.
  private func isPaused(_ call: Call, at shard: Int32) -> Bool {
    if pauses.isEmpty { return false }
    guard let pause = pauses.first(where: { $0.shard == shard }) else { return false }
    return pause.includesReads
      || CommandTable.all[Int(call.id.rawValue)].flags.contains(.write)
  }

  // MARK: several slots

  /// A command with keys in several slots: split by key if it can be.
  private mutating func routesSlots(_ call: Call, _ known: HotCommand) -> Bool {
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
      } else if call.id == .msetnx, isAnyThere(ways, call, ranges.span) {
        reply.integer(0)
      } else if mayDeal(ways, call) {
        deal(ways, call, ranges.span, step: step, merge)
      } else {
        stayBehind(call)
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
    let readsOnly = hot[Int(call.id.rawValue)].attention.contains(.readsOnly)
    for i in ways.indices {
      var worker = self.worker
      if case .there(let other, _) = ways[i].route { worker = other }
      if !router.round.mayRun(on: worker, readsOnly: readsOnly) { return false }
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
    var isLate = false
    for i in ways.indices {
      switch ways[i].route {
      case .later: isLate = true
      case .down, .crossed:
        fail(line: ErrorReply.clusterDown)
        return false
      case .here, .there: break
      }
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
          note(target: worker, call.id)
          add(
            Hop(place: Int32(place), asked: asked), part: 1 + i * step, step: step, of: call,
            ways[i], to: worker)
        case .later, .down, .crossed: preconditionFailure("all ways were decided")
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
    case .clientTracking, .migrate: return refuseWholeKeyspace()
    case .scan: return routesScan(call, known)
    case .dbsize, .keys, .randomkey, .flushall, .flushdb:
      if router.peers.count <= 1 { return true }
      fanOutToAll(call)
      return false
    case _ where Self.isAboutAllWorkers(call.id):
      if router.peers.count <= 1 || call.id == .monitor && isInTransaction { return true }
      fanOutToAll(call)
      return false
    default: break
    }
    if known.attention.contains(.wholeKeyspace) { return refuseWholeKeyspace() }
    return true
  }

  /// SCAN goes on where its cursor is: on the worker of the next slot that anybody has.
  private mutating func routesScan(_ call: Call, _ known: HotCommand) -> Bool {
    if call.count < 2 { return true }
    guard let cursor = Self.cursor(call[1]) else { return true }
    refreshMap()
    var slot = cursor.slot
    while slot < HashSlot.count {
      if keyspace.owner(of: slot) >= 0 || map.owner(of: HashSlot(UInt16(slot))) != nil { break }
      slot += 1
    }
    if slot == HashSlot.count { return true }
    switch route(Call(call.arguments, id: call.id, slot: slot, hash: .none), known, asked: nil) {
    case .here: return true
    case .there(let worker, let asked):
      hop(Call(call.arguments, id: call.id, slot: slot, hash: .none), Hop(asked: asked), to: worker)
    case .later, .crossed: putOff(call, isLate: true)
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

  // MARK: rounds

  /// Begins a round of the current client, if none is open.
  @inline(__always)
  mutating func openRound() { if !router.hasOpenRound { beginRound() } }

  @inline(never)
  private mutating func beginRound() {
    let round = ownRound(of: current)
    swap(&router.round, &round.state)
    // What was answered before it may leave.
    swap(&reply.queue, &sessions[current].output)
    swap(&reply.queue, &router.round.inline)
    router.round.view = router.view
    router.hasOpenRound = true
  }

  /// The session's round, a new one if it has none.
  mutating func ownRound(of index: Int32) -> Round {
    if let round = sessions[index].round { return round }
    let round = Round()
    sessions[index].round = round
    return round
  }

  /// Sends a command of the current client on its way.
  mutating func hop(_ call: Call, _ hop: Hop, to worker: Int) {
    openRound()
    router.round.endInline(at: reply.queue.byteCount)
    let place = router.round.addPlace()
    note(target: worker, call.id)
    var hop = hop
    hop.place = Int32(truncatingIfNeeded: place)
    add(hop, call, large: large, to: worker, for: current)
    router.round.add(answerAt: place, isSilent: reply.isSilent)
    sessions[current].commandCount &+= 1
    if place &+ 1 >= Self.roundLimit { sessions[current].mode.insert(.routing) }
  }

  /// A command is sent to a worker: what comes behind it may have to wait for it.
  @inline(__always)
  mutating func note(target worker: Int, _ id: CommandID) {
    if !settings.routerOrdered { return }
    router.round.note(
      target: worker, readsOnly: hot[Int(id.rawValue)].attention.contains(.readsOnly))
  }

  /// Whether a command has to wait, and does, because its effect could come before that of one that is under way (I5). It is not done with:
  /// it is parsed once more when the round is over.
  @inline(__always)
  private mutating func staysBehind(_ call: Call, _ known: HotCommand, to worker: Int) -> Bool {
    if !router.hasOpenRound
      || router.round.mayRun(on: worker, readsOnly: known.attention.contains(.readsOnly))
    {
      return false
    }
    stayBehind(call)
    return true
  }

  @inline(never)
  mutating func stayBehind(_ call: Call) {
    // Big arguments are not in the client's bytes any more.
    if !large.isEmpty { return putOff(call) }
    repeatSkipping()
    router.leavesRequest = true
    router.isFollowed = true
    sessions[current].mode.insert(.routing)
    if reply.queue.byteCount < Self.gatherLimit { sessions[current].wish.insert(.gathering) }
  }

  /// CLIENT REPLY SKIP concerns the command that is put off.
  private mutating func repeatSkipping() {
    if sessions[current].mode.contains(.skipping) {
      sessions[current].mode.remove(.skipping)
      sessions[current].mode.insert(.skipNext)
    }
  }

  /// Puts a command off until the round is over, and at least (`isLate`) until the next millisecond. Nothing of its client runs before.
  mutating func putOff(_ call: Call, isLate: Bool = false) {
    openRound()
    let postponed = Postponed(
      client: ClientID(index: current), clientNumber: sessions[current].id)
    do throws(OutOfMemory) {
      try postponed.queue.append(call, large: large, isDeniedWithoutMemory: false)
    } catch { return abandon(current) }
    repeatSkipping()
    router.round.putOff = postponed
    if isLate { router.round.notBefore = now + 1 }
    sessions[current].mode.insert(.routing)
  }

  /// Whether a command has to wait, and does, because requests before it are under way.
  mutating func putsOffBehindRound(_ call: Call) -> Bool {
    if !router.hasOpenRound { return false }
    putOff(call)
    return true
  }

  /// The current client's requests were run as far as they can be: its round is closed, and waits if it has to.
  @inline(never)
  mutating func endRouting(of index: Int32) {
    sessions[index].shard = Session.endpoint
    if !router.hasOpenRound { return }
    router.hasOpenRound = false
    guard let round = sessions[index].round else { return }
    router.round.endInline(at: reply.queue.byteCount)
    swap(&reply.queue, &router.round.inline)
    swap(&reply.queue, &sessions[index].output)
    if router.round.outstanding == 0, router.round.putOff == nil,
      router.round.whole.requests.isEmpty
    {
      writeRound()
      router.round.removeAll()
      // A full round that was all here.
      sessions[index].mode.remove(.routing)
    } else {
      sessions[index].mode.insert(.routing)
      if router.round.outstanding == 0 {
        if router.round.notBefore > now {
          makeLate(index, round)
        } else {
          router.ready.append((ClientID(index: index), sessions[index].id))
        }
      }
    }
    swap(&router.round, &round.state)
  }

  /// A round goes on when time has passed.
  mutating func makeLate(_ index: Int32, _ round: Round) {
    if round.isListed { return }
    round.isListed = true
    router.late.append((ClientID(index: index), sessions[index].id))
  }

  /// Goes on with rounds that nothing stands in the way of. Called once a turn.
  mutating func finishReady() {
    if router.ready.isEmpty || isStopped { return }
    for one in router.ready.takeAll() {
      if isStopped {
        router.ready.append(one)
      } else if sessions.contains(one.client.index),
        sessions[one.client.index].id == one.clientNumber
      {
        drive(one.client.index)
      }
    }
  }

  /// Goes on with rounds that wait for time to pass. Called once a turn.
  mutating func finishLate() {
    if router.late.isEmpty { return }
    for one in router.late.takeAll() {
      let index = one.client.index
      guard sessions.contains(index), sessions[index].id == one.clientNumber,
        let round = sessions[index].round
      else { continue }
      if round.state.notBefore > now {
        router.late.append(one)
        continue
      }
      round.isListed = false
      router.ready.append(one)
    }
  }
}
