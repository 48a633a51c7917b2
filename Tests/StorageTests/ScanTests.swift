import Testing

@testable import Storage

/// A cursor must neither skip a key that is there all the time nor lead in a circle, whatever the table does between two
/// calls.
@Suite struct ScanTests {
  /// Every layout of one segment (all sizes, several depths) against every cursor that any layout can give: the next
  /// cursor is greater, and every prefix between the two is at home where the call looked.
  ///
  /// So a call in any layout gives all keys with prefixes from its cursor up to the next: none is skipped; and the
  /// cursor grows at every call: no circle. Layouts may change between the calls at will.
  @Test func everyLayoutAgainstEveryCursor() {
    let step: UInt64 = 1 << 25
    var layouts: [DirectoryWord] = []
    for depth: UInt64 in [0, 1, 2, 3, 9, 18, 26, 27] {
      for buckets in segmentSizes {
        layouts.append(
          DirectoryWord(
            segment: UnsafeMutableRawPointer(bitPattern: 64)!, buckets: buckets, depth: depth))
      }
    }
    var cursors: Set<UInt64> = [0]
    for layout in layouts {
      // The segments of that depth at the beginning, in the middle and at the end.
      for path in [0, 1, 1 << max(0, Int(layout.depth) - 1), (1 << Int(layout.depth)) - 1] {
        var cursor: UInt64? =
          layout.depth == 0 ? 0 : UInt64(path % (1 << Int(layout.depth))) << (64 - layout.depth)
        let first = layout.firstPrefix(cursor!)
        for _ in 0..<layout.bucketCount {
          guard let from = cursor, layout.firstPrefix(from) == first else { break }
          cursors.insert(from)
          cursor = layout.prefix(after: layout.home(from), within: from)
        }
        if let cursor { cursors.insert(cursor) }
      }
    }
    print("\(layouts.count) layouts, \(cursors.count) cursors")
    for layout in layouts {
      for cursor in cursors {
        let home = layout.home(cursor)
        guard let next = layout.prefix(after: home, within: cursor) else {
          // The end: everything behind the cursor is in its home.
          #expect(layout.home(KeyHash.prefixMask) == home)
          #expect(layout.firstPrefix(KeyHash.prefixMask) == layout.firstPrefix(cursor))
          continue
        }
        let last = next - step
        if next <= cursor || next & (step - 1) != 0 || layout.home(last) != home
          || layout.firstPrefix(last) != layout.firstPrefix(cursor)
          || (layout.firstPrefix(next) == layout.firstPrefix(cursor)
            && layout.home(next) != home + 1)
        {
          Issue.record("\(layout.bucketCount) buckets, depth \(layout.depth), cursor \(cursor)")
        }
      }
    }
  }

  /// The same with real tables that grow, split, merge and shrink between the calls.
  @Test(arguments: 1...12) func tableChangesBetweenCalls(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Draw(seed: seed)
    var keyspace = makeKeyspace(5)
    let staying = (0..<[3, 40, 400, 1500][Int(seed % 4)]).map { bytes("staying:\($0)") }
    for key in staying { try keyspace.set(5, key, [1]) }
    var passing: [Bytes] = []
    var seen: Set<Bytes> = []
    var entries: [EntryRef] = []
    var cursor: UInt64? = 0
    var calls = 0
    var sizes: Set<Int> = []
    while let from = cursor {
      cursor = keyspace.scan(5, from: from, into: &entries)
      if let cursor { #expect(cursor > from) }
      for entry in entries { seen.insert(keyspace.key(of: entry).array) }
      calls += 1
      switch draw.below(3) {
      case 0:
        for _ in 0..<draw.below(900) {
          passing.append(bytes("passing:\(draw.next())"))
          try keyspace.set(5, passing.last!, [2])
        }
      case 1:
        for _ in 0..<min(passing.count, draw.below(2000)) {
          _ = keyspace.remove(5, passing.removeLast())
        }
      default: break
      }
      sizes.insert(keyspace.tables[5].buckets)
      if calls % 16 == 0 { keyspace.checkInvariants() }
    }
    keyspace.checkInvariants()
    #expect(seen.isSuperset(of: staying))
    #expect(sizes.count > 3 || staying.count < 400)
  }

  @Test func unchangedTableGivesEveryKeyOnce() throws {
    for count in [0, 1, 9, 10, 100, 288, 1000, 20000] {
      var keyspace = makeKeyspace(0)
      for key in 0..<count { try keyspace.set(0, bytes("\(key)"), Int64(key)) }
      let keys = keyspace.keys(0)
      #expect(keys.count == count)
      #expect(Set(keys).count == count)
      // In hash order of their homes: prefixes of different homes do not overlap.
      var entries: [EntryRef] = []
      var cursor: UInt64? = 0
      while let from = cursor {
        cursor = keyspace.scan(0, from: from, into: &entries)
        for entry in entries {
          let prefix = keyspace.hash(keyspace.key(of: entry).array).prefix
          #expect(prefix >= from && prefix < cursor ?? ~0)
        }
      }
    }
  }
}
