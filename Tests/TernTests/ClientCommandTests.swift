import Engine
import RESP
import Tern
import Testing
import Transcript

/// CLIENT: the clients of a shard, as an operator sees and ends them. Transcripts speak for the first client, `say` for others.
@Suite struct ClientCommandTests {
  private static func say(
    _ line: String, _ talk: inout Talk, _ client: ClientID
  ) -> String {
    talk.shard.receive(request(words(line)).span.bytes, from: client)
    return shown(talk.shard.takeReplies(to: client))
  }

  @Test func refusals() throws {
    var talk = try Talk()
    talk.expect(
      """
      CLIENT LIST x                 => -ERR syntax error
      CLIENT LIST TYPE x            => -ERR Unknown client type 'x'
      CLIENT LIST TYPE pubsub       => ""
      CLIENT LIST TYPE replica      => ""
      CLIENT LIST ID                => -ERR syntax error
      CLIENT LIST ID x              => -ERR Invalid client ID
      CLIENT LIST ID 0 99 -1        => ""
      CLIENT KILL x                 => -ERR No such client
      CLIENT KILL ID 0              => -ERR client-id should be greater than 0
      CLIENT KILL ID 99             => :0
      CLIENT KILL ID 99 x           => -ERR syntax error
      CLIENT KILL TYPE x            => -ERR Unknown client type 'x'
      CLIENT KILL USER x            => -ERR No such user 'x'
      CLIENT KILL MAXAGE x          => -ERR maxage is not an integer or out of range
      CLIENT KILL MAXAGE 0          => -ERR maxage should be greater than 0
      CLIENT KILL SKIPME yes        => :0
      CLIENT KILL SKIPME x          => -ERR syntax error
      CLIENT NO-EVICT x             => -ERR syntax error
      CLIENT NO-EVICT on            => +OK
      CLIENT NO-TOUCH on            => +OK
      CLIENT NO-TOUCH off           => +OK
      CLIENT PAUSE x                => -ERR timeout is not an integer or out of range
      CLIENT PAUSE -1               => -ERR timeout is negative
      CLIENT PAUSE 1 x              => -ERR CLIENT PAUSE mode must be WRITE or ALL
      CLIENT UNPAUSE                => +OK
      CLIENT UNBLOCK x              => -ERR value is not an integer or out of range
      CLIENT UNBLOCK 99             => :0
      CLIENT UNBLOCK 99 x           => -ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR
      CLIENT REPLY x                => -ERR syntax error
      CLIENT REPLY on               => +OK
      CLIENT GETREDIR               => :-1
      CLIENT TRACKINGINFO           => ["flags", ["off"], "redirect", :-1, "prefixes", []]
      CLIENT HELP                   => [+CLIENT <subcommand>…
      """)
  }

  @Test func listsAndFlags() throws {
    var talk = try Talk()
    let second = try talk.connect()
    #expect(Self.say("CLIENT SETNAME two", &talk, second) == "+OK")
    #expect(Self.say("CLIENT NO-EVICT ON", &talk, second) == "+OK")
    #expect(Self.say("CLIENT NO-TOUCH ON", &talk, second) == "+OK")
    let third = try talk.connect()
    #expect(Self.say("WAIT 1 0", &talk, third) == "")
    let list = talk.ask("CLIENT", "LIST")
    let lines = list.split(separator: "\\n").dropLast()
    #expect(lines.count == 3)
    #expect(lines[0].contains("id=1 ") && lines[0].contains(" flags=N "))
    #expect(lines[0].contains(" cmd=client|list "))
    #expect(lines[1].contains("id=2 ") && lines[1].contains(" name=two "))
    #expect(lines[1].contains(" flags=eT "))
    #expect(lines[2].contains("id=3 ") && lines[2].contains(" flags=b "))
    let two = talk.ask("CLIENT", "LIST", "ID", "3", "2", "7")
    #expect(two.split(separator: "\\n").dropLast().count == 2)
    #expect(talk.ask("CLIENT", "LIST", "TYPE", "normal") == talk.ask("CLIENT", "LIST"))
  }

  @Test func killing() throws {
    var talk = try Talk()
    let others = [try talk.connect(), try talk.connect(), try talk.connect()]
    #expect(talk.ask("CLIENT", "KILL", "ID", "2") == ":1")
    // Dead is dead: nothing of it is run or answered, and it is not killed again.
    #expect(Self.say("SET k v", &talk, others[0]) == "")
    #expect(talk.ask("GET", "k") == "nil")
    #expect(talk.ask("CLIENT", "KILL", "ID", "2") == ":0")
    talk.shard.disconnect(others[0])
    talk.setTime(1_010_000)
    let young = try talk.connect()
    #expect(talk.ask("CLIENT", "KILL", "MAXAGE", "10", "USER", "default", "TYPE", "normal") == ":2")
    #expect(Self.say("PING", &talk, young) == "+PONG")
    #expect(Self.say("PING", &talk, others[1]) == "")
    // Itself last: the reply comes, what is behind it does not run.
    let replies = talk.ask(
      bytes: request("CLIENT", "KILL", "ID", "1", "SKIPME", "no") + request("SET", "k", "v"))
    #expect(replies == ":1")
    #expect(Self.say("GET k", &talk, young) == "nil")
  }

  @Test func unblocking() throws {
    var talk = try Talk()
    let other = try talk.connect()
    talk.shard.receive(
      (request("WAIT", "1", "0") + request("PING")).span.bytes, from: other)
    #expect(talk.ask("CLIENT", "UNBLOCK", "2") == ":1")
    while talk.housekeep() {}
    #expect(shown(talk.shard.takeReplies(to: other)) == ":0 +PONG")
    #expect(talk.ask("CLIENT", "UNBLOCK", "2") == ":0")
    talk.shard.receive(
      (request("WAIT", "1", "0") + request("PING")).span.bytes, from: other)
    #expect(talk.ask("CLIENT", "UNBLOCK", "2", "ERROR") == ":1")
    while talk.housekeep() {}
    #expect(
      shown(talk.shard.takeReplies(to: other))
        == "-UNBLOCKED client unblocked via CLIENT UNBLOCK +PONG")
  }

  @Test func repliesOnRequest() throws {
    var talk = try Talk()
    talk.expect(
      """
      CLIENT REPLY SKIP  => 
      PING               => 
      ECHO a             => "a"
      CLIENT REPLY SKIP  => 
      CLIENT REPLY SKIP  => 
      ECHO a             => 
      ECHO b             => "b"
      CLIENT REPLY SKIP  => 
      NOPE               => 
      ECHO c             => "c"
      CLIENT REPLY OFF   => 
      SET k v            => 
      NOPE               => 
      CLIENT REPLY SKIP  => 
      MULTI              => 
      GET k              => 
      EXEC               => 
      CLIENT REPLY ON    => +OK
      GET k              => "v"
      CLIENT REPLY OFF   => 
      CONFIG SET hz 11   => 
      CLIENT REPLY ON    => +OK
      CLIENT REPLY SKIP  => 
      CONFIG SET hz 12   => 
      CONFIG GET hz      => ["hz", "12"]
      CLIENT REPLY OFF   => 
      RESET              => +RESET
      PING               => +PONG
      """)
    // The same in one batch, while another client is answered.
    let other = try talk.connect()
    let batch = [
      "CLIENT REPLY OFF", "PING", "CLIENT REPLY ON", "CLIENT REPLY SKIP", "PING", "ECHO x",
    ]
    #expect(talk.ask(bytes: batch.flatMap { request(words($0)) }) == #"+OK "x""#)
    #expect(talk.ask("CLIENT", "REPLY", "OFF") == "")
    #expect(Self.say("PING", &talk, other) == "+PONG")
    #expect(talk.ask("PING") == "")
  }

  @Test func pauses() throws {
    var talk = try Talk()
    let other = try talk.connect()
    let third = try talk.connect()
    #expect(talk.ask("CLIENT", "PAUSE", "1000", "WRITE") == "+OK")
    #expect(Self.say("GET k", &talk, other) == "nil")
    // Put off with all behind it, and cut anywhere.
    let bytes = request("SET", "k", "1") + request("GET", "k") + request("PING")
    talk.shard.receive(Array(bytes.prefix(40)).span.bytes, from: other)
    talk.shard.receive(Array(bytes.dropFirst(40)).span.bytes, from: other)
    talk.shard.receive(
      (request("MULTI") + request("SET", "k", "2") + request("EXEC")).span.bytes, from: third)
    #expect(shown(talk.shard.takeReplies(to: other)) == "")
    #expect(shown(talk.shard.takeReplies(to: third)) == "+OK")
    #expect(talk.ask("CLIENT", "LIST", "ID", "2").contains(" flags=b "))
    #expect(talk.ask("CLIENT", "UNBLOCK", "2") == ":0")
    let late = try talk.connect()
    #expect(Self.say("PING", &talk, late) == "+PONG")
    #expect(Self.say("DEL k", &talk, late) == "")
    #expect(Self.say("QUIT", &talk, late) == "")
    talk.setTime(1_000_999)
    while talk.housekeep() {}
    #expect(shown(talk.shard.takeReplies(to: other)) == "")
    talk.setTime(1_001_000)
    while talk.housekeep() {}
    #expect(shown(talk.shard.takeReplies(to: other)) == #"+OK "1" +PONG"#)
    #expect(shown(talk.shard.takeReplies(to: third)) == "+QUEUED [+OK]")
    #expect(shown(talk.shard.takeReplies(to: late)) == ":1 +OK")
    #expect(Self.say("SET k 3", &talk, other) == "+OK")

    // All: also the one who asked for it; the longer and the stricter of two holds; QUIT goes on.
    #expect(
      talk.ask(
        bytes: request("CLIENT", "PAUSE", "5000") + request("CLIENT", "PAUSE", "1", "WRITE")
          + request("PING")) == "+OK")
    #expect(Self.say("PING", &talk, other) == "")
    #expect(Self.say("QUIT", &talk, third) == "+OK")
    talk.setTime(1_006_000)
    while talk.housekeep() {}
    #expect(shown(talk.shard.takeReplies(to: other)) == "+PONG")
    #expect(talk.ask("PING") == "+OK +PONG +PONG")
  }

  /// A value that was received apart is kept with the rest of its request.
  @Test func aLargeValueIsPutOff() throws {
    var talk = try Talk()
    let other = try talk.connect()
    let value = [UInt8](repeating: 120, count: 100_000)
    #expect(talk.ask("CLIENT", "PAUSE", "1000", "WRITE") == "+OK")
    let bytes = request([Array("SET".utf8), Array("k".utf8), value])
    talk.shard.receive(Array(bytes.prefix(1000)).span.bytes, from: other)
    talk.shard.receive(Array(bytes.dropFirst(1000)).span.bytes, from: other)
    #expect(talk.ask("STRLEN", "k") == ":0")
    #expect(talk.ask("CLIENT", "UNPAUSE") == "+OK")
    while talk.housekeep() {}
    #expect(shown(talk.shard.takeReplies(to: other)) == "+OK")
    #expect(talk.ask("STRLEN", "k") == ":100000")
  }

  @Test func touchingNot() throws {
    var talk = try Talk()
    talk.expect(
      """
      SET k v              => +OK
      CLIENT NO-TOUCH ON   => +OK
      @ 1010000
      GET k                => "v"
      OBJECT IDLETIME k    => :10
      TOUCH k              => :1
      OBJECT IDLETIME k    => :0
      @ 1020000
      GET k                => "v"
      CLIENT NO-TOUCH OFF  => +OK
      OBJECT IDLETIME k    => :10
      GET k                => "v"
      OBJECT IDLETIME k    => :0
      """)
  }

  @Test func monitoring() throws {
    var talk = try Talk()
    let monitor = try talk.connect()
    #expect(Self.say("MONITOR", &talk, monitor) == "+OK")
    #expect(talk.ask("CLIENT", "LIST", "ID", "2").contains(" flags=O "))
    _ = talk.ask("SET", "k", "a\"\\\n\r\t\u{7}\u{8}\u{1}")
    _ = talk.ask("GET", "k")
    _ = talk.ask(bytes: request("MULTI") + request("GET", "k") + request("EXEC"))
    _ = talk.ask("CONFIG", "GET", "hz")
    _ = talk.ask("NOPE")
    let told = String(decoding: talk.shard.takeReplies(to: monitor), as: UTF8.self)
    let lines = told.split(separator: "\r\n").map { $0.drop { $0 != "]" }.dropFirst(2) }
    #expect(
      lines == [
        #""SET" "k" "a\"\\\n\r\t\a\b\x01""#, #""GET" "k""#, #""MULTI""#, #""GET" "k""#, #""EXEC""#,
      ])
    #expect(told.hasPrefix("+1000.000000 [0 "))
    // It may do what touches no key; a second time it is not even answered.
    #expect(Self.say("PING", &talk, monitor).hasPrefix("+PONG +1000.0"))
    #expect(Self.say("GET k", &talk, monitor) == "-ERR Replica can't interact with the keyspace")
    #expect(Self.say("MONITOR", &talk, monitor) == "")
    #expect(
      talk.ask(bytes: request("MULTI") + request("MONITOR") + request("EXEC"))
        == "+OK +QUEUED [-ERR MONITOR isn't allowed for DENY BLOCKING client]")
    _ = talk.shard.takeReplies(to: monitor)
    #expect(Self.say("RESET", &talk, monitor) == "+RESET")
    _ = talk.ask("GET", "k")
    #expect(talk.shard.takeReplies(to: monitor) == [])
    #expect(Self.say("GET k", &talk, monitor).hasPrefix(#""a"#))
    // Gone while it listens.
    #expect(Self.say("MONITOR", &talk, monitor) == "+OK")
    talk.shard.disconnect(monitor)
    #expect(talk.ask("PING") == "+PONG")
  }
}
