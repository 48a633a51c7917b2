internal import RESP
internal import Sharding
internal import Storage

// What all commands on keys share: finding a live entry, expiry, the access clock.

extension Engine {
  /// The entry of a key that is there and has not expired. An expired one is removed, and that is reported (DESIGN §6).
  @inline(__always)
  mutating func live(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) -> EntryRef? {
    guard let entry = keyspace.find(slot, hash, key) else { return nil }
    if entry.hasExpiry, let expiry = keyspace.expiry(of: entry), expiry <= now {
      expire(slot, entry)
      return nil
    }
    return entry
  }

  /// As `live`, for a command that reads: counts a hit or miss and moves the access clock.
  @inline(__always)
  mutating func read(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) -> EntryRef? {
    guard let entry = live(slot, hash, key) else {
      statistics.misses &+= 1
      return nil
    }
    statistics.hits &+= 1
    keyspace.touch(entry, touchClock)
    return entry
  }

  /// As `live`, for a command that tells about a key: counts a hit or miss and leaves the access clock alone.
  mutating func look(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) -> EntryRef? {
    guard let entry = live(slot, hash, key) else {
      statistics.misses &+= 1
      return nil
    }
    statistics.hits &+= 1
    return entry
  }

  /// Removes an expired entry.
  @inline(never)
  mutating func expire(_ slot: Int, _ entry: EntryRef) {
    statistics.expiredKeys &+= 1
    if listeners != 0 { touchRemoved(slot, entry) }
    keyspace.remove(slot, entry)
  }

  /// The first key's live entry.
  @inline(__always)
  mutating func live(_ call: Call) -> EntryRef? { live(call.slot, call.hash, call[1]) }

  /// The first key's live entry, for a command that reads.
  @inline(__always)
  mutating func read(_ call: Call) -> EntryRef? { read(call.slot, call.hash, call[1]) }

  /// Answers a string value as a bulk.
  @inline(__always)
  mutating func replyValue(_ entry: EntryRef) {
    reply.value(of: entry, in: keyspace)
  }

  /// Answers a key as a bulk.
  mutating func replyKey(_ entry: EntryRef) {
    reply.key(of: entry, in: keyspace)
  }

  /// Answers that there is no such value.
  @inline(__always)
  mutating func replyNull() { reply.null(reply.version) }

  /// The world's refusal as an answer: the one place where no memory becomes a reply.
  mutating func outOfMemory() -> Effect {
    failing("OOM command not allowed when used memory > 'maxmemory'.")
  }

  /// Lends the live entries that are shown at a shard's port, or at the router's, to `body`, by slot and in hash order; nothing is
  /// removed. O(keys of the shard).
  func forEachLiveEntry(ofShard shard: Int32, _ body: (EntryRef) -> Void) {
    for slot in 0..<HashSlot.count where isShown(slot, to: shard) && keyspace.keyCount(of: slot) > 0
    {
      forEachLiveEntry(ofTable: slot, body)
    }
    if shard != Session.endpoint { return }
    for open in openSlots where open.isImporting { forEachLiveEntry(ofTable: open.table, body) }
  }

  private func forEachLiveEntry(ofTable table: Int, _ body: (EntryRef) -> Void) {
    var found: [EntryRef] = []
    var prefix: UInt64? = 0
    while let from = prefix {
      prefix = keyspace.scan(table, from: from, into: &found)
      for entry in found {
        if entry.hasExpiry, let expiry = keyspace.expiry(of: entry), expiry <= now { continue }
        body(entry)
      }
    }
  }

  /// A number of bytes that a hash's batch of keys is looked up in: stages of up to 16 keys are prefetched before they are read.
  @inline(__always)
  mutating func forEachKey(
    _ call: Call, step: Int, _ body: (inout Engine, Int, KeyHash) -> Void
  ) {
    var start = 1
    while start < call.count {
      var hashes = InlineArray<16, KeyHash>(repeating: KeyHash.none)
      var count = 0
      while count < 16, start + count * step < call.count {
        hashes[count] = KeyHash(call[start + count * step], seed: hashSeed)
        keyspace.prefetchBucket(call.slot, hashes[count])
        count += 1
      }
      for i in 0..<count { keyspace.prefetchEntry(call.slot, hashes[i]) }
      for i in 0..<count { body(&self, start + i * step, hashes[i]) }
      start += count * step
    }
  }
}
