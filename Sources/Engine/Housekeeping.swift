internal import Storage

// Work that nobody asked for, in slices bounded in work units (I6): what FLUSHALL and big deletes left is freed, expired keys are
// removed, the figures of the last moment are computed.

extension Engine {
  /// Buckets, entries or allocations that one slice looks at: at 10–100 ns each far below 250 µs.
  private static let sliceWorkUnits = 1024
  /// What the sweep for expired keys may look at in a tick, unless it finds many: at most half a percent of a worker's time.
  private static let sweepWorkUnits = 16 * sliceWorkUnits

  /// One slice. True if there is more to do at once.
  public mutating func housekeep() -> Bool {
    if !waiting.isEmpty { finishWaits() }
    if !pauses.isEmpty || !postponed.isEmpty { finishPauses() }
    if keyspace.hasGrave {
      _ = keyspace.bury(workUnits: Self.sliceWorkUnits)
      if keyspace.hasGrave { return true }
    }
    return sweepUnits > 0 && sweepsExpired && sweep()
  }

  /// Removes expired keys among the next ones, and says whether to go on at once.
  private mutating func sweep() -> Bool {
    if keyspace.expiringCount == 0 {
      sweepUnits = 0
      return false
    }
    var units = Self.sliceWorkUnits
    var expired = 0
    let begin = clock.nanoseconds()
    defer { sweepNanoseconds &+= clock.nanoseconds() &- begin }
    while let (slot, entry) = keyspace.nextExpired(&expiryCursor, now: now, workUnits: &units) {
      count(forShard: keyspace.owner(of: slot))
      expire(slot, entry)
      expired += 1
    }
    let isAtEnd = units > 0
    // A slice that found many will find more: it is free.
    if expired < Self.sliceWorkUnits / 16 { sweepUnits -= Self.sliceWorkUnits }
    if isAtEnd { sweepUnits = 0 }
    return sweepUnits > 0
  }

  /// A few times a second: figures, the memory test.
  public mutating func tick() {
    sweepUnits = Self.sweepWorkUnits
    for shard in -1..<Int32(shards.count) {
      let byteCount = shard < 0 ? 0 : keyspace.byteCount(ofShard: shard)
      ledger[Self.page(ofShard: shard)].peakByteCount = max(
        ledger[Self.page(ofShard: shard)].peakByteCount, byteCount)
    }
    let elapsed = now - ledger[0].sampledAt
    if elapsed >= 1000 || elapsed < 0 {
      for page in 0..<ledger.count { ledger[page].sample(now: now) }
      totals = WorkerTotals(sumOfPages())
    }
    isShortOfMemory =
      settings.maxMemory > 0
      && max(process.keyspaceByteCount, keyspace.byteCount) > settings.maxMemory
  }

  /// Bytes by size class that this worker's keys use.
  public var keyspaceByteCount: Int { keyspace.byteCount }

  /// Keys of all shards of this worker.
  public var keyCount: Int { keyspace.keyCount }
}
