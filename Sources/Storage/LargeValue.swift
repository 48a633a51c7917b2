// A large string on its way in: it is received into the allocation in which it will stay.
//
// The allocation grows with what has arrived, by doubling up to 1 MiB; then it gets its whole size at once, because
// memory that is not touched takes nothing but addresses, and copying hundreds of megabytes would stop the worker.
// So a claimed 512 MiB allocates nothing, no growth copies more than 1 MiB, and what is really taken is about what has
// arrived.

/// A string of known length that is being received.
@safe public struct LargeValue: ~Copyable, @unchecked Sendable {
  // Sendable: it is the only referrer of its memory.

  /// Up to here the allocation doubles.
  static var doublingLimit: Int { 1 << 20 }
  /// The first allocation, unless less is expected.
  static var firstByteCount: Int { 32 << 10 }

  /// How long it will be.
  public let expectedByteCount: Int
  /// How much has arrived.
  public private(set) var byteCount = 0
  /// Nil while nothing has arrived.
  private var address: UnsafeMutableRawPointer?
  private var capacity = 0

  /// A value of which nothing has arrived; allocates nothing.
  public init(expected byteCount: Int) {
    precondition(byteCount >= 0)
    expectedByteCount = byteCount
  }

  deinit { if let address { deallocate(address, capacity) } }

  /// Whether all has arrived.
  public var isComplete: Bool { byteCount == expectedByteCount }

  /// What it takes by now: the pages that were touched.
  public var allocatedByteCount: Int { min(capacity, (byteCount + 4095) & ~4095) }

  /// What has arrived.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let bytes = UnsafeRawBufferPointer(start: address, count: byteCount).bytes
      return unsafe _overrideLifetime(bytes, borrowing: self)
    }
  }

  /// Takes what has arrived, at most what is missing.
  public mutating func append(_ bytes: RawSpan) throws(OutOfMemory) {
    precondition(bytes.byteCount <= expectedByteCount - byteCount)
    guard bytes.byteCount > 0 else { return }
    try room(atLeast: bytes.byteCount)
    bytes.withUnsafeBytes { copyBytes($0, to: address.unsafelyUnwrapped + byteCount) }
    byteCount += bytes.byteCount
  }

  /// Makes room for at least `byteCount` more bytes, not more than are missing.
  public mutating func room(atLeast byteCount: Int) throws(OutOfMemory) {
    precondition(byteCount <= expectedByteCount - self.byteCount)
    let needed = self.byteCount + byteCount
    guard needed > capacity else { return }
    var target = max(needed, 2 * capacity, LargeValue.firstByteCount)
    if target > LargeValue.doublingLimit || target > expectedByteCount {
      target = expectedByteCount
    }
    let size = SizeClass.bytes(target)
    if let old = address {
      address = try reallocate(old, size)
    } else {
      address = try allocate(size)
    }
    capacity = size
  }

  /// The bytes of room behind what has arrived, not more than are missing.
  public var roomByteCount: Int { min(capacity, expectedByteCount) - byteCount }

  /// The room behind what has arrived, to receive into; then say `filled`.
  public var room: MutableRawSpan {
    @_lifetime(&self)
    mutating get {
      let room = UnsafeMutableRawBufferPointer(
        start: address.map { $0 + byteCount }, count: roomByteCount)
      return unsafe _overrideLifetime(room.mutableBytes, mutating: &self)
    }
  }

  /// Where that room is, for a receiver that outlives the call: it stays there until the next `room(atLeast:)`,
  /// `append`, or the value's end, also while the value itself is moved. Nil if there is none.
  @unsafe public var roomAddress: UnsafeMutableRawPointer? {
    roomByteCount == 0 ? nil : address.map { $0 + byteCount }
  }

  /// `byteCount` bytes have been received into the room.
  public mutating func filled(_ byteCount: Int) {
    precondition(byteCount >= 0 && byteCount <= roomByteCount)
    self.byteCount += byteCount
  }

  /// The allocation, for the entry that will own it.
  var content: (address: UnsafeMutableRawPointer, byteCount: Int, capacity: Int) {
    (address.unsafelyUnwrapped, byteCount, capacity)
  }

  /// An entry owns the allocation now.
  consuming func giveUp() { discard self }
}
