import Testing

@testable import Storage

/// Memory is refused at every allocation in turn: an operation that throws has changed nothing, and goes through when
/// there is memory again.
@Suite(.serialized) struct FailureTests {
  @Test func keyspaceItself() {
    var count = 0
    while true {
      AllocationFailure.arm(after: count, lasting: false)
      let keyspace = try? Keyspace(seed: testSeed)
      let refused = AllocationFailure.disarm()
      let exists = keyspace != nil
      #expect(exists == !refused)
      if !refused { break }
      count += 1
    }
    #expect(count == 1)
  }

  @Test(arguments: [false, true]) func everyAllocation(lasting: Bool) throws {
    var keyspace = makeKeyspace(1, 2)
    var draw = Draw(seed: 3)
    var model: [Bytes: Bytes] = [:]
    var refusals = 0
    for step in 0..<4000 {
      let key = bytes("key:\(draw.below(900))")
      let known = model[key]
      let value = Bytes(
        repeating: UInt8(truncatingIfNeeded: step),
        count: [4, 20, 200, 16384, 30000][draw.below(step % 9 == 0 ? 5 : 3)])
      let operation = draw.below(6)
      var after = 0
      while true {
        AllocationFailure.arm(after: after, lasting: lasting)
        var failed = false
        do throws(OutOfMemory) {
          switch operation {
          case 0, 1, 2: try keyspace.set(1, key, value, expiry: step % 2 == 0 ? .keep : .at(3))
          case 3: _ = try keyspace.append(1, key, value)
          case 4: try keyspace.expire(1, key, step % 2 == 0 ? nil : 4)
          default: try keyspace.setLarge(1, key, value)
          }
        } catch {
          failed = true
        }
        let refused = AllocationFailure.disarm()
        if failed {
          refusals += 1
          #expect(refused)
          let now = keyspace.value(1, key)
          #expect(now == known)
          if step % 50 == 0 { keyspace.checkInvariants() }
        } else if !refused {
          break
        } else {
          // Refused and yet done: something that can do without.
          break
        }
        after += 1
      }
      switch operation {
      case 3: if known != nil { model[key]! += value }
      case 4: break
      default: model[key] = value
      }
      let now = keyspace.value(1, key)
      #expect(now == model[key])
    }
    print("\(refusals) refusals")
    #expect(refusals > 2000)
    keyspace.checkInvariants()
    let count = keyspace.keyCount
    #expect(count == model.count)
  }

  /// Growth, split and deepening of the directory, refused at every allocation.
  @Test func growth() throws {
    var keyspace = makeKeyspace(1)
    var refusals = 0
    for number in 0..<6000 {
      let key = bytes("key:\(number)")
      var after = 1  // The entry itself is given.
      while true {
        AllocationFailure.arm(after: after, lasting: true)
        var failed = false
        do throws(OutOfMemory) { try keyspace.set(1, key, Int64(number)) } catch { failed = true }
        _ = AllocationFailure.disarm()
        guard failed else { break }
        refusals += 1
        let absent = keyspace.find(1, key) == nil
        #expect(absent)
        let count = keyspace.keyCount(of: 1)
        #expect(count == number)
        if refusals % 20 == 0 { keyspace.checkInvariants() }
        after += 1
      }
    }
    print("\(refusals) refusals")
    #expect(refusals > 100)
    keyspace.checkInvariants()
    let keys = Set(keyspace.keys(1))
    #expect(keys.count == 6000)
  }

  /// Removing and clearing need no memory: with none, tables stay larger and graves are freed at once.
  @Test func removalWithoutMemory() throws {
    var keyspace = makeKeyspace(1, 2, 3)
    for number in 0..<3000 {
      try keyspace.set(1, bytes("key:\(number)"), Int64(number))
      try keyspace.set(2, bytes("key:\(number)"), Int64(number))
      try keyspace.set(3, bytes("key:\(number % 40)"), Bytes(repeating: 1, count: 20 + number))
    }
    let large = Bytes(repeating: 1, count: 3 << 20)
    try keyspace.setLarge(3, bytes("large"), large)
    AllocationFailure.arm(after: 0, lasting: true)
    for number in 0..<2995 { _ = keyspace.remove(1, bytes("key:\(number)")) }
    keyspace.clear(2)
    let removed = keyspace.remove(3, bytes("large"))
    #expect(removed)
    keyspace.clear(3)
    _ = AllocationFailure.disarm()
    keyspace.checkInvariants()
    let hasGrave = keyspace.hasGrave
    #expect(!hasGrave)
    // With memory again, the next removals tidy up.
    for number in 2995..<3000 { _ = keyspace.remove(1, bytes("key:\(number)")) }
    keyspace.buryAll()
    keyspace.checkInvariants()
    let left = keyspace.byteCount
    #expect(left == 0)
  }

  @Test func overwritingInPlaceAllocatesNothing() throws {
    var keyspace = makeKeyspace(0)
    try keyspace.set(0, bytes("key"), Bytes(repeating: 1, count: 20))
    try keyspace.set(0, bytes("number"), 1)
    AllocationFailure.arm(after: 0, lasting: true)
    try keyspace.set(0, bytes("key"), Bytes(repeating: 2, count: 17))
    try keyspace.set(0, bytes("number"), 2)
    #expect(!AllocationFailure.disarm())
    let value = keyspace.value(0, bytes("key"))
    #expect(value == Bytes(repeating: 2, count: 17))
  }

  @Test func buffersAndQueues() throws {
    var pool = ChunkPool()
    var queue = OutputQueue()
    AllocationFailure.arm(after: 0, lasting: false)
    #expect(throws: OutOfMemory()) { try queue.reserve(10, pool: &pool) }
    _ = AllocationFailure.disarm()
    try queue.reserve(10, pool: &pool)
    queue.appendByte(1)
    AllocationFailure.arm(after: 0, lasting: false)
    #expect(throws: OutOfMemory()) { try queue.reserve(5000, pool: &pool) }
    _ = AllocationFailure.disarm()
    queue.appendByte(2)
    let front = queue.front.array
    #expect(front == [1, 2])

    var buffer = ByteBuffer()
    try buffer.append(([1, 2, 3] as Bytes).span.bytes)
    AllocationFailure.arm(after: 0, lasting: false)
    #expect(throws: OutOfMemory()) { try buffer.append(Bytes(repeating: 0, count: 99).span.bytes) }
    _ = AllocationFailure.disarm()
    let kept = buffer.bytes.array
    #expect(kept == [1, 2, 3])

    var slab = Slab<Int>()
    for after in 0..<3 {
      AllocationFailure.arm(after: after, lasting: false)
      #expect(throws: OutOfMemory()) { _ = try slab.insert(1) }
      _ = AllocationFailure.disarm()
    }
    let index = try slab.insert(1)
    #expect(index == 0)

    var large = LargeValue(expected: 100_000)
    try large.append(Bytes(repeating: 1, count: 40000).span.bytes)
    AllocationFailure.arm(after: 0, lasting: false)
    #expect(throws: OutOfMemory()) { try large.room(atLeast: 60000) }
    _ = AllocationFailure.disarm()
    let count = large.byteCount
    #expect(count == 40000)
  }
}
