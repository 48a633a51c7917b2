// Which of the 16384 hash slots a key belongs to.
//
// A key's slot is the CRC16 (XMODEM: polynomial x¹⁶ + x¹² + x⁵ + 1, initially 0, nothing reflected)
// of its hash tag, or of the whole key where it has none, modulo 16384.
//
// How it is computed. No tables: a table is 2 KiB or more of the first-level cache, and in Swift a
// lazily made constant whose `once` is looked at for every key. Instead the key is read as one big
// polynomial over GF(2), eight bytes at a time, and reduced by plain shifts. Squaring a polynomial
// over GF(2) squares its terms and adds none, so powers of P stay as sparse as P is itself:
//
//     P   = x¹⁶ + x¹² + x⁵  + 1
//     P²  = x³² + x²⁴ + x¹⁰ + 1
//     P⁴  = x⁶⁴ + x⁴⁸ + x²⁰ + 1
//
// and a remainder modulo P⁴ is still right modulo P. To divide h·xⁿ by such a power, its quotient is
// h times the power's inverse as a series in 1/x, cut off below x⁰; a few right shifts. The
// remainder is the quotient times the three lower terms, cut off above xⁿ⁻¹; a few left shifts.
//
//     key, 19 bytes:    000000000000abcd|efghijkl|mnopqrst      the first word has the odd bytes:
//                              fold ────────▲                   zeros in front change nothing
//                                     fold ──────────▲          64 → 64 bits by P⁴, a word
//                                                 64 → 32       by P²
//                                                    32 → 16    by P, with the x¹⁶ that a CRC appends
//
// The same words are looked at for '{', so that a key without one is read once.

/// One of the 16384 hash slots that a cluster's keys are dealt to.
public struct HashSlot: Hashable, Comparable, Sendable {
  /// How many hash slots there are: 2¹⁴, in every cluster.
  public static let count = 16384

  /// The slot's number, below `HashSlot.count`.
  public let number: UInt16

  /// The slot with this number, or nil if there is none.
  @inlinable
  public init?(exactly number: Int) {
    guard number >= 0, number < 16384 else { return nil }
    self.number = UInt16(truncatingIfNeeded: number)
  }

  /// The slot with this number, which must be below 16384.
  @inlinable
  public init(_ number: UInt16) {
    precondition(number < 16384, "a hash slot is below 16384")
    self.number = number
  }

  /// The slot whose number is the low 14 bits of `bits`.
  @inlinable
  init(lowBitsOf bits: UInt16) {
    self.number = bits & 0x3FFF
  }

  /// The slot's number as an index.
  @inlinable
  public var index: Int { Int(number) }

  /// Slots are ordered by their numbers.
  @inlinable
  public static func < (left: HashSlot, right: HashSlot) -> Bool { left.number < right.number }

  /// The slot that `key` belongs to: that of its hash tag if it has one, what stands between the
  /// first `{` and the first `}` after it, unless that is nothing; else that of the whole key.
  @inlinable
  public static func of(_ key: RawSpan) -> HashSlot {
    let (crc, hasBrace) = CRC16.scan(key)
    if hasBrace { return ofTagged(key) }
    return HashSlot(lowBitsOf: crc)
  }

  /// The slot of a key with a `{` in it.
  @usableFromInline @inline(never)
  static func ofTagged(_ key: RawSpan) -> HashSlot {
    var open = 0
    while open < key.byteCount, key.byte(at: open) != UInt8(ascii: "{") { open += 1 }
    var close = open + 1
    while close < key.byteCount, key.byte(at: close) != UInt8(ascii: "}") { close += 1 }
    let hasTag = close < key.byteCount && close > open + 1
    return HashSlot(
      lowBitsOf: CRC16.of(hasTag ? key.extracting((open + 1)..<close) : key))
  }
}

/// The checksum behind hash slots: CRC16, XMODEM.
@usableFromInline
enum CRC16 {
  /// The checksum of `bytes`.
  @inlinable
  static func of(_ bytes: RawSpan) -> UInt16 { scan(bytes).crc }

  /// The checksum of `bytes`, and whether there is a `{` among them.
  @inlinable
  static func scan(_ bytes: RawSpan) -> (crc: UInt16, hasBrace: Bool) {
    let byteCount = bytes.byteCount
    if byteCount >= 8 {
      // The first word has what is over a multiple of eight bytes; its last bytes are read twice.
      let odd = byteCount & 7
      let head = bytes.word(at: 0)
      var braces = marks(head)
      var at = odd == 0 ? 8 : odd
      var remainder = head >> UInt64(truncatingIfNeeded: (8 &- at) &* 8)
      while at < byteCount {
        let word = bytes.word(at: at)
        braces |= marks(word)
        remainder = fold(remainder) ^ word
        at &+= 8
      }
      return (finish(remainder), braces != 0)
    }
    var word: UInt64
    if byteCount >= 4 {
      // Two halves, overlapping.
      let high = UInt64(bytes.half(at: 0))
      let low = UInt64(bytes.half(at: byteCount &- 4))
      word = high << UInt64(truncatingIfNeeded: (byteCount &- 4) &* 8) | low
    } else if byteCount > 0 {
      // The first, the middle and the last byte, of which some are the same one.
      let first = UInt64(bytes.byte(at: 0))
      let middle = UInt64(bytes.byte(at: byteCount >> 1))
      let last = UInt64(bytes.byte(at: byteCount &- 1))
      word = first << UInt64(truncatingIfNeeded: (byteCount &- 1) &* 8)
      word |= middle << UInt64(truncatingIfNeeded: (byteCount &- 1 &- (byteCount >> 1)) &* 8)
      word |= last
    } else {
      return (0, false)
    }
    return (finish(word), marks(word) != 0)
  }

  /// Not 0 if one of the word's bytes is `{`.
  @inlinable @inline(__always)
  static func marks(_ word: UInt64) -> UInt64 {
    let x = word ^ 0x7B7B_7B7B_7B7B_7B7B
    return (x &- 0x0101_0101_0101_0101) & ~x & 0x8080_8080_8080_8080
  }

  /// `h` · x⁶⁴ modulo P⁴.
  @inlinable @inline(__always)
  static func fold(_ h: UInt64) -> UInt64 {
    // 1 / (1 + x⁻¹⁶ + x⁻⁴⁴ + x⁻⁶⁴) = 1 + x⁻¹⁶ + x⁻³² + x⁻⁴⁴ + x⁻⁴⁸ + …
    let t = h ^ h &>> 16
    let q = t ^ t &>> 32 ^ h &>> 44
    return q ^ q &<< 20 ^ q &<< 48
  }

  /// `m` · x¹⁶ modulo P.
  @inlinable @inline(__always)
  static func finish(_ m: UInt64) -> UInt16 {
    // By P²: 1 / (1 + x⁻⁸ + x⁻²² + x⁻³²) = 1 + x⁻⁸ + x⁻¹⁶ + x⁻²² + x⁻²⁴ + …
    let h = UInt32(truncatingIfNeeded: m &>> 32)
    let t = h ^ h &>> 8
    let q = t ^ t &>> 16 ^ h &>> 22
    let r = UInt32(truncatingIfNeeded: m) ^ q ^ q &<< 10 ^ q &<< 24
    // By P, with u = x⁻⁴ + x⁻¹¹ + x⁻¹⁶: 1 / (1 + u) = (1 + u)(1 + u²)(1 + u⁴) …; what the factors
    // cut off lies below x⁰ and stays there.
    let a = r ^ r &>> 16
    let b = a ^ a &>> 8 ^ a &>> 22
    let c = b ^ b &>> 4 ^ b &>> 11 ^ b &>> 16
    return UInt16(truncatingIfNeeded: c ^ c &<< 5 ^ c &<< 12)
  }
}

extension RawSpan {
  /// The byte at `offset`.
  @inlinable @inline(__always)
  func byte(at offset: Int) -> UInt8 {
    // Any bits are an integer, and the bounds are checked.
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// Four bytes from `offset`, the first one on top.
  @inlinable @inline(__always)
  func half(at offset: Int) -> UInt32 {
    unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// Eight bytes from `offset`, the first one on top.
  @inlinable @inline(__always)
  func word(at offset: Int) -> UInt64 {
    unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
