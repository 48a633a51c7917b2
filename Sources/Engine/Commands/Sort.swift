internal import RESP
internal import Storage

// SORT and SORT_RO: options, errors, and the answers for keys that are not there or hold a string, which cannot be sorted.

extension Engine {
  /// SORT key [BY pattern] [LIMIT offset count] [ASC|DESC] [ALPHA] [STORE destination].
  mutating func sort(_ call: Call) -> Effect { sort(call, mayStore: true) }

  /// SORT_RO: SORT without STORE.
  mutating func sortReadOnly(_ call: Call) -> Effect { sort(call, mayStore: false) }

  private mutating func sort(_ call: Call, mayStore: Bool) -> Effect {
    var destination = 0
    var i = 2
    while i < call.count {
      let rest = call.count - i - 1
      switch Word(call[i]) {
      case "ASC", "DESC", "ALPHA": break
      case "LIMIT" where rest >= 2:
        guard call[i + 1].integer() != nil, call[i + 2].integer() != nil else {
          return notAnInteger()
        }
        i += 2
      case "STORE" where rest >= 1 && mayStore:
        destination = i + 1
        i += 1
      case "BY" where rest >= 1:
        if Self.namesOtherKeys(call[i + 1]) {
          return failing("ERR BY option of SORT denied in Cluster mode.")
        }
        i += 1
      case "GET" where rest >= 1:
        return failing("ERR GET option of SORT denied in Cluster mode.")
      default: return syntaxError()
      }
      i += 1
    }
    if read(call) != nil {
      return failing("WRONGTYPE Operation against a key holding the wrong kind of value")
    }
    if destination == 0 {
      reply.emptyArray()
      return .none
    }
    reply.integer(0)
    let hash = KeyHash(call[destination], seed: hashSeed)
    guard let old = live(call.slot, hash, call[destination]) else { return .none }
    keyspace.remove(call.slot, old)
    return .verbatim
  }

  /// Whether a pattern of BY has a star; it ends at a zero byte.
  private static func namesOtherKeys(_ pattern: RawSpan) -> Bool {
    for i in 0..<pattern.byteCount {
      if pattern.byte(at: i) == 0 { return false }
      if pattern.byte(at: i) == UInt8(ascii: "*") { return true }
    }
    return false
  }

  /// The index of the key that SORT stores to, 0 if there is none. Options are not checked: this says where a request belongs, before
  /// anybody knows whether it is valid.
  static func sortDestination(_ arguments: Arguments) -> Int {
    var destination = 0
    var i = 2
    while i < arguments.count {
      switch Word(arguments[i]) {
      case "LIMIT": i += 2
      case "BY", "GET": i += 1
      case "STORE" where i + 1 < arguments.count: destination = i + 1
      default: break
      }
      i += 1
    }
    return destination
  }
}
