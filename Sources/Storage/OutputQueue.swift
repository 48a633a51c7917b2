// The reply bytes of a session that were not sent yet: a list of chunks from the worker's pool.
//
//   head → chunk → chunk → … → tail chunk [ … unsent … | written → … room … | limit ]
//
// `reserve` makes sure of contiguous room; the appends behind it are a comparison and stores. What is in `front` stays
// where it is until `sent`, though more is appended behind it: the kernel may read it meanwhile. An empty queue has no
// chunk and takes 32 bytes.

/// Bytes to be sent, in order.
@safe public struct OutputQueue: ~Copyable, @unchecked Sendable {
  // Sendable: it is the only referrer of its chunks.

  /// The first chunk's limit; nil if there is none.
  @usableFromInline var head: UnsafeMutableRawPointer?
  /// Where the next byte goes, as an address.
  @usableFromInline var written: UInt = 0
  /// Where the tail chunk's data must end, as an address.
  @usableFromInline var limit: UInt = 0
  /// What `written` must be added to, wrapping, to give the number of unsent bytes.
  @usableFromInline var base: UInt = 0

  /// An empty queue.
  @inlinable
  public init() {}

  deinit {
    var next = head.map { Chunk($0) }
    while let chunk = next {
      next = chunk.next
      deallocate(chunk.start, chunk.byteCount)
    }
  }

  /// All unsent bytes.
  @inlinable
  public var byteCount: Int { Int(bitPattern: written &+ base) }

  /// Whether there is nothing to send.
  @inlinable
  public var isEmpty: Bool { written &+ base == 0 }

  /// Makes sure that the next `byteCount` bytes can be appended.
  @inlinable @inline(__always)
  public mutating func reserve(_ byteCount: Int, pool: inout ChunkPool) throws(OutOfMemory) {
    if limit &- written >= UInt(bitPattern: byteCount) { return }
    try addChunk(byteCount, &pool)
  }

  /// The bytes that can be appended without another `reserve`.
  @inlinable
  public var roomByteCount: Int { Int(bitPattern: limit &- written) }

  /// Appends the lowest `count` bytes of a word, lowest first, where 8 bytes are reserved.
  @inlinable @inline(__always)
  public mutating func appendWord(_ bytes: UInt64, count: Int) {
    precondition(limit &- written >= 8 && UInt(bitPattern: count) <= 8)
    tail.storeBytes(of: bytes.littleEndian, as: UInt64.self)
    written &+= UInt(bitPattern: count)
  }

  /// Appends a reserved byte.
  @inlinable @inline(__always)
  public mutating func appendByte(_ byte: UInt8) {
    precondition(limit &- written >= 1)
    tail.storeBytes(of: byte, as: UInt8.self)
    written &+= 1
  }

  /// Appends bytes that are reserved.
  @inlinable @inline(__always)
  public mutating func append(_ bytes: RawSpan) {
    let count = bytes.byteCount
    precondition(limit &- written >= UInt(bitPattern: count))
    guard count > 0 else { return }
    bytes.withUnsafeBytes { source in
      // Most are short, and there is room to overshoot.
      if count <= 16 && limit &- written >= 16 && count >= 8 {
        let from = source.baseAddress.unsafelyUnwrapped
        let first = from.loadUnaligned(as: UInt64.self)
        let last = from.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        tail.storeBytes(of: first, as: UInt64.self)
        tail.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
      } else {
        tail.copyMemory(from: source.baseAddress.unsafelyUnwrapped, byteCount: count)
      }
    }
    written &+= UInt(bitPattern: count)
  }

  /// Where the next byte goes; only where something is reserved.
  @inlinable @inline(__always)
  var tail: UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bitPattern: written).unsafelyUnwrapped
  }

  /// Adds a chunk with room for `byteCount` bytes.
  @usableFromInline @inline(never)
  mutating func addChunk(_ byteCount: Int, _ pool: inout ChunkPool) throws(OutOfMemory) {
    precondition(byteCount >= 0)
    let unsent = self.byteCount
    guard limit != 0, let last = UnsafeMutableRawPointer(bitPattern: limit) else {
      let chunk = try pool.take(preferred: pool.firstByteCount, room: byteCount)
      head = chunk.limit
      start(chunk, unsent)
      return
    }
    let chunk = try pool.take(
      preferred: ChunkPool.next(min(Chunk(last).byteCount, ChunkPool.largestByteCount)),
      room: byteCount)
    Chunk(last).end = tail
    Chunk(last).next = chunk
    start(chunk, unsent)
  }

  private mutating func start(_ chunk: Chunk, _ unsent: Int) {
    written = UInt(bitPattern: chunk.start)
    limit = UInt(bitPattern: chunk.limit)
    base = UInt(bitPattern: unsent) &- written
  }

  /// The first unsent bytes, as many as lie together. They stay where they are until `sent` or `removeAll`, also while
  /// more is appended and while the queue is moved.
  public var front: RawSpan {
    @_lifetime(borrow self)
    get { unsafe _overrideLifetime(frontBytes.bytes, borrowing: self) }
  }

  private var frontBytes: UnsafeRawBufferPointer {
    guard let head else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    var chunk = Chunk(head)
    // A chunk that turned out too small for a reservation may be empty.
    while let next = chunk.next, chunk.unsent == chunk.end { chunk = next }
    let end = UInt(bitPattern: chunk.limit) == limit ? tail : chunk.end
    return UnsafeRawBufferPointer(start: chunk.unsent, count: end - chunk.unsent)
  }

  /// Drops the first `byteCount` unsent bytes, of any number of chunks. With the last byte goes all room that was
  /// reserved; `sent(0)` gives back a chunk that was reserved for nothing.
  public mutating func sent(_ byteCount: Int, pool: inout ChunkPool) {
    precondition(byteCount >= 0 && byteCount <= self.byteCount)
    var rest = byteCount
    while let head {
      let chunk = Chunk(head)
      let isTail = UInt(bitPattern: head) == limit
      let count = (isTail ? tail : chunk.end) - chunk.unsent
      if rest < count {
        chunk.unsent += rest
        base &-= UInt(bitPattern: rest)
        return
      }
      rest -= count
      base &-= UInt(bitPattern: count)
      self.head = chunk.next?.limit
      pool.giveBack(chunk)
      if isTail {
        written = 0
        limit = 0
        base = 0
        return
      }
    }
  }

  /// Drops everything.
  public mutating func removeAll(pool: inout ChunkPool) { sent(byteCount, pool: &pool) }
}
