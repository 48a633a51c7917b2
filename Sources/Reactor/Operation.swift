/// What a completion or a readiness is about, in the 64 bits that the kernel gives back with it:
///
///     63        32 31            4 3     0
///     generation  | index         | kind
struct Operation {
  /// The kinds of operations.
  enum Kind: UInt8 {
    case receive, direct, send, cancel, accept, wake
  }

  /// Places that 28 bits can name.
  static let indexLimit = 1 << 28

  let word: UInt64

  init(word: UInt64) { self.word = word }

  init(_ kind: Kind, _ id: ConnectionID) {
    word = UInt64(id.generation) << 32 | UInt64(id.index) << 4 | UInt64(kind.rawValue)
  }

  var kind: Kind? { Kind(rawValue: UInt8(word & 15)) }
  var connection: ConnectionID {
    ConnectionID(
      index: UInt32(truncatingIfNeeded: word) >> 4,
      generation: UInt32(truncatingIfNeeded: word >> 32))
  }
}
