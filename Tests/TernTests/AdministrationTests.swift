import Engine
import RESP
import Tern
import Testing
import Transcript

/// What the server says of itself, and DEBUG. The replies are those of redis-server 7.0.15.
@Suite struct AdministrationTests {
  private static func debuggable(_ who: String = "yes") throws -> Settings {
    var settings = Settings()
    try settings.set("enable-debug-command", to: who)
    return settings
  }

  @Test func debugIsForbiddenByDefault() throws {
    var talk = try Talk()
    let refusal =
      "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
    for words in [["DEBUG", "SLEEP", "0"], ["DEBUG", "HELP"], ["DEBUG", "NOPE"]] {
      talk.expect(words, refusal)
    }
    talk.expect(
      """
      DEBUG                => -ERR wrong number of arguments for 'debug' command
      CONFIG GET enable-debug-command => ["enable-debug-command", "no"]
      CONFIG SET enable-debug-command yes => -ERR CONFIG SET failed (possibly related to argument 'enable-debug-command') - can't set immutable config
      MULTI                => +OK
      """)
    // Refused at once, as what cannot be queued.
    talk.expect(["DEBUG", "SLEEP", "0"], refusal)
    talk.expect("EXEC => -EXECABORT Transaction discarded because of previous errors.")
    var settings = Settings()
    #expect(throws: SettingError.self) { try settings.set("enable-debug-command", to: "maybe") }
    // Without a socket a client is in this process.
    var local = try Talk(settings: Self.debuggable("local"))
    local.expect("DEBUG SLEEP 0 => +OK")
  }

  @Test func debug() throws {
    var talk = try Talk(settings: Self.debuggable())
    talk.expect(
      """
      DEBUG NOPE           => -ERR unknown subcommand or wrong number of arguments for 'NOPE'. Try DEBUG HELP.
      DEBUG SLEEP          => -ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.
      DEBUG sleep 0.01     => +OK
      DEBUG SLEEP x        => +OK
      DEBUG HELP           => [+DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:…
      DEBUG ERROR "ERR x\\r\\ny" => -ERR x  y
      DEBUG LOG hello      => +OK
      DEBUG CHANGE-REPL-ID => +OK
      DEBUG JMAP           => -ERR unknown subcommand or wrong number of arguments for 'JMAP'. Try DEBUG HELP.
      DEBUG STRINGMATCH-LEN 5 a* => -ERR unknown subcommand or wrong number of arguments for 'STRINGMATCH-LEN'. Try DEBUG HELP.
      DEBUG SET-DISABLE-DENY-SCRIPTS 1 => +OK
      DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER => +OK
      DEBUG REPLYBUFFER PEAK-RESET-TIME 100 => +OK
      DEBUG REPLYBUFFER PEAK-RESET-TIME x => -ERR value is not an integer or out of range
      DEBUG REPLYBUFFER RESIZING 0 => +OK
      DEBUG REPLYBUFFER NOPE 1 => -ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.
      DEBUG QUICKLIST-PACKED-THRESHOLD 100b => +OK
      DEBUG QUICKLIST-PACKED-THRESHOLD 4gb => +OK
      DEBUG QUICKLIST-PACKED-THRESHOLD 5gb => -ERR argument must be a memory value bigger than 1 and smaller than 4gb
      DEBUG RELOAD         => -ERR DEBUG RELOAD is not possible: keys are kept in memory only
      DEBUG RELOAD NOSAVE x => -ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.
      DEBUG HTSTATS x      => -ERR value is not an integer or out of range
      DEBUG HTSTATS 1      => -ERR Out of range database
      DEBUG HTSTATS 0      => "[Dictionary HT]…
      DEBUG OBJECT k       => -ERR no such key
      SET k 12             => +OK
      DEBUG SDSLEN k       => -ERR Not an sds encoded string.
      DEBUG LISTPACK k     => -ERR Not a listpack encoded object.
      DEBUG HTSTATS-KEY k  => -ERR The value stored at the specified key is not represented using an hash table
      DEBUG OBJECT k       => +Value at:0x…
      DEBUG POPULATE 3 p 8 => +OK
      GET p:2              => "value:2\\x00"
      DEBUG POPULATE 2     => +OK
      GET key:1            => "value:1"
      DEBUG POPULATE x     => -ERR value is out of range, must be positive
      DBSIZE               => :6
      """)
  }

  /// The digests that redis-server 7.0.15 gives for the same keys.
  @Test func digest() throws {
    var talk = try Talk(settings: Self.debuggable())
    let zero = String(repeating: "0", count: 40)
    talk.expect(
      """
      DEBUG DIGEST         => +\(zero)
      SET k v              => +OK
      SET n 12             => +OK
      SET long \(String(repeating: "a", count: 88)) => +OK
      DEBUG DIGEST         => +a2282161df21ef7e12b3b2777cf49d49d1c595c2
      DEBUG DIGEST-VALUE   => []
      DEBUG DIGEST-VALUE k n none => [+d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f, +655ac46b180ad2f61a3cee25f0b1780fa2ec879a, +\(zero)]
      EXPIRE k 100         => :1
      DEBUG DIGEST-VALUE k => [+311b17018163335616e089f6b951c82c477335ac]
      DEBUG DIGEST         => +3be71c140a4363562d7bc71fb994c162f8ed15cd
      """)
  }

  @Test func replyTypes() throws {
    var talk = try Talk(settings: Self.debuggable())
    talk.expect(
      """
      DEBUG PROTOCOL string => "Hello World"
      DEBUG PROTOCOL integer => :12345
      DEBUG PROTOCOL double => "3.141"
      DEBUG PROTOCOL bignum => "1234567999999999999999999999999999999"
      DEBUG PROTOCOL null  => nil
      DEBUG PROTOCOL array => [:0, :1, :2]
      DEBUG PROTOCOL set   => [:0, :1, :2]
      DEBUG PROTOCOL map   => [:0, :0, :1, :1, :2, :0]
      DEBUG PROTOCOL attrib => "Some real reply following the attribute"
      DEBUG PROTOCOL push  => -ERR RESP2 is not supported by this command
      DEBUG PROTOCOL verbatim => "This is a verbatim\\nstring"
      DEBUG PROTOCOL TRUE  => :1
      DEBUG PROTOCOL false => :0
      DEBUG PROTOCOL nope  => -ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false
      """)
    _ = talk.ask("HELLO", "3")
    #expect(Self.bytes("double", &talk) == ",3.141\r\n")
    #expect(Self.bytes("map", &talk) == "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n")
    #expect(Self.bytes("set", &talk) == "~3\r\n:0\r\n:1\r\n:2\r\n")
    #expect(Self.bytes("null", &talk) == "_\r\n")
    #expect(Self.bytes("bignum", &talk) == "(1234567999999999999999999999999999999\r\n")
    #expect(Self.bytes("verbatim", &talk) == "=29\r\ntxt:This is a verbatim\nstring\r\n")
    #expect(
      Self.bytes("attrib", &talk).hasPrefix(
        "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"))
    #expect(Self.bytes("push", &talk).hasPrefix(">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\n"))
  }

  private static func bytes(_ type: String, _ talk: inout Talk) -> String {
    String(decoding: talk.answers(to: request("DEBUG", "PROTOCOL", type)), as: UTF8.self)
  }

  /// Expired keys that nobody touches stay until they are looked for again.
  @Test func activeExpiry() throws {
    var talk = try Talk(settings: Self.debuggable())
    talk.expect(
      """
      DEBUG SET-ACTIVE-EXPIRE 0 => +OK
      SET k v PX 10        => +OK
      @ 1001000
      """)
    while talk.housekeep() {}
    #expect(talk.keyCount == 1)
    talk.expect("DEBUG SET-ACTIVE-EXPIRE 1 => +OK")
    while talk.housekeep() {}
    #expect(talk.keyCount == 0)
  }

  @Test func pictures() throws {
    var talk = try Talk()
    for words in [["LOLWUT"], ["LOLWUT", "VERSION", "5", "30"], ["LOLWUT", "VERSION", "9"]] {
      let text = shown(talk.answers(to: request(words.map { Array($0.utf8) })))
      #expect(text.hasSuffix("Redis ver. 7.2.4\\n\""), "\(text)")
    }
    talk.expect(
      """
      LOLWUT VERSION x     => -ERR value is not an integer or out of range
      LOLWUT VERSION 5 x   => -ERR value is not an integer or out of range
      LOLWUT VERSION 7     => "Redis ver. 7.2.4\\n"
      SWAPDB 0 1           => -ERR SWAPDB is not allowed in cluster mode
      SWAPDB a b           => -ERR SWAPDB is not allowed in cluster mode
      SWAPDB 0             => -ERR wrong number of arguments for 'swapdb' command
      """)
  }

  @Test func commandDocs() throws {
    var talk = try Talk()
    talk.expect(
      """
      COMMAND DOCS nosuch  => []
      COMMAND DOCS GETSET nosuch => ["getset", ["summary", "Replaces the string at a key and gives the old one.", "since", "1.0.0", "group", "string", "complexity", "O(1)", "doc_flags", [+deprecated], "deprecated_since", "6.2.0", "replaced_by", "`SET` with the `!GET` argument", "arguments", [["name", "key", "type", "key", "key_spec_index", :0], ["name", "value", "type", "string"]]]]
      COMMAND DOCS object|freq => ["object|freq", ["summary", …
      COMMAND DOCS asking asking => ["asking", ["summary", …
      COMMAND GETKEYSANDFLAGS SET a b => [["a", [+OW, +update]]]
      COMMAND GETKEYSANDFLAGS SET a b GET => [["a", [+RW, +access, +update]]]
      COMMAND GETKEYSANDFLAGS BITFIELD a GET u8 0 => [["a", [+RO, +access]]]
      COMMAND GETKEYSANDFLAGS BITFIELD a OVERFLOW SAT SET u8 0 1 => [["a", [+RW, +access, +update]]]
      COMMAND GETKEYSANDFLAGS BITOP AND d a b => [["d", [+OW, +update]], ["a", [+RO, +access]], ["b", [+RO, +access]]]
      COMMAND GETKEYSANDFLAGS SORT a STORE b STORE c => [["a", [+RO, +access]], ["c", [+OW, +update]]]
      COMMAND GETKEYSANDFLAGS COPY a b => [["a", [+RO, +access]], ["b", [+OW, +update]]]
      COMMAND GETKEYSANDFLAGS OBJECT FREQ x => [["x", [+RO]]]
      COMMAND GETKEYSANDFLAGS PING x => -ERR The command has no key arguments
      COMMAND GETKEYSANDFLAGS OBJECT FOO k => -ERR Invalid command specified
      COMMAND GETKEYSANDFLAGS MSET a => -ERR Invalid number of arguments specified for command
      COMMAND GETKEYSANDFLAGS GET => -ERR wrong number of arguments for 'command|getkeysandflags' command
      """)
    let all = try ReplyParser().parseAll(talk.answers(to: request("COMMAND", "DOCS"))).first
    guard case .array(let fields) = all else {
      Issue.record("no array")
      return
    }
    let names = CommandTable.all.filter { $0.container == nil }.map(\.name)
    #expect(stride(from: 0, to: fields.count, by: 2).compactMap { fields[$0].text } == names)
  }

  /// Every field of redis-server 7.0.15, in its order.
  @Test func infoFields() throws {
    var talk = try Talk()
    let text = String(decoding: talk.answers(to: request("INFO", "everything")), as: UTF8.self)
    let titles = text.split(separator: "\r\n").filter { $0.hasPrefix("# ") }.map { $0.dropFirst(2) }
    #expect(
      titles == [
        "Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules",
        "Commandstats", "Errorstats", "Latencystats", "Cluster", "Keyspace",
        "Housekeeping",
      ])
    let usual = String(decoding: talk.answers(to: request("INFO")), as: UTF8.self)
    #expect(!usual.contains("# Commandstats") && !usual.contains("# Latencystats"))
    let together = talk.answers(to: request("INFO", "default", "CPU", "latencystats"))
    #expect(String(decoding: together, as: UTF8.self).contains("# Latencystats"))
    for name in [
      "rdb_last_bgsave_status:ok", "master_replid:", "mem_fragmentation_ratio:",
      "used_memory_peak_perc:", "total_reads_processed:", "used_cpu_user_main_thread:",
      "unexpected_error_replies:0", "maxmemory_policy:noeviction",
    ] {
      #expect(text.contains("\r\n" + name), "\(name)")
    }
  }
}
