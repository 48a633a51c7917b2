internal import RESP
internal import Storage

// Answers to what cannot be run: Redis's texts.

extension Engine {
  /// Answers an error: its code, a space, its text.
  mutating func fail(_ text: StaticString) {
    hasFailed = true
    reply.error(text)
    countError("\(text)")
  }

  /// Answers an error whose text is made for the occasion. Line ends in it become spaces.
  mutating func fail(text: String) {
    hasFailed = true
    var line = Array("-".utf8)
    line += text.utf8.map { $0 == 10 || $0 == 13 ? 32 : $0 }
    line += [13, 10]
    reply.append(bytes: line)
    countError(text)
  }

  /// Answers an error line that is already rendered.
  mutating func fail(line: [UInt8]) {
    hasFailed = true
    reply.append(bytes: line)
    countError(String(decoding: line.dropFirst().prefix(32), as: UTF8.self))
  }

  private mutating func countError(_ text: String) {
    statistics.countError(String(text.prefix { $0 != " " && $0 != "\r\n" }))
  }

  /// Answers an error and reports that nothing was changed: what handlers end with.
  mutating func failing(_ text: StaticString) -> Effect {
    fail(text)
    return .none
  }

  mutating func failing(text: String) -> Effect {
    fail(text: text)
    return .none
  }

  /// `-ERR syntax error`.
  mutating func syntaxError() -> Effect { failing("ERR syntax error") }

  /// `-ERR value is not an integer or out of range`.
  mutating func notAnInteger() -> Effect {
    failing("ERR value is not an integer or out of range")
  }

  /// The client broke the protocol: its last reply, then the end.
  mutating func refuse(_ error: ProtocolError) {
    statistics.countError("ERR")
    reply.append(bytes: error.reply)
    close(current)
  }

  /// A request that names no command, no subcommand, or has the wrong number of arguments.
  mutating func refuse(_ call: Call, _ problem: Plan.Problem) {
    switch problem {
    case .none: break
    case .unknownCommand:
      // Redis shows at most 128 bytes of the name, and of all arguments together.
      var arguments = ""
      var shown = 0
      for i in 1..<max(1, call.count) where shown < 128 {
        let bytes = Self.bytes(of: call[i]).prefix(128 - shown)
        arguments += "'\(Self.shown(bytes))' "
        shown += bytes.count + 3
      }
      fail(
        text:
          "ERR unknown command '\(Self.shown(Self.bytes(of: call[0]).prefix(128)))', with args beginning with: \(arguments)"
      )
    case .unknownSubcommand:
      let container = CommandTable.all[Int(call.id.rawValue)].name.uppercased()
      fail(
        text:
          "ERR unknown subcommand '\(Self.shown(Self.bytes(of: call[1]).prefix(128)))'. Try \(container) HELP."
      )
    case .arity:
      let name = CommandTable.all[Int(call.id.rawValue)].name
      fail(text: "ERR wrong number of arguments for '\(name)' command")
    }
  }

  /// Bytes as text for a reply; what is no UTF-8 passes through as Latin-1 only here, where a text is shown.
  static func shown(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: Array(bytes), as: UTF8.self)
  }

  static func bytes(of span: RawSpan) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(span.byteCount)
    for i in 0..<span.byteCount { bytes.append(span.byte(at: i)) }
    return bytes
  }

  static func text(of span: RawSpan) -> String { shown(bytes(of: span)) }
}

extension Replies {
  /// Appends bytes that are already a reply or a piece of one. O(bytes).
  mutating func append(bytes: [UInt8]) {
    reserve(bytes.count)
    append(bytes.rawBytes)
  }
}
