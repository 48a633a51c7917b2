// The text of a configuration file, line by line: words with quotes, as redis.conf has them, and the way back.

/// A line of a configuration file.
public enum ConfigurationLine: Equatable, Sendable {
  /// Nothing, or a comment.
  case blank
  /// A name and its words.
  case directive(name: String, words: [String])
  /// Quotes are left open, or something stands right behind a closing one.
  case unbalanced

  /// Reads a line. Within "…" there are escapes (\n \r \t \a \b \\ \" \xHH), within '…' only \'.
  public init(_ line: some StringProtocol) {
    let bytes = Array(line.utf8)
    let first = bytes.first { !Self.isSpace($0) }
    guard let first, first != UInt8(ascii: "#") else {
      self = .blank
      return
    }
    guard let words = Self.words(bytes) else {
      self = .unbalanced
      return
    }
    guard let name = words.first else {
      self = .blank
      return
    }
    self = .directive(name: name, words: Array(words.dropFirst()))
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 32 || (9...13).contains(byte) || byte == 0
  }

  /// The words; nil if quotes are wrong.
  private static func words(_ bytes: [UInt8]) -> [String]? {
    var words: [String] = []
    var place = 0
    while true {
      while place < bytes.count, isSpace(bytes[place]) { place += 1 }
      if place == bytes.count { return words }
      var word: [UInt8] = []
      while place < bytes.count, !isSpace(bytes[place]) {
        let byte = bytes[place]
        place += 1
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
          guard quoted(bytes, &place, by: byte, into: &word) else { return nil }
          // A closing quote ends the word.
          if place < bytes.count, !isSpace(bytes[place]) { return nil }
        } else {
          word.append(byte)
        }
      }
      words.append(String(decoding: word, as: UTF8.self))
    }
  }

  /// Reads up to the closing quote and over it. False if there is none.
  private static func quoted(
    _ bytes: [UInt8], _ place: inout Int, by quote: UInt8, into word: inout [UInt8]
  ) -> Bool {
    let isDouble = quote == UInt8(ascii: "\"")
    while place < bytes.count {
      let byte = bytes[place]
      place += 1
      if byte == quote { return true }
      guard byte == UInt8(ascii: "\\"), place < bytes.count else {
        word.append(byte)
        continue
      }
      let escaped = bytes[place]
      if !isDouble {
        if escaped == quote { place += 1 }
        word.append(escaped == quote ? quote : byte)
      } else if escaped == UInt8(ascii: "x"), place + 2 < bytes.count,
        let high = digit(bytes[place + 1]), let low = digit(bytes[place + 2])
      {
        word.append(high << 4 | low)
        place += 3
      } else {
        word.append(plain[escaped] ?? escaped)
        place += 1
      }
    }
    return false
  }

  private static let plain: [UInt8: UInt8] = [
    UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9, UInt8(ascii: "b"): 8,
    UInt8(ascii: "a"): 7,
  ]

  private static func digit(_ byte: UInt8) -> UInt8? {
    UInt8(String(UnicodeScalar(byte)), radix: 16)
  }

  /// A text as a word in double quotes that reads as that text.
  public static func quoted(_ text: String) -> String {
    var line = "\""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\\"), UInt8(ascii: "\""): line += "\\" + String(UnicodeScalar(byte))
      case 10: line += "\\n"
      case 13: line += "\\r"
      case 9: line += "\\t"
      case 7: line += "\\a"
      case 8: line += "\\b"
      case 32..<127: line += String(UnicodeScalar(byte))
      default:
        let digits = String(byte, radix: 16)
        line += "\\x" + (digits.count == 2 ? digits : "0" + digits)
      }
    }
    return line + "\""
  }
}
