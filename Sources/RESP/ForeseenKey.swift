// A look ahead at a request that will be parsed soon: where its key lies, so that memory can be asked for early.

extension RawSpan {
  /// Where the second argument of the request at the beginning lies, if the request has the common form and so much of it is there: as a rule the
  /// key of the command. A hint, for prefetching: it reads the two lengths and nothing else, and says nothing of whether the request is whole
  /// or right. What it finds is what the parser will find.
  @inlinable
  public func foreseenKey() -> Range<Int>? {
    let end = byteCount
    guard end >= 24, byte(at: 0) == UInt8(ascii: "*") else { return nil }
    var position = 1
    // One or two digits of a count, then a line end.
    position += byte(at: position + 1) == 13 ? 3 : 4
    guard let name = foreseenLength(at: &position) else { return nil }
    position += name + 2
    guard position + 8 <= end, let key = foreseenLength(at: &position), position + key <= end
    else { return nil }
    return position..<(position + key)
  }

  /// The length of up to three digits after a `$`, and behind its line end. Needs 8 bytes.
  @inlinable @inline(__always)
  func foreseenLength(at position: inout Int) -> Int? {
    let line = word(at: position)
    guard line & 0xFF == UInt64(UInt8(ascii: "$")) else { return nil }
    let first = Int(truncatingIfNeeded: line >> 8 & 0xFF) - 48
    let second = Int(truncatingIfNeeded: line >> 16 & 0xFF)
    guard first >= 0, first <= 9 else { return nil }
    if second == 13 {
      position += 4
      return first
    }
    let third = Int(truncatingIfNeeded: line >> 24 & 0xFF)
    guard second >= 48, second <= 57, first > 0 else { return nil }
    if third == 13 {
      position += 5
      return first * 10 + second - 48
    }
    guard third >= 48, third <= 57, line >> 32 & 0xFF == 13 else { return nil }
    position += 6
    return first * 100 + (second - 48) * 10 + third - 48
  }
}
