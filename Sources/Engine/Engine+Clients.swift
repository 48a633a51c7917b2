internal import RESP
internal import Storage

// Sessions: how they come and go, how bytes reach them and replies leave. The face that `Server` and `LocalShard` use.

extension Engine {
  /// A new client of the shard with that local index, or of the configuration endpoint (nil). nil if there is no memory for it.
  public mutating func connect(
    shard: Int?, address: String = "", localAddress: String = "", fileDescriptor: Int32 = -1,
    now: Int64
  ) -> ClientID? {
    let id = nextClientNumber * UInt64(workers) + UInt64(worker) + UInt64(workers)
    nextClientNumber += 1
    count(forShard: shard.map(Int32.init) ?? Session.endpoint)
    statistics.connectionsReceived += 1
    var session = Session(
      id: id, shard: shard.map(Int32.init) ?? Session.endpoint, address: address,
      localAddress: localAddress, fileDescriptor: fileDescriptor, now: now)
    if !settings.requirePass.isEmpty { session.mode.insert(.unauthenticated) }
    if shard == nil { session.mode.insert(.router) }
    if pauses.contains(where: { $0.shard == session.shard }) { session.mode.insert(.paused) }
    do throws(OutOfMemory) {
      let client = ClientID(index: try sessions.insert(session))
      clientCounts[(shard ?? -1) + 1] += 1
      return client
    } catch {
      return nil
    }
  }

  /// Whether a client came by the router's port.
  public func isOfRouter(_ client: ClientID) -> Bool {
    sessions[client.index].mode.contains(.router)
  }

  /// Live sessions.
  public var clientCount: Int {
    sessions.count - router.watchers.count - (router.agent < 0 ? 0 : 1)
  }

  /// The client is gone: its session ends, its memory is given back. Nothing of its output may be lent to anyone any more.
  public mutating func disconnect(_ client: ClientID) {
    if sessions[client.index].transaction != nil { unwatch(client.index) }
    if sessions[client.index].round != nil { endWatch(of: client.index) }
    var session = sessions.remove(client.index)
    session.output.removeAll(pool: &reply.pool)
    clientCounts[Self.page(ofShard: session.shard)] -= 1
    if session.wish.contains(.listed) { listedClients.removeAll { $0 == client } }
    memory.hasLostClient = true
    if !waiting.isEmpty { waiting.removeAll { $0.client == client } }
    if !postponed.isEmpty { postponed.removeAll { $0.client == client } }
    if session.mode.contains(.monitor) {
      endMonitor(client.index)
      if session.mode.contains(.router) { endRemoteMonitor(session.id) }
    }
    if session.tracking != nil { forgetTracker(client.index) }
  }

  /// Takes bytes that came from a client and runs the requests in them. All of the bytes are taken: what cannot be run yet is kept.
  ///
  /// `place` says where exactly these bytes were foreseen; −1: they were not.
  public mutating func receive(
    _ bytes: RawSpan, from client: ClientID, foreseenAt place: Int = -1
  ) {
    let index = client.index
    let foresight = takeForesight(place, of: index)
    count(forShard: sessions[index].shard)
    statistics.bytesIn += UInt64(bytes.byteCount)
    statistics.reads &+= 1
    // What comes behind the last command is read, so that no reset overtakes the last reply, and counts for nothing.
    if sessions[index].mode.contains(.closing) { return }
    sessions[index].bytesIn += UInt64(bytes.byteCount)
    sessions[index].lastActiveAt = now
    if sessions[index].wish.contains(.direct) {
      receiveLarge(bytes, index)
    } else if sessions[index].query.isEmpty, sessions[index].mode.isDisjoint(with: .stopped) {
      let done = run(bytes, of: index, foresight)
      if done < bytes.byteCount { keep(bytes.extracting(done..<bytes.byteCount), of: index) }
    } else {
      keep(bytes, of: index)
      runKept(index)
    }
    wantLarge(index)
    list(index)
  }

  /// Appends bytes to those that a session keeps; a session over its limit is closed.
  private mutating func keep(_ bytes: RawSpan, of index: Int32) {
    if sessions[index].mode.contains(.closing) { return }
    let isTooMuch =
      sessions[index].query.byteCount + bytes.byteCount > settings.clientQueryBufferLimit
    do throws(OutOfMemory) {
      if isTooMuch { throw OutOfMemory() }
      try sessions[index].query.append(bytes)
    } catch {
      return close(index)
    }
    if sessions[index].mode.contains(.routing),
      sessions[index].query.byteCount > Self.readLimit
    {
      // Read again when the round is over.
      sessions[index].mode.insert(.outputFull)
    }
  }

  /// Runs what a session has kept, as far as it may.
  mutating func runKept(_ index: Int32) {
    if sessions[index].mode.isDisjoint(with: .stopped), !sessions[index].query.isEmpty {
      count(forShard: sessions[index].shard)
      var query = ByteBuffer()
      swap(&query, &sessions[index].query)
      let done = run(query.bytes, of: index)
      query.removeFirst(done)
      // Nothing was appended meanwhile: bytes of this client come only through `receive`.
      swap(&query, &sessions[index].query)
      if sessions[index].mode.contains(.closing) { sessions[index].query = ByteBuffer() }
    }
    closeIfEnded(index)
  }

  /// A peer that sends nothing more is done with as soon as nothing of what it has sent can be run any more.
  private mutating func closeIfEnded(_ index: Int32) {
    if sessions[index].wish.contains(.ended), sessions[index].mode.isDisjoint(with: .stopped) {
      close(index)
    }
  }

  /// Stops reading from a client; its replies are sent, then its connection is closed.
  mutating func close(_ index: Int32) {
    sessions[index].mode.insert(.closing)
    sessions[index].wish.insert(.close)
    // Its memory stays until `disconnect`: the reactor may still be receiving into it.
    sessions[index].wish.remove(.direct)
  }

  /// Closes a client's connection at once; what waits to be sent is not sent any more. Its memory stays until `disconnect`: the
  /// reactor may still be sending it.
  mutating func abandon(_ index: Int32) {
    close(index)
    sessions[index].wish.insert(.broken)
  }

  /// Puts a session on the list of those that the server must look at, if there is a reason to.
  @inline(__always)
  mutating func list(_ index: Int32) {
    let wish = sessions[index].wish
    if wish.contains(.listed) { return }
    let hasOutput = !sessions[index].output.isEmpty && wish.isDisjoint(with: .kept)
    let isPaused = sessions[index].mode.contains(.outputFull)
    if hasOutput || isPaused != wish.contains(.paused) || wish.contains(.close)
      || wish.contains(.direct)
    {
      sessions[index].wish.insert(.listed)
      listedClients.append(ClientID(index: index))
    }
  }

  /// How many sessions the server must look at.
  public var listedCount: Int { listedClients.count }

  /// The session at a place of the list, for the server to look at; it leaves the list.
  public mutating func listed(_ place: Int) -> ClientID {
    let client = listedClients[place]
    sessions[client.index].wish.remove(.listed)
    return client
  }

  /// Empties the list, after all of it was looked at.
  public mutating func clearListed() { listedClients.removeAll(keepingCapacity: true) }

  /// What the server has to do for a session now, apart from sending.
  public enum Duty: Sendable {
    /// Nothing.
    case none
    /// Stop reading: too many replies are unsent.
    case pause
    /// Read again.
    case resume
    /// Close the connection.
    case close
    /// Let the next bytes come straight into `destination(for:)`.
    case receiveDirectly
    /// Read again, the next bytes straight into `destination(for:)`.
    case resumeDirectly
  }

  /// What is to be done for a session, and done only once.
  public mutating func duty(of client: ClientID) -> Duty {
    let index = client.index
    let wish = sessions[index].wish
    if wish.contains(.close) {
      // Replies that are under way are its last ones.
      let isDone = sessions[index].output.isEmpty && !sessions[index].mode.contains(.routing)
      if isDone || wish.contains(.broken) { return .close }
    }
    if wish.contains(.direct) {
      // A connection that is paused would never be quiet.
      sessions[index].wish.remove(.paused)
      return wish.contains(.paused) ? .resumeDirectly : .receiveDirectly
    }
    let isFull = sessions[index].mode.contains(.outputFull)
    if isFull, !wish.contains(.paused) {
      sessions[index].wish.insert(.paused)
      return .pause
    }
    if !isFull, wish.contains(.paused) {
      sessions[index].wish.remove(.paused)
      return .resume
    }
    return .none
  }

  /// Whether replies wait that are not being sent.
  @inline(__always)
  public func hasOutput(_ client: ClientID) -> Bool {
    !sessions[client.index].output.isEmpty
      && sessions[client.index].wish.isDisjoint(with: [.kept, .broken])
  }

  /// Lends the replies that go out next. They stay where they are until `sent` says how many have left.
  @_lifetime(borrow self)
  public func output(of client: ClientID) -> RawSpan { sessions[client.index].output.front }

  /// The server has begun to send what `output` lent.
  public mutating func beganSending(_ client: ClientID) {
    sessions[client.index].wish.insert(.sending)
  }

  /// So many bytes of the replies have left; what waited for that goes on.
  public mutating func sent(_ byteCount: Int, of client: ClientID) {
    let index = client.index
    sessions[index].output.sent(byteCount, pool: &reply.pool)
    sessions[index].wish.remove(.sending)
    sessions[index].bytesOut += UInt64(byteCount)
    sessions[index].lastActiveAt = now
    count(forShard: sessions[index].shard)
    statistics.bytesOut += UInt64(byteCount)
    statistics.writes &+= 1
    if sessions[index].mode.contains(.outputFull),
      sessions[index].output.byteCount <= settings.clientOutputPause / 2
    {
      sessions[index].mode.remove(.outputFull)
      if sessions[index].mode.contains(.routing) { drive(index) }
      runKept(index)
      wantLarge(index)
    }
    list(index)
  }

  /// The peer has sent its last byte, and may still read; or (`isBroken`) the connection has failed, and nothing reaches it any more.
  public mutating func hungUp(_ client: ClientID, isBroken: Bool) {
    let index = client.index
    if isBroken {
      abandon(index)
    } else {
      sessions[index].wish.insert(.ended)
      // Nobody else ends a wait of a client that has gone, and nothing that it sent behind it is run, as in Redis.
      if isLate(index) {
        abandon(index)
      } else if isWaiting(client) {
        close(index)
      } else {
        closeIfEnded(index)
      }
    }
    list(index)
  }

  /// The client's id, as CLIENT ID tells it.
  public func number(of client: ClientID) -> UInt64 { sessions[client.index].id }

  /// Whether nothing more of a client is run.
  public func isClosing(_ client: ClientID) -> Bool {
    sessions[client.index].mode.contains(.closing)
  }

  /// Unix milliseconds, as of this turn.
  public var milliseconds: Int64 { now }

  /// Unix milliseconds since which a session has been silent.
  public func lastActive(_ client: ClientID) -> Int64 { sessions[client.index].lastActiveAt }

  /// How long a peer whose connection is to be closed may take to read its last replies, in milliseconds. One that never does would
  /// hold its place for ever.
  static let lingerTime: Int64 = 60_000

  /// Whether a session has been silent for longer than it may: its connection is to be closed.
  public func isOverdue(_ client: ClientID) -> Bool {
    let session = client.index
    let silence = now - sessions[session].lastActiveAt
    if sessions[session].mode.contains(.closing) || sessions[session].wish.contains(.ended) {
      return silence > Self.lingerTime
    }
    // One that waits for an answer of ours is not idle, and a monitor has nothing to say.
    return settings.timeoutSeconds > 0
      && sessions[session].mode.isDisjoint(with: [.parked, .monitor])
      && silence > Int64(settings.timeoutSeconds) * 1000
  }
}
