internal import RESP

// What DUMP gives and RESTORE takes: a value as it stands in an RDB file, with a footer.
//
//   +------+---------------------+------------------+-----------------------------+
//   | type |  value              | version, 2 bytes | CRC-64 of all before it, 8  |      both little-endian
//   +------+---------------------+------------------+-----------------------------+
//
// A string (type 0) begins with a length, or with what stands in its place:
//
//   00nnnnnn                         n bytes follow
//   01nnnnnn nnnnnnnn                the same, big-endian
//   10000000 n (4 bytes)             the same, big-endian
//   10000001 n (8 bytes)             the same, big-endian
//   11000000, 11000001, 11000010     an integer of 1, 2 or 4 bytes, little-endian
//   11000011 length, length          compressed bytes follow; the lengths are theirs and the string's
//
// Integers are written so if they fit 4 bytes, strings of more than 20 bytes compressed if that saves 4. Written is
// version 10 (Redis 7.0), which Redis from 7.0 on reads; read is everything up to version 11 (Redis 7.2).

/// A payload of DUMP for a string.
enum StringPayload {
  /// The version that is written.
  static let version: UInt8 = 10
  /// The newest version that is read.
  static let newestVersion = 11
  /// Version and checksum.
  static let footerByteCount = 10
  /// Strings up to this length are not compressed.
  static let uncompressedLimit = 20

  private static let stringType: UInt8 = 0
  private static let compressedMark: UInt8 = 0xC3

  /// What a payload says.
  enum Content {
    case integer(Int64)
    /// The bytes of the payload from an offset on.
    case part(offset: Int, count: Int)
    case bytes([UInt8])
  }

  // MARK: Writing

  /// The payload for a string. O(bytes).
  static func payload(of bytes: RawSpan, _ compressor: inout LZFCompressor) -> [UInt8] {
    var payload = [stringType]
    if bytes.byteCount <= 11, let value = bytes.integer(), let small = Int32(exactly: value) {
      append(small, to: &payload)
    } else if bytes.byteCount > uncompressedLimit, compressor.isEnabled,
      let packed = compressor.compress(bytes, limit: bytes.byteCount - 4)
    {
      payload.reserveCapacity(packed.count + 32)
      payload.append(compressedMark)
      append(length: packed.count, to: &payload)
      append(length: bytes.byteCount, to: &payload)
      payload += packed
    } else {
      payload.reserveCapacity(bytes.byteCount + 32)
      append(length: bytes.byteCount, to: &payload)
      for i in 0..<bytes.byteCount { payload.append(bytes.byte(at: i)) }
    }
    payload += [version, 0]
    append(littleEndian: CRC64.checksum(payload.rawBytes), count: 8, to: &payload)
    return payload
  }

  private static func append(_ value: Int32, to payload: inout [UInt8]) {
    let bits = UInt64(truncatingIfNeeded: value)
    if Int8(exactly: value) != nil {
      payload.append(0xC0)
      append(littleEndian: bits, count: 1, to: &payload)
    } else if Int16(exactly: value) != nil {
      payload.append(0xC1)
      append(littleEndian: bits, count: 2, to: &payload)
    } else {
      payload.append(0xC2)
      append(littleEndian: bits, count: 4, to: &payload)
    }
  }

  private static func append(littleEndian bits: UInt64, count: Int, to payload: inout [UInt8]) {
    for i in 0..<count { payload.append(UInt8(truncatingIfNeeded: bits >> UInt64(8 * i))) }
  }

  private static func append(length: Int, to payload: inout [UInt8]) {
    let count: Int
    if length < 64 {
      payload.append(UInt8(length))
      return
    } else if length < 1 << 14 {
      payload.append(UInt8(0x40 | length >> 8))
      count = 1
    } else if length <= Int(UInt32.max) {
      payload.append(0x80)
      count = 4
    } else {
      payload.append(0x81)
      count = 8
    }
    for i in (0..<count).reversed() { payload.append(UInt8(truncatingIfNeeded: length >> (8 * i))) }
  }

  // MARK: Reading

  /// Whether the footer is one that we read, and right.
  static func hasGoodFooter(_ payload: RawSpan) -> Bool {
    guard payload.byteCount >= footerByteCount else { return false }
    let end = payload.byteCount - 8
    let version = Int(payload.byte(at: end - 2)) | Int(payload.byte(at: end - 1)) << 8
    return version <= newestVersion
      && CRC64.checksum(payload.extracting(0..<end)) == payload.word(at: end)
  }

  /// What a payload says whose footer is good; nil if it is no string, or longer than `limit`. As in Redis the value may
  /// reach into the footer, and what stands behind it is nobody's business.
  static func content(of payload: RawSpan, limit: Int) -> Content? {
    guard payload.byteCount > 1, payload.byte(at: 0) == stringType else { return nil }
    var offset = 1
    switch payload.byte(at: 1) {
    case 0xC0: return bits(payload, 2, 1).map { .integer(Int64(Int8(truncatingIfNeeded: $0))) }
    case 0xC1: return bits(payload, 2, 2).map { .integer(Int64(Int16(truncatingIfNeeded: $0))) }
    case 0xC2: return bits(payload, 2, 4).map { .integer(Int64(Int32(truncatingIfNeeded: $0))) }
    case 0xC4...: return nil
    case compressedMark:
      offset = 2
      guard let packed = length(payload, &offset), let count = length(payload, &offset),
        packed <= payload.byteCount - offset, count <= limit
      else { return nil }
      // Redis takes the error of a string that claims to be empty for its length.
      if count == 0 { return .bytes([]) }
      let input = payload.extracting(offset..<(offset + packed))
      return LZF.decompress(input, count: count).map { .bytes($0) }
    default:
      guard let count = length(payload, &offset), count <= payload.byteCount - offset,
        count <= limit
      else { return nil }
      return .part(offset: offset, count: count)
    }
  }

  /// A length, and the offset moved behind it; nil if there is none.
  private static func length(_ payload: RawSpan, _ offset: inout Int) -> Int? {
    guard offset < payload.byteCount else { return nil }
    let first = payload.byte(at: offset)
    let count: Int
    var length = 0
    switch first {
    case 0..<0x40:
      offset += 1
      return Int(first)
    case 0x40..<0x80:
      length = Int(first & 0x3F)
      count = 1
    case 0x80: count = 4
    case 0x81: count = 8
    case 0xC0...:
      // What stands for an integer's form elsewhere is a short length where only a length can be.
      offset += 1
      return Int(first & 0x3F)
    default: return nil
    }
    guard offset + count < payload.byteCount else { return nil }
    if count == 8, payload.byte(at: offset + 1) >= 0x80 { return nil }
    for i in 1...count { length = length << 8 | Int(payload.byte(at: offset + i)) }
    offset += count + 1
    return length
  }

  /// So many bytes, little-endian; nil if they are not there.
  private static func bits(_ payload: RawSpan, _ offset: Int, _ count: Int) -> UInt64? {
    offset + count <= payload.byteCount ? payload.word(at: offset, count: count) : nil
  }
}
