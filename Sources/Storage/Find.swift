// Finding and reading entries: the hottest code of the product.
//
// A look-up among many keys waits for memory four times: the table, the bucket, the entry, the value. Commands come in
// batches; `prefetchBucket` for all of them, then `prefetchEntry` for all, and only then the commands one by one.

import CJemalloc

/// What `OBJECT ENCODING` calls a string.
public enum StringEncoding: Sendable, Equatable {
  /// `int`
  case integer
  /// `embstr`: not longer than 44 bytes.
  case embedded
  /// `raw`
  case raw
}

extension Keyspace {
  /// The longest string with the encoding `embstr`.
  public static var embeddedLimit: Int { 44 }

  /// The hint before the first: the slot's own line will be read soon.
  public func prefetchTable(_ slot: Int) { tern_prefetch(table(slot)) }

  /// The hint between, when the slot's line has come: in a large table the place of the key's directory page will be read soon.
  public func prefetchDirectory(_ slot: Int, _ hash: KeyHash) {
    let root = DirectoryWord(bits: table(slot).pointee.root)
    if !root.isEmpty && root.isPage {
      tern_prefetch(root.page + Int(truncatingIfNeeded: hash.prefix &>> (64 &- root.depth)))
    }
  }

  /// First hint: the line of the key's home bucket will be read soon.
  public func prefetchBucket(_ slot: Int, _ hash: KeyHash) {
    let root = DirectoryWord(bits: table(slot).pointee.root)
    if root.isEmpty { return }
    let segment = root.segment(of: hash.prefix)
    tern_prefetch(segment.bucket(segment.home(hash.prefix)).base)
  }

  /// Second hint, when the bucket has come: the entry whose tag matches will be read soon.
  public func prefetchEntry(_ slot: Int, _ hash: KeyHash) {
    let root = DirectoryWord(bits: table(slot).pointee.root)
    if root.isEmpty { return }
    let segment = root.segment(of: hash.prefix)
    let last = segment.reach
    var index = segment.home(hash.prefix)
    var displacement: UInt64 = 0
    while true {
      let bucket = segment.bucket(index)
      var places = bucket.places(tagged: hash.tag)
      while places != 0 {
        let word = bucket.word(places.trailingZeroBitCount)
        if Bucket.displacement(word) == displacement {
          tern_prefetch(Bucket.address(word))
          return
        }
        places &= places &- 1
      }
      if bucket.passed == 0 || displacement == last { return }
      displacement &+= 1
      index &+= 1
      if index == segment.bucketCount { index = 0 }
    }
  }

  /// The entry of a key, whatever its expiry.
  public func find(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) -> EntryRef? {
    let root = DirectoryWord(bits: table(slot).pointee.root)
    if root.isEmpty { return nil }
    let segment = root.segment(of: hash.prefix)
    let tag = hash.tag
    let last = segment.reach
    var index = segment.home(hash.prefix)
    var displacement: UInt64 = 0
    while true {
      let bucket = segment.bucket(index)
      var places = bucket.places(tagged: tag)
      while places != 0 {
        let place = places.trailingZeroBitCount
        let word = bucket.word(place)
        if Bucket.displacement(word) == displacement {
          let entry = Bucket.entry(word)
          if entry.hasKey(key) {
            return EntryRef(bucket: bucket, place: place, entry: entry, isExtension: false)
          }
        }
        places &= places &- 1
      }
      let passed = bucket.passed
      if passed == 0 { return nil }
      if passed == Bucket.stickyPassed,
        let found = Keyspace.findOutside(bucket, tag, displacement, key)
      {
        return found
      }
      if displacement == last { return nil }
      displacement &+= 1
      index &+= 1
      if index == segment.bucketCount { index = 0 }
    }
  }

  @inline(never)
  private static func findOutside(
    _ bucket: Bucket, _ tag: UInt8, _ displacement: UInt64, _ key: RawSpan
  ) -> EntryRef? {
    var next = bucket.next
    while let bucket = next {
      var places = bucket.places(tagged: tag)
      while places != 0 {
        let place = places.trailingZeroBitCount
        let word = bucket.word(place)
        if Bucket.displacement(word) == displacement {
          let entry = Bucket.entry(word)
          if entry.hasKey(key) {
            return EntryRef(bucket: bucket, place: place, entry: entry, isExtension: true)
          }
        }
        places &= places &- 1
      }
      next = bucket.next
    }
    return nil
  }

  /// When the entry expires, in Unix milliseconds.
  @inline(__always)
  public func expiry(of ref: EntryRef) -> Int64? {
    ref.entry.has(EntryShape.expiry) ? ref.entry.expiry : nil
  }

  /// How the string is held, by Redis's rules.
  public func encoding(of ref: EntryRef) -> StringEncoding {
    let header = ref.entry.header
    if header & EntryShape.integer != 0 { return .integer }
    if header & EntryShape.typeMask == EntryType.rawString || header & EntryShape.apart != 0 {
      return .raw
    }
    return header &>> 40 > UInt64(Keyspace.embeddedLimit) ? .raw : .embedded
  }

  /// The string, unless it is an integer.
  @_lifetime(borrow self)
  public func bytes(of ref: EntryRef) -> RawSpan {
    precondition(!ref.entry.has(EntryShape.integer))
    return unsafe _overrideLifetime(UnsafeRawBufferPointer(ref.entry.value).bytes, borrowing: self)
  }

  /// The integer, if it is one.
  public func integer(of ref: EntryRef) -> Int64 {
    precondition(ref.entry.has(EntryShape.integer))
    return ref.entry.value.baseAddress.unsafelyUnwrapped.loadUnaligned(as: Int64.self)
  }

  /// The key.
  @_lifetime(borrow self)
  public func key(of ref: EntryRef) -> RawSpan {
    unsafe _overrideLifetime(ref.entry.keyBytes, borrowing: self)
  }

  /// The bytes that the entry and its value take, by size class.
  public func allocatedByteCount(of ref: EntryRef) -> Int { ref.entry.allocatedByteCount }
}
