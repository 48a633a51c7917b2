// All that a worker stores: one table a slot.
//
//   block:  +- table 0 -+- … -+- table 16383 -+- open tables -+- state -+- figures of shards, sums, … -+
//           | 64 bytes  |     |               |     256       |         |                              |
//           +-----------+-----+---------------+---------------+---------+------------------------------+
//   table:  root word → (pages →) segments → entries        Directory.swift, Bucket.swift, Entry.swift
//
// One allocation, all zero to begin with: what is not used of it is not touched. A table is one cache line: its root,
// its owner and its figures. An empty table has root 0 and no memory.
// Tables 0 … 16383 are the slots, each owned by a shard of the worker or by nobody (−1). The tables behind them are
// *open*: nobody's, for slots that are being imported while a shard of the same worker may still own the same slot;
// they are read and written like others, move as others, and are counted for nobody.
//
// Invariants (`checkInvariants`): an entry has exactly one referrer, the word of a bucket; figures of tables add up to
// those of shards, these to the worker's; bytes are counted by size class.
//
// What is lent (`EntryRef`, `RawSpan`) is good until the next change of that table.

import CJemalloc

/// One slot's table: a cache line.
@usableFromInline
struct Table {
  /// The root word (`DirectoryWord`).
  var root: UInt64 = 0
  /// The shard that owns it, plus one: 0 is nobody.
  @usableFromInline
  var ownerIndex: UInt32 = 0
  private var bucketNumber: UInt32 = 0
  /// What it holds.
  var figures = TableFigures()
  /// What it has cost.
  var statistics = SlotStatistics()

  /// The shard that owns it, or −1.
  @inlinable @inline(__always)
  var owner: Int32 {
    get { Int32(bitPattern: ownerIndex &- 1) }
    set { ownerIndex = UInt32(bitPattern: newValue &+ 1) }
  }

  /// Buckets of all segments, without extensions; at most 2^32 − 1.
  @inline(__always)
  var buckets: Int {
    get { Int(bucketNumber) }
    set { bucketNumber = UInt32(newValue) }
  }
}

/// What is counted of a table, of a shard and of a worker.
struct TableFigures: Equatable {
  /// Keys.
  var keys = 0
  /// Bytes by size class: entries, values, buckets, directory.
  var bytes = 0
  /// Keys with an expiry.
  var expiring = 0
}

/// What a slot has cost so far; it moves with the slot. Commands are not counted by slot: a table's figures fill its cache line, and one
/// more would have every command touch a second one. What is dealt by is processor time, which commands differ in by far.
public struct SlotStatistics: Sendable, Equatable {
  /// Processor time.
  public var cpuNanoseconds: UInt64 = 0
  /// Bytes of requests.
  public var networkBytesIn: UInt64 = 0
  /// Bytes of replies.
  public var networkBytesOut: UInt64 = 0

  /// Nothing yet.
  public init() {}
}

/// What there is once a keyspace.
struct KeyspaceState {
  /// How keys are hashed.
  var hashing: Hashing
  /// Figures by shard: index 0 is nobody's, shard s is at s + 1.
  let shards: UnsafeMutablePointer<TableFigures>
  /// Figures of all tables.
  var total = TableFigures()
  /// Bucket counts of the slots.
  let sums: BucketSums
  /// Slots with expiring keys, a bit each.
  let expiring: UnsafeMutablePointer<UInt64>
  /// How uses of keys are counted.
  var frequency = FrequencyRule(seed: 1)
  /// What growth has cost, and what it is measured with.
  var growth = GrowthFigures()
  /// Entries that were hashed again because their segments were rebuilt, ever.
  var rebuiltEntryCount = 0
  /// What is to be freed.
  var graveyard = Graveyard()
  /// Room to rebuild a segment in.
  let rebuild: RebuildSpace
}

/// All keys of a worker. Never copied, touched by one thread at a time.
@safe public struct Keyspace: ~Copyable, @unchecked Sendable {
  // Sendable: it is the only owner of everything it points to.

  /// The number of hash slots.
  @inlinable
  public static var slotCount: Int { 16384 }
  /// How many open tables there are, with numbers from `slotCount` on.
  @inlinable
  public static var openTableCount: Int { 1024 }
  /// The owner of a slot that no shard of this worker owns.
  public static var nobody: Int32 { -1 }

  /// Shards are numbered below this: a shard without a slot needs no figures.
  public static var shardLimit: Int32 { Int32(slotCount) }

  /// Slots and open tables.
  @inlinable
  static var tableCount: Int { slotCount + openTableCount }

  /// The one pointer: the tables, and behind them everything else.
  @usableFromInline
  let tables: UnsafeMutablePointer<Table>

  /// What there is once.
  @inline(__always)
  var state: UnsafeMutablePointer<KeyspaceState> {
    UnsafeMutableRawPointer(tables + Keyspace.tableCount).assumingMemoryBound(
      to: KeyspaceState.self)
  }

  /// An empty keyspace that owns no slot.
  public init(seed: HashSeed) throws(OutOfMemory) {
    tables = try Keyspace.makeTables(seed)
  }

  private static func makeTables(_ seed: HashSeed) throws(OutOfMemory)
    -> UnsafeMutablePointer<Table>
  {
    precondition(MemoryLayout<Table>.stride == 64)
    // Untouched pages of fresh memory are zero already.
    let block = try allocate(
      SizeClass.bytes(byteCount), flags: tern_mallocx_align_64() | tern_mallocx_zero())
    var part = block + tableCount * MemoryLayout<Table>.stride
    func next<Element>(_ count: Int, _: Element.Type) -> UnsafeMutablePointer<Element> {
      let start = part.bindMemory(to: Element.self, capacity: count)
      part += partByteCount(count, Element.self)
      return start
    }
    let state = next(1, KeyspaceState.self)
    state.initialize(
      to: KeyspaceState(
        hashing: Hashing(seed: seed),
        shards: next(Int(shardLimit) + 1, TableFigures.self),
        sums: BucketSums(
          upper: next(BucketSums.upperCount, Int.self), counts: next(slotCount, UInt32.self)),
        expiring: next(slotCount / 64, UInt64.self),
        rebuild: RebuildSpace(entries: next(RebuildSpace.capacity, GatheredEntry.self))))
    precondition(part - block == byteCount)
    return block.bindMemory(to: Table.self, capacity: tableCount)
  }

  private static func partByteCount<Element>(_ count: Int, _: Element.Type) -> Int {
    (count * MemoryLayout<Element>.stride + 63) & ~63
  }

  private static var byteCount: Int {
    tableCount * MemoryLayout<Table>.stride
      + partByteCount(1, KeyspaceState.self)
      + partByteCount(Int(shardLimit) + 1, TableFigures.self)
      + partByteCount(BucketSums.upperCount, Int.self)
      + partByteCount(slotCount, UInt32.self)
      + partByteCount(slotCount / 64, UInt64.self)
      + partByteCount(RebuildSpace.capacity, GatheredEntry.self)
  }

  deinit {
    for slot in 0..<Keyspace.tableCount where tables[slot].root != 0 { buryRoot(of: slot) }
    while state.pointee.graveyard.bury(1 << 20) > 0 {}
    state.pointee.graveyard.free()
    deallocate(tables, SizeClass.bytes(Keyspace.byteCount))
  }

  /// The seed of all its hashes.
  public var seed: HashSeed { state.pointee.hashing.seed }

  /// For tests, before the first key: blanks bits of all hashes, and takes them from the keys' first 8 bytes. Callers
  /// do the same.
  package mutating func forceHashes(mask: UInt64, readKeys: Bool) {
    state.pointee.hashing.mask = mask
    state.pointee.hashing.readsKeys = readKeys
  }

  /// A table's place; `slot` may be an open table's number.
  @inlinable @inline(__always)
  func table(_ slot: Int) -> UnsafeMutablePointer<Table> {
    precondition(UInt(bitPattern: slot) < UInt(bitPattern: Keyspace.tableCount))
    return tables + slot
  }

  // MARK: Ownership

  /// The shard that owns the slot, or −1.
  @inlinable @inline(__always)
  public func owner(of slot: Int) -> Int32 { table(slot).pointee.owner }

  /// Gives a slot that nobody owns to `shard`, with an empty table.
  public mutating func own(_ slot: Int, by shard: Int32) {
    precondition(slot < Keyspace.slotCount, "open tables have no owner")
    precondition(shard >= 0 && shard < Keyspace.shardLimit)
    let table = table(slot)
    precondition(table.pointee.owner == Keyspace.nobody, "the slot is owned")
    precondition(table.pointee.root == 0)
    table.pointee.statistics = SlotStatistics()
    table.pointee.owner = shard
  }

  /// Moves a table out; the slot then has no owner. Nil if it has none. An open table is there always.
  public mutating func take(_ slot: Int) -> SlotTable? {
    let table = table(slot)
    let owner = table.pointee.owner
    guard owner != Keyspace.nobody || slot >= Keyspace.slotCount else { return nil }
    let moved = table.pointee
    count(
      table, slot, keys: -moved.figures.keys, bytes: -moved.figures.bytes,
      expiring: -moved.figures.expiring)
    countBuckets(table, slot, -moved.buckets)
    table.pointee = Table()
    return SlotTable(moved)
  }

  /// Puts a table into a slot that nobody owns; `shard` owns it from now on. Into an open table that is empty: with
  /// shard −1. Needs no memory.
  public mutating func adopt(_ moved: consuming SlotTable, as slot: Int, by shard: Int32) {
    let table = table(slot)
    precondition(
      table.pointee.owner == Keyspace.nobody && table.pointee.root == 0, "the slot is owned")
    precondition((shard >= 0) == (slot < Keyspace.slotCount), "open tables have no owner")
    precondition(shard < Keyspace.shardLimit)
    let content = moved.giveUp()
    table.pointee = Table()
    table.pointee.owner = shard
    table.pointee.root = content.root
    table.pointee.statistics = content.statistics
    countBuckets(table, slot, content.buckets)
    count(
      table, slot, keys: content.figures.keys, bytes: content.figures.bytes,
      expiring: content.figures.expiring)
  }

  // MARK: Figures

  /// Keys of a shard.
  public func keyCount(ofShard shard: Int32) -> Int { figures(ofShard: shard).keys }
  /// Bytes of a shard's tables, by size class.
  public func byteCount(ofShard shard: Int32) -> Int { figures(ofShard: shard).bytes }
  /// Keys of a shard that have an expiry.
  public func expiringCount(ofShard shard: Int32) -> Int { figures(ofShard: shard).expiring }

  /// What a shard holds.
  func figures(ofShard shard: Int32) -> TableFigures {
    let index = Int(shard) + 1
    return index >= 0 && index <= Int(Keyspace.shardLimit)
      ? state.pointee.shards[index] : TableFigures()
  }

  /// Keys of a slot.
  public func keyCount(of slot: Int) -> Int { table(slot).pointee.figures.keys }
  /// Bytes of a slot's table, by size class.
  public func byteCount(of slot: Int) -> Int { table(slot).pointee.figures.bytes }
  /// Keys of a slot that have an expiry.
  public func expiringCount(of slot: Int) -> Int { table(slot).pointee.figures.expiring }

  /// Keys of all tables, open ones too.
  public var keyCount: Int { state.pointee.total.keys }
  /// Bytes of all tables, by size class; what waits to be freed is not among them.
  public var byteCount: Int { state.pointee.total.bytes }
  /// Keys that have an expiry.
  public var expiringCount: Int { state.pointee.total.expiring }
  /// Bytes that waited to be freed when they were buried and are not yet freed. An estimate from above.
  public var buriedByteCount: Int { state.pointee.graveyard.byteCount }

  /// Entries that were hashed again because their segments grew or shrank, ever: what a removal or an insertion really cost (50 to 100 ns each).
  public var rebuiltEntryCount: Int { state.pointee.rebuiltEntryCount }

  /// What the slot has cost so far.
  public func statistics(of slot: Int) -> SlotStatistics { table(slot).pointee.statistics }

  /// Adds to the slot's statistics.
  public mutating func charge(_ slot: Int, cpu: UInt64, bytesIn: UInt64, bytesOut: UInt64) {
    let table = table(slot)
    table.pointee.statistics.cpuNanoseconds &+= cpu
    table.pointee.statistics.networkBytesIn &+= bytesIn
    table.pointee.statistics.networkBytesOut &+= bytesOut
  }

  /// Sets the slot's statistics to zero.
  public mutating func resetStatistics(of slot: Int) {
    table(slot).pointee.statistics = SlotStatistics()
  }

  /// Changes the figures of a table, its shard and the worker.
  @inline(__always)
  func count(
    _ table: UnsafeMutablePointer<Table>, _ slot: Int, keys: Int, bytes: Int, expiring: Int
  ) {
    table.pointee.figures.keys &+= keys
    table.pointee.figures.bytes &+= bytes
    let shard = state.pointee.shards + Int(table.pointee.ownerIndex)
    shard.pointee.keys &+= keys
    shard.pointee.bytes &+= bytes
    state.pointee.total.keys &+= keys
    state.pointee.total.bytes &+= bytes
    if expiring != 0 { countExpiring(table, slot, expiring) }
  }

  private func countExpiring(_ table: UnsafeMutablePointer<Table>, _ slot: Int, _ change: Int) {
    table.pointee.figures.expiring += change
    state.pointee.shards[Int(table.pointee.ownerIndex)].expiring += change
    state.pointee.total.expiring += change
    guard slot < Keyspace.slotCount else { return }
    let bit: UInt64 = 1 << UInt64(slot & 63)
    if table.pointee.figures.expiring == 0 {
      state.pointee.expiring[slot >> 6] &= ~bit
    } else {
      state.pointee.expiring[slot >> 6] |= bit
    }
  }

  /// Changes the number of a table's buckets.
  func countBuckets(_ table: UnsafeMutablePointer<Table>, _ slot: Int, _ change: Int) {
    guard change != 0 else { return }
    table.pointee.buckets += change
    if slot < Keyspace.slotCount { state.pointee.sums.add(change, at: slot) }
  }
}
