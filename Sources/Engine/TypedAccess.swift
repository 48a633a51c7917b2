internal import RESP
internal import Sharding
internal import Storage

// GET and SET without the protocol, for an engine that is linked in: the same look-up, expiry and counts as the commands.

extension Engine {
  /// Gives a key's value to `body`, nil if there is none. Integers are given as their digits.
  @inline(__always)
  public mutating func typedGet<R>(_ key: RawSpan, _ body: (borrowing RawSpan?) -> R) -> R {
    let hash = KeyHash(key, seed: hashSeed)
    guard let entry = read(HashSlot.of(key).index, hash, key) else { return body(nil) }
    if keyspace.encoding(of: entry) == .integer {
      let digits = Array(String(keyspace.integer(of: entry)).utf8)
      return body(digits.rawBytes)
    }
    return body(keyspace.bytes(of: entry))
  }

  /// Stores a value without expiry. False if no memory could be had.
  public mutating func typedSet(_ key: RawSpan, _ value: RawSpan) -> Bool {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = HashSlot.of(key).index
    let entry = keyspace.find(slot, hash, key)
    do throws(OutOfMemory) {
      if value.byteCount <= 20, let integer = value.integer() {
        try keyspace.setInteger(
          slot, hash, key, integer, over: entry, expiry: .clear, clock: accessClock)
      } else {
        try keyspace.setBytes(
          slot, hash, key, value, over: entry, expiry: .clear, clock: accessClock)
      }
    } catch { return false }
    if listeners != 0 { touch(slot, hash, key) }
    return true
  }
}
