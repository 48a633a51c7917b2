internal import Storage

// Work that nobody asked for, in slices of at most 250 µs (I6): what FLUSHALL and big deletes left is freed, expired keys are
// removed, memory over its limit is evicted, sparse pages are emptied, the figures of the last moment are computed.

extension Engine {
  /// Buckets, entries or allocations that a piece of a slice looks at, between two looks at the clock: below 50 µs.
  private static let pieceWorkUnits = 64
  /// What the sweep for expired keys may look at in a tick, unless it finds many: at most half a percent of a worker's time.
  private static let sweepWorkUnits = 16 * 1024

  /// One slice, of one kind: those that have work take turns. True if there is more to do at once.
  public mutating func housekeep() -> Bool {
    if !waiting.isEmpty { finishWaits() }
    finishLate()
    if !pauses.isEmpty || !postponed.isEmpty { finishPauses() }
    walkClients()
    if isMemoryLimited { publishMemory() }
    if !tracking.trackers.isEmpty { flushTracking() }
    if !hasWork { return false }
    var kind = nextSlice
    while !hasWork(kind) { kind = kind.next }
    nextSlice = kind.next
    slice(kind)
    return hasWork
  }

  /// Whether there is work of some kind.
  var hasWork: Bool {
    hasWork(.flush) || hasWork(.expiry) || hasWork(.eviction) || hasWork(.defragmentation)
      || hasWork(.tick)
  }

  @inline(__always)
  private func hasWork(_ kind: SliceKind) -> Bool {
    switch kind {
    case .flush: keyspace.hasGrave || tracking.hasGrave
    // While clients are paused data stand still.
    case .expiry:
      sweepUnits > 0 && sweepsExpired && keyspace.expiringCount > 0 && pauses.isEmpty
    case .eviction: hasEviction
    case .defragmentation: hasDefragmentation
    case .tick: summing != nil
    }
  }

  private mutating func slice(_ kind: SliceKind) {
    var meter = SliceMeter(processorClock)
    switch kind {
    case .flush: burySlice(&meter)
    case .expiry: sweep(&meter)
    case .eviction: evictSlice(&meter)
    case .defragmentation: defragmentSlice(&meter)
    case .tick:
      repeat { sumPages() } while meter.hasTime() && summing != nil
    }
    _ = meter.hasTime()
    upkeep.slices[kind.rawValue].add(meter.spent)
  }

  private mutating func burySlice(_ meter: inout SliceMeter) {
    repeat {
      if keyspace.hasGrave { _ = keyspace.bury(workUnits: Self.pieceWorkUnits / 4) }
      if tracking.hasGrave { _ = tracking.bury(limit: Self.pieceWorkUnits / 4) }
    } while meter.hasTime() && (keyspace.hasGrave || tracking.hasGrave)
  }

  /// Removes expired keys among the next ones.
  private mutating func sweep(_ meter: inout SliceMeter) {
    var looked = 0
    var expired = 0
    let begin = clock.nanoseconds()
    defer { sweepNanoseconds &+= clock.nanoseconds() &- begin }
    var isAtEnd = false
    repeat {
      var units = Self.pieceWorkUnits
      while let (slot, entry) = keyspace.nextExpired(&expiryCursor, now: now, workUnits: &units) {
        count(forShard: keyspace.owner(of: slot))
        let rebuilt = keyspace.rebuiltEntryCount
        expire(slot, entry)
        units -= 1 + (keyspace.rebuiltEntryCount - rebuilt) / SliceMeter.rebuiltEntriesPerUnit
        expired += 1
      }
      isAtEnd = units > 0
      looked += Self.pieceWorkUnits - units
    } while !isAtEnd && meter.hasTime()
    // A slice that found many will find more: it is free.
    if expired < looked / 16 || looked == 0 { sweepUnits -= max(looked, Self.pieceWorkUnits) }
    if isAtEnd { sweepUnits = 0 }
  }

  /// A few times a second: figures, the memory test.
  public mutating func tick() {
    var meter = SliceMeter(processorClock)
    defer {
      _ = meter.hasTime()
      upkeep.slices[SliceKind.tick.rawValue].add(meter.spent)
    }
    sweepUnits = Self.sweepWorkUnits
    for shard in -1..<Int32(shards.count) {
      let byteCount = shard < 0 ? 0 : keyspace.byteCount(ofShard: shard)
      ledger[Self.page(ofShard: shard)].peakByteCount = max(
        ledger[Self.page(ofShard: shard)].peakByteCount, byteCount)
    }
    let elapsed = now - ledger[0].sampledAt
    if elapsed >= 1000 || elapsed < 0 {
      summing = FigureSum()
      sumPages()
    }
    dealMemory()
    planDefragmentation()
  }

  /// A piece of the sum of all shards' figures: of a few shards at once, of many in slices that follow the tick.
  private mutating func sumPages() {
    guard var sum = summing.take() else { return }
    let end = min(ledger.count, sum.page + Self.pieceWorkUnits / 4)
    for page in sum.page..<end {
      ledger[page].sample(now: now)
      sum.statistics.add(ledger[page])
    }
    sum.page = end
    if end == ledger.count {
      totals = WorkerTotals(sum.statistics)
    } else {
      summing = sum
    }
  }

  /// Bytes by size class that this worker's keys use.
  public var keyspaceByteCount: Int { keyspace.byteCount }

  /// Keys of all shards of this worker.
  public var keyCount: Int { keyspace.keyCount }
}
