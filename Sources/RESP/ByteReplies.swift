/// Replies in one array: for tests, for rendering once what is sent often, for callers without a socket.
public struct ByteReplies: ReplySink, Sendable {
  /// The bytes so far.
  public private(set) var bytes: [UInt8] = []

  /// No replies.
  public init() {}

  /// Forgets the replies, and keeps the memory.
  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
  }

  public mutating func reserve(_ byteCount: Int) {
    let needed = bytes.count + byteCount
    if needed > bytes.capacity { bytes.reserveCapacity(max(needed, 2 * bytes.capacity)) }
  }

  public mutating func appendWord(_ word: UInt64, count: Int) {
    for index in 0..<count {
      bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * index)))
    }
  }

  public mutating func append(_ span: RawSpan) {
    for index in 0..<span.byteCount { bytes.append(span.byte(at: index)) }
  }
}
