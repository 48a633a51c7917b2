// Strings that are written at any place: a string is first made long enough, then its bytes are lent to be changed.

import CJemalloc

extension Keyspace {
  /// Makes a string raw and at least `byteCount` bytes long, with zeros behind what it had; without a `ref` a new key of
  /// zeros, which does not expire. Where it is then. An integer becomes its digits first.
  public mutating func grow(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, to byteCount: Int, of ref: EntryRef?,
    clock: UInt32
  ) throws(OutOfMemory) -> EntryRef {
    guard let ref else {
      let entry = try makeZeros(byteCount, key: key, clock: clock)
      do throws(OutOfMemory) {
        try put(table(slot), slot, hash, entry, over: nil)
      } catch {
        free(entry)
        throw error
      }
      guard let made = find(slot, hash, key) else { preconditionFailure("a key was lost") }
      return made
    }
    let digits = Digits(ref.entry)
    let old = digits?.count ?? ref.entry.value.count
    let new = max(old, byteCount)
    if new == old, ref.entry.header & EntryShape.typeMask == EntryType.rawString {
      touch(ref, clock)
      return ref
    }
    let target = try resize(table(slot), slot, ref, digits, to: new, clock: clock)
    if new > old {
      (target + old).initializeMemory(as: UInt8.self, repeating: 0, count: new - old)
    }
    return EntryRef(
      bucket: ref.bucket, place: ref.index, entry: Bucket.entry(ref.bucket.word(ref.index)),
      isExtension: ref.isExtension)
  }

  /// A raw string's bytes, to be changed in place.
  @_lifetime(&self)
  public mutating func mutableBytes(of ref: EntryRef) -> MutableRawSpan {
    precondition(!ref.entry.has(EntryShape.integer))
    let bytes = UnsafeMutableRawBufferPointer(rebasing: ref.entry.value[...])
    return unsafe _overrideLifetime(bytes.mutableBytes, mutating: &self)
  }

  /// An entry that no bucket refers to yet: a raw string of zeros. Pages of a large one are not touched.
  private func makeZeros(_ byteCount: Int, key: RawSpan, clock: UInt32) throws(OutOfMemory)
    -> Entry
  {
    let isApart = byteCount >= EntryShape.apartLimit
    let capacity = SizeClass.bytes(byteCount)
    let shape = EntryShape(
      flags: isApart ? EntryType.rawString | EntryShape.apart : EntryType.rawString,
      keyCount: key.byteCount,
      valueField: isApart ? SizeClass.index(capacity) : UInt64(byteCount))
    let entry = try Entry.make(shape, key: key, expiry: 0, clock: clock)
    guard isApart else {
      (entry.key + shape.keyCount).initializeMemory(
        as: UInt8.self, repeating: 0, count: byteCount)
      return entry
    }
    do throws(OutOfMemory) {
      entry.apart = (try allocate(capacity, flags: tern_mallocx_zero()), byteCount)
    } catch {
      deallocate(entry.address, shape.allocatedByteCount)
      throw error
    }
    return entry
  }
}
