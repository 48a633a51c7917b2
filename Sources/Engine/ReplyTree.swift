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

extension Replies {
  /// Writes a tree. O(tree).
  mutating func append(_ tree: ReplyTree) {
    switch tree {
    case .ok: ok()
    case .integer(let number): integer(Int64(number))
    case .text(let text): bulk(text: text)
    case .list(let items):
      arrayHeader(items.count)
      for item in items { append(item) }
    case .map(let fields):
      mapHeader(fields.count, version)
      for field in fields {
        bulk(text: field.name)
        append(field.value)
      }
    }
  }
}
