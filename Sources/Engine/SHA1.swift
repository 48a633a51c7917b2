// SHA-1 (FIPS 180-4), for figures that must be Redis's own: DEBUG DIGEST. Nothing here is secret, and nothing depends on its strength.

/// Twenty bytes made of any bytes.
struct SHA1: Equatable {
  /// The five words of the digest.
  private(set) var words: InlineArray<5, UInt32>

  /// No bit set: what digests are mixed into.
  static let zero = SHA1(words: InlineArray(repeating: 0))

  private init(words: InlineArray<5, UInt32>) { self.words = words }

  /// The digest of these bytes. O(bytes).
  init(_ bytes: [UInt8]) {
    words = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    var padded = bytes + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    for shift in stride(from: 56, through: 0, by: -8) {
      padded.append(UInt8(truncatingIfNeeded: (bytes.count * 8) >> shift))
    }
    for start in stride(from: 0, to: padded.count, by: 64) { add(padded, start) }
  }

  /// One block of 64 bytes.
  private mutating func add(_ bytes: [UInt8], _ start: Int) {
    var schedule = InlineArray<80, UInt32>(repeating: 0)
    for t in 0..<16 {
      for i in 0..<4 { schedule[t] = schedule[t] << 8 | UInt32(bytes[start + 4 * t + i]) }
    }
    for t in 16..<80 {
      let mixed = schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16]
      schedule[t] = mixed << 1 | mixed >> 31
    }
    var (a, b, c, d, e) = (words[0], words[1], words[2], words[3], words[4])
    for t in 0..<80 {
      let (mixed, constant): (UInt32, UInt32) =
        switch t {
        case 0..<20: (b & c | ~b & d, 0x5A82_7999)
        case 20..<40: (b ^ c ^ d, 0x6ED9_EBA1)
        case 40..<60: (b & c | b & d | c & d, 0x8F1B_BCDC)
        default: (b ^ c ^ d, 0xCA62_C1D6)
        }
      let sum = (a << 5 | a >> 27) &+ mixed &+ e &+ constant &+ schedule[t]
      (e, d, c, b, a) = (d, c, b << 30 | b >> 2, a, sum)
    }
    words[0] &+= a
    words[1] &+= b
    words[2] &+= c
    words[3] &+= d
    words[4] &+= e
  }

  /// Lays the digest of these bytes over this one: in any order, the result is the same.
  mutating func lay(_ bytes: [UInt8]) {
    let other = SHA1(bytes)
    for i in 0..<5 { words[i] ^= other.words[i] }
  }

  /// Lays the digest of these bytes over this one, and takes the digest of that: the order counts.
  mutating func mix(_ bytes: [UInt8]) {
    lay(bytes)
    self = SHA1(self.bytes)
  }

  /// The twenty bytes.
  var bytes: [UInt8] {
    (0..<20).map { UInt8(truncatingIfNeeded: words[$0 / 4] >> UInt32(24 - 8 * ($0 % 4))) }
  }

  /// Forty hexadecimal digits.
  var text: String {
    let digits = Array("0123456789abcdef".utf8)
    let all = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: all, as: UTF8.self)
  }

  static func == (a: SHA1, b: SHA1) -> Bool { (0..<5).allSatisfy { a.words[$0] == b.words[$0] } }
}
