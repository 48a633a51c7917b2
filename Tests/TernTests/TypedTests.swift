import Tern
import Testing

/// LocalShard without the protocol.
@Suite struct TypedTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func commands() throws {
    var shard = try LocalShard()
    shard.setTime(milliseconds: 1_000_000)
    let key = bytes("k")
    #expect(!shard.exists(key.span.bytes))
    #expect(shard.set("k", "10"))
    #expect(try shard.increment(key.span.bytes) == 11)
    #expect(try shard.increment(key.span.bytes, by: .min) == .min + 11)
    #expect(shard.get("k") == "\(Int64.min + 11)")
    #expect(throws: TernError.overflow) {
      try shard.increment(key.span.bytes, by: -12)
    }
    #expect(try shard.expire(key.span.bytes, after: 10))
    shard.setTime(milliseconds: 1_000_009)
    #expect(shard.exists(key.span.bytes))
    shard.setTime(milliseconds: 1_000_010)
    #expect(!shard.exists(key.span.bytes))
    #expect(try !shard.expire(key.span.bytes, after: 10))
    try shard.set(key.span.bytes, bytes("v").span.bytes, expiringAfter: 5)
    #expect(shard.statistics.expiringKeys == 1)
    #expect(throws: TernError.invalidExpiry) {
      try shard.expire(key.span.bytes, after: .max)
    }
    #expect(throws: TernError.notAnInteger) { try shard.increment(key.span.bytes) }
    #expect(shard.delete(key.span.bytes))
    #expect(!shard.delete(key.span.bytes))
    #expect(shard.statistics.keys == 0)
    #expect(shard.statistics.bytes == 0)
    #expect(shard.statistics.expired == 1)
  }

  @Test(arguments: [Int64.min, -1, 0, 1 << 52, .max]) func anyTime(milliseconds: Int64) throws {
    var shard = try LocalShard()
    shard.setTime(milliseconds: milliseconds)
    shard.set("k", "v")
    #expect(try shard.expire(bytes("k").span.bytes, after: 1))
    #expect(shard.get("k") == "v")
    _ = shard.housekeep()
  }

  /// Batches of every size around the groups of 16: values as single calls give them, in order.
  @Test func batches() throws {
    var shard = try LocalShard(hashSeed: (7, 8))
    for i in 0..<1000 where i % 3 != 0 { shard.set("key:\(i)", i % 3 == 1 ? "\(i)" : "value \(i)") }
    let before = shard.statistics
    var keys = KeyList()
    var asked = 0
    for count in 0..<70 {
      keys.removeAll()
      for i in 0..<count { keys.append("key:\((i * 37 + count) % 1000)") }
      #expect(keys.count == count)
      var given: [String?] = []
      shard.get(keys) { place, value in
        #expect(place == given.count)
        given.append(
          value.map { unsafe $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } })
      }
      asked += count
      #expect(given == (0..<count).map { shard.get("key:\(($0 * 37 + count) % 1000)") })
    }
    let after = shard.statistics
    #expect(after.hits + after.misses - before.hits - before.misses == UInt64(2 * asked))
    #expect(after.keys == 666)
  }

  /// The same seed and the same commands give the same state; clients see what typed calls did.
  @Test func statisticsAndRequests() throws {
    var shard = try LocalShard(hashSeed: (1, 9))
    guard let client = shard.connect() else { return }
    shard.set("a", "1")
    #expect(shard.get("b") == nil)
    shard.receive(bytes("INCR a\r\nGET a\r\nNONE\r\n").span.bytes, from: client)
    let replies = String(decoding: shard.takeReplies(to: client), as: UTF8.self)
    #expect(replies.hasPrefix(":2\r\n$1\r\n2\r\n-ERR unknown command"))
    let statistics = shard.statistics
    #expect(statistics.commands == 5)
    #expect(statistics.hits == 1)
    #expect(statistics.misses == 1)
    #expect(statistics.errorReplies == 1)
    #expect(statistics.keys == 1)
  }
}
