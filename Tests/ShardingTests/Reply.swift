/// A reply as a client sees it.
enum Reply: Equatable {
  case simple(String)
  case error(String)
  case integer(Int)
  case bulk(String)
  case verbatim(String)
  case array([Reply])
  case map([Reply])

  /// The one reply that `bytes` are; nil if they are not exactly one.
  init?(_ bytes: [UInt8]) {
    var rest = bytes[...]
    guard let reply = Reply.take(&rest), rest.isEmpty else { return nil }
    self = reply
  }

  private static func take(_ rest: inout ArraySlice<UInt8>) -> Reply? {
    guard let end = rest.firstIndex(of: 13), rest.dropFirst(end + 1 - rest.startIndex).first == 10,
      let type = rest.first
    else { return nil }
    let line = String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self)
    rest = rest[(end + 2)...]
    switch type {
    case UInt8(ascii: "+"): return .simple(line)
    case UInt8(ascii: "-"): return .error(line)
    case UInt8(ascii: ":"): return Int(line).map { .integer($0) }
    case UInt8(ascii: "$"): return takeText(&rest, line).map { .bulk($0) }
    case UInt8(ascii: "="):
      guard let text = takeText(&rest, line), text.hasPrefix("txt:") else { return nil }
      return .verbatim(String(text.dropFirst(4)))
    case UInt8(ascii: "*"): return takeMany(&rest, Int(line)).map { .array($0) }
    case UInt8(ascii: "%"): return takeMany(&rest, Int(line).map { 2 * $0 }).map { .map($0) }
    default: return nil
    }
  }

  private static func takeText(_ rest: inout ArraySlice<UInt8>, _ length: String) -> String? {
    guard let count = Int(length), rest.count >= count + 2 else { return nil }
    let text = String(decoding: rest.prefix(count), as: UTF8.self)
    guard Array(rest.dropFirst(count).prefix(2)) == [13, 10] else { return nil }
    rest = rest.dropFirst(count + 2)
    return text
  }

  private static func takeMany(_ rest: inout ArraySlice<UInt8>, _ count: Int?) -> [Reply]? {
    guard let count else { return nil }
    var replies: [Reply] = []
    for _ in 0..<count {
      guard let reply = take(&rest) else { return nil }
      replies.append(reply)
    }
    return replies
  }

  /// The elements of an array or the flat pairs of a map.
  var elements: [Reply]? {
    switch self {
    case .array(let elements), .map(let elements): elements
    default: nil
    }
  }

  var text: String? {
    switch self {
    case .bulk(let text), .verbatim(let text): text
    default: nil
    }
  }

  var integer: Int? { if case .integer(let number) = self { number } else { nil } }

  /// The value of a map's (or flat array's) key.
  subscript(key: String) -> Reply? {
    guard let elements else { return nil }
    for index in stride(from: 0, to: elements.count - 1, by: 2)
    where elements[index] == .bulk(key) {
      return elements[index + 1]
    }
    return nil
  }
}
