/// Bytes that wait to be parsed: those of a request that has not arrived whole. Empty, it has no memory.
@safe public struct ByteBuffer: ~Copyable, @unchecked Sendable {
  // Sendable: it is the only referrer of its memory.
  private var address: UnsafeMutableRawPointer?
  private var start = 0
  private var end = 0
  private var capacity = 0

  /// An empty buffer.
  public init() {}

  deinit { if let address { deallocate(address, capacity) } }

  /// How many bytes it has.
  public var byteCount: Int { end - start }
  /// Whether it has none.
  public var isEmpty: Bool { start == end }
  /// What it takes from the allocator.
  public var allocatedByteCount: Int { capacity }

  /// Its bytes.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let bytes = UnsafeRawBufferPointer(start: address.map { $0 + start }, count: byteCount)
      return unsafe _overrideLifetime(bytes.bytes, borrowing: self)
    }
  }

  /// Appends bytes. What is free in front is used before the memory grows, by doubling.
  public mutating func append(_ bytes: RawSpan) throws(OutOfMemory) {
    let count = bytes.byteCount
    guard count > 0 else { return }
    if count > capacity - end { try makeRoom(count) }
    bytes.withUnsafeBytes { copyBytes($0, to: address.unsafelyUnwrapped + end) }
    end += count
  }

  private mutating func makeRoom(_ count: Int) throws(OutOfMemory) {
    let needed = byteCount + count
    // Moving to the front costs what it makes free, or less.
    if let address, needed <= capacity, start >= byteCount {
      address.copyMemory(from: address + start, byteCount: byteCount)
    } else {
      let size = SizeClass.bytes(address == nil ? needed : max(needed, 2 * byteCount))
      let memory = try allocate(size)
      if let address {
        memory.copyMemory(from: address + start, byteCount: byteCount)
        deallocate(address, capacity)
      }
      address = memory
      capacity = size
    }
    end -= start
    start = 0
  }

  /// Drops the first bytes; the last one takes the memory with it.
  public mutating func removeFirst(_ count: Int) {
    precondition(count >= 0 && count <= byteCount)
    start += count
    if start == end { removeAll() }
  }

  /// Drops the last bytes.
  public mutating func removeLast(_ count: Int) {
    precondition(count >= 0 && count <= byteCount)
    end -= count
    if start == end { removeAll() }
  }

  /// Drops all bytes, and the memory only if it is more than 64 KiB.
  public mutating func empty() {
    if capacity > 64 << 10 { return removeAll() }
    start = 0
    end = 0
  }

  /// Drops all bytes, and the memory.
  public mutating func removeAll() {
    if let address { deallocate(address, capacity) }
    address = nil
    start = 0
    end = 0
    capacity = 0
  }
}
