internal import Engine

/// A shard during one turn of its worker: what the closure of `Shard.run` works with. It cannot be kept beyond it.
///
/// Keys and values are bytes that are lent; nothing here allocates but what is stored. Every key must belong to the shard: for others
/// the calls throw `moved`, with the owner's number.
@safe public struct ShardTurn: ~Copyable, ~Escapable {
  /// The worker's engine, which `run` has borrowed for as long as this value lives.
  private let engine: UnsafeMutablePointer<Engine>
  private let shard: Int32
  private var client: ClientID? = nil

  // It cannot escape the closure that it is lent to, and `run` holds the engine until that returns.
  @_lifetime(immortal)
  private init(_ engine: UnsafeMutablePointer<Engine>, shard: Int32) {
    unsafe self.engine = engine
    self.shard = shard
  }

  /// Runs `body` on a shard of an engine.
  static func run<R>(
    on engine: inout Engine, shard: Int32,
    _ body: (inout ShardTurn) throws(TernError) -> R
  ) -> Result<R, TernError> {
    unsafe withUnsafeMutablePointer(to: &engine) { engine in
      var turn = unsafe ShardTurn(engine, shard: shard)
      defer { turn.endSession() }
      do throws(TernError) { return .success(try body(&turn)) } catch { return .failure(error) }
    }
  }

  // MARK: typed

  /// Gives a key's value to `body`, nil if there is none. Integers are given as their digits. O(1).
  public mutating func get<R>(
    _ key: RawSpan, _ body: (borrowing RawSpan?) -> R
  ) throws(TernError) -> R {
    do throws(TypedError) {
      return try unsafe engine.pointee.typedGet(key, of: shard, body)
    } catch { throw TernError(error) }
  }

  /// Gives the values of many keys to `body`, each with the key's place in the list, in order; nil where there is none. Sixteen keys at
  /// a time are looked up together, which hides most of the cost of cache misses. O(keys).
  ///
  /// - Throws: `moved` if the shard does not have all of them; `body` was not called then.
  public mutating func get(
    _ keys: borrowing KeyList, _ body: (Int, borrowing RawSpan?) -> Void
  ) throws(TernError) {
    do throws(TypedError) {
      try unsafe engine.pointee.typedGet(
        keys.bytes.span.bytes, ends: keys.ends.span, of: shard, body)
    } catch { throw TernError(error) }
  }

  /// Stores a value, whatever was there; it expires so many milliseconds from now (more than 0), or never. O(1).
  ///
  /// - Throws: `moved`, `outOfMemory`, `tooLarge`, `invalidExpiry`.
  public mutating func set(
    _ key: RawSpan, _ value: RawSpan, expiringAfter milliseconds: Int64? = nil
  ) throws(TernError) {
    do throws(TypedError) {
      try unsafe engine.pointee.typedSet(key, value, of: shard, expiringAfter: milliseconds)
    } catch { throw TernError(error) }
  }

  /// Removes a key; whether it was there. O(1).
  @discardableResult
  public mutating func delete(_ key: RawSpan) throws(TernError) -> Bool {
    do throws(TypedError) {
      return try unsafe engine.pointee.typedDelete(key, of: shard)
    } catch { throw TernError(error) }
  }

  /// Whether a key is there. O(1).
  public mutating func exists(_ key: RawSpan) throws(TernError) -> Bool {
    do throws(TypedError) {
      return try unsafe engine.pointee.typedExists(key, of: shard)
    } catch { throw TernError(error) }
  }

  /// Adds to the integer of a key, 0 if it is not there; the sum. Its expiry stays. O(1).
  ///
  /// - Throws: `moved`, `notAnInteger`, `overflow`, `outOfMemory`, `tooLarge`.
  @discardableResult
  public mutating func increment(_ key: RawSpan, by number: Int64 = 1) throws(TernError) -> Int64 {
    do throws(TypedError) {
      return try unsafe engine.pointee.typedIncrement(key, by: number, of: shard)
    } catch { throw TernError(error) }
  }

  /// Has a key expire so many milliseconds from now, at once if they are not positive; whether it is there. O(1).
  ///
  /// - Throws: `moved`, `invalidExpiry`, `outOfMemory`.
  @discardableResult
  public mutating func expire(
    _ key: RawSpan, after milliseconds: Int64
  ) throws(TernError) -> Bool {
    do throws(TypedError) {
      return try unsafe engine.pointee.typedExpire(key, after: milliseconds, of: shard)
    } catch { throw TernError(error) }
  }

  /// A key's value as text; nil if there is none. Allocates the text.
  public mutating func get(_ key: String) throws(TernError) -> String? {
    try unsafe get(key.utf8.span.bytes) { text(of: $0) }
  }

  /// Stores a text.
  public mutating func set(
    _ key: String, _ value: String, expiringAfter milliseconds: Int64? = nil
  ) throws(TernError) {
    try unsafe set(key.utf8.span.bytes, value.utf8.span.bytes, expiringAfter: milliseconds)
  }

  // MARK: RESP

  /// Runs requests in the form in which clients send them, and gives the replies to `body`, piece after piece, cut anywhere. The requests
  /// of a call, and of all calls of a turn, come from one client; what is cut off at the end of a call goes on with the next.
  ///
  /// Commands that change the whole process (`CONFIG SET`, `CONFIG RESETSTAT`, `SHUTDOWN`) take effect after the turn: they, and what
  /// follows them in the turn, have no reply here, and what follows them is not run.
  public mutating func execute(
    _ requests: RawSpan, _ body: (borrowing RawSpan) -> Void
  ) throws(TernError) {
    guard let client = session() else { throw .outOfMemory }
    unsafe engine.pointee.receive(requests, from: client)
    while true {
      let count = unsafe Self.give(engine.pointee, client, body)
      if count == 0 { break }
      unsafe engine.pointee.sent(count, of: client)
    }
    // After QUIT or a broken request the next ones come from a new client.
    if unsafe engine.pointee.isClosing(client) { endSession() }
  }

  /// Runs requests; all replies, as an array.
  public mutating func execute(_ requests: RawSpan) throws(TernError) -> [UInt8] {
    var replies: [UInt8] = []
    try execute(requests) { append($0, to: &replies) }
    return replies
  }

  // MARK: the rest

  /// What was counted so far. O(1).
  public var statistics: Statistics {
    unsafe Statistics(engine.pointee.figures(ofShard: shard))
  }

  private static func give(
    _ engine: borrowing Engine, _ client: ClientID, _ body: (borrowing RawSpan) -> Void
  ) -> Int {
    let replies = engine.output(of: client)
    if replies.byteCount > 0 { body(replies) }
    return replies.byteCount
  }

  /// The client that the requests of this turn come from.
  private mutating func session() -> ClientID? {
    if client == nil {
      client = unsafe engine.pointee.connect(shard: Int(shard), now: engine.pointee.milliseconds)
    }
    return client
  }

  private mutating func endSession() {
    if let client { unsafe engine.pointee.disconnect(client) }
    client = nil
  }
}
