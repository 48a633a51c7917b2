// Sums of the slots' bucket counts: what a slot is drawn by, in proportion to its buckets.
//
//   total ─▶ 32 sums of 512 slots ─▶ 32 sums of 16 slots each ─▶ 16 counts, a cache line
//
// Changing a count writes to each level once; finding the slot at a given bucket reads 16 + 16 + 8 numbers on average, which lie
// one behind the other in three places, of which two are in the processor's cache. (A binary indexed tree reads 14 numbers in as
// many places: it took an eighth of the time of writes that evict.)

/// The sums, all zero to begin with.
struct BucketSums {
  private static var leafLog: Int { 4 }
  private static var topLog: Int { 9 }
  private static var topCount: Int { Keyspace.slotCount >> topLog }

  /// How many sums there are above the counts.
  static var upperCount: Int { 1 + topCount + Keyspace.slotCount >> leafLog }

  /// The total, the sums of 512 slots, those of 16.
  let upper: UnsafeMutablePointer<Int>
  /// A count for each slot.
  let counts: UnsafeMutablePointer<UInt32>

  private var top: UnsafeMutablePointer<Int> { upper + 1 }
  private var middle: UnsafeMutablePointer<Int> { upper + (1 + BucketSums.topCount) }

  /// All buckets together.
  var total: Int { upper[0] }

  /// Adds to a slot's count.
  func add(_ change: Int, at slot: Int) {
    upper[0] += change
    top[slot >> BucketSums.topLog] += change
    middle[slot >> BucketSums.leafLog] += change
    counts[slot] = UInt32(Int(counts[slot]) + change)
  }

  /// The slot whose buckets include number `bucket` of all, which is below `total`.
  func slot(at bucket: Int) -> Int {
    precondition(bucket >= 0 && bucket < total)
    var rest = bucket
    var place = 0
    while rest >= top[place] {
      rest &-= top[place]
      place &+= 1
    }
    place &<<= BucketSums.topLog &- BucketSums.leafLog
    while rest >= middle[place] {
      rest &-= middle[place]
      place &+= 1
    }
    place &<<= BucketSums.leafLog
    while rest >= Int(counts[place]) {
      rest &-= Int(counts[place])
      place &+= 1
    }
    return place
  }
}
