internal import RESP
internal import Sharding
internal import Storage

// How a round goes on when what it waited for has come: replies are written as far as they are there, what was not run is sent again, and
// then the client goes on.

extension Engine {
  /// Takes a batch back whose requests were answered.
  mutating func take(answered batch: HopBatch) {
    var load = HopLoad()
    swap(&load, &batch.load)
    var replies = OutputQueue()
    swap(&replies, &load.replies)
    var isKept = false
    var waiting: [Int32] = []
    for place in load.groups.indices {
      let group = load.groups[place]
      let index = group.client.index
      guard group.isAwaited, sessions.contains(index), sessions[index].id == group.clientNumber,
        let round = sessions[index].round
      else {
        replies.sent(group.byteCount, pool: &reply.pool)
        continue
      }
      swap(&router.round, &round.state)
      if group.isDone, router.round.consists(of: group) {
        finish(index, group, load.answers, &replies)
        swap(&router.round, &round.state)
        sessions[index].mode.remove(.routing)
        goOn(index)
        continue
      }
      router.round.layPlaces()
      if !keep(&replies, group.byteCount) || !fill(group, load.answers, load.hops, batch) {
        abandon(index)
      }
      if !group.isDone { isKept = true }
      router.round.outstanding -= 1
      if router.round.outstanding == 0 { waiting.append(index) }
      swap(&router.round, &round.state)
    }
    replies.removeAll(pool: &reply.pool)
    if !isKept { load.removeAll() }
    swap(&load, &batch.load)
    if !isKept, router.free.count < 4 * router.peers.count { router.free.append(batch) }
    for index in waiting { drive(index) }
  }

  /// Writes the replies of the round at hand, all of which are a group's, in its order.
  private mutating func finish(
    _ index: Int32, _ group: HopGroup, _ answers: borrowing Pile<HopAnswer>,
    _ replies: inout OutputQueue
  ) {
    swap(&reply.queue, &sessions[index].output)
    reply.version = sessions[index].version
    var i = group.first
    for piece in router.round.pieces.indices {
      let count = router.round.pieces[piece].count
      if case .inline = router.round.pieces[piece].kind {
        reply.move(count, from: &router.round.inline)
        continue
      }
      var byteCount = 0
      if count == group.count {
        byteCount = group.byteCount
      } else {
        for answer in i..<i + count { byteCount &+= answers[answer].byteCount }
      }
      i += count
      if router.round.pieces[piece].isSilent {
        replies.sent(byteCount, pool: &reply.pool)
      } else {
        reply.move(byteCount, from: &replies)
      }
    }
    router.round.inline.sent(0, pool: &reply.pool)
    router.round.removeAll()
    endAnswer(to: index)
  }

  /// Fills the places of a group in the round at hand, whose replies are the last ones in the store. False if a reply is lost.
  private mutating func fill(
    _ group: HopGroup, _ answers: borrowing Pile<HopAnswer>, _ hops: borrowing Pile<Hop>,
    _ batch: HopBatch
  ) -> Bool {
    var offset = router.round.store.byteCount - group.byteCount
    for i in group.first..<group.first + group.count {
      let answer = answers[i]
      switch answer.outcome {
      case .done where hops[i].half != nil:
        if !join(Int(hops[i].place), offset, answer.byteCount) { return false }
      case .done:
        router.round.places[Int(hops[i].place)] = RoundState.Place(
          offset: offset, byteCount: answer.byteCount, revision: group.revision,
          keyCount: group.keyCount)
      case .lost: return false
      case .elsewhere, .ask, .half, .later, .split, .again:
        if case .half = answer.outcome {
          router.round.places[Int(hops[i].place)] = RoundState.Place(
            offset: offset, halfByteCount: answer.byteCount)
        }
        if answer.outcome == .later || answer.outcome == .split {
          router.round.notBefore = nextTry(of: group.client.index)
        }
        router.round.bounced.append(
          RoundState.Bounced(batch: batch, index: i, outcome: answer.outcome))
      }
      offset += answer.byteCount
    }
    return true
  }

  /// Makes one reply of the two halves of a SCAN: all keys, and the cursor that is less far on, for to there both have been. False if there is
  /// no memory for it.
  private mutating func join(_ place: Int, _ offset: Int, _ byteCount: Int) -> Bool {
    let first = router.round.places[place]
    let halves = [
      storedBytes(first.offset..<first.offset + first.halfByteCount),
      storedBytes(offset..<offset + byteCount),
    ]
    router.round.places[place].halfByteCount = 0
    router.round.places[place].offset = offset
    router.round.places[place].byteCount = byteCount
    // What is no array is an error.
    guard let a = ScanReply(halves[0]), let b = ScanReply(halves[1]) else { return true }
    let joined = ScanReply.bytes(of: a, b)
    router.round.places[place].offset = router.round.store.byteCount
    router.round.places[place].byteCount = joined.count
    do throws(OutOfMemory) { try router.round.store.append(joined.rawBytes) } catch {
      return false
    }
    return true
  }

  private func storedBytes(_ range: Range<Int>) -> [UInt8] {
    Self.bytes(of: router.round.store.bytes.extracting(range))
  }

  /// Moves replies into the store of the round at hand. False if there is no memory for them.
  private mutating func keep(_ replies: inout OutputQueue, _ byteCount: Int) -> Bool {
    var left = byteCount
    var isKept = true
    while left > 0 {
      let count = min(left, replies.front.byteCount)
      do throws(OutOfMemory) {
        if isKept { try router.round.store.append(replies.front.extracting(0..<count)) }
      } catch { isKept = false }
      replies.sent(count, pool: &reply.pool)
      left -= count
    }
    return isKept
  }

  /// Runs a request of a queue for a place of the round at hand, as that shard. Its reply waits there.
  mutating func run(
    _ queue: borrowing CommandQueue, _ i: Int, as shard: Int32, in table: Int, for place: Int
  ) {
    act(as: shard)
    let request = queue.requests[i]
    var output = OutputQueue()
    swap(&reply.queue, &output)
    let held = large
    large = queue.large(of: i)
    runRouted(
      Call(queue.arguments(of: i), id: request.id, slot: table, hash: request.hash),
      byteCount: Int(request.byteCount))
    large = held
    swap(&reply.queue, &output)
    keep(&output, for: place)
  }

  /// Keeps all of a queue as the reply at a place.
  mutating func keep(_ output: inout OutputQueue, for place: Int) {
    let offset = router.round.store.byteCount
    let byteCount = output.byteCount
    router.round.layPlaces()
    if keep(&output, byteCount) {
      router.round.places[place].offset = offset
      router.round.places[place].byteCount = byteCount
    } else {
      abandon(current)
    }
    output.sent(0, pool: &reply.pool)
  }

  /// A command that is to run now, off the way of ordinary ones.
  mutating func runRouted(_ call: Call, byteCount: Int) {
    if isMemoryLimited, !router.runsJointly,
      hot[Int(call.id.rawValue)].attention.contains(.deniedWithoutMemory), !hasRoom()
    {
      return fail("OOM command not allowed when used memory > 'maxmemory'.")
    }
    runAdmitted(call, byteCount: byteCount)
  }

  // MARK: writing

  /// Writes the replies of the round at hand, as far as they are there.
  mutating func writeRound() {
    router.round.layPlaces()
    while router.round.written < router.round.pieces.count {
      let piece = router.round.pieces[router.round.written]
      var isWritten = true
      switch piece.kind {
      case .inline: reply.move(piece.count, from: &router.round.inline)
      case .answers:
        var count = 0
        while count < piece.count, router.round.places[piece.first + count].byteCount >= 0 {
          if !piece.isSilent { copy(piece.first + count, from: 0) }
          count += 1
        }
        router.round.pieces[router.round.written].first += count
        router.round.pieces[router.round.written].count -= count
        isWritten = count == piece.count
      case .merged(let merge, let id):
        isWritten = gather(piece)
        if isWritten, !piece.isSilent { self.merge(piece, merge, id) }
      }
      if !isWritten { break }
      router.round.written += 1
    }
    router.round.inline.sent(0, pool: &reply.pool)
  }

  /// Takes what was answered inline for places of a command over many into the store. Whether all places are filled.
  private mutating func gather(_ piece: RoundState.Piece) -> Bool {
    var isWhole = true
    for place in piece.first..<piece.first + piece.count {
      let byteCount = router.round.places[place].byteCount
      if byteCount < 0 { isWhole = false }
      if byteCount <= 0 || router.round.places[place].offset >= 0 { continue }
      let offset = router.round.store.byteCount
      var inline = OutputQueue()
      swap(&inline, &router.round.inline)
      if !keep(&inline, byteCount) { router.round.places[place].byteCount = 0 }
      swap(&inline, &router.round.inline)
      router.round.places[place].offset = offset
    }
    return isWhole
  }

  /// Writes one reply from those at the places of a piece. The first error is the reply.
  private mutating func merge(_ piece: RoundState.Piece, _ merge: ReplyMerge, _ id: CommandID) {
    let places = piece.first..<piece.first + piece.count
    if Self.isAboutAllWorkers(id) {
      let parts = places.map { Self.bytes(of: router.round.bytes(at: $0)) }
      return mergeViews(parts, worker, id)
    }
    if id == .exec {
      reply.arrayHeader(piece.count)
      for place in places { copy(place, from: 0) }
      return
    }
    for place in places {
      if router.round.isError(at: place) { return copy(place, from: 0) }
    }
    var sum: Int64 = 0
    switch merge {
    case .allSucceeded: reply.ok()
    case .sum:
      for place in places { sum += Self.header(of: router.round.bytes(at: place)).number }
      reply.integer(sum)
    case .inRequestOrder:
      for place in places { sum += Self.header(of: router.round.bytes(at: place)).number }
      reply.arrayHeader(Int(sum))
      for place in places {
        copy(place, from: Self.header(of: router.round.bytes(at: place)).byteCount)
      }
    case .special where id == .msetnx: reply.integer(1)
    case .special:
      // RANDOMKEY: each worker has drawn one; which counts follows from how many it has drawn from.
      var total = 0
      for place in places where router.round.places[place].byteCount > 5 {
        total += router.round.places[place].keyCount
      }
      var drawn = total > 0 ? random.below(total) : 0
      for place in places where router.round.places[place].byteCount > 5 {
        drawn -= router.round.places[place].keyCount
        if drawn < 0 { return copy(place, from: 0) }
      }
      replyNull()
    }
  }

  /// Writes the reply at a place, from some byte on.
  private mutating func copy(_ place: Int, from first: Int) {
    var store = ByteBuffer()
    swap(&store, &router.round.store)
    let begin = router.round.places[place].offset
    let end = begin + router.round.places[place].byteCount
    if begin >= 0, begin + first < end {
      reply.appendUnreserved(store.bytes.extracting(begin + first..<end))
    }
    swap(&store, &router.round.store)
  }

  /// The number in the first line of a reply, and the length of that line.
  private static func header(of bytes: RawSpan) -> (number: Int64, byteCount: Int) {
    var number: Int64 = 0
    var i = 1
    while i < bytes.byteCount, bytes.byte(at: i) != 13 {
      number = number &* 10 &+ Int64(bytes.byte(at: i)) &- 48
      i += 1
    }
    return (number, i + 2)
  }

  // MARK: going on

  /// Goes on with a round of which nothing is in flight. Never while a command runs.
  mutating func drive(_ index: Int32) {
    precondition(current < 0, "rounds go on between commands")
    guard let round = sessions[index].round, sessions[index].mode.contains(.routing) else {
      return
    }
    swap(&router.round, &round.state)
    let isOver = work(index, round)
    swap(&router.round, &round.state)
    postFullLanes()
    if isOver { end(round, of: index) }
  }

  /// Does what can be done of the round at hand. Whether it is over but for what was put off.
  private mutating func work(_ index: Int32, _ round: Round) -> Bool {
    while router.round.outstanding == 0 {
      if hasMovedMeanwhile {
        // Once more; then all workers are stopped for it.
        router.round.wholeTries += 1
        if router.round.wholeTries < 2 {
          asCurrent(index) { $0.sendToAll(for: index) }
          return false
        }
        let again = Postponed(client: ClientID(index: index), clientNumber: sessions[index].id)
        swap(&again.queue, &router.round.whole)
        again.isJoint = true
        router.round.removeAll()
        router.round.putOff = again
        return true
      }
      beginAnswer(to: index)
      reply.setSilent(false)
      writeRound()
      endAnswer(to: index)
      if sessions[index].wish.contains(.broken) {
        router.round.bounced = []
        router.round.putOff = nil
      }
      if !router.round.isDone, sessions[index].output.byteCount > settings.clientOutputPause {
        // Goes on in `sent`.
        sessions[index].mode.insert(.outputFull)
        sessions[index].wish.remove(.gathering)
        list(index)
        return false
      }
      sessions[index].mode.remove(.outputFull)
      if router.round.bounced.isEmpty { return true }
      list(index)
      if router.round.notBefore > now {
        makeLate(index, round, until: router.round.notBefore)
        return false
      }
      retry(index)
    }
    return false
  }

  /// Whether the parts of a command for all shards have met different maps, so that it has to be done again.
  private var hasMovedMeanwhile: Bool {
    if router.round.whole.requests.isEmpty || !router.round.bounced.isEmpty
      || router.round.places.count < router.peers.count
    {
      return false
    }
    if !Self.isOverAllKeys(router.round.whole.requests[0].id) { return false }
    let first = router.round.places.count - router.peers.count
    for place in first..<router.round.places.count
    where router.round.places[place].revision != router.round.places[first].revision {
      return true
    }
    return false
  }

  /// The round is over: the request that waited for it is run, then what has come meanwhile.
  private mutating func end(_ round: Round, of index: Int32) {
    if round.state.putOff != nil, round.state.notBefore > now {
      list(index)
      return makeLate(index, round, until: round.state.notBefore)
    }
    let putOff = round.state.putOff
    if putOff?.isJoint == true, !sessions[index].mode.contains(.closing) {
      list(index)
      return beginJoint(index)
    }
    round.state.putOff = nil
    round.state.removeAll()
    sessions[index].mode.remove(.routing)
    if let putOff, !sessions[index].mode.contains(.closing) {
      count(forShard: Session.endpoint)
      resume(putOff, of: index)
    }
    if round.state.notBefore == 0 { round.waitingSince = 0 }
    goOn(index)
  }

  /// Runs `body` with a router client as the current one; replies go nowhere but to places.
  mutating func asCurrent(_ index: Int32, _ body: (inout Engine) -> Void) {
    current = index
    reply.version = sessions[index].version
    if sessions[index].mode.contains(.noTouch) { touchClock = .max }
    body(&self)
    touchClock = accessClock
    if reply.finish() { abandon(index) }
    sessions[index].shard = Session.endpoint
    current = -1
  }

  /// Sends or runs again what was not run of the round at hand, in its order, until one has to wait.
  private mutating func retry(_ index: Int32) {
    var bounced: [RoundState.Bounced] = []
    swap(&bounced, &router.round.bounced)
    // What has come back twice stands behind what has come back once.
    if bounced.count > 1 { bounced.sort { $0.place < $1.place } }
    router.round.notBefore = 0
    router.round.target = RoundState.noWorker
    look()
    let view = router.view
    asCurrent(index) { engine in
      for (number, one) in bounced.enumerated() {
        var queue = CommandQueue()
        swap(&queue, &one.batch.load.queue)
        let isUnderWay = engine.router.view == view && engine.retry(queue, one)
        swap(&queue, &one.batch.load.queue)
        if !isUnderWay {
          engine.router.round.bounced = Array(bounced[number...])
          return
        }
      }
    }
  }

  /// Sends one request again, or runs it here. False if it has to wait.
  private mutating func retry(
    _ queue: borrowing CommandQueue, _ bounced: RoundState.Bounced
  ) -> Bool {
    let request = queue.requests[bounced.index]
    var hop = bounced.batch.load.hops[bounced.index]
    let place = Int(hop.place)
    let call = Call(
      queue.arguments(of: bounced.index), id: request.id, slot: Int(request.slot),
      hash: request.hash)
    hop.asked = nil
    if case .ask(let target) = bounced.outcome { hop.asked = target }
    // If the second half of a SCAN did not run there, all of it begins again.
    hop.half = nil
    var isCounted = bounced.outcome != .again
    if case .half(var half) = bounced.outcome {
      half.isSecond = true
      hop.half = half
      isCounted = false
    }
    if isCounted { hop.tries &+= 1 }
    bounced.batch.load.hops[bounced.index] = hop
    if hop.tries & 3 == 3 {
      // From one to the other and back: they will agree.
      bounced.batch.load.hops[bounced.index].tries &+= 1
      router.round.notBefore = nextTry(of: current)
      return false
    }
    switch (hop.kind, bounced.outcome) {
    // Nothing is watched there after all: its WATCH was refused.
    case (.exec, .elsewhere), (.exec, .ask): hop.isWatching = false
    default: break
    }
    if bounced.outcome == .split, givesUp(current) {
      giveUp(hop, bounced.batch.worker, place)
      return true
    }
    var way: Route
    switch hop.kind {
    case .keyed where hop.half != nil:
      way = .there(worker: hop.half.map { self.worker(of: $0.target) } ?? worker, asked: nil)
    case .worker: way = .there(worker: bounced.batch.worker, asked: nil)
    case .exec where hop.isWatching: way = .there(worker: bounced.batch.worker, asked: nil)
    case .exec:
      let transaction = bounced.batch.load.transactions[Int(hop.transaction)]
      way = route(transaction, asked: hop.asked)
    case .keyed, .watch, .unwatch:
      if let asked = hop.asked, worker(of: asked) != worker {
        way = .there(worker: worker(of: asked), asked: asked)
      } else {
        way = route(call, hot[Int(request.id.rawValue)], asked: hop.asked)
      }
    }
    if request.id == .scan, case .here = way, let target = targetByPresence(of: call.slot),
      self.worker(of: target) != worker
    {
      // Both halves of it are run as if they came from another worker.
      way = .there(worker: worker, asked: nil)
    }
    var (target, asked): (Int, ShardID?) = (worker, nil)
    if case .there(let other, let shard) = way { (target, asked) = (other, shard) }
    let readsOnly = readsOnly(request.id, asked)
    if hop.kind != .worker, !router.round.mayRun(on: target, readsOnly: readsOnly) {
      // Its turn comes when those before it have been run.
      if isCounted { bounced.batch.load.hops[bounced.index].tries &-= 1 }
      return false
    }
    switch way {
    case .split where givesUp(current): giveUp(hop, bounced.batch.worker, place)
    case .later, .split:
      router.round.notBefore = nextTry(of: current)
      return false
    case .there(let worker, let asked):
      router.round.note(target: worker, readsOnly: readsOnly)
      if hop.kind == .watch { ownRound(of: current).watchWorker = worker }
      hop.asked = asked
      let transaction = hop.transaction
      if transaction >= 0 {
        add(
          hop, call, to: worker, with: bounced.batch.load.transactions[Int(transaction)],
          for: current)
      } else {
        add(hop, call, large: queue.large(of: bounced.index), to: worker, for: current)
      }
    case .here(let shard, let table):
      switch hop.kind {
      case .exec:
        runHere(bounced.batch.load.transactions[Int(hop.transaction)], shard, place)
      case .watch, .unwatch:
        ownRound(of: current).watchWorker = worker
        ownRound(of: current).watchShard = shard
        run(queue, bounced.index, as: shard, in: table, for: place)
      case .keyed, .worker:
        run(
          queue, bounced.index, as: request.id == .scan ? Session.endpoint : shard, in: table,
          for: place)
      }
    case .down:
      endFirstWatch(hop)
      refuse(ErrorReply.clusterDown, place)
    case .crossed where hop.kind == .exec && settings.routerAtomic:
      // Its slots were one shard's when it was sent. It is alone in its round.
      sessions[current].transaction =
        bounced.batch.load.transactions[Int(hop.transaction)]
      sessions[current].mode.insert(.multi)
      let again = Postponed(
        client: ClientID(index: current), clientNumber: sessions[current].id)
      do throws(OutOfMemory) {
        try again.queue.append(call, large: [], isDeniedWithoutMemory: false)
      } catch { abandon(current) }
      again.isJoint = true
      router.round.removeAll()
      router.round.putOff = again
    case .crossed: refuse(Array("-\(Self.crossSlot)\r\n".utf8), place)
    }
    return true
  }

  /// What was sent to a worker is not tried again: its keys have not come together.
  private mutating func giveUp(_ hop: Hop, _ worker: Int, _ place: Int) {
    if hop.kind == .watch {
      endFirstWatch(hop)
    } else if hop.isWatching {
      ownRound(of: current).watchWorker = worker
      endWatch(of: current)
    }
    refuse(Self.keysApart, place)
  }

  /// A WATCH is refused: its client watches nothing, unless it did before.
  private mutating func endFirstWatch(_ hop: Hop) {
    if hop.kind == .watch, !hop.isWatching { ownRound(of: current).watchWorker = -1 }
  }

  /// An error is the reply at a place.
  private mutating func refuse(_ line: [UInt8], _ place: Int) {
    var output = OutputQueue()
    swap(&reply.queue, &output)
    fail(line: line)
    swap(&reply.queue, &output)
    keep(&output, for: place)
  }

  /// Runs a transaction that was to be run elsewhere; its reply waits at its place.
  private mutating func runHere(
    _ transaction: Transaction, _ shard: Int32, _ place: Int
  ) {
    var output = OutputQueue()
    swap(&reply.queue, &output)
    act(as: shard)
    perform(transaction)
    swap(&reply.queue, &output)
    keep(&output, for: place)
  }
}
