/// A client broke the protocol: it gets one reply line with Redis's text, then the connection is closed.
public struct ProtocolError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was wrong.
  public enum Kind: UInt8, Sendable, CaseIterable {
    /// A request's argument count is no number, or too large.
    case invalidMultibulkLength
    /// An argument's length is no number, negative, or too large.
    case invalidBulkLength
    /// An argument does not begin with `$`.
    case expectedDollar
    /// The line of an argument count does not end.
    case tooBigMultibulkCount
    /// The line of an argument's length does not end.
    case tooBigBulkCount
    /// The line of an inline request does not end.
    case tooBigInline
    /// An inline request's quotes are not closed, or are followed by something else than a space.
    case unbalancedQuotes
    /// A client that has not authenticated sends more than 10 arguments.
    case unauthenticatedMultibulkLength
    /// A client that has not authenticated sends an argument of more than 16 KiB.
    case unauthenticatedBulkLength
    /// More of a request waits than `queryBufferLimit`. As with Redis the connection is closed without a reply.
    case queryBufferLimit
  }

  /// What was wrong.
  public let kind: Kind
  /// The byte that stood in place of `$`; otherwise 0.
  public let byte: UInt8

  /// An error of this kind.
  public init(_ kind: Kind, byte: UInt8 = 0) {
    self.kind = kind
    self.byte = byte
  }

  /// The text after `Protocol error: `. Line ends in it are spaces, as in every error reply.
  public var description: String {
    switch kind {
    case .invalidMultibulkLength: "invalid multibulk length"
    case .invalidBulkLength: "invalid bulk length"
    case .expectedDollar:
      "expected '$', got '\(Character(Unicode.Scalar(byte == 13 || byte == 10 ? 32 : byte)))'"
    case .tooBigMultibulkCount: "too big mbulk count string"
    case .tooBigBulkCount: "too big bulk count string"
    case .tooBigInline: "too big inline request"
    case .unbalancedQuotes: "unbalanced quotes in request"
    case .unauthenticatedMultibulkLength: "unauthenticated multibulk length"
    case .unauthenticatedBulkLength: "unauthenticated bulk length"
    case .queryBufferLimit: "query buffer limit reached"
    }
  }

  /// The whole reply, `-ERR Protocol error: …\r\n`; empty where the connection is closed without one.
  public var reply: [UInt8] {
    if kind == .queryBufferLimit { return [] }
    var reply = Array("-ERR Protocol error: ".utf8)
    if kind == .expectedDollar {
      // The byte goes out as it came, also if it is no UTF-8.
      reply += "expected '$', got '".utf8
      reply += [byte == 13 || byte == 10 ? 32 : byte, UInt8(ascii: "'")]
    } else {
      reply += description.utf8
    }
    return reply + [13, 10]
  }
}
