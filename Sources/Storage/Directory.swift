// The way from a slot's root word to a segment.
//
// A word names nothing (0), a segment or a page of words:
//
//   63     56 55     48 47                              0
//  +---------+---------+---------------------------------+
//  |  depth  | buckets |  address of the segment         |   1 … 32 buckets
//  +---------+---------+---------------------------------+
//  | log2 of |    0    |  address of the page            |   a page of 2, 4 … 512 words
//  | words   |         |                                 |
//  +---------+---------+---------------------------------+
//
// The root is the only segment's word, or leads to a page. A page of 2^n words is indexed by the next n bits of the
// hash; a segment of local depth d holds all entries that share their first d bits, so in a page that ends at depth
// e it stands in 2^(e − d) words in a row. A page grows by doubling; one of 512 words instead leads on to a page of
// its own, three levels at most (27 bits). Pages halve, and vanish, when no segment needs their last bit.
//
// Within a segment: home = high64((h << depth) × buckets): hash order for any number of buckets.
// An entry lies in home … home + min(3, buckets − 1), wrapping around within its segment.

/// A directory word.
struct DirectoryWord {
  /// The address of a segment or page.
  static var addressMask: UInt64 { (1 << 48) - 1 }

  /// The word.
  var bits: UInt64

  /// A word as it stands in a page or a root.
  @inline(__always)
  init(bits: UInt64) { self.bits = bits }

  /// The word of a segment.
  @inline(__always)
  init(segment: UnsafeMutableRawPointer, buckets: Int, depth: UInt64) {
    bits =
      UInt64(UInt(bitPattern: segment)) | UInt64(truncatingIfNeeded: buckets) &<< 48 | depth &<< 56
  }

  /// The word that leads to a page of 2^log words.
  @inline(__always)
  init(page: UnsafeMutablePointer<UInt64>, log: UInt64) {
    bits = UInt64(UInt(bitPattern: page)) | log &<< 56
  }

  /// No table at all.
  @inline(__always)
  var isEmpty: Bool { bits == 0 }

  /// Whether it leads to a page.
  @inline(__always)
  var isPage: Bool { bits & (0xff << 48) == 0 }

  /// A segment's local depth, or the logarithm of a page's word count.
  @inline(__always)
  var depth: UInt64 { bits &>> 56 }

  /// A segment's buckets.
  @inline(__always)
  var buckets: UInt64 { (bits &>> 48) & 0xff }

  /// A segment's buckets.
  @inline(__always)
  var bucketCount: Int { Int(truncatingIfNeeded: buckets) }

  /// The segment's (or page's) address.
  @inline(__always)
  var segment: UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bitPattern: UInt(bits & DirectoryWord.addressMask)).unsafelyUnwrapped
  }

  /// The page's words.
  @inline(__always)
  var page: UnsafeMutablePointer<UInt64> { segment.assumingMemoryBound(to: UInt64.self) }

  /// The bucket of that number.
  @inline(__always)
  func bucket(_ index: Int) -> Bucket { Bucket(segment + index &* Bucket.byteCount) }

  /// The largest displacement.
  @inline(__always)
  var reach: UInt64 { buckets > 3 ? 3 : buckets &- 1 }

  /// The number of the bucket that is home to `prefix`, which belongs to this segment.
  @inline(__always)
  func home(_ prefix: UInt64) -> Int {
    Int(truncatingIfNeeded: (prefix &<< depth).multipliedFullWidth(by: buckets).high)
  }

  /// The bucket `displacement` behind `home`.
  @inline(__always)
  func bucket(home: Int, displacement: UInt64) -> Bucket {
    var index = home &+ Int(truncatingIfNeeded: displacement)
    if index >= bucketCount { index &-= bucketCount }
    return bucket(index)
  }

  /// The segment of `prefix` under this root, which is not empty.
  @inline(__always)
  func segment(of prefix: UInt64) -> DirectoryWord {
    var word = self
    var rest = prefix
    while word.isPage {
      let log = word.depth
      word = DirectoryWord(bits: word.page[Int(truncatingIfNeeded: rest &>> (64 &- log))])
      rest = rest &<< log
    }
    return word
  }

  /// The first prefix of this segment, which holds `prefix`.
  @inline(__always)
  func firstPrefix(_ prefix: UInt64) -> UInt64 { prefix & ~(~0 >> depth) }

  /// The first prefix behind home `home` of this segment, which holds `prefix`; nil at the end of all.
  func prefix(after home: Int, within prefix: UInt64) -> UInt64? {
    let first = firstPrefix(prefix)
    if home &+ 1 < bucketCount {
      let (quotient, remainder) = buckets.dividingFullWidth((UInt64(home &+ 1), 0))
      let start = remainder == 0 ? quotient : quotient &+ 1
      // A prefix has 39 bits; those behind the segment's own depth decide here.
      let step = ~(KeyHash.prefixMask << depth)
      return first | (((start &+ step) & ~step) >> depth)
    }
    let (next, overflow) = first.addingReportingOverflow(depth == 0 ? 0 : 1 << (64 - depth))
    return overflow || next == 0 ? nil : next
  }
}

/// The way to one segment: what is needed to change the directory around it.
struct DirectoryPath {
  /// A page has 2^9 words at most: 4 KiB.
  static var pageLogLimit: UInt64 { 9 }
  /// How many pages may lie on a way.
  static var levelLimit: Int { 3 }

  /// The word that leads to the page, or is the segment's own (no page).
  var holder: UnsafeMutablePointer<UInt64>
  /// How many pages lie on the way.
  var level = 0
  /// The depth at which the page begins.
  var base: UInt64 = 0
  /// The place in the page.
  var index = 0
  /// The segment.
  var segment: DirectoryWord

  /// The way to the segment of `prefix` from a root that is not empty.
  init(root: UnsafeMutablePointer<UInt64>, prefix: UInt64) {
    holder = root
    var word = DirectoryWord(bits: root.pointee)
    var rest = prefix
    while word.isPage {
      if level > 0 {
        holder = DirectoryWord(bits: holder.pointee).page + index
        base += DirectoryPath.pageLogLimit
      }
      level += 1
      let log = word.depth
      index = Int(truncatingIfNeeded: rest >> (64 - log))
      rest <<= log
      word = DirectoryWord(bits: word.page[index])
    }
    segment = word
  }

  /// The page's word.
  var page: DirectoryWord { DirectoryWord(bits: holder.pointee) }

  /// The words of the page that name a segment of depth `depth` at `index`.
  func run(depth: UInt64) -> Range<Int> {
    let length = 1 << Int(base + page.depth - depth)
    let start = index & ~(length - 1)
    return start..<start + length
  }

  /// Names `word` in all places of its depth around `index`.
  mutating func replace(with word: DirectoryWord) {
    segment = word
    guard level > 0 else {
      holder.pointee = word.bits
      return
    }
    let words = page.page
    for place in run(depth: word.depth) { words[place] = word.bits }
  }

  /// Whether the segment can be split: else the directory is as deep as it gets.
  var canSplit: Bool {
    level < DirectoryPath.levelLimit || page.depth < DirectoryPath.pageLogLimit
      || segment.depth < base + page.depth
  }

  /// Makes the page deep enough to tell the segment's halves apart; the bytes that this took. The table is as it was.
  mutating func deepen() throws(OutOfMemory) -> Int {
    if level > 0 && segment.depth < base + page.depth { return 0 }
    if level == 0 || page.depth == DirectoryPath.pageLogLimit {
      let words = try allocate(16).assumingMemoryBound(to: UInt64.self)
      words[0] = segment.bits
      words[1] = segment.bits
      if level > 0 {
        holder = page.page + index
        base += DirectoryPath.pageLogLimit
      }
      holder.pointee = DirectoryWord(page: words, log: 1).bits
      level += 1
      index = 0
      return 16
    }
    let old = page
    let count = 1 << Int(old.depth)
    let words = try allocate(count * 16).assumingMemoryBound(to: UInt64.self)
    for place in 0..<count {
      words[2 * place] = old.page[place]
      words[2 * place + 1] = old.page[place]
    }
    holder.pointee = DirectoryWord(page: words, log: old.depth + 1).bits
    deallocate(old.segment, count * 8)
    index *= 2
    return count * 8
  }

  /// Names both halves of the segment, which `deepen` made room for.
  mutating func split(_ first: DirectoryWord, _ second: DirectoryWord) {
    let both = run(depth: segment.depth)
    let middle = both.lowerBound + both.count / 2
    let words = page.page
    for place in both { words[place] = place < middle ? first.bits : second.bits }
    segment = DirectoryWord(bits: words[index])
  }

  /// The segment of the other half of the last bit, if it is one.
  var buddy: DirectoryWord? {
    guard level > 0, segment.depth > base else { return nil }
    let own = run(depth: segment.depth)
    let word = DirectoryWord(bits: page.page[own.lowerBound ^ own.count])
    return word.isPage || word.depth != segment.depth ? nil : word
  }

  /// Halves the page while nothing needs its last bit; the bytes that this gave back.
  mutating func shallow() -> Int {
    var freed = 0
    while level > 0 {
      let old = page
      let words = old.page
      let count = 1 << Int(old.depth)
      for place in stride(from: 0, to: count, by: 2) where words[place] != words[place + 1] {
        return freed
      }
      if count == 2 {
        holder.pointee = words[0]
        deallocate(old.segment, 16)
        // What is above was no place for this page's segment before, and its other words did not change.
        return freed + 16
      }
      // A page that cannot be replaced stays as large as it is.
      guard let memory = try? allocate(count * 4) else { return freed }
      let half = memory.assumingMemoryBound(to: UInt64.self)
      for place in 0..<count / 2 { half[place] = words[2 * place] }
      holder.pointee = DirectoryWord(page: half, log: old.depth - 1).bits
      deallocate(old.segment, count * 8)
      freed += count * 4
      index /= 2
    }
    return freed
  }
}
