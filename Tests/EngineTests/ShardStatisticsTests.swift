import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

@Suite struct ShardStatisticsTests {
  private static let names = [
    "total_connections_received", "total_commands_processed", "total_net_input_bytes",
    "total_net_output_bytes", "expired_keys", "keyspace_hits", "keyspace_misses",
    "total_error_replies", "total_reads_processed", "total_writes_processed",
  ]

  /// The numbers of a section that INFO tells a client.
  private static func fields(
    _ section: String, _ rig: inout Rig, _ client: ClientID
  ) -> [String: Int] {
    let text = String(
      decoding: rig.answers(to: request("INFO", section), from: client), as: UTF8.self)
    return text.split(separator: "\r\n").reduce(into: [:]) { found, line in
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2, let number = Int(parts[1]) { found[String(parts[0])] = number }
    }
  }

  /// What each shard and the configuration endpoint tell adds up to what the worker has counted, and to what was sent.
  @Test(arguments: [1, 2, 3]) func shardsAddUp(seed: UInt64) throws {
    print("seed \(seed)")
    var draw = Numbers(seed: seed)
    var rig = try Rig(map: .test(4), local: [1, 2, 4])
    var clients: [(client: ClientID, shard: Int?)] = [(rig.client, 0)]
    for shard in [1, 2, nil, 0, 2] { clients.append((try rig.connect(to: shard), shard)) }
    var sent = Array(repeating: 0, count: 4)
    var bytes = Array(repeating: 0, count: 4)
    let owned = [0..<4096, 4096..<8192, 12288..<16384]
    for step in 0..<600 {
      let (client, shard) = clients[draw.below(clients.count)]
      let key = Tag.in(owned[shard ?? 0], skip: draw.below(3))
      let lines = [
        "SET \(key) v", "GET \(key)", "GET \(key)none", "PING", "SET \(key) v EX x", "GET",
        "SET \(key)e v PX 1",
      ]
      let line = lines[draw.below(lines.count)]
      let request = request(words(line))
      let page = shard.map { $0 + 1 } ?? 0
      bytes[page] += request.count
      // What a client of the router sends is counted by the shard that has the key.
      if line != "GET" { sent[shard == nil && line != "PING" ? 1 : page] += 1 }
      _ = rig.answers(to: request, from: client)
      if step % 100 == 99 {
        rig.setTime(1_000_000 + Int64(step) * 20)
        rig.engine.tick()
        while rig.housekeep() {}
      }
    }
    let pages = (0..<rig.engine.ledger.count).map { rig.engine.ledger[$0] }
    #expect(pages.map { Int($0.commandCount) } == sent)
    #expect(pages.map { Int($0.bytesIn) } == bytes)
    #expect(pages.map { Int($0.connectionsReceived) } == [1, 2, 1, 2])
    let sum = rig.engine.sumOfPages()
    #expect(sum.commandCount == pages.map(\.commandCount).reduce(0, +))
    #expect(sum.expiredKeys == pages.map(\.expiredKeys).reduce(0, +))
    #expect(sum.expiredKeys > 0)
    for page in pages {
      let calls = CommandTable.all.indices.map { page.commands[$0].calls }.reduce(0, +)
      #expect(calls == page.commandCount)
    }
    var errors: UInt64 = 0
    for page in pages {
      for error in page.errors { errors += error.count }
    }
    var summed: UInt64 = 0
    for error in sum.errors { summed += error.count }
    #expect(errors == summed && errors == sum.errorReplies)
    // The same through INFO: of the three shards, then of all at the configuration endpoint.
    let endpoint = pages[0]
    var told: [String: Int] = [
      "total_connections_received": Int(endpoint.connectionsReceived),
      "total_commands_processed": Int(endpoint.commandCount),
      "total_net_input_bytes": Int(endpoint.bytesIn),
      "total_net_output_bytes": Int(endpoint.bytesOut),
      "expired_keys": Int(endpoint.expiredKeys), "keyspace_hits": Int(endpoint.hits),
      "keyspace_misses": Int(endpoint.misses), "total_error_replies": Int(endpoint.errorReplies),
      "total_reads_processed": Int(endpoint.reads),
      "total_writes_processed": Int(endpoint.writes),
    ]
    for place in 0..<3 {
      let fields = Self.fields("stats", &rig, clients[place].client)
      for name in Self.names { told[name, default: 0] += fields[name] ?? -1_000_000 }
    }
    // INFO itself has been counted since, on the three shards.
    var all = rig.engine.sumOfPages()
    #expect(told["total_commands_processed"] == Int(all.commandCount) - 3)
    #expect(told["total_net_input_bytes"] == Int(all.bytesIn))
    for (name, value) in [
      ("keyspace_hits", all.hits), ("keyspace_misses", all.misses),
      ("expired_keys", all.expiredKeys), ("total_error_replies", all.errorReplies),
      ("total_connections_received", all.connectionsReceived),
      ("total_reads_processed", all.reads),
    ] {
      #expect(told[name] == Int(value), "\(name)")
    }
    let ofAll = Self.fields("stats", &rig, clients[3].client)
    all = rig.engine.sumOfPages()
    #expect(ofAll["total_commands_processed"] == Int(all.commandCount) - 1)
    #expect(ofAll["total_net_input_bytes"] == Int(all.bytesIn))
    // Keys and connections too.
    let keys = try (0..<3).map { place in
      let text = rig.ask("DBSIZE", from: clients[place].client)
      return try #require(Int(text.dropFirst()))
    }
    #expect(keys.reduce(0, +) == rig.engine.keyCount)
    let connected = (0..<3).map {
      Self.fields("clients", &rig, clients[$0].client)["connected_clients"]
    }
    #expect(connected == [2, 1, 2])
  }

  /// Other workers' figures count at the configuration endpoint, and nowhere else.
  @Test func otherWorkersCountAtTheEndpoint() throws {
    var rig = try Rig()
    let endpoint = try rig.connect(to: nil)
    var theirs = Statistics()
    theirs.commandCount = 1000
    theirs.hits = 7
    theirs.countError("ERR")
    // The first place is this worker's own: its live figures are taken instead.
    rig.engine.process.totals = [WorkerTotals(theirs), WorkerTotals(theirs), nil]
    #expect(Self.fields("stats", &rig, endpoint)["keyspace_hits"] == 7)
    #expect(Self.fields("stats", &rig, endpoint)["total_commands_processed"] == 1001)
    #expect(Self.fields("stats", &rig, rig.client)["keyspace_hits"] == 0)
    #expect(rig.ask("INFO errorstats", from: endpoint).contains("errorstat_ERR:count=1"))
  }

  @Test func resetConcernsAllShards() throws {
    var rig = try Rig(map: .test(2), local: [1, 2])
    let other = try rig.connect(to: 1)
    _ = rig.ask("PING", from: other)
    _ = rig.ask("CONFIG RESETSTAT", from: rig.client)
    let text = rig.ask("INFO commandstats", from: other)
    #expect(!text.contains("cmdstat_ping"))
    #expect(Self.fields("stats", &rig, other)["total_connections_received"] == 0)
  }

  @Test func peakOfMemory() throws {
    var rig = try Rig()
    _ = rig.ask("SET k \(String(repeating: "x", count: 5000))", from: rig.client)
    rig.engine.tick()
    _ = rig.ask("DEL k", from: rig.client)
    let memory = Self.fields("memory", &rig, rig.client)
    #expect((memory["used_memory_peak"] ?? 0) > (memory["used_memory"] ?? 0) + 4000)
  }
}

@Suite struct DebugAccessTests {
  /// `local` means the addresses of this machine's loopback, or no socket at all.
  @Test func localConnections() throws {
    var settings = Settings()
    try settings.set("enable-debug-command", to: "local")
    var rig = try Rig(settings: settings)
    for (address, isLocal) in [
      ("127.0.0.1:5000", true), ("[::1]:5000", true), ("", true), ("10.0.0.7:5000", false),
      ("127.0.0.11:5000", false), ("[::12]:5000", false),
    ] {
      let connected = rig.engine.connect(shard: 0, address: address, now: 1_000_000)
      let client = try #require(connected)
      let reply = rig.ask("DEBUG SLEEP 0", from: client)
      #expect(reply == "+OK" ? isLocal : !isLocal, "\(address): \(reply)")
    }
  }

  /// What DEBUG LOG says is the server's to take, once.
  @Test func log() throws {
    var settings = Settings()
    try settings.set("enable-debug-command", to: "yes")
    var rig = try Rig(settings: settings)
    _ = rig.ask("DEBUG LOG hello", from: rig.client)
    #expect(rig.engine.takeLogLines() == ["DEBUG LOG: hello"])
    #expect(rig.engine.takeLogLines() == [])
    for _ in 0..<300 { _ = rig.ask("DEBUG LOG x", from: rig.client) }
    #expect(rig.engine.takeLogLines().count == 256)
  }

  /// At the configuration endpoint there is no shard to look at.
  @Test func configurationEndpoint() throws {
    var settings = Settings()
    try settings.set("enable-debug-command", to: "yes")
    var rig = try Rig(settings: settings)
    _ = rig.ask("SET k v", from: rig.client)
    let client = try rig.connect(to: nil)
    let refusal = "-ERR This command concerns a whole shard; connect to a shard's own port"
    for words in ["DIGEST", "DIGEST-VALUE k", "OBJECT k", "POPULATE 5", "HTSTATS 0"] {
      #expect(rig.ask("DEBUG \(words)", from: client) == refusal)
    }
    #expect(rig.engine.keyCount == 1)
    let before = rig.ask("INFO replication", from: rig.client)
    _ = rig.ask("DEBUG CHANGE-REPL-ID", from: rig.client)
    #expect(rig.ask("INFO replication", from: rig.client) != before)
  }
}
