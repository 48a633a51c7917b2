import Testing

@testable import Storage

/// Ownership, figures, and tables that move.
@Suite struct TableTests {
  @Test func ownership() throws {
    var keyspace = try Keyspace(seed: testSeed)
    for slot in [0, 16383, Keyspace.slotCount] {
      let owner = keyspace.owner(of: slot)
      #expect(owner == -1)
    }
    let none = keyspace.take(5) == nil
    #expect(none)
    keyspace.own(5, by: 3)
    keyspace.own(6, by: 900)
    let owner = keyspace.owner(of: 6)
    #expect(owner == 900)
    try keyspace.set(5, bytes("a"), bytes("b"), expiry: .at(9))
    try keyspace.set(6, bytes("a"), bytes("b"))
    let counts = [3, 900, 4, -1, 16384].map { keyspace.keyCount(ofShard: $0) }
    #expect(counts == [1, 1, 0, 0, 0])
    let expiring = keyspace.expiringCount(ofShard: 3)
    #expect(expiring == 1)
    let bytesOfShard = keyspace.byteCount(ofShard: 3)
    #expect(bytesOfShard == 64 + 32)
    keyspace.charge(5, cpu: 100, bytesIn: 20, bytesOut: 3)
    keyspace.charge(5, cpu: 1, bytesIn: 2, bytesOut: 3)
    keyspace.checkInvariants()

    let table = keyspace.take(5)!
    let after = keyspace.owner(of: 5)
    #expect(after == -1)
    let count = keyspace.keyCount(ofShard: 3)
    #expect(count == 0)
    keyspace.checkInvariants()
    let tableBytes = table.byteCount
    let tableCounts = [table.keyCount, table.expiringCount]
    #expect(tableBytes == 96 && tableCounts == [1, 1])
    keyspace.adopt(table, as: 5, by: 900)
    keyspace.checkInvariants()
    let both = keyspace.keyCount(ofShard: 900)
    #expect(both == 2)
    let statistics = keyspace.statistics(of: 5)
    #expect(
      [statistics.cpuNanoseconds, statistics.networkBytesIn, statistics.networkBytesOut] == [
        101, 22, 6,
      ])
  }

  @Test func openTablesAreNobodys() throws {
    var keyspace = makeKeyspace(7)
    let open = Keyspace.slotCount + 3
    try keyspace.set(open, bytes("a"), bytes("b"), expiry: .at(1))
    try keyspace.set(7, bytes("a"), bytes("other"))
    let counts = [keyspace.keyCount(ofShard: 0), keyspace.keyCount, keyspace.keyCount(of: open)]
    #expect(counts == [1, 2, 1])
    keyspace.checkInvariants()
    var draw = Draw(seed: 1)
    for _ in 0..<100 {
      let slot = keyspace.randomEntry(shard: nil, draw: &draw)?.slot
      #expect(slot == 7)
    }
    var cursor = ExpiryCursor()
    var units = 1000
    let expired = keyspace.nextExpired(&cursor, now: 100, workUnits: &units) == nil
    #expect(expired && units > 0)
    // It becomes the slot's table once that has gone.
    keyspace.take(7)!.discard()
    let imported = keyspace.take(open)!
    keyspace.adopt(imported, as: 7, by: 2)
    let value = keyspace.value(7, bytes("a"))
    #expect(value == bytes("b"))
    let empty = keyspace.keyCount(of: open)
    #expect(empty == 0)
    keyspace.checkInvariants()
  }

  @Test func droppedTableTraps() async {
    await #expect(processExitsWith: .failure) {
      var keyspace = try Keyspace(seed: HashSeed(1, 2))
      keyspace.own(1, by: 0)
      _ = keyspace.take(1)
    }
  }

  @Test func ownedSlotIsNotAdoptedTwice() async {
    await #expect(processExitsWith: .failure) {
      var keyspace = try Keyspace(seed: HashSeed(1, 2))
      keyspace.own(1, by: 0)
      keyspace.own(2, by: 0)
      let table = keyspace.take(1)!
      keyspace.adopt(table, as: 2, by: 0)
    }
  }

  /// Tables go round between two threads' keyspaces while both write.
  @Test func betweenThreads() async throws {
    let slots = 64
    let rounds = 40
    let (leftIn, toLeft) = AsyncStream<Parcel>.makeStream()
    let (rightIn, toRight) = AsyncStream<Parcel>.makeStream()
    async let left = worker(0, slots, rounds, leftIn, toRight, owns: true)
    async let right = worker(1, slots, rounds, rightIn, toLeft, owns: false)
    let written = await left + right
    #expect(written > 0)
  }

  private final class Parcel: Sendable {
    private let tables: SlotTables
    init(_ tables: consuming SlotTables) { self.tables = tables }
    func open() -> SlotTables { tables }
  }

  /// Tables as they are sent: by number here, because a stream's elements must be copyable.
  private struct SlotTables: Sendable {
    var first: Int
    var tables: [Handed]
  }

  private final class Handed: @unchecked Sendable {
    // Sendable: taken once, by the receiver.
    private var table: SlotTable?
    init(_ table: consuming SlotTable) { self.table = consume table }
    func take() -> SlotTable { table.take()! }
  }

  private func worker(
    _ number: Int32, _ slots: Int, _ rounds: Int, _ input: AsyncStream<Parcel>,
    _ output: AsyncStream<Parcel>.Continuation, owns: Bool
  ) async -> Int {
    var keyspace = try! Keyspace(seed: testSeed)
    if owns { for slot in 0..<slots { keyspace.own(slot, by: 0) } }
    var written = 0
    var round = 0
    var iterator = input.makeAsyncIterator()
    var holding = owns
    while round < rounds {
      if !holding {
        guard let parcel = await iterator.next() else { break }
        for (index, handed) in parcel.open().tables.enumerated() {
          keyspace.adopt(handed.take(), as: index, by: number)
        }
      }
      for slot in 0..<slots {
        for key in 0..<20 {
          try! keyspace.set(slot, bytes("\(number):\(round):\(key)"), Int64(key))
          // What the other has written is removed after a while: memory of another thread.
          _ = keyspace.remove(slot, bytes("\(1 - number):\(round - 2):\(key)"))
          written += 1
        }
      }
      if round % 10 == 0 { keyspace.checkInvariants() }
      round += 1
      var parcel = SlotTables(first: 0, tables: [])
      for slot in 0..<slots { parcel.tables.append(Handed(keyspace.take(slot)!)) }
      let left = keyspace.keyCount
      #expect(left == 0)
      output.yield(Parcel(parcel))
      holding = false
    }
    // Whatever still arrives ends here.
    output.finish()
    while let parcel = await iterator.next() {
      for handed in parcel.open().tables { handed.take().discard() }
    }
    return written
  }
}
