// Some entries of a slot on the move: what an incremental migration pushes from worker to worker (DESIGN §4).
//
// An entry moves by its address, whatever its value; its hash is the same wherever it goes. What is not adopted yet stays in the batch,
// so that nothing is lost where the new table can have no memory for a moment.
//
// Invariant (I2): an entry has exactly one referrer, a bucket or a batch. Let go of with entries in it, a batch would lose data: `deinit`
// traps; where a process ends with entries under way, `discard` frees them.

/// Entries that left one table and are to be adopted by another.
@safe public final class EntryBatch: @unchecked Sendable {
  // Sendable: one thread at a time has it; it goes from one to the next through a mailbox, whose lock orders their accesses.
  private let entries: UnsafeMutablePointer<Entry>
  private let byteCapacity: Int
  /// How many entries there is room for.
  public let capacity: Int
  /// How many are in it.
  public private(set) var count = 0
  /// What they take, by size class.
  public private(set) var byteCount = 0

  init(capacity: Int) throws(OutOfMemory) {
    byteCapacity = SizeClass.bytes(capacity * MemoryLayout<Entry>.stride)
    entries = try allocate(byteCapacity).bindMemory(to: Entry.self, capacity: capacity)
    self.capacity = capacity
  }

  deinit {
    precondition(count == 0, "entries were dropped unread")
    deallocate(entries, byteCapacity)
  }

  func add(_ entry: Entry) {
    precondition(count < capacity, "the batch is full")
    (entries + count).initialize(to: entry)
    count += 1
    byteCount += entry.allocatedByteCount
  }

  /// The one that was added last, which is still in it.
  var last: Entry { entries[count - 1] }

  /// The last one is somebody else's from now on.
  func removeLast() {
    byteCount -= entries[count - 1].allocatedByteCount
    count -= 1
  }

  /// Frees all entries in it: for the end of a process.
  public func discard() {
    while count > 0 {
      let entry = last
      removeLast()
      if entry.has(EntryShape.apart) { deallocate(entry.apart.address, entry.apartCapacity) }
      deallocate(entry.address, entry.shape.allocatedByteCount)
    }
  }
}

extension Keyspace {
  /// How many entries a batch has room for, unless one home has more.
  private static var batchCapacity: Int { 512 }

  /// Moves entries out in hash order, those whose prefixes are not below `prefix`: whole homes, one at least, until there are enough of
  /// them or `goesOn` says no. `next` is the first prefix that is still here, nil if none is.
  public mutating func takeEntries(
    _ slot: Int, from prefix: UInt64, while goesOn: () -> Bool
  ) throws(OutOfMemory) -> (batch: EntryBatch?, next: UInt64?) {
    var home: [EntryRef] = []
    var position = prefix
    var batch: EntryBatch?
    while true {
      let next = scan(slot, from: position, into: &home)
      if !home.isEmpty {
        let made: EntryBatch
        if let batch {
          made = batch
        } else {
          made = try EntryBatch(capacity: max(Keyspace.batchCapacity, home.count))
        }
        if made.count + home.count > made.capacity { return (made, position) }
        batch = made
        // Taking one may rearrange the table, and homes begin elsewhere then: it is this home, as it was, that leaves, so that all that
        // have left are below `next`, and all that stay are not.
        for ref in home {
          let entry = ref.entry
          let hash = state.pointee.hashing.hash(entry.keyBytes)
          guard let there = find(slot, hash, entry.keyBytes) else {
            preconditionFailure("an entry was lost while others left")
          }
          detach(slot, there)
          made.add(entry)
        }
      }
      guard let next else { return (batch, nil) }
      position = next
      if !goesOn() { return (batch, position) }
    }
  }

  /// Adopts the entries of a batch, of which none is there. What is still in the batch after a failure is not adopted.
  public mutating func adopt(_ batch: EntryBatch, into slot: Int) throws(OutOfMemory) {
    while batch.count > 0 {
      let entry = batch.last
      let expires = entry.has(EntryShape.expiry)
      let hash = state.pointee.hashing.hash(entry.keyBytes)
      try insert(table(slot), slot, hash, entry, hasExpiry: expires)
      count(
        table(slot), slot, keys: 1, bytes: entry.allocatedByteCount, expiring: expires ? 1 : 0)
      batch.removeLast()
    }
  }
}
