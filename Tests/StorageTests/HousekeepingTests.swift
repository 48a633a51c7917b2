import Testing

@testable import Storage

/// Graves, active expiry, random entries.
@Suite struct HousekeepingTests {
  @Test func clearingIsFreedInSlices() throws {
    var keyspace = makeKeyspace(1, 2)
    for key in 0..<20000 { try keyspace.set(1, bytes("key:\(key)"), Int64(key), expiry: .at(5)) }
    try keyspace.setLarge(1, bytes("large"), Bytes(repeating: 1, count: 5 << 20))
    let before = keyspace.byteCount
    keyspace.clear(1)
    keyspace.clear(2)
    let count = keyspace.keyCount
    let bytesLeft = keyspace.byteCount
    let expiring = keyspace.expiringCount
    #expect(count == 0 && bytesLeft == 0 && expiring == 0)
    let buried = keyspace.buriedByteCount
    #expect(buried == before)
    try keyspace.set(1, bytes("new"), 1)
    keyspace.checkInvariants()
    var slices = 0
    while keyspace.hasGrave {
      let used = keyspace.bury(workUnits: 10)
      #expect(used <= 20 && used > 0)
      slices += 1
    }
    #expect(slices > 200)
    let none = keyspace.bury(workUnits: 10)
    #expect(none == 0)
    let value = keyspace.value(1, bytes("new"))
    #expect(value == bytes("1"))
  }

  @Test func keyspaceWithGravesEnds() throws {
    var keyspace = makeKeyspace(1)
    for key in 0..<2000 { try keyspace.set(1, bytes("key:\(key)"), Int64(key)) }
    keyspace.clear(1)
    for key in 0..<2000 { try keyspace.set(1, bytes("key:\(key)"), Int64(key)) }
    _ = keyspace.bury(workUnits: 7)
  }

  @Test func activeExpiryFindsAllThatExpired() throws {
    var keyspace = makeKeyspace(0, 1, 5000, 16383)
    var expected: Set<Bytes> = []
    for slot in [0, 5000, 16383] {
      for key in 0..<2000 {
        let name = bytes("\(slot):\(key)")
        let expiry: StringExpiry = key % 4 == 0 ? .clear : .at(Int64(key))
        try keyspace.set(slot, name, Int64(key), expiry: expiry)
        if key % 4 != 0 && key <= 1000 { expected.insert(name) }
      }
    }
    try keyspace.set(1, bytes("stays"), 1)
    var cursor = ExpiryCursor()
    var found: Set<Bytes> = []
    var sweeps = 0
    while found.count < expected.count && sweeps < 5 {
      var units = 50
      while let (slot, entry) = keyspace.nextExpired(&cursor, now: 1000, workUnits: &units) {
        #expect(units >= 0)
        let key = keyspace.key(of: entry).array
        #expect(expected.contains(key) && !found.contains(key))
        found.insert(key)
        keyspace.remove(slot, entry)
      }
      if units > 0 { sweeps += 1 }
    }
    print("\(sweeps) sweeps")
    #expect(found == expected)
    keyspace.checkInvariants()
    let count = keyspace.keyCount
    #expect(count == 6001 - expected.count)
    // What is not removed is passed, not found for ever.
    var units = 1 << 20
    var calls = 0
    cursor = ExpiryCursor()
    while keyspace.nextExpired(&cursor, now: 5000, workUnits: &units) != nil { calls += 1 }
    let expiring = keyspace.expiringCount
    #expect(calls == expiring && units > 0)
  }

  @Test func sweepOfNothing() throws {
    let keyspace = makeKeyspace(0)
    var cursor = ExpiryCursor()
    var units = 10
    let none = keyspace.nextExpired(&cursor, now: 5, workUnits: &units) == nil
    #expect(none && units == 10 && cursor == ExpiryCursor())
  }

  @Test(arguments: [1, 5, 60, 700]) func randomEntriesAreUniform(perSlot: Int) throws {
    var keyspace = try Keyspace(seed: testSeed)
    var total = 0
    for slot in 0..<8 {
      keyspace.own(slot, by: Int32(slot % 2))
      for key in 0..<perSlot * (slot + 1) {
        try keyspace.set(slot, bytes("\(slot):\(key)"), Int64(total))
        total += 1
      }
    }
    var draw = Draw(seed: 5)
    for shard in [nil, 0, 1] as [Int32?] {
      var counts = [Int](repeating: 0, count: total)
      let keys = shard.map { keyspace.keyCount(ofShard: $0) } ?? total
      let draws = keys * 20
      for _ in 0..<draws {
        let (slot, entry) = keyspace.randomEntry(shard: shard, draw: &draw)!
        if let shard { #expect(slot % 2 == Int(shard)) }
        counts[Int(keyspace.integer(of: entry))] += 1
      }
      // Chi squared over keys: mean k − 1, deviation √2k. A fixed seed: no chance involved.
      let mean = Double(draws) / Double(keys)
      let sum = counts.filter { $0 > 0 }.reduce(0.0) {
        $0 + (Double($1) - mean) * (Double($1) - mean) / mean
      }
      let limit = Double(keys) + 5 * (2 * Double(keys)).squareRoot() + 5
      #expect(
        sum < limit, "\(perSlot) a slot, shard \(String(describing: shard)): \(sum), \(keys) keys")
    }
    let none = keyspace.randomEntry(shard: 5, draw: &draw) == nil
    #expect(none)
  }

  /// One shard of very many: the draw is bounded and still finds its keys.
  @Test func randomEntryOfARareShard() throws {
    var keyspace = try Keyspace(seed: testSeed)
    for slot in 0..<2000 {
      keyspace.own(slot, by: slot == 1234 ? 1 : 0)
      for key in 0..<10 { try keyspace.set(slot, bytes("\(slot):\(key)"), Int64(key)) }
    }
    var draw = Draw(seed: 9)
    var seen: Set<Int64> = []
    for _ in 0..<200 {
      let (slot, entry) = keyspace.randomEntry(shard: 1, draw: &draw)!
      #expect(slot == 1234)
      seen.insert(keyspace.integer(of: entry))
    }
    #expect(seen.count == 10)
    let one = keyspace.randomEntry(of: 3, draw: &draw) != nil
    let none = keyspace.randomEntry(of: 3000, draw: &draw) == nil
    #expect(one && none)
  }
}
