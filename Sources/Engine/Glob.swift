internal import RESP

/// Glob patterns as Redis has them: `*`, `?`, `[abc]`, `[^a-z]`, `\x`.
///
/// Iterative, with one place to go back to: a star that is passed is never come back to once a later star was reached, so the work is at most
/// pattern × text and no input can make it exponential.
enum Glob {
  /// Whether `text` matches the whole of `pattern`. O(pattern × text).
  static func matches(_ pattern: RawSpan, _ text: RawSpan, ignoringCase: Bool = false) -> Bool {
    // Nothing but an empty pattern matches an empty text, not even `**`: so it is in Redis, whose commands ask for `*` before.
    if text.byteCount == 0 { return pattern.byteCount == 0 }
    var p = 0
    var t = 0
    var star = -1
    var mark = 0
    while t < text.byteCount {
      if p < pattern.byteCount, pattern.byte(at: p) == UInt8(ascii: "*") {
        star = p
        mark = t
        p += 1
        continue
      }
      if p < pattern.byteCount,
        let next = step(pattern, p, text.byte(at: t), ignoringCase: ignoringCase)
      {
        p = next
        t += 1
        continue
      }
      guard star >= 0 else { return false }
      p = star + 1
      mark += 1
      t = mark
    }
    while p < pattern.byteCount, pattern.byte(at: p) == UInt8(ascii: "*") { p += 1 }
    return p == pattern.byteCount
  }

  /// Where the pattern goes on if its element at `p` matches the byte; nil if it does not.
  private static func step(_ pattern: RawSpan, _ p: Int, _ byte: UInt8, ignoringCase: Bool) -> Int?
  {
    let count = pattern.byteCount
    let wanted = pattern.byte(at: p)
    switch wanted {
    case UInt8(ascii: "?"): return p + 1
    case UInt8(ascii: "["):
      var i = p + 1
      let isNegated = i < count && pattern.byte(at: i) == UInt8(ascii: "^")
      if isNegated { i += 1 }
      var isIn = false
      while i < count, pattern.byte(at: i) != UInt8(ascii: "]") {
        var low = pattern.byte(at: i)
        if low == UInt8(ascii: "\\"), i + 1 < count {
          i += 1
          low = pattern.byte(at: i)
          if folded(low, ignoringCase) == folded(byte, ignoringCase) { isIn = true }
          i += 1
          continue
        }
        var high = low
        if i + 2 < count, pattern.byte(at: i + 1) == UInt8(ascii: "-") {
          high = pattern.byte(at: i + 2)
          i += 2
        }
        let (from, to) = (
          folded(min(low, high), ignoringCase), folded(max(low, high), ignoringCase)
        )
        let own = folded(byte, ignoringCase)
        if own >= from, own <= to { isIn = true }
        i += 1
      }
      return isIn != isNegated ? min(i + 1, count) : nil
    case UInt8(ascii: "\\") where p + 1 < count:
      return folded(pattern.byte(at: p + 1), ignoringCase) == folded(byte, ignoringCase)
        ? p + 2 : nil
    default:
      return folded(wanted, ignoringCase) == folded(byte, ignoringCase) ? p + 1 : nil
    }
  }

  private static func folded(_ byte: UInt8, _ ignoringCase: Bool) -> UInt8 {
    ignoringCase && byte >= 65 && byte <= 90 ? byte + 32 : byte
  }
}
