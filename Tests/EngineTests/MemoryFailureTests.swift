import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// Memory that is refused, at every allocation in turn. One at a time: only one thread's allocations can be refused.
@Suite(.serialized) struct MemoryFailureTests {
  private static let refusal = "-OOM command not allowed when used memory > 'maxmemory'."

  /// Commands that allocate in all ways that there are: entries, segments, their growth and splits, pages, large values, replies.
  private static let requests: [[UInt8]] = {
    var requests: [[UInt8]] = []
    for i in 0..<60 {
      requests.append(request("SET", "{s}\(i)", String(repeating: "v", count: i * 3)))
      if i % 3 == 0 { requests.append(request("PEXPIRE", "{s}\(i)", "100000")) }
      if i % 4 == 0 {
        requests.append(request("APPEND", "{s}\(i)", String(repeating: "w", count: 40)))
      }
      if i % 5 == 0 { requests.append(request("INCR", "{s}n\(i)")) }
      if i % 6 == 0 { requests.append(request("PERSIST", "{s}\(i)")) }
      if i % 7 == 0 { requests.append(request("DEL", "{s}\(i)")) }
    }
    requests.append(request("SET", "{s}large", String(repeating: "x", count: 20_000)))
    requests.append(request("APPEND", "{s}large", String(repeating: "x", count: 20_000)))
    requests.append(request("MSET", "{s}1", "a", "{s}2", String(repeating: "b", count: 50_000)))
    requests.append(request("GET", "{s}large"))
    requests.append(request("MGET", "{s}1", "{s}2", "{s}large"))
    requests.append(request("FLUSHALL"))
    requests.append(request("SET", "{s}1", "w"))
    return requests
  }()

  /// Every request with one allocation refused at its call number `n`: it succeeds, says that there is no memory, or the connection is
  /// closed because the reply itself could not be made. Then everything goes on.
  @Test(arguments: [false, true]) func everyAllocationRefused(lasting: Bool) throws {
    var refusals = 0
    var closed = 0
    // 0, 1, 2 … of each request: no request makes more than a few.
    for n in 0..<6 {
      var rig = try Rig()
      for bytes in Self.requests {
        let client = rig.client
        AllocationFailure.arm(after: n, lasting: lasting)
        rig.send(bytes, from: client)
        let wasRefused = AllocationFailure.disarm()
        rig.engine.applyOwnControls()
        refusals += wasRefused ? 1 : 0
        if rig.isClosed(client) {
          #expect(wasRefused)
          closed += 1
          rig.engine.disconnect(client)
          rig.client = try rig.connect(to: 0)
          continue
        }
        let reply = rig.shownReplies(to: client)
        #expect(!reply.isEmpty)
        if !wasRefused { #expect(!reply.hasPrefix("-"), "\(quoted(Array(bytes.prefix(60))))") }
        if reply.hasPrefix("-") { #expect(reply == Self.refusal) }
      }
      rig.engine.keyspace.checkInvariants()
      rig.expect("SET {s}1 v => +OK\nGET {s}1 => \"v\"\n!\nFLUSHALL => +OK\n!")
      #expect(rig.engine.keyspace.byteCount == 0)
    }
    #expect(refusals > 100, "\(refusals) refusals, \(closed) connections closed")
  }

  /// What could not be stored is not stored, and what was there is still there.
  @Test func aRefusedWriteChangesNothing() throws {
    for line in [
      "SET k \(String(repeating: "x", count: 500))",
      "SET k \(String(repeating: "x", count: 30_000))",
      "APPEND k \(String(repeating: "x", count: 500))", "SET k v EX 100", "PEXPIRE k 1000",
      "SET other v",
    ] {
      var rig = try Rig()
      rig.expect("SET k \(String(repeating: "o", count: 23)) => +OK\nPING => +PONG")
      let before = rig.ask("GET k", from: rig.client)
      let bytes = request(words(line))
      // A chunk for the reply is at hand in the pool.
      AllocationFailure.arm(after: 0, lasting: true)
      rig.send(bytes, from: rig.client)
      let wasRefused = AllocationFailure.disarm()
      #expect(rig.shownReplies(to: rig.client) == (wasRefused ? Self.refusal : "+OK"), "\(line)")
      #expect(wasRefused)
      let after = rig.ask("GET k", from: rig.client)
      #expect(after == before)
      rig.expect("TTL k => :-1\nEXISTS other => :0\nDBSIZE => :1")
      rig.engine.keyspace.checkInvariants()
    }
  }

  /// A client whose bytes cannot be kept is closed; others do not notice.
  @Test func keptBytesRefused() throws {
    var rig = try Rig()
    let other = try rig.connect(to: 0)
    let bytes = request("SET", "k", "v")
    AllocationFailure.arm(after: 0, lasting: false)
    rig.send(Array(bytes.prefix(7)), from: rig.client)
    #expect(AllocationFailure.disarm() == true)
    #expect(rig.isClosed(rig.client) == true)
    rig.expect("SET k v => +OK", from: other)
  }

  /// No memory for a session: no client, nothing else.
  @Test func sessionsRefused() throws {
    var rig = try Rig()
    var clients: [ClientID] = []
    // The first block of sessions is full then.
    for _ in 0..<63 { clients.append(try rig.connect(to: 0)) }
    let count = rig.engine.clientCount
    AllocationFailure.arm(after: 0, lasting: false)
    let client = rig.engine.connect(shard: 0, now: 0)
    #expect(AllocationFailure.disarm() == true)
    #expect(client == nil)
    #expect(rig.engine.clientCount == count)
    clients.append(try rig.connect(to: 0))
    rig.expect("PING => +PONG", from: clients.last)
  }

  @Test func enginesRefused() {
    for n in 0..<12 {
      AllocationFailure.arm(after: n, lasting: false)
      var made = false
      do { made = try Self.makesEngine() } catch {}
      #expect(AllocationFailure.disarm() != made)
    }
  }

  private static func makesEngine() throws -> Bool {
    _ = try Engine(EngineOptions(map: .test(1), clock: .still))
    return true
  }
}

extension Rig {
  /// Whether nothing more of a client will be run.
  func isClosed(_ client: ClientID) -> Bool {
    engine.sessions[client.index].mode.contains(.closing)
  }
}
