internal import RESP

/// A reply that is made elsewhere, by the control plane, and written for the client that waits for it.
public enum ReplyTree: Sendable, Equatable {
  /// A member of a map.
  public struct Field: Sendable, Equatable {
    /// Its name.
    public let name: String
    /// What is said of it.
    public let value: ReplyTree

    /// A member of that name.
    public init(_ name: String, _ value: ReplyTree) {
      self.name = name
      self.value = value
    }
  }

  /// `+OK`
  case ok
  /// An integer.
  case integer(Int)
  /// A bulk string.
  case text(String)
  /// An array.
  case list([ReplyTree])
  /// A map; in RESP2 an array of names and values.
  case map([Field])
}

extension Engine {
  /// Answers with a tree. O(tree).
  mutating func write(_ tree: ReplyTree) {
    switch tree {
    case .ok: reply.ok()
    case .integer(let number): reply.integer(Int64(number))
    case .text(let text): reply.bulk(text: text)
    case .list(let items):
      reply.arrayHeader(items.count)
      for item in items { write(item) }
    case .map(let fields):
      reply.mapHeader(fields.count, reply.version)
      for field in fields {
        reply.bulk(text: field.name)
        write(field.value)
      }
    }
  }
}
