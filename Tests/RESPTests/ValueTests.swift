import RESP
import Testing

/// Integers and words as arguments.
@Suite struct ValueTests {
  func integer(_ text: String) -> Int64? { Array(text.utf8).integer }

  @Test func integers() {
    for value in ReplyTests.edges { #expect(integer(String(value)) == value) }
    for text in [
      "", "-", "+1", "01", "-01", "-0", "00", " 1", "1 ", "1.0", "1e3", "0x1", "--1", "1-", "９",
      "a", "1a", "/", ":", "\0", "1\0",
      "9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999",
      "-99999999999999999999",
      "100000000000000000000", "922337203685477580800",
    ] { #expect(integer(text) == nil, "\(text)") }
  }

  @Test func words() {
    let text = "keepTTL-keepTTL-keepTTL"
    for count in 0...23 {
      let prefix = Array(text.utf8.prefix(count))
      let word = prefix.word
      #expect(word != nil)
      #expect(word == Array(String(text.prefix(count)).uppercased().utf8).word)
      #expect(prefix.packedUppercase == (count > 8 ? 0 : word?.low))
      // One byte changed is another word.
      for index in 0..<count {
        var other = prefix
        other[index] = UInt8(ascii: "_")
        #expect(other.word != word)
      }
      #expect(count == 23 || (prefix + [0]).word != word)
    }
    #expect(Array("123456789012345678901234".utf8).word == nil)
    #expect(Array("get".utf8).equals(ignoringCase: "GET"))
    #expect(Array("GeorADIUSbymember_ro".utf8).equals(ignoringCase: "GEORADIUSBYMEMBER_RO"))
    #expect(!Array("get".utf8).equals(ignoringCase: "GETX"))
    #expect(Word("count-failure-reports") == Array("COUNT-FAILURE-REPORTS".utf8).word)
  }

  /// Every byte in every place: letters change case, nothing else does.
  @Test func upperCase() {
    for place in 0..<8 {
      for byte in UInt8.min...UInt8.max {
        var bytes = [UInt8](repeating: 48, count: 8)
        bytes[place] = byte
        let upper = (97...122 ~= byte) ? byte - 32 : byte
        let packed = bytes.packedUppercase
        #expect(UInt8(truncatingIfNeeded: packed >> UInt64(8 * place)) == upper)
      }
    }
  }

  @Test func loads() {
    let bytes = (1...20).map { UInt8($0) }
    for offset in 0..<12 {
      for count in 0...8 {
        var expected: UInt64 = 0
        for index in 0..<count { expected |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        let loaded = bytes.span.bytes.extracting(offset..<(offset + count)).word(
          at: 0, count: count)
        #expect(loaded == expected)
      }
    }
  }

  @Test func equality() {
    for count in 0..<40 {
      let bytes = (0..<count).map { UInt8($0) }
      #expect(bytes.equals(bytes))
      #expect(!bytes.equals(bytes + [0]))
      for index in 0..<count {
        var other = bytes
        other[index] ^= 128
        #expect(!bytes.equals(other))
      }
    }
  }
}
