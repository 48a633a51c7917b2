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
// A worker that sleeps is not woken for a few short requests: worker 0 runs them in its place (`Engine+Neighbours.swift`).
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
  /// The same, for its keys are on both sides of a slot that is moved key by key: who moves it may take any time.
  case split
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
        if router.hasOpenRound {
          if staysBehind(call, to: worker) { return false }
          leaveOutTime()
        }
        act(as: owner)
        return true
      }
      let worker = workerByMap(call.slot)
      if worker >= 0, canSend(to: worker) {
        if router.hasOpenRound, staysBehind(call, to: worker) { return false }
        hop(call, Hop(), to: worker)
        return false
      }
    }
    return routesSlowly(call, known)
  }

  /// The other worker that a slot is on, if there is nothing newer to be known of it; else −1.
  @inline(__always)
  func workerByMap(_ slot: Int) -> Int {
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
    if isClusterDown {
      if putsOffBehindRound(call) { return false }
      if isRefusedWhileDown() { return false }
    }
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
      if staysBehind(call, to: worker) { return false }
      if router.hasOpenRound { leaveOutTime() }
      act(as: shard)
      if table == call.slot { return true }
      runInOpenTable(call, known, table)
    case .there(let worker, let asked):
      if staysBehind(call, to: worker, asked) { return false }
      hop(call, Hop(asked: asked), to: worker)
    case .later: putOff(call, isLate: true)
    case .split where givesUp(current): fail(line: Self.keysApart)
    case .split: putOff(call, isLate: true)
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

  /// The same of a SCAN whose cursor is in a slot: below the cursor of a migration it goes to the target.
  private mutating func routeScan(_ call: Call, asked: ShardID?) -> Route? {
    let slot = call.slot
    let cursor = Self.cursor(call[1]) ?? 0
    let prefix = Int(cursor >> 39) == slot ? (cursor & (1 << 39 - 1)) << 25 : 0
    for open in openSlots where open.slot == slot {
      guard let boundary = open.cursor else { continue }
      if case .migrating(let target) = open.state, prefix < boundary {
        let worker = worker(of: target)
        if worker == self.worker {
          let hasCome = openSlots.contains {
            guard $0.slot == slot, $0.isImporting, let cursor = $0.cursor else { return false }
            return prefix < cursor
          }
          return hasCome ? .here(shard: open.shard, table: slot) : .later
        }
        return canSend(to: worker) ? .there(worker: worker, asked: target) : .later
      }
      if open.isImporting, asked != nil {
        return prefix < boundary ? .here(shard: open.shard, table: slot) : .later
      }
    }
    let owner = keyspace.owner(of: slot)
    return owner >= 0 ? .here(shard: owner, table: slot) : nil
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
    if call.id == .scan, openSlotBits != 0 { return routeScan(call, asked: asked) }
    let owner = keyspace.owner(of: call.slot)
    if openSlotBits == 0 {
      guard owner >= 0 else { return nil }
      return isPaused(call, at: owner) ? .later : .here(shard: owner, table: call.slot)
    }
    let askedHere = asked.flatMap { importer($0, of: call.slot) }
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
      if askedHere != nil { return .split }
      let worker = worker(of: target)
      if worker == self.worker { return routeHere(call, known, asked: target) ?? .later }
      return canSend(to: worker) ? .there(worker: worker, asked: target) : .later
    case .tryAgain:
      hasten(call.slot)
      return .split
    }
  }

  /// The shard that another one has pointed to, if it is one of this worker and is given the slot, or has it by now. Whoever has pointed to
  /// it may have done so long ago.
  func importer(_ shard: ShardID, of slot: Int) -> Int32? {
    guard let index = localIndex(of: shard) else { return nil }
    if keyspace.owner(of: slot) == index { return index }
    let isImporting = openSlots.contains { $0.slot == slot && $0.shard == index && $0.isImporting }
    return isImporting ? index : nil
  }

  /// Whether the clients of a shard are paused, which concerns this command.
  private func isPaused(_ call: Call, at shard: Int32) -> Bool {
    if pauses.isEmpty { return false }
    guard let pause = pauses.first(where: { $0.shard == shard }) else { return false }
    return pause.includesReads
      || CommandTable.all[Int(call.id.rawValue)].flags.contains(.write)
  }

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
    note(target: worker, call.id, hop.asked)
    var hop = hop
    hop.place = Int32(truncatingIfNeeded: place)
    add(hop, call, large: large, to: worker, for: current)
    router.round.add(answerAt: place, isSilent: reply.isSilent)
    sessions[current].commandCount &+= 1
    if place &+ 1 >= Self.roundLimit { sessions[current].mode.insert(.routing) }
  }

  /// A command is sent to a worker: what comes behind it may have to wait for it.
  @inline(__always)
  mutating func note(target worker: Int, _ id: CommandID, _ asked: ShardID?) {
    if !settings.routerOrdered { return }
    router.round.note(target: worker, readsOnly: readsOnly(id, asked))
  }

  /// Whether a command may run beside others that just read. Where ASKING is needed the key may be on its way: reads of it keep their order too.
  @inline(__always)
  func readsOnly(_ id: CommandID, _ asked: ShardID?) -> Bool {
    asked == nil && hot[Int(id.rawValue)].attention.contains(.readsOnly)
  }

  /// Whether a command has to wait, and does, because its effect could come before that of one that is under way (I5). It is not done with:
  /// it is parsed once more when the round is over.
  @inline(__always)
  private mutating func staysBehind(
    _ call: Call, to worker: Int, _ asked: ShardID? = nil
  ) -> Bool {
    if !router.hasOpenRound
      || router.round.mayRun(on: worker, readsOnly: readsOnly(call.id, asked))
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
    if isLate { router.round.notBefore = nextTry(of: current) }
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
    postFullLanes()
    if !router.hasOpenRound { return }
    router.hasOpenRound = false
    leaveOutTime()
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
          makeLate(index, round, until: router.round.notBefore)
        } else {
          router.ready.append((ClientID(index: index), sessions[index].id))
        }
      }
    }
    swap(&router.round, &round.state)
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
}
