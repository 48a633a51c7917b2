internal import RESP
public import Sharding
internal import Storage

// Commands without the protocol, for an engine that is linked in: the same verdict, look-up, expiry and counts as the commands that a
// client sends, but bytes and numbers instead of requests and replies. Nothing here allocates but what becomes an entry.
//
// `shard` is the local index of the shard that is spoken to. A shard serves the slots that it holds; for others the error names the
// owner, as `MOVED` does.

/// Why a typed command was not carried out; nothing was changed.
public enum TypedError: Error, Equatable, Sendable {
  /// Another shard has the key's slot, or (nil) none has; or the key is on its way from this one: ask again.
  case moved(to: ShardID?)
  /// No memory could be had, or `maxmemory` is reached.
  case outOfMemory
  /// The value is not an integer of 64 bits.
  case notAnInteger
  /// The sum is not an integer of 64 bits.
  case overflow
  /// The moment of expiry is not a number of milliseconds in 64 bits.
  case invalidExpiry
  /// The key or the value is longer than `proto-max-bulk-len`.
  case tooLarge
}

/// What an engine has counted since its start or the last CONFIG RESETSTAT, and what a shard holds now.
public struct EngineFigures: Sendable, Equatable {
  /// Commands carried out or refused, with and without the protocol.
  public var commandCount: UInt64
  /// Look-ups of keys that were there, and that were not.
  public var hitCount: UInt64
  public var missCount: UInt64
  /// Keys that were removed because their time had come.
  public var expiredKeyCount: UInt64
  /// Error replies.
  public var errorReplyCount: UInt64
  /// Keys of the shard, and those among them that have an expiry.
  public var keyCount: Int
  public var expiringKeyCount: Int
  /// Bytes by size class that the shard's keys use.
  public var byteCount: Int
}

extension Engine {
  /// What was counted of the shard of that local index, and what it holds.
  public func figures(ofShard shard: Int32) -> EngineFigures {
    let page = Self.page(ofShard: shard)
    return EngineFigures(
      commandCount: ledger[page].commandCount, hitCount: ledger[page].hits,
      missCount: ledger[page].misses, expiredKeyCount: ledger[page].expiredKeys,
      errorReplyCount: ledger[page].errorReplies, keyCount: keyspace.keyCount(ofShard: shard),
      expiringKeyCount: keyspace.expiringCount(ofShard: shard),
      byteCount: keyspace.byteCount(ofShard: shard))
  }

  // MARK: reading

  /// GET: gives a key's value to `body`, nil if there is none. Integers are given as their digits.
  @inline(__always)
  public mutating func typedGet<R>(
    _ key: RawSpan, of shard: Int32 = 0, _ body: (borrowing RawSpan?) -> R
  ) throws(TypedError) -> R {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = try slot(of: key, hash, shard)
    countTyped(.get)
    return give(slot, hash, key, body)
  }

  /// GET for many keys, which lie one after the other in `keys`: key i ends at `ends[i]`. They are looked up in groups of 16 whose
  /// cache lines are asked for together. `body` gets each key's number and value, in order. `ends` ascend and lie within `keys`.
  ///
  /// All keys are looked at before the first value is given: if one has moved, `body` is never called.
  public mutating func typedGet(
    _ keys: RawSpan, ends: Span<Int>, of shard: Int32 = 0,
    _ body: (Int, borrowing RawSpan?) -> Void
  ) throws(TypedError) {
    count(forShard: shard)
    for i in 0..<ends.count {
      let key = keys.extracting((i == 0 ? 0 : ends[i - 1])..<ends[i])
      if keyspace.owner(of: HashSlot.of(key).index) | openSlotBits != shard {
        _ = try slot(of: key, KeyHash(key, seed: hashSeed), shard)
      }
    }
    var first = 0
    while first < ends.count {
      let count = min(16, ends.count - first)
      var slots = InlineArray<16, Int>(repeating: 0)
      var hashes = InlineArray<16, KeyHash>(repeating: KeyHash.none)
      var start = first == 0 ? 0 : ends[first - 1]
      for i in 0..<count {
        let key = keys.extracting(start..<ends[first + i])
        start = ends[first + i]
        slots[i] = HashSlot.of(key).index
        hashes[i] = KeyHash(key, seed: hashSeed)
        keyspace.prefetchTable(slots[i])
      }
      for i in 0..<count { keyspace.prefetchDirectory(slots[i], hashes[i]) }
      for i in 0..<count { keyspace.prefetchBucket(slots[i], hashes[i]) }
      for i in 0..<count { keyspace.prefetchEntry(slots[i], hashes[i]) }
      start = first == 0 ? 0 : ends[first - 1]
      for i in 0..<count {
        let key = keys.extracting(start..<ends[first + i])
        start = ends[first + i]
        give(slots[i], hashes[i], key) { body(first + i, $0) }
      }
      first += count
    }
    countTyped(.mget)
  }

  /// EXISTS, for one key.
  public mutating func typedExists(
    _ key: RawSpan, of shard: Int32 = 0
  ) throws(TypedError) -> Bool {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = try slot(of: key, hash, shard)
    countTyped(.exists)
    return read(slot, hash, key) != nil
  }

  // MARK: writing

  /// SET: stores a value; it expires so many milliseconds from now, or not at all.
  public mutating func typedSet(
    _ key: RawSpan, _ value: RawSpan, of shard: Int32 = 0, expiringAfter milliseconds: Int64? = nil
  ) throws(TypedError) {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = try slot(of: key, hash, shard)
    try checkRoom(key, value.byteCount)
    var expiry: StringExpiry = .clear
    if let milliseconds {
      guard let moment = ExpiryUnit.milliseconds.moment(milliseconds, now: now) else {
        throw .invalidExpiry
      }
      expiry = .at(moment)
    }
    countTyped(.set)
    let entry = keyspace.find(slot, hash, key)
    do throws(OutOfMemory) {
      if value.byteCount <= 20, let integer = value.integer() {
        try keyspace.setInteger(
          slot, hash, key, integer, over: entry, expiry: expiry, clock: accessClock)
      } else {
        try keyspace.setBytes(
          slot, hash, key, value, over: entry, expiry: expiry, clock: accessClock)
      }
    } catch { throw .outOfMemory }
    if listeners != 0 { heardTyped(slot, hash, key, of: shard, .set(isNew: entry == nil)) }
  }

  /// DEL, for one key: whether it was there.
  public mutating func typedDelete(
    _ key: RawSpan, of shard: Int32 = 0
  ) throws(TypedError) -> Bool {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = try slot(of: key, hash, shard)
    countTyped(.del)
    guard let entry = live(slot, hash, key) else { return false }
    keyspace.remove(slot, entry)
    if listeners != 0 { heardTyped(slot, hash, key, of: shard, .delete) }
    return true
  }

  /// INCRBY: the sum. A key that is not there counts as 0; its expiry stays.
  public mutating func typedIncrement(
    _ key: RawSpan, by number: Int64, of shard: Int32 = 0
  ) throws(TypedError) -> Int64 {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = try slot(of: key, hash, shard)
    try checkRoom(key, 0)
    countTyped(.incrby)
    let entry = live(slot, hash, key)
    var value: Int64 = 0
    if let entry {
      if keyspace.encoding(of: entry) == .integer {
        value = keyspace.integer(of: entry)
      } else {
        guard let parsed = keyspace.bytes(of: entry).integer() else { throw .notAnInteger }
        value = parsed
      }
    }
    let (sum, overflow) = value.addingReportingOverflow(number)
    if overflow { throw .overflow }
    do throws(OutOfMemory) {
      try keyspace.setInteger(
        slot, hash, key, sum, over: entry, expiry: .keep, clock: accessClock)
    } catch { throw .outOfMemory }
    if listeners != 0 {
      heardTyped(slot, hash, key, of: shard, .increment(number, isNew: entry == nil))
    }
    return sum
  }

  /// PEXPIRE: whether the key is there. It expires so many milliseconds from now, at once if they are not positive.
  public mutating func typedExpire(
    _ key: RawSpan, after milliseconds: Int64, of shard: Int32 = 0
  ) throws(TypedError) -> Bool {
    let hash = KeyHash(key, seed: hashSeed)
    let slot = try slot(of: key, hash, shard)
    let (moment, overflow) = milliseconds.addingReportingOverflow(now)
    if overflow { throw .invalidExpiry }
    countTyped(.pexpire)
    guard let entry = live(slot, hash, key) else { return false }
    if moment <= now {
      keyspace.remove(slot, entry)
    } else {
      do throws(OutOfMemory) {
        try keyspace.setExpiry(slot, hash, key, of: entry, moment)
      } catch { throw .outOfMemory }
    }
    if listeners != 0 { heardTyped(slot, hash, key, of: shard, .expire) }
    return true
  }

  // MARK: what they share

  @inline(__always)
  private mutating func give<R>(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ body: (borrowing RawSpan?) -> R
  ) -> R {
    guard let entry = read(slot, hash, key) else { return body(nil) }
    if keyspace.encoding(of: entry) == .integer {
      return Self.giveDigits(Digits(keyspace.integer(of: entry)), body)
    }
    return body(keyspace.bytes(of: entry))
  }

  /// Lends an integer's digits from the stack.
  @inline(__always)
  private static func giveDigits<R>(_ digits: Digits, _ body: (borrowing RawSpan?) -> R) -> R {
    let words: InlineArray<3, UInt64> = [
      digits.first.littleEndian, digits.second.littleEndian, UInt64(digits.third).littleEndian,
    ]
    return unsafe body(words.span.bytes.extracting(0..<digits.count))
  }

  /// The slot of a key, if that shard serves it.
  @inline(__always)
  private mutating func slot(
    of key: RawSpan, _ hash: KeyHash, _ shard: Int32
  ) throws(TypedError) -> Int {
    count(forShard: shard)
    let slot = HashSlot.of(key).index
    if keyspace.owner(of: slot) | openSlotBits != shard { try route(slot, hash, key, shard) }
    return slot
  }

  /// The cold path of the verdict: no worker says no before it has looked into its mailbox.
  @inline(never)
  private mutating func route(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ shard: Int32
  ) throws(TypedError) {
    if isServed(slot, hash, key, shard) { return }
    repeat {
      look()
      if isServed(slot, hash, key, shard) { return }
    } while isMapOld
    if case .migrating(let target) = slotState(slot, of: shard) { throw .moved(to: target) }
    throw .moved(to: map.owner(of: HashSlot(UInt16(slot))))
  }

  private func isServed(_ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ shard: Int32) -> Bool {
    if !heldKeys.isEmpty, heldKeys.contains(HeldKey(slot, hash)) { return false }
    return switch slotState(slot, of: shard) {
    case .held: true
    case .migrating: isPresent(key, hash, in: slot)
    case .elsewhere, .unassigned, .importingByPresence, .importingByCursor: false
    }
  }

  private mutating func checkRoom(_ key: RawSpan, _ valueByteCount: Int) throws(TypedError) {
    if max(key.byteCount, valueByteCount) > settings.protoMaxBulkLength { throw .tooLarge }
    if isMemoryLimited, !hasRoom() { throw .outOfMemory }
  }

  @inline(__always)
  private mutating func countTyped(_ id: CommandID) {
    statistics.commandCount &+= 1
    statistics.commands[Int(id.rawValue)].calls &+= 1
  }
}
