// Active expiry: a sweep over the slots that have expiring keys, in hash order, that reads only entries whose word
// says that they expire.

/// Where the sweep is.
public struct ExpiryCursor: Sendable, Equatable {
  /// The slot.
  public private(set) var slot = 0
  /// A prefix of the bucket's home.
  fileprivate var prefix: UInt64 = 0
  /// The places of the bucket that were looked at; ahead of any once it is left.
  fileprivate var places = 0

  /// At the first slot.
  public init() {}

  fileprivate mutating func goOn(to prefix: UInt64?) {
    places = 0
    if let prefix {
      self.prefix = prefix
    } else {
      go(to: slot + 1)
    }
  }

  fileprivate mutating func go(to slot: Int) {
    places = 0
    prefix = 0
    self.slot = slot
  }
}

extension Keyspace {
  /// The next entry that has expired at `now` (Unix milliseconds), from the cursor on, which goes on behind it. The
  /// caller reports the key and removes it, or leaves it where its slot may not expire.
  ///
  /// Nil when `workUnits` are used up (they are counted down to 0; a unit: a bucket looked at or an expiry read, about
  /// 2 to 100 ns), or when the sweep has reached the last slot: the cursor is at the first again then, and
  /// `workUnits` is left above 0. An entry that moves to a larger segment meanwhile may wait for the next sweep.
  public func nextExpired(_ cursor: inout ExpiryCursor, now: Int64, workUnits: inout Int)
    -> (slot: Int, entry: EntryRef)?
  {
    while workUnits > 0 {
      guard let slot = nextExpiringSlot(cursor.slot) else {
        cursor = ExpiryCursor()
        return nil
      }
      if slot != cursor.slot { cursor.go(to: slot) }
      let segment = DirectoryWord(bits: table(slot).pointee.root).segment(of: cursor.prefix)
      let home = segment.home(cursor.prefix)
      let first = segment.bucket(home)
      workUnits -= 1
      var next: Bucket? = first
      var seen = 0
      while let bucket = next {
        for place in 0..<Bucket.capacity {
          seen += 1
          if seen <= cursor.places { continue }
          let word = bucket.word(place)
          guard word & (Bucket.expiryBit | Bucket.leadBit) == Bucket.expiryBit else { continue }
          guard workUnits > 0 else {
            cursor.places = seen - 1
            return nil
          }
          workUnits -= 1
          let entry = Bucket.entry(word)
          guard entry.expiry <= now else { continue }
          cursor.places = seen
          return (
            slot,
            EntryRef(
              bucket: bucket, place: place, entry: entry, isExtension: bucket.base != first.base)
          )
        }
        next = bucket.next
      }
      cursor.goOn(to: segment.prefix(after: home, within: cursor.prefix))
    }
    return nil
  }

  /// Whether any slot has keys with an expiry; open tables do not count.
  var hasExpiringSlot: Bool {
    state.pointee.total.expiring > 0 && nextExpiringSlot(0) != nil
  }

  /// The first slot from `slot` on that has expiring keys.
  private func nextExpiringSlot(_ slot: Int) -> Int? {
    var index = slot >> 6
    guard index < Keyspace.slotCount / 64 else { return nil }
    var word = state.pointee.expiring[index] & (~0 << UInt64(slot & 63))
    while word == 0 {
      index += 1
      guard index < Keyspace.slotCount / 64 else { return nil }
      word = state.pointee.expiring[index]
    }
    return index << 6 | word.trailingZeroBitCount
  }
}
