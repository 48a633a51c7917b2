// Writing strings. `over` is what `find` has given for the key: nil makes a new entry, else the entry is overwritten,
// in place where neither its form nor its size class changes.

/// What becomes of a key's expiry when its value is set.
public enum StringExpiry: Sendable, Equatable {
  /// None.
  case clear
  /// As it was.
  case keep
  /// At that time, in Unix milliseconds.
  case at(Int64)
}

/// An expiry that is decided.
struct Expiry {
  /// The header's flag: 0 or `EntryShape.expiry`.
  var flag: UInt64
  /// Unix milliseconds, if the flag is set.
  var time: Int64

  /// What a set over `ref` leaves.
  @inline(__always)
  init(_ expiry: StringExpiry, over ref: EntryRef?) {
    switch expiry {
    case .clear: self.init(nil)
    case .at(let time): self.init(time)
    case .keep:
      if let entry = ref?.entry, entry.has(EntryShape.expiry) {
        self.init(entry.expiry)
      } else {
        self.init(nil)
      }
    }
  }

  /// That time, or none.
  @inline(__always)
  init(_ time: Int64?) {
    flag = time == nil ? 0 : EntryShape.expiry
    self.time = time ?? 0
  }
}

extension Keyspace {
  /// Sets a string. With `raw`, its encoding is `raw` however short it is.
  public mutating func setBytes(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ value: RawSpan, over: EntryRef?,
    expiry: StringExpiry, clock: UInt32, raw: Bool = false
  ) throws(OutOfMemory) {
    if value.byteCount >= EntryShape.apartLimit {
      var large = LargeValue(expected: value.byteCount)
      try large.append(value)
      return try setValue(slot, hash, key, large, over: over, expiry: expiry, clock: clock)
    }
    let flags = raw ? EntryType.rawString : EntryType.string
    // The closure is not escaping and is inlined.
    try value.withUnsafeBytes { (bytes) throws(OutOfMemory) in
      try setInside(slot, hash, key, bytes, flags, over, Expiry(expiry, over: over), clock)
    }
  }

  /// Sets an integer: 8 bytes, whatever its digits.
  public mutating func setInteger(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ value: Int64, over: EntryRef?,
    expiry: StringExpiry, clock: UInt32
  ) throws(OutOfMemory) {
    var value = value
    try withUnsafeBytes(of: &value) { (bytes) throws(OutOfMemory) in
      try setInside(
        slot, hash, key, bytes, EntryType.string | EntryShape.integer, over,
        Expiry(expiry, over: over), clock)
    }
  }

  /// Sets a complete large value without copying it. With `raw`, its encoding is `raw` however short it is.
  public mutating func setValue(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ value: consuming LargeValue, over: EntryRef?,
    expiry: StringExpiry, clock: UInt32, raw: Bool = false
  ) throws(OutOfMemory) {
    precondition(value.isComplete)
    if value.byteCount < EntryShape.apartLimit {
      return try setBytes(
        slot, hash, key, value.bytes, over: over, expiry: expiry, clock: clock, raw: raw)
    }
    let expiry = Expiry(expiry, over: over)
    let clock = self.clock(clock, after: over?.entry)
    let content = value.content
    let shape = EntryShape(
      flags: EntryType.string | expiry.flag | EntryShape.apart, keyCount: key.byteCount,
      valueField: SizeClass.index(content.capacity))
    let entry = try Entry.make(shape, key: key, expiry: expiry.time, clock: clock)
    entry.apart = (content.address, content.byteCount)
    do throws(OutOfMemory) {
      try put(table(slot), slot, hash, entry, over: over)
    } catch {
      deallocate(entry.address, shape.allocatedByteCount)
      throw error
    }
    value.giveUp()
  }

  /// Sets a value that lies inside its entry.
  @inline(__always)
  private func setInside(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ value: UnsafeRawBufferPointer, _ type: UInt64,
    _ over: EntryRef?, _ expiry: Expiry, _ clock: UInt32
  ) throws(OutOfMemory) {
    let shape = EntryShape(
      flags: type | expiry.flag, keyCount: key.byteCount,
      valueField: UInt64(truncatingIfNeeded: value.count))
    let table = table(slot)
    let clock = self.clock(clock, after: over?.entry)
    if let old = over?.entry,
      (old.header ^ shape.flags) & EntryShape.layoutMask == 0,
      old.shape.allocatedByteCount == shape.allocatedByteCount
    {
      old.header = shape.header(clock: clock)
      if expiry.flag != 0 { old.expiry = expiry.time }
      copyBytes(value, to: old.address + (shape.keyOffset &+ shape.keyCount))
      return
    }
    let entry = try Entry.make(shape, key: key, expiry: expiry.time, clock: clock)
    copyBytes(value, to: entry.address + (shape.keyOffset &+ shape.keyCount))
    do throws(OutOfMemory) {
      try put(table, slot, hash, entry, over: over)
    } catch {
      deallocate(entry.address, shape.allocatedByteCount)
      throw error
    }
  }

  /// Puts a new entry into the table, in the place of `over` (which is freed) if there is one.
  @inline(__always)
  func put(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ hash: KeyHash, _ entry: Entry,
    over: EntryRef?
  ) throws(OutOfMemory) {
    let expires = entry.has(EntryShape.expiry)
    if let over {
      exchange(table, slot, over, entry)
      free(over.entry)
    } else {
      try insert(table, slot, hash, entry, hasExpiry: expires)
      count(table, slot, keys: 1, bytes: entry.allocatedByteCount, expiring: expires ? 1 : 0)
    }
  }

  /// Makes a place refer to another entry of the same key, and counts the difference. The old one is not freed.
  @inline(__always)
  private func exchange(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ ref: EntryRef, _ entry: Entry
  ) {
    let old = ref.entry
    let expired = old.has(EntryShape.expiry)
    let expires = entry.has(EntryShape.expiry)
    let word = ref.bucket.word(ref.index) & (3 &<< Bucket.displacementShift)
    ref.bucket.setWord(
      ref.index,
      word | Bucket.addressBits(entry.address) | (expires ? Bucket.expiryBit : 0))
    count(
      table, slot, keys: 0, bytes: entry.allocatedByteCount &- old.allocatedByteCount,
      expiring: (expires ? 1 : 0) &- (expired ? 1 : 0))
  }

  /// Frees an entry with its value; a large value waits for `bury`.
  @inline(__always)
  func free(_ entry: Entry) {
    if entry.has(EntryShape.apart) { freeApart(entry.apart.address, entry.apartCapacity) }
    deallocate(entry.address, entry.shape.allocatedByteCount)
  }

  private func freeApart(_ address: UnsafeMutableRawPointer, _ capacity: Int) {
    if capacity > Graveyard.valueLimit {
      state.pointee.graveyard.add(value: address, capacity: capacity)
    } else {
      deallocate(address, capacity)
    }
  }

  // MARK: Expiry

  /// Sets or clears when an entry expires.
  public mutating func setExpiry(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, of ref: EntryRef, _ time: Int64?
  ) throws(OutOfMemory) {
    let table = table(slot)
    let entry = ref.entry
    let old = entry.shape
    let expiry = Expiry(time)
    if old.flags & EntryShape.expiry == expiry.flag {
      if let time { entry.expiry = time }
      return
    }
    let header = entry.header ^ EntryShape.expiry
    let shape = EntryShape(
      flags: header & 0xff, keyCount: old.keyCount, valueField: old.valueField)
    let start = old.keyOffset - (old.flags & EntryShape.apart == 0 ? 0 : 16)
    let newStart = start + shape.keyOffset - old.keyOffset
    let count =
      old.keyOffset - start + old.keyCount
      + (old.flags & EntryShape.apart == 0 ? Int(old.valueField) : 0)
    if shape.allocatedByteCount == old.allocatedByteCount {
      // What comes behind the expiry moves by eight bytes (in the long form it does not).
      if newStart != start {
        (entry.address + newStart).copyMemory(from: entry.address + start, byteCount: count)
      }
      entry.header = header
      if let time { entry.expiry = time }
      let word = ref.bucket.word(ref.index) & ~Bucket.expiryBit
      ref.bucket.setWord(ref.index, time == nil ? word : word | Bucket.expiryBit)
      self.count(table, slot, keys: 0, bytes: 0, expiring: time == nil ? -1 : 1)
      return
    }
    let new = Entry(try allocate(shape.allocatedByteCount))
    new.header = header
    (new.address + newStart).copyMemory(from: entry.address + start, byteCount: count)
    if let time { new.expiry = time }
    exchange(table, slot, ref, new)
    deallocate(entry.address, old.allocatedByteCount)
  }

  // MARK: Changing in place

  /// Appends to a string, which becomes `raw`; its new length. An integer becomes its digits first.
  public mutating func append(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, _ bytes: RawSpan, to ref: EntryRef, clock: UInt32
  ) throws(OutOfMemory) -> Int {
    let old = stringByteCount(of: ref)
    return try overwrite(slot, hash, key, at: old, with: bytes, of: ref, clock: clock)
  }

  /// Writes bytes over a string from `offset` on, which becomes `raw`; a hole is filled with zeros; its new length.
  /// The time is that of the bytes written, however long the string is, except where it has to move.
  public mutating func overwrite(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, at offset: Int, with bytes: RawSpan,
    of ref: EntryRef, clock: UInt32
  ) throws(OutOfMemory) -> Int {
    precondition(offset >= 0)
    let digits = Digits(ref.entry)
    let old = digits?.count ?? ref.entry.value.count
    let new = max(old, offset + bytes.byteCount)
    let target = try resize(table(slot), slot, ref, digits, to: new, clock: clock)
    if offset > old {
      (target + old).initializeMemory(as: UInt8.self, repeating: 0, count: offset - old)
    }
    bytes.withUnsafeBytes { copyBytes($0, to: target + offset) }
    return new
  }

  /// The length of a string, of an integer's digits too.
  public func stringByteCount(of ref: EntryRef) -> Int {
    Digits(ref.entry)?.count ?? ref.entry.value.count
  }

  /// Makes a string raw and `new` bytes long, not shorter than it is; where its bytes are then. The bytes behind the
  /// old ones are not set.
  func resize(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ ref: EntryRef, _ digits: Digits?,
    to new: Int, clock: UInt32
  ) throws(OutOfMemory) -> UnsafeMutableRawPointer {
    let entry = ref.entry
    let old = entry.shape
    if old.flags & EntryShape.apart != 0 {
      return try resizeApart(table, slot, entry, to: new, clock: clock)
    }
    let clock = self.clock(clock, after: entry)
    let flags = old.flags & (EntryShape.expiry | EntryShape.long) | EntryType.rawString
    let isApart = new >= EntryShape.apartLimit
    // A string that is being appended to gets room for a quarter more.
    let capacity = SizeClass.bytes(new + new / 4)
    let shape = EntryShape(
      flags: isApart ? flags | EntryShape.apart : flags, keyCount: old.keyCount,
      valueField: isApart ? SizeClass.index(capacity) : UInt64(new))
    if !isApart && shape.allocatedByteCount == old.allocatedByteCount {
      entry.header = shape.header(clock: clock)
      let target = entry.key + shape.keyCount
      digits?.withBytes { copyBytes($0, to: target) }
      return target
    }
    let made = try Entry.make(
      shape, key: entry.keyBytes,
      expiry: old.flags & EntryShape.expiry == 0 ? 0 : entry.expiry, clock: clock)
    let target: UnsafeMutableRawPointer
    if isApart {
      do throws(OutOfMemory) {
        target = try allocate(capacity)
      } catch {
        deallocate(made.address, shape.allocatedByteCount)
        throw error
      }
      made.apart = (target, new)
    } else {
      target = made.key + shape.keyCount
    }
    if let digits {
      digits.withBytes { copyBytes($0, to: target) }
    } else {
      copyBytes(UnsafeRawBufferPointer(entry.value), to: target)
    }
    exchange(table, slot, ref, made)
    deallocate(entry.address, old.allocatedByteCount)
    return target
  }

  private func resizeApart(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ entry: Entry, to new: Int, clock: UInt32
  ) throws(OutOfMemory) -> UnsafeMutableRawPointer {
    let clock = self.clock(clock, after: entry)
    var address = entry.apart.address
    let old = entry.apartCapacity
    var shape = entry.shape
    if new > old {
      let capacity = SizeClass.bytes(new + new / 4)
      address = try reallocate(address, capacity)
      shape.valueField = SizeClass.index(capacity)
      count(table, slot, keys: 0, bytes: capacity - old, expiring: 0)
    }
    shape.flags = shape.flags & ~EntryShape.typeMask | EntryType.rawString
    entry.header = shape.header(clock: clock)
    entry.apart = (address, new)
    return address
  }

  // MARK: Removing

  /// Removes an entry and frees it; a value of more than 1 MiB waits for `bury`.
  public mutating func remove(_ slot: Int, _ ref: EntryRef) { remove(slot, ref, .freed) }

  /// Removes an entry that is not freed: another referrer has it from now on.
  mutating func detach(_ slot: Int, _ ref: EntryRef) { remove(slot, ref, .kept) }

  /// What becomes of an entry that is removed.
  enum Removed {
    /// It is freed with its value; or without it, where that lies apart and another entry refers to it by now; or lives on.
    case freed, freedWithoutValue, kept
  }

  /// Removes an entry.
  @inline(__always)
  func remove(_ slot: Int, _ ref: EntryRef, _ removed: Removed) {
    let table = table(slot)
    let entry = ref.entry
    let bytes = entry.allocatedByteCount
    let expires = entry.has(EntryShape.expiry)
    count(table, slot, keys: -1, bytes: -bytes, expiring: expires ? -1 : 0)
    if table.pointee.figures.keys == 0 {
      // The last one: no table then.
      dispose(of: entry, removed)
      ref.bucket.empty(ref.index)
      return dropEmptyTable(table, slot)
    }
    let bucket = ref.bucket
    let displacement = Bucket.displacement(bucket.word(ref.index))
    if displacement == 0 && !ref.isExtension {
      bucket.empty(ref.index)
      // A rare bucket of a full segment has so few: only these ask how many its segment has.
      if bucket.taken.nonzeroBitCount > 3 { return dispose(of: entry, removed) }
    }
    let prefix = state.pointee.hashing.hash(entry.keyBytes).prefix
    dispose(of: entry, removed)
    if displacement != 0 || ref.isExtension { unlink(table, slot, ref, prefix, displacement) }
    if bucket.taken.nonzeroBitCount <= 3 && !ref.isExtension { shrink(table, slot, prefix) }
  }

  @inline(__always)
  private func dispose(of entry: Entry, _ removed: Removed) {
    switch removed {
    case .freed: free(entry)
    case .freedWithoutValue: deallocate(entry.address, entry.shape.allocatedByteCount)
    case .kept: break
    }
  }

  private func dropEmptyTable(_ table: UnsafeMutablePointer<Table>, _ slot: Int) {
    let root = DirectoryWord(bits: table.pointee.root)
    guard !root.isPage else { return buryRoot(of: slot) }
    count(table, slot, keys: 0, bytes: -root.free(), expiring: 0)
    countBuckets(table, slot, -root.bucketCount)
    table.pointee.root = 0
  }

  private func unlink(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, _ ref: EntryRef, _ prefix: UInt64,
    _ displacement: UInt64
  ) {
    let segment = DirectoryWord(bits: table.pointee.root).segment(of: prefix)
    let home = segment.home(prefix)
    for passed in 0..<displacement {
      segment.bucket(home: home, displacement: passed).forgetPassing()
    }
    let bucket = ref.bucket
    bucket.empty(ref.index)
    guard ref.isExtension, bucket.entryCount == 0 else { return }
    // An empty extension goes: the bucket before it leads on to the one behind it.
    var before = segment.bucket(home: home, displacement: displacement)
    while let next = before.next, next.base != bucket.base { before = next }
    let place = Bucket.leadPlace
    before.set(place, bucket.word(place), tag: bucket.tag(place))
    deallocate(bucket.base, Bucket.byteCount)
    count(table, slot, keys: 0, bytes: -Bucket.byteCount, expiring: 0)
  }
}
