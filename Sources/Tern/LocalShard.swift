public import Engine
internal import RESP
internal import Server
internal import Sharding

/// One shard with all 16384 slots as a value: an engine without thread or socket, driven by whoever holds it, with their clock. What a
/// benchmark harness links.
///
/// ```swift
/// var shard = try LocalShard()
/// var session = shard.connect()
/// shard.execute("*1\r\n$4\r\nPING\r\n".utf8Span.bytes, on: session) { reply in … }
/// ```
public struct LocalShard: ~Copyable {
  private var engine: Engine
  /// Unix milliseconds, as they were told last.
  private var now: Int64 = 0

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

  /// Tells the time, in Unix milliseconds: expiry goes by it, and by nothing else.
  public mutating func setTime(milliseconds: Int64) {
    now = milliseconds
    engine.beginTurn(microseconds: milliseconds * 1000)
  }

  /// A new client.
  public mutating func connect() -> ClientID? {
    engine.connect(shard: 0, now: now)
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
    for i in 0..<bytes.byteCount { array.append(bytes.byte(at: i)) }
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

  /// GET without the protocol: gives the value's bytes to `body`, or nil. Integers are given as their digits.
  public mutating func get<R>(_ key: RawSpan, _ body: (borrowing RawSpan?) -> R) -> R {
    engine.typedGet(key, body)
  }

  /// SET without the protocol and without options. False if no memory could be had.
  @discardableResult
  public mutating func set(_ key: RawSpan, _ value: RawSpan) -> Bool {
    engine.typedSet(key, value)
  }
}
