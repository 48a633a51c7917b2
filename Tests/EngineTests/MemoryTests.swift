import RESP
import Storage
import Synchronization
import Testing
import Transcript

@testable import Engine

/// Memory at its limit, as clients see it.
@Suite struct MemoryTests {
  private static let refusal = "-OOM command not allowed when used memory > 'maxmemory'."

  private static func settings(_ policy: MaxMemoryPolicy, _ maxMemory: Int) -> Settings {
    var settings = Settings()
    settings.maxMemory = maxMemory
    settings.maxMemoryPolicy = policy
    return settings
  }

  /// More is written than fits: under a policy that evicts, every write succeeds and memory stays at its limit.
  @Test(arguments: MaxMemoryPolicy.allCases) func policies(policy: MaxMemoryPolicy) throws {
    let limit = 200_000
    var rig = try Rig(settings: Self.settings(policy, limit))
    var refused = 0
    for i in 0..<4000 {
      let key = "key:\(i)"
      let value = String(repeating: "v", count: 100)
      let bytes =
        i % 2 == 0 ? request("SET", key, value, "PX", "\(100_000 + i)") : request("SET", key, value)
      let reply = shown(rig.answers(to: bytes))
      if reply != "+OK" {
        #expect(reply == Self.refusal)
        refused += 1
      }
      let used = rig.engine.keyspaceByteCount
      #expect(used <= limit + 4096)
      if i % 1000 == 0 { rig.engine.keyspace.checkInvariants() }
    }
    rig.engine.keyspace.checkInvariants()
    let evicted = rig.engine.statistics.evictedKeys
    switch policy {
    case .noEviction:
      #expect(evicted == 0 && refused > 1000)
    case .allKeysLRU, .allKeysLFU, .allKeysRandom:
      #expect(refused == 0 && evicted > 1000)
    case .volatileLRU, .volatileLFU, .volatileRandom, .volatileTTL:
      // At last all keys are such as may not go.
      #expect(evicted > 500 && refused > 500)
      let expiring = rig.engine.keyspace.expiringCount
      #expect(expiring < 20)
    }
    // Reads and removals need no memory.
    let deletion = rig.ask("DEL key:1", from: rig.client)
    #expect(deletion.hasPrefix(":"))
    let info = shown(rig.answers(to: request("INFO", "stats")))
    #expect(info.contains("evicted_keys:\(evicted)"))
  }

  /// A lower limit is reached by housekeeping, in slices.
  @Test func lowerLimit() throws {
    var rig = try Rig()
    for i in 0..<3000 { _ = rig.answers(to: request("SET", "key:\(i)", "0123456789abcdef")) }
    rig.expect("CONFIG SET maxmemory 50000 maxmemory-policy allkeys-lru => +OK")
    rig.engine.tick()
    var slices = 0
    while rig.housekeep() { slices += 1 }
    #expect(slices > 5)
    let used = rig.engine.keyspaceByteCount
    #expect(used <= 50_000)
    #expect(used > 30_000)
    rig.engine.keyspace.checkInvariants()
    rig.expect("CONFIG SET maxmemory 0 => +OK\nSET k v => +OK")
  }

  /// An evicted key is a changed key for those that watch it.
  @Test func watchers() throws {
    var rig = try Rig(settings: Self.settings(.allKeysRandom, 1 << 20))
    let other = try rig.connect(to: 0)
    rig.expect("SET k v => +OK\nWATCH k => +OK\nMULTI => +OK\nGET other => +QUEUED")
    rig.expect("CONFIG SET maxmemory 1 => +OK", from: other)
    rig.engine.tick()
    while rig.housekeep() {}
    rig.expect("DBSIZE => :0", from: other)
    rig.expect("CONFIG SET maxmemory 0 => +OK", from: other)
    rig.expect("EXEC => nil")
  }

  @Test func objectFrequencyAndIdleTime() throws {
    var rig = try Rig()
    let other =
      "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
    rig.expect(
      """
      SET k v        => +OK
      OBJECT FREQ k  => -ERR An LFU maxmemory policy is not selected, access frequency not tracked. \(other)
      OBJECT FREQ x  => nil
      OBJECT IDLETIME k => :0
      CONFIG SET maxmemory-policy allkeys-lfu => +OK
      OBJECT IDLETIME k => -ERR An LFU maxmemory policy is selected, idle time not tracked. \(other)
      OBJECT IDLETIME x => nil
      SET new v      => +OK
      OBJECT FREQ new => :5
      GET new        => "v"
      OBJECT FREQ new => :6
      CONFIG SET lfu-log-factor 0 => +OK
      GET new        => "v"
      SET new w      => +OK
      APPEND new x   => :2
      OBJECT FREQ new => :9
      RENAME new {new}2 => +OK
      OBJECT FREQ {new}2 => :10
      COPY {new}2 {new}3 => :1
      OBJECT FREQ {new}3 => :5
      """)
    rig.setTime(1_000_000 + 3 * 60_000)
    rig.expect(
      "OBJECT FREQ {new}3 => :2\nCONFIG SET lfu-decay-time 0 => +OK\nOBJECT FREQ {new}3 => :5")
    let payload = rig.answers(to: request("DUMP", "k"))
    let bytes = Array(payload.drop { $0 != 10 }.dropFirst().dropLast(2))
    let restore = [bytes].map { bytes in
      ["RESTORE", "r", "0"].map { Array($0.utf8) } + [bytes]
        + ["FREQ", "200"].map { Array($0.utf8) }
    }[0]
    let restored = shown(rig.answers(to: request(restore)))
    #expect(restored == "+OK")
    rig.expect("OBJECT FREQ r => :200")
  }

  /// The largest clients go until the rest keeps to the limit; others do not notice.
  @Test func largestClients() throws {
    var rig = try Rig()
    let large = try rig.connect(to: 0)
    let larger = try rig.connect(to: 0)
    rig.send(
      Array(request("SET", "k", String(repeating: "x", count: 150_000)).dropLast(5)), from: large)
    rig.send(
      Array(request("SET", "k", String(repeating: "x", count: 250_000)).dropLast(5)), from: larger)
    rig.engine.tick()
    _ = rig.housekeep()
    #expect(Self.closed([large, larger], rig) == [false, false])
    rig.expect(
      "CONFIG SET maxmemory-clients 300000 => +OK\nCONFIG GET maxmemory-clients => [\"maxmemory-clients\", \"300000\"]"
    )
    rig.engine.tick()
    _ = rig.housekeep()
    #expect(Self.closed([large, larger], rig) == [false, true])
    rig.expect("PING => +PONG\nCONFIG SET maxmemory-clients 5% => +OK")
    rig.expect("CONFIG GET maxmemory-clients => [\"maxmemory-clients\", \"5%\"]")
    rig.engine.tick()
    _ = rig.housekeep()
    // Of no limit.
    #expect(Self.closed([large], rig) == [false])
    rig.expect("CONFIG SET maxmemory 1000000 => +OK")
    rig.engine.tick()
    _ = rig.housekeep()
    #expect(Self.closed([large], rig) == [true])
    let evicted = rig.engine.statistics.evictedClients
    #expect(evicted == 2)
    rig.expect("PING => +PONG")
  }

  /// What a spared client takes counts; it is another one that goes.
  @Test func sparedClients() throws {
    var rig = try Rig()
    let large = try rig.connect(to: 0)
    let larger = try rig.connect(to: 0)
    rig.expect("CLIENT NO-EVICT ON => +OK", from: larger)
    for (client, count) in [(large, 150_000), (larger, 250_000)] {
      rig.send(
        Array(request("SET", "k", String(repeating: "x", count: count)).dropLast(5)), from: client)
    }
    rig.expect("CONFIG SET maxmemory-clients 300000 => +OK\nCLIENT NO-EVICT ON => +OK")
    rig.engine.tick()
    _ = rig.housekeep()
    #expect(Self.closed([large, larger], rig) == [true, false])
    rig.expect("CONFIG SET maxmemory-clients 1 => +OK")
    rig.engine.tick()
    _ = rig.housekeep()
    #expect(Self.closed([rig.client, larger], rig) == [false, false])
  }

  /// A limit below what any client takes: it has a floor, and neither idle clients go for it nor who has set it.
  @Test func nobodyShutsHimselfOut() throws {
    var rig = try Rig()
    let idle = try rig.connect(to: 0)
    let large = try rig.connect(to: 0)
    rig.send(
      Array(request("SET", "k", String(repeating: "x", count: 150_000)).dropLast(5)), from: large)
    // In force when it is answered.
    rig.expect("CONFIG SET maxmemory-clients 1 => +OK")
    #expect(Self.closed([rig.client, idle, large], rig) == [false, false, true])
    rig.engine.tick()
    _ = rig.housekeep()
    #expect(Self.closed([rig.client, idle], rig) == [false, false])
    rig.expect("CONFIG SET maxmemory-clients 0 => +OK")
  }

  /// One request that alone takes more than all clients may.
  @Test(arguments: [3_000_000, 2_900_000]) func aRequestOverTheLimitOfClients(count: Int) throws {
    var rig = try Rig()
    rig.expect("CONFIG SET maxmemory-clients 3000000 => +OK")
    let client = try rig.connect(to: 0)
    let bytes = request("SET", "k", String(repeating: "x", count: count))
    var place = 0
    while place < bytes.count, !rig.isClosed(client) {
      let end = min(place + 16384, bytes.count)
      rig.send(Array(bytes[place..<end]), from: client)
      place = end
    }
    #expect(rig.isClosed(client) == (count == 3_000_000))
  }

  /// A worker beyond its share evicts nothing as long as the process has room, and something when it has not.
  @Test func roomOfOtherWorkers() throws {
    var two = try Two(settings: Self.settings(.allKeysLRU, 1_000_000))
    two.first.engine.memory.share = 100_000
    let value = String(repeating: "v", count: 1000)
    let tag = Two.keys[0]
    for number in 0..<400 { #expect(two.ask("SET \(tag)\(number) \(value)") == "+OK") }
    #expect(two.ask("DBSIZE") == ":400")
    two.second.engine.mailbox.usedByteCount.store(900_000, ordering: .relaxed)
    two.first.engine.memory.share = 100_000
    two.first.send(request("SET", tag, value), from: two.first.client)
    let evicted = two.first.engine.ledger[1].evictedKeys
    #expect(evicted > 0)
  }

  /// What a client took that has gone is free at once.
  @Test func roomOfClientsThatHaveGone() throws {
    var rig = try Rig(settings: Self.settings(.allKeysLRU, 1_000_000))
    let client = try rig.connect(to: 0)
    rig.send(
      Array(request("SET", "k", String(repeating: "x", count: 900_000)).dropLast(5)), from: client)
    rig.engine.tick()
    for _ in 0..<4 { _ = rig.housekeep() }
    #expect(rig.engine.clientByteCount > 900_000)
    rig.engine.disconnect(client)
    let value = String(repeating: "v", count: 1000)
    for number in 0..<500 { #expect(rig.ask("SET", "k\(number)", value) == "+OK") }
    #expect(rig.ask("DBSIZE") == ":500")
  }

  private static func closed(_ clients: [ClientID], _ rig: borrowing Rig) -> [Bool] {
    var closed: [Bool] = []
    for client in clients { closed.append(rig.isClosed(client)) }
    return closed
  }

  @Test func memoryCommands() throws {
    var rig = try Rig()
    rig.expect(
      """
      SET k v => +OK
      MEMORY USAGE x => nil
      MEMORY USAGE k SAMPLES => -ERR syntax error
      MEMORY USAGE k SAMPLES -1 => -ERR syntax error
      MEMORY USAGE k SAMPLES x => -ERR value is not an integer or out of range
      MEMORY PURGE => +OK
      MEMORY NOPE => -ERR unknown subcommand 'NOPE'. Try MEMORY HELP.
      """)
    rig.expect("MEMORY USAGE k SAMPLES 0 => :25")
    for line in ["MEMORY STATS", "MEMORY DOCTOR", "MEMORY MALLOC-STATS", "MEMORY HELP"] {
      for version in ["2", "3"] {
        _ = rig.ask("HELLO \(version)", from: rig.client)
        let reply = rig.answers(to: request(words(line)))
        let count = try ReplyParser().parseAll(reply).count
        #expect(count == 1, "\(line)")
        #expect(reply.first != UInt8(ascii: "-"))
      }
    }
  }

  /// Every deal of a limit among workers: parts add up to no more than the limit and what small workers are granted, and none is 0.
  @Test func shares() {
    var draw = Numbers(seed: 9)
    for _ in 0..<2000 {
      let workers = 1 + draw.below(8)
      let limit = 1_000_000 + draw.below(1_000_000_000)
      var own = (0..<workers).map { _ in draw.below(limit * 3 / 2 / workers + 1) }
      if draw.below(4) == 0 { own[0] = 0 }
      let total = own.reduce(0, +)
      let pressed = own.map { _ in draw.below(2) == 0 }
      func deal(_ hungry: Int) -> [MemoryShares] {
        own.indices.map {
          MemoryShares(
            own: own[$0], others: total - own[$0], limit: limit, workers: workers,
            isPressed: pressed[$0], hungryWorkers: hungry)
        }
      }
      let hungry = deal(0).count { $0.isHungry }
      let shares = deal(hungry).map(\.share)
      #expect(shares.allSatisfy { $0 > 0 })
      #expect(shares.reduce(0, +) <= limit + limit / 32)
      if workers == 1 { #expect(shares[0] >= limit - limit / 64 && shares[0] <= limit) }
    }
  }

  /// One worker full, one hungry: in the end both have their part.
  @Test func sharesEvenOut() {
    let limit = 1 << 20
    var own = [limit, 0]
    for _ in 0..<2000 {
      let pressed = own.map { _ in true }
      func deal(_ hungry: Int) -> [MemoryShares] {
        own.indices.map {
          MemoryShares(
            own: own[$0], others: own[1 - $0], limit: limit, workers: 2, isPressed: pressed[$0],
            hungryWorkers: hungry)
        }
      }
      // Each uses all that it may.
      own = deal(deal(0).count { $0.isHungry }).map(\.share)
    }
    #expect(abs(own[0] - own[1]) < limit / 16, "\(own)")
    #expect(own[0] + own[1] <= limit + limit / 32)
  }
}
