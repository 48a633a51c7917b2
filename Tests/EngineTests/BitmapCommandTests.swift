import RESP
import Testing

@testable import Engine

@Suite struct BitmapCommandTests {
  @Test func bitsFromTheHighestOn() throws {
    var shard = try StringShard()
    #expect(shard.run("SETBIT b 7 1") == ":0")
    #expect(shard.run("SETBIT b 7 1") == ":1")
    #expect(shard.run([Array("GET".utf8), Array("b".utf8)]) == "$1 \u{1}")
    #expect(shard.run("GETBIT b 7") == ":1")
    #expect(shard.run("GETBIT b 8") == ":0")
    #expect(shard.run("GETBIT absent 0") == ":0")
    #expect(shard.run("SETBIT zero 0 0") == ":0")
    #expect(shard.run("STRLEN zero") == ":1")
  }

  @Test func anIntegerIsItsDigits() throws {
    var shard = try StringShard()
    #expect(shard.run("SET n 10") == "+OK")
    #expect(shard.run("BITCOUNT n") == ":5")
    #expect(shard.run("GETBIT n 2") == ":1")
    #expect(shard.run("SETBIT n 15 1") == ":0")
    #expect(shard.run("GET n") == "$2 11")
    #expect(shard.run("OBJECT ENCODING n") == "$3 raw")
  }

  @Test func aPlaceAtTheLongestStringsEnd() throws {
    var shard = try StringShard { $0.protoMaxBulkLength = 1 << 20 }
    let outside = "-ERR bit offset is not an integer or out of range"
    #expect(shard.run("SETBIT b 8388607 1") == ":0")
    #expect(shard.run("STRLEN b") == ":1048576")
    #expect(shard.run("SETBIT b 8388608 1") == outside)
    #expect(shard.run("GETBIT b 8388608") == outside)
    #expect(shard.run("SETBIT b -1 1") == outside)
    #expect(shard.run("BITPOS b 1") == ":8388607")
    #expect(shard.run("SETRANGE b 1048576 x").hasPrefix("-ERR string exceeds"))
    #expect(shard.run("SETRANGE b 1048575 x") == ":1048576")
  }

  /// Every range of a string of some words, beside a count bit by bit.
  @Test func everyRange() throws {
    var bytes = (0..<21).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 5) }
    bytes += [0xff, 0xff, 0, 0]
    let span = bytes.span.bytes
    func bit(_ i: Int) -> Bool { bytes[i >> 3] >> (7 - UInt8(i & 7)) & 1 == 1 }
    let count = 8 * bytes.count
    for start in 0..<count {
      var ones = 0
      var first: [Bool: Int] = [:]
      for end in start..<count {
        ones += bit(end) ? 1 : 0
        if first[bit(end)] == nil { first[bit(end)] = end }
        #expect(span.countOnes(in: start..<end + 1) == ones)
        #expect(span.firstBit(true, in: start..<end + 1) == first[true])
        #expect(span.firstBit(false, in: start..<end + 1) == first[false])
      }
    }
  }

  /// Every width at every place: what is written is read, and nothing beside it changes.
  @Test func everyField() {
    for width in 1...64 {
      for offset in 0..<16 {
        for fill: UInt8 in [0, 0xff] {
          var bytes = [UInt8](repeating: fill, count: 11)
          let value: UInt64 = 0x9E37_79B9_7F4A_7C15 & .ones(width)
          var mutable = bytes.mutableSpan
          var raw = mutable.mutableBytes
          raw.setBits(at: offset, count: width, to: value)
          let span = bytes.span.bytes
          #expect(span.bits(at: offset, count: width) == value)
          #expect(span.countOnes(in: 0..<offset) == (fill == 0 ? 0 : offset))
          let behind = 88 - offset - width
          #expect(span.countOnes(in: offset + width..<88) == (fill == 0 ? 0 : behind))
        }
      }
    }
  }

  @Test func clearBitsBehindTheEnd() throws {
    var shard = try StringShard()
    _ = shard.run([Array("SET".utf8), Array("f".utf8), [0xff, 0xff]])
    #expect(shard.run("BITPOS f 0") == ":16")
    #expect(shard.run("BITPOS f 0 1") == ":16")
    #expect(shard.run("BITPOS f 0 0 -1") == ":-1")
    #expect(shard.run("BITPOS f 0 2") == ":-1")
    #expect(shard.run("BITPOS f 1 9 12 BIT") == ":9")
    #expect(shard.run("BITPOS absent 0 9") == ":0")
    #expect(shard.run("BITPOS absent 1") == ":-1")
  }

  @Test func operations() throws {
    var shard = try StringShard()
    _ = shard.run("SET {t}a abcdefghijk")
    _ = shard.run("SET {t}b ab")
    #expect(shard.run("BITOP AND {t}d {t}a {t}b") == ":11")
    #expect(shard.run("BITCOUNT {t}d") == ":6")
    #expect(shard.run("BITOP XOR {t}d {t}a {t}a") == ":11")
    #expect(shard.run("BITCOUNT {t}d") == ":0")
    #expect(shard.run("BITOP OR {t}b {t}a {t}b {t}absent") == ":11")
    #expect(shard.run("GET {t}b") == "$11 abcdefghijk")
    #expect(shard.run("OBJECT ENCODING {t}b") == "$3 raw")
    #expect(shard.run("BITOP NOT {t}d {t}absent") == ":0")
    #expect(shard.run("EXISTS {t}d") == ":0")
    #expect(shard.run("BITOP AND {t}d other").hasPrefix("-CROSSSLOT"))
  }

  @Test func largeOperationIsNotKeptTwice() throws {
    var shard = try StringShard()
    _ = shard.run("SETBIT {t}a 800000 1")
    let before = shard.byteCount
    #expect(shard.run("BITOP NOT {t}a {t}a") == ":100001")
    #expect(shard.run("BITCOUNT {t}a") == ":800007")
    #expect(shard.byteCount <= before + 64)
    #expect(shard.run("DEL {t}a") == ":1")
    #expect(shard.byteCount == 0)
  }

  @Test func fieldsThatOverflow() throws {
    var shard = try StringShard()
    #expect(shard.run("BITFIELD f SET u8 0 255 GET u8 0 GET i8 0") == "*3 :0 :255 :-1")
    #expect(shard.run("BITFIELD f INCRBY u8 0 10") == "*1 :9")
    #expect(
      shard.run("BITFIELD f OVERFLOW SAT INCRBY u8 0 -10 OVERFLOW FAIL INCRBY u8 0 -1")
        == "*2 :0 $-1")
    #expect(
      shard.run("BITFIELD f OVERFLOW SAT SET i64 #1 9223372036854775807 INCRBY i64 #1 1")
        == "*2 :0 :9223372036854775807")
    #expect(shard.run("BITFIELD f OVERFLOW SAT SET u63 0 -1 GET u63 0").hasSuffix("775807"))
    #expect(shard.run("BITFIELD_RO f GET u4 #1 OVERFLOW SAT").hasPrefix("*1"))
    #expect(shard.run("BITFIELD_RO f SET u4 0 1").hasPrefix("-ERR BITFIELD_RO only"))
    #expect(shard.run("BITFIELD f GET u64 0").hasPrefix("-ERR Invalid bitfield type."))
    #expect(shard.run("BITFIELD f GET u8 #9223372036854775807").hasPrefix("-ERR bit offset"))
    #expect(shard.run("BITFIELD f") == "*0")
  }
}
