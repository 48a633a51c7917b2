/// Replies in one array: for tests, for rendering once what is sent often, for callers without a socket.
public struct ByteReplies: ReplySink, Sendable {
  /// All of its elements are initialised; the first `byteCount` are replies.
  @usableFromInline var storage: [UInt8] = []
  /// How many bytes of replies there are.
  public private(set) var byteCount = 0

  /// No replies.
  public init() {}

  /// The bytes so far, lent.
  public var span: RawSpan {
    @_lifetime(borrow self)
    get { storage.span.rawBytes.extracting(0..<byteCount) }
  }

  /// The bytes so far, copied.
  public var bytes: [UInt8] { Array(storage[..<byteCount]) }

  /// Forgets the replies, and keeps the memory.
  public mutating func removeAll() {
    byteCount = 0
  }

  public mutating func reserve(_ byteCount: Int) {
    let needed = self.byteCount + byteCount
    if needed > storage.count {
      storage += [UInt8](repeating: 0, count: max(needed, 2 * storage.count, 64) - storage.count)
    }
  }

  public mutating func appendWord(_ word: UInt64, count: Int) {
    precondition(count >= 0 && count <= 8)
    let offset = byteCount
    var span = storage.mutableSpan
    span.store(word, at: offset)
    byteCount += count
  }

  public mutating func append(_ bytes: RawSpan) {
    let offset = byteCount
    var span = storage.mutableSpan
    span.store(bytes, at: offset)
    byteCount += bytes.byteCount
  }
}
