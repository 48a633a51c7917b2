import RESP
import Testing
import Transcript

@Suite struct ScanTests {
  /// Walks with SCAN to the end, calling `between` after every call; the keys that were given.
  private func walk(
    _ talk: inout Talk, _ options: [String], between: (inout Talk, Int) -> Void = { _, _ in }
  ) throws -> [String] {
    var keys: [String] = []
    var cursor = "0"
    var calls = 0
    repeat {
      let bytes = talk.answers(to: request((["SCAN", cursor] + options).map { Array($0.utf8) }))
      guard case .array(let parts) = try ReplyParser().parseAll(bytes).first, parts.count == 2,
        let next = parts[0].text, case .array(let found) = parts[1]
      else {
        Issue.record("not a reply of SCAN: \(shown(bytes))")
        return keys
      }
      keys += found.compactMap(\.text)
      // JavaScript clients parse it as a double.
      #expect((UInt64(next) ?? .max) < 1 << 53)
      cursor = next
      calls += 1
      between(&talk, calls)
      if calls > 200_000 {
        Issue.record("SCAN does not end")
        return keys
      }
    } while cursor != "0"
    return keys
  }

  @Test func texts() throws {
    var talk = try Talk()
    talk.expect(
      """
      SCAN                 => -ERR wrong number of arguments for 'scan' command
      SCAN 0               => ["0", []]
      SCAN x               => -ERR invalid cursor
      SCAN -1              => -ERR invalid cursor
      SCAN ""              => -ERR invalid cursor
      SCAN 18446744073709551616 => -ERR invalid cursor
      SCAN 0 COUNT         => -ERR syntax error
      SCAN 0 COUNT 0       => -ERR syntax error
      SCAN 0 COUNT -1      => -ERR syntax error
      SCAN 0 COUNT x       => -ERR value is not an integer or out of range
      SCAN 0 MATCH         => -ERR syntax error
      SCAN 0 FOO bar       => -ERR syntax error
      SET k v              => +OK
      SCAN 0               => ["0", ["k"]]
      SCAN 0 MATCH k COUNT 10 TYPE string => ["0", ["k"]]
      scan 0 match * type STRING => ["0", ["k"]]
      SCAN 0 TYPE list     => ["0", []]
      SCAN 0 MATCH x       => ["0", []]
      SET l v PX 1         => +OK
      @ 1000001
      SCAN 0 COUNT 100     => ["0", ["k"]]
      """)
  }

  /// Cursors that no call gave still end.
  @Test(arguments: ["1", "12345", "9007199254740991", "9007199254740992", "18446744073709551615"])
  func foreignCursors(cursor: String) throws {
    var talk = try Talk()
    for i in 0..<300 { _ = talk.ask("SET", "key:\(i)", "v") }
    var next = cursor
    var calls = 0
    repeat {
      let reply = talk.ask("SCAN", next)
      next = String(reply.dropFirst(2).prefix { $0 != "\"" })
      calls += 1
    } while next != "0" && calls < 1000
    #expect(calls < 1000)
  }

  @Test(arguments: [1, 10, 1000, 1_000_000]) func aQuietShardGivesEveryKeyOnce(count: Int) throws {
    var talk = try Talk()
    for i in 0..<1500 { _ = talk.ask("SET", "key:\(i)", "v") }
    for i in 0..<1500 { _ = talk.ask("SET", "{one slot}:\(i)", "v") }
    let keys = try walk(&talk, ["COUNT", "\(count)"])
    #expect(keys.count == 3000)
    #expect(Set(keys).count == 3000)
    let some = try walk(&talk, ["COUNT", "\(count)", "MATCH", "{one*:?[05]"])
    #expect(Set(some) == Set((1...9).flatMap { ["{one slot}:\($0)0", "{one slot}:\($0)5"] }))
  }

  /// Keys that are there from beginning to end are all given, while others come and go and tables grow, split, shrink and merge.
  @Test(arguments: [1, 2, 3]) func theGuarantee(seed: UInt64) throws {
    print("seed \(seed)")
    var talk = try Talk()
    var numbers = Numbers(seed: seed)
    let staying = (0..<200).map { "{slot}:stay:\($0)" } + (0..<100).map { "stay:\($0)" }
    for key in staying { _ = talk.ask("SET", key, "v") }
    var others: [String] = []
    var isGrowing = seed % 2 == 0
    let keys = try walk(&talk, ["COUNT", "\(seed * 4)"]) { talk, call in
      if call % 20 == 0 { isGrowing.toggle() }
      for _ in 0..<60 {
        if isGrowing || others.isEmpty {
          let tag = numbers.below(10) == 0 ? "" : "{slot}:"
          let key = "\(tag)other:\(numbers.below(1_000_000))"
          _ = talk.ask("SET", key, "v")
          others.append(key)
        } else {
          _ = talk.ask("DEL", others.swapRemove(at: numbers.below(others.count)))
        }
      }
    }
    #expect(Set(staying).subtracting(keys).isEmpty)
  }
}

/// Numbers from a seed.
struct Numbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}

extension Array {
  /// Removes an element; the last takes its place.
  fileprivate mutating func swapRemove(at index: Int) -> Element {
    swapAt(index, count - 1)
    return removeLast()
  }
}
