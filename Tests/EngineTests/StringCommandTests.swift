import RESP
import Testing

@testable import Engine

@Suite struct StringCommandTests {
  @Test func expiryOfValues() throws {
    var shard = try StringShard()
    #expect(shard.run("SETEX k 10 v") == "+OK")
    #expect(shard.run("PTTL k") == ":10000")
    #expect(shard.run("GETEX k PX 500 PX 700") == "$1 v")
    #expect(shard.run("PTTL k") == ":700")
    #expect(shard.run("GETEX k EX 1 PERSIST") == "-ERR syntax error")
    #expect(shard.run("GETEX k PERSIST") == "$1 v")
    #expect(shard.run("PTTL k") == ":-1")
    #expect(shard.run("GETEX k EXAT 1") == "$1 v")
    #expect(shard.run("EXISTS k") == ":0")
    #expect(shard.run("PSETEX k 5 v") == "+OK")
    shard.advance(milliseconds: 5)
    #expect(shard.run("SETNX k w") == ":1")
    #expect(shard.run("SETEX k 0 v") == "-ERR invalid expire time in 'setex' command")
    #expect(shard.run("PSETEX k 0 v") == "-ERR invalid expire time in 'psetex' command")
    #expect(shard.run("GETSET k x") == "$1 w")
    #expect(shard.run("GETDEL k") == "$1 x")
    #expect(shard.run("GETDEL k") == "$-1")
  }

  @Test func allOrNone() throws {
    var shard = try StringShard()
    #expect(shard.run("MSETNX {t}a 1 {t}b 2 {t}a 3") == ":1")
    #expect(shard.run("MGET {t}a {t}b") == "*2 $1 3 $1 2")
    #expect(shard.run("MSETNX {t}c 1 {t}b 9") == ":0")
    #expect(shard.run("EXISTS {t}c") == ":0")
    #expect(shard.run("MSETNX {t}c").hasPrefix("-ERR wrong number of arguments for 'msetnx'"))
  }

  @Test func rangesAcrossTheApartLimit() throws {
    var shard = try StringShard()
    for end in [1, 100, 16383, 16384, 16385, 40000, 2_000_000] {
      #expect(shard.run("SETRANGE new\(end) \(end - 1) x") == ":\(end)")
      #expect(shard.run("BITCOUNT new\(end)") == ":4")
      #expect(shard.run("SETRANGE k \(end - 1) x") == ":\(end)")
      #expect(shard.run("GETRANGE k -1 -1") == "$1 x")
    }
    #expect(shard.run("BITCOUNT k") == ":28")
    #expect(shard.run("SETRANGE k 9 ") == ":2000000")
    #expect(shard.run("SETRANGE absent 9 ") == ":0")
    #expect(shard.run("EXISTS absent") == ":0")
    #expect(shard.run("GETRANGE k -1 -2") == "$0")
  }

  @Test func floatsAsTextAndBack() throws {
    for (text, shown) in [
      ("0.1", "0.1"), ("1e17", "100000000000000000"), ("5e-18", "0"),
      ("6e-18", "0.00000000000000001"),
      ("-1e-30", "0"), ("0x1p-4", "0.0625"), ("+1.50", "1.5"),
      ("18446744073709551617", "18446744073709551616"),
      (".5", "0.5"), ("5.", "5"),
    ] {
      let bytes = Array(text.utf8)
      let parsed = ExtendedFloat(bytes.span.bytes)
      let number = try #require(parsed, "\(text)")
      #expect(String(decoding: number.text, as: UTF8.self) == shown, "\(text)")
    }
    for text in [
      "", " 1", "1 ", "nan", "inf", "1e", "0x", ".", "--1", "1e4933", "1e-4951", "1\0",
      String(repeating: "1", count: 5120),
    ] {
      let bytes = Array(text.utf8)
      #expect(ExtendedFloat(bytes.span.bytes) == nil, "\(text)")
    }
    let longest = Array(("1." + String(repeating: "0", count: 5117)).utf8)
    #expect(ExtendedFloat(longest.span.bytes) != nil)
  }

  @Test func sumsOfFloats() throws {
    var shard = try StringShard()
    #expect(shard.run("INCRBYFLOAT f 0.1") == "$3 0.1")
    #expect(shard.run("INCRBYFLOAT f 0.2") == "$3 0.3")
    #expect(shard.run("INCRBYFLOAT f -0.3") == "$1 0")
    #expect(shard.run("INCRBYFLOAT f 3") == "$1 3")
    #expect(shard.run("OBJECT ENCODING f") == "$6 embstr")
    #expect(shard.run("INCR f") == ":4")
    #expect(shard.run("INCRBYFLOAT f inf") == "-ERR increment would produce NaN or Infinity")
    #expect(shard.run("INCRBYFLOAT f abc") == "-ERR value is not a valid float")
  }

  #if arch(x86_64)
    /// Beside the processor's own 80-bit numbers.
    @Test func sumsAsTheProcessorMakesThem() throws {
      var state: UInt64 = 3
      func number() -> Float80 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let exponent = Int(state >> 40 & 127) - 64
        let sign = state >> 60 & 1 == 0 ? FloatingPointSign.plus : .minus
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float80(
          sign: sign, exponent: exponent, significand: 1 + Float80(state) * 0x1p-64)
      }
      for _ in 0..<2000 {
        let (a, b) = (number(), number())
        let texts = [a, b, a + b].map { Self.hex($0) }
        let parsed = texts.map { ExtendedFloat($0.span.bytes) }
        let x = try #require(parsed[0])
        let y = try #require(parsed[1])
        let sum = try #require(parsed[2])
        #expect(x.adding(y) == sum, "\(a) + \(b)")
      }
    }

    private static func hex(_ value: Float80) -> [UInt8] {
      if value == 0 { return Array("0".utf8) }
      // The pattern is without the highest bit, which every normal number has.
      let digits = String(1 << 63 | value.significandBitPattern, radix: 16)
      let sign = value.sign == .minus ? "-" : ""
      return Array("\(sign)0x\(digits)p\(value.exponent - 63)".utf8)
    }
  #endif

  /// Strings of two letters, beside the textbook's table and its way back.
  @Test func commonSubsequences() throws {
    var shard = try StringShard()
    var state: UInt64 = 7
    func letter() -> UInt8 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(ascii: "a") + UInt8(state >> 33 & 1)
    }
    for length in [0, 1, 2, 5, 63, 64, 65, 130] {
      let a = (0..<length).map { _ in letter() }
      let b = (0..<(length * 2 % 131)).map { _ in letter() }
      _ = shard.run([Array("SET".utf8), Array("{t}a".utf8), a])
      _ = shard.run([Array("SET".utf8), Array("{t}b".utf8), b])
      let expected = Self.textbook(a, b)
      #expect(shard.run("LCS {t}a {t}b LEN") == ":\(expected.count)")
      let reply = shard.run("LCS {t}a {t}b")
      #expect(
        reply.hasSuffix(String(decoding: expected, as: UTF8.self)), "\(length)")
    }
    _ = shard.run("SET {t}a ohmytext")
    _ = shard.run("SET {t}b mynewtext")
    #expect(
      shard.run("LCS {t}a {t}b IDX MINMATCHLEN 4 WITHMATCHLEN")
        == "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6")
  }

  private static func textbook(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
    var table = [[Int]](
      repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
    for i in a.indices {
      for j in b.indices {
        table[i + 1][j + 1] =
          a[i] == b[j] ? table[i][j] + 1 : max(table[i][j + 1], table[i + 1][j])
      }
    }
    var found: [UInt8] = []
    var (i, j) = (a.count, b.count)
    while i > 0 && j > 0 {
      if a[i - 1] == b[j - 1] {
        (i, j) = (i - 1, j - 1)
        found.append(a[i])
      } else if table[i - 1][j] > table[i][j - 1] {
        i -= 1
      } else {
        j -= 1
      }
    }
    return found.reversed()
  }

  @Test func commonSubsequenceLimit() throws {
    // 4 bytes for each of the textbook's (n + 1) × (m + 1) cells.
    var shard = try StringShard { $0.protoMaxBulkLength = 1 << 20 }
    _ = shard.run("SETRANGE {t}a 510 x")
    _ = shard.run("SETRANGE {t}b 510 x")
    #expect(shard.run("LCS {t}a {t}b LEN") == ":511")
    _ = shard.run("APPEND {t}b x")
    #expect(shard.run("LCS {t}a {t}b LEN").hasPrefix("-ERR Insufficient memory, transient"))
  }
}
