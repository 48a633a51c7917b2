internal import RESP

// The number type of INCRBYFLOAT: the 80-bit float of x86 (C's `long double` there), whose sums and roundings clients see
// in the digits of the reply. Done with integers, so that every platform gives the same digits and none needs libm.
//
//   value = significand × 2^exponent, the significand's highest bit set, or both 0
//
// Parsing and printing are exact: numbers beyond 64 bits go through `Limbs`, an integer of any size. Rounding is always to
// the nearest, halves to even. Limits: exponents of the format (−16445 … 16383 as powers of the lowest and highest
// bit); texts of at most 5119 bytes.

/// A finite number with 64 bits of precision.
struct ExtendedFloat: Equatable {
  private var isNegative: Bool
  private var significand: UInt64
  private var exponent: Int

  /// The number 0.
  static let zero = ExtendedFloat(isNegative: false, significand: 0, exponent: 0)

  /// The lowest bit that any number has.
  private static let lowestExponent = -16445
  /// The highest bit that a finite number has.
  private static let highestBit = 16383
  /// Redis's buffer for such texts, and its last byte.
  private static let longestText = 5 * 1024 - 1

  private init(isNegative: Bool, significand: UInt64, exponent: Int) {
    self.isNegative = isNegative
    self.significand = significand
    self.exponent = exponent
  }

  /// `bits` × 2^`exponent`, and a little more if `hasMore`, rounded; nil if that is out of range.
  private init?(isNegative: Bool, _ bits: UInt128, _ exponent: Int, hasMore: Bool) {
    guard bits != 0 else {
      self.init(isNegative: isNegative, significand: 0, exponent: 0)
      return
    }
    // What is left of the highest 64 bits, or fewer for the smallest numbers, is rounded away.
    let width = 128 - bits.leadingZeroBitCount
    let excess = max(width - 64, Self.lowestExponent - exponent)
    var kept = bits
    var newExponent = exponent
    if excess > 0 {
      let half = excess > 128 ? 0 : UInt128(1) << UInt128(excess - 1)
      let rest = excess > 127 ? bits : bits & (UInt128(1) << UInt128(excess) - 1)
      kept = excess > 127 ? 0 : bits >> UInt128(excess)
      if half != 0, rest > half || rest == half && (hasMore || kept & 1 == 1) { kept += 1 }
      newExponent += excess
    }
    guard kept != 0 else { return nil }
    // Rounding up may have made a 65th bit, behind zeros only.
    if kept >> 64 != 0 {
      kept >>= 1
      newExponent += 1
    }
    let significand = UInt64(truncatingIfNeeded: kept)
    let zeros = significand.leadingZeroBitCount
    guard newExponent + 63 - zeros <= Self.highestBit else { return nil }
    self.init(
      isNegative: isNegative, significand: significand << UInt64(zeros),
      exponent: newExponent - zeros)
  }

  /// The sum, rounded; nil if it is out of range.
  func adding(_ other: Self) -> Self? {
    if significand == 0 { return other.significand == 0 ? .zero : other }
    if other.significand == 0 { return self }
    let isLarger =
      exponent > other.exponent
      || exponent == other.exponent && significand >= other.significand
    let (large, small) = isLarger ? (self, other) : (other, self)
    // Room for a carry above, 63 bits below. What is shifted out of those matters only as being there.
    let distance = large.exponent - small.exponent
    let a = UInt128(large.significand) << 63
    let shifted = distance > 127 ? 0 : (UInt128(small.significand) << 63) >> UInt128(distance)
    let isExact =
      distance <= 63
      || distance <= 127 && shifted << UInt128(distance) == UInt128(small.significand) << 63
    let b = isExact ? shifted : shifted | 1
    if large.isNegative == small.isNegative {
      return ExtendedFloat(
        isNegative: large.isNegative, a + b, large.exponent - 63, hasMore: false)
    }
    if a == b { return .zero }
    return ExtendedFloat(isNegative: large.isNegative, a - b, large.exponent - 63, hasMore: false)
  }

  // MARK: Text

  /// Up to 17 digits behind the point, none of them a zero at the end; never an exponent.
  var text: [UInt8] {
    var whole = [UInt8(ascii: "0")]
    var fraction: [UInt8] = []
    if exponent >= 0 {
      var limbs = Limbs(significand)
      limbs.shiftLeft(exponent)
      whole = limbs.decimal()
    } else {
      // In units of 10^−17: less than 2^121.
      let scaled = UInt128(significand) * 100_000_000_000_000_000
      let shift = -exponent
      var units: UInt128 = 0
      if shift < 128 {
        units = scaled >> UInt128(shift)
        let rest = scaled & (UInt128(1) << UInt128(shift) - 1)
        let half = UInt128(1) << UInt128(shift - 1)
        if rest > half || rest == half && units & 1 == 1 { units += 1 }
      }
      let (above, below) = units.quotientAndRemainder(dividingBy: 100_000_000_000_000_000)
      whole = Array(String(UInt64(truncatingIfNeeded: above)).utf8)
      // With a 1 before them, so that zeros at their beginning stay.
      fraction = Array(
        String(UInt64(truncatingIfNeeded: below) + 100_000_000_000_000_000).utf8.dropFirst())
      while fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
    }
    if !fraction.isEmpty { whole += [UInt8(ascii: ".")] + fraction }
    let isZero = whole == [UInt8(ascii: "0")]
    return isNegative && !isZero ? [UInt8(ascii: "-")] + whole : whole
  }

  /// The number that C's `strtold` reads, if it reads the text to its end; nil also for one that is infinite (see
  /// `isInfinity`), no number, or too small to be told from 0.
  init?(_ text: RawSpan) {
    guard text.byteCount > 0, text.byteCount <= Self.longestText else { return nil }
    var reader = NumberReader(text)
    let isNegative = reader.takeSign()
    let isHex = reader.takeHexPrefix()
    guard let parts = reader.takeDigits(isHex ? 16 : 10),
      let exponent = reader.takeExponent(isHex ? "p" : "e"), reader.isAtEnd
    else { return nil }
    let power = exponent - (isHex ? 4 : 1) * parts.fractionCount
    guard parts.digitCount > 0 else {
      self.init(isNegative: isNegative, significand: 0, exponent: 0)
      return
    }
    // Far outside of the range nothing is computed.
    let magnitude = isHex ? power + 4 * parts.digitCount : 4 * (power + parts.digitCount)
    guard magnitude.magnitude < 25_000 else { return nil }
    if isHex {
      self.init(isNegative: isNegative, parts.digits, dividedBy: Limbs(1), power: power)
    } else if power >= 0 {
      var number = parts.digits
      number.multiply(byTenTo: power)
      self.init(isNegative: isNegative, number, dividedBy: Limbs(1), power: 0)
    } else {
      var divisor = Limbs(1)
      divisor.multiply(byTenTo: -power)
      self.init(isNegative: isNegative, parts.digits, dividedBy: divisor, power: 0)
    }
  }

  /// A quotient × 2^power, rounded; nil if that is out of range.
  private init?(isNegative: Bool, _ number: Limbs, dividedBy divisor: Limbs, power: Int) {
    // Scaled so that the quotient has 66 or 67 bits.
    let shift = divisor.bitWidth - number.bitWidth + 67
    var rest = number
    var divisor = divisor
    if shift > 0 { rest.shiftLeft(shift) } else { divisor.shiftLeft(-shift) }
    var quotient: UInt128 = 0
    if let low = divisor.single, let high = rest.double {
      let (q, r) = high.quotientAndRemainder(dividingBy: UInt128(low))
      quotient = q
      rest = Limbs(UInt64(truncatingIfNeeded: r))
    } else {
      divisor.shiftLeft(67)
      for _ in 0...67 {
        quotient <<= 1
        if rest >= divisor {
          rest.subtract(divisor)
          quotient |= 1
        }
        divisor.halve()
      }
    }
    self.init(isNegative: isNegative, quotient, power - shift, hasMore: !rest.isZero)
  }

  /// Whether a text means an infinite number: it can be read, but no sum with it is finite.
  static func isInfinity(_ text: RawSpan) -> Bool {
    var reader = NumberReader(text)
    _ = reader.takeSign()
    let word = Word(reader.rest)
    return word == "INF" || word == "INFINITY"
  }
}

/// Reads the parts of a number's text from left to right.
private struct NumberReader: ~Escapable {
  private let text: RawSpan
  private var offset = 0

  @_lifetime(copy text)
  init(_ text: RawSpan) { self.text = text }

  var isAtEnd: Bool { offset == text.byteCount }

  var rest: RawSpan {
    @_lifetime(copy self)
    get { text.extracting(offset..<text.byteCount) }
  }

  /// The byte at a distance, letters in lower case; 0 behind the end.
  private func peek(_ distance: Int = 0) -> UInt8 {
    guard offset + distance < text.byteCount else { return 0 }
    let byte = text.byte(at: offset + distance)
    return byte >= 65 && byte <= 90 ? byte | 32 : byte
  }

  private func digit(_ radix: Int, _ distance: Int = 0) -> Int? {
    let byte = peek(distance)
    if byte >= 48 && byte <= 57 { return Int(byte) - 48 }
    if radix == 16 && byte >= 97 && byte <= 102 { return Int(byte) - 87 }
    return nil
  }

  mutating func takeSign() -> Bool {
    let byte = peek()
    if byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") { offset += 1 }
    return byte == UInt8(ascii: "-")
  }

  mutating func takeHexPrefix() -> Bool {
    guard peek() == UInt8(ascii: "0"), peek(1) == UInt8(ascii: "x") else { return false }
    let isFraction = peek(2) == UInt8(ascii: ".")
    guard digit(16, isFraction ? 3 : 2) != nil else { return false }
    offset += 2
    return true
  }

  /// Digits with a point among them or not: their number without zeros in front, how many those are, and how many stand
  /// behind the point. Nil if there are none at all.
  mutating func takeDigits(
    _ radix: Int
  ) -> (digits: Limbs, digitCount: Int, fractionCount: Int)? {
    var limbs = Limbs(0)
    var group: UInt64 = 0
    var scale: UInt64 = 1
    var hasDigits = false
    var isFraction = false
    var digitCount = 0
    var fractionCount = 0
    while true {
      if !isFraction, peek() == UInt8(ascii: ".") {
        isFraction = true
      } else if let digit = digit(radix) {
        hasDigits = true
        if digitCount > 0 || digit > 0 { digitCount += 1 }
        if isFraction { fractionCount += 1 }
        group = group * UInt64(radix) + UInt64(digit)
        scale *= UInt64(radix)
        // 10^18 and 16^15 fit 64 bits.
        if scale >= 1_000_000_000_000_000_000 {
          limbs.multiply(by: scale, adding: group)
          group = 0
          scale = 1
        }
      } else {
        break
      }
      offset += 1
    }
    if scale > 1 { limbs.multiply(by: scale, adding: group) }
    return hasDigits ? (limbs, digitCount, fractionCount) : nil
  }

  /// An exponent, 0 if there is none; nil if there is its letter alone. One that is larger than any that matters is made smaller.
  mutating func takeExponent(_ letter: Unicode.Scalar) -> Int? {
    guard peek() == UInt8(ascii: letter) else { return 0 }
    offset += 1
    let isNegative = takeSign()
    guard digit(10) != nil else { return nil }
    var exponent = 0
    while let digit = digit(10) {
      exponent = min(exponent * 10 + digit, 1_000_000)
      offset += 1
    }
    return isNegative ? -exponent : exponent
  }
}
