/// A whole number of any size, not negative: what is needed to read and print floats exactly. Every operation is O(words).
struct Limbs: Equatable {
  /// The lowest first; the last one is not 0.
  private var words: [UInt64]

  /// A number of 64 bits.
  init(_ value: UInt64) { words = value == 0 ? [] : [value] }

  /// Whether it is 0.
  var isZero: Bool { words.isEmpty }

  /// The number of its bits without zeros in front.
  var bitWidth: Int {
    guard let last = words.last else { return 0 }
    return 64 * words.count - last.leadingZeroBitCount
  }

  /// The number, if it fits 64 bits.
  var single: UInt64? { words.count > 1 ? nil : words.first ?? 0 }

  /// The number, if it fits 128 bits.
  var double: UInt128? {
    if words.count > 2 { return nil }
    return UInt128(words.first ?? 0) | (words.count > 1 ? UInt128(words[1]) << 64 : 0)
  }

  private mutating func trim() {
    while words.last == 0 { words.removeLast() }
  }

  /// × `factor` + `summand`.
  mutating func multiply(by factor: UInt64, adding summand: UInt64 = 0) {
    var carry = summand
    for i in words.indices {
      let product = UInt128(words[i]) * UInt128(factor) + UInt128(carry)
      words[i] = UInt64(truncatingIfNeeded: product)
      carry = UInt64(truncatingIfNeeded: product >> 64)
    }
    if carry != 0 { words.append(carry) }
    trim()
  }

  /// × 10^`power`.
  mutating func multiply(byTenTo power: Int) {
    var rest = power
    while rest > 0 {
      let step = min(rest, 19)
      var factor: UInt64 = 1
      for _ in 0..<step { factor *= 10 }
      multiply(by: factor)
      rest -= step
    }
  }

  /// × 2^`count`.
  mutating func shiftLeft(_ count: Int) {
    if isZero || count == 0 { return }
    let bits = UInt64(count & 63)
    if bits != 0 {
      var carry: UInt64 = 0
      for i in words.indices {
        let word = words[i]
        words[i] = word << bits | carry
        carry = word >> (64 - bits)
      }
      if carry != 0 { words.append(carry) }
    }
    words.insert(contentsOf: repeatElement(0, count: count >> 6), at: 0)
  }

  /// ÷ 2.
  mutating func halve() {
    var carry: UInt64 = 0
    for i in words.indices.reversed() {
      let word = words[i]
      words[i] = word >> 1 | carry
      carry = word << 63
    }
    trim()
  }

  /// − `other`, which is not larger.
  mutating func subtract(_ other: Limbs) {
    var borrow: UInt64 = 0
    for i in words.indices {
      let subtrahend = i < other.words.count ? other.words[i] : 0
      let (first, under) = words[i].subtractingReportingOverflow(subtrahend)
      let (second, underAgain) = first.subtractingReportingOverflow(borrow)
      words[i] = second
      borrow = under || underAgain ? 1 : 0
    }
    precondition(borrow == 0, "a larger number was subtracted")
    trim()
  }

  /// Whether it is at least `other`.
  static func >= (a: Limbs, b: Limbs) -> Bool {
    if a.words.count != b.words.count { return a.words.count > b.words.count }
    for i in a.words.indices.reversed() where a.words[i] != b.words[i] {
      return a.words[i] > b.words[i]
    }
    return true
  }

  /// Its decimal digits. O(words²).
  func decimal() -> [UInt8] {
    let group: UInt64 = 1_000_000_000_000_000_000
    var rest = self
    var groups: [UInt64] = []
    repeat {
      var remainder: UInt64 = 0
      for i in rest.words.indices.reversed() {
        (rest.words[i], remainder) = group.dividingFullWidth((remainder, rest.words[i]))
      }
      rest.trim()
      groups.append(remainder)
    } while !rest.isZero
    var digits = Array(String(groups[groups.count - 1]).utf8)
    for value in groups.dropLast().reversed() {
      // With a 1 before them, so that zeros at their beginning stay.
      digits += String(value + group).utf8.dropFirst()
    }
    return digits
  }
}
