// A bucket: one cache line with nine words, nine tags and a counter.
//
//   byte 0        6        12                    48       54                  63
//        +--------+--------+------- … ----------+--------+---- 9 tags --------+--+
//        | word 0 | word 1 |                    | word 8 | t0 t1 … t8         |o |
//        +--------+--------+------- … ----------+--------+--------------------+--+
//   word (48 bits): [47 leads on][46 has expiry][45..44 displacement][43..0 entry address >> 4], 0 = empty
//   tag:  low byte of the hash (0 → 1), 0 = empty
//   o:    how many entries passed this bucket on their way (255 = no longer counted); 0 ends a search
//
// A full bucket can be extended when growing its segment is of no use: its word 8 then leads (bit 47) to another
// bucket of the same form, outside the segment, that holds entries of this bucket with this bucket's displacements.
// It may be extended in turn. The word that was word 8 moves into the extension. The tag of a leading word is
// `leadTag` and o is 255, so that searches which find nothing look at word 8. A leading word has no entry.

/// A bucket's place.
struct Bucket {
  /// A cache line.
  static var byteCount: Int { 64 }
  /// Its places.
  static var capacity: Int { 9 }
  /// Where a leading word stands.
  static var leadPlace: Int { 8 }
  /// The tag of a leading word: not 0, so that its place is taken.
  static var leadTag: UInt8 { 255 }
  /// The 48 bits of a word.
  static var wordMask: UInt64 { (1 << 48) - 1 }
  /// The word leads to an extension.
  static var leadBit: UInt64 { 1 << 47 }
  /// The entry has an expiry.
  static var expiryBit: UInt64 { 1 << 46 }
  /// Where the displacement begins.
  static var displacementShift: UInt64 { 44 }
  /// The address of an entry or extension, without its low four bits, which are 0.
  static var addressMask: UInt64 { (1 << 44) - 1 }
  /// No longer counted.
  static var stickyPassed: UInt8 { 255 }

  /// Its first byte.
  let base: UnsafeMutableRawPointer

  /// The bucket at `base`.
  @inline(__always)
  init(_ base: UnsafeMutableRawPointer) { self.base = base }

  /// The places whose tag is `tag`, a bit each.
  @inline(__always)
  func places(tagged tag: UInt8) -> UInt32 {
    let tags = base.loadUnaligned(fromByteOffset: 54, as: UInt64.self)
    let x = tags ^ (UInt64(tag) &* 0x0101_0101_0101_0101)
    let low: UInt64 = 0x7f7f_7f7f_7f7f_7f7f
    // 0x80 in every byte of x that is zero, and in no other.
    let zero = ~(((x & low) &+ low) | x | low)
    let eight = ((zero &>> 7) &* 0x0102_0408_1020_4080) &>> 56
    let ninth: UInt32 = base.load(fromByteOffset: 62, as: UInt8.self) == tag ? 0x100 : 0
    return UInt32(truncatingIfNeeded: eight) | ninth
  }

  /// The places with an entry (or a leading word).
  @inline(__always)
  var taken: UInt32 { places(tagged: 0) ^ 0x1ff }

  /// The number of entries, without those of its extensions.
  @inline(__always)
  var entryCount: Int { taken.nonzeroBitCount &- (leads ? 1 : 0) }

  /// The word at a place.
  @inline(__always)
  func word(_ place: Int) -> UInt64 {
    base.loadUnaligned(fromByteOffset: place &* 6, as: UInt64.self) & Bucket.wordMask
  }

  /// Sets the word at a place.
  @inline(__always)
  func setWord(_ place: Int, _ word: UInt64) {
    let at = base + place &* 6
    at.storeBytes(of: UInt32(truncatingIfNeeded: word), as: UInt32.self)
    at.storeBytes(of: UInt16(truncatingIfNeeded: word &>> 32), toByteOffset: 4, as: UInt16.self)
  }

  /// The tag at a place.
  @inline(__always)
  func tag(_ place: Int) -> UInt8 { base.load(fromByteOffset: 54 &+ place, as: UInt8.self) }

  /// Sets the tag at a place.
  @inline(__always)
  func setTag(_ place: Int, _ tag: UInt8) {
    base.storeBytes(of: tag, toByteOffset: 54 &+ place, as: UInt8.self)
  }

  /// Sets word and tag of a place.
  @inline(__always)
  func set(_ place: Int, _ word: UInt64, tag: UInt8) {
    setWord(place, word)
    setTag(place, tag)
  }

  /// Empties a place.
  @inline(__always)
  func empty(_ place: Int) { set(place, 0, tag: 0) }

  /// The counter o.
  @inline(__always)
  var passed: UInt8 {
    get { base.load(fromByteOffset: 63, as: UInt8.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 63, as: UInt8.self) }
  }

  /// One more entry lies behind this bucket.
  @inline(__always)
  func notePassing() {
    let o = passed
    if o != Bucket.stickyPassed { passed = o &+ 1 }
  }

  /// One entry less lies behind this bucket.
  @inline(__always)
  func forgetPassing() {
    let o = passed
    if o != Bucket.stickyPassed { passed = o &- 1 }
  }

  /// Whether it has an extension. Only a bucket whose o is 255, or an extension, can.
  @inline(__always)
  var leads: Bool { base.load(fromByteOffset: 53, as: UInt8.self) & 0x80 != 0 }

  /// The extension.
  @inline(__always)
  var next: Bucket? {
    guard leads else { return nil }
    return Bucket(Bucket.address(word(Bucket.leadPlace)))
  }

  /// Extends it by an empty bucket: the entry in place 8 moves there.
  func extend(by extension: Bucket) {
    let last = Bucket.leadPlace
    if tag(last) != 0 { `extension`.set(0, word(last), tag: tag(last)) }
    set(last, Bucket.leadBit | Bucket.addressBits(`extension`.base), tag: Bucket.leadTag)
    passed = Bucket.stickyPassed
  }

  /// The entry (or bucket) that a word names.
  @inline(__always)
  static func address(_ word: UInt64) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bitPattern: UInt((word & addressMask) &<< 4)).unsafelyUnwrapped
  }

  /// An address as it stands in a word.
  @inline(__always)
  static func addressBits(_ address: UnsafeMutableRawPointer) -> UInt64 {
    UInt64(UInt(bitPattern: address)) &>> 4
  }

  /// The displacement that a word names, and in bit 3 whether it leads on: compared at once.
  @inline(__always)
  static func displacement(_ word: UInt64) -> UInt64 { (word &>> displacementShift) & 0b1011 }

  /// The entry that a word names.
  @inline(__always)
  static func entry(_ word: UInt64) -> Entry { Entry(address(word)) }
}

/// A place in a bucket and the entry there: what `find` gives.
///
/// Good until the next change of its slot's table, by whichever call; kept longer it names memory that may be another's.
@safe public struct EntryRef {
  /// The bucket's address (a multiple of 64), in the low bits the place, and bit 4: the bucket is an extension.
  let place: UInt
  /// The entry.
  let entry: Entry

  /// The entry at a place of a bucket.
  @inline(__always)
  init(bucket: Bucket, place: Int, entry: Entry, isExtension: Bool) {
    self.place =
      UInt(bitPattern: bucket.base) | UInt(bitPattern: place) | (isExtension ? 16 : 0)
    self.entry = entry
  }

  /// Where the entry lies, to be shown.
  public var address: UInt { UInt(bitPattern: entry.address) }

  /// The bucket.
  @inline(__always)
  var bucket: Bucket {
    Bucket(UnsafeMutableRawPointer(bitPattern: place & ~63).unsafelyUnwrapped)
  }

  /// The place in the bucket.
  @inline(__always)
  var index: Int { Int(bitPattern: place & 15) }

  /// Whether the bucket is an extension.
  @inline(__always)
  var isExtension: Bool { place & 16 != 0 }

  /// Whether the key has a time to live.
  public var hasExpiry: Bool { entry.has(EntryShape.expiry) }
}
