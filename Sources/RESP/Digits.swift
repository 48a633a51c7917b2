/// A number as text, in registers: made by arithmetic on 8 digits at once, without a loop or a table.
public struct Digits: Sendable, Equatable {
  /// Bytes 0…7, the first in the low bits, zeros above.
  public var first: UInt64 = 0
  /// Bytes 8…15.
  public var second: UInt64 = 0
  /// Bytes 16…19.
  public var third: UInt32 = 0
  /// How many bytes there are: 1…20.
  public var count: Int

  /// The number in decimal, with `-` before it if it is negative.
  @inlinable
  public init(_ value: Int64) {
    let magnitude = value.magnitude
    count = 0
    if magnitude < 100_000_000 {
      let digits = eightDigits(magnitude)
      // Zeros before the first digit, at most 7: 0 itself keeps one.
      let zeroCount = min((digits | 1 << 56).trailingZeroBitCount >> 3, 7)
      first = (digits | asciiZeros) >> UInt64(8 &* zeroCount)
      count = 8 &- zeroCount
    } else {
      long(magnitude)
    }
    if value < 0 {
      third = third << 8 | UInt32(second >> 56)
      second = second << 8 | first >> 56
      first = first << 8 | UInt64(UInt8(ascii: "-"))
      count &+= 1
    }
  }

  /// 9 to 19 digits.
  @inlinable
  mutating func long(_ magnitude: UInt64) {
    let low = magnitude % 100_000_000
    let rest = magnitude / 100_000_000
    let middle = rest % 100_000_000
    let high = rest / 100_000_000
    var words = (
      high == 0 ? 0 : eightDigits(high) | asciiZeros, eightDigits(middle) | asciiZeros,
      eightDigits(low) | asciiZeros
    )
    var total = 24
    if high == 0 {
      words = (words.1, words.2, 0)
      total = 16
    }
    let zeroCount = ((words.0 ^ asciiZeros) | 1 << 56).trailingZeroBitCount >> 3
    let shift = UInt64(8 &* zeroCount)
    // A shift by 64 gives 0: the operators of Swift are right for any count.
    first = words.0 >> shift | words.1 << (64 - shift)
    second = words.1 >> shift | words.2 << (64 - shift)
    third = UInt32(truncatingIfNeeded: words.2 >> shift)
    count = total &- zeroCount
  }
}

/// `00000000`
@usableFromInline var asciiZeros: UInt64 {
  @inlinable @inline(__always) get { 0x3030_3030_3030_3030 }
}

/// The 8 digits of a number below 100 000 000, each in a byte, the most significant in the lowest.
@inlinable @inline(__always)
func eightDigits(_ value: UInt64) -> UInt64 {
  // Two halves of 4 digits, four of 2, eight of 1: a quotient moves down, its remainder up.
  let top = value / 10_000
  let fours = top | (value &- top &* 10_000) << 32
  let hundreds = ((fours &* 10_486) >> 20) & 0x0000_007F_0000_007F
  let twos = hundreds | (fours &- hundreds &* 100) << 16
  let tens = ((twos &* 103) >> 10) & 0x000F_000F_000F_000F
  return tens | (twos &- tens &* 10) << 8
}
