public import Engine
internal import RESP
internal import Server
internal import Sharding

/// One shard with all 16384 slots as a value: an engine without thread or socket, driven by whoever holds it, with their clock. What a
/// benchmark harness links.
///
/// ```swift
/// var shard = try LocalShard()
/// shard.set("greeting", "hello")
/// let client = shard.connect()!
/// shard.receive("GET greeting\r\n".utf8Span.span.bytes, from: client)
/// shard.takeReplies(to: client)  // $5 hello
/// ```
public struct LocalShard: ~Copyable {
  private var engine: Engine

  /// An empty shard.
  ///
  /// - Parameters:
  ///   - hashSeed: two words; the same seed and the same commands give the same state.
  ///   - clock: what a command's time is measured with; `.still` measures nothing.
  ///   - settings: limits, as for a server.
  public init(
    hashSeed: (UInt64, UInt64) = (1, 2), clock: MonotonicClock = .still,
    settings: Settings = Settings()
  ) throws(EngineOutOfMemory) {
    let id = ShardID(number: 1, generation: 1)
    let bytes = [UInt8](repeating: 0xA7, count: NodeID.byteCount)
    guard let nodeID = unsafe NodeID(bytes.span.bytes),
      let address = EndpointAddress(host: "127.0.0.1", port: 7001)
    else { throw EngineOutOfMemory() }
    let shard = ClusterShard(id: id, nodeID: nodeID, address: address, epoch: ConfigEpoch(1))
    var options = EngineOptions(
      map: .uniform(epoch: ConfigEpoch(1), shards: [shard]), clock: clock)
    options.shards = [LocalShardInfo(id: id, nodeID: nodeID)]
    options.hashSeed = hashSeed
    options.settings = settings
    engine = try Engine(options)
  }

  /// Tells the time, in Unix milliseconds from 0 to 2⁵², else the nearer of these: expiry goes by it, and by nothing else.
  public mutating func setTime(milliseconds: Int64) {
    engine.beginTurn(microseconds: min(max(milliseconds, 0), 1 << 52) * 1000)
  }

  /// A new client.
  public mutating func connect() -> ClientID? {
    engine.connect(shard: 0, now: engine.milliseconds)
  }

  /// Ends a client.
  public mutating func disconnect(_ client: ClientID) { engine.disconnect(client) }

  /// Runs requests: RESP bytes in, cut in any way. Replies wait until `reply(to:)` and `replied` take them.
  public mutating func receive(_ bytes: RawSpan, from client: ClientID) {
    engine.receive(bytes, from: client)
    engine.applyOwnControls()
  }

  /// The next replies to a client, as far as they lie in one piece; empty if there are none.
  @_lifetime(borrow self)
  public func reply(to client: ClientID) -> RawSpan {
    // The engine lends it for as long as it is not changed, and only this value can change it.
    unsafe _overrideLifetime(engine.output(of: client), borrowing: self)
  }

  /// So many bytes of the replies were taken.
  public mutating func replied(_ byteCount: Int, to client: ClientID) {
    engine.sent(byteCount, of: client)
  }

  /// Throws the replies that wait away: for harnesses that look at their count alone. How many bytes they were.
  @discardableResult
  public mutating func dropReplies(to client: ClientID) -> Int {
    var dropped = 0
    while true {
      let count = engine.output(of: client).byteCount
      if count == 0 { return dropped }
      engine.sent(count, of: client)
      dropped += count
    }
  }

  /// All replies that wait for a client, as an array: for tests and small tools.
  public mutating func takeReplies(to client: ClientID) -> [UInt8] {
    var replies: [UInt8] = []
    while true {
      let count = Self.copy(engine.output(of: client), to: &replies)
      if count == 0 { return replies }
      engine.sent(count, of: client)
    }
  }

  private static func copy(_ bytes: RawSpan, to array: inout [UInt8]) -> Int {
    append(bytes, to: &array)
    return bytes.byteCount
  }

  /// One slice of housekeeping: expired keys and what was flushed. True if there is more to do at once.
  public mutating func housekeep() -> Bool {
    engine.tick()
    return engine.housekeep()
  }

  /// How many keys there are.
  public var keyCount: Int { engine.keyCount }

  /// Bytes by size class that the keys use.
  public var keyspaceByteCount: Int { engine.keyspaceByteCount }

  /// What was counted so far. O(1).
  public var statistics: Statistics { Statistics(engine.figures(ofShard: 0)) }
}

/// What happened to the keys (DESIGN §6), for those within this package: nobody is told of it yet by other means.
extension LocalShard {
  /// Changes and keyspace events are recorded from now on.
  package mutating func startRecord() { engine.startRecord(ofShard: 0) }

  /// What was recorded since the last time; nil if nothing is. Recording goes on.
  package mutating func takeRecord() -> ChangeRecord? { engine.takeRecord(ofShard: 0) }

  /// Nothing is recorded any more.
  package mutating func stopRecord() { engine.stopRecord(ofShard: 0) }
}

/// Commands without the protocol: the same look-up, expiry and counts, but bytes and numbers instead of requests and replies. Nothing
/// here allocates but what is stored.
extension LocalShard {
  /// Gives a key's value to `body`, nil if there is none. Integers are given as their digits. O(1).
  public mutating func get<R>(_ key: RawSpan, _ body: (borrowing RawSpan?) -> R) -> R {
    do throws(TypedError) { return try engine.typedGet(key, body) } catch { return body(nil) }
  }

  /// Gives the values of many keys to `body`, each with the key's place in the list, in order; nil where there is none. Sixteen keys at
  /// a time are looked up together, which hides most of the cost of cache misses. O(keys).
  public mutating func get(
    _ keys: borrowing KeyList, _ body: (Int, borrowing RawSpan?) -> Void
  ) {
    do throws(TypedError) {
      try unsafe engine.typedGet(keys.bytes.span.bytes, ends: keys.ends.span, body)
    } catch { return }
  }

  /// Stores a value without expiry, whatever was there. False if no memory could be had, or it is longer than 512 MiB. O(1).
  @discardableResult
  public mutating func set(_ key: RawSpan, _ value: RawSpan) -> Bool {
    do throws(TypedError) {
      try engine.typedSet(key, value)
      return true
    } catch { return false }
  }

  /// Stores a value that expires so many milliseconds from now, more than 0. O(1).
  ///
  /// - Throws: `outOfMemory`, `tooLarge`, `invalidExpiry`.
  public mutating func set(
    _ key: RawSpan, _ value: RawSpan, expiringAfter milliseconds: Int64
  ) throws(TernError) {
    do throws(TypedError) {
      try engine.typedSet(key, value, expiringAfter: milliseconds)
    } catch { throw TernError(error) }
  }

  /// Removes a key; whether it was there. O(1).
  @discardableResult
  public mutating func delete(_ key: RawSpan) -> Bool {
    do throws(TypedError) { return try engine.typedDelete(key) } catch { return false }
  }

  /// Whether a key is there. O(1).
  public mutating func exists(_ key: RawSpan) -> Bool {
    do throws(TypedError) { return try engine.typedExists(key) } catch { return false }
  }

  /// Adds to the integer of a key, 0 if it is not there; the sum. Its expiry stays. O(1).
  ///
  /// - Throws: `notAnInteger`, `overflow`, `outOfMemory`, `tooLarge`.
  @discardableResult
  public mutating func increment(_ key: RawSpan, by number: Int64 = 1) throws(TernError) -> Int64 {
    do throws(TypedError) {
      return try engine.typedIncrement(key, by: number)
    } catch { throw TernError(error) }
  }

  /// Has a key expire so many milliseconds from now, at once if they are not positive; whether it is there. O(1).
  ///
  /// - Throws: `invalidExpiry`, `outOfMemory`.
  @discardableResult
  public mutating func expire(
    _ key: RawSpan, after milliseconds: Int64
  ) throws(TernError) -> Bool {
    do throws(TypedError) {
      return try engine.typedExpire(key, after: milliseconds)
    } catch { throw TernError(error) }
  }

  /// A key's value as text; nil if there is none. Allocates the text.
  public mutating func get(_ key: String) -> String? {
    unsafe get(key.utf8.span.bytes) { text(of: $0) }
  }

  /// Stores a text. False if no memory could be had.
  @discardableResult
  public mutating func set(_ key: String, _ value: String) -> Bool {
    unsafe set(key.utf8.span.bytes, value.utf8.span.bytes)
  }
}
