/// A piece of a request: where an argument's bytes lie, or that they were received apart.
public struct ArgumentRange: Sendable, Equatable {
  /// Where the bytes begin; for an argument received apart its number among those of its request, from 0.
  public var offset: UInt32
  /// How many bytes; with the top bit set the argument was received apart.
  public var count: UInt32

  /// An argument's place.
  @inlinable @inline(__always)
  public init(offset: UInt32, count: UInt32) {
    self.offset = offset
    self.count = count
  }

  /// The request's n-th argument that was received apart.
  @inlinable
  public static func large(_ index: Int) -> ArgumentRange {
    ArgumentRange(offset: UInt32(index), count: 1 << 31)
  }

  /// Whether the argument was received apart.
  @inlinable @inline(__always)
  public var isLarge: Bool { count >> 31 != 0 }
}

/// One request of a batch.
public struct RequestSpan: Sendable, Equatable {
  /// The number of its first argument among the batch's.
  public var firstArgument: Int32
  /// How many arguments it has; at least 1.
  public var argumentCount: Int32
  /// Its bytes on the wire, as far as they lay in the buffer.
  public var byteCount: Int32
  /// Whether its arguments lie in the batch's own bytes, because it came as a line of text, whose quotes had to be taken away.
  public var isInline: Bool
  /// Where it ends among the parsed bytes: with it, everything before is done with.
  public var end: Int32 = 0

  /// A request of no arguments.
  @inlinable
  public init(
    firstArgument: Int32 = 0, argumentCount: Int32 = 0, byteCount: Int32 = 0, isInline: Bool = false
  ) {
    self.firstArgument = firstArgument
    self.argumentCount = argumentCount
    self.byteCount = byteCount
    self.isInline = isInline
  }
}
