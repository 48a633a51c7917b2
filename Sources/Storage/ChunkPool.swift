// Chunks for the replies of sessions: 1, 4, 16 and 64 KiB, shared by a worker's sessions, and larger ones for single
// replies that need them.
//
// A chunk's last 32 bytes say what it is, so that the address at which its data must end leads to everything:
//
//   +------------------------------------------------------+------+-------+------+------+
//   | data: unsent … written                               | next | start | sent | end  |
//   +------------------------------------------------------+------+-------+------+------+
//   start                                                  limit

/// A chunk, by the address where its data must end.
@usableFromInline
struct Chunk {
  /// What a chunk needs for itself.
  static var trailerByteCount: Int { 32 }

  /// Where the data must end and the trailer begins.
  let limit: UnsafeMutableRawPointer

  /// The chunk whose data must end at `limit`.
  init(_ limit: UnsafeMutableRawPointer) { self.limit = limit }

  /// The chunk behind it.
  var next: Chunk? {
    get { limit.load(as: UnsafeMutableRawPointer?.self).map { Chunk($0) } }
    nonmutating set { limit.storeBytes(of: newValue?.limit, as: UnsafeMutableRawPointer?.self) }
  }

  /// Where the allocation begins.
  var start: UnsafeMutableRawPointer {
    get { limit.load(fromByteOffset: 8, as: UnsafeMutableRawPointer.self) }
    nonmutating set {
      limit.storeBytes(of: newValue, toByteOffset: 8, as: UnsafeMutableRawPointer.self)
    }
  }

  /// The first byte that was not sent.
  var unsent: UnsafeMutableRawPointer {
    get { limit.load(fromByteOffset: 16, as: UnsafeMutableRawPointer.self) }
    nonmutating set {
      limit.storeBytes(of: newValue, toByteOffset: 16, as: UnsafeMutableRawPointer.self)
    }
  }

  /// Where its data ends, once another chunk follows.
  var end: UnsafeMutableRawPointer {
    get { limit.load(fromByteOffset: 24, as: UnsafeMutableRawPointer.self) }
    nonmutating set {
      limit.storeBytes(of: newValue, toByteOffset: 24, as: UnsafeMutableRawPointer.self)
    }
  }

  /// The size of the allocation.
  var byteCount: Int { limit - start + Chunk.trailerByteCount }
}

/// A worker's chunks. It must outlive the queues that took some.
@safe public struct ChunkPool: ~Copyable, @unchecked Sendable {
  // Sendable: it is the only referrer of its free chunks.

  /// The smallest chunk.
  public static var smallestByteCount: Int { 1 << 10 }
  /// The largest that is kept; one reply that needs more gets a chunk of its own size.
  public static var largestByteCount: Int { 64 << 10 }
  private static var sizeCount: Int { 4 }

  /// How many bytes of free chunks are kept.
  public let keptByteLimit: Int
  /// Bytes of free chunks.
  public private(set) var keptByteCount = 0
  /// Bytes of chunks in queues.
  public private(set) var usedByteCount = 0
  /// What a queue's first chunk takes, unless a reply needs more.
  private(set) var firstByteCount = ChunkPool.smallestByteCount
  /// Free chunks by size, each leading to the next.
  private var free = InlineArray<4, UnsafeMutableRawPointer?>(repeating: nil)

  /// A pool without chunks.
  public init(keptByteLimit: Int = 4 << 20) { self.keptByteLimit = keptByteLimit }

  deinit {
    for size in 0..<ChunkPool.sizeCount {
      var next = free[size].map { Chunk($0) }
      while let chunk = next {
        next = chunk.next
        deallocate(chunk.start, chunk.byteCount)
      }
    }
  }

  /// Says how many bytes of requests are about to be answered: replies to a long pipeline should lie in one chunk, because each chunk
  /// is a send of its own (measured with 64 GETs: a second send is a quarter of their CPU time).
  @inline(__always)
  public mutating func expect(requestByteCount: Int) {
    firstByteCount =
      requestByteCount <= 512 ? 1 << 10 : requestByteCount <= 8 << 10 ? 4 << 10 : 16 << 10
  }

  /// The size that follows in a queue.
  static func next(_ byteCount: Int) -> Int { min(byteCount * 4, largestByteCount) }

  /// A chunk of at least `preferred` bytes that has room for `room` bytes.
  mutating func take(preferred: Int, room: Int) throws(OutOfMemory) -> Chunk {
    let needed = room + Chunk.trailerByteCount
    var byteCount = preferred
    while byteCount < needed && byteCount < ChunkPool.largestByteCount {
      byteCount = ChunkPool.next(byteCount)
    }
    if byteCount < needed { byteCount = SizeClass.bytes(needed) }
    let chunk: Chunk
    if let free = takeFree(byteCount) {
      chunk = free
    } else {
      do throws(OutOfMemory) {
        let start = try allocate(byteCount)
        chunk = Chunk(start + (byteCount - Chunk.trailerByteCount))
        chunk.start = start
      } catch {
        // What is at hand will do: an error is to be told even where nothing can be allocated.
        guard let (free, itsByteCount) = takeFree(atLeast: needed) else { throw error }
        chunk = free
        byteCount = itsByteCount
      }
    }
    chunk.next = nil
    chunk.unsent = chunk.start
    chunk.end = chunk.start
    usedByteCount += byteCount
    return chunk
  }

  /// A free chunk of that size.
  private mutating func takeFree(_ byteCount: Int) -> Chunk? {
    guard let size = ChunkPool.size(byteCount), let first = free[size] else { return nil }
    let chunk = Chunk(first)
    free[size] = chunk.next?.limit
    keptByteCount -= byteCount
    return chunk
  }

  /// The smallest free chunk that holds so many bytes.
  private mutating func takeFree(atLeast needed: Int) -> (Chunk, byteCount: Int)? {
    var byteCount = ChunkPool.smallestByteCount
    for _ in 0..<ChunkPool.sizeCount {
      if byteCount >= needed, let chunk = takeFree(byteCount) { return (chunk, byteCount) }
      byteCount *= 4
    }
    return nil
  }

  /// Takes a chunk back.
  mutating func giveBack(_ chunk: Chunk) {
    let byteCount = chunk.byteCount
    usedByteCount -= byteCount
    if let size = ChunkPool.size(byteCount), keptByteCount + byteCount <= keptByteLimit {
      chunk.next = free[size].map { Chunk($0) }
      free[size] = chunk.limit
      keptByteCount += byteCount
    } else {
      deallocate(chunk.start, byteCount)
    }
  }

  private static func size(_ byteCount: Int) -> Int? {
    switch byteCount {
    case 1 << 10: 0
    case 4 << 10: 1
    case 16 << 10: 2
    case 64 << 10: 3
    default: nil
    }
  }
}
