// Random entries, uniform over keys.
//
// A slot is drawn in proportion to its buckets (`BucketSums`); then a point of its hash space, which hits a segment of
// depth d with probability 2^−d; the segment is accepted in proportion to buckets × 2^d, which makes up for that and
// for its size; then a bucket and a place in it. An empty place begins everything again, so every place is as
// likely as any other. A leading word stands for the entries of its extension.
//
// Limits: a region of a slot with more than twice the slot's mean density (only equal hashes make one) is drawn too
// seldom. Draws for one shard of several are repeated until they hit it; after `tries` draws its slots are summed up
// one by one instead (16384 steps, about 15 µs) and a slot is drawn among them; after as many empty places the next
// entry behind the place is taken.

/// A source of pseudo-random numbers (splitmix64) from a seed that comes from outside.
public struct Draw: Sendable {
  private var state: UInt64

  /// The sequence of that seed.
  public init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// A number below `limit`, which is not 0.
  public mutating func below(_ limit: Int) -> Int {
    Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(limit)).high)
  }
}

extension Keyspace {
  private static var tries: Int { 64 }

  /// A random entry of a shard's slots (nil: of all slots of the worker, not of open tables) and its slot; nil if there
  /// is none.
  public func randomEntry(shard: Int32?, draw: inout Draw) -> (slot: Int, entry: EntryRef)? {
    let keys = shard.map { figures(ofShard: $0).keys } ?? state.pointee.total.keys
    guard keys > 0, state.pointee.sums.total > 0 else { return nil }
    for _ in 0..<Keyspace.tries {
      let slot = state.pointee.sums.slot(at: draw.below(state.pointee.sums.total))
      if let shard, tables[slot].owner != shard { continue }
      if let entry = randomPlace(slot, &draw) { return (slot, entry) }
    }
    var total = 0
    for slot in 0..<Keyspace.slotCount where shard == nil || tables[slot].owner == shard {
      total += tables[slot].buckets
    }
    guard total > 0 else { return nil }
    var slot = 0
    for _ in 0..<Keyspace.tries {
      var rest = draw.below(total)
      slot = 0
      while true {
        if shard == nil || tables[slot].owner == shard {
          rest -= tables[slot].buckets
          if rest < 0 { break }
        }
        slot += 1
      }
      for _ in 0..<8 { if let entry = randomPlace(slot, &draw) { return (slot, entry) } }
    }
    // Sparse beyond measure: whatever is nearest behind a random point.
    return nextEntry(slot, draw.next())
  }

  /// An entry of a slot that has some, uniform over its keys.
  public func randomEntry(of slot: Int, draw: inout Draw) -> EntryRef? {
    guard keyCount(of: slot) > 0 else { return nil }
    for _ in 0..<Keyspace.tries { if let entry = randomPlace(slot, &draw) { return entry } }
    return nextEntry(slot, draw.next())?.entry
  }

  /// A random place of a slot that has buckets, if there is an entry.
  func randomPlace(_ slot: Int, _ draw: inout Draw) -> EntryRef? {
    guard let first = randomBucket(slot, &draw) else { return nil }
    let place = draw.below(Bucket.capacity)
    guard first.tag(place) != 0 else { return nil }
    return randomEntry(at: place, of: first, &draw)
  }

  /// A random bucket of a slot, uniform over those of its segments; nil if it has none.
  func randomBucket(_ slot: Int, _ draw: inout Draw) -> Bucket? {
    let table = tables + slot
    let root = DirectoryWord(bits: table.pointee.root)
    if root.isEmpty { return nil }
    var segment = root
    if root.isPage {
      let mean = table.pointee.buckets
      for _ in 0..<Keyspace.tries {
        segment = root.segment(of: draw.next() & KeyHash.prefixMask)
        // Density is a bucket count times 2^depth; twice the mean is always accepted.
        if draw.below(2 * mean) < segment.bucketCount << Int(segment.depth) { break }
      }
    }
    return segment.bucket(draw.below(segment.bucketCount))
  }

  /// The entry at a place that is taken; a leading word stands for any of its extensions' entries.
  private func randomEntry(at place: Int, of first: Bucket, _ draw: inout Draw) -> EntryRef? {
    let word = first.word(place)
    guard word & Bucket.leadBit != 0 else {
      return EntryRef(bucket: first, place: place, entry: Bucket.entry(word), isExtension: false)
    }
    var outside = 0
    var next = first.next
    while let bucket = next {
      outside += bucket.entryCount
      next = bucket.next
    }
    var rest = draw.below(outside)
    next = first.next
    while let bucket = next {
      var places = bucket.taken
      while places != 0 {
        let place = places.trailingZeroBitCount
        places &= places &- 1
        let word = bucket.word(place)
        if word & Bucket.leadBit != 0 { continue }
        if rest == 0 {
          return EntryRef(
            bucket: bucket, place: place, entry: Bucket.entry(word), isExtension: true)
        }
        rest -= 1
      }
      next = bucket.next
    }
    return nil
  }

  /// The first entry behind a point of a slot's hash space, around its end.
  private func nextEntry(_ slot: Int, _ point: UInt64) -> (slot: Int, entry: EntryRef)? {
    var entries: [EntryRef] = []
    for start in [point, 0] {
      var prefix: UInt64? = start
      while let from = prefix {
        prefix = scan(slot, from: from, into: &entries)
        if let entry = entries.first { return (slot, entry) }
      }
    }
    return nil
  }
}
