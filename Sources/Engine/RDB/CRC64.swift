internal import RESP

/// The checksum of RDB files and DUMP payloads: CRC-64 with Jones's polynomial, bits reflected, beginning and ending with 0.
///
/// Eight bytes a step: table k holds what a byte does to the remainder when k more bytes follow it.
enum CRC64 {
  /// 0xad93d23594c935a9 with its bits in reverse.
  private static let polynomial: UInt64 = 0x95AC_9329_AC4B_C9B5

  /// Eight tables of 256 remainders, one behind the other.
  private static let tables: [UInt64] = {
    var tables = [UInt64](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var rest = UInt64(byte)
      for _ in 0..<8 { rest = rest >> 1 ^ (rest & 1 == 1 ? polynomial : 0) }
      tables[byte] = rest
    }
    for i in 256..<(8 * 256) {
      let before = tables[i - 256]
      tables[i] = before >> 8 ^ tables[Int(before & 0xFF)]
    }
    return tables
  }()

  /// The checksum of these bytes. O(bytes).
  static func checksum(_ bytes: RawSpan) -> UInt64 {
    let tables = tables
    let count = bytes.byteCount
    var rest: UInt64 = 0
    var offset = 0
    while offset + 8 <= count {
      rest ^= bytes.word(at: offset)
      var next: UInt64 = 0
      for i in 0..<8 {
        next ^= tables[(7 - i) << 8 | Int(truncatingIfNeeded: rest >> UInt64(8 * i)) & 0xFF]
      }
      rest = next
      offset += 8
    }
    while offset < count {
      rest =
        rest >> 8 ^ tables[Int(truncatingIfNeeded: rest ^ UInt64(bytes.byte(at: offset))) & 0xFF]
      offset += 1
    }
    return rest
  }
}
