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

  /// The arguments from `first` on.
  @inlinable
  @_lifetime(copy self)
  public func dropFirst(_ first: Int) -> Arguments {
    Arguments(bytes: bytes, ranges: ranges, first: first, count: ranges.count - first)
  }
}
