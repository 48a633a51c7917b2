/// The name under which clients know a shard: 20 random bytes, shown as 40 hexadecimal digits,
/// the same for as long as the shard lives.
public struct NodeID: Hashable, Sendable {
  /// How many bytes an id is made from.
  public static let byteCount = 20

  /// Bytes 0 to 7, the first one on top.
  let first: UInt64
  /// Bytes 8 to 15.
  let second: UInt64
  /// Bytes 16 to 19.
  let third: UInt32

  /// The id made of 20 bytes that were drawn elsewhere; nil if there are not 20.
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount == NodeID.byteCount else { return nil }
    first = bytes.word(at: 0)
    second = bytes.word(at: 8)
    third = bytes.half(at: 16)
  }

  /// The id written as 40 hexadecimal digits, in small letters; nil if they are not that.
  public init?(hexadecimal digits: some Collection<UInt8>) {
    guard digits.count == 2 * NodeID.byteCount else { return nil }
    var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    var position = 0
    for digit in digits {
      let value: UInt64
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt64(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = UInt64(digit - UInt8(ascii: "a") + 10)
      default: return nil
      }
      switch position {
      case 0..<16: words.0 = words.0 << 4 | value
      case 16..<32: words.1 = words.1 << 4 | value
      default: words.2 = words.2 << 4 | value
      }
      position += 1
    }
    first = words.0
    second = words.1
    third = UInt32(words.2)
  }
}

extension NodeID: CustomStringConvertible {
  /// The 40 hexadecimal digits.
  public var description: String {
    var digits: [UInt8] = []
    digits.append(self)
    return String(decoding: digits, as: UTF8.self)
  }
}
