import RESP
import Testing

@Suite struct LimitTests {
  func text(_ bytes: [UInt8], _ limits: ProtocolLimits = ProtocolLimits()) -> String? {
    let whole = feed(bytes, limits: limits)
    #expect(whole == reference(bytes, limits: limits))
    #expect(
      whole
        == feed(
          bytes,
          cuts: bytes.count > 300 ? Array((bytes.count - 9)..<bytes.count) : Array(0..<bytes.count),
          limits: limits))
    return whole.error.map { String(decoding: $0.reply, as: UTF8.self) }
  }

  @Test func texts() {
    func check(_ bytes: String, _ text: String) {
      #expect(self.text(Array(bytes.utf8)) == "-ERR Protocol error: \(text)\r\n")
    }
    check("*x\r\n", "invalid multibulk length")
    check("*1\r\n$x\r\n", "invalid bulk length")
    check("*1\r\nx\r\n", "expected '$', got 'x'")
    check("*1\r\n\r\n", "expected '$', got ' '")
    check("*1\r\n\n\r\n", "expected '$', got ' '")
    check("'\n", "unbalanced quotes in request")
    check("*" + String(repeating: "1", count: 65536), "too big mbulk count string")
    check("*1\r\n$" + String(repeating: "1", count: 65536), "too big bulk count string")
    check(String(repeating: "1", count: 65537), "too big inline request")
    #expect(
      ProtocolError(.expectedDollar, byte: 255).reply == Array(
        "-ERR Protocol error: expected '$', got '".utf8) + [255, 39, 13, 10])
  }

  @Test func lines() {
    for (start, end) in [("", "\n"), ("*", "\r\n"), ("*1\r\n$", "\r\n")] {
      // The end of the line is byte 65536 (from 0) of the line at the latest.
      for (length, isTooBig) in [(65535, false), (65536, false), (65537, true)] {
        let line =
          Array(start.utf8) + [UInt8](repeating: 49, count: length - (start.isEmpty ? 0 : 1))
        #expect((text(line)?.contains("too big") == true) == isTooBig)
        #expect((text(line + Array(end.utf8))?.contains("too big") == true) == isTooBig)
      }
    }
  }

  @Test func counts() {
    for limit in [1, 9, 10, 99, 1000, 1 << 20] {
      let limits = ProtocolLimits(maxMultibulkLength: limit)
      for (count, isTooMany) in [(limit - 1, false), (limit, false), (limit + 1, true)] {
        #expect((text(Array("*\(count)\r\n".utf8), limits) != nil) == isTooMany)
        if limit < 100, count > 0 {
          let bytes = request(Array(repeating: [1], count: count))
          #expect((text(bytes, limits) != nil) == isTooMany)
        }
      }
    }
    #expect(text(Array("*2147483647\r\n".utf8)) == nil)
    #expect(text(Array("*2147483648\r\n".utf8)) != nil)
  }

  @Test func lengths() {
    for limit in [1, 9, 10, 99, 100, 1000, 99_999, 512 << 20] {
      let limits = ProtocolLimits(maxBulkLength: limit)
      for (count, isTooMany) in [(limit - 1, false), (limit, false), (limit + 1, true)] {
        #expect((text(Array("*1\r\n$\(count)\r\n".utf8), limits) != nil) == isTooMany)
        if limit <= 1000 {
          #expect(
            (text(request([[UInt8](repeating: 1, count: count)]), limits) != nil) == isTooMany)
        }
      }
    }
  }

  @Test func unauthenticated() {
    let limits = ProtocolLimits(isAuthenticated: false)
    #expect(text(Array("*9\r\n".utf8), limits) == nil)
    #expect(text(Array("*10\r\n".utf8), limits) == nil)
    #expect(
      text(Array("*11\r\n".utf8), limits)
        == "-ERR Protocol error: unauthenticated multibulk length\r\n")
    #expect(text(Array("*1\r\n$16383\r\n".utf8), limits) == nil)
    #expect(text(Array("*1\r\n$16384\r\n".utf8), limits) == nil)
    #expect(
      text(Array("*1\r\n$16385\r\n".utf8), limits)
        == "-ERR Protocol error: unauthenticated bulk length\r\n")
    #expect(text(Array("*11\r\n".utf8)) == nil)
  }

  @Test func queryBuffer() {
    let limits = ProtocolLimits(queryBufferLimit: 1000)
    for (count, isTooMuch) in [(999, false), (1000, false), (1001, true)] {
      let bytes = Array("*2\r\n$5000\r\n".utf8) + [UInt8](repeating: 1, count: count - 11)
      let expected = isTooMuch ? ProtocolError(.queryBufferLimit) : nil
      #expect(feed(bytes, limits: limits).error == expected)
      #expect(feed(bytes, cuts: [500, 999], limits: limits).error == expected)
      #expect(ProtocolError(.queryBufferLimit).reply.isEmpty)
    }
    // Whole requests may be more.
    let many = (0..<100).flatMap { request("SET", "key\($0)", "value") }
    #expect(feed(many, limits: limits).requests.count == 100)
  }

  @Test func largeMemoryIsGivenBack() throws {
    var parser = RequestParser()
    var batch = RequestBatch()
    let bytes = request(Array(repeating: [1], count: 10_000))
    _ = try parser.parse(bytes, &batch)
    let count = batch.arguments.count
    #expect(count == 10_000)
    batch.removeAll()
    let requests = batch.count
    #expect(requests == 0)
    let left = batch.arguments.count
    #expect(left == 0)
  }
}
