internal import RESP
internal import Storage

/// The replies to the client whose requests are being run: its output queue, moved here for the time of a batch, and the worker's chunks.
///
/// If no memory can be had for a reply the client cannot be answered any more: `hasFailed` is set, what follows is dropped, and the
/// engine closes the connection after the command.
struct Replies: ~Copyable, ReplySink {
  var queue = OutputQueue()
  var pool = ChunkPool()
  var version: RESPVersion = .two
  /// No memory could be had for a reply.
  private(set) var hasFailed = false
  /// The client wants no reply to what it sends (CLIENT REPLY).
  private(set) var isSilent = false
  /// Whether one of the two holds: nothing is appended.
  private var isDropping = false

  @inline(__always)
  mutating func reserve(_ byteCount: Int) {
    do throws(OutOfMemory) { try queue.reserve(byteCount, pool: &pool) } catch { fail() }
  }

  @inline(__always)
  mutating func appendWord(_ bytes: UInt64, count: Int) {
    if isDropping { return }
    queue.appendWord(bytes, count: count)
  }

  @inline(__always)
  mutating func append(_ bytes: RawSpan) {
    if isDropping { return }
    queue.append(bytes)
  }

  private mutating func fail() {
    hasFailed = true
    isDropping = true
  }

  /// From here on replies are dropped, or are not.
  mutating func setSilent(_ isSilent: Bool) {
    self.isSilent = isSilent
    isDropping = isSilent || hasFailed
  }

  /// Another client's replies come next. True if those of the last one could not be written.
  mutating func finish() -> Bool {
    defer {
      hasFailed = false
      isSilent = false
      isDropping = false
    }
    return hasFailed
  }

  /// Appends a text as a verbatim string (RESP3) or bulk (RESP2).
  mutating func verbatim(text: String) {
    let bytes = Array(text.utf8)
    verbatim(bytes.rawBytes, version)
  }

  /// Appends the first bytes of another queue, which has them no more.
  mutating func move(_ byteCount: Int, from other: inout OutputQueue) {
    var left = byteCount
    while left > 0 {
      let count = min(left, other.front.byteCount)
      appendUnreserved(other.front.extracting(0..<count))
      other.sent(count, pool: &pool)
      left -= count
    }
  }

  /// Appends bytes as a bulk.
  mutating func bulk(bytes: [UInt8]) { bulk(bytes.rawBytes) }

  /// Appends a whole text, as it is.
  mutating func append(text: String) {
    let bytes = Array(text.utf8)
    reserve(bytes.count)
    append(bytes.rawBytes)
  }
}

extension Replies {
  /// Appends a string value as a bulk.
  @inline(__always)
  mutating func value(of entry: EntryRef, in keyspace: borrowing Keyspace) {
    if keyspace.encoding(of: entry) == .integer {
      bulk(integer: keyspace.integer(of: entry))
    } else {
      bulk(keyspace.bytes(of: entry))
    }
  }

  /// Appends a key as a bulk.
  mutating func key(of entry: EntryRef, in keyspace: borrowing Keyspace) {
    bulk(keyspace.key(of: entry))
  }
}

extension Array where Element == UInt8 {
  /// The elements as bytes, lent.
  var rawBytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }
}
