// Inline requests: words and quotes.

extension RequestBatch {
  /// Adds the request that a line of text is (without its end): words between spaces, `"…"` with `\n \r \t \b \a \xHH` and any other byte escaped by `\`, `'…'` with `\'`. Quotes may begin inside a word, and must be followed by a space or the end. A line of spaces is no request.
  mutating func appendInline(_ line: RawSpan, byteCount: Int) throws(ProtocolError) {
    var arguments = takeScratch()
    var reader = LineReader(line)
    while try reader.next(into: &text, range: &arguments) {}
    if !arguments.isEmpty {
      append(arguments, shift: 0, byteCount: byteCount, isInline: true)
    }
    giveScratch(arguments)
  }
}

/// Reads the words of an inline request.
private struct LineReader: ~Escapable {
  let line: RawSpan
  var position = 0

  @_lifetime(copy line)
  init(_ line: RawSpan) { self.line = line }

  /// The byte `ahead` of the next one; `nil` at the end.
  func peek(_ ahead: Int = 0) -> UInt8? {
    position + ahead < line.byteCount ? line.byte(at: position + ahead) : nil
  }

  /// Appends the next word and its range; false at the end of the line.
  mutating func next(
    into text: inout [UInt8], range ranges: inout [ArgumentRange]
  ) throws(ProtocolError) -> Bool {
    while let byte = peek(), isSpace(byte) { position += 1 }
    guard peek() != nil else { return false }
    let first = text.count
    word: while let byte = peek() {
      switch byte {
      // Vertical tab and form feed are spaces before a word, but do not end one. So it is in Redis.
      case UInt8(ascii: " "), 9, 10, 13: break word
      case UInt8(ascii: "\""):
        try doubleQuoted(into: &text)
        break word
      case UInt8(ascii: "'"):
        try singleQuoted(into: &text)
        break word
      default:
        text.append(byte)
        position += 1
      }
    }
    ranges.append(ArgumentRange(offset: UInt32(first), count: UInt32(text.count - first)))
    return true
  }

  private mutating func doubleQuoted(into text: inout [UInt8]) throws(ProtocolError) {
    position += 1
    while let byte = peek() {
      if byte == UInt8(ascii: "\"") { return try close() }
      if byte == UInt8(ascii: "\\"), let escaped = peek(1) {
        if escaped == UInt8(ascii: "x"), let high = peek(2).flatMap(hexDigit),
          let low = peek(3).flatMap(hexDigit)
        {
          text.append(high << 4 | low)
          position += 4
          continue
        }
        text.append(unescaped(escaped))
        position += 2
      } else {
        text.append(byte)
        position += 1
      }
    }
    throw ProtocolError(.unbalancedQuotes)
  }

  private mutating func singleQuoted(into text: inout [UInt8]) throws(ProtocolError) {
    position += 1
    while let byte = peek() {
      if byte == UInt8(ascii: "'") { return try close() }
      if byte == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "'") { position += 1 }
      text.append(peek() ?? byte)
      position += 1
    }
    throw ProtocolError(.unbalancedQuotes)
  }

  /// Passes a closing quote.
  private mutating func close() throws(ProtocolError) {
    position += 1
    if let next = peek(), !isSpace(next) { throw ProtocolError(.unbalancedQuotes) }
  }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte >= 9 && byte <= 13 }

private func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
  default: nil
  }
}

private func unescaped(_ byte: UInt8) -> UInt8 {
  switch byte {
  case UInt8(ascii: "n"): 10
  case UInt8(ascii: "r"): 13
  case UInt8(ascii: "t"): 9
  case UInt8(ascii: "b"): 8
  case UInt8(ascii: "a"): 7
  default: byte
  }
}
