import Testing

@testable import Storage

/// Tables and entries on the move between keyspaces.
@Suite(.serialized) struct MoveTests {
  private func filled(_ slots: Range<Int>, _ keysPerSlot: Int) throws -> Keyspace {
    var keyspace = try Keyspace(seed: testSeed)
    for slot in slots {
      keyspace.own(slot, by: 3)
      for i in 0..<keysPerSlot {
        let size = i % 97 == 5 ? 20_000 : i % 40
        try keyspace.set(
          slot, bytes("key:\(slot):\(i)"), Bytes(repeating: UInt8(i & 0xff), count: size),
          expiry: i % 3 == 0 ? .at(Int64(i)) : .clear)
      }
    }
    return keyspace
  }

  @Test func aBatchOfTables() throws {
    var source = try filled(10..<20, 300)
    var target = try Keyspace(seed: testSeed)
    let (keys, size) = (source.keyCount, source.byteCount)
    let batch = try SlotTableBatch(capacity: 10)
    // Nothing is allocated on the way.
    AllocationFailure.arm(after: 0, lasting: true)
    for slot in 10..<20 {
      let isTaken = source.take(slot, into: batch)
      #expect(isTaken)
    }
    #expect(batch.count == 10 && batch.keyCount == keys)
    let isEmpty = source.keyCount == 0 && source.byteCount == 0
    #expect(isEmpty)
    target.adopt(batch, by: 1)
    _ = AllocationFailure.disarm()
    #expect(batch.count == 0 && batch.keyCount == 0)
    let (found, bytesFound, ofShard) = (
      target.keyCount, target.byteCount, target.keyCount(ofShard: 1)
    )
    #expect(found == keys && bytesFound == size && ofShard == keys)
    let nothing = source.take(10, into: batch)
    #expect(!nothing)
    source.checkInvariants()
    target.checkInvariants()
  }

  @Test func whatNobodyAdoptsIsFreed() throws {
    var source = try filled(10..<14, 200)
    let batch = try SlotTableBatch(capacity: 4)
    for slot in 10..<14 { _ = source.take(slot, into: batch) }
    batch.discard()
    #expect(batch.count == 0)
    var entries = try filled(1..<2, 200)
    let (taken, _) = try entries.takeEntries(1, from: 0) { true }
    taken?.discard()
    #expect(taken?.count == 0)
    entries.checkInvariants()
  }

  /// All entries go over in hash order, none twice, whatever the size of the slices.
  @Test(arguments: [0, 1, 7, 10_000])
  func entriesInSlices(homes: Int) throws {
    var source = try filled(5..<6, 3000)
    var target = try Keyspace(seed: testSeed)
    target.own(5, by: 0)
    var (cursor, moved, slices): (UInt64?, Int, Int) = (0, 0, 0)
    while let position = cursor {
      var left = homes
      let slice = try source.takeEntries(5, from: position) {
        left -= 1
        return left > 0
      }
      cursor = slice.next
      if let next = slice.next { #expect(next >= position) }
      moved += slice.batch?.count ?? 0
      if let batch = slice.batch { try target.adopt(batch, into: 5) }
      slices += 1
      // What comes meanwhile above the cursor goes along.
      if slices == 3, let next = cursor {
        var i = 0
        while source.hash(bytes("new:\(i)")).prefix < next { i += 1 }
        try source.set(5, bytes("new:\(i)"), bytes("new"))
      }
    }
    #expect(moved >= 3000)
    let (rest, all) = (source.keyCount, target.keyCount)
    #expect(rest == 0 && all == moved)
    for i in 0..<3000 {
      let value = target.value(5, bytes("key:5:\(i)"))
      #expect(value?.count == (i % 97 == 5 ? 20_000 : i % 40))
    }
    source.checkInvariants()
    target.checkInvariants()
  }

  /// The cursor says whose a key is: after every slice what has left is below it, and what stays is not, however taking rearranges the
  /// table. Homes of a segment that was rebuilt smaller begin elsewhere.
  @Test(arguments: [20, 40, 66, 100, 150, 250])
  func theCursorParts(keys: Int) throws {
    for round in 0..<5 {
      var source = makeKeyspace(5)
      var target = makeKeyspace(5)
      for i in 0..<keys { try source.set(5, bytes("key:\(round):\(i)"), bytes("v")) }
      var cursor: UInt64? = 0
      while let position = cursor {
        let slice = try source.takeEntries(5, from: position) { false }
        cursor = slice.next
        if let batch = slice.batch { try target.adopt(batch, into: 5) }
        let boundary = cursor ?? .max
        let wrong =
          target.keys(5).filter { target.hash($0).prefix >= boundary }.count
          + source.keys(5).filter { source.hash($0).prefix < boundary }.count
        #expect(wrong == 0)
      }
      let (left, moved) = (source.keyCount, target.keyCount)
      #expect(left == 0 && moved == keys)
    }
  }

  /// Memory is refused to the adopting table at every allocation in turn: the entries wait in their batch.
  @Test func entriesThatFindNoMemory() throws {
    var source = try filled(5..<6, 400)
    var target = try Keyspace(seed: testSeed)
    target.own(5, by: 0)
    let (taken, next) = try source.takeEntries(5, from: 0) { true }
    #expect(next == nil)
    let batch = try #require(taken)
    var (after, refusals) = (0, 0)
    while batch.count > 0 {
      AllocationFailure.arm(after: after, lasting: false)
      do throws(OutOfMemory) { try target.adopt(batch, into: 5) } catch { refusals += 1 }
      _ = AllocationFailure.disarm()
      let held = target.keyCount + batch.count
      #expect(held == 400)
      target.checkInvariants()
      after += 1
    }
    #expect(refusals > 5)
    let keys = target.keyCount
    #expect(keys == 400)
  }
}
