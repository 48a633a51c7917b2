/// A reply as a value: for tests, for callers without a socket, for `tern cluster`. Made to be right, not fast.
public indirect enum Reply: Sendable, Equatable {
  /// `+text`
  case simple([UInt8])
  /// `-text`; in RESP3 also `!n`.
  case error([UInt8])
  /// `:n`
  case integer(Int64)
  /// `$n`
  case bulk([UInt8])
  /// `$-1`, `*-1`, `_`
  case null
  /// `*n`
  case array([Reply])
  /// `%n`; pairs in the order in which they came.
  case map([Pair])
  /// `~n`; in the order in which they came.
  case set([Reply])
  /// `>n`: what no request asked for.
  case push([Reply])
  /// `|n` and the reply that it is about.
  case attributed([Pair], Reply)
  /// `#t`, `#f`
  case boolean(Bool)
  /// `,x`
  case double(Double)
  /// `=n`: a text and its format.
  case verbatim(format: [UInt8], [UInt8])
  /// `(digits`
  case bigNumber([UInt8])

  /// A key of a map and its value.
  public struct Pair: Sendable, Equatable {
    /// The key.
    public var key: Reply
    /// Its value.
    public var value: Reply

    /// A key and its value.
    public init(_ key: Reply, _ value: Reply) {
      self.key = key
      self.value = value
    }
  }
}

extension Reply {
  /// The text of a simple, bulk, error, verbatim or big number reply.
  public var text: String? {
    switch self {
    case .simple(let bytes), .error(let bytes), .bulk(let bytes), .bigNumber(let bytes),
      .verbatim(_, let bytes):
      String(decoding: bytes, as: UTF8.self)
    case .integer, .null, .array, .map, .set, .push, .attributed, .boolean, .double: nil
    }
  }

  /// The elements of an array, set or push.
  public var elements: [Reply]? {
    switch self {
    case .array(let elements), .set(let elements), .push(let elements): elements
    case .simple, .error, .integer, .bulk, .null, .map, .attributed, .boolean, .double, .verbatim,
      .bigNumber:
      nil
    }
  }
}
