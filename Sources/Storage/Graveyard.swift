// What was cleared or removed and is freed later, in slices.
//
// A stack of graves: a table's root, a page or segment on the way down from it, or a value apart. The top one is
// worked on: a page puts the next of its words on top of itself and goes once it has none left, a segment frees nine
// entries a unit. A large value's pages go back to the system piece by piece before it is freed, because freeing
// 512 MiB at once takes tens of milliseconds.
//
// If the stack cannot grow, what is to be buried is freed at once: late, but right.

import CJemalloc

/// The stack.
struct Graveyard {
  /// A value apart of more than this is freed in slices.
  static var valueLimit: Int { 1 << 20 }
  /// The bytes of a large value that are given back in a unit of work.
  static var pieceByteCount: Int { 32 << 10 }

  /// What waits.
  struct Grave {
    /// A directory word, or a value's address with its size class as depth.
    var word: DirectoryWord
    /// Whether it is a value.
    var isValue = false
    /// The depth at which a page ends.
    var end: UInt64 = 0
    /// The next word, bucket or piece.
    var position = 0
    /// What it is counted as while it waits.
    var byteCount = 0

    /// A table, page or segment.
    init(word: DirectoryWord, end: UInt64, byteCount: Int = 0) {
      self.word = word
      self.end = end
      self.byteCount = byteCount
    }

    /// A value apart.
    init(value: UnsafeMutableRawPointer, capacity: Int) {
      word = DirectoryWord(
        bits: UInt64(UInt(bitPattern: value)) | SizeClass.index(capacity) &<< 56)
      isValue = true
      byteCount = capacity
    }
  }

  /// What all graves are counted as.
  private(set) var byteCount = 0
  private var graves: UnsafeMutablePointer<Grave>?
  private var count = 0
  private var capacity = 0

  /// Whether nothing waits.
  var isEmpty: Bool { count == 0 }

  /// Gives back the stack's own memory; it is empty.
  func free() {
    precondition(count == 0)
    if let graves { deallocate(graves, SizeClass.bytes(capacity * MemoryLayout<Grave>.stride)) }
  }

  /// Buries a table whose keys took `byteCount` bytes.
  mutating func add(root: UInt64, byteCount: Int) {
    let word = DirectoryWord(bits: root)
    guard !word.isEmpty else { return }
    add(Grave(word: word, end: word.isPage ? word.depth : 0, byteCount: byteCount))
  }

  /// Buries a value of that size class.
  mutating func add(value: UnsafeMutableRawPointer, capacity: Int) {
    add(Grave(value: value, capacity: capacity))
  }

  private mutating func add(_ grave: Grave) {
    guard count < capacity || grow() else { return Graveyard.freeAtOnce(grave) }
    graves.unsafelyUnwrapped[count] = grave
    count += 1
    byteCount += grave.byteCount
  }

  /// Without a stack, where there is no memory even for a grave. The recursion is as deep as the directory.
  private static func freeAtOnce(_ grave: Grave) {
    var grave = grave
    while !work(&grave, 1 << 20, { freeAtOnce($0) }).done {}
  }

  private mutating func grow() -> Bool {
    let stride = MemoryLayout<Grave>.stride
    let size = SizeClass.bytes(max(2 * capacity, 25) * stride)
    guard let memory = try? allocate(size) else { return false }
    let larger = memory.bindMemory(to: Grave.self, capacity: size / stride)
    if let graves {
      larger.moveInitialize(from: graves, count: count)
      deallocate(graves, SizeClass.bytes(capacity * stride))
    }
    graves = larger
    capacity = size / stride
    return true
  }

  /// Frees for at most `units` of work; the units used, 0 when nothing is left.
  mutating func bury(_ units: Int) -> Int {
    var used = 0
    while used < units, count > 0, let graves {
      let own = count - 1
      var grave = graves[own]
      let (work, done) = Graveyard.work(&grave, units - used) { add($0) }
      used += work
      if done {
        byteCount -= grave.byteCount
        count -= 1
        // What was found below it has become the top.
        if count > own { self.graves.unsafelyUnwrapped[own] = self.graves.unsafelyUnwrapped[count] }
      } else {
        self.graves.unsafelyUnwrapped[own] = grave
      }
    }
    return used
  }

  /// Works on a grave until it is done, has used its units, or found more graves, which it gives to `found`.
  private static func work(_ grave: inout Grave, _ units: Int, _ found: (Grave) -> Void)
    -> (units: Int, done: Bool)
  {
    if grave.isValue { return workOnValue(&grave, units) }
    let word = grave.word
    if word.isPage {
      let wordCount = 1 << Int(word.depth)
      let child = DirectoryWord(bits: word.page[grave.position])
      found(Grave(word: child, end: child.isPage ? grave.end + child.depth : 0))
      grave.position += child.isPage ? 1 : 1 << Int(grave.end - child.depth)
      guard grave.position == wordCount else { return (1, false) }
      deallocate(word.segment, wordCount * 8)
      return (1, true)
    }
    var used = 0
    while used < units && grave.position < word.bucketCount {
      used += freeBucket(word.bucket(grave.position), found)
      grave.position += 1
    }
    guard grave.position == word.bucketCount else { return (used, false) }
    deallocate(word.segment, word.bucketCount * Bucket.byteCount)
    return (used, true)
  }

  private static func workOnValue(_ grave: inout Grave, _ units: Int) -> (units: Int, done: Bool) {
    let size = SizeClass.bytes(index: grave.word.depth)
    var used = 0
    while used < units && grave.position < size {
      let piece = min(pieceByteCount, size - grave.position)
      // Only whole pages: the allocation begins at a cache line, not always at a page.
      let from = UInt(bitPattern: grave.word.segment) + UInt(grave.position)
      let first = (grave.position == 0 ? from + 4095 : from) & ~4095
      let last = (from + UInt(piece)) & ~4095
      if first < last {
        releasePages(UnsafeMutableRawPointer(bitPattern: first)!, Int(last - first))
      }
      grave.position += piece
      used += 1
    }
    guard grave.position == size else { return (used, false) }
    deallocate(grave.word.segment, size)
    return (used, true)
  }

  /// Frees a bucket's entries and extensions (not the bucket itself); the units that it took.
  private static func freeBucket(_ bucket: Bucket, _ found: (Grave) -> Void) -> Int {
    var units = 1
    units += freeEntries(bucket, found)
    var next = bucket.next
    while let follower = next {
      next = follower.next
      units += freeEntries(follower, found)
      deallocate(follower.base, Bucket.byteCount)
      units += 1
    }
    return units
  }

  /// Frees a bucket's entries; the units beyond the bucket's: a value apart has pages of its own, which takes microseconds.
  private static func freeEntries(_ bucket: Bucket, _ found: (Grave) -> Void) -> Int {
    var apart = 0
    var places = bucket.taken
    while places != 0 {
      tern_prefetch(Bucket.address(bucket.word(places.trailingZeroBitCount)))
      places &= places &- 1
    }
    places = bucket.taken
    while places != 0 {
      let word = bucket.word(places.trailingZeroBitCount)
      places &= places &- 1
      if word & Bucket.leadBit != 0 { continue }
      let entry = Bucket.entry(word)
      if entry.has(EntryShape.apart) {
        apart += 1
        let capacity = entry.apartCapacity
        if capacity > valueLimit {
          found(Grave(value: entry.apart.address, capacity: capacity))
        } else {
          deallocate(entry.apart.address, capacity)
        }
      }
      deallocate(entry.address, entry.shape.allocatedByteCount)
    }
    return apart
  }
}

extension Keyspace {
  /// Removes all keys of a slot, in O(1): they are freed by `bury`.
  public mutating func clear(_ slot: Int) { buryRoot(of: slot) }

  /// Moves a table's content to the graveyard; the table is empty then.
  func buryRoot(of slot: Int) {
    let table = table(slot)
    let figures = table.pointee.figures
    state.pointee.graveyard.add(root: table.pointee.root, byteCount: figures.bytes)
    table.pointee.root = 0
    countBuckets(table, slot, -table.pointee.buckets)
    count(table, slot, keys: -figures.keys, bytes: -figures.bytes, expiring: -figures.expiring)
  }

  /// Whether something waits to be freed.
  public var hasGrave: Bool { !state.pointee.graveyard.isEmpty }

  /// Frees what `clear` and `remove` left, for at most about `workUnits` (a unit: a bucket of nine entries, a page's
  /// word, a value apart, or 32 KiB of a large one; about 0.2 to 2 µs); returns the units used, 0 when nothing was left.
  public mutating func bury(workUnits: Int) -> Int { state.pointee.graveyard.bury(workUnits) }
}
