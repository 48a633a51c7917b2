import RESP
import Testing

/// Short inputs: fed whole, with every cut, with every pair of cuts, byte by byte.
let shortInputs: [[UInt8]] =
  [
    request("GET", "k") + request("SET", "key", "value") + request("PING"),
    request("SET", "0123456789abcdef", String(repeating: "v", count: 123)),
    request("SET", "", ""), request([[], [0, 13, 10, 255], Array("*1\r\n".utf8)]),
  ]
  + [
    "PING\r\n", "PING\nPING\n", "\r\n \r\n\n*0\r\n*-1\r\n*-5\r\nPING\r\n",
    "ECHO \"a\\x41\\n\\q\\\\\" 'a\\'b\\n' a\"b c\" \"\" ''\r\n",
    "\u{b}ECHO a\u{b}b\u{c} \"x\"\u{b}y\n",
    "ECHO \"\\x4\" \"\\xzz\" \\x41\n", "a\rb \r\r\n", "PI\0NG \0\r\n",
    "SET a b\r\n*1\r\n$4\r\nPING\r\n",
    // What follows a line's \r, and a bulk, is not looked at.
    "*1\rx$4\rxPINGxx*1\r\n$4\r\nPING\r\n",
    // Errors, some after whole requests.
    "*abc\r\n", "*\r\n", "*01\r\n", "*+1\r\n", "* 1\r\n", "*1 \r\n", "*-0\r\n", "*2147483648\r\n",
    "*9223372036854775808\r\n",
    "PING\r\n*1\r\nx\r\n", "*1\r\n$4\r\nPING\r\n*1\r\n$-1\r\n", "*1\r\n$-0\r\n", "*1\r\n$\r\n",
    "*1\r\n$04\r\nPING\r\n",
    "*2\r\n$4\r\nPING\r\n\r\n", "*1\r\n\n\r\n", "*1\r\n*1\r\n", "*1\r\n$536870913\r\n",
    "*1\r\n$9223372036854775807\r\n",
    "ECHO \"a\"b\r\n", "ECHO \"a\r\n", "ECHO 'a\r\n", "ECHO \"\\\n", "PING\nx ''y\n",
    // Not whole.
    "*3\r\n$3\r\nSET\r\n$16\r\nxx", "*1\r\n$536870912\r\nab", "*1048576\r\n$1\r\na\r\n",
    "*2147483647\r\n$0\r\n\r\n",
  ].map { Array($0.utf8) }
  + [
    Array("*21\r\n".utf8) + (0..<21).flatMap { Array("$\("\($0)".utf8.count)\r\n\($0)\r\n".utf8) }
      + request("PING"),
    (0..<40).flatMap { request("GET", "k\($0)") },
    Array(repeating: 10, count: 40) + request("PING"),
  ]

@Suite struct RequestParserTests {
  @Test(arguments: shortInputs.indices)
  func everyCutGivesTheSame(index: Int) {
    let bytes = shortInputs[index]
    let expected = reference(bytes)
    #expect(feed(bytes) == expected)
    #expect(feed(bytes, cuts: 1..<max(bytes.count, 1)) == expected)
    for cut in 0..<bytes.count {
      #expect(feed(bytes, cuts: [cut]) == expected, "cut at \(cut)")
      if bytes.count > 70 { continue }
      for second in cut..<bytes.count {
        let outcome = feed(bytes, cuts: [cut, second])
        if outcome != expected {
          Issue.record("cuts at \(cut), \(second): \(outcome), not \(expected)")
        }
      }
    }
  }

  @Test func wholeRequestsAreBatched() throws {
    let bytes = (0..<20).flatMap { request("SET", "k\($0)", "v") }
    var parser = RequestParser()
    var batch = RequestBatch()
    let consumed = try parser.parse(bytes.span.bytes, into: &batch, limits: ProtocolLimits())
    let count = batch.count
    #expect(count == 16)
    #expect(consumed == (0..<16).flatMap { request("SET", "k\($0)", "v") }.count)
    let argumentCount = batch.arguments.count
    #expect(argumentCount == 48)
    #expect(!parser.isInRequest)
    let second = try parser.parse(Array(bytes[consumed...]), &batch)
    let secondCount = batch.count
    #expect(secondCount == 4)
    #expect(consumed + second == bytes.count)
  }

  @Test func unauthenticatedRequestsComeOneByOne() throws {
    let bytes = request("AUTH", "x") + request("GET", "k")
    var parser = RequestParser()
    var batch = RequestBatch()
    let consumed = try parser.parse(
      bytes.span.bytes, into: &batch, limits: ProtocolLimits(isAuthenticated: false))
    let count = batch.count
    #expect(count == 1)
    #expect(consumed == request("AUTH", "x").count)
  }

  @Test func stateIsSmall() {
    #expect(MemoryLayout<RequestParser>.size <= 32)
    #expect(MemoryLayout<ArgumentRange>.size == 8)
    #expect(MemoryLayout<RequestSpan>.stride == 20)
  }

  /// Every argument is looked at once: 1 Mi of them in small pieces take no longer than a second.
  @Test func manyArgumentsAreLinear() {
    let count = 1 << 17
    let bytes =
      Array("*\(count)\r\n".utf8)
      + Array(repeating: Array("$1\r\na\r\n".utf8), count: count).joined()
    let clock = ContinuousClock()
    let whole = clock.measure { #expect(feed(bytes).requests.first?.count == count) }
    let pieces = clock.measure {
      let outcome = feed(bytes, cuts: stride(from: 4096, to: bytes.count, by: 4096))
      #expect(outcome.requests.first?.count == count)
    }
    // Quadratic work would be 100 times as long.
    #expect(pieces < whole * 10 + .milliseconds(500))
  }

  @Test func largeArgumentsAreReceivedApart() {
    let large = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
    let bytes =
      request([
        Array("MSET".utf8), Array("k".utf8), large, Array("l".utf8), large, Array("m".utf8), [],
      ]) + request("PING")
    let expected = reference(bytes)
    let interesting = [
      0, 1, 30, 31, 32, 33, 40, 67_000, 67_263, 67_264, 67_265, 100_025, 100_030, 100_031, 100_032,
      100_033, 100_034, 100_045, 100_050, 100_060, 133_000, 200_060, 200_070, 200_080,
    ].filter { $0 <= bytes.count }
    for takesLarge in [true, false] {
      #expect(feed(bytes, takesLarge: takesLarge) == expected)
      for first in interesting {
        for second in interesting where second >= first {
          let outcome = feed(bytes, cuts: [first, second], takesLarge: takesLarge)
          if outcome != expected { Issue.record("cuts at \(first), \(second)") }
        }
      }
      #expect(
        feed(bytes, cuts: stride(from: 16384, to: bytes.count, by: 16384), takesLarge: takesLarge)
          == expected)
    }
    var session = Session(limits: ProtocolLimits(), takesLarge: true)
    for start in stride(from: 0, to: bytes.count, by: 1000) {
      session.receive(bytes[start..<min(start + 1000, bytes.count)])
      #expect(session.kept.count < 40_000)
    }
    #expect(session.largeTaken == 2)
    #expect(session.outcome == expected)
  }

  @Test func arrivingArgumentIsDescribed() throws {
    var parser = RequestParser()
    var batch = RequestBatch()
    for (missing, isLarge) in [(32767, false), (32768, true), (32769, true)] {
      parser = RequestParser()
      let bytes =
        Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$40000\r\n".utf8)
        + [UInt8](repeating: 1, count: 40000 - missing)
      #expect(try parser.parse(bytes, &batch, ProtocolLimits()) == 0)
      let arriving = parser.arrivingArgument(unconsumed: bytes.count)
      #expect((arriving != nil) == isLarge)
      guard let arriving else { continue }
      #expect(arriving.byteCount == 40000)
      #expect(arriving.receivedByteCount == 40000 - missing)
      #expect(arriving.argumentIndex == 2)
      #expect(arriving.argumentCount == 3)
      #expect(arriving.name == ArgumentRange(offset: 8, count: 3))
    }
  }

  /// A claim allocates nothing.
  @Test func claimsAreFree() throws {
    var parser = RequestParser()
    var batch = RequestBatch()
    let bytes = Array("*2147483647\r\n$9223372036854775807\r\nx".utf8)
    let limits = ProtocolLimits(maxBulkLength: Int.max)
    #expect(try parser.parse(bytes, &batch, limits) == 0)
    #expect(parser.arrivingArgument(unconsumed: bytes.count)?.byteCount == Int.max)
    #expect(try parser.parse((bytes + bytes), &batch, limits) == 0)
  }
}
