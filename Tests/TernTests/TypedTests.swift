import RESP
import Tern
import Testing

// `#expect` cannot hold a span, nor a value that cannot be copied: what it looks at is found out before.
extension LocalShard {
  fileprivate mutating func exists(_ key: String) -> Bool { exists(Array(key.utf8).span.bytes) }
  fileprivate mutating func delete(_ key: String) -> Bool { delete(Array(key.utf8).span.bytes) }

  fileprivate mutating func increment(_ key: String, by number: Int64 = 1) -> Result<
    Int64, TernError
  > {
    do throws(TernError) {
      return .success(try increment(Array(key.utf8).span.bytes, by: number))
    } catch { return .failure(error) }
  }

  fileprivate mutating func expire(_ key: String, after milliseconds: Int64) -> Result<
    Bool, TernError
  > {
    do throws(TernError) {
      return .success(try expire(Array(key.utf8).span.bytes, after: milliseconds))
    } catch { return .failure(error) }
  }
}

private func text(of value: borrowing RawSpan?) -> String? {
  guard let bytes = copy value else { return nil }
  return (0..<bytes.byteCount).reduce(into: "") { text, place in
    text.unicodeScalars.append(Unicode.Scalar(bytes.byte(at: place)))
  }
}

/// LocalShard without the protocol.
@Suite struct TypedTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func commands() throws {
    var shard = try LocalShard()
    shard.setTime(milliseconds: 1_000_000)
    let found1 = shard.exists("k")
    #expect(!found1)
    let found2 = shard.set("k", "10")
    #expect(found2)
    let found3 = shard.increment("k")
    #expect(found3 == .success(11))
    let found4 = shard.increment("k", by: .min)
    #expect(found4 == .success(.min + 11))
    let found5 = shard.get("k")
    #expect(found5 == "\(Int64.min + 11)")
    let found6 = shard.increment("k", by: -12)
    #expect(found6 == .failure(.overflow))
    let found7 = shard.expire("k", after: 10)
    #expect(found7 == .success(true))
    shard.setTime(milliseconds: 1_000_009)
    let found8 = shard.exists("k")
    #expect(found8)
    shard.setTime(milliseconds: 1_000_010)
    let found9 = shard.exists("k")
    #expect(!found9)
    let found10 = shard.expire("k", after: 10)
    #expect(found10 == .success(false))
    try shard.set(bytes("k").span.bytes, bytes("v").span.bytes, expiringAfter: 5)
    #expect(shard.statistics.expiringKeys == 1)
    let found11 = shard.expire("k", after: .max)
    #expect(found11 == .failure(.invalidExpiry))
    let found12 = shard.increment("k")
    #expect(found12 == .failure(.notAnInteger))
    let found13 = shard.delete("k")
    #expect(found13)
    let found14 = shard.delete("k")
    #expect(!found14)
    #expect(shard.statistics.keys == 0)
    #expect(shard.statistics.bytes == 0)
    #expect(shard.statistics.expired == 1)
  }

  @Test(arguments: [Int64.min, -1, 0, 1 << 52, .max]) func anyTime(milliseconds: Int64) throws {
    var shard = try LocalShard()
    shard.setTime(milliseconds: milliseconds)
    shard.set("k", "v")
    let found15 = shard.expire("k", after: 1)
    #expect(found15 == .success(true))
    let found16 = shard.get("k")
    #expect(found16 == "v")
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
        given.append(text(of: value))
      }
      asked += count
      var wanted: [String?] = []
      for i in 0..<count { wanted.append(shard.get("key:\((i * 37 + count) % 1000)")) }
      #expect(given == wanted)
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
    let found17 = shard.get("b")
    #expect(found17 == nil)
    shard.receive(bytes("INCR a\r\nGET a\r\nNONE\r\n").span.bytes, from: client)
    let replies = String(decoding: shard.takeReplies(to: client), as: UTF8.self)
    #expect(replies.hasPrefix(":2\r\n$1\r\n2\r\n-ERR unknown command"))
    let statistics = shard.statistics
    #expect(statistics.commands == 4)
    #expect(statistics.hits == 1)
    #expect(statistics.misses == 1)
    #expect(statistics.errorReplies == 1)
    #expect(statistics.keys == 1)
  }
}
