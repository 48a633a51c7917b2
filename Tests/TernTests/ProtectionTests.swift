import Engine
import RESP
import Tern
import Testing
import Transcript

/// Passwords, names of commands, what strangers are told.
@Suite struct ProtectionTests {
  private static let wrong = "-WRONGPASS invalid username-password pair or user is disabled."
  private static let needed = "-NOAUTH Authentication required."

  private static func settings(password: String) -> Settings {
    var settings = Settings()
    settings.requirePass = password
    return settings
  }

  @Test func aPasswordIsAskedFor() throws {
    var talk = try Talk(settings: Self.settings(password: "hunter2"))
    talk.expect(
      """
      PING                          => \(Self.needed)
      GET k                         => \(Self.needed)
      MGET {a}1 {a}2                => \(Self.needed)
      CLIENT ID                     => \(Self.needed)
      NOPE                          => -ERR unknown command 'NOPE', with args beginning with: 
      GET                           => -ERR wrong number of arguments for 'get' command
      MULTI                         => \(Self.needed)
      EXEC                          => -EXECABORT Transaction discarded because of: NOAUTH Authentication required.
      HELLO                         => -NOAUTH HELLO must be called…
      HELLO 3 SETNAME me            => -NOAUTH HELLO must be called…
      HELLO 9                       => -NOPROTO unsupported protocol version
      AUTH hunter                   => \(Self.wrong)
      AUTH hunter22                 => \(Self.wrong)
      AUTH ""                       => \(Self.wrong)
      AUTH default hunter           => \(Self.wrong)
      AUTH nobody hunter2           => \(Self.wrong)
      AUTH a b c                    => -ERR syntax error
      HELLO 3 AUTH default hunter   => \(Self.wrong)
      PING                          => \(Self.needed)
      AUTH hunter2                  => +OK
      PING                          => +PONG
      CLIENT GETNAME                => "me"
      RESET                         => +RESET
      PING                          => \(Self.needed)
      AUTH default hunter2          => +OK
      AUTH wrong                    => \(Self.wrong)
      PING                          => +PONG
      RESET                         => +RESET
      HELLO 2 AUTH default hunter2  => …
      CONFIG GET requirepass        => ["requirepass", "hunter2"]
      INFO errorstats               => …
      """)
  }

  /// Pipelined behind an AUTH, with small limits only until it has succeeded.
  @Test func limitsFallWithTheRightPassword() throws {
    let large = request("MSET", "{a}1", "1", "{a}2", "2", "{a}3", "3", "{a}4", "4", "{a}5", "5")
    var talk = try Talk(settings: Self.settings(password: "x"))
    #expect(talk.ask(bytes: request("AUTH", "x") + large) == "+OK +OK")
    var stranger = try Talk(settings: Self.settings(password: "x"))
    #expect(
      stranger.ask(bytes: request("PING") + large + request("PING"))
        == "\(Self.needed) -ERR Protocol error: unauthenticated multibulk length")
    var another = try Talk(settings: Self.settings(password: "x"))
    #expect(
      another.ask(bytes: Array("*2\r\n$4\r\nAUTH\r\n$16385\r\n".utf8))
        == "-ERR Protocol error: unauthenticated bulk length")
  }

  /// Those who were there before need no password, those who come later do, and nobody does when it is taken away.
  @Test func aPasswordThatIsSetLater() throws {
    var talk = try Talk()
    #expect(talk.ask("CONFIG", "SET", "requirepass", "secret") == "+OK")
    #expect(talk.ask("PING") == "+PONG")
    let later = try talk.connect()
    talk.shard.receive(request("PING").span.bytes, from: later)
    #expect(shown(talk.shard.takeReplies(to: later)) == Self.needed)
    #expect(talk.ask("CONFIG", "SET", "requirepass", "") == "+OK")
    talk.shard.receive(request("PING").span.bytes, from: later)
    #expect(shown(talk.shard.takeReplies(to: later)) == "+PONG")
    #expect(talk.ask("AUTH", "x").hasPrefix("-ERR AUTH <password> called without any password"))
    #expect(talk.ask("AUTH", "default", "x") == "+OK")
    #expect(
      talk.ask(
        bytes: request([Array("CONFIG".utf8), Array("SET".utf8), Array("requirepass".utf8), [0xFF]])
      )
      .hasSuffix("- the password must be UTF-8"))
  }

  @Test func commandsHaveOtherNames() throws {
    var settings = Settings()
    try settings.set("rename-command", words: ["CONFIG", ""])
    try settings.set("rename-command", words: ["flushall", "ERASE"])
    let long = "flushdb-b840fc02d524045429941cc15f59e41cb7be6c52"
    try settings.set("rename-command", words: ["FLUSHDB", long])
    #expect(throws: SettingError.self) { try settings.set("rename-command", words: ["NOPE", "X"]) }
    #expect(throws: SettingError.self) {
      try settings.set("rename-command", words: ["SET", "GET"])
    }
    #expect(throws: SettingError.self) {
      try settings.set("rename-command", words: ["CONFIG", "X"])
    }
    var talk = try Talk(settings: settings)
    talk.expect(
      """
      CONFIG GET hz   => -ERR unknown command 'CONFIG', with args beginning with: 'GET' 'hz' 
      FLUSHALL        => -ERR unknown command 'FLUSHALL', with args beginning with: 
      SET k v         => +OK
      erase           => +OK
      GET k           => nil
      SET k v         => +OK
      \(long.uppercased()) => +OK
      GET k           => nil
      CLIENT ID       => :1
      """)
  }

  @Test func strangersAreTurnedAway() throws {
    var settings = Settings()
    for local in ["127.0.0.1:5", "127.9.9.9:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
      #expect(settings.refusal(ofPeer: local) == nil)
    }
    for far in ["10.0.0.1:5", "[fd00::1]:5", "[::ffff:10.0.0.1]:5", "?:0", "1127.0.0.1:5"] {
      let refusal = try #require(settings.refusal(ofPeer: far))
      #expect(
        refusal.hasPrefix("-DENIED Redis is running in protected mode")
          && refusal.hasSuffix(".\r\n"))
    }
    settings.requirePass = "x"
    #expect(settings.refusal(ofPeer: "10.0.0.1:5") == nil)
    settings.requirePass = ""
    settings.protectedMode = false
    #expect(settings.refusal(ofPeer: "10.0.0.1:5") == nil)
  }

  /// What is a secret is in nobody's log.
  @Test func secretsAreNotShown() throws {
    var talk = try Talk(settings: Self.settings(password: "s3cret"))
    let monitor = try talk.connect()
    talk.shard.receive(
      (request("AUTH", "s3cret") + request("MONITOR")).span.bytes, from: monitor)
    #expect(shown(talk.shard.takeReplies(to: monitor)) == "+OK +OK")
    for line in [
      "AUTH s3cret", "CONFIG SET slowlog-log-slower-than 0", "AUTH default s3cret",
      "AUTH a s3cret c",
      "HELLO 3 AUTH default s3cret SETNAME n", "HELLO 2 SETNAME AUTH AUTH default s3cret",
      "HELLO 9 AUTH default s3cret", "HELLO 2 NOPE AUTH s3cret",
      "CONFIG SET requirepass s3cret hz 11", "MULTI", "AUTH s3cret",
      "CONFIG SET hz 12 requirepass s3cret",
      "EXEC", "CLIENT LIST", "INFO everything",
    ] {
      let reply = talk.ask(bytes: request(words(line)))
      #expect(!reply.contains("s3cret"), "\(line): \(reply)")
    }
    let told = shown(talk.shard.takeReplies(to: monitor))
    #expect(told.contains("(redacted)") && !told.contains("s3cret"))
    let slow = talk.ask("SLOWLOG", "GET", "-1")
    #expect(slow.contains("(redacted)") && !slow.contains("s3cret"))
    #expect(slow.contains(#""AUTH", "(redacted)", "(redacted)""#))
    #expect(slow.contains(#""requirepass", "(redacted)", "hz", "11""#))
  }
}
