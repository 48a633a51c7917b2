import RESP
import Testing

@Suite struct ReplyTests {
  /// What was written, as text.
  func written(_ write: (inout ByteReplies) -> Void) -> String {
    var replies = ByteReplies()
    write(&replies)
    return String(decoding: replies.bytes, as: UTF8.self)
  }

  @Test func bothVersions() {
    for version in [RESPVersion.two, .three] {
      let three = version == .three
      #expect(written { $0.null(version) } == (three ? "_\r\n" : "$-1\r\n"))
      #expect(written { $0.nullArray(version) } == (three ? "_\r\n" : "*-1\r\n"))
      #expect(written { $0.mapHeader(7, version) } == (three ? "%7\r\n" : "*14\r\n"))
      #expect(written { $0.setHeader(12, version) } == (three ? "~12\r\n" : "*12\r\n"))
      #expect(written { $0.pushHeader(3, version) } == (three ? ">3\r\n" : "*3\r\n"))
      #expect(written { $0.attributeHeader(3, version) } == (three ? "|3\r\n" : ""))
      #expect(written { $0.boolean(true, version) } == (three ? "#t\r\n" : ":1\r\n"))
      #expect(written { $0.boolean(false, version) } == (three ? "#f\r\n" : ":0\r\n"))
      #expect(written { $0.double(1.5, version) } == (three ? ",1.5\r\n" : "$3\r\n1.5\r\n"))
      let text = Array("some text".utf8)
      #expect(
        written { $0.verbatim(text.span.bytes, version) }
          == (three ? "=13\r\ntxt:some text\r\n" : "$9\r\nsome text\r\n"))
      let digits = Array("12345678901234567890".utf8)
      #expect(
        written { $0.bigNumber(digits.span.bytes, version) }
          == (three ? "(12345678901234567890\r\n" : "$20\r\n12345678901234567890\r\n"))
    }
    #expect(written { $0.ok() } == "+OK\r\n")
    #expect(written { $0.simple("PONG") } == "+PONG\r\n")
    #expect(written { $0.error("ERR syntax error") } == "-ERR syntax error\r\n")
    #expect(written { $0.error(text: "ERR a\r\nb") } == "-ERR a  b\r\n")
    let forged = Array("ERR a\r\n+OK\r\n".utf8)
    #expect(written { $0.error(forged.span.bytes) } == "-ERR a  +OK  \r\n")
    #expect(written { $0.bulk("constant") } == "$8\r\nconstant\r\n")
    #expect(written { $0.bulk("") } == "$0\r\n\r\n")
    #expect(written { $0.bulk(text: "é") } == "$2\r\né\r\n")
    #expect(written { $0.emptyArray() } == "*0\r\n")
    #expect(
      written { $0.protocolError(ProtocolError(.invalidBulkLength)) }
        == "-ERR Protocol error: invalid bulk length\r\n")
  }

  /// Integers around every power of ten and of two.
  static let edges: [Int64] = {
    var edges: Set<Int64> = [0, .max, .min, .min + 1]
    var power: Int64 = 1
    for _ in 0..<18 {
      power *= 10
      for edge in power - 1...power + 1 { edges.formUnion([edge, -edge]) }
    }
    for bit in 0..<63 {
      for edge in (Int64(1) << bit) - 1...(1 << bit) { edges.formUnion([edge, -edge]) }
    }
    return edges.sorted()
  }()

  @Test func integers() {
    var random = Random(state: 7)
    var values = Self.edges + (0...10_000).map { Int64($0) }
    for _ in 0..<10_000 {
      values.append(Int64(bitPattern: random.next()) >> Int64(random.next() % 64))
    }
    for value in values {
      let text = String(value)
      let outcome = written { $0.integer(value) }
      if outcome != ":\(text)\r\n" { Issue.record("\(value): \(outcome)") }
      let bulk = written { $0.bulk(integer: value) }
      if bulk != "$\(text.utf8.count)\r\n\(text)\r\n" { Issue.record("\(value): \(bulk)") }
    }
  }

  @Test func counts() {
    for count in [
      0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 9999, 10_000, 99_999, 100_000, 100_001, 999_999,
      12_345_678, 123_456_789, Int(Int32.max),
    ] {
      #expect(written { $0.arrayHeader(count) } == "*\(count)\r\n")
    }
  }

  @Test func bulksOfEveryLength() {
    let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    var replies = ByteReplies()
    for count in Array(0...1100) + [4095, 4096, 4097, 9_999, 10_000, 65_536, 70_000] {
      replies.removeAll()
      replies.bulk(bytes.span.bytes.extracting(0..<count))
      let expected = Array("$\(count)\r\n".utf8) + bytes[..<count] + [13, 10]
      if replies.bytes != expected { Issue.record("\(count) bytes") }
    }
  }

  @Test func doubles() {
    let texts: [(Double, String)] = [
      (0, "0"), (-0.0, "-0"), (1, "1"), (-1, "-1"), (3.14, "3.14"), (0.1, "0.1"),
      (-0.001, "-0.001"), (1e15, "1000000000000000"),
      (1e17, "100000000000000000"), (4e18, "4000000000000000000"), (5e18, "5e+18"),
      (4_611_686_018_427_387_904, "4611686018427387904"), (1e21, "1e+21"), (1.5e300, "1.5e+300"),
      (1e-7, "1e-7"), (1.5e-9, "1.5e-9"), (0.000123, "0.000123"),
      (123456.789, "123456.789"), (.infinity, "inf"), (-.infinity, "-inf"), (.nan, "nan"),
      (.leastNonzeroMagnitude, "5e-324"),
      (1.7976931348623157e308, "1.7976931348623157e+308"), (17_179_869_184, "17179869184"),
      (2251799813685249.5, "2251799813685249.5"),
    ]
    for (value, text) in texts { #expect(written { $0.double(value, .three) } == ",\(text)\r\n") }
    var random = Random(state: 11)
    for _ in 0..<5000 {
      let value = Double(bitPattern: random.next())
      if value.isNaN { continue }
      let text = written { $0.double(value, .three) }.dropFirst().dropLast(1)
      if Double(String(text)) != value { Issue.record("\(value): \(text)") }
    }
  }

  @Test func parsesAllForms() throws {
    let parser = ReplyParser()
    func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    let forms: [(String, Reply)] = [
      ("+OK\r\n", .simple(bytes("OK"))), ("-ERR x\r\n", .error(bytes("ERR x"))),
      ("!5\r\nERR x\r\n", .error(bytes("ERR x"))),
      (":-12\r\n", .integer(-12)), ("$3\r\na\r\n\r\n", .bulk(bytes("a\r\n"))),
      ("$0\r\n\r\n", .bulk([])),
      ("$-1\r\n", .null), ("*-1\r\n", .null), ("_\r\n", .null), ("*0\r\n", .array([])),
      ("*2\r\n:1\r\n*1\r\n+a\r\n", .array([.integer(1), .array([.simple(bytes("a"))])])),
      ("%1\r\n+a\r\n:1\r\n", .map([.init(.simple(bytes("a")), .integer(1))])),
      ("~1\r\n:1\r\n", .set([.integer(1)])),
      (">1\r\n:1\r\n", .push([.integer(1)])),
      (
        "|1\r\n+a\r\n:1\r\n:2\r\n",
        .attributed([.init(.simple(bytes("a")), .integer(1))], .integer(2))
      ),
      ("#t\r\n", .boolean(true)), ("#f\r\n", .boolean(false)), (",1.5e3\r\n", .double(1500)),
      (",-inf\r\n", .double(-.infinity)),
      ("=5\r\ntxt:a\r\n", .verbatim(format: bytes("txt"), bytes("a"))),
      ("(-123\r\n", .bigNumber(bytes("-123"))),
    ]
    for (text, reply) in forms {
      let all = try #require(try parser.parse(bytes(text + "rest")))
      #expect(all.reply == reply)
      #expect(all.byteCount == text.utf8.count)
      for cut in 0..<text.utf8.count { #expect(try parser.parse(bytes(text).prefix(cut)) == nil) }
    }
    for text in [
      "x\r\n", "\r\n", "+a\n", "+a\rb", ":x\r\n", ":01\r\n", ":\r\n", "$-2\r\n", "$1\r\nabc",
      "*-2\r\n", "%-1\r\n", "#x\r\n", "#\r\n", ",x\r\n", ",\r\n", "_x\r\n", "=3\r\ntxt\r\n",
      "=5\r\ntxt.a\r\n", "(1a\r\n", "(-\r\n", "?1\r\n",
    ] {
      #expect(throws: ReplyParser.Failure.self, "\(text)") { try parser.parse(bytes(text)) }
    }
  }

  @Test func parserLimits() throws {
    let parser = ReplyParser(maxDepth: 4, maxByteCount: 100)
    func nested(_ depth: Int) -> [UInt8] {
      Array(String(repeating: "*1\r\n", count: depth - 1).utf8) + Array(":1\r\n".utf8)
    }
    #expect(try parser.parse(nested(3)) != nil)
    #expect(try parser.parse(nested(4)) != nil)
    #expect(throws: ReplyParser.Failure.tooDeep) { try parser.parse(nested(5)) }
    #expect(throws: ReplyParser.Failure.tooDeep) { try ReplyParser().parse(nested(100_000)) }
    for (count, isTooLarge) in [(92, false), (93, false), (94, true)] {
      // `$`, two digits and two line ends: 7 bytes more.
      let bytes = Array("$\(count)\r\n".utf8) + [UInt8](repeating: 1, count: count) + [13, 10]
      if isTooLarge {
        #expect(throws: ReplyParser.Failure.tooLarge) { try parser.parse(bytes) }
      } else {
        #expect(try parser.parse(bytes) != nil)
      }
    }
    #expect(throws: ReplyParser.Failure.tooLarge) { try parser.parse(Array("*101\r\n".utf8)) }
    #expect(try parser.parse(Array("*100\r\n".utf8)) == nil)
  }

  /// Random trees, written and parsed again.
  @Test(arguments: [RESPVersion.two, .three]) func roundTrip(version: RESPVersion) throws {
    var random = Random(state: 3)
    for _ in 0..<2000 {
      var replies = ByteReplies()
      let tree = grow(&random, depth: 4, into: &replies, version)
      let parsed = try #require(try ReplyParser().parse(replies.bytes))
      #expect(parsed.reply == tree)
      #expect(parsed.byteCount == replies.byteCount)
    }
  }

  func grow(
    _ random: inout Random, depth: Int, into replies: inout ByteReplies, _ version: RESPVersion
  ) -> Reply {
    let count = Int(random.next() % 5)
    var elements: [Reply] = []
    func element() -> Reply { grow(&random, depth: depth - 1, into: &replies, version) }
    switch random.next() % (depth > 0 ? 11 : 7) {
    case 0:
      let value = Int64(bitPattern: random.next()) >> Int64(random.next() % 64)
      replies.integer(value)
      return .integer(value)
    case 1:
      let bytes = (0..<Int(random.next() % 40)).map { _ in UInt8(truncatingIfNeeded: random.next())
      }
      replies.bulk(bytes.span.bytes)
      return .bulk(bytes)
    case 2:
      replies.null(version)
      return .null
    case 3:
      let value = random.next() % 2 == 0
      replies.boolean(value, version)
      return version == .three ? .boolean(value) : .integer(value ? 1 : 0)
    case 4:
      let value = Double(Int64(bitPattern: random.next())) / 1024
      replies.double(value, version)
      guard version == .two else { return .double(value) }
      var own = ByteReplies()
      own.double(value, .three)
      return .bulk(Array(own.bytes.dropFirst().dropLast(2)))
    case 5:
      replies.simple("PONG")
      return .simple(Array("PONG".utf8))
    case 6:
      let text = Array("text".utf8)
      replies.verbatim(text.span.bytes, version)
      return version == .three ? .verbatim(format: Array("txt".utf8), text) : .bulk(text)
    case 7:
      replies.mapHeader(count, version)
      for _ in 0..<(2 * count) { elements.append(element()) }
      guard version == .three else { return .array(elements) }
      return .map((0..<count).map { .init(elements[2 * $0], elements[2 * $0 + 1]) })
    case 8:
      replies.setHeader(count, version)
      for _ in 0..<count { elements.append(element()) }
      return version == .three ? .set(elements) : .array(elements)
    case 9:
      replies.pushHeader(count, version)
      for _ in 0..<count { elements.append(element()) }
      return version == .three ? .push(elements) : .array(elements)
    default:
      replies.arrayHeader(count)
      for _ in 0..<count { elements.append(element()) }
      return .array(elements)
    }
  }
}
