// Sums of the slots' bucket counts as a binary indexed tree: what a slot is drawn by, in proportion to its buckets.
// Place i (from 1) holds the sum of the slots i − lowbit(i) … i − 1; changing one count or finding the slot at a given
// bucket takes 15 steps at most.

/// The tree.
struct BucketSums {
  /// A place more than there are slots, all zero to begin with; place 0 is not used.
  let sums: UnsafeMutablePointer<Int>

  /// All buckets together.
  var total: Int { sums[Keyspace.slotCount] }

  /// Adds to a slot's count.
  func add(_ change: Int, at slot: Int) {
    var place = slot + 1
    while place <= Keyspace.slotCount {
      sums[place] += change
      place += place & -place
    }
  }

  /// The slot whose buckets include number `bucket` of all.
  func slot(at bucket: Int) -> Int {
    var place = 0
    var rest = bucket
    var step = Keyspace.slotCount >> 1
    while step > 0 {
      // Which way it goes is chance: chosen without a branch.
      let sum = sums[place &+ step]
      let isBeyond = sum <= rest
      place = isBeyond ? place &+ step : place
      rest = isBeyond ? rest &- sum : rest
      step &>>= 1
    }
    return place
  }
}
