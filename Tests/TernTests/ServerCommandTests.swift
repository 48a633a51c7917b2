import Engine
import RESP
import Testing
import Transcript

@Suite struct ServerCommandTests {
  @Test func config() throws {
    var talk = try Talk()
    talk.expect(
      """
      CONFIG GET maxmemory => ["maxmemory", "0"]
      CONFIG GET MAXMEMORY-P* => ["maxmemory-policy", "noeviction"]
      CONFIG GET nope      => []
      CONFIG GET hz time*ut hz => ["timeout", "0", "hz", "10"]
      CONFIG SET maxmemory 100mb => +OK
      CONFIG GET maxmemory => ["maxmemory", "104857600"]
      CONFIG SET MaxMemory 1k hz 20 => +OK
      CONFIG GET maxmemory hz => ["maxmemory", "1000", "hz", "20"]
      CONFIG SET hz 30 nope 1 => -ERR Unknown option or number of arguments for CONFIG SET - 'nope'
      CONFIG GET hz        => ["hz", "20"]
      CONFIG SET hz        => -ERR wrong number of arguments for 'config|set' command
      CONFIG SET hz 1 timeout => -ERR syntax error
      CONFIG SET hz x      => -ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer
      CONFIG SET hz 501    => -ERR CONFIG SET failed (possibly related to argument 'hz') - argument must be between 1 and 500 inclusive
      CONFIG SET hz 0      => -ERR CONFIG SET failed (possibly related to argument 'hz') - argument must be between 1 and 500 inclusive
      CONFIG SET hz 5 hz 6 => -ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter
      CONFIG SET port 1    => -ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config
      CONFIG SET maxmemory x => -ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value
      CONFIG SET maxmemory-policy allkeys-lru => +OK
      CONFIG SET maxmemory-policy noeviction => +OK
      CONFIG GET hz        => ["hz", "20"]
      CONFIG RESETSTAT     => +OK
      CONFIG               => -ERR wrong number of arguments for 'config' command
      CONFIG GET           => -ERR wrong number of arguments for 'config|get' command
      CONFIG NOPE          => -ERR unknown subcommand 'NOPE'. Try CONFIG HELP.
      CONFIG HELP          => [+CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:…
      """)
  }

  /// What was sent behind a change of settings is answered behind it.
  @Test func pipelinedAroundConfigSet() throws {
    var talk = try Talk()
    let bytes =
      request("SET", "k", "1") + request("CONFIG", "SET", "hz", "50") + request("GET", "k")
      + request("CONFIG", "GET", "hz") + request("CONFIG", "SET", "hz", "60") + request("PING")
    let replies = talk.ask(bytes: bytes)
    #expect(replies == #"+OK +OK "1" ["hz", "50"] +OK +PONG"#)
  }

  @Test func time() throws {
    var talk = try Talk()
    talk.expect(
      """
      TIME                 => ["1000", "0"]
      @ 1700000000123
      TIME                 => ["1700000000", "123000"]
      TIME x               => -ERR wrong number of arguments for 'time' command
      """)
  }

  @Test func shutdown() throws {
    var talk = try Talk()
    talk.expect(
      """
      SHUTDOWN FOO         => -ERR syntax error
      SHUTDOWN SAVE NOSAVE => -ERR syntax error
      SHUTDOWN ABORT NOW   => -ERR syntax error
      SHUTDOWN ABORT       => -ERR No shutdown in progress.
      SHUTDOWN SAVE        => -ERR Errors trying to SHUTDOWN. Check logs.
      """)
  }

  @Test func info() throws {
    var talk = try Talk()
    talk.expect("SET k v EX 10 => +OK\nGET k => \"v\"\nGET l => nil\nNOPE => -ERR…\nGET => -ERR…")
    let text = talk.ask("INFO")
    for part in [
      "# Server\\r\\nredis_version:7.2.4\\r\\n", "redis_mode:cluster", "# Clients\\r\\n",
      "connected_clients:1", "# Memory\\r\\nused_memory:", "mem_allocator:jemalloc-",
      "# Persistence\\r\\n", "# Stats\\r\\n", "keyspace_hits:1", "keyspace_misses:1",
      "# Replication\\r\\nrole:master", "# CPU\\r\\n", "# Errorstats\\r\\n",
      "errorstat_ERR:count=2",
      "# Cluster\\r\\ncluster_enabled:1", "# Keyspace\\r\\ndb0:keys=1,expires=1",
    ] {
      #expect(text.contains(part), "\(part)")
    }
    #expect(!text.contains("# Commandstats"))
    let all = talk.ask("INFO", "everything")
    #expect(
      all.contains("cmdstat_set:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0"))
    #expect(
      all.contains("cmdstat_get:calls=2,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"))
    #expect(!all.contains("cmdstat_ping"))
    talk.expect(
      """
      INFO Cluster         => "# Cluster\\r\\ncluster_enabled:1\\r\\n"
      INFO nope            => ""
      INFO cluster nope modules => "# Modules\\r\\n\\r\\n# Cluster\\r\\ncluster_enabled:1\\r\\n"
      CONFIG RESETSTAT     => +OK
      """)
    let after = talk.ask("INFO", "stats")
    #expect(after.contains("keyspace_hits:0"))
    #expect(after.contains("total_error_replies:0"))
  }

  @Test func commandCommand() throws {
    var talk = try Talk()
    let names = Set(CommandTable.all.filter { $0.container == nil }.map(\.name))
    talk.expect(
      """
      COMMAND COUNT        => :\(names.count)
      COMMAND INFO get     => [["get", :2, [+readonly, +fast], :1, :1, :1, [+@read, +@string, +@fast], [], [["flags", [+RO, +access], "begin_search", ["type", "index", "spec", ["index", :1]], "find_keys", ["type", "range", "spec", ["lastkey", :0, "keystep", :1, "limit", :0]]]], []]]
      COMMAND INFO nope GET config|get => [nil, ["get", …
      COMMAND GETKEYS GET k => ["k"]
      COMMAND GETKEYS MSET a 1 b 2 => ["a", "b"]
      COMMAND GETKEYS OBJECT ENCODING k => ["k"]
      COMMAND GETKEYS DEL a b c => ["a", "b", "c"]
      COMMAND GETKEYS PING x => -ERR The command has no key arguments
      COMMAND GETKEYS NOPE x => -ERR Invalid command specified
      COMMAND GETKEYS GET a b => -ERR Invalid number of arguments specified for command
      COMMAND GETKEYS GET  => -ERR wrong number of arguments for 'command|getkeys' command
      COMMAND LIST FILTERBY MODULE x => []
      COMMAND LIST FILTERBY PATTERN ge? => ["get"]
      COMMAND LIST FILTERBY FOO x => -ERR syntax error
      COMMAND LIST FOO     => -ERR syntax error
      COMMAND NOPE         => -ERR unknown subcommand 'NOPE'. Try COMMAND HELP.
      COMMAND HELP         => [+COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:…
      """)
    for words in [["COMMAND"], ["COMMAND", "INFO"]] {
      let bytes = talk.answers(to: request(words.map { Array($0.utf8) }))
      guard case .array(let all) = try ReplyParser().parseAll(bytes).first else {
        Issue.record("no array")
        return
      }
      let described = all.compactMap { command -> String? in
        guard case .array(let parts) = command, parts.count == 10 else { return nil }
        return parts[0].text
      }
      #expect(Set(described) == names)
      #expect(described.count == names.count)
    }
    let list = talk.ask("COMMAND", "LIST")
    let count = CommandTable.all.count
    #expect(list.split(separator: ",").count == count)
    let strings = talk.ask("COMMAND", "LIST", "FILTERBY", "ACLCAT", "string")
    #expect(strings.contains("\"mset\"") && !strings.contains("\"del\""))
  }

  @Test func clusterCommands() throws {
    var talk = try Talk()
    talk.expect(
      """
      CLUSTER KEYSLOT foo  => :12182
      CLUSTER KEYSLOT {foo}bar => :12182
      CLUSTER KEYSLOT ""   => :0
      CLUSTER MYID         => "\(String(repeating: "a7", count: 20))"
      CLUSTER MYSHARDID    => "\(String(repeating: "a7", count: 20))"
      CLUSTER SLOTS        => [[:0, :16383, ["127.0.0.1", :7001, "\(String(repeating: "a7", count: 20))", []]]]
      CLUSTER SHARDS       => [["slots", [:0, :16383], "nodes", [["id", …
      CLUSTER NODES        => "\(String(repeating: "a7", count: 20)) 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-16383\\n"
      CLUSTER INFO         => "cluster_state:ok\\r\\ncluster_slots_assigned:16384…
      CLUSTER COUNTKEYSINSLOT 12182 => :0
      MSET {foo}1 1 {foo}2 2 {foo}3 3 => +OK
      CLUSTER COUNTKEYSINSLOT 12182 => :3
      CLUSTER COUNTKEYSINSLOT 0 => :0
      CLUSTER GETKEYSINSLOT 12182 0 => []
      CLUSTER GETKEYSINSLOT 0 10 => []
      CLUSTER COUNTKEYSINSLOT 16384 => -ERR Invalid slot
      CLUSTER COUNTKEYSINSLOT -1 => -ERR Invalid slot
      CLUSTER COUNTKEYSINSLOT x => -ERR value is not an integer or out of range
      CLUSTER GETKEYSINSLOT 16384 1 => -ERR Invalid slot or number of keys
      CLUSTER GETKEYSINSLOT 0 -1 => -ERR Invalid slot or number of keys
      CLUSTER GETKEYSINSLOT x 1 => -ERR value is not an integer or out of range
      CLUSTER              => -ERR wrong number of arguments for 'cluster' command
      CLUSTER NOPE         => -ERR unknown subcommand 'NOPE'. Try CLUSTER HELP.
      CLUSTER KEYSLOT      => -ERR wrong number of arguments for 'cluster|keyslot' command
      CLUSTER HELP         => [+CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:…
      """)
  }

  /// As many keys as asked for, each once, wherever they lie in the table.
  @Test(arguments: [1, 5, 100, 999, 1000, 5000, Int.max]) func keysInSlot(count: Int) throws {
    var talk = try Talk()
    for i in 0..<1000 { _ = talk.ask("SET", "{foo}\(i)", "v") }
    let bytes = talk.answers(to: request("CLUSTER", "GETKEYSINSLOT", "12182", "\(count)"))
    guard case .array(let keys) = try ReplyParser().parseAll(bytes).first else {
      Issue.record("no array")
      return
    }
    #expect(keys.count == min(count, 1000))
    #expect(Set(keys.compactMap(\.text)).count == min(count, 1000))
  }

  /// Every setting's name, and that its value can be read back where it may be set.
  @Test func everySetting() throws {
    var talk = try Talk()
    let before = talk.ask("CONFIG", "GET", "*")
    for name in Settings.names {
      let reply = talk.ask("CONFIG", "GET", name.uppercased())
      let parts = reply.dropFirst(2).dropLast(2).split(
        separator: "\", \"", omittingEmptySubsequences: false)
      #expect(parts.count == 2 && String(parts[0]) == name.uppercased())
      let set = talk.ask("CONFIG", "SET", name, String(parts[1]))
      let isRefused = set.hasSuffix("can't set immutable config")
      #expect(set == "+OK" || isRefused, "\(name): \(set)")
    }
    let after = talk.ask("CONFIG", "GET", "*")
    #expect(before == after)
  }
}
