/// A word of the protocol (a command's name, an option) of at most 23 bytes in upper case, packed into three integers, so that telling two words apart takes no loop and no look at memory.
///
///     guard let word = Word(arguments[3]) else { return syntaxError }
///     if word == "KEEPTTL" { … }
///
/// Literals are folded to constants by the optimiser. Only ASCII letters change case.
public struct Word: Hashable, Sendable, ExpressibleByStringLiteral {
  /// Bytes 0…7, zero where the word has ended.
  public let low: UInt64
  /// Bytes 8…15.
  public let middle: UInt64
  /// Bytes 16…22, and in the top byte how many there are in all, so that a word and the same with zeros after it differ.
  public let high: UInt64

  /// The longest word.
  public static var maxByteCount: Int { 23 }

  /// These bytes in upper case; `nil` if they are too many for any word of the protocol.
  @inlinable
  public init?(_ bytes: RawSpan) {
    let count = bytes.byteCount
    if count <= 8 {
      low = uppercase(bytes.word(at: 0, count: count))
      middle = 0
      high = UInt64(count) << 56
    } else {
      guard count <= 23 else { return nil }
      low = uppercase(bytes.word(at: 0))
      middle = uppercase(bytes.word(at: 8, count: min(count - 8, 8)))
      high =
        uppercase(bytes.word(at: min(16, count), count: max(count - 16, 0))) | UInt64(count) << 56
    }
  }

  /// A word known when Tern is compiled. Traps if it is too long.
  @inlinable @inline(__always)
  public init(stringLiteral word: StaticString) {
    let count = word.utf8CodeUnitCount
    precondition(count <= 23)
    var parts: (UInt64, UInt64, UInt64) = (0, 0, UInt64(count) << 56)
    var index = 0
    while index < count {
      let byte = UInt64(word.byte(at: index)) << UInt64((index & 7) * 8)
      if index < 8 {
        parts.0 |= byte
      } else if index < 16 {
        parts.1 |= byte
      } else {
        parts.2 |= byte
      }
      index += 1
    }
    low = uppercase(parts.0)
    middle = uppercase(parts.1)
    high = uppercase(parts.2)
  }

  /// Whether all bytes are the same.
  @inlinable @inline(__always)
  public static func == (a: Word, b: Word) -> Bool {
    (a.low ^ b.low) | (a.middle ^ b.middle) | (a.high ^ b.high) == 0
  }
}

/// All 8 bytes with `a`…`z` made `A`…`Z`; all others, also those above 127, stay.
@inlinable @inline(__always)
func uppercase(_ word: UInt64) -> UInt64 {
  let seven = word & 0x7F7F_7F7F_7F7F_7F7F
  // Bit 7 of a byte says: at least `a`; above `z`.
  let fromA = seven &+ 0x1F1F_1F1F_1F1F_1F1F
  let afterZ = seven &+ 0x0505_0505_0505_0505
  let isLower = (fromA & ~afterZ & ~word) & 0x8080_8080_8080_8080
  return word ^ (isLower >> 2)
}

extension RawSpan {
  /// Up to 8 bytes in upper case, the first in the low bits; 0 if there are none or more than 8. For a first `switch` over command names.
  @inlinable @inline(__always)
  public func packedUppercase() -> UInt64 {
    byteCount > 8 ? 0 : uppercase(word(at: 0, count: byteCount))
  }

  /// Whether these bytes are this word, whatever the case of their letters.
  @inlinable @inline(__always)
  public func equals(ignoringCase word: Word) -> Bool {
    guard let own = Word(self) else { return false }
    return own == word
  }

  /// Whether both have the same bytes.
  @inlinable
  public func equals(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    var offset = 0
    while offset + 8 <= byteCount {
      if word(at: offset) != other.word(at: offset) { return false }
      offset += 8
    }
    return word(at: offset, count: byteCount - offset)
      == other.word(at: offset, count: byteCount - offset)
  }
}
