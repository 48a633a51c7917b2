// Walking through a table in hash order.
//
// A cursor is a prefix. The entries of the home that holds it are given, whole, and the first prefix of the next home
// is the next cursor. An entry's home depends on its prefix alone, so when segments grow, split or merge between two
// calls the prefixes that were passed stay passed and the others stay ahead: no key that is there all the time is
// skipped, and the cursor only grows. After a merge or shrinkage the home may begin before the cursor: its entries
// are given again.
//
// The entries of home b lie in b … b + 3 with displacement 0 … 3, or in the extensions of those with the same.

extension Keyspace {
  /// The entries of one home: that which holds `prefix` (0 to begin with). They replace what is in `entries`. Gives
  /// the prefix to go on with, or nil at the end. At most 36 entries, unless many hashes are equal.
  public func scan(_ slot: Int, from prefix: UInt64, into entries: inout [EntryRef]) -> UInt64? {
    entries.removeAll(keepingCapacity: true)
    let root = DirectoryWord(bits: table(slot).pointee.root)
    if root.isEmpty { return nil }
    let prefix = prefix & KeyHash.prefixMask
    let segment = root.segment(of: prefix)
    let home = segment.home(prefix)
    for displacement in 0...segment.reach {
      let first = segment.bucket(home: home, displacement: displacement)
      var next: Bucket? = first
      while let bucket = next {
        var places = bucket.taken
        while places != 0 {
          let place = places.trailingZeroBitCount
          places &= places &- 1
          let word = bucket.word(place)
          guard Bucket.displacement(word) == displacement else { continue }
          entries.append(
            EntryRef(
              bucket: bucket, place: place, entry: Bucket.entry(word),
              isExtension: bucket.base != first.base))
        }
        next = bucket.next
      }
    }
    return segment.prefix(after: home, within: prefix)
  }
}
