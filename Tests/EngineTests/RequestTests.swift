import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

@Suite struct RequestTests {
  /// Requests of all forms; those of one entry follow each other on one connection.
  static let conversations: [(name: String, bytes: [UInt8])] = {
    func lines(_ lines: String...) -> [UInt8] { lines.flatMap { request(words($0)) } }
    func inline(_ text: String) -> [UInt8] { Array(text.utf8) }
    let many = (0..<40).map { "{m}\($0)" }
    let x = String(repeating: "x", count: 300)
    return [
      ("get", lines("GET k", "SET k v", "GET k")),
      ("any case", lines("set k v", "gEt k")),
      ("empty words", lines("SET \"\" \"\"", "GET \"\"")),
      ("binary", lines("SET \"\\r\\n\\x00\" \"\\xff\\r\\n$3\\r\\n\"", "GET \"\\r\\n\\x00\"")),
      ("mset", lines("MSET {a}1 1 {a}2 two", "MGET {a}1 {a}2 {a}3")),
      ("many keys", request(["MSET"] + many.flatMap { [$0, $0] }) + request(["MGET"] + many)),
      ("numbers", lines("INCR n", "INCRBY n 41", "DECR n", "DECRBY n 100", "GET n")),
      ("errors", lines("INCR", "GET a b", "SET k v EX", "SET k v EX 0", "INCRBY n x")),
      ("unknown", lines("NOPE", "NOPE a b", "CONFIG NOPE", "OBJECT", "CLIENT")),
      ("moved", lines("GET a", "GET b", "GET c", "GET d", "MGET a b")),
      ("expiry", lines("SET k v PX 1000", "PTTL k", "PERSIST k", "TTL k", "EXPIRE k 5 XX")),
      ("append", lines("APPEND k ab", "APPEND k cd", "STRLEN k", "GET k")),
      ("delete", lines("SET k v", "DEL k", "EXISTS k", "UNLINK k")),
      ("object", lines("SET k 1", "OBJECT ENCODING k", "OBJECT ENCODING none", "TYPE k")),
      ("keyspace", lines("SET k v", "DBSIZE", "RANDOMKEY", "SCAN 0 COUNT 1000000", "FLUSHALL")),
      ("hello", lines("HELLO 3", "GET none", "HELLO 2", "GET none", "HELLO 9")),
      ("client", lines("CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT ID", "RESET")),
      ("cluster", lines("CLUSTER KEYSLOT foo", "CLUSTER MYID", "CLUSTER COUNTKEYSINSLOT 1")),
      ("asking", lines("ASKING", "GET k", "READONLY", "READWRITE")),
      ("config", lines("CONFIG GET hz", "CONFIG SET hz 20", "CONFIG GET hz", "PING")),
      ("two configs", lines("CONFIG SET hz 20", "PING 1", "CONFIG SET hz 30", "CONFIG GET hz")),
      ("command", lines("COMMAND COUNT", "COMMAND GETKEYS GET k", "COMMAND INFO nope")),
      ("long words", lines("SET \(x) \(x)", "GET \(x)", "ECHO \(x)", "\(x) \(x)")),
      ("quit", lines("PING", "QUIT", "PING")),
      ("shutdown aborted", lines("SHUTDOWN ABORT", "PING")),
      ("inline", inline("PING\r\nSET k v\nGET k\r\n\r\n  \r\nECHO \"a\\x41\\r\" \r\n")),
      ("inline quotes", inline("ECHO 'it\\'s'\r\nSET \"\" ''\r\nGET \"\"\r\nECHO \"\\\"\"\n")),
      ("inline error", inline("PING\r\nECHO \"open\r\nPING\r\n")),
      ("empty requests", inline("*0\r\n*-1\r\n\r\n*1\r\n$4\r\nPING\r\n*0\r\nPING\r\n")),
      ("mixed", inline("PING\r\n") + lines("PING a") + inline("\r\nECHO b\r\n") + lines("PING c")),
      ("odd numbers", inline("*1\r\n$0000004\r\nPING\r\n")),
      ("bad count", lines("PING") + inline("*x\r\n") + lines("PING")),
      ("large count", lines("PING") + inline("*2147483648\r\n")),
      ("bad length", lines("PING") + inline("*1\r\n$x\r\n")),
      ("negative length", inline("*2\r\n$4\r\nECHO\r\n$-1\r\n")),
      ("no dollar", lines("PING", "PING") + inline("*2\r\n$4\r\nECHO\r\n:1\r\n") + lines("PING")),
      ("cut at the end", lines("PING") + inline("*2\r\n$4\r\nEC")),
      ("plus sign", inline("*+1\r\n$4\r\nPING\r\n")),
      ("no lines", inline("*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n")),
      ("http", inline("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
    ]
  }()

  private func rig() throws -> Rig { try Rig(map: .test(2), local: [1]) }

  /// All replies to some pieces, and whether the connection is to be closed then.
  private func play(_ pieces: [[UInt8]]) throws -> (replies: [UInt8], isClosing: Bool) {
    var rig = try rig()
    var replies: [UInt8] = []
    for piece in pieces { replies += rig.answers(to: piece) }
    let isClosing = rig.isClosing(rig.client)
    return (replies, isClosing)
  }

  /// Every cut in two, and byte by byte, gives what the whole gives.
  @Test(arguments: conversations.indices) func everyCut(place: Int) throws {
    let (name, bytes) = Self.conversations[place]
    let whole = try play([bytes])
    #expect(!whole.replies.isEmpty)
    var rig = try rig()
    // New clients of one engine, which forgets in between: an engine for every cut would cost most of the time.
    func cut(_ pieces: [ArraySlice<UInt8>]) throws {
      if ["hello", "client"].contains(name) {
        // Ids are not used again.
        let cut = try play(pieces.map { Array($0) })
        #expect(cut == whole)
        return
      }
      _ = rig.answers(to: request("FLUSHALL"))
      _ = rig.answers(to: request("CONFIG", "SET", "hz", "10"))
      let client = try rig.connect(to: 0)
      var replies: [UInt8] = []
      for piece in pieces { replies += rig.answers(to: Array(piece), from: client) }
      let isClosing = rig.isClosing(client)
      rig.engine.disconnect(client)
      #expect(
        replies == whole.replies && isClosing == whole.isClosing,
        "\(name), \(pieces.map(\.count)): \(shown(replies)) instead of \(shown(whole.replies))")
    }
    let step = max(1, bytes.count / 200)
    for place in stride(from: 1, to: bytes.count, by: step) {
      try cut([bytes[..<place], bytes[place...]])
    }
    try cut(bytes.indices.map { bytes[$0...$0] })
    try cut(stride(from: 0, to: bytes.count, by: 7).map { bytes[$0..<min($0 + 7, bytes.count)] })
  }

  @Test(arguments: Array(1...40) + [100, 160, 161, 200]) func pipelines(count: Int) throws {
    var rig = try rig()
    var bytes: [UInt8] = []
    var wanted: [String] = []
    for i in 0..<count {
      switch i % 4 {
      case 0:
        bytes += request("SET", "{0}\(i)", "v\(i)")
        wanted.append("+OK")
      case 1:
        bytes += request("GET", "{0}\(i - 1)")
        wanted.append("\"v\(i - 1)\"")
      case 2:
        bytes += Array("PING \(i)\r\n".utf8)
        wanted.append("\"\(i)\"")
      default:
        bytes += request("INCR", "{0}n")
        wanted.append(":\(i / 4 + 1)")
      }
    }
    let isHere = Tag.slot(of: "{0}") < 8192
    try #require(!isHere || rig.ask("GET {0}", from: rig.client) == "nil")
    let tag = Tag.in(0..<8192)
    let text = String(decoding: bytes, as: UTF8.self).replacing("{0}", with: tag)
    // Tags of another length would break the lengths.
    try #require(tag.count == 3)
    let replies = shown(rig.answers(to: Array(text.utf8)))
    #expect(replies == wanted.joined(separator: " "))
    #expect(rig.engine.statistics.commandCount >= UInt64(count))
  }

  // MARK: Large bulks

  @Test(arguments: [32767, 32768, 32800, 40_000, 100_000, 1 << 20])
  func largeValues(byteCount: Int) throws {
    let value = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    let set = request([Array("SET".utf8), [107], value]) + request("STRLEN", "k")
    let mset = request(
      [Array("MSET".utf8)]
        + ["{k}1", "{k}2", "{k}3", "{k}4"].flatMap {
          [Array($0.utf8), $0 == "{k}3" ? [51] : value]
        })
    let reply = Array("$\(byteCount)\r\n".utf8) + value + [13, 10]
    for piece in [1000, 4096, 16384, 65536, set.count - 1, set.count + mset.count] {
      var rig = try Rig()
      var replies: [UInt8] = []
      let bytes = set + mset + request("PING", "after")
      for start in stride(from: 0, to: bytes.count, by: piece) {
        replies += rig.answers(to: Array(bytes[start..<min(start + piece, bytes.count)]))
      }
      #expect(shown(replies) == "+OK :\(byteCount) +OK \"after\"", "pieces of \(piece)")
      for key in ["k", "{k}1", "{k}2", "{k}4"] {
        let got = rig.answers(to: request("GET", key))
        #expect(got == reply, "\(key), pieces of \(piece)")
      }
      let small = rig.ask("MGET {k}3 none{k}", from: rig.client)
      #expect(small == #"["3", nil]"#)
      rig.expect("DEL k {k}1 {k}2 {k}3 {k}4 => :5\n!")
      rig.engine.keyspace.checkInvariants()
    }
  }

  /// Received straight into where it stays, as the reactor does.
  @Test(arguments: [40_000, 100_000, 3_000_000]) func largeValuesDirectly(byteCount: Int) throws {
    var rig = try Rig()
    let value = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    let bytes = request(
      [Array("MSET".utf8)] + ["{k}1", "{k}2"].flatMap { [Array($0.utf8), value] })
    var rest = bytes[...]
    var directCount = 0
    while !rest.isEmpty {
      if let target = unsafe rig.engine.destination(for: rig.client) {
        // What was claimed is believed only once much of it has come.
        let room = target.count
        #expect(room > 0)
        #expect(room <= 1 << 20 || directCount >= 300_000)
        let count = min(room, rest.count, 50_000)
        unsafe target.copyBytes(from: rest.prefix(count))
        rest = rest.dropFirst(count)
        directCount += count
        _ = rig.engine.filled(count, of: rig.client)
      } else {
        let count = min(1000, rest.count)
        rig.send(Array(rest.prefix(count)), from: rig.client)
        rest = rest.dropFirst(count)
      }
    }
    #expect(rig.shownReplies(to: rig.client) == "+OK")
    #expect(directCount > 2 * (byteCount - 2000))
    for key in ["{k}1", "{k}2"] {
      let got = rig.answers(to: request("GET", key))
      #expect(got == Array("$\(byteCount)\r\n".utf8) + value + [13, 10])
    }
  }

  /// Large values of commands that fail, or of clients that leave, are given back.
  @Test func largeValuesOfFailures() throws {
    let large = [UInt8](repeating: 120, count: 50_000)
    let foreign = Tag.in(8192..<16384)
    let moved = "-MOVED \(Tag.slot(of: foreign)) 10.0.0.1:7002"
    let tag = Tag.in(0..<8192)
    for (start, wanted) in [
      (["SET", foreign], moved), (["MSET", foreign], moved),
      (["MSET", foreign, "1", tag], "-CROSSSLOT Keys in request don't hash to the same slot"),
      (["SET", tag, "NX?"], "-ERR syntax error"), (["GET"], "nil"), (["ECHO"], "\"xx…"),
      (["NOPE", "1", "2"], "-ERR unknown command 'NOPE', with args beginning with: '1' '2' 'xx…"),
      (["MSET", tag, "1"], "-CROSSSLOT Keys in request don't hash to the same slot"),
    ] {
      var rig = try rig()
      let bytes = request(start.map { Array($0.utf8) } + [large])
      var replies: [UInt8] = []
      for start in stride(from: 0, to: bytes.count, by: 999) {
        replies += rig.answers(to: Array(bytes[start..<min(start + 999, bytes.count)]))
      }
      let got = shown(replies)
      let isRight =
        wanted.hasSuffix("…") ? got.hasPrefix(String(wanted.dropLast())) : got == wanted
      #expect(isRight, "\(start): \(got.prefix(200))")
      rig.expect("PING => +PONG")
      #expect(rig.engine.keyspace.byteCount == 0)
      // And one that leaves in the middle.
      let client = try rig.connect(to: 0)
      rig.send(
        Array(request([Array("SET".utf8), Array(tag.utf8), large]).prefix(9000)), from: client)
      rig.engine.disconnect(client)
    }
  }

  // MARK: Stops

  @Test func quitStopsABatch() throws {
    var rig = try rig()
    let bytes = request("PING", "1") + request("QUIT") + request("PING", "2")
    #expect(shown(rig.answers(to: bytes)) == #""1" +OK"#)
    #expect(rig.isClosing(rig.client) == true)
    #expect(rig.answers(to: request("PING")) == [])
    #expect(rig.engine.statistics.commandCount == 2)
  }

  /// While more replies wait than `client-output-pause`, nothing runs; it goes on where it stopped once half of them are sent.
  @Test func outputIsBounded() throws {
    var settings = Settings()
    settings.clientOutputPause = 4096
    var rig = try Rig(settings: settings)
    let value = String(repeating: "v", count: 1000)
    _ = rig.ask("SET k \(value)", from: rig.client)
    let count = 200
    var bytes: [UInt8] = []
    for i in 0..<count { bytes += request("GET", "k") + request("INCR", "n\(i % 3)") }
    rig.send(bytes, from: rig.client)
    let bulk = Array("$1000\r\n\(value)\r\n".utf8)
    #expect(rig.engine.sessions[rig.client.index].output.byteCount <= 4096 + bulk.count)
    guard case .pause = rig.duty(of: rig.client) else {
      Issue.record("reading goes on")
      return
    }
    // What comes meanwhile waits too.
    rig.send(request("PING", "last"), from: rig.client)
    var replies: [UInt8] = []
    var most = 0
    while true {
      let output = rig.engine.sessions[rig.client.index].output.byteCount
      if output == 0 { break }
      most = max(most, output)
      replies += rig.takeSome(100, from: rig.client)
    }
    #expect(most <= 4096 + bulk.count)
    guard case .resume = rig.duty(of: rig.client) else {
      Issue.record("reading does not go on")
      return
    }
    let wanted = (0..<count).map { "\"\(value)\" :\($0 / 3 + 1)" }.joined(separator: " ")
    #expect(shown(replies) == wanted + #" "last""#)
  }

  /// More waiting requests than `client-query-buffer-limit` end the connection.
  @Test func queryBufferIsBounded() throws {
    var settings = Settings()
    settings.clientQueryBufferLimit = 1 << 20
    settings.clientOutputPause = 1 << 10
    var rig = try Rig(settings: settings)
    _ = rig.ask("SET k \(String(repeating: "v", count: 3000))", from: rig.client)
    rig.send(request("GET", "k") + request("PING"), from: rig.client)
    var sent = 0
    while rig.engine.sessions[rig.client.index].mode.contains(.closing) == false, sent < 2 << 20 {
      rig.send(request("ECHO", String(repeating: "x", count: 1000)), from: rig.client)
      sent += 1000
      #expect(rig.engine.sessions[rig.client.index].query.byteCount <= 1 << 20)
    }
    #expect(sent > 900_000 && sent < 1_100_000)
  }

  @Test func protocolErrorsCloseAfterTheirReply() throws {
    for (bytes, text) in [
      ("*x\r\n", "invalid multibulk length"), ("*1\r\n$-5\r\n", "invalid bulk length"),
      ("*1\r\n!4\r\n", "expected '$', got '!'"), ("ECHO 'x\r\n", "unbalanced quotes in request"),
      ("*2147483648\r\n", "invalid multibulk length"),
    ] {
      var rig = try rig()
      let reply = shown(rig.answers(to: request("PING") + Array(bytes.utf8) + request("PING")))
      #expect(reply == "+PONG -ERR Protocol error: \(text)")
      #expect(rig.isClosing(rig.client) == true)
      #expect(rig.answers(to: request("PING")) == [])
      #expect(rig.engine.statistics.errors.map(\.code) == ["ERR"])
    }
  }

  /// What was foreseen of bytes is never taken for what stands in them.
  @Test(arguments: [1, 2, 3]) func foresight(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Numbers(seed: seed)
    var rig = try Rig(map: .test(2), local: [1])
    var plain = try Rig(map: .test(2), local: [1])
    for step in 0..<3000 {
      var bytes = Self.conversations[draw.below(15)].bytes
      if draw.below(3) == 0 {
        for _ in 0...draw.below(3) {
          bytes[draw.below(bytes.count)] = Array("*$\r\n0123 GETk".utf8)[draw.below(13)]
        }
      }
      if draw.below(4) == 0 { bytes = Array("\r\n".utf8) + bytes }
      bytes = Array(bytes.prefix(draw.below(2 * bytes.count)))
      let client = rig.client
      rig.engine.foresee(bytes.span.bytes, from: client, at: 3)
      rig.engine.prefetchForeseen(4)
      rig.engine.receive(bytes.span.bytes, from: client, foreseenAt: 3)
      rig.engine.applyOwnControls()
      let replies = rig.replies(to: client)
      let wanted = plain.answers(to: bytes)
      let same =
        replies == wanted || shown(wanted).contains("RANDOM")
        || String(decoding: bytes, as: UTF8.self).contains("RANDOMKEY")
      #expect(same, "\(quoted(bytes)): \(quoted(replies)) instead of \(quoted(wanted))")
      if step % 8 == 0 || rig.isClosing(client) || plain.isClosing(plain.client) {
        rig.engine.disconnect(client)
        plain.engine.disconnect(plain.client)
        rig.client = try rig.connect(to: 0)
        plain.client = try plain.connect(to: 0)
      }
    }
    rig.engine.keyspace.checkInvariants()
  }

  @Test func anIdleSessionIsSmall() {
    #expect(MemoryLayout<Session>.size <= 512)
  }
}

extension Rig {
  /// Takes at most so many bytes of the replies.
  mutating func takeSome(_ count: Int, from client: ClientID) -> [UInt8] {
    let bytes = Self.some(count, engine.output(of: client))
    engine.sent(bytes.count, of: client)
    return bytes
  }

  private static func some(_ count: Int, _ bytes: RawSpan) -> [UInt8] {
    bytes.withUnsafeBytes { Array($0.prefix(count)) }
  }
}

/// The bytes of a request.
private func request(_ words: [String]) -> [UInt8] {
  Transcript.request(words.map { Array($0.utf8) })
}
