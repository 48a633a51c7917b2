@testable import Storage

/// What the tests' keyspaces hash with.
let testSeed = HashSeed(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)

/// Words for keys and values.
typealias Bytes = [UInt8]

func bytes(_ text: String) -> Bytes { Bytes(text.utf8) }

extension RawSpan {
  var array: Bytes { withUnsafeBytes { Bytes($0) } }
}

extension Bytes {
  func hash(_ seed: HashSeed = testSeed) -> KeyHash { KeyHash(span.bytes, seed: seed) }
}

extension Keyspace {
  /// `find` by an array; the hash may be forced.
  func find(_ slot: Int, _ key: Bytes) -> EntryRef? { find(slot, key.hash(seed), key.span.bytes) }

  mutating func set(
    _ slot: Int, _ key: Bytes, _ value: Bytes, expiry: StringExpiry = .clear, clock: UInt32 = 0,
    raw: Bool = false
  ) throws(OutOfMemory) {
    try setBytes(
      slot, key.hash(seed), key.span.bytes, value.span.bytes, over: find(slot, key), expiry: expiry,
      clock: clock, raw: raw)
  }

  mutating func set(
    _ slot: Int, _ key: Bytes, _ value: Int64, expiry: StringExpiry = .clear, clock: UInt32 = 0
  ) throws(OutOfMemory) {
    try setInteger(
      slot, key.hash(seed), key.span.bytes, value, over: find(slot, key), expiry: expiry,
      clock: clock)
  }

  mutating func setLarge(
    _ slot: Int, _ key: Bytes, _ value: Bytes, expiry: StringExpiry = .clear
  ) throws(OutOfMemory) {
    var large = LargeValue(expected: value.count)
    try large.append(value.span.bytes)
    try setValue(
      slot, key.hash(seed), key.span.bytes, large, over: find(slot, key), expiry: expiry, clock: 0)
  }

  mutating func append(_ slot: Int, _ key: Bytes, _ tail: Bytes) throws(OutOfMemory) -> Int? {
    guard let ref = find(slot, key) else { return nil }
    return try append(slot, key.hash(seed), key.span.bytes, tail.span.bytes, to: ref, clock: 0)
  }

  mutating func expire(_ slot: Int, _ key: Bytes, _ time: Int64?) throws(OutOfMemory) {
    guard let ref = find(slot, key) else { return }
    try setExpiry(slot, key.hash(seed), key.span.bytes, of: ref, time)
  }

  mutating func remove(_ slot: Int, _ key: Bytes) -> Bool {
    guard let ref = find(slot, key) else { return false }
    remove(slot, ref)
    return true
  }

  /// The value of a key as bytes, an integer as its digits.
  func value(_ slot: Int, _ key: Bytes) -> Bytes? {
    guard let ref = find(slot, key) else { return nil }
    return encoding(of: ref) == .integer
      ? Storage_bytes("\(integer(of: ref))") : bytes(of: ref).array
  }

  mutating func buryAll() { while bury(workUnits: 1000) > 0 {} }
}

private func Storage_bytes(_ text: String) -> Bytes { Bytes(text.utf8) }
