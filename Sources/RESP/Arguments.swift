/// The arguments of one request, the command's name first: what a handler sees. Lent: nothing is copied, nothing may be kept.
public struct Arguments: ~Escapable {
  @usableFromInline let bytes: RawSpan
  @usableFromInline let ranges: Span<ArgumentRange>

  /// The arguments `first` … `first + count − 1` of `ranges`, which lie in `bytes`.
  @inlinable @inline(__always)
  @_lifetime(copy bytes, copy ranges)
  public init(bytes: RawSpan, ranges: Span<ArgumentRange>, first: Int, count: Int) {
    self.bytes = bytes
    self.ranges = ranges.extracting(first..<(first + count))
  }

  /// How many arguments there are, the command's name included; at least 1 in a request of a client.
  @inlinable @inline(__always)
  public var count: Int { ranges.count }

  /// An argument's bytes. Traps for one that was received apart: whoever takes arguments apart must ask `largeIndex` first.
  @inlinable @inline(__always)
  public subscript(_ index: Int) -> RawSpan {
    @_lifetime(copy self)
    get {
      let range = ranges[index]
      precondition(!range.isLarge, "an argument received apart has no bytes here")
      return bytes.extracting(Int(range.offset)..<(Int(range.offset) + Int(range.count)))
    }
  }

  /// An argument's place.
  @inlinable @inline(__always)
  public func range(_ index: Int) -> ArgumentRange { ranges[index] }

  /// For an argument that was received apart its number among those of this request, from 0; else `nil`.
  @inlinable @inline(__always)
  public func largeIndex(_ index: Int) -> Int? {
    let range = ranges[index]
    return range.isLarge ? Int(range.offset) : nil
  }

  /// The stretch of the bytes that all arguments lie in, in their order and with little between them, as in a request that came as one;
  /// nil if they don't, or one was received apart.
  @inlinable @inline(__always)
  public var extent: Range<Int>? {
    var end = 0
    var byteCount = 0
    for i in 0..<count {
      let range = ranges[i]
      if range.isLarge || Int(range.offset) < end { return nil }
      end = Int(range.offset) &+ Int(range.count)
      byteCount &+= Int(range.count)
    }
    let begin = Int(ranges[0].offset)
    return end &- begin <= byteCount &+ 16 &* count ? begin..<end : nil
  }

  /// Bytes of a stretch.
  @inlinable @inline(__always)
  @_lifetime(copy self)
  public func bytes(in extent: Range<Int>) -> RawSpan { bytes.extracting(extent) }

  /// Others of the same bytes: those of `ranges` from `first` on.
  @inlinable @inline(__always)
  @_lifetime(copy self, copy ranges)
  public func others(_ ranges: Span<ArgumentRange>, first: Int, count: Int) -> Arguments {
    Arguments(bytes: bytes, ranges: ranges, first: first, count: count)
  }

  /// The arguments from `first` on.
  @inlinable
  @_lifetime(copy self)
  public func dropFirst(_ first: Int) -> Arguments {
    Arguments(bytes: bytes, ranges: ranges, first: first, count: ranges.count - first)
  }
}
