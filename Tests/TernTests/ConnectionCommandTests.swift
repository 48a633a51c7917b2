import Engine
import Tern
import Testing
import Transcript

@Suite struct ConnectionCommandTests {
  @Test func simpleOnes() throws {
    var talk = try Talk()
    talk.expect(
      """
      PING                 => +PONG
      ping "a b"           => "a b"
      PING ""              => ""
      PING a b             => -ERR wrong number of arguments for 'ping' command
      ECHO "a\\r\\nb"      => "a\\r\\nb"
      ECHO                 => -ERR wrong number of arguments for 'echo' command
      SELECT 0             => +OK
      SELECT 1             => -ERR SELECT is not allowed in cluster mode
      SELECT -1            => -ERR SELECT is not allowed in cluster mode
      SELECT x             => -ERR value is not an integer or out of range
      SELECT 99999999999   => -ERR value is not an integer or out of range
      READONLY             => +OK
      READWRITE            => +OK
      ASKING               => +OK
      GET k                => nil
      NOPE                 => -ERR unknown command 'NOPE', with args beginning with: 
      NOPE a "b\\r\\nc"    => -ERR unknown command 'NOPE', with args beginning with: 'a' 'b  c' 
      "no\\r\\npe"         => -ERR unknown command 'no  pe', with args beginning with: 
      QUIT                 => +OK
      PING                 => 
      """)
  }

  /// Redis shows 128 bytes of the name and about as many of the arguments.
  @Test func unknownCommandsAreCut() throws {
    var talk = try Talk()
    let x = String(repeating: "x", count: 200)
    let name = talk.ask(x)
    #expect(
      name == "-ERR unknown command '\(x.prefix(128))', with args beginning with: ")
    let arguments = talk.ask("NOPE", x, x)
    #expect(
      arguments == "-ERR unknown command 'NOPE', with args beginning with: '\(x.prefix(128))' ")
  }

  @Test func hello() throws {
    var talk = try Talk()
    let fields =
      #""server": "redis", "version": "7.2.4", "proto": :3, "id": :1, "mode": "cluster", "role": "master", "modules": []"#
    let flat = fields.replacing(": ", with: ", ").replacing(", :", with: ", :")
    talk.expect(
      """
      HELLO                => [\(flat.replacing(":3", with: ":2"))]
      HELLO 3              => {\(fields)}
      HELLO                => {\(fields)}
      GET k                => nil
      HELLO 2 SETNAME me   => [\(flat.replacing(":3", with: ":2"))]
      CLIENT GETNAME       => "me"
      HELLO 4              => -NOPROTO unsupported protocol version
      HELLO 1              => -NOPROTO unsupported protocol version
      HELLO x              => -ERR Protocol version is not an integer or out of range
      HELLO 3 FOO          => -ERR Syntax error in HELLO option 'FOO'
      HELLO 3 SETNAME      => -ERR Syntax error in HELLO option 'SETNAME'
      HELLO 3 AUTH default => -ERR Syntax error in HELLO option 'AUTH'
      HELLO 3 SETNAME "a b" => -ERR Client names cannot contain spaces, newlines or special characters.
      HELLO 3 AUTH other x => -WRONGPASS invalid username-password pair or user is disabled.
      CLIENT GETNAME       => "me"
      HELLO 3 AUTH default any SETNAME you => {\(fields)}
      CLIENT GETNAME       => "you"
      RESET                => +RESET
      CLIENT GETNAME       => nil
      HELLO                => [\(flat.replacing(":3", with: ":2"))]
      """)
  }

  @Test func resp3() throws {
    var talk = try Talk()
    _ = talk.ask("HELLO", "3")
    for (words, bytes) in [
      (["GET", "k"], "_\r\n"), (["MGET", "k", "k"], "*2\r\n_\r\n_\r\n"), (["RANDOMKEY"], "_\r\n"),
      (["CLIENT", "GETNAME"], "_\r\n"), (["COMMAND", "INFO", "nope"], "*1\r\n_\r\n"),
      (["CONFIG", "GET", "maxmemory"], "%1\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"),
      (["SET", "k", "v", "XX"], "_\r\n"), (["OBJECT", "ENCODING", "k"], "_\r\n"),
    ] {
      let reply = String(
        decoding: talk.answers(to: request(words.map { Array($0.utf8) })), as: UTF8.self)
      #expect(reply == bytes)
    }
    for words in [["INFO"], ["CLIENT", "INFO"], ["CLUSTER", "INFO"], ["CLUSTER", "NODES"]] {
      let reply = shown(talk.answers(to: request(words.map { Array($0.utf8) })))
      #expect(reply.hasPrefix("txt:\""), "\(words)")
    }
    _ = talk.ask("HELLO", "2")
    let null = String(decoding: talk.answers(to: request("GET", "k")), as: UTF8.self)
    #expect(null == "$-1\r\n")
    let info = String(decoding: talk.answers(to: request("COMMAND", "INFO", "x")), as: UTF8.self)
    #expect(info == "*1\r\n*-1\r\n")
  }

  @Test func client() throws {
    var talk = try Talk()
    talk.expect(
      """
      CLIENT ID            => :1
      CLIENT GETNAME       => nil
      CLIENT SETNAME me    => +OK
      CLIENT GETNAME       => "me"
      CLIENT SETNAME ""    => +OK
      CLIENT GETNAME       => nil
      CLIENT SETINFO lib-name jedis => +OK
      CLIENT SETINFO LIB-VER 1.2 => +OK
      CLIENT SETINFO FOO x => -ERR Unrecognized option 'FOO'
      CLIENT SETINFO LIB-NAME "a b" => -ERR lib-name cannot contain spaces, newlines or special characters.
      CLIENT SETINFO LIB-VER "a\\nb" => -ERR lib-ver cannot contain spaces, newlines or special characters.
      CLIENT               => -ERR wrong number of arguments for 'client' command
      CLIENT NOPE          => -ERR unknown subcommand 'NOPE'. Try CLIENT HELP.
      CLIENT SETNAME       => -ERR wrong number of arguments for 'client|setname' command
      CLIENT ID x          => -ERR wrong number of arguments for 'client|id' command
      CLIENT HELP          => [+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:…
      """)
    let info = talk.ask("CLIENT", "INFO")
    #expect(info.contains("id=1 "))
    #expect(info.contains(" lib-name=jedis lib-ver=1.2"))
    #expect(info.contains(" cmd=client|info "))
    #expect(info.contains(" resp=2 "))
    #expect(info.contains(" age=0 idle=0 "))
  }

  /// Every byte, alone and within a name.
  @Test func namesAreValidated() throws {
    var talk = try Talk()
    for byte in UInt8.min...UInt8.max {
      for name in [[byte], [97, byte, 98]] {
        let words = ["CLIENT", "SETNAME"].map { Array($0.utf8) } + [name]
        let reply = talk.ask(bytes: request(words))
        let isValid = (33...126).contains(byte)
        #expect(
          reply
            == (isValid
              ? "+OK" : "-ERR Client names cannot contain spaces, newlines or special characters."))
      }
    }
  }

  @Test func idsAreNotReused() throws {
    var talk = try Talk()
    for id in 2...100 {
      guard let other = talk.shard.connect() else { throw EngineOutOfMemory() }
      talk.shard.receive(request("CLIENT", "ID").span.bytes, from: other)
      let reply = shown(talk.shard.takeReplies(to: other))
      #expect(reply == ":\(id)")
      talk.shard.disconnect(other)
    }
  }
}
