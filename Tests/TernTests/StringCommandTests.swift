import Engine
import Testing
import Transcript

@Suite struct StringCommandTests {
  @Test func getAndSet() throws {
    var talk = try Talk()
    talk.expect(
      """
      GET k                => nil
      SET k v              => +OK
      GET k                => "v"
      get k                => "v"
      SET k ""             => +OK
      GET k                => ""
      SET "" empty         => +OK
      GET ""               => "empty"
      SET "a\\x00b" "\\xff\\r\\n" => +OK
      GET "a\\x00b"        => "\\xff\\r\\n"
      SET k 12             => +OK
      GET k                => "12"
      GET                  => -ERR wrong number of arguments for 'get' command
      GET a b              => -ERR wrong number of arguments for 'get' command
      SET k                => -ERR wrong number of arguments for 'set' command
      """)
  }

  @Test func setOptions() throws {
    var talk = try Talk()
    talk.expect(
      """
      SET k 1 XX           => nil
      SET k 1 NX           => +OK
      SET k 2 nx           => nil
      SET k 2 xx           => +OK
      SET k 3 GET          => "2"
      SET new 1 GET        => nil
      GET new              => "1"
      SET k 4 NX GET       => "3"
      GET k                => "3"
      SET other 4 NX GET   => nil
      GET other            => "4"
      SET third 4 XX GET   => nil
      GET third            => nil
      SET k 5 XX GET       => "3"
      SET k v EX 10        => +OK
      TTL k                => :10
      SET k v              => +OK
      TTL k                => :-1
      SET k v PX 1500      => +OK
      PTTL k               => :1500
      SET k w KEEPTTL      => +OK
      PTTL k               => :1500
      SET k w EXAT 1100    => +OK
      PTTL k               => :100000
      SET k w PXAT 1000001 => +OK
      PTTL k               => :1
      SET k w GET KEEPTTL XX => "w"
      PTTL k               => :1
      SET k w PXAT 999999  => +OK
      GET k                => nil
      SET k v NX NX        => +OK
      SET k v NX XX        => -ERR syntax error
      SET k v XX NX        => -ERR syntax error
      SET k v EX           => -ERR syntax error
      SET k v EX 10 PX 10  => -ERR syntax error
      SET k v EX 10 EX 10  => -ERR syntax error
      SET k v EX 10 KEEPTTL => -ERR syntax error
      SET k v KEEPTTL PX 10 => -ERR syntax error
      SET k v FOO          => -ERR syntax error
      SET k v EX 0         => -ERR invalid expire time in 'set' command
      SET k v EX -1        => -ERR invalid expire time in 'set' command
      SET k v PX 0         => -ERR invalid expire time in 'set' command
      SET k v EX 9223372036854775807 => -ERR invalid expire time in 'set' command
      SET k v EX 9223372036854775 => -ERR invalid expire time in 'set' command
      SET k v PX 9223372036854775807 => -ERR invalid expire time in 'set' command
      SET k v EX ten       => -ERR value is not an integer or out of range
      SET k v EX 1.5       => -ERR value is not an integer or out of range
      SET k v EX ""        => -ERR value is not an integer or out of range
      GET k                => "v"
      """)
  }

  @Test func severalKeys() throws {
    var talk = try Talk()
    talk.expect(
      """
      MSET {a}1 1 {a}2 two => +OK
      MGET {a}1 {a}2 {a}3  => ["1", "two", nil]
      MGET {a}1 {a}1       => ["1", "1"]
      MSET {a}1 x {a}1 y   => +OK
      GET {a}1             => "y"
      SET {a}2 v EX 10     => +OK
      MSET {a}2 v          => +OK
      TTL {a}2             => :-1
      MSET a               => -ERR wrong number of arguments for 'mset' command
      MSET {a}1 1 {a}2     => -ERR wrong number of arguments for 'mset' command
      MGET                 => -ERR wrong number of arguments for 'mget' command
      MGET a b             => -CROSSSLOT Keys in request don't hash to the same slot
      MSET a 1 b 2         => -CROSSSLOT Keys in request don't hash to the same slot
      GET a                => nil
      """)
  }

  /// More keys than a stage of prefetching has, and than a batch.
  @Test(arguments: [15, 16, 17, 31, 32, 33, 200]) func manyKeys(count: Int) throws {
    var talk = try Talk()
    let keys = (0..<count).map { "{t}:\($0)" }
    talk.expect(["MSET"] + keys.flatMap { [$0, "v" + $0] }, "+OK")
    let values = keys.map { "\"v\($0)\"" }.joined(separator: ", ")
    talk.expect(["MGET"] + keys, "[\(values)]")
    talk.expect(["MGET", "{t}:none"] + keys, "[nil, \(values)]")
    talk.expect(["EXISTS"] + keys, ":\(count)")
    talk.expect(["DEL"] + keys + keys, ":\(count)")
    #expect(talk.keyCount == 0)
  }

  @Test func increments() throws {
    var talk = try Talk()
    talk.expect(
      """
      INCR n               => :1
      INCRBY n 41          => :42
      DECR n               => :41
      DECRBY n 50          => :-9
      DECRBY n -9          => :0
      GET n                => "0"
      SET n 9223372036854775806 => +OK
      INCR n               => :9223372036854775807
      INCR n               => -ERR increment or decrement would overflow
      GET n                => "9223372036854775807"
      INCRBY n -1          => :9223372036854775806
      SET n -9223372036854775807 => +OK
      DECR n               => :-9223372036854775808
      DECR n               => -ERR increment or decrement would overflow
      DECRBY n 1           => -ERR increment or decrement would overflow
      INCRBY n -1          => -ERR increment or decrement would overflow
      DECRBY n -9223372036854775808 => -ERR decrement would overflow
      INCRBY n 9223372036854775808 => -ERR value is not an integer or out of range
      INCRBY n one         => -ERR value is not an integer or out of range
      INCRBY n             => -ERR wrong number of arguments for 'incrby' command
      SET s one            => +OK
      INCR s               => -ERR value is not an integer or out of range
      SET s " 1"           => +OK
      INCR s               => -ERR value is not an integer or out of range
      SET s 01             => +OK
      INCR s               => -ERR value is not an integer or out of range
      SET s +1             => +OK
      INCR s               => -ERR value is not an integer or out of range
      SET s -0             => +OK
      INCR s               => -ERR value is not an integer or out of range
      GET s                => "-0"
      SET s ""             => +OK
      INCR s               => -ERR value is not an integer or out of range
      SET e 5 EX 100       => +OK
      INCR e               => :6
      TTL e                => :100
      """)
  }

  @Test func appends() throws {
    var talk = try Talk()
    talk.expect(
      """
      APPEND k ab          => :2
      APPEND k cd          => :4
      GET k                => "abcd"
      STRLEN k             => :4
      STRLEN none          => :0
      APPEND k ""          => :4
      SET n 12             => +OK
      STRLEN n             => :2
      APPEND n 3           => :3
      GET n                => "123"
      INCR n               => :124
      STRLEN n             => :3
      SET n -9223372036854775808 => +OK
      STRLEN n             => :20
      APPEND e 5           => :1
      INCR e               => :6
      SET t a EX 100       => +OK
      APPEND t b           => :2
      TTL t                => :100
      APPEND k             => -ERR wrong number of arguments for 'append' command
      STRLEN               => -ERR wrong number of arguments for 'strlen' command
      """)
  }

  /// Through every size class, the limit where values lie apart, and past a mebibyte.
  @Test func appendsGrow() throws {
    var talk = try Talk()
    var value: [UInt8] = []
    var step = 1
    while value.count < 2 << 20 {
      let piece = [UInt8](repeating: UInt8(97 + step % 26), count: step)
      value += piece
      let reply = talk.ask(bytes: request([Array("APPEND".utf8), [107], piece]))
      #expect(reply == ":\(value.count)")
      if step < 3000 || value.count > 1 << 20 {
        let got = talk.answers(to: request("GET", "k"))
        #expect(got == Array("$\(value.count)\r\n".utf8) + value + [13, 10])
      }
      step += max(1, step / 3)
    }
    talk.expect("STRLEN k => :\(value.count)\nDEL k => :1\n!")
    #expect(talk.byteCount == 0)
  }

  @Test func appendRespectsTheLongestBulk() throws {
    var settings = Settings()
    settings.protoMaxBulkLength = 1 << 20
    var talk = try Talk(settings: settings)
    let most = String(repeating: "x", count: 1 << 20)
    talk.expect(["SET", "k", most], "+OK")
    talk.expect(
      """
      APPEND k ""          => :1048576
      APPEND k x           => -ERR string exceeds maximum allowed size (proto-max-bulk-len)
      STRLEN k             => :1048576
      """)
  }

  @Test func encodings() throws {
    var talk = try Talk()
    func x(_ count: Int) -> String { String(repeating: "x", count: count) }
    talk.expect(
      """
      OBJECT ENCODING none => nil
      SET k 1              => +OK
      OBJECT ENCODING k    => "int"
      SET k 9223372036854775807 => +OK
      object encoding k    => "int"
      SET k 9223372036854775808 => +OK
      OBJECT ENCODING k    => "embstr"
      SET k -9223372036854775808 => +OK
      OBJECT ENCODING k    => "int"
      SET k 01             => +OK
      OBJECT ENCODING k    => "embstr"
      SET k ""             => +OK
      OBJECT ENCODING k    => "embstr"
      SET k \(x(44))       => +OK
      OBJECT ENCODING k    => "embstr"
      SET k \(x(45))       => +OK
      OBJECT ENCODING k    => "raw"
      SET k \(x(20000))    => +OK
      OBJECT ENCODING k    => "raw"
      SET k a              => +OK
      APPEND k b           => :2
      OBJECT ENCODING k    => "raw"
      SET k ab             => +OK
      OBJECT ENCODING k    => "embstr"
      SET k 1              => +OK
      APPEND k 2           => :2
      OBJECT ENCODING k    => "raw"
      INCR k               => :13
      OBJECT ENCODING k    => "int"
      SET k v EX 100       => +OK
      OBJECT ENCODING k    => "embstr"
      OBJECT               => -ERR wrong number of arguments for 'object' command
      OBJECT ENCODING      => -ERR wrong number of arguments for 'object|encoding' command
      OBJECT NOPE k        => -ERR unknown subcommand 'NOPE'. Try OBJECT HELP.
      OBJECT HELP          => [+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, +ENCODING <key>,…
      """)
  }

  @Test func longKeysAndValues() throws {
    var talk = try Talk()
    for keyCount in [1, 254, 255, 256, 257, 70000] {
      for valueCount in [0, 1, 15, 16, 1023, 1024, 1025, 16383, 16384, 16385, 40000, 100_000] {
        let key = [UInt8](repeating: 107, count: keyCount)
        let value = (0..<valueCount).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let set = talk.ask(bytes: request([Array("SET".utf8), key, value]))
        #expect(set == "+OK")
        let got = talk.answers(to: request([Array("GET".utf8), key]))
        #expect(got == Array("$\(valueCount)\r\n".utf8) + value + [13, 10])
      }
    }
    #expect(talk.keyCount == 6)
  }
}
