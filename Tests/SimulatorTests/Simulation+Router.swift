// The router, at the worker that has a client's connection.
//
//     pipeline ─▶ requests ─▶ run here, as the shard that has the slot
//                        └──▶ lane of a worker ─▶ HopBatch ─▶ run there, in order (Simulation+Hops)
//     replies ◀─ places ◀──────────────────────── answers ◀┘
//                        ┌─── bounced: what was not run there, and whatever was behind it
//                        └──▶ sent again once nothing else is in flight, in the order of the requests
//
// What is in flight at once is a round. A command joins it only if it cannot overtake (I5): all that
// is in flight is bound for where the command is going, or neither it nor any of that writes. Nor
// does it join once the worker has learnt something of slots since the round began: reads of a key
// keep their order, too. Else it waits until all has come back. A batch that is full ends the round,
// for a second one to the same worker would be run even if something in the first was not.
//
// A hop with ASKING counts as a write: when it is sent again the ASK may be an old one, and reads of
// the key that go by what is known now would overtake it.
//
// Hops that were not run come back, and all behind them of the client; nothing new is begun before they
// are run. So clients never see MOVED, ASK and TRYAGAIN.
import Sharding

extension Simulation {
  /// Begins with something of the router's. False if there is nothing.
  mutating func beginRouterWork(worker index: Int) -> Bool {
    if let first = workers[index].hops.firstIndex(where: { $0.due <= now }) {
      let batch = workers[index].hops.remove(at: first)
      if batch.isAnswered {
        take(batch)
      } else {
        workers[index].activity = .serving(batch, isBehindLook: false)
      }
      return true
    }
    guard !routerClients.isEmpty else { return false }
    let first = numbers.below(routerClients.count)
    for offset in routerClients.indices {
      let place = (first + offset) % routerClients.count
      let client = routerClients[place]
      guard client.worker == index, client.outstanding == 0, client.notBefore <= now else {
        continue
      }
      let hasRequest = client.requests.first.map { $0.due <= now } ?? false
      guard hasRequest || !client.bounced.isEmpty else { continue }
      routerClients[place].isRetrying =
        !client.bounced.isEmpty && !(hasRequest && mutation == .requestsOvertakeBounced)
      workers[index].activity = .routing(client: place, isBehindLook: false)
      return true
    }
    return false
  }

  /// Does the next of a client's commands, or ends the run.
  mutating func route(_ client: Int, isBehindLook: Bool, worker index: Int) {
    workers[index].activity = .none
    if isBehindLook { look(worker: index) }
    guard let hop = nextHop(of: client) else { return endRun(of: client) }
    if routerClients[client].isRetrying, hop.tries & 3 == 3 {
      // From one to the other and back: they will agree.
      routerClients[client].bounced[0].tries += 1
      routerClients[client].notBefore = now + 5
      return endRun(of: client)
    }
    guard let way = way(of: hop, isBehindLook: isBehindLook, worker: index) else {
      workers[index].activity = .routing(client: client, isBehindLook: true)
      return
    }
    if carry(hop, way, worker: index) {
      workers[index].activity = .routing(client: client, isBehindLook: false)
    } else {
      endRun(of: client)
    }
  }

  private func nextHop(of client: Int) -> Hop? {
    if routerClients[client].isRetrying { return routerClients[client].bounced.first }
    guard let first = routerClients[client].requests.first, first.due <= now else { return nil }
    return first.hop
  }

  /// Where a command is to run; nil if that cannot be said before a look into the mailbox.
  private mutating func way(
    of hop: Hop, isBehindLook: Bool, worker index: Int
  ) -> SimulatedRoute? {
    if let half = hop.half { return .there(worker: worker(of: half.target), asked: nil) }
    if let asked = hop.asked, worker(of: asked) != index {
      return .there(worker: worker(of: asked), asked: asked)
    }
    if let way = wayHere(hop.command, asked: hop.asked, worker: index) {
      if case .here = way, case .scan(let cursor) = hop.command,
        let target = targetByPresence(of: cursor.slot, worker: index), worker(of: target) != index
      {
        // Both halves of it are run as if they came from another worker.
        return .there(worker: index, asked: nil)
      }
      return way
    }
    if !isBehindLook {
      refreshMap(worker: index)
      if !workers[index].mail.isEmpty { return nil }
    }
    return wayByMap(hop.command.slot, worker: index)
  }

  /// Has a worker's router know the newest map.
  mutating func refreshMap(worker index: Int) {
    if workers[index].known.epoch == board.epoch { return }
    workers[index].known = board
    workers[index].view += 1
  }

  /// Where a command is to run, as far as shards of this worker have its slot; else nil.
  func wayHere(_ command: SimulatedCommand, asked: Int?, worker index: Int) -> SimulatedRoute? {
    if case .scan(let cursor) = command { return wayOfScan(cursor, asked: asked, worker: index) }
    let slot = command.slot
    // An ASK may be old: the slot is open no more, and somebody else's.
    let askedHere = asked.flatMap { shard in
      worker(of: shard) == index
        && (shards[shard].stays[slot].incoming != nil || mutation == .oldAskNamesShard)
        ? shard : nil
    }
    guard let shard = askedHere ?? owner(of: slot, worker: index) else { return nil }
    switch decide(command.keys, at: shard, isAsking: askedHere != nil) {
    case .serve:
      return canRunNow(command.keys, shard)
        ? .here(shard: shard, isAsking: askedHere != nil) : .later
    case .moved, .clusterDown: return nil
    case .ask(let id):
      if askedHere != nil { return .later }
      let target = Int(id.number) - 1
      if worker(of: target) != index { return .there(worker: worker(of: target), asked: target) }
      if shards[target].stays[slot].incoming == nil { return .later }
      return wayHere(command, asked: target, worker: index) ?? .later
    case .tryAgain: return .later
    }
  }

  /// The shard of a worker that has a slot.
  func owner(of slot: Int, worker index: Int) -> Int? {
    shards.indices.first { worker(of: $0) == index && shards[$0].stays[slot].table != nil }
  }

  /// Where a slot is that no shard of this worker has.
  func wayByMap(_ slot: Int, worker index: Int) -> SimulatedRoute {
    guard let owner = workers[index].known.owner(of: Simulation.slots[slot]) else { return .down }
    let target = worker(of: Int(owner.number) - 1)
    // Its table has left meanwhile, or is about to come.
    return target == index ? .later : .there(worker: target, asked: nil)
  }

  /// Does what a way says. False if the command has to wait, and all behind it.
  private mutating func carry(_ hop: Hop, _ way: SimulatedRoute, worker index: Int) -> Bool {
    let client = hop.client
    let bound: Int
    switch way {
    case .later:
      hit(.routedLater)
      routerClients[client].notBefore = now + 1 + numbers.below(5)
      let isOpen = shards.contains {
        let stay = $0.stays[hop.command.slot]
        return stay.isOpen || stay.isInFlight.contains(true)
      }
      routerClients[client].idleTries = isOpen ? 0 : routerClients[client].idleTries + 1
      if routerClients[client].idleTries > 40 {
        fail(.liveness, "\(hop.command) is put off for ever, though its slot is not open")
      }
      return false
    case .down:
      takeOn(hop)
      var reply = SimulatedReply.clusterDown
      if case .scan(let cursor) = hop.command {
        reply = .scanned([], ScanCursor(slot: cursor.slot + 1))
      }
      fill(hop, reply)
      return true
    case .here: bound = index
    case .there(let worker, _): bound = worker
    }
    if !routerClients[client].boundFor.isEmpty,
      routerClients[client].view != workers[index].view, mutation != .routerSendsUnderNewerView
    {
      hit(.putOffByView)
      return false
    }
    if !routerClients[client].mayGo(isRead: isFree(hop, way), to: bound),
      mutation != .parallelWrites
    {
      hit(.putOffBehindOthers)
      return false
    }
    switch way {
    case .later, .down: break
    case .here(let shard, let isAsking):
      hit(.routedHere)
      takeOn(hop)
      guard case .done(let reply) = run(hop, at: shard, isAsking: isAsking, worker: index) else {
        preconditionFailure("half a walk")
      }
      fill(hop, reply)
    case .there(let worker, let asked):
      if (routerClients[client].lanes[worker]?.count ?? 0) >= options.batchLimit {
        hit(.batchFull)
        if mutation != .secondBatchOverlaps { return false }
        post(client, to: worker)
      }
      takeOn(hop)
      if routerClients[client].boundFor.isEmpty {
        routerClients[client].view = workers[index].view
      }
      var hop = hop
      hop.asked = asked
      hop.expected = workers[index].known.owner(of: Simulation.slots[hop.command.slot]).map {
        Int($0.number) - 1
      }
      if routerClients[client].isRetrying, asked == nil { hit(.retriedByMap) }
      if hop.tries > 1 { hit(.bouncedAgain) }
      routerClients[client].lanes[worker, default: []].append(hop)
      routerClients[client].boundFor.insert(worker)
      if !isFree(hop, way) { routerClients[client].hasWrites = true }
    }
    return true
  }

  /// Whether a command may go to one worker while others are at work: it reads, and goes by what is
  /// known now. By an ASK that came back it may go where the key is no more, and another read of the
  /// key to where it is.
  private func isFree(_ hop: Hop, _ way: SimulatedRoute) -> Bool {
    guard hop.command.isRead else { return false }
    if case .there(_, .some) = way, mutation != .askedHopAmongReads { return false }
    return true
  }

  /// It waits no more.
  private mutating func takeOn(_ hop: Hop) {
    routerClients[hop.client].idleTries = 0
    if routerClients[hop.client].isRetrying {
      routerClients[hop.client].bounced.removeFirst()
    } else {
      routerClients[hop.client].requests.removeFirst()
      routerClients[hop.client].places.append((hop.operation, nil))
    }
  }

  /// Sends what was gathered, and the client what is answered.
  private mutating func endRun(of client: Int) {
    var helped: [HopBatch] = []
    for worker in routerClients[client].lanes.keys.sorted() {
      if helps(worker), let batch = gather(client, to: worker) {
        helped.append(batch)
      } else {
        post(client, to: worker)
      }
    }
    if routerClients[client].outstanding > 0, routerClients[client].boundFor.count > 1 {
      hit(.readsSideBySide)
    }
    if routerClients[client].outstanding == 0 { routerClients[client].boundFor = [] }
    flush(client)
    for batch in helped { help(batch) }
  }

  private mutating func post(_ client: Int, to target: Int) {
    if let batch = gather(client, to: target) { leave(batch, with: target) }
  }

  private mutating func gather(_ client: Int, to target: Int) -> HopBatch? {
    guard let hops = routerClients[client].lanes.removeValue(forKey: target) else { return nil }
    let origin = routerClients[client].worker
    trace("router client \(client) sends \(hops.map(\.number)) to worker \(target)")
    routerClients[client].outstanding += 1
    return HopBatch(client: client, origin: origin, target: target, hops: hops, due: now)
  }

  /// Whether a worker sleeps without mail, so that others do for it what they would send.
  private mutating func helps(_ worker: Int) -> Bool {
    guard hasHelp, case .none = workers[worker].activity else { return false }
    let isIdle = workers[worker].mail.isEmpty && workers[worker].hops.isEmpty
    return isIdle && numbers.chance(500)
  }

  /// Runs a batch in the place of its worker, and takes it back at once.
  private mutating func help(_ batch: HopBatch) {
    let worker = batch.target
    hit(.helped)
    workers[worker].activity = .serving(batch, isBehindLook: false)
    while case .serving(let batch, let isBehindLook) = workers[worker].activity {
      serve(batch, isBehindLook: isBehindLook, worker: worker)
    }
    take(workers[batch.origin].hops.removeLast())
  }

  /// Leaves a batch with a worker, behind what the same one has sent there.
  mutating func leave(_ batch: HopBatch, with index: Int) {
    var batch = batch
    let last = workers[index].hops.last {
      $0.origin == batch.origin && $0.isAnswered == batch.isAnswered
    }
    batch.due = due(after: last?.due ?? now)
    if numbers.chance(options.hopSlowness) { batch.due += 20 + numbers.below(options.longDelay) }
    if !batch.isAnswered, batch.hops.contains(where: { $0.half != nil }),
      numbers.chance(options.halfSlowness)
    {
      batch.due += 100 + numbers.below(900)
    }
    workers[index].hops.append(batch)
  }

  // MARK: What comes back

  /// Takes back a batch whose hops were run, or were not.
  private mutating func take(_ batch: HopBatch) {
    let client = batch.client
    for var hop in batch.hops {
      hop.asked = nil
      // If the second half of a SCAN was not run, all of it begins again.
      let wasHalf = hop.half != nil
      hop.half = nil
      switch hop.outcome {
      case .done(let reply):
        fill(hop, reply)
        continue
      case .elsewhere where mutation == .routerTellsMoved:
        fill(hop, .moved(slot: hop.command.slot, to: 0, epoch: 0))
        continue
      case .ask(let target):
        hop.asked = target
        hop.tries += 1
      case .later:
        routerClients[client].notBefore = now + 1 + numbers.below(5)
        hop.tries += 1
      case .elsewhere:
        hop.tries += 1
        if wasHalf { beginAgain(&hop) }
      case .half(let half): hop.half = half
      case .again: break
      case nil: preconditionFailure("a hop was forgotten")
      }
      routerClients[client].bounced.append(hop)
    }
    routerClients[client].outstanding -= 1
    if routerClients[client].outstanding == 0 {
      routerClients[client].boundFor = []
      routerClients[client].hasWrites = false
      if mutation != .bouncedAgainGoesLast {
        routerClients[client].bounced.sort { $0.number < $1.number }
      }
      if mutation == .bouncedResentOutOfOrder { routerClients[client].bounced.reverse() }
    }
    flush(client)
  }

  /// A SCAN begins again because of the map's epoch, which has grown since the first half. Where it has
  /// not the source's worker knows an old map, and may do so for ever.
  private mutating func beginAgain(_ hop: inout Hop) {
    hop.beginnings = hop.epoch == board.epoch ? hop.beginnings + 1 : 1
    hop.epoch = board.epoch
    if hop.beginnings > 3 {
      fail(.liveness, "\(hop.command) begins again for ever, though the map stays")
    }
  }

  /// A reply is there.
  private mutating func fill(_ hop: Hop, _ reply: SimulatedReply) {
    guard
      let place = routerClients[hop.client].places.firstIndex(where: {
        $0.operation == hop.operation
      })
    else { preconditionFailure("a reply without a place") }
    routerClients[hop.client].places[place].reply = reply
  }

  /// Sends the client the replies that nothing stands before.
  private mutating func flush(_ client: Int) {
    while let first = routerClients[client].places.first, let reply = first.reply {
      routerClients[client].places.removeFirst()
      let last = routerClients[client].replies.last?.due ?? now
      routerClients[client].replies.append((first.operation, reply, due(after: last)))
    }
  }
}
