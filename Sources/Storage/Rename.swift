// A value under another key of the same slot: moved (RENAME) or copied (COPY). Type, encoding and expiry go along.

extension Keyspace {
  /// Moves an entry's value to another key, over what `find` has given for that. A value that lies apart changes its
  /// referrer and is not copied. Everything stays as it was if no memory can be had.
  public mutating func rename(
    _ slot: Int, _ source: EntryRef, to hash: KeyHash, _ key: RawSpan, over: EntryRef?,
    clock: UInt32
  ) throws(OutOfMemory) {
    let old = source.entry
    // A counter of uses goes along.
    let clock = clock <= Entry.clockLimit ? clock : old.clock
    let made = try twin(of: old, key, valueField: old.header &>> 40, clock)
    if old.has(EntryShape.apart) { made.apart = old.apart }
    do throws(OutOfMemory) {
      try put(table(slot), slot, hash, made, over: over)
    } catch {
      deallocate(made.address, made.shape.allocatedByteCount)
      throw error
    }
    // The table may have been rearranged to make room: the place is looked for again, the entry is where it was.
    guard let again = find(slot, state.pointee.hashing.hash(old.keyBytes), old.keyBytes) else {
      preconditionFailure("an entry was lost while another came in")
    }
    remove(slot, again, .freedWithoutValue)
  }

  /// Copies an entry's value to another key, over what `find` has given for that.
  public mutating func copy(
    _ slot: Int, _ source: EntryRef, to hash: KeyHash, _ key: RawSpan, over: EntryRef?,
    clock: UInt32
  ) throws(OutOfMemory) {
    let old = source.entry
    var field = old.header &>> 40
    var value: (address: UnsafeMutableRawPointer, byteCount: Int)?
    var capacity = 0
    if old.has(EntryShape.apart) {
      let content = UnsafeRawBufferPointer(old.value)
      capacity = SizeClass.bytes(content.count)
      let address = try allocate(capacity)
      copyBytes(content, to: address)
      field = SizeClass.index(capacity)
      value = (address, content.count)
    }
    do throws(OutOfMemory) {
      let made = try twin(of: old, key, valueField: field, clock)
      if let value { made.apart = value }
      do throws(OutOfMemory) {
        try put(table(slot), slot, hash, made, over: over)
      } catch {
        deallocate(made.address, made.shape.allocatedByteCount)
        throw error
      }
    } catch {
      if let value { deallocate(value.address, capacity) }
      throw error
    }
  }

  /// An entry of another key with the same flags and expiry, and the value if it lies inside.
  private func twin(
    of old: Entry, _ key: RawSpan, valueField: UInt64, _ clock: UInt32
  ) throws(OutOfMemory) -> Entry {
    let shape = EntryShape(
      flags: old.header & 0xff & ~EntryShape.long, keyCount: key.byteCount, valueField: valueField)
    let made = try Entry.make(
      shape, key: key, expiry: old.has(EntryShape.expiry) ? old.expiry : 0, clock: clock)
    if !old.has(EntryShape.apart) {
      copyBytes(UnsafeRawBufferPointer(old.value), to: made.key + key.byteCount)
    }
    return made
  }
}
