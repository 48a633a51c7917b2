// Segments are rebuilt whole: to grow, to split, to shrink, to merge with a buddy. All their entries (288 at most,
// unless equal hashes made extensions) are gathered, hashed again from their keys, and put into new segments.
//
// Sizes go up by quarters (1, 2, 3 … 8, 10, 12, 14, 16, 20 … 32 buckets: the allocator's classes), so that fill stays
// high whatever the number of keys. A segment grows when an entry finds no place within its reach. One that has no
// place although it is not full (`fillForGrowth`) has many equal hashes: a bucket of it is extended instead.
// A segment below 40 % fill is rebuilt for 80 %, or merged with its buddy if both fit into half of the largest.
//
// Whatever needs memory gets it before anything is changed.

import CJemalloc

/// The sizes of segments.
enum SegmentSize {
  /// A segment of so many buckets is split.
  static var largest: Int { 32 }

  /// The size that follows: a quarter of the power of two below it more.
  static func next(_ buckets: Int) -> Int {
    buckets < 8 ? buckets + 1 : buckets + (buckets < 16 ? 2 : 4)
  }

  /// The smallest size that `entries` fill to 80 % at most, or the largest.
  static func fitting(_ entries: Int) -> Int {
    var buckets = 1
    while buckets < largest && entries * 10 > buckets * Bucket.capacity * 8 {
      buckets = next(buckets)
    }
    return buckets
  }

  /// Whether a segment with so many entries should grow: else it has room, only not where it is wanted.
  static func isFullEnough(_ entries: Int, _ buckets: Int) -> Bool {
    entries * 10 >= buckets * Bucket.capacity * 6
  }

  /// How many entries an operation hashes again.
  static var rehashLimit: Int { largest * Bucket.capacity }

  /// Whether two segments with so many entries together may become one: it is half full then at most.
  static func canMerge(_ entries: Int) -> Bool { entries * 2 <= largest * Bucket.capacity }

  /// Whether a segment with so many entries is due to be rebuilt smaller, or merged.
  static func isSparse(_ entries: Int, _ buckets: Int) -> Bool {
    entries * 10 < buckets * Bucket.capacity * 4
  }
}

/// An entry between two segments.
struct GatheredEntry {
  /// Its prefix, and in the lowest byte its tag.
  var prefixAndTag: UInt64
  /// Its word without displacement.
  var word: UInt64

  /// The prefix of its hash.
  @inline(__always)
  var prefix: UInt64 { prefixAndTag & KeyHash.prefixMask }
  /// Its tag.
  @inline(__always)
  var tag: UInt8 { UInt8(truncatingIfNeeded: prefixAndTag) }
}

/// Room for the entries of a segment while it is rebuilt.
struct RebuildSpace {
  /// Places for the entries of a full segment, and some of extensions.
  static var capacity: Int { 320 }

  /// The room.
  let entries: UnsafeMutablePointer<GatheredEntry>
}

/// Entries that were gathered from segments.
struct Gathering: ~Copyable {
  /// Those gathered so far.
  private(set) var entries: UnsafeMutableBufferPointer<GatheredEntry>
  private let capacity: Int
  private let isOwn: Bool

  /// Room for `count` entries: the worker's, or own memory where extensions made them more.
  init(_ count: Int, _ space: RebuildSpace) throws(OutOfMemory) {
    isOwn = count > RebuildSpace.capacity
    capacity = isOwn ? count : RebuildSpace.capacity
    let start =
      isOwn
      ? try allocate(SizeClass.bytes(count * MemoryLayout<GatheredEntry>.stride))
        .bindMemory(to: GatheredEntry.self, capacity: count) : space.entries
    entries = UnsafeMutableBufferPointer(start: start, count: 0)
  }

  deinit {
    guard isOwn, let memory = entries.baseAddress else { return }
    deallocate(memory, SizeClass.bytes(capacity * MemoryLayout<GatheredEntry>.stride))
  }

  /// Adds a segment's entries, of its extensions too.
  mutating func add(_ segment: DirectoryWord) {
    for index in 0..<segment.bucketCount {
      var next: Bucket? = segment.bucket(index)
      while let bucket = next {
        add(bucket)
        next = bucket.next
      }
    }
  }

  private mutating func add(_ bucket: Bucket) {
    var taken = bucket.taken
    var end = entries.baseAddress.unsafelyUnwrapped + entries.count
    while taken != 0 {
      let place = taken.trailingZeroBitCount
      taken &= taken &- 1
      let word = bucket.word(place)
      if word & Bucket.leadBit != 0 { continue }
      end.initialize(
        to: GatheredEntry(
          prefixAndTag: UInt64(bucket.tag(place)),
          word: word & (Bucket.addressMask | Bucket.expiryBit)))
      end += 1
    }
    let start = entries.baseAddress.unsafelyUnwrapped
    entries = UnsafeMutableBufferPointer(start: start, count: end - start)
    precondition(entries.count <= capacity)
  }

  /// Computes the hashes again, from the keys; entries ahead are on their way from memory meanwhile.
  func hash(_ hashing: Hashing) {
    let ahead = 24
    let count = entries.count
    guard let start = entries.baseAddress else { return }
    for index in 0..<min(ahead, count) { tern_prefetch(Bucket.address(start[index].word)) }
    for index in 0..<count {
      if index &+ ahead < count { tern_prefetch(Bucket.address(start[index &+ ahead].word)) }
      let entry = Bucket.entry(start[index].word)
      start[index].prefixAndTag |= hashing.hash(entry.keyBytes).prefix
    }
  }

  /// Brings those whose bit of the prefix behind `depth` is 0 to the front; their number.
  func part(at depth: UInt64) -> Int {
    guard var low = entries.baseAddress else { return 0 }
    let start = low
    var high = start + entries.count
    let bit: UInt64 = 1 << (63 - depth)
    while low < high {
      if low.pointee.prefixAndTag & bit == 0 {
        low += 1
      } else {
        high -= 1
        swap(&low.pointee, &high.pointee)
      }
    }
    return low - start
  }
}

/// A segment that no directory names yet.
struct NewSegment {
  /// What the directory will name it by.
  private(set) var word = DirectoryWord(bits: 0)
  /// Bytes of the segment and its extensions.
  private(set) var byteCount = 0

  /// Builds a segment of entries whose prefixes share their first `depth` bits: of at least `smallest` buckets, and
  /// as many more as they need to find their places.
  init(
    _ entries: UnsafeBufferPointer<GatheredEntry>, depth: UInt64, smallest: Int
  ) throws(OutOfMemory) {
    var buckets = smallest
    while true {
      let size = buckets * Bucket.byteCount
      let segment = try allocateZeroedLines(size)
      word = DirectoryWord(segment: segment, buckets: buckets, depth: depth)
      byteCount = size
      var outside = 0
      for entry in entries where !word.place(entry) { outside += 1 }
      if outside == 0 { return }
      if buckets == SegmentSize.largest
        || !SegmentSize.isFullEnough(entries.count - outside, buckets)
      {
        break
      }
      deallocate(segment, size)
      buckets = SegmentSize.next(buckets)
    }
    // Equal hashes: once more from the start, with extensions.
    zero(word.segment, byteCount)
    do throws(OutOfMemory) {
      for entry in entries where !word.place(entry) {
        byteCount += try word.placeOutside(entry)
      }
    } catch {
      free()
      throw error
    }
  }

  /// Frees the segment and its extensions, not the entries.
  func free() { _ = word.free() }
}

extension DirectoryWord {
  /// Puts an entry into the first free place within its reach.
  @inline(__always)
  func place(_ entry: GatheredEntry) -> Bool {
    var index = home(entry.prefix)
    let last = reach
    var displacement: UInt64 = 0
    while true {
      let bucket = bucket(index)
      let free = bucket.places(tagged: 0)
      if free != 0 {
        bucket.set(
          free.trailingZeroBitCount,
          entry.word | displacement &<< Bucket.displacementShift, tag: entry.tag)
        break
      }
      if displacement == last { return false }
      displacement &+= 1
      index &+= 1
      if index == bucketCount { index = 0 }
    }
    if displacement != 0 {
      let home = home(entry.prefix)
      for passed in 0..<displacement { bucket(home: home, displacement: passed).notePassing() }
    }
    return true
  }

  /// Puts an entry into the extension of its home bucket; the bytes that this took.
  func placeOutside(_ entry: GatheredEntry) throws(OutOfMemory) -> Int {
    var bucket = bucket(home(entry.prefix))
    while let next = bucket.next {
      bucket = next
      let free = bucket.places(tagged: 0)
      if free != 0 {
        bucket.set(free.trailingZeroBitCount, entry.word, tag: entry.tag)
        return 0
      }
    }
    let follower = Bucket(try allocateZeroedLines(Bucket.byteCount))
    bucket.extend(by: follower)
    // Place 0 is taken by the entry that has made way for the leading word.
    follower.set(1, entry.word, tag: entry.tag)
    return Bucket.byteCount
  }

  /// Frees a segment's memory and that of its extensions, not the entries; the bytes.
  func free() -> Int {
    var freed = bucketCount * Bucket.byteCount
    for index in 0..<bucketCount {
      var next = bucket(index).next
      while let follower = next {
        next = follower.next
        deallocate(follower.base, Bucket.byteCount)
        freed += Bucket.byteCount
      }
    }
    deallocate(segment, bucketCount * Bucket.byteCount)
    return freed
  }

  /// The entries in a segment's buckets, and those in their extensions.
  func entryCounts() -> (inside: Int, outside: Int) {
    var inside = 0
    var outside = 0
    for index in 0..<bucketCount {
      let bucket = bucket(index)
      inside &+= bucket.taken.nonzeroBitCount
      if bucket.leads {
        inside &-= 1
        var next = bucket.next
        while let follower = next {
          outside += follower.entryCount
          next = follower.next
        }
      }
    }
    return (inside, outside)
  }
}

extension Keyspace {
  /// Puts an entry that is not there yet into its slot's table. On failure the table is as it was (or has a larger
  /// directory or segment, which is as good).
  func insert(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ hash: KeyHash, _ entry: Entry,
    hasExpiry: Bool
  ) throws(OutOfMemory) {
    let gathered = GatheredEntry(
      prefixAndTag: hash.prefix | UInt64(hash.tag),
      word: Bucket.addressBits(entry.address) | (hasExpiry ? Bucket.expiryBit : 0))
    if table.pointee.root == 0 {
      let segment = try allocateZeroedLines(Bucket.byteCount)
      table.pointee.root = DirectoryWord(segment: segment, buckets: 1, depth: 0).bits
      countBuckets(table, slot, 1)
      count(table, slot, keys: 0, bytes: Bucket.byteCount, expiring: 0)
    }
    while true {
      let segment = DirectoryWord(bits: table.pointee.root).segment(of: gathered.prefix)
      if segment.place(gathered) { return }
      if try !grow(table, slot, gathered.prefix) {
        let bytes = try segment.placeOutside(gathered)
        if bytes != 0 { count(table, slot, keys: 0, bytes: bytes, expiring: 0) }
        return
      }
    }
  }

  /// Makes the segment of `prefix` larger, or two; false if that is of no use.
  @inline(never)
  private func grow(_ table: UnsafeMutablePointer<Table>, _ slot: Int, _ prefix: UInt64)
    throws(OutOfMemory) -> Bool
  {
    let begin = state.pointee.growth.clock()
    defer { state.pointee.growth.add(state.pointee.growth.clock() &- begin) }
    return try enlarge(table, slot, prefix)
  }

  private func enlarge(_ table: UnsafeMutablePointer<Table>, _ slot: Int, _ prefix: UInt64)
    throws(OutOfMemory) -> Bool
  {
    var path = DirectoryPath(root: Keyspace.root(of: table), prefix: prefix)
    let old = path.segment
    let (inside, outside) = old.entryCounts()
    guard SegmentSize.isFullEnough(inside, old.bucketCount) else { return false }
    let isLargest = old.bucketCount == SegmentSize.largest
    if isLargest && !path.canSplit { return false }
    var gathering = try Gathering(inside + outside, state.pointee.rebuild)
    gathering.add(old)
    gathering.hash(state.pointee.hashing)
    state.pointee.rebuiltEntryCount &+= gathering.entries.count
    let entries = UnsafeBufferPointer(gathering.entries)
    if !isLargest {
      let new = try NewSegment(
        entries, depth: old.depth, smallest: SegmentSize.next(old.bucketCount))
      path.replace(with: new.word)
      finish(table, slot, freed: old, new.byteCount, new.word.bucketCount)
      return true
    }
    let deeper = try path.deepen()
    if deeper != 0 { count(table, slot, keys: 0, bytes: deeper, expiring: 0) }
    let middle = gathering.part(at: old.depth)
    let first = try NewSegment(
      UnsafeBufferPointer(rebasing: entries[..<middle]), depth: old.depth + 1,
      smallest: SegmentSize.fitting(middle))
    let second: NewSegment
    do throws(OutOfMemory) {
      second = try NewSegment(
        UnsafeBufferPointer(rebasing: entries[middle...]), depth: old.depth + 1,
        smallest: SegmentSize.fitting(entries.count - middle))
    } catch {
      first.free()
      throw error
    }
    path.split(first.word, second.word)
    finish(
      table, slot, freed: old, first.byteCount + second.byteCount,
      first.word.bucketCount + second.word.bucketCount)
    return true
  }

  /// If the segment of `prefix` has become sparse, merges it with its buddy, and the two with theirs, as long as they
  /// fit and at most `rehashLimit` entries are hashed again; else rebuilds it smaller. Without memory for that it
  /// stays as it is.
  @inline(never)
  func shrink(_ table: UnsafeMutablePointer<Table>, _ slot: Int, _ prefix: UInt64) {
    let path = DirectoryPath(root: Keyspace.root(of: table), prefix: prefix)
    let own = path.segment.entryCounts()
    let entries = own.inside + own.outside
    guard SegmentSize.isSparse(entries, path.segment.bucketCount) else { return }
    var budget = SegmentSize.rehashLimit
    do throws(OutOfMemory) {
      if try merge(table, slot, path, &budget) {
        while try merge(
          table, slot, DirectoryPath(root: Keyspace.root(of: table), prefix: prefix), &budget)
        {}
      } else {
        try rebuild(table, slot, path, entries, SegmentSize.fitting(entries))
      }
    } catch {}
  }

  private func rebuild(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ path: DirectoryPath, _ entries: Int,
    _ buckets: Int
  ) throws(OutOfMemory) {
    let old = path.segment
    guard buckets < old.bucketCount else { return }
    var gathering = try Gathering(entries, state.pointee.rebuild)
    gathering.add(old)
    gathering.hash(state.pointee.hashing)
    state.pointee.rebuiltEntryCount &+= gathering.entries.count
    let new = try NewSegment(
      UnsafeBufferPointer(gathering.entries), depth: old.depth, smallest: buckets)
    var path = path
    path.replace(with: new.word)
    finish(table, slot, freed: old, new.byteCount, new.word.bucketCount)
  }

  private func merge(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ path: DirectoryPath, _ budget: inout Int
  ) throws(OutOfMemory) -> Bool {
    guard let buddy = path.buddy else { return false }
    let old = path.segment
    let own = old.entryCounts()
    let other = buddy.entryCounts()
    let all = own.inside + own.outside + other.inside + other.outside
    guard SegmentSize.canMerge(all), all <= budget else { return false }
    budget -= all
    var gathering = try Gathering(all, state.pointee.rebuild)
    gathering.add(old)
    gathering.add(buddy)
    gathering.hash(state.pointee.hashing)
    state.pointee.rebuiltEntryCount &+= gathering.entries.count
    let new = try NewSegment(
      UnsafeBufferPointer(gathering.entries), depth: old.depth - 1,
      smallest: SegmentSize.fitting(all))
    var path = path
    path.replace(with: new.word)
    finish(table, slot, freed: old, new.byteCount, new.word.bucketCount)
    finish(table, slot, freed: buddy, 0, 0)
    let freed = path.shallow()
    if freed != 0 { count(table, slot, keys: 0, bytes: -freed, expiring: 0) }
    return true
  }

  /// The address of a table's root word.
  @inline(__always)
  static func root(of table: UnsafeMutablePointer<Table>) -> UnsafeMutablePointer<UInt64> {
    // It is the first of the table's parts.
    UnsafeMutableRawPointer(table).assumingMemoryBound(to: UInt64.self)
  }

  private func finish(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, freed old: DirectoryWord, _ bytes: Int,
    _ buckets: Int
  ) {
    countBuckets(table, slot, buckets - old.bucketCount)
    count(table, slot, keys: 0, bytes: bytes - old.free(), expiring: 0)
  }
}
