/// Parses replies of both versions, strictly.
///
/// Limits: depth and size. An array's claimed count allocates nothing: elements are kept as they are found.
public struct ReplyParser: Sendable {
  /// How deep replies may be nested.
  public var maxDepth: Int
  /// How many bytes a reply may have.
  public var maxByteCount: Int

  /// A parser with these limits.
  public init(maxDepth: Int = 32, maxByteCount: Int = 1 << 30) {
    self.maxDepth = maxDepth
    self.maxByteCount = maxByteCount
  }

  /// Why bytes are no reply.
  public enum Failure: Error, Sendable, Equatable {
    /// They break the format, at this offset.
    case malformed(at: Int)
    /// They are nested deeper than `maxDepth`.
    case tooDeep
    /// They are more, or claim to be more, than `maxByteCount`.
    case tooLarge
  }

  /// The reply at the beginning of `bytes` and how many bytes it has; `nil` if it is not whole.
  public func parse(_ bytes: RawSpan) throws(Failure) -> (reply: Reply, byteCount: Int)? {
    var reader = ReplyReader(bytes, maxByteCount: maxByteCount)
    guard let reply = try reader.reply(depth: maxDepth) else {
      if bytes.byteCount >= maxByteCount { throw .tooLarge }
      return nil
    }
    if reader.position > maxByteCount { throw .tooLarge }
    return (reply, reader.position)
  }

  /// The reply at the beginning of `bytes` and how many bytes it has; `nil` if it is not whole.
  public func parse(_ bytes: some Collection<UInt8>) throws(Failure) -> (
    reply: Reply, byteCount: Int
  )? {
    try parse(Array(bytes).span.rawBytes)
  }

  /// All replies that `bytes` are; malformed if the last is not whole.
  public func parseAll(_ bytes: [UInt8]) throws(Failure) -> [Reply] {
    var replies: [Reply] = []
    var position = 0
    let bytes = bytes.span.rawBytes
    while position < bytes.byteCount {
      guard let (reply, byteCount) = try parse(bytes.extracting(position..<bytes.byteCount)) else {
        throw .malformed(at: bytes.byteCount)
      }
      replies.append(reply)
      position += byteCount
    }
    return replies
  }
}

/// The place in a reply that is being read. `nil` from a function says: the bytes end before that.
private struct ReplyReader: ~Escapable {
  let bytes: RawSpan
  let maxByteCount: Int
  var position = 0

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, maxByteCount: Int) {
    self.bytes = bytes
    self.maxByteCount = maxByteCount
  }

  mutating func reply(depth: Int) throws(ReplyParser.Failure) -> Reply? {
    guard depth > 0 else { throw .tooDeep }
    guard position < bytes.byteCount else { return nil }
    let start = position
    let type = bytes.byte(at: position)
    position += 1
    guard let line = try line() else { return nil }
    let text = array(line)
    switch type {
    case UInt8(ascii: "+"): return .simple(text)
    case UInt8(ascii: "-"): return .error(text)
    case UInt8(ascii: "("):
      let digits = text.first == UInt8(ascii: "-") ? text.dropFirst() : text[...]
      guard !digits.isEmpty, digits.allSatisfy({ 48...57 ~= $0 }) else {
        throw .malformed(at: start)
      }
      return .bigNumber(text)
    case UInt8(ascii: ","):
      guard let value = double(text) else { throw .malformed(at: start) }
      return .double(value)
    case UInt8(ascii: "#"):
      guard text == [UInt8(ascii: "t")] || text == [UInt8(ascii: "f")] else {
        throw .malformed(at: start)
      }
      return .boolean(text == [UInt8(ascii: "t")])
    case UInt8(ascii: "_"):
      guard text.isEmpty else { throw .malformed(at: start) }
      return .null
    default: break
    }

    guard let number = bytes.extracting(line).integer() else { throw .malformed(at: start) }
    if type == UInt8(ascii: ":") { return .integer(number) }
    if number == -1, type == UInt8(ascii: "$") || type == UInt8(ascii: "*") { return .null }
    guard number >= 0 else { throw .malformed(at: start) }
    guard number <= maxByteCount else { throw .tooLarge }
    let count = Int(number)
    switch type {
    case UInt8(ascii: "$"): return try payload(count).map { .bulk(array($0)) }
    case UInt8(ascii: "!"): return try payload(count).map { .error(array($0)) }
    case UInt8(ascii: "="):
      guard let range = try payload(count) else { return nil }
      guard count >= 4, bytes.byte(at: range.lowerBound + 3) == UInt8(ascii: ":") else {
        throw .malformed(at: start)
      }
      let text = range.lowerBound + 4
      return .verbatim(
        format: array(range.lowerBound..<(range.lowerBound + 3)), array(text..<range.upperBound))
    case UInt8(ascii: "*"): return try elements(count, depth).map { .array($0) }
    case UInt8(ascii: "~"): return try elements(count, depth).map { .set($0) }
    case UInt8(ascii: ">"): return try elements(count, depth).map { .push($0) }
    case UInt8(ascii: "%"): return try pairs(count, depth).map { .map($0) }
    case UInt8(ascii: "|"):
      guard let pairs = try pairs(count, depth), let reply = try reply(depth: depth - 1) else {
        return nil
      }
      return .attributed(pairs, reply)
    default: throw .malformed(at: start)
    }
  }

  mutating func elements(_ count: Int, _ depth: Int) throws(ReplyParser.Failure) -> [Reply]? {
    var elements: [Reply] = []
    for _ in 0..<count {
      guard let element = try reply(depth: depth - 1) else { return nil }
      elements.append(element)
    }
    return elements
  }

  mutating func pairs(_ count: Int, _ depth: Int) throws(ReplyParser.Failure) -> [Reply.Pair]? {
    var pairs: [Reply.Pair] = []
    for _ in 0..<count {
      guard let key = try reply(depth: depth - 1), let value = try reply(depth: depth - 1) else {
        return nil
      }
      pairs.append(Reply.Pair(key, value))
    }
    return pairs
  }

  /// Passes the rest of a line with its end.
  mutating func line() throws(ReplyParser.Failure) -> Range<Int>? {
    let start = position
    while position < bytes.byteCount {
      let byte = bytes.byte(at: position)
      if byte == 10 { throw .malformed(at: position) }
      if byte == 13 {
        guard position + 1 < bytes.byteCount else { return nil }
        guard bytes.byte(at: position + 1) == 10 else { throw .malformed(at: position) }
        defer { position += 2 }
        return start..<position
      }
      position += 1
    }
    return nil
  }

  /// Passes so many bytes and the line end behind them.
  mutating func payload(_ count: Int) throws(ReplyParser.Failure) -> Range<Int>? {
    let start = position
    guard bytes.byteCount - start - 2 >= count else { return nil }
    guard bytes.byte(at: start + count) == 13, bytes.byte(at: start + count + 1) == 10 else {
      throw .malformed(at: start + count)
    }
    position = start + count + 2
    return start..<(start + count)
  }

  func array(_ range: Range<Int>) -> [UInt8] {
    range.map { bytes.byte(at: $0) }
  }

  /// Redis writes `inf`, `-inf` and `nan`; the standard library reads these too, but also much else.
  func double(_ text: [UInt8]) -> Double? {
    let allowed = Array("0123456789+-.eE".utf8)
    let string = String(decoding: text, as: UTF8.self)
    if ["inf", "-inf", "nan"].contains(string) { return Double(string) }
    return text.allSatisfy(allowed.contains) ? Double(string) : nil
  }
}
