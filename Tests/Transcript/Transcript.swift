// Conversations as text: a line a request and its reply.
//
//     SET k v          => +OK
//     GET k            => "v"
//     @ 5000                             the time, in Unix milliseconds
//     !                                  housekeeping, until it has nothing more to do
//     GET k            => nil
//     # a comment
//
// Words are separated by spaces; "…" makes one word of several, with \r \n \t \" \\ and \xHH. A reply is written as
// `Reply.shown` shows it; `…` at its end stands for anything.

public import RESP

/// Whoever answers requests.
public protocol Speaker: ~Copyable {
  /// Takes the bytes of requests and gives those of the replies that are there.
  mutating func answers(to request: [UInt8]) -> [UInt8]
  /// Sets the time, in Unix milliseconds.
  mutating func setTime(_ milliseconds: Int64)
  /// A slice of housekeeping; true if there is more to do.
  mutating func housekeep() -> Bool
}

extension Speaker where Self: ~Copyable {
  /// Plays a conversation; what was answered otherwise, a line each.
  public mutating func differences(from transcript: String) -> [String] {
    var differences: [String] = []
    for (number, line) in transcript.split(separator: "\n", omittingEmptySubsequences: false)
      .enumerated()
    {
      let text = line.drop { $0 == " " }
      guard let first = text.first, first != "#" else { continue }
      if first == "!" {
        while housekeep() {}
        continue
      }
      if first == "@", let time = Int64(text.dropFirst().filter { $0 != " " }) {
        setTime(time)
        continue
      }
      let sides = text.split(separator: "=>", maxSplits: 1, omittingEmptySubsequences: false)
      let wanted = sides.count == 2 ? String(sides[1].drop { $0 == " " }) : ""
      let got = shown(answers(to: request(words(String(sides[0])))))
      let isRight =
        wanted.hasSuffix("…") ? got.hasPrefix(String(wanted.dropLast())) : got == wanted
      if !isRight { differences.append("line \(number + 1): \(text)   but was   \(got)") }
    }
    return differences
  }

  /// The replies to one request, as they are shown.
  public mutating func ask(_ words: String...) -> String {
    shown(answers(to: request(words.map { Array($0.utf8) })))
  }

  /// The replies to the requests of that bytes, as they are shown.
  public mutating func ask(bytes: [UInt8]) -> String { shown(answers(to: bytes)) }
}

/// The bytes of a request.
public func request(_ words: [[UInt8]]) -> [UInt8] {
  var bytes = Array("*\(words.count)\r\n".utf8)
  for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
  return bytes
}

/// The bytes of a request.
public func request(_ words: String...) -> [UInt8] { request(words.map { Array($0.utf8) }) }

/// The words of a line.
public func words(_ line: String) -> [[UInt8]] {
  var words: [[UInt8]] = []
  var rest = Array(line.utf8)[...]
  while true {
    rest = rest.drop { $0 == 32 }
    guard let first = rest.first else { return words }
    guard first == UInt8(ascii: "\"") else {
      words.append(Array(rest.prefix { $0 != 32 }))
      rest = rest.drop { $0 != 32 }
      continue
    }
    rest = rest.dropFirst()
    var word: [UInt8] = []
    while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
      guard byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() else {
        word.append(byte)
        continue
      }
      switch escaped {
      case UInt8(ascii: "r"): word.append(13)
      case UInt8(ascii: "n"): word.append(10)
      case UInt8(ascii: "t"): word.append(9)
      case UInt8(ascii: "x"):
        word.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
      default: word.append(escaped)
      }
    }
    words.append(word)
  }
}

/// Replies as text, separated by spaces.
public func shown(_ bytes: [UInt8]) -> String {
  do throws(ReplyParser.Failure) {
    return try ReplyParser().parseAll(bytes).map(\.shown).joined(separator: " ")
  } catch {
    return "\(error) in \(quoted(bytes))"
  }
}

/// Bytes in quotes, those that are no printable ASCII as `\xHH`, `\r`, `\n`.
public func quoted(_ bytes: [UInt8]) -> String {
  var text = "\""
  for byte in bytes {
    switch byte {
    case 13: text += "\\r"
    case 10: text += "\\n"
    case 34: text += "\\\""
    case 32...126: text.unicodeScalars.append(Unicode.Scalar(byte))
    default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
  }
  return text + "\""
}

extension Reply {
  /// The reply as a transcript has it: `+OK`, `-ERR …`, `:1`, `"bulk"`, `nil`, `[1, 2]`, `{k: v}`, `~[set]`, `>[push]`,
  /// `#t`, `,1.5`, `txt:"verbatim"`.
  public var shown: String {
    switch self {
    case .simple(let text): "+" + String(decoding: text, as: UTF8.self)
    case .error(let text): "-" + String(decoding: text, as: UTF8.self)
    case .integer(let value): ":\(value)"
    case .bulk(let bytes): quoted(bytes)
    case .null: "nil"
    case .array(let elements): "[" + elements.map(\.shown).joined(separator: ", ") + "]"
    case .map(let pairs):
      "{" + pairs.map { $0.key.shown + ": " + $0.value.shown }.joined(separator: ", ") + "}"
    case .set(let elements): "~[" + elements.map(\.shown).joined(separator: ", ") + "]"
    case .push(let elements): ">[" + elements.map(\.shown).joined(separator: ", ") + "]"
    case .attributed(_, let reply): "|" + reply.shown
    case .boolean(let value): value ? "#t" : "#f"
    case .double(let value): ",\(value)"
    case .verbatim(let format, let bytes):
      String(decoding: format, as: UTF8.self) + ":" + quoted(bytes)
    case .bigNumber(let digits): "(" + String(decoding: digits, as: UTF8.self)
    }
  }
}
