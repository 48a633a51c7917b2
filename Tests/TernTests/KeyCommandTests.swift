import Testing
import Transcript

@Suite struct KeyCommandTests {
  @Test func deleteAndExist() throws {
    var talk = try Talk()
    talk.expect(
      """
      MSET {a}1 1 {a}2 2 {a}3 3 => +OK
      EXISTS {a}1          => :1
      EXISTS {a}1 {a}1 {a}9 {a}2 => :3
      TYPE {a}1            => +string
      TYPE none            => +none
      DEL {a}1 {a}9 {a}1   => :1
      EXISTS {a}1          => :0
      UNLINK {a}2 {a}3     => :2
      UNLINK {a}2          => :0
      DBSIZE               => :0
      DEL                  => -ERR wrong number of arguments for 'del' command
      UNLINK               => -ERR wrong number of arguments for 'unlink' command
      EXISTS               => -ERR wrong number of arguments for 'exists' command
      TYPE                 => -ERR wrong number of arguments for 'type' command
      TYPE a b             => -ERR wrong number of arguments for 'type' command
      DEL a b              => -CROSSSLOT Keys in request don't hash to the same slot
      EXISTS a b           => -CROSSSLOT Keys in request don't hash to the same slot
      UNLINK a b           => -CROSSSLOT Keys in request don't hash to the same slot
      """)
  }

  @Test func expireOptions() throws {
    var talk = try Talk()
    talk.expect(
      """
      EXPIRE k 10          => :0
      SET k v              => +OK
      EXPIRE k 10 XX       => :0
      EXPIRE k 10 GT       => :0
      EXPIRE k 10 LT       => :1
      TTL k                => :10
      PERSIST k            => :1
      PERSIST k            => :0
      PERSIST none         => :0
      EXPIRE k 10 NX       => :1
      EXPIRE k 20 NX       => :0
      EXPIRE k 10 GT       => :0
      EXPIRE k 11 gt       => :1
      EXPIRE k 11 LT       => :0
      EXPIRE k 9 lt        => :1
      EXPIRE k 12 XX       => :1
      EXPIRE k 13 XX GT    => :1
      EXPIRE k 13 XX LT    => :0
      EXPIRE k 13 XX XX    => :1
      TTL k                => :13
      PEXPIRE k 1499       => :1
      PTTL k               => :1499
      TTL k                => :1
      PEXPIRE k 1500       => :1
      TTL k                => :2
      PEXPIRE k 499        => :1
      TTL k                => :0
      TTL none             => :-2
      PTTL none            => :-2
      SET k v              => +OK
      PTTL k               => :-1
      EXPIRE k 1 NX XX     => -ERR NX and XX, GT or LT options at the same time are not compatible
      EXPIRE k 1 NX GT     => -ERR NX and XX, GT or LT options at the same time are not compatible
      EXPIRE k 1 LT NX     => -ERR NX and XX, GT or LT options at the same time are not compatible
      EXPIRE k 1 GT LT     => -ERR GT and LT options at the same time are not compatible
      EXPIRE k 1 FOO       => -ERR Unsupported option FOO
      EXPIRE k 1 NX FOO    => -ERR Unsupported option FOO
      EXPIRE k one         => -ERR value is not an integer or out of range
      EXPIRE k 1.5         => -ERR value is not an integer or out of range
      EXPIRE k 9223372036854775807 => -ERR invalid expire time in 'expire' command
      EXPIRE k -9223372036854775808 => -ERR invalid expire time in 'expire' command
      EXPIRE k 9223372036854775 => -ERR invalid expire time in 'expire' command
      PEXPIRE k 9223372036854775807 => -ERR invalid expire time in 'pexpire' command
      PEXPIRE k 9223372036853775807 => :1
      PTTL k               => :9223372036853775807
      EXPIRE k             => -ERR wrong number of arguments for 'expire' command
      PEXPIRE k            => -ERR wrong number of arguments for 'pexpire' command
      EXPIRE k -1          => :1
      EXISTS k             => :0
      SET k v              => +OK
      PEXPIRE k 0          => :1
      DBSIZE               => :0
      SET k v              => +OK
      PEXPIRE k -9223372036854775808 => :1
      DBSIZE               => :0
      """)
  }

  /// A key is gone for every command from the millisecond of its expiry on, and is removed when it is met.
  @Test func lazyExpiry() throws {
    let commands = [
      ("GET k", "nil"), ("MGET k", "[nil]"), ("STRLEN k", ":0"), ("EXISTS k", ":0"),
      ("TYPE k", "+none"), ("TTL k", ":-2"), ("PTTL k", ":-2"), ("PERSIST k", ":0"),
      ("EXPIRE k 10", ":0"), ("DEL k", ":0"), ("UNLINK k", ":0"), ("OBJECT ENCODING k", "nil"),
      ("SET k v XX", "nil"), ("SET k v GET", "nil"), ("SET k v NX", "+OK"), ("INCR k", ":1"),
      ("DECRBY k 3", ":-3"), ("APPEND k x", ":1"), ("RANDOMKEY", "nil"),
      ("SCAN 0", #"["0", []]"#),
    ]
    for (command, reply) in commands {
      var talk = try Talk()
      talk.expect(
        """
        SET k 7 PX 100       => +OK
        @ 1000099
        EXISTS k             => :1
        @ 1000100
        \(command)           => \(reply)
        @ 1000101
        """)
      if !["+OK", ":1", ":-3"].contains(reply), command != "SET k v GET" {
        talk.expect("DBSIZE => :\(command == "SCAN 0" ? 1 : 0)\nGET k => nil")
      }
    }
  }

  @Test func writingOverAnExpiredKeyStartsAnew() throws {
    var talk = try Talk()
    talk.expect(
      """
      SET k 7 PX 100       => +OK
      @ 1000200
      INCR k               => :1
      PTTL k               => :-1
      SET l 7 PX 100       => +OK
      @ 1000400
      SET l 8 KEEPTTL      => +OK
      PTTL l               => :-1
      SET m 7 PX 100       => +OK
      @ 1000600
      SET m 8              => +OK
      PTTL m               => :-1
      MSET k 7             => +OK
      PEXPIRE k 100        => :1
      @ 1000800
      MSET k 8             => +OK
      GET k                => "8"
      """)
  }

  /// Housekeeping removes what nobody asks for, in slices.
  @Test func activeExpiry() throws {
    var talk = try Talk()
    for i in 0..<5000 {
      let expires = i % 2 == 0
      _ = talk.ask(bytes: request(["SET", "key:\(i)", "v"].map { Array($0.utf8) }))
      if expires { _ = talk.ask("PEXPIRE", "key:\(i)", "\(1000 + i)") }
    }
    talk.expect("@ 1000999\n!\nDBSIZE => :5000\n@ 1003000\n!")
    // A slice that finds little leaves the rest to the next tick.
    for _ in 0..<40 { while talk.housekeep() {} }
    #expect(talk.keyCount == 5000 - 1001)
    talk.expect("@ 9000000\n!")
    for _ in 0..<40 { while talk.housekeep() {} }
    #expect(talk.keyCount == 2500)
    let info = talk.ask("INFO", "stats")
    #expect(info.contains("expired_keys:2500"))
    let keyspace = talk.ask("INFO", "keyspace")
    #expect(keyspace.contains("keys=2500,expires=0"))
  }

  @Test func flush() throws {
    var talk = try Talk()
    talk.expect("FLUSHALL => +OK\nFLUSHDB => +OK")
    for form in ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC", "flushall sync", "FLUSHDB SYNC"] {
      for i in 0..<3000 { _ = talk.ask("SET", "key:\(i)", String(repeating: "x", count: i)) }
      _ = talk.ask("SET", "large", String(repeating: "x", count: 3 << 20))
      #expect(talk.keyCount == 3001)
      talk.expect("\(form) => +OK\nDBSIZE => :0\nGET key:1 => nil\nRANDOMKEY => nil")
      #expect(talk.byteCount == 0)
      // What was flushed is freed in slices; writes go on meanwhile.
      talk.expect("SET key:1 new => +OK")
      var slices = 0
      while talk.housekeep() { slices += 1 }
      #expect(slices >= 2)
      talk.expect("GET key:1 => \"new\"\nDEL key:1 => :1")
      #expect(talk.byteCount == 0)
    }
    talk.expect(
      """
      FLUSHALL NOW         => -ERR syntax error
      FLUSHALL ASYNC SYNC  => -ERR syntax error
      FLUSHDB 1            => -ERR syntax error
      """)
  }

  @Test func randomKey() throws {
    var talk = try Talk()
    talk.expect(
      "RANDOMKEY => nil\nRANDOMKEY x => -ERR wrong number of arguments for 'randomkey' command")
    let count = 50
    for i in 0..<count { _ = talk.ask("SET", "\(i)", "v") }
    var seen = [String: Int]()
    for _ in 0..<4000 { seen[talk.ask("RANDOMKEY"), default: 0] += 1 }
    #expect(seen.count == count)
    // 80 expected each; six standard deviations are 54.
    #expect(seen.values.allSatisfy { (26...134).contains($0) }, "\(seen)")
    // Expired keys are never given, and are removed on the way.
    for i in 1..<count { _ = talk.ask("PEXPIRE", "\(i)", "5") }
    talk.expect("@ 1000005")
    for _ in 0..<3 {
      let key = talk.ask("RANDOMKEY")
      #expect(key == "\"0\"")
    }
  }
}
