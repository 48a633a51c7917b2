import Testing

@testable import Storage

/// Keys of an access pattern: `n`-th most wanted with a probability in proportion to 1 / n.
private struct Zipf {
  private var sums: [Double] = []

  init(count: Int) {
    var sum = 0.0
    for n in 1...count {
      sum += 1 / Double(n)
      sums.append(sum)
    }
  }

  func next(_ draw: inout Draw) -> Int {
    let point = Double(draw.next() >> 11) / Double(1 << 53) * sums[sums.count - 1]
    var low = 0
    var high = sums.count - 1
    while low < high {
      let middle = (low + high) / 2
      if sums[middle] <= point { low = middle + 1 } else { high = middle }
    }
    // Neighbours in rank are no neighbours in name.
    return low &* 7919 % sums.count
  }
}

/// An exact cache: the one that is to go is always the right one.
private struct ExactCache {
  let capacity: Int
  let countsUses: Bool
  private var ranks: [Int: (primary: Int, time: Int)] = [:]
  private var heap: [(primary: Int, time: Int, key: Int)] = []

  init(capacity: Int, countsUses: Bool) {
    self.capacity = capacity
    self.countsUses = countsUses
  }

  /// Whether the key was there; it is afterwards.
  mutating func use(_ key: Int, at time: Int) -> Bool {
    let old = ranks[key]
    let rank = (primary: countsUses ? (old?.primary ?? 0) + 1 : 0, time: time)
    if old == nil && ranks.count == capacity { evict() }
    ranks[key] = rank
    push((rank.primary, rank.time, key))
    return old != nil
  }

  private mutating func evict() {
    while let top = pop() {
      if let rank = ranks[top.key], rank == (top.primary, top.time) {
        ranks[top.key] = nil
        return
      }
    }
  }

  private static func isBefore(
    _ a: (primary: Int, time: Int, key: Int), _ b: (primary: Int, time: Int, key: Int)
  ) -> Bool { (a.primary, a.time) < (b.primary, b.time) }

  private mutating func push(_ item: (primary: Int, time: Int, key: Int)) {
    heap.append(item)
    var i = heap.count - 1
    while i > 0, Self.isBefore(heap[i], heap[(i - 1) / 2]) {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  private mutating func pop() -> (primary: Int, time: Int, key: Int)? {
    guard let top = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      var i = 0
      while 2 * i + 1 < heap.count {
        var child = 2 * i + 1
        if child + 1 < heap.count, Self.isBefore(heap[child + 1], heap[child]) { child += 1 }
        guard Self.isBefore(heap[child], heap[i]) else { break }
        heap.swapAt(i, child)
        i = child
      }
    }
    return top
  }
}

@Suite struct EvictionTests {
  /// The share of hits of a cache that holds a tenth of the keys, by sampling and by the exact rule: they differ by less than 2 %.
  @Test(arguments: [EvictionOrder.leastRecent, .leastFrequent])
  func hitRateOfZipf(order: EvictionOrder) throws {
    let keyCount = 2000
    let capacity = 200
    let accesses = 16_000
    let countsUses = order == .leastFrequent
    let zipf = Zipf(count: keyCount)
    var draw = Draw(seed: 11)
    var exact = ExactCache(capacity: capacity, countsUses: countsUses)
    var keyspace = try Keyspace(seed: testSeed)
    for slot in 0..<8 { keyspace.own(slot * 2000, by: 0) }
    var counting = FrequencyRule(seed: 13)
    counting.logFactor = 0
    counting.decayMinutes = 0
    keyspace.frequencyRule = counting
    var pool = EvictionPool()
    var choice = Draw(seed: 12)
    let rule = EvictionRule(order: order, onlyExpiring: false, samples: 5)
    var hits = 0
    var exactHits = 0
    for time in 0..<accesses {
      let key = zipf.next(&draw)
      let name = bytes("key:\(key)")
      let slot = key % 8 * 2000
      // A second an access, or 500 accesses a minute; every use counts, and none is forgotten, as in the exact cache.
      let clock =
        countsUses
        ? AccessClock.frequency(seconds: Int64(time) * 60 / 500)
        : AccessClock.recency(seconds: Int64(time))
      let isMeasured = time >= accesses / 4
      if exact.use(key, at: time) && isMeasured { exactHits += 1 }
      if let ref = keyspace.find(slot, name) {
        keyspace.touch(ref, clock)
        if isMeasured { hits += 1 }
        continue
      }
      while keyspace.keyCount >= capacity {
        guard
          case .found(let slot, let entry) = keyspace.victim(
            rule, clock: clock, pool: &pool, draw: &choice)
        else { continue }
        keyspace.remove(slot, entry)
      }
      try keyspace.set(slot, name, bytes("v"), clock: clock)
    }
    let rate = Double(hits) / Double(accesses * 3 / 4)
    let exactRate = Double(exactHits) / Double(accesses * 3 / 4)
    print("\(order): \(rate), exact \(exactRate)")
    #expect(rate > exactRate * 0.98)
    keyspace.checkInvariants()
  }

  /// Whatever the rule: victims are there, may go, and in the end nothing is left that may.
  @Test(
    arguments: [EvictionOrder.leastRecent, .leastFrequent, .soonestExpiry, .random], [false, true])
  func everythingThatMayGoGoes(order: EvictionOrder, onlyExpiring: Bool) throws {
    var keyspace = try Keyspace(seed: testSeed)
    let slots = [3, 700, 16000]
    for slot in slots { keyspace.own(slot, by: 1) }
    keyspace.own(9, by: 2)
    let open = Keyspace.slotCount + 1
    try keyspace.set(open, bytes("open"), bytes("v"), expiry: .at(1))
    var expiring = 0
    for i in 0..<3000 {
      // Keys with an expiry are rare: draws alone would not find them.
      let expires = i % 300 == 0
      expiring += expires ? 1 : 0
      try keyspace.set(
        slots[i % 3], bytes("key:\(i)"), bytes("v"), expiry: expires ? .at(Int64(i)) : .clear,
        clock: UInt32(i))
    }
    var pool = EvictionPool()
    var draw = Draw(seed: 5)
    let rule = EvictionRule(order: order, onlyExpiring: onlyExpiring, samples: 5)
    var gone = 0
    var misses = 0
    search: while true {
      switch keyspace.victim(rule, clock: 5000, pool: &pool, draw: &draw) {
      case .found(let slot, let entry):
        #expect(slot < Keyspace.slotCount)
        #expect(!onlyExpiring || entry.hasExpiry)
        keyspace.remove(slot, entry)
        gone += 1
        if gone % 500 == 0 { keyspace.checkInvariants() }
      case .notYet: misses += 1
      case .none: break search
      }
      if misses > 10_000 { break }
    }
    let left = keyspace.keyCount
    #expect(gone == (onlyExpiring ? expiring : 3000))
    #expect(left == 3000 + 1 - gone)
    #expect(misses < 1000, "\(misses)")
    keyspace.checkInvariants()
  }

  /// Those that expire soonest go first, nearly.
  @Test func soonestExpiryGoesFirst() throws {
    var keyspace = try Keyspace(seed: testSeed)
    keyspace.own(5, by: 0)
    for i in 0..<2000 {
      try keyspace.set(5, bytes("key:\(i)"), bytes("v"), expiry: .at(Int64(i + 1)))
    }
    var pool = EvictionPool()
    var draw = Draw(seed: 6)
    let rule = EvictionRule(order: .soonestExpiry, onlyExpiring: true, samples: 10)
    var sum: Int64 = 0
    for _ in 0..<500 {
      guard
        case .found(let slot, let entry) = keyspace.victim(
          rule, clock: 0, pool: &pool, draw: &draw)
      else { continue }
      sum += keyspace.expiry(of: entry) ?? 0
      keyspace.remove(slot, entry)
    }
    // The exact rule would give 250, chance 1000.
    #expect(sum / 500 < 400, "\(sum / 500)")
  }

  /// Extensions of buckets, where many hashes are equal.
  @Test func equalHashes() throws {
    var keyspace = try Keyspace(seed: testSeed)
    keyspace.forceHashes(mask: 0, readKeys: false)
    keyspace.own(5, by: 0)
    for i in 0..<200 { try keyspace.set(5, bytes("key:\(i)"), bytes("v"), clock: UInt32(i)) }
    var pool = EvictionPool()
    var draw = Draw(seed: 7)
    let rule = EvictionRule(order: .leastRecent, onlyExpiring: false, samples: 5)
    var tries = 0
    while keyspace.keyCount > 0, tries < 100_000 {
      tries += 1
      if case .found(let slot, let entry) = keyspace.victim(
        rule, clock: 300, pool: &pool, draw: &draw)
      {
        keyspace.remove(slot, entry)
      }
      if tries % 20 == 0 { keyspace.checkInvariants() }
    }
    let left = keyspace.keyCount
    #expect(left == 0)
  }

  // MARK: clocks

  @Test func frequencies() throws {
    var rule = FrequencyRule(seed: 3)
    var clock = AccessClock.frequency(seconds: 60 * 100, count: 5)
    for _ in 0..<1000 {
      clock = rule.used(clock, at: AccessClock.frequency(seconds: 60 * 100, count: 0))
    }
    // 1000 uses at factor 10 give some 18.
    #expect((10...30).contains(clock & 0xff), "\(clock & 0xff)")
    #expect(clock >> 8 == 1600)
    let now = AccessClock.frequency(seconds: 60 * 105, count: 0)
    #expect(rule.count(clock, at: now) == clock & 0xff - 5)
    #expect(rule.count(clock, at: AccessClock.frequency(seconds: 60 * 400, count: 0)) == 0)
    rule.decayMinutes = 0
    #expect(rule.count(clock, at: now) == clock & 0xff)
    rule.decayMinutes = 3
    #expect(rule.count(clock, at: now) == clock & 0xff - 1)
    // Times go round, after 4096 minutes.
    let late = AccessClock.frequency(seconds: 60 * 4095, count: 9)
    rule.decayMinutes = 1
    #expect(rule.count(late, at: AccessClock.frequency(seconds: 60 * 4097, count: 0)) == 7)
    rule.logFactor = 0
    var full = AccessClock.frequency(seconds: 60 * 1, count: 5)
    for _ in 0..<300 {
      full = rule.used(full, at: AccessClock.frequency(seconds: 60 * 1, count: 0))
    }
    #expect(full & 0xff == 255)
  }

  @Test func clocksOfEntries() throws {
    var keyspace = try Keyspace(seed: testSeed)
    keyspace.own(1, by: 0)
    let clock = AccessClock.frequency(seconds: 60 * 7)
    try keyspace.set(1, bytes("k"), bytes("v"), clock: clock)
    #expect(Self.clock(of: "k", keyspace) == 7 * 16 << 8 | 5)
    // The first use above the initial count always counts.
    if let ref = keyspace.find(1, bytes("k")) { keyspace.touch(ref, clock) }
    #expect(Self.clock(of: "k", keyspace) == 7 * 16 << 8 | 6)
    // Overwriting is a use, in place or not, and the counter stays.
    try keyspace.set(1, bytes("k"), bytes("w"), clock: clock)
    #expect(Self.clock(of: "k", keyspace) >= 7 * 16 << 8 | 6)
    try keyspace.set(1, bytes("k"), Bytes(repeating: 1, count: 100), clock: clock)
    #expect(Self.clock(of: "k", keyspace) >= 7 * 16 << 8 | 6)
    #expect(AccessClock.idleSeconds(10, at: 25) == 15)
    #expect(AccessClock.idleSeconds(25, at: 10) == 0)
    #expect(AccessClock.idleSeconds(0xff_fff0, at: 5) == 20)
  }

  private static func clock(of key: String, _ keyspace: borrowing Keyspace) -> UInt32 {
    keyspace.find(1, bytes(key)).map { keyspace.accessClock(of: $0) } ?? 0
  }
}
