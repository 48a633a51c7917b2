internal import RESP
internal import Storage
internal import Synchronization

// Memory at its limit (DESIGN §3). `maxmemory` is the process's; a worker has a share of it, dealt again ten times a second, and counts
// its keys and its clients' buffers against that. Over the share it looks at what all workers use: while the process has room nobody
// evicts. Else a write first evicts, a bounded number of keys; what is left to evict goes in slices of housekeeping. A write is refused
// where nothing may go.
//
//   command ──▶ isMemoryLimited? ──▶ hasRoom(): keys + clients ≤ share ──▶ runs
//                                       │ over: all workers ≤ maxmemory ──▶ runs
//                                       │ over that: a few victims, or twice what came
//                                       ├─ one was found ──▶ runs; the rest goes in slices
//                                       └─ there is none ──▶ -OOM
//
// What clients take is summed up ten times a second, and whenever a lot came in or one has gone; over `maxmemory-clients` the largest are
// closed, but neither those that wait for nothing nor who has set the limit.

/// What a worker knows of its memory.
struct MemoryState {
  /// What it may use.
  var share = Int.max
  /// What other workers used at the last deal, of everything and for clients.
  var othersByteCount = 0
  var othersClientByteCount = 0
  var hungryWorkers = 0
  /// Whether it had to evict or refuse since the last deal.
  var isPressed = false
  /// Nothing may go: not tried again before the next deal.
  var isExhausted = false
  /// What was used at the last look before a command.
  var checkedByteCount = 0
  /// Candidates for eviction.
  var pool = EvictionPool()
  /// Unix milliseconds since which it is over its share; 0 = it is not.
  var exceededSince: Int64 = 0

  /// The most that was used at a deal.
  var peakByteCount = 0
  /// What clients took at the last sum, and how far the next one is.
  var clientByteCount = 0
  var walkedByteCount = 0
  var walkPlace: Int32 = 0
  var isWalking = false
  /// A client has gone since the last sum was begun: what it took is free.
  var hasLostClient = false
  /// Who has changed a setting last, by its id.
  var administrator: UInt64 = 0
  /// Bytes received as of the last sum.
  var bytesInAtWalk: UInt64 = 0
}

extension Engine {
  /// Victims that one command evicts where it must, at most, and that a piece of a slice does. What rebuilding of segments they cause
  /// counts as well.
  private static let victimsPerCommand = 8
  private static let mostVictimsPerCommand = 256
  private static let victimsPerPiece = 16
  /// Milliseconds for which the allocator keeps pages that nothing uses: short under a limit, because a flush leaves them in pieces so
  /// large that jemalloc does not cut small ones from them again. What eviction frees is used again within microseconds.
  private static let limitedPageTime = 500
  private static let usualPageTime = 10_000
  /// Sessions that are looked at in one turn.
  private static let walkLimit: Int32 = 512

  /// Bytes that count against the worker's share.
  var limitedByteCount: Int {
    keyspace.byteCount &+ memory.clientByteCount &+ tracking.byteCount
  }

  /// What clients of this worker take: places, bytes that wait to be run, replies that wait to leave. As of the last sum.
  public var clientByteCount: Int { memory.clientByteCount }

  /// What is remembered for clients of this worker that are told of changes.
  public var trackingByteCount: Int { tracking.byteCount }

  /// Whether this worker has to evict or refuse although it has less than its equal part.
  public var isHungry: Bool { isMemoryLimited && shares.isHungry }

  private var shares: MemoryShares {
    MemoryShares(
      own: limitedByteCount, others: memory.othersByteCount, limit: settings.maxMemory,
      workers: workers, isPressed: memory.isPressed, hungryWorkers: memory.hungryWorkers)
  }

  /// Takes over the settings of memory.
  mutating func applyMemorySettings() {
    let wasLimited = isMemoryLimited
    isMemoryLimited = settings.maxMemory > 0
    if isMemoryLimited != wasLimited {
      Arena.keepUnusedPages(
        milliseconds: isMemoryLimited ? Self.limitedPageTime : Self.usualPageTime)
    }
    var rule = keyspace.frequencyRule
    rule.logFactor = settings.lfuLogFactor
    rule.decayMinutes = settings.lfuDecayTime
    keyspace.frequencyRule = rule
    memory.pool = EvictionPool()
    memory.isExhausted = false
    memory.checkedByteCount = limitedByteCount
    memory.share = isMemoryLimited ? shares.share : .max
    setAccessClock()
  }

  /// Sets what entries that are used now get as their access clock.
  mutating func setAccessClock() {
    accessClock =
      settings.maxMemoryPolicy.countsUses
      ? AccessClock.frequency(seconds: turnMicroseconds / 1_000_000)
      : AccessClock.recency(seconds: turnMicroseconds / 1_000_000)
    touchClock = accessClock
  }

  /// Tells the other workers what this one uses.
  @inline(__always)
  func publishMemory() {
    mailbox.usedByteCount.store(limitedByteCount, ordering: .relaxed)
  }

  /// Whether all workers together use more than they may. O(workers), and off the way of commands that keep to their worker's share.
  private var isProcessFull: Bool {
    var used = limitedByteCount
    for (index, peer) in router.peers.enumerated() where index != worker {
      used += peer.usedByteCount.load(ordering: .relaxed)
    }
    return used > settings.maxMemory
  }

  /// Ten times a second: the share is dealt anew, and clients are summed up.
  mutating func dealMemory() {
    memory.othersByteCount = max(
      0,
      process.keyspaceByteCount + process.clientByteCount + process.trackingByteCount
        - limitedByteCount)
    memory.othersClientByteCount = max(0, process.clientByteCount - memory.clientByteCount)
    memory.hungryWorkers = process.hungryWorkers
    memory.isExhausted = false
    memory.isWalking = true
    memory.peakByteCount = max(memory.peakByteCount, limitedByteCount)
    publishMemory()
    guard isMemoryLimited else { return }
    memory.share = shares.share
    memory.isPressed = false
    countExceededTime()
  }

  /// Milliseconds over the limit, for INFO.
  private mutating func countExceededTime() {
    let isOver = limitedByteCount > memory.share && settings.maxMemoryPolicy != .noEviction
    if isOver {
      if memory.exceededSince == 0 { memory.exceededSince = now }
    } else if memory.exceededSince != 0 {
      upkeep.evictionExceeded += UInt64(max(0, now - memory.exceededSince))
      memory.exceededSince = 0
    }
  }

  // MARK: eviction

  /// Whether a command that needs memory may run: evicts for it. Behind `isMemoryLimited`.
  @inline(never)
  mutating func hasRoom() -> Bool {
    let used = limitedByteCount
    let grown = used - memory.checkedByteCount
    memory.checkedByteCount = used
    publishMemory()
    if used <= memory.share { return true }
    if memory.hasLostClient { sumClients() }
    if !isProcessFull { return true }
    memory.isPressed = true
    // Twice what came since the last look, so that commands never bring more than goes; a limit that was lowered is for the slices.
    let hasVictims = evict(atMost: Self.mostVictimsPerCommand, until: used - 2 * max(0, grown))
    memory.checkedByteCount = limitedByteCount
    return hasVictims
  }

  /// Evicts until the worker is within its share, or a few keys and what it uses is below `goal`, or so many keys; false if nothing
  /// may go.
  private mutating func evict(atMost limit: Int, until goal: Int = 0) -> Bool {
    guard let rule = settings.maxMemoryPolicy.rule(samples: settings.maxMemorySamples) else {
      return false
    }
    var looked = 0
    let rebuilt = keyspace.rebuiltEntryCount
    while limitedByteCount > memory.share, isProcessFull {
      let rebuilding =
        (keyspace.rebuiltEntryCount - rebuilt) / SliceMeter.rebuiltEntriesPerUnit
      if looked + rebuilding >= limit { break }
      if looked >= Self.victimsPerCommand && limitedByteCount <= goal { break }
      looked += 1
      switch keyspace.victim(rule, clock: accessClock, pool: &memory.pool, draw: &random) {
      case .found(let slot, let entry): evict(slot, entry)
      case .notYet: break
      case .none:
        memory.isExhausted = true
        return false
      }
    }
    return true
  }

  /// Removes a key for want of memory: an effect like any other (DESIGN §6).
  private mutating func evict(_ slot: Int, _ entry: EntryRef) {
    ledger[Self.page(ofShard: keyspace.owner(of: slot))].evictedKeys &+= 1
    if listeners != 0 { touchRemoved(slot, entry, evicted: true) }
    keyspace.remove(slot, entry)
  }

  /// Whether there is something to evict between commands.
  var hasEviction: Bool {
    isMemoryLimited && !memory.isExhausted && limitedByteCount > memory.share
      && settings.maxMemoryPolicy != .noEviction && pauses.isEmpty && isProcessFull
  }

  /// One slice of eviction.
  mutating func evictSlice(_ meter: inout SliceMeter) {
    memory.isPressed = true
    while hasEviction, evict(atMost: Self.victimsPerPiece), meter.hasTime() {}
  }

  // MARK: clients

  /// What a session takes.
  func byteCount(ofClient index: Int32) -> Int {
    MemoryLayout<Session>.stride + sessions[index].query.allocatedByteCount
      + sessions[index].largeByteCount + sessions[index].output.byteCount
      + (sessions[index].transaction?.byteCount ?? 0)
  }

  /// The least that clients of the process may take if there is a limit: below it nobody could raise it again.
  private static let leastClientLimit = 128 << 10

  /// The most that clients of the process may take; nil = no limit.
  private var clientLimit: Int? {
    let limit = settings.maxMemoryClients
    if limit == 0 || limit < 0 && settings.maxMemory == 0 { return nil }
    return max(limit > 0 ? limit : settings.maxMemory / 100 * -limit, Self.leastClientLimit)
  }

  /// Whether a client alone takes more than all may.
  func exceedsClientLimit(_ index: Int32) -> Bool {
    guard let clientLimit, !sessions[index].isSpared else { return false }
    return byteCount(ofClient: index) > clientLimit
  }

  /// Sums up what clients take, at once. O(sessions)
  private mutating func sumClients() {
    var sum = 0
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && !sessions[index].wish.contains(.broken) {
      sum += byteCount(ofClient: index)
    }
    memory.clientByteCount = sum
    memory.hasLostClient = false
    publishMemory()
  }

  /// A limit of clients was set: it is in force before it is answered.
  mutating func limitClients() {
    guard let clientLimit else { return }
    sumClients()
    closeLargest(clientLimit)
  }

  /// Sums up what clients take, some in each turn; a sum that was begun is not disturbed by those that come and go.
  mutating func walkClients() {
    if !memory.isWalking {
      // A lot may come between two ticks.
      let isLimited = isMemoryLimited || settings.maxMemoryClients != 0
      guard isLimited,
        memory.hasLostClient || statistics.bytesIn &- memory.bytesInAtWalk > 1 << 20
      else { return }
      memory.isWalking = true
      memory.hasLostClient = false
    }
    let end = min(sessions.indexLimit, memory.walkPlace + Self.walkLimit)
    for index in memory.walkPlace..<max(memory.walkPlace, end)
    where sessions.contains(index) && !sessions[index].wish.contains(.broken) {
      memory.walkedByteCount += byteCount(ofClient: index)
    }
    memory.walkPlace = end
    if end < sessions.indexLimit { return }
    memory.clientByteCount = memory.walkedByteCount
    publishMemory()
    memory.bytesInAtWalk = statistics.bytesIn
    memory.walkedByteCount = 0
    memory.walkPlace = 0
    memory.isWalking = false
    if let clientLimit { closeLargest(clientLimit) }
  }

  /// Closes the largest clients until all keep to the limit; those that are spared (CLIENT NO-EVICT) count, and stay.
  private mutating func closeLargest(_ limit: Int) {
    let shares = MemoryShares(
      own: memory.clientByteCount, others: memory.othersClientByteCount, limit: limit,
      workers: workers)
    let share = shares.share
    guard memory.clientByteCount > share else { return }
    var clients: [(byteCount: Int, index: Int32)] = []
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && !sessions[index].wish.contains(.broken)
      && !sessions[index].isSpared && sessions[index].id != memory.administrator
    {
      // Of one that waits for nothing there is nothing to be had.
      let byteCount = byteCount(ofClient: index)
      if byteCount > MemoryLayout<Session>.stride { clients.append((byteCount, index)) }
    }
    clients.sort { $0.byteCount > $1.byteCount }
    for client in clients {
      if memory.clientByteCount <= share { return }
      memory.clientByteCount -= client.byteCount
      evictClient(client.index)
    }
  }

  /// Closes a client for want of memory.
  mutating func evictClient(_ index: Int32) {
    ledger[Self.page(ofShard: sessions[index].shard)].evictedClients &+= 1
    abandon(index)
    list(index)
  }
}
