internal import RESP
internal import Sharding
internal import Storage

// How a round goes on when what it waited for has come: replies are written as far as they are there, what was not run is sent again, and
// then the client goes on.

extension Engine {
  /// Takes a batch back whose requests were answered.
  mutating func take(answered batch: HopBatch) {
    var replies = OutputQueue()
    swap(&replies, &batch.replies)
    var isKept = false
    for group in batch.groups {
      var byteCount = 0
      for i in group.first..<group.first + group.count { byteCount += batch.answers[i].byteCount }
      let index = group.client.index
      guard sessions.contains(index), sessions[index].id == group.clientNumber,
        let round = sessions[index].round, batch.hops[group.first].kind != .unwatch
      else {
        replies.sent(byteCount, pool: &reply.pool)
        continue
      }
      let isLost = !keep(&replies, byteCount, in: round)
      if take(group, of: batch, in: round, isLost: isLost) { abandon(index) }
      if round.bounced.contains(where: { $0.batch === batch }) { isKept = true }
      round.outstanding -= 1
      if round.outstanding == 0 { drive(index) }
    }
    replies.removeAll(pool: &reply.pool)
    if !isKept, router.free.count < 4 * router.peers.count {
      batch.removeAll()
      router.free.append(batch)
    }
  }

  /// Fills the places of a group, whose replies are the last ones in the store. True if a reply is lost.
  private mutating func take(
    _ group: HopGroup, of batch: HopBatch, in round: Round, isLost: Bool
  ) -> Bool {
    if isLost { return true }
    var offset = round.store.byteCount
    for i in group.first..<group.first + group.count { offset -= batch.answers[i].byteCount }
    for i in group.first..<group.first + group.count {
      let answer = batch.answers[i]
      switch answer.outcome {
      case .done:
        round.places[Int(batch.hops[i].place)] = Round.Place(
          offset: offset, byteCount: answer.byteCount, revision: answer.revision,
          keyCount: answer.keyCount)
      case .lost: return true
      case .elsewhere, .ask, .later, .again:
        if case .later = answer.outcome { round.notBefore = now + 1 }
        round.bounced.append(Round.Bounced(batch: batch, index: i, outcome: answer.outcome))
      }
      offset += answer.byteCount
    }
    return false
  }

  /// Moves replies into the store of a round. False if there is no memory for them.
  private mutating func keep(
    _ replies: inout OutputQueue, _ byteCount: Int, in round: Round
  ) -> Bool {
    var left = byteCount
    var isKept = true
    while left > 0 {
      let count = min(left, replies.front.byteCount)
      do throws(OutOfMemory) {
        if isKept { try round.store.append(replies.front.extracting(0..<count)) }
      } catch { isKept = false }
      replies.sent(count, pool: &reply.pool)
      left -= count
    }
    return isKept
  }

  /// Runs a request of a queue for a place of a round of the current client, as that shard. Its reply waits there.
  mutating func run(
    _ queue: borrowing CommandQueue, _ i: Int, as shard: Int32, in table: Int, for place: Int,
    of round: Round
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
    keep(&output, for: place, of: round)
  }

  /// Keeps all of a queue as the reply at a place.
  private mutating func keep(_ output: inout OutputQueue, for place: Int, of round: Round) {
    let offset = round.store.byteCount
    let byteCount = output.byteCount
    if keep(&output, byteCount, in: round) {
      round.places[place].offset = offset
      round.places[place].byteCount = byteCount
    } else {
      abandon(current)
    }
    output.sent(0, pool: &reply.pool)
  }

  /// A command that is to run now, off the way of ordinary ones.
  mutating func runRouted(_ call: Call, byteCount: Int) {
    if isMemoryLimited,
      hot[Int(call.id.rawValue)].attention.contains(.deniedWithoutMemory), !hasRoom()
    {
      return fail("OOM command not allowed when used memory > 'maxmemory'.")
    }
    runAdmitted(call, byteCount: byteCount)
  }

  // MARK: writing

  /// Writes the replies of a round, as far as they are there.
  mutating func write(_ round: Round) {
    var store = ByteBuffer()
    swap(&store, &round.store)
    var inline = OutputQueue()
    swap(&inline, &round.inline)
    while round.written < round.pieces.count {
      let piece = round.pieces[round.written]
      switch piece.kind {
      case .inline:
        var left = piece.count
        while left > 0 {
          let count = min(left, inline.front.byteCount)
          reply.appendUnreserved(inline.front.extracting(0..<count))
          inline.sent(count, pool: &reply.pool)
          left -= count
        }
      case .answers:
        var count = 0
        while count < piece.count, round.places[piece.first + count].byteCount >= 0 {
          let place = round.places[piece.first + count]
          if !piece.isSilent {
            reply.appendUnreserved(
              store.bytes.extracting(place.offset..<place.offset + place.byteCount))
          }
          count += 1
        }
        round.pieces[round.written].first += count
        round.pieces[round.written].count -= count
      case .merged(let merge, let id):
        let places = round.places[piece.first..<piece.first + piece.count]
        if places.allSatisfy({ $0.byteCount >= 0 }) {
          if !piece.isSilent { self.merge(places, merge, id, store.bytes) }
          round.pieces[round.written].count = 0
        }
      }
      if case .inline = piece.kind {} else if round.pieces[round.written].count > 0 { break }
      round.written += 1
    }
    inline.sent(0, pool: &reply.pool)
    swap(&inline, &round.inline)
    swap(&store, &round.store)
  }

  /// Writes one reply from several. The first error is the reply.
  private mutating func merge(
    _ places: ArraySlice<Round.Place>, _ merge: ReplyMerge, _ id: CommandID, _ store: RawSpan
  ) {
    for place in places where place.byteCount > 0 && store.byte(at: place.offset) == 45 {
      return reply.appendUnreserved(
        store.extracting(place.offset..<place.offset + place.byteCount))
    }
    var sum: Int64 = 0
    switch merge {
    case .allSucceeded: reply.ok()
    case .sum:
      for place in places { sum += Self.header(of: store, place).number }
      reply.integer(sum)
    case .inRequestOrder:
      for place in places { sum += Self.header(of: store, place).number }
      reply.arrayHeader(Int(sum))
      for place in places {
        let begin = place.offset + Self.header(of: store, place).byteCount
        reply.appendUnreserved(store.extracting(begin..<place.offset + place.byteCount))
      }
    case .special:
      // RANDOMKEY: each worker has drawn one; which counts follows from how many it has drawn from.
      var total = 0
      for place in places where place.byteCount > 5 { total += place.keyCount }
      var drawn = total > 0 ? random.below(total) : 0
      for place in places where place.byteCount > 5 {
        drawn -= place.keyCount
        if drawn < 0 {
          return reply.appendUnreserved(
            store.extracting(place.offset..<place.offset + place.byteCount))
        }
      }
      replyNull()
    }
  }

  /// The number in the first line of a reply, and the length of that line.
  private static func header(
    of store: RawSpan, _ place: Round.Place
  ) -> (number: Int64, byteCount: Int) {
    var number: Int64 = 0
    var i = 1
    while i < place.byteCount, store.byte(at: place.offset + i) != 13 {
      number = number &* 10 &+ Int64(store.byte(at: place.offset + i)) &- 48
      i += 1
    }
    return (number, i + 2)
  }

  // MARK: going on

  /// Goes on with a round of which nothing is in flight. Never while a command runs.
  mutating func drive(_ index: Int32) {
    precondition(current < 0, "rounds go on between commands")
    while true {
      guard let round = sessions[index].round, round.outstanding == 0,
        sessions[index].mode.contains(.routing)
      else { return }
      if hasMovedMeanwhile(round) {
        if round.notBefore > now { return makeLate(index, round) }
        round.wholeTries += 1
        if round.wholeTries > 3 { round.notBefore = now + 1 }
        asCurrent(index) { $0.sendToAll(round, of: index) }
        return
      }
      beginAnswer(to: index)
      reply.setSilent(false)
      write(round)
      endAnswer(to: index)
      if sessions[index].wish.contains(.broken) {
        round.bounced = []
        round.putOff = nil
      }
      if !round.isDone, sessions[index].output.byteCount > settings.clientOutputPause {
        // Goes on in `sent`.
        sessions[index].mode.insert(.outputFull)
        return list(index)
      }
      sessions[index].mode.remove(.outputFull)
      if round.bounced.isEmpty { return end(round, of: index) }
      if round.notBefore > now {
        list(index)
        return makeLate(index, round)
      }
      retry(round, of: index)
      if round.outstanding > 0 { return list(index) }
    }
  }

  /// Whether the parts of a command for all shards have met different maps, so that it has to be done again.
  private func hasMovedMeanwhile(_ round: Round) -> Bool {
    if round.whole.requests.isEmpty || !round.bounced.isEmpty || round.wholeTries > 1000 {
      return false
    }
    let places = round.places.suffix(router.peers.count)
    return places.contains { $0.revision != places.first?.revision }
  }

  /// The round is over: the request that waited for it is run, then what has come meanwhile.
  private mutating func end(_ round: Round, of index: Int32) {
    if round.putOff != nil, round.notBefore > now {
      list(index)
      return makeLate(index, round)
    }
    let putOff = round.putOff
    round.putOff = nil
    round.removeAll()
    sessions[index].mode.remove(.routing)
    if let putOff, !sessions[index].mode.contains(.closing) {
      count(forShard: Session.endpoint)
      resume(putOff, of: index)
    }
    goOn(index)
  }

  /// Runs `body` with a router client as the current one; replies go nowhere but to places.
  private mutating func asCurrent(_ index: Int32, _ body: (inout Engine) -> Void) {
    current = index
    reply.version = sessions[index].version
    if sessions[index].mode.contains(.noTouch) { touchClock = .max }
    body(&self)
    touchClock = accessClock
    if reply.finish() { abandon(index) }
    sessions[index].shard = Session.endpoint
    current = -1
  }

  /// Sends or runs again what was not run, in its order, until one has to wait.
  private mutating func retry(_ round: Round, of index: Int32) {
    var bounced: [Round.Bounced] = []
    swap(&bounced, &round.bounced)
    round.notBefore = 0
    look()
    let view = router.view
    asCurrent(index) { engine in
      for (number, one) in bounced.enumerated() {
        var queue = CommandQueue()
        swap(&queue, &one.batch.queue)
        let isUnderWay = engine.router.view == view && engine.retry(queue, one, round)
        swap(&queue, &one.batch.queue)
        if !isUnderWay {
          round.bounced = Array(bounced[number...])
          return
        }
      }
    }
  }

  /// Sends one request again, or runs it here. False if it has to wait.
  private mutating func retry(
    _ queue: borrowing CommandQueue, _ bounced: Round.Bounced, _ round: Round
  ) -> Bool {
    let request = queue.requests[bounced.index]
    var hop = bounced.batch.hops[bounced.index]
    let place = Int(hop.place)
    let call = Call(
      queue.arguments(of: bounced.index), id: request.id, slot: Int(request.slot),
      hash: request.hash)
    hop.asked = nil
    if case .ask(let target) = bounced.outcome { hop.asked = target }
    if bounced.outcome != .again { hop.tries &+= 1 }
    bounced.batch.hops[bounced.index] = hop
    if hop.tries & 3 == 3 {
      // From one to the other and back: they will agree.
      bounced.batch.hops[bounced.index].tries &+= 1
      round.notBefore = now + 1
      return false
    }
    var way: Route
    switch hop.kind {
    case .worker: way = .there(worker: bounced.batch.worker, asked: nil)
    case .exec where hop.isWatching: way = .there(worker: bounced.batch.worker, asked: nil)
    case .exec:
      let transaction = bounced.batch.transactions[Int(hop.transaction)]
      way = route(transaction, asked: hop.asked)
    case .keyed, .watch, .unwatch:
      if let asked = hop.asked, worker(of: asked) != worker {
        way = .there(worker: worker(of: asked), asked: asked)
      } else {
        way = route(call, hot[Int(request.id.rawValue)], asked: hop.asked)
      }
    }
    switch way {
    case .later:
      round.notBefore = now + 1
      return false
    case .there(let worker, let asked):
      hop.asked = asked
      let transaction = hop.transaction
      if transaction >= 0 {
        add(hop, call, to: worker, with: bounced.batch.transactions[Int(transaction)])
      } else {
        add(hop, call, large: queue.large(of: bounced.index), to: worker, for: current)
      }
    case .here(let shard, let table):
      switch hop.kind {
      case .exec:
        runHere(bounced.batch.transactions[Int(hop.transaction)], shard, place, round)
      case .watch, .unwatch:
        round.watchWorker = worker
        round.watchShard = shard
        run(queue, bounced.index, as: shard, in: table, for: place, of: round)
      case .keyed, .worker:
        run(
          queue, bounced.index, as: request.id == .scan ? Session.endpoint : shard, in: table,
          for: place, of: round)
      }
    case .down: refuse(ErrorReply.clusterDown, place, round)
    case .crossed: refuse(Array("-\(Self.crossSlot)\r\n".utf8), place, round)
    }
    return true
  }

  /// An error is the reply at a place.
  private mutating func refuse(_ line: [UInt8], _ place: Int, _ round: Round) {
    var output = OutputQueue()
    swap(&reply.queue, &output)
    fail(line: line)
    swap(&reply.queue, &output)
    keep(&output, for: place, of: round)
  }

  /// Runs a transaction that was to be run elsewhere; its reply waits at its place.
  private mutating func runHere(
    _ transaction: Transaction, _ shard: Int32, _ place: Int, _ round: Round
  ) {
    var output = OutputQueue()
    swap(&reply.queue, &output)
    act(as: shard)
    perform(transaction)
    swap(&reply.queue, &output)
    keep(&output, for: place, of: round)
  }
}
