// Which key goes when memory is short: the best of a few that are drawn by chance, and of the best that were drawn before.
//
// A draw takes one bucket, uniform over all buckets of the worker, with all its entries: each key is in it as likely as
// any other, and that some stand in one bucket says nothing of their use, because their hashes have nothing to do with
// it. So a handful of samples costs one walk to a bucket, and their lines come from memory together.
//
// That walk would wait for memory four times: for the table, the directory's page, the bucket, the entries. So draws are made
// ahead, and each step of a search takes every one of them a stop further, by a hint for what it will read next:
//
//   drawn: table ──▶ directory ──▶ bucket ──▶ entries ──▶ sampled
//
// Between two stops the table may change. A draw is only a slot and the seed of what follows, and every stop walks again from
// the slot's root: what has changed costs a wait, or is passed over.
//
// The best that were seen and did not go wait in a pool of 16. An entry has exactly one referrer, so the pool names it by
// slot and hash: it is looked up again when its turn comes, and passed over if it has gone or was used meanwhile.
//
//   draws ──▶ samples ──▶ pool, sorted by score ──▶ look-up by hash ──▶ victim
//
// Policies for keys with an expiry look at words only (bit 46). Where such keys are so rare that draws miss them, a walk
// through the slots that have some takes over; it goes on where it ended, so every key comes round.

import CJemalloc

/// Which key goes first.
public enum EvictionOrder: Sendable, Equatable {
  /// That whose last use is the longest ago.
  case leastRecent
  /// That which is used most seldom.
  case leastFrequent
  /// That which expires next.
  case soonestExpiry
  /// Any.
  case random
}

/// How victims are chosen.
public struct EvictionRule: Sendable, Equatable {
  /// Which key goes first.
  public var order: EvictionOrder
  /// Whether only keys with an expiry may go.
  public var onlyExpiring: Bool
  /// How many keys a draw should see at least.
  public var samples: Int

  /// A rule.
  public init(order: EvictionOrder, onlyExpiring: Bool, samples: Int) {
    self.order = order
    self.onlyExpiring = onlyExpiring
    self.samples = samples
  }
}

/// What a search for a victim gives.
public enum Victim {
  /// This key should go.
  case found(slot: Int, entry: EntryRef)
  /// None was met; there may be some.
  case notYet
  /// There is none.
  case none
}

/// The best candidates that were seen.
public struct EvictionPool: Sendable {
  /// How many wait.
  static var capacity: Int { 16 }

  /// A key that may go.
  struct Candidate: Sendable {
    /// The higher, the sooner it goes.
    var score: UInt64 = 0
    var hash = KeyHash.none
    var slot: Int32 = 0
    /// Where its bucket and its entry were when it was seen: for hints only.
    var bucketHint: UInt = 0
    var entryHint: UInt = 0
  }

  /// A bucket that will be sampled: a slot (−1: none), and the seed by which it is drawn there.
  struct Ahead: Sendable {
    var slot: Int32 = -1
    var seed: UInt64 = 0
  }

  /// Sorted, the best last; of equal ones that which has waited for longest, in which time it was not used.
  private var candidates = InlineArray<16, Candidate>(repeating: Candidate())
  private(set) var count = 0
  /// Draws on their way, in a circle.
  private var ahead = InlineArray<4, Ahead>(repeating: Ahead())
  private var step = 0
  /// Where the walk through keys with an expiry is.
  fileprivate var cursor = ExpiryCursor()

  /// An empty pool.
  public init() {}

  /// Whether a key of that score would come in.
  func admits(_ score: UInt64) -> Bool {
    count < EvictionPool.capacity || score > candidates[0].score
  }

  /// Takes a candidate in, and the worst out where there is no room.
  mutating func add(_ candidate: Candidate) {
    for i in 0..<count
    where candidates[i].hash == candidate.hash && candidates[i].slot == candidate.slot {
      return
    }
    var place: Int
    if count < EvictionPool.capacity {
      place = count
      count += 1
      while place > 0, candidates[place - 1].score >= candidate.score {
        candidates[place] = candidates[place - 1]
        place -= 1
      }
    } else {
      place = 0
      while place + 1 < count, candidates[place + 1].score < candidate.score {
        candidates[place] = candidates[place + 1]
        place += 1
      }
    }
    candidates[place] = candidate
  }

  /// Puts a new draw in for that which was drawn four steps ago, and gives it.
  mutating func exchange(_ new: Ahead) -> Ahead {
    step = (step + 1) & 3
    let old = ahead[step]
    ahead[step] = new
    return old
  }

  /// The draw of so many steps ago, below 4.
  func drawn(stepsAgo: Int) -> Ahead { ahead[(step - stepsAgo) & 3] }

  /// The best one, which stays.
  var best: Candidate? { count > 0 ? candidates[count - 1] : nil }

  /// Takes the best one out.
  mutating func takeBest() -> Candidate? {
    guard count > 0 else { return nil }
    count -= 1
    return candidates[count]
  }
}

extension Keyspace {
  /// Draws that a search makes at most, of a bucket each.
  private static var drawLimit: Int { 16 }
  /// What the walk for rare keys with an expiry may look at in one search: about 10 µs.
  private static var walkUnits: Int { 256 }

  /// A key that should go next, of all slots of the worker (not of open tables), at that access clock. Some microseconds.
  public mutating func victim(
    _ rule: EvictionRule, clock: UInt32, pool: inout EvictionPool, draw: inout Draw
  ) -> Victim {
    guard state.pointee.sums.total > 0, !rule.onlyExpiring || hasExpiringSlot else { return .none }
    if rule.order == .random {
      guard let (slot, entry) = anyEntry(rule, &pool, &draw) else { return .notYet }
      return .found(slot: slot, entry: entry)
    }
    let clock = clock & Entry.clockLimit
    sample(rule, clock, &pool, &draw)
    while let best = pool.takeBest() {
      let slot = Int(best.slot)
      guard let ref = find(slot, hash: best.hash) else { continue }
      if rule.onlyExpiring && !ref.hasExpiry { continue }
      // It was used after it was seen.
      if score(ref.entry, rule.order, clock) < best.score { continue }
      if let next = pool.best { prefetch(next) }
      return .found(slot: slot, entry: ref)
    }
    return .notYet
  }

  /// A candidate may be looked up next.
  private func prefetch(_ candidate: EvictionPool.Candidate) {
    prefetchTable(Int(candidate.slot))
    if let bucket = UnsafeRawPointer(bitPattern: candidate.bucketHint) { tern_prefetch(bucket) }
    if let entry = UnsafeRawPointer(bitPattern: candidate.entryHint) { tern_prefetch(entry) }
  }

  /// Draws a bucket ahead, and takes those that were drawn before a stop further; the one that has arrived, if there is one.
  private func nextBucket(_ pool: inout EvictionPool, _ draw: inout Draw) -> (Int, Bucket)? {
    let slot = state.pointee.sums.slot(at: draw.below(state.pointee.sums.total))
    prefetchTable(slot)
    let arrived = pool.exchange(
      EvictionPool.Ahead(slot: Int32(truncatingIfNeeded: slot), seed: draw.next()))
    let first = pool.drawn(stepsAgo: 1)
    if first.slot >= 0 {
      let root = DirectoryWord(bits: table(Int(first.slot)).pointee.root)
      if root.isEmpty {
        // Nothing to read.
      } else if root.isPage {
        // The first point that will be tried.
        var points = Draw(seed: first.seed)
        let prefix = points.next() & KeyHash.prefixMask
        tern_prefetch(root.page + Int(truncatingIfNeeded: prefix &>> (64 &- root.depth)))
      } else if let bucket = bucket(of: first) {
        tern_prefetch(bucket.base)
      }
    }
    if let bucket = bucket(of: pool.drawn(stepsAgo: 2)) { tern_prefetch(bucket.base) }
    if let bucket = bucket(of: pool.drawn(stepsAgo: 3)) {
      for place in 0..<Bucket.capacity where bucket.word(place) & Bucket.addressMask != 0 {
        tern_prefetch(Bucket.address(bucket.word(place)))
      }
    }
    return bucket(of: arrived).map { (Int(arrived.slot), $0) }
  }

  /// The bucket that a draw stands for: always the same as long as its table does not change.
  private func bucket(of drawn: EvictionPool.Ahead) -> Bucket? {
    if drawn.slot < 0 { return nil }
    var own = Draw(seed: drawn.seed)
    return randomBucket(Int(drawn.slot), &own)
  }

  /// Brings samples into the pool.
  private func sample(
    _ rule: EvictionRule, _ clock: UInt32, _ pool: inout EvictionPool, _ draw: inout Draw
  ) {
    var missing = max(1, rule.samples)
    let wanted: UInt64 = rule.onlyExpiring ? Bucket.expiryBit : 0
    // The first ones only put draws on their way.
    let limit = max(Keyspace.drawLimit, rule.samples) + 4
    for _ in 0..<limit {
      guard let (slot, first) = nextBucket(&pool, &draw) else { continue }
      var next: Bucket? = first
      while let bucket = next {
        missing -= sample(bucket, slot, wanted, rule.order, clock, &pool)
        next = bucket.next
      }
      if missing <= 0 { return }
    }
    guard rule.onlyExpiring else { return }
    var units = Keyspace.walkUnits
    while missing > 0,
      let (slot, ref) = nextExpired(&pool.cursor, now: .max, workUnits: &units)
    {
      add(ref.entry, ref.bucket, slot, rule.order, clock, &pool)
      missing -= 1
    }
  }

  /// Brings a bucket's entries into the pool; how many there were.
  private func sample(
    _ bucket: Bucket, _ slot: Int, _ wanted: UInt64, _ order: EvictionOrder, _ clock: UInt32,
    _ pool: inout EvictionPool
  ) -> Int {
    var count = 0
    var places = bucket.taken
    while places != 0 {
      let word = bucket.word(places.trailingZeroBitCount)
      places &= places &- 1
      if word & Bucket.leadBit != 0 || word & wanted != wanted { continue }
      add(Bucket.entry(word), bucket, slot, order, clock, &pool)
      count += 1
    }
    return count
  }

  private func add(
    _ entry: Entry, _ bucket: Bucket, _ slot: Int, _ order: EvictionOrder, _ clock: UInt32,
    _ pool: inout EvictionPool
  ) {
    let score = score(entry, order, clock)
    guard pool.admits(score) else { return }
    pool.add(
      EvictionPool.Candidate(
        score: score, hash: state.pointee.hashing.hash(entry.keyBytes),
        slot: Int32(truncatingIfNeeded: slot), bucketHint: UInt(bitPattern: bucket.base),
        entryHint: UInt(bitPattern: entry.address)))
  }

  /// How soon an entry should go: the higher, the sooner. It falls only when the entry is used, or its expiry put off.
  private func score(_ entry: Entry, _ order: EvictionOrder, _ clock: UInt32) -> UInt64 {
    switch order {
    case .leastRecent: return UInt64(AccessClock.idleSeconds(entry.clock, at: clock))
    case .leastFrequent:
      let count = state.pointee.frequency.count(entry.clock, at: clock)
      return UInt64(255 - count) << 16 | UInt64(FrequencyRule.periods(from: entry.clock, to: clock))
    case .soonestExpiry:
      let expiry = entry.has(EntryShape.expiry) ? entry.expiry : .max
      return UInt64(Int64.max - max(0, expiry))
    case .random: return 0
    }
  }

  /// Any entry that may go.
  private func anyEntry(
    _ rule: EvictionRule, _ pool: inout EvictionPool, _ draw: inout Draw
  ) -> (slot: Int, entry: EntryRef)? {
    guard rule.onlyExpiring else { return randomEntry(shard: nil, draw: &draw) }
    for _ in 0..<4 * Keyspace.drawLimit {
      let slot = state.pointee.sums.slot(at: draw.below(state.pointee.sums.total))
      // The empty places are as likely as the taken ones: uniform over the keys that may go.
      if let entry = randomPlace(slot, &draw), entry.hasExpiry { return (slot, entry) }
    }
    var units = Keyspace.walkUnits
    return nextExpired(&pool.cursor, now: .max, workUnits: &units)
  }

  /// The entry of that hash, whatever its key.
  func find(_ slot: Int, hash: KeyHash) -> EntryRef? {
    let root = DirectoryWord(bits: table(slot).pointee.root)
    if root.isEmpty { return nil }
    let segment = root.segment(of: hash.prefix)
    let home = segment.home(hash.prefix)
    for displacement in 0...segment.reach {
      let first = segment.bucket(home: home, displacement: displacement)
      var next: Bucket? = first
      while let bucket = next {
        var places = bucket.places(tagged: hash.tag)
        while places != 0 {
          let place = places.trailingZeroBitCount
          places &= places &- 1
          let word = bucket.word(place)
          guard Bucket.displacement(word) == displacement else { continue }
          let entry = Bucket.entry(word)
          if state.pointee.hashing.hash(entry.keyBytes) == hash {
            return EntryRef(
              bucket: bucket, place: place, entry: entry, isExtension: bucket.base != first.base)
          }
        }
        next = bucket.next
      }
      if first.passed == 0 { return nil }
    }
    return nil
  }
}
