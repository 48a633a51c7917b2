import Testing

@testable import Storage

/// Strings: encodings, limits of size, expiry, changes in place.
@Suite struct StringTests {
  @Test func encodings() throws {
    var keyspace = makeKeyspace(0)
    func encoding(_ key: String) -> StringEncoding? {
      keyspace.find(0, bytes(key)).map { keyspace.encoding(of: $0) }
    }
    func expect(_ key: String, _ expected: StringEncoding?) {
      let found = encoding(key)
      #expect(found == expected, "\(key)")
    }
    try keyspace.set(0, bytes("int"), 12)
    try keyspace.set(0, bytes("44"), Bytes(repeating: 1, count: 44))
    try keyspace.set(0, bytes("45"), Bytes(repeating: 1, count: 45))
    try keyspace.set(0, bytes("short"), [], raw: true)
    try keyspace.set(0, bytes("large"), Bytes(repeating: 1, count: 20000))
    try keyspace.set(0, bytes("empty"), [])
    expect("int", .integer)
    expect("44", .embedded)
    expect("45", .raw)
    expect("short", .raw)
    expect("large", .raw)
    expect("empty", .embedded)
    expect("none", nil)
    _ = try keyspace.append(0, bytes("int"), bytes("3"))
    _ = try keyspace.append(0, bytes("44"), [])
    expect("int", .raw)
    expect("44", .raw)
    // Set again, it is what a value of its length is.
    try keyspace.set(0, bytes("44"), [1])
    try keyspace.set(0, bytes("large"), 5)
    expect("44", .embedded)
    expect("large", .integer)
    try keyspace.expire(0, bytes("short"), 9)
    expect("short", .raw)
    keyspace.checkInvariants()
  }

  @Test(arguments: [Int64.min, -1, 0, 1, 9, 10, 99, 1_234_567_890, .max])
  func integers(value: Int64) throws {
    var keyspace = makeKeyspace(0)
    try keyspace.set(0, bytes("n"), value, expiry: .at(7))
    try keyspace.set(0, bytes("n"), value, expiry: .keep)
    let text = keyspace.value(0, bytes("n"))
    #expect(text == bytes("\(value)"))
    let length = keyspace.find(0, bytes("n")).map { keyspace.stringByteCount(of: $0) }
    #expect(length == "\(value)".utf8.count)
    let appended = try keyspace.append(0, bytes("n"), bytes("x"))
    #expect(appended == "\(value)x".utf8.count)
    let now = keyspace.value(0, bytes("n"))
    #expect(now == bytes("\(value)x"))
    let expiry = keyspace.expiry(0, bytes("n"))
    #expect(expiry == 7)
    keyspace.checkInvariants()
  }

  /// Every length around the limits of the forms, with and without expiry, set over every other.
  @Test func everyFormOverEveryForm() throws {
    var keyspace = makeKeyspace(0)
    let keys = [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 254, 255, 256, 257, 20000].map {
      Bytes(repeating: UInt8(truncatingIfNeeded: $0), count: $0)
    }
    let values = [0, 1, 7, 8, 9, 33, 16383, 16384, 16385, 40000].map {
      Bytes(repeating: UInt8(truncatingIfNeeded: $0 + 1), count: $0)
    }
    for key in keys {
      for first in values {
        for second in values {
          for (one, two) in [(nil, 5), (5, nil), (5, 6), (nil, nil)] as [(Int64?, Int64?)] {
            try keyspace.set(0, key, first, expiry: one.map { .at($0) } ?? .clear)
            let before = keyspace.value(0, key)
            try keyspace.set(0, key, second, expiry: two.map { .at($0) } ?? .keep)
            let after = keyspace.value(0, key)
            let expiry = keyspace.expiry(0, key)
            if before != first || after != second || expiry != two ?? one {
              Issue.record("key \(key.count), \(first.count) → \(second.count)")
            }
            try keyspace.expire(0, key, nil)
            try keyspace.expire(0, key, 8)
            let kept = keyspace.value(0, key)
            if kept != second { Issue.record("expiry of \(key.count), \(second.count)") }
          }
        }
      }
      keyspace.checkInvariants()
    }
    for key in keys {
      let removed = keyspace.remove(0, key)
      #expect(removed)
    }
    let left = keyspace.byteCount
    #expect(left == 0)
  }

  @Test func appendGrowsThroughAllForms() throws {
    var keyspace = makeKeyspace(0)
    var expected: Bytes = []
    try keyspace.set(0, bytes("key"), [], expiry: .at(3))
    var moves = 0
    var address: UnsafeMutableRawPointer?
    for step in 0..<3000 {
      let tail = Bytes(repeating: UInt8(truncatingIfNeeded: step), count: step % 60)
      expected += tail
      let length = try keyspace.append(0, bytes("key"), tail)
      #expect(length == expected.count)
      let now = keyspace.find(0, bytes("key"))!.entry.value.baseAddress
      if now != address { moves += 1 }
      address = now
    }
    let value = keyspace.value(0, bytes("key"))
    #expect(value == expected)
    let expiry = keyspace.expiry(0, bytes("key"))
    #expect(expiry == 3)
    // Amortised: by size classes, which are a quarter of a power of two apart.
    print("\(moves) moves for 3000 appends, \(expected.count) bytes")
    #expect(moves < 60)
    keyspace.checkInvariants()
  }

  @Test func overwriteFillsHolesWithZeros() throws {
    var keyspace = makeKeyspace(0)
    for offset in [0, 5, 44, 16380, 16384, 100_000] {
      try keyspace.set(0, bytes("key"), bytes("abc"))
      let length = try keyspace.overwrite(0, bytes("key"), offset, bytes("xyz"))
      var expected = bytes("abc")
      if offset > 3 { expected += Bytes(repeating: 0, count: offset - 3) }
      expected.replaceSubrange(offset..<min(expected.count, offset + 3), with: bytes("xyz"))
      #expect(length == expected.count)
      let value = keyspace.value(0, bytes("key"))
      #expect(value == expected)
      keyspace.checkInvariants()
    }
    let none = try keyspace.overwrite(0, bytes("key"), 3, [])
    #expect(none == 100_003)
  }

  @Test func accessClock() throws {
    var keyspace = makeKeyspace(0)
    try keyspace.set(0, bytes("key"), bytes("value"), clock: 0xff12_3456)
    let ref = keyspace.find(0, bytes("key"))!
    let first = keyspace.accessClock(of: ref)
    #expect(first == 0x12_3456)
    keyspace.touch(ref, 77)
    let second = keyspace.accessClock(of: ref)
    #expect(second == 77)
    try keyspace.expire(0, bytes("key"), 5)
    let third = keyspace.find(0, bytes("key")).map { keyspace.accessClock(of: $0) }
    #expect(third == 77)
    let value = keyspace.value(0, bytes("key"))
    #expect(value == bytes("value"))
  }
}

/// Large values on their way in.
@Suite struct LargeValueTests {
  @Test func claimedLengthAllocatesNothing() throws {
    var value = LargeValue(expected: 512 << 20)
    let claimed = value.allocatedByteCount
    #expect(claimed == 0)
    try value.append(Bytes(repeating: 7, count: 10).span.bytes)
    let taken = value.allocatedByteCount
    #expect(taken <= 32 << 10)
    let isComplete = value.isComplete
    #expect(!isComplete)
  }

  @Test(arguments: [32 << 10, (32 << 10) + 1, 1 << 20, (1 << 20) + 1, 5_000_000])
  func receivedInPieces(count: Int) throws {
    var value = LargeValue(expected: count)
    var sent = 0
    var moves = 0
    while !value.isComplete {
      let piece = min(count - sent, 7000 + sent / 10)
      if sent % 3 == 0 {
        try value.append(pattern(sent, piece).span.bytes)
        sent += piece
      } else {
        let before = value.roomByteCount
        try value.room(atLeast: min(piece, 1000))
        if value.roomByteCount > before { moves += 1 }
        let filled = min(piece, value.roomByteCount)
        let bytes = pattern(sent, filled)
        unsafe value.roomAddress!.copyMemory(from: bytes, byteCount: filled)
        value.filled(filled)
        sent += filled
      }
    }
    #expect(moves < 10)
    let received = value.bytes.array
    #expect(received == pattern(0, count))
    var keyspace = makeKeyspace(0)
    let key = bytes("key")
    try keyspace.setValue(
      0, keyspace.hash(key), key.span.bytes, value, over: nil, expiry: .at(4), clock: 0)
    keyspace.checkInvariants()
    let stored = keyspace.value(0, key)
    #expect(stored == pattern(0, count))
    // EXPIRE and SET … KEEPTTL do not copy it.
    let address = keyspace.find(0, key)!.entry.value.baseAddress
    try keyspace.expire(0, key, nil)
    let after = keyspace.find(0, key)!.entry.value.baseAddress
    #expect(address == after)
    let length = try keyspace.append(0, key, bytes("more"))
    #expect(length == count + 4)
    let removed = keyspace.remove(0, key)
    #expect(removed)
    let hasGrave = keyspace.hasGrave
    #expect(hasGrave == (count >= 1 << 20))
    keyspace.buryAll()
    keyspace.checkInvariants()
  }

  private func pattern(_ start: Int, _ count: Int) -> Bytes {
    (start..<start + count).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8 ^ $0 >> 16) }
  }

  @Test func roomIsNeverMoreThanWhatIsMissing() throws {
    var value = LargeValue(expected: 33000)
    try value.room(atLeast: 33000)
    let room = value.roomByteCount
    #expect(room == 33000)
    do {
      var span = value.room
      span.withUnsafeMutableBytes { bytes in
        #expect(bytes.count == 33000)
        bytes.initializeMemory(as: UInt8.self, repeating: 9)
      }
    }
    value.filled(33000)
    let isComplete = value.isComplete
    let rest = value.roomByteCount
    #expect(isComplete && rest == 0)
  }
}
