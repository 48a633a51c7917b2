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

  /// Answers an error whose text is made for the occasion. As in Redis line ends around it are dropped, and those in it become spaces.
  mutating func fail(bytes text: [UInt8]) {
    hasFailed = true
    let isEnd = { (byte: UInt8) in byte == 10 || byte == 13 }
    let trimmed = text.drop(while: isEnd).reversed().drop(while: isEnd).reversed()
    reply.append(bytes: [45] + trimmed.map { isEnd($0) ? 32 : $0 } + [13, 10])
    countError(String(decoding: text.prefix(32), as: UTF8.self))
  }

  /// As above, for a text without bytes of a client's.
  mutating func fail(text: String) { fail(bytes: Array(text.utf8)) }

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

  mutating func failing(bytes: [UInt8]) -> Effect {
    fail(bytes: bytes)
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
      // A browser that was talked into speaking to us: what it sends on must not be run, nor told of what was.
      if call[0].equals(ignoringCase: "POST") || call[0].equals(ignoringCase: "HOST:") {
        return abandon(current)
      }
      // Redis shows at most 128 bytes of the name, and begins no argument behind 128 bytes of them.
      var arguments: [UInt8] = []
      for i in 1..<max(1, call.count) where arguments.count < 128 {
        arguments += [39] + Self.shown(call[i], 128 - arguments.count) + [39, 32]
      }
      fail(
        bytes: Array("ERR unknown command '".utf8) + Self.shown(call[0], 128)
          + Array("', with args beginning with: ".utf8) + arguments)
    case .unknownSubcommand:
      let container = lookup.shownName(of: call.id)
      fail(
        bytes: Array("ERR unknown subcommand '".utf8) + Self.shown(call[1], 128)
          + Array("'. Try \(container) HELP.".utf8))
    case .arity where call.id == .exec:
      failExec("wrong number of arguments for 'exec' command")
    case .arity:
      let name = CommandTable.all[Int(call.id.rawValue)].name
      fail(text: "ERR wrong number of arguments for '\(name)' command")
    }
  }

  /// The bytes of an argument that a reply shows: those before a NUL byte, and not more than `limit`.
  static func shown(_ span: RawSpan, _ limit: Int = .max) -> [UInt8] {
    Array(bytes(of: span).prefix(limit).prefix { $0 != 0 })
  }

  /// The bytes of an argument.
  static func bytes(of span: RawSpan) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(span.byteCount)
    for i in 0..<span.byteCount { bytes.append(span.byte(at: i)) }
    return bytes
  }

  /// An argument as text, for comparisons; what is no UTF-8 in it equals nothing.
  static func text(of span: RawSpan) -> String { String(decoding: bytes(of: span), as: UTF8.self) }
}

extension Replies {
  /// Appends bytes that are already a reply or a piece of one. O(bytes).
  mutating func append(bytes: [UInt8]) {
    reserve(bytes.count)
    append(bytes.rawBytes)
  }
}
