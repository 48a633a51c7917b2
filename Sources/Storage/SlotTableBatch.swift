// Many slots' tables on the move at once: what a hand-over pushes from worker to worker (DESIGN §4).
//
// All memory is taken when a batch is made, so nothing can fail while slots are nobody's: neither taking tables out of a keyspace nor
// adopting them needs any. One key and ten million cost the same, a cache line each.
//
// Invariant (I2): a table is in exactly one place, a keyspace or a batch. A batch that is let go of with tables in it would be lost data,
// so `deinit` traps; where a process ends with tables under way, `discard` frees them.

/// Tables of slots that left one shard and are to be adopted by another, in the order in which they left.
@safe public final class SlotTableBatch: @unchecked Sendable {
  // Sendable: one thread at a time has it; it goes from one to the next through a mailbox, whose lock orders their accesses.
  private let tables: UnsafeMutablePointer<Table>
  private let slots: UnsafeMutablePointer<UInt16>
  /// How many tables there is room for.
  public let capacity: Int
  /// How many are in it.
  public private(set) var count = 0
  /// What they hold together.
  private var figures = TableFigures()

  private var tableByteCount: Int { SizeClass.bytes(capacity * MemoryLayout<Table>.stride) }
  private var slotByteCount: Int { SizeClass.bytes(capacity * MemoryLayout<UInt16>.stride) }

  /// A batch with room for so many tables, at least one.
  public init(capacity: Int) throws(OutOfMemory) {
    precondition(capacity > 0 && capacity <= Keyspace.slotCount)
    let tableByteCount = SizeClass.bytes(capacity * MemoryLayout<Table>.stride)
    let memory = try allocate(tableByteCount)
    do throws(OutOfMemory) {
      slots = try allocate(SizeClass.bytes(capacity * MemoryLayout<UInt16>.stride))
        .bindMemory(to: UInt16.self, capacity: capacity)
    } catch {
      deallocate(memory, tableByteCount)
      throw error
    }
    tables = memory.bindMemory(to: Table.self, capacity: capacity)
    self.capacity = capacity
  }

  deinit {
    precondition(count == 0, "slot tables were dropped unread")
    deallocate(tables, tableByteCount)
    deallocate(slots, slotByteCount)
  }

  /// Keys in it.
  public var keyCount: Int { figures.keys }
  /// Bytes of the tables, by size class.
  public var byteCount: Int { figures.bytes }

  /// Takes a table in; there is room for it.
  func add(_ table: consuming SlotTable, of slot: Int) {
    precondition(count < capacity, "the batch is full")
    let content = table.giveUp()
    figures.keys += content.figures.keys
    figures.bytes += content.figures.bytes
    (tables + count).initialize(to: content)
    (slots + count).initialize(to: UInt16(slot))
    count += 1
  }

  /// Gives all tables to `body` with their slots, in order; it is empty afterwards.
  func empty(_ body: (consuming SlotTable, Int) -> Void) {
    let filled = count
    count = 0
    figures = TableFigures()
    for place in 0..<filled { body(SlotTable(tables[place]), Int(slots[place])) }
  }

  /// Frees all keys in it, at once: for the end of a process.
  public func discard() {
    empty { table, _ in table.discard() }
  }
}

extension Keyspace {
  /// Moves a slot's table out into a batch, which has room; the slot then has no owner. False if it has none. O(1), without memory.
  public mutating func take(_ slot: Int, into batch: SlotTableBatch) -> Bool {
    precondition(slot < Keyspace.slotCount, "open tables move one by one")
    guard let table = take(slot) else { return false }
    batch.add(table, of: slot)
    return true
  }

  /// Adopts all tables of a batch: `shard` owns their slots, which nobody owns, from now on. O(tables), without memory.
  public mutating func adopt(_ batch: SlotTableBatch, by shard: Int32) {
    batch.empty { table, slot in adopt(table, as: slot, by: shard) }
  }
}
