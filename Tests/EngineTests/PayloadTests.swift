import RESP
import Storage
import Testing
import Transcript

@testable import Engine

/// Payloads of DUMP: checksum, compression, every form of a string, and whatever anybody may send instead.
@Suite struct PayloadTests {
  private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

  private func payload(_ bytes: [UInt8]) -> [UInt8] {
    var compressor = LZFCompressor()
    return StringPayload.payload(of: bytes.rawBytes, &compressor)
  }

  /// What a payload says, as a string; nil if it says nothing.
  private func content(_ payload: [UInt8], limit: Int = 1 << 29) -> [UInt8]? {
    switch StringPayload.content(of: payload.rawBytes, limit: limit) {
    case .integer(let value): text(String(value))
    case .part(let offset, let count): Array(payload[offset..<(offset + count)])
    case .bytes(let bytes): bytes
    case nil: nil
    }
  }

  private func footed(_ body: [UInt8], version: UInt16 = 10) -> [UInt8] {
    var payload = body + [UInt8(version & 0xFF), UInt8(version >> 8)]
    let checksum = CRC64.checksum(payload.rawBytes)
    for i in 0..<8 { payload.append(UInt8(truncatingIfNeeded: checksum >> UInt64(8 * i))) }
    return payload
  }

  /// Strings of one sort each by their number.
  private func sample(_ draw: inout Draw) -> [UInt8] {
    let count = [0, 1, 19, 20, 21, 22, 23, 33, 64, 300, 5000, 20000][draw.below(12)]
    let letters = [1, 2, 3, 256][draw.below(4)]
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: 97 + draw.below(letters)) }
  }

  /// A time to live beyond all time is an error, and the key stays as it was; so is one of SET, EXPIRE and their kin.
  @Test func timesBeyondTheClock() throws {
    var rig = try Rig()
    rig.expect("SET k v => +OK")
    let payload = payload(text("w"))
    for ttl in ["9223372036854775807", "9223372036854774807"] {
      rig.send(
        request(words("RESTORE k \(ttl)") + [payload, text("REPLACE")]),
        from: rig.client)
      #expect(rig.shownReplies(to: rig.client) == "-ERR Invalid TTL value, must be >= 0")
    }
    for line in [
      "SET k w EX 9223372036854775807", "SET k w PX 9223372036854775807",
      "SETEX k 9223372036854775807 w",
      "PSETEX k 9223372036854775807 w", "EXPIRE k 9223372036854775807",
      "PEXPIRE k 9223372036854775807",
      "GETEX k PX 9223372036854775807",
    ] {
      rig.expect("\(line) => -ERR invalid expire time in …")
    }
    rig.expect("GET k => \"v\"\nTTL k => :-1")
  }

  /// While clients are paused nothing is removed of itself.
  @Test func dataStandStillInAPause() throws {
    var rig = try Rig()
    let other = try rig.connect(to: 0)
    rig.expect("SET k 1 PX 50 => +OK\nCLIENT PAUSE 800 WRITE => +OK")
    rig.setTime(rig.engine.milliseconds + 400)
    rig.engine.tick()
    while rig.housekeep() {}
    rig.expect("DBSIZE => :1\nGET k => nil", from: other)
    rig.setTime(rig.engine.milliseconds + 800)
    rig.engine.tick()
    while rig.housekeep() {}
    rig.expect("DBSIZE => :0")
  }

  @Test func silentMonitorsStay() throws {
    var rig = try Rig()
    rig.send(request(words("CONFIG SET timeout 1")), from: rig.client)
    rig.engine.applyOwnControls()
    let (monitor, idle) = (try rig.connect(to: 0), try rig.connect(to: 0))
    rig.expect("MONITOR => +OK", from: monitor)
    rig.setTime(rig.engine.milliseconds + 5000)
    let overdue = [rig.engine.isOverdue(monitor), rig.engine.isOverdue(idle)]
    #expect(overdue == [false, true])
  }

  @Test func checksum() {
    #expect(CRC64.checksum(text("123456789").rawBytes) == 0xE9C6_D914_C4B8_D9CA)
    #expect(CRC64.checksum([UInt8]().rawBytes) == 0)
    // Bit by bit, at every length around the eight-byte step.
    var draw = Draw(seed: 1)
    for count in 0..<40 {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: draw.next()) }
      var rest: UInt64 = 0
      for byte in bytes {
        rest ^= UInt64(byte)
        for _ in 0..<8 { rest = rest >> 1 ^ (rest & 1 == 1 ? 0x95AC_9329_AC4B_C9B5 : 0) }
      }
      #expect(CRC64.checksum(bytes.rawBytes) == rest)
    }
  }

  @Test func forms() {
    #expect(payload(text("abc")) == footed([0, 3] + text("abc")))
    #expect(payload([]) == footed([0, 0]))
    #expect(payload(text("-1")) == footed([0, 0xC0, 0xFF]))
    #expect(payload(text("127")) == footed([0, 0xC0, 127]))
    #expect(payload(text("128")) == footed([0, 0xC1, 128, 0]))
    #expect(payload(text("-32768")) == footed([0, 0xC1, 0, 0x80]))
    #expect(payload(text("32768")) == footed([0, 0xC2, 0, 0x80, 0, 0]))
    #expect(payload(text("2147483647")) == footed([0, 0xC2, 0xFF, 0xFF, 0xFF, 0x7F]))
    #expect(payload(text("2147483648")) == footed([0, 10] + text("2147483648")))
    #expect(payload(text("01")) == footed([0, 2] + text("01")))
    let twenty = [UInt8](repeating: 97, count: 20)
    #expect(payload(twenty) == footed([0, 20] + twenty))
    #expect(payload([UInt8](repeating: 97, count: 21)).count < 21)
    for count in [63, 64, 16383, 16384, 70000] {
      var draw = Draw(seed: UInt64(count))
      let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: draw.next()) }
      let head: [UInt8] =
        count < 64
        ? [UInt8(count)]
        : count < 16384
          ? [UInt8(0x40 | count >> 8), UInt8(count & 0xFF)]
          : [0x80, 0, UInt8(count >> 16), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
      #expect(payload(noise) == footed([0] + head + noise))
    }
  }

  @Test func everythingComesBack() {
    var draw = Draw(seed: 7)
    var compressor = LZFCompressor()
    var compressed = 0
    for _ in 0..<300 {
      let bytes = sample(&draw)
      // One compressor for all: what it remembers of earlier strings must not show.
      let found = StringPayload.payload(of: bytes.rawBytes, &compressor)
      #expect(found == payload(bytes))
      #expect(hasGoodFooter(found))
      #expect(content(found) == bytes)
      if found[1] == 0xC3 {
        compressed += 1
        #expect(found.count < bytes.count + 20)
      }
    }
    #expect(compressed > 30)
  }

  @Test func lengthsOfEveryForm() {
    let abc = text("abc")
    for head: [UInt8] in [[3], [0x40, 3], [0x80, 0, 0, 0, 3], [0x81, 0, 0, 0, 0, 0, 0, 0, 3]] {
      #expect(content(footed([0] + head + abc)) == abc)
      #expect(content(footed([0, 0xC3] + [4] + head + [2] + abc)) == abc)
    }
    #expect(content(footed([0, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 3] + abc)) == nil)
    #expect(content(footed([0, 0x82] + abc)) == nil)
    #expect(content(footed([0, 0xC4] + abc)) == nil)
    #expect(content(footed([1, 3] + abc)) == nil)
  }

  @Test func limits() {
    let abc = text("abc")
    #expect(content(footed([0, 3] + abc), limit: 3) == abc)
    #expect(content(footed([0, 3] + abc), limit: 2) == nil)
    #expect(content(footed([0, 0xC3, 4, 3, 2] + abc), limit: 3) == abc)
    #expect(content(footed([0, 0xC3, 4, 3, 2] + abc), limit: 2) == nil)
    // A string may reach to the end of the footer, and no further.
    #expect(content(footed([0, 10])) != nil)
    #expect(content(footed([0, 11])) == nil)
    // Claimed lengths allocate nothing.
    #expect(content(footed([0, 0x81, 0x7F] + [UInt8](repeating: 0xFF, count: 7))) == nil)
    #expect(content(footed([0, 0xC3, 4, 0x80, 0x1F, 0xFF, 0xFF, 0xFF, 2] + abc)) == nil)
    #expect(LZF.decompress([0, 97, 0xE0, 0xFF, 0].rawBytes, count: 265)?.count == 265)
    #expect(LZF.decompress([0, 97, 0xE0, 0xFF, 0].rawBytes, count: 264) == nil)
    #expect(LZF.decompress([0, 97, 0xE0, 0xFF, 0].rawBytes, count: 266) == nil)
    #expect(LZF.decompress([0x20, 0].rawBytes, count: 3) == nil)
  }

  private func hasGoodFooter(_ payload: [UInt8]) -> Bool {
    StringPayload.hasGoodFooter(payload.rawBytes)
  }

  @Test func footers() {
    let good = payload(text("abc"))
    #expect(hasGoodFooter(good))
    for version: UInt16 in [0, 9, 10, 11] {
      #expect(hasGoodFooter(footed([0, 1, 97], version: version)))
    }
    for version: UInt16 in [12, 256, 65535] {
      #expect(!hasGoodFooter(footed([0, 1, 97], version: version)))
    }
    for i in good.indices {
      for bit in 0..<8 {
        var bad = good
        bad[i] ^= 1 << UInt8(bit)
        #expect(!hasGoodFooter(bad))
      }
      #expect(!hasGoodFooter(Array(good[..<i])))
    }
    #expect(content(footed([])) == nil)
  }

  /// Whatever comes is read without a trap, and never becomes more than the compression can say.
  @Test func noise() {
    var draw = Draw(seed: 3)
    for _ in 0..<3000 {
      var bytes = payload(sample(&draw))
      bytes = Array(bytes.prefix(400))
      for _ in 0...draw.below(3) {
        bytes[draw.below(bytes.count)] = UInt8(truncatingIfNeeded: draw.next())
      }
      if draw.below(3) == 0 { bytes = Array(bytes.prefix(draw.below(bytes.count))) }
      _ = StringPayload.hasGoodFooter(bytes.rawBytes)
      if let found = content(bytes) { #expect(found.count <= bytes.count * LZF.mostExpansion) }
    }
  }
}
