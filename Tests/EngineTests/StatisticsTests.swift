import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// A clock that goes on by a microsecond with every look.
private nonisolated(unsafe) var ticks: UInt64 = 0
private let ticking = MonotonicClock {
  ticks += 1000
  return ticks
}

/// Clocks of a thread that loses its processor: time goes on by so much with every look, its processor's by less.
private nonisolated(unsafe) var wall: UInt64 = 1
private nonisolated(unsafe) var wallStep: UInt64 = 0
private nonisolated(unsafe) var processor: UInt64 = 1_000_000
private let wallClock = MonotonicClock {
  wall += wallStep
  return wall
}
private let threadClock = MonotonicClock {
  processor += 5000
  return processor
}

@Suite(.serialized) struct StatisticsTests {
  /// A command whose thread waited for its processor has cost its slot what the thread has had of it; the slow log tells the time that passed.
  @Test func timeWithoutAProcessorIsNoLoad() throws {
    var rig = try Rig(clock: wallClock, processorClock: threadClock)
    wallStep = 1_000_000
    rig.engine.beginTurn(microseconds: 2_000_000_000)
    wallStep = 15_000_000
    #expect(rig.ask("SET", "k", "v") == "+OK")
    wallStep = 0
    let load = rig.engine.slotLoads()[Tag.slot(of: "k")]
    #expect(0 < load && load <= 10_000)
    let slowest = shown(rig.answers(to: request("SLOWLOG", "GET")))
    #expect(slowest.contains(":15000"))
  }

  /// A shard's number is used again: the new shard begins at 0, and what all have counted does not fall.
  @Test func whatARemovedShardHasCountedIsKept() throws {
    var rig = try Rig(map: .test(1), local: [1, 2])
    let other = try rig.connect(to: 1)
    for _ in 0..<5 { rig.send(request("GET", "k"), from: other) }
    rig.send(request("NOSUCH"), from: other)
    rig.send(request("PING"), from: other)
    let before = rig.engine.sumOfPages()
    rig.engine.open(LocalShardInfo(id: .test(2), nodeID: .test(2)), at: 1)
    #expect(rig.engine.ledger[2].commandCount == 0)
    let after = rig.engine.sumOfPages()
    #expect(after.commandCount == before.commandCount && after.commandCount > 0)
    #expect(after.misses == before.misses && after.errorReplies == before.errorReplies)
    #expect(after.errors.map(\.count) == before.errors.map(\.count))
    #expect(
      after.bytesIn == before.bytesIn && after.connectionsReceived == before.connectionsReceived)
    let ping = Int(CommandID.ping.rawValue)
    #expect(after.commands[ping].calls == before.commands[ping].calls)
    rig.engine.ledger[0].sample(now: rig.engine.milliseconds + 1000)
    #expect(rig.engine.ledger[0].commandsPerSecond == 0)
  }

  /// What is counted by command, by slot, by session and in all is the same.
  @Test func everythingAddsUp() throws {
    var rig = try Rig(map: .test(2), local: [1], clock: ticking)
    var draw = Numbers(seed: 7)
    var calls: UInt64 = 0
    var keyed = (bytesIn: UInt64(0), bytesOut: UInt64(0), calls: UInt64(0))
    var all = (bytesIn: UInt64(0), bytesOut: UInt64(0))
    var rejected: UInt64 = 0
    var failed: UInt64 = 0
    for _ in 0..<300 {
      var batch: [UInt8] = []
      var replies: UInt64 = 0
      let tag = Tag.in(0..<8192, skip: draw.below(5))
      let lines: [(String, isKeyed: Bool, reply: String, fails: Bool, isRejected: Bool)] = [
        ("SET \(tag) v", true, "+OK", false, false), ("PING", false, "+PONG", false, false),
        ("STRLEN \(tag)none", true, ":0", false, false),
        (
          "SET \(tag) v EX x", true, "-ERR value is not an integer or out of range", true, false
        ), ("NOPE", false, "-ERR unknown command 'NOPE', with args beginning with: ", false, false),
        ("GET", false, "-ERR wrong number of arguments for 'get' command", false, true),
      ]
      for _ in 0...draw.below(20) {
        let (line, isKeyed, text, fails, isRejected) = lines[draw.below(lines.count)]
        let reply = text.utf8.count + 2
        let bytes = request(words(line))
        batch += bytes
        replies += UInt64(reply)
        all.bytesIn += UInt64(bytes.count)
        all.bytesOut += UInt64(reply)
        rejected += isRejected ? 1 : 0
        failed += fails ? 1 : 0
        if !isRejected, line != "NOPE" { calls += 1 }
        guard isKeyed else { continue }
        keyed.calls += 1
        keyed.bytesIn += UInt64(bytes.count)
        keyed.bytesOut += UInt64(reply)
      }
      let got = rig.answers(to: batch)
      #expect(got.count == replies, "\(shown(got))")
    }
    let statistics = rig.engine.statistics
    let commands = CommandTable.all.indices.map { statistics.commands[$0] }
    #expect(commands.map(\.calls).reduce(0, +) == calls)
    #expect(statistics.commandCount == calls)
    #expect(commands.map(\.rejected).reduce(0, +) == rejected)
    #expect(commands.map(\.failed).reduce(0, +) == failed)
    #expect(commands.map(\.nanoseconds).reduce(0, +) == calls * 1000)
    #expect(statistics.bytesIn == all.bytesIn)
    #expect(statistics.bytesOut == all.bytesOut)
    var slots = SlotStatistics()
    for slot in 0..<HashSlot.count {
      let charged = rig.engine.keyspace.statistics(of: slot)
      slots.cpuNanoseconds += charged.cpuNanoseconds
      slots.networkBytesIn += charged.networkBytesIn
      slots.networkBytesOut += charged.networkBytesOut
    }
    #expect(slots.cpuNanoseconds == keyed.calls * 1000)
    #expect(slots.networkBytesIn == keyed.bytesIn)
    #expect(slots.networkBytesOut == keyed.bytesOut)
    let ping = statistics.commands[Int(CommandID.ping.rawValue)]
    #expect(ping.rejected == 0, "an unknown command is no PING")
    _ = rig.ask("CONFIG RESETSTAT", from: rig.client)
    let after = rig.engine.statistics
    #expect(CommandTable.all.indices.allSatisfy { after.commands[$0].calls <= 1 })
    for slot in 0..<HashSlot.count {
      #expect(rig.engine.keyspace.statistics(of: slot) == SlotStatistics())
    }
  }

  /// What tells about a key counts as redis-server counts it, whether the key is there or not.
  @Test(arguments: [
    ("TYPE", 1), ("TTL", 1), ("PTTL", 1), ("EXPIRETIME", 1), ("PEXPIRETIME", 1), ("EXISTS", 1),
    ("OBJECT ENCODING", 1), ("OBJECT IDLETIME", 1), ("OBJECT REFCOUNT", 1), ("OBJECT FREQ", 1),
    ("DUMP", 1), ("STRLEN", 1), ("TOUCH", 1), ("PERSIST", 0), ("MEMORY USAGE", 0),
  ])
  func hitsAndMisses(_ command: String, _ count: UInt64) throws {
    var rig = try Rig()
    _ = rig.ask("SET there 1", from: rig.client)
    let before = rig.engine.statistics
    _ = rig.ask("\(command) there", from: rig.client)
    _ = rig.ask("\(command) missing", from: rig.client)
    #expect(rig.engine.statistics.hits - before.hits == count)
    #expect(rig.engine.statistics.misses - before.misses == count)
  }

  @Test func smallIntegersAreSharedUnlessClocksAreNeeded() throws {
    var rig = try Rig()
    for (policy, count) in [
      ("noeviction", "2147483647"), ("volatile-ttl", "2147483647"), ("allkeys-lru", "1"),
      ("volatile-lfu", "1"),
    ] {
      var settings = Settings()
      settings.maxMemory = 1 << 30
      settings.maxMemoryPolicy = MaxMemoryPolicy(rawValue: policy) ?? .noEviction
      rig = try Rig(settings: settings)
      _ = rig.ask("SET small 12", from: rig.client)
      #expect(rig.ask("OBJECT REFCOUNT small", from: rig.client) == ":\(count)")
    }
  }

  @Test func pausedClientsAreBlocked() throws {
    var rig = try Rig()
    let other = try rig.connect(to: 0)
    _ = rig.ask("CLIENT PAUSE 10000 WRITE", from: rig.client)
    rig.send(request("SET", "k", "1"), from: other)
    #expect(rig.ask("INFO clients", from: rig.client).contains("blocked_clients:1"))
    _ = rig.ask("CLIENT UNPAUSE", from: rig.client)
    while rig.housekeep() {}
    #expect(rig.ask("INFO clients", from: rig.client).contains("blocked_clients:0"))
  }

  /// The time of a turn goes on with the clock within it.
  @Test func timeWithinATurn() throws {
    var rig = try Rig(clock: ticking)
    let first = rig.ask("TIME", from: rig.client)
    let second = rig.ask("TIME", from: rig.client)
    #expect(first == #"["1000", "0"]"#)
    #expect(second == #"["1000", "1"]"#)
  }

  @Test func commandsPerSecond() throws {
    var rig = try Rig()
    rig.engine.tick()
    for _ in 0..<500 { _ = rig.ask("PING", from: rig.client) }
    rig.setTime(1_002_000)
    rig.engine.tick()
    let info = rig.ask("INFO stats", from: rig.client)
    #expect(info.contains("instantaneous_ops_per_sec:250"))
  }
}
