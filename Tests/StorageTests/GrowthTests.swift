import Testing

@testable import Storage

/// Growth and shrinkage of tables.
@Suite struct GrowthTests {
  @Test func fillStaysHighWhateverTheNumberOfKeys() throws {
    var keyspace = makeKeyspace(1)
    var worst = 1.0
    for key in 0..<30000 {
      try keyspace.set(1, bytes("key:\(key)"), Int64(key))
      let count = key + 1
      guard count > 40, count % 50 == 0 else { continue }
      worst = min(worst, Double(count) / Double(keyspace.tables[1].buckets * 9))
    }
    keyspace.checkInvariants()
    print("lowest fill \(worst)")
    #expect(worst > 0.64)
    for key in 0..<30000 {
      let removed = keyspace.remove(1, bytes("key:\(key)"))
      #expect(removed)
      if key % 1000 == 0 {
        keyspace.checkInvariants()
        let count = 29999 - key
        let fill = Double(count) / Double(keyspace.tables[1].buckets * 9)
        #expect(count < 50 || fill > 0.33, "\(count) keys")
      }
    }
    let left = keyspace.byteCount
    #expect(left == 0)
    let hasGrave = keyspace.hasGrave
    #expect(!hasGrave)
  }

  /// More than 36 equal hashes need extensions, and nothing else does.
  @Test func constantHash() throws {
    var keyspace = makeKeyspace(1, mask: 0)
    func extensions() -> Int {
      guard keyspace.tables[1].root != 0 else { return 0 }
      let segment = DirectoryWord(bits: keyspace.tables[1].root).segment(of: 0)
      return segment.entryCounts().outside
    }
    for key in 0..<36 { try keyspace.set(1, bytes("key:\(key)"), Int64(key)) }
    let before = extensions()
    #expect(before == 0)
    for key in 36..<1000 { try keyspace.set(1, bytes("key:\(key)"), Int64(key)) }
    let after = extensions()
    #expect(after >= 964)
    let buckets = keyspace.tables[1].buckets
    #expect(buckets < 9)
    keyspace.checkInvariants()
    for key in 0..<1000 {
      let value = keyspace.value(1, bytes("key:\(key)"))
      #expect(value == bytes("\(key)"))
    }
    let absent = keyspace.find(1, bytes("key:1000")) == nil
    #expect(absent)
    let keys = Set(keyspace.keys(1))
    #expect(keys.count == 1000)
    var draw = Draw(seed: 1)
    var drawn: Set<Bytes> = []
    for _ in 0..<20000 {
      if let (_, entry) = keyspace.randomEntry(shard: 0, draw: &draw) {
        drawn.insert(keyspace.key(of: entry).array)
      }
    }
    #expect(drawn.count > 300)
    for key in 0..<1000 {
      let removed = keyspace.remove(1, bytes("key:\(key * 7 % 1000)"))
      #expect(removed)
      if key % 50 == 0 { keyspace.checkInvariants() }
    }
    let left = keyspace.byteCount
    #expect(left == 0)
  }

  /// Keys that crowd around one prefix drive the directory to its three levels and 27 bits; then extensions.
  @Test(arguments: [0, ~0, 0x5a5a_1234_9876_fedc] as [UInt64])
  func deepestDirectory(center: UInt64) throws {
    var draw = Draw(seed: center)
    var keyspace = makeKeyspace(1, readKeys: true)
    var keys: [Bytes] = []
    var levels: Set<Int> = []
    for depth: UInt64 in 0..<32 {
      for _ in 0..<320 {
        let hash = center ^ draw.next() >> depth
        let key = withUnsafeBytes(of: hash) { Bytes($0) } + bytes("\(keys.count)")
        keys.append(key)
        try keyspace.set(1, key, Int64(keys.count))
      }
      let path = DirectoryPath(root: Keyspace.root(of: keyspace.table(1)), prefix: center)
      levels.insert(path.level)
      keyspace.checkInvariants()
    }
    let path = DirectoryPath(root: Keyspace.root(of: keyspace.table(1)), prefix: center)
    #expect(path.segment.depth == 27)
    #expect(levels == [1, 2, 3])
    let outside = path.segment.entryCounts().outside
    #expect(outside > 0)
    func check() {
      let found = keyspace.keys(1)
      #expect(found.count == keys.count)
      #expect(Set(found) == Set(keys))
    }
    check()
    var entries: [EntryRef] = []
    let end = keyspace.scan(1, from: ~0, into: &entries)
    #expect(end == nil)
    // From the deep end, from the other, and crosswise.
    for round in 0..<10 {
      for _ in 0..<keys.count / 2 {
        let key = keys.remove(at: [keys.count - 1, 0, draw.below(keys.count)][round % 3])
        let removed = keyspace.remove(1, key)
        #expect(removed)
      }
      keyspace.checkInvariants()
      check()
    }
    let last = DirectoryPath(root: Keyspace.root(of: keyspace.table(1)), prefix: center)
    print("\(keys.count) keys left, level \(last.level), depth \(last.segment.depth)")
    #expect(last.level < 3)
    keyspace.clear(1)
    keyspace.buryAll()
    let left = keyspace.byteCount
    #expect(left == 0)
  }

  @Test func pagesShrinkAndVanish() throws {
    var keyspace = makeKeyspace(1)
    for key in 0..<5000 { try keyspace.set(1, bytes("key:\(key)"), Int64(key)) }
    let isPage = DirectoryWord(bits: keyspace.tables[1].root).isPage
    #expect(isPage)
    for key in 0..<4990 { _ = keyspace.remove(1, bytes("key:\(key)")) }
    keyspace.checkInvariants()
    // A few keys, a few buckets: nothing is left of the directory's size.
    let bytesLeft = keyspace.byteCount(of: 1)
    print("\(bytesLeft) bytes for 10 keys, \(keyspace.tables[1].buckets) buckets")
    #expect(bytesLeft < 10 * 32 + 40 * 64)
  }
}
