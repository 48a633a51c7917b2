import Engine
import Tern
import Testing
import Transcript

@Suite struct LocalShardTests {
  /// GET and SET without the protocol see what commands see.
  @Test func typedAccess() throws {
    var talk = try Talk()
    func get(_ key: String) -> String? {
      talk.shard.get(Array(key.utf8).span.bytes) { value in
        guard let value else { return nil }
        return value.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
      }
    }
    func set(_ key: String, _ value: String) -> Bool {
      talk.shard.set(Array(key.utf8).span.bytes, Array(value.utf8).span.bytes)
    }
    #expect(get("k") == nil)
    for value in [
      "v", "", "12", "-9223372036854775808", "012", String(repeating: "x", count: 50_000),
    ] {
      #expect(set("k", value))
      #expect(get("k") == value)
      let length = talk.ask("STRLEN", "k")
      #expect(length == ":\(value.count)")
    }
    #expect(set("k", "12"))
    talk.expect(
      """
      OBJECT ENCODING k    => "int"
      SET k v PX 10        => +OK
      """)
    #expect(set("k", "w"))
    talk.expect("PTTL k => :-1\nSET k v PX 10 => +OK\n@ 1000010")
    #expect(get("k") == nil)
    #expect(talk.keyCount == 0)
  }

  /// Several clients, each with its own replies, taken in pieces.
  @Test func severalClients() throws {
    var talk = try Talk()
    guard let other = talk.shard.connect() else { throw EngineOutOfMemory() }
    talk.shard.receive(request("SET", "k", "v").span.bytes, from: talk.client)
    talk.shard.receive(request("GET", "k").span.bytes, from: other)
    talk.shard.receive(request("PING").span.bytes, from: talk.client)
    let mine = shown(talk.shard.takeReplies(to: talk.client))
    #expect(mine == "+OK +PONG")
    var bytes: [UInt8] = []
    while let byte = first(talk.shard.reply(to: other)) {
      bytes.append(byte)
      talk.shard.replied(1, to: other)
    }
    #expect(shown(bytes) == "\"v\"")
    talk.shard.disconnect(other)
    talk.expect("PING => +PONG")
  }

  private func first(_ bytes: RawSpan) -> UInt8? {
    bytes.byteCount == 0 ? nil : bytes.unsafeLoad(as: UInt8.self)
  }

  /// Everything that keys take is given back with them.
  @Test func nothingIsLeft() throws {
    var talk = try Talk()
    for i in 0..<3000 {
      _ = talk.ask("SET", "key:\(i % 700)", String(repeating: "x", count: (i * 7919) % 3000))
      if i % 3 == 0 { _ = talk.ask("PEXPIRE", "key:\(i % 700)", "100") }
      if i % 5 == 0 { _ = talk.ask("APPEND", "key:\(i % 700)", "tail") }
    }
    #expect(talk.keyCount > 0)
    #expect(talk.byteCount > 0)
    for i in 0..<700 { _ = talk.ask("DEL", "key:\(i)") }
    talk.expect("DBSIZE => :0\n!")
    #expect(talk.byteCount == 0)
  }
}
