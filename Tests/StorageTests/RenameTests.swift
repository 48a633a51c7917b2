import Testing

@testable import Storage

/// Values under another key: moved and copied, over nothing and over others, with every form of entry.
@Suite struct RenameTests {
  /// Entries of every form: type, encoding, expiry, length of key, place of the value.
  private static let keys = [
    "a", "b", String(repeating: "k", count: 255), String(repeating: "l", count: 256),
  ]
  private static let values: [Bytes] = [
    [], bytes("abc"), Bytes(repeating: 7, count: 300), Bytes(repeating: 8, count: 16383),
    Bytes(repeating: 9, count: 16384), Bytes(repeating: 10, count: 2 << 20),
  ]

  private func move(
    _ keyspace: inout Keyspace, _ source: String, _ target: String, copies: Bool
  ) throws {
    let (source, target) = (bytes(source), bytes(target))
    guard let entry = keyspace.find(3, source) else {
      Issue.record("no source")
      return
    }
    let over = keyspace.find(3, target)
    let hash = keyspace.hash(target)
    if copies {
      try keyspace.copy(3, entry, to: hash, target.span.bytes, over: over, clock: 5)
    } else {
      try keyspace.rename(3, entry, to: hash, target.span.bytes, over: over, clock: 5)
    }
    keyspace.checkInvariants()
  }

  private func value(_ keyspace: borrowing Keyspace, _ key: String) -> Bytes? {
    guard let entry = keyspace.find(3, bytes(key)) else { return nil }
    return keyspace.bytes(of: entry).array
  }

  @Test(arguments: [false, true]) func everyForm(copies: Bool) throws {
    var keyspace = makeKeyspace(3)
    for source in Self.keys {
      for target in Self.keys where target != source {
        for (i, content) in Self.values.enumerated() {
          for old in [nil, bytes("old"), Bytes(repeating: 1, count: 40000)] {
            let expiry: StringExpiry = i % 2 == 0 ? .clear : .at(77)
            try keyspace.set(3, bytes(source), content, expiry: expiry, raw: i == 1)
            if let old { try keyspace.set(3, bytes(target), old, expiry: .at(5)) }
            let encoding = keyspace.find(3, bytes(source)).map { keyspace.encoding(of: $0) }
            try move(&keyspace, source, target, copies: copies)
            #expect(value(keyspace, target) == content)
            #expect(value(keyspace, source) == (copies ? content : nil))
            if let made = keyspace.find(3, bytes(target)) {
              let (moment, form) = (keyspace.expiry(of: made), keyspace.encoding(of: made))
              let clock = keyspace.accessClock(of: made)
              #expect(moment == (i % 2 == 0 ? nil : 77))
              #expect(form == encoding)
              #expect(clock == 5)
              keyspace.remove(3, made)
            }
            if let left = keyspace.find(3, bytes(source)) { keyspace.remove(3, left) }
            while keyspace.bury(workUnits: 1 << 20) > 0 {}
            keyspace.checkInvariants()
            let bytesLeft = keyspace.byteCount
            #expect(bytesLeft == 0)
          }
        }
      }
    }
  }

  /// A large value is where it was.
  @Test func largeValuesAreNotCopied() throws {
    var keyspace = makeKeyspace(3)
    try keyspace.setLarge(3, bytes("a"), Bytes(repeating: 1, count: 1 << 20))
    let before = keyspace.find(3, bytes("a"))?.entry.apart.address
    try move(&keyspace, "a", "b", copies: false)
    let after = keyspace.find(3, bytes("b"))?.entry.apart.address
    #expect(before != nil && before == after)
    try move(&keyspace, "b", "a", copies: true)
    let copy = keyspace.find(3, bytes("a"))?.entry.apart.address
    #expect(copy != after)
  }

  /// One key wanders through a table that grows, and back.
  @Test func whileTheTableGrows() throws {
    var keyspace = makeKeyspace(3)
    try keyspace.setLarge(3, bytes("key 0"), Bytes(repeating: 3, count: 20000))
    for i in 0..<2000 {
      try move(&keyspace, "key \(i)", "key \(i + 1)", copies: true)
      try keyspace.set(3, bytes("key \(i)"), bytes("small"))
    }
    for i in (0..<2000).reversed() {
      try move(&keyspace, "key \(i + 1)", "key \(i)", copies: false)
    }
    let keys = keyspace.keyCount
    #expect(keys == 1)
    #expect(value(keyspace, "key 0") == Bytes(repeating: 3, count: 20000))
  }
}
