@testable import Storage

/// What the tests' keyspaces hash with.
let testSeed = HashSeed(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)

typealias Bytes = [UInt8]

func bytes(_ text: String) -> Bytes { Bytes(text.utf8) }

extension RawSpan {
  var array: Bytes { withUnsafeBytes { Bytes($0) } }
}

/// The storage's calls with keys and values as arrays.
extension Keyspace {
  /// The hash of a key, as the keyspace has it.
  func hash(_ key: Bytes) -> KeyHash { state.pointee.hashing.hash(key.span.bytes) }

  func find(_ slot: Int, _ key: Bytes) -> EntryRef? { find(slot, hash(key), key.span.bytes) }

  mutating func set(
    _ slot: Int, _ key: Bytes, _ value: Bytes, expiry: StringExpiry = .clear, clock: UInt32 = 0,
    raw: Bool = false
  ) throws(OutOfMemory) {
    try setBytes(
      slot, hash(key), key.span.bytes, value.span.bytes, over: find(slot, key), expiry: expiry,
      clock: clock, raw: raw)
  }

  mutating func set(
    _ slot: Int, _ key: Bytes, _ value: Int64, expiry: StringExpiry = .clear, clock: UInt32 = 0
  ) throws(OutOfMemory) {
    try setInteger(
      slot, hash(key), key.span.bytes, value, over: find(slot, key), expiry: expiry, clock: clock)
  }

  mutating func setLarge(
    _ slot: Int, _ key: Bytes, _ value: Bytes, expiry: StringExpiry = .clear
  ) throws(OutOfMemory) {
    var large = LargeValue(expected: value.count)
    try large.append(value.span.bytes)
    try setValue(
      slot, hash(key), key.span.bytes, large, over: find(slot, key), expiry: expiry, clock: 0)
  }

  mutating func append(_ slot: Int, _ key: Bytes, _ tail: Bytes) throws(OutOfMemory) -> Int? {
    guard let ref = find(slot, key) else { return nil }
    return try append(slot, hash(key), key.span.bytes, tail.span.bytes, to: ref, clock: 0)
  }

  mutating func overwrite(_ slot: Int, _ key: Bytes, _ offset: Int, _ bytes: Bytes)
    throws(OutOfMemory) -> Int?
  {
    guard let ref = find(slot, key) else { return nil }
    return try overwrite(
      slot, hash(key), key.span.bytes, at: offset, with: bytes.span.bytes, of: ref, clock: 0)
  }

  mutating func expire(_ slot: Int, _ key: Bytes, _ time: Int64?) throws(OutOfMemory) {
    guard let ref = find(slot, key) else { return }
    try setExpiry(slot, hash(key), key.span.bytes, of: ref, time)
  }

  mutating func remove(_ slot: Int, _ key: Bytes) -> Bool {
    guard let ref = find(slot, key) else { return false }
    remove(slot, ref)
    return true
  }

  /// The value of a key, an integer as its digits.
  func value(_ slot: Int, _ key: Bytes) -> Bytes? {
    guard let ref = find(slot, key) else { return nil }
    if encoding(of: ref) == .integer { return Bytes("\(integer(of: ref))".utf8) }
    return bytes(of: ref).array
  }

  func expiry(_ slot: Int, _ key: Bytes) -> Int64? {
    find(slot, key).flatMap { $0.entry.has(EntryShape.expiry) ? $0.entry.expiry : nil }
  }

  /// All keys of a slot in the order of a scan.
  func keys(_ slot: Int) -> [Bytes] {
    var all: [Bytes] = []
    var entries: [EntryRef] = []
    var prefix: UInt64? = 0
    while let from = prefix {
      prefix = scan(slot, from: from, into: &entries)
      all += entries.map { $0.entry.keyBytes.array }
    }
    return all
  }

  mutating func buryAll() { while bury(workUnits: 1000) > 0 {} }
}

/// A keyspace in which shard 0 owns the given slots.
func makeKeyspace(_ slots: Int..., mask: UInt64 = ~0, readKeys: Bool = false) -> Keyspace {
  var keyspace = try! Keyspace(seed: testSeed)
  keyspace.forceHashes(mask: mask, readKeys: readKeys)
  for slot in slots { keyspace.own(slot, by: 0) }
  return keyspace
}
