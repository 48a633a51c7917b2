import RESP
import Sharding
import Testing
import Transcript

@testable import Engine

/// Changes of the whole process, as a sequencer carries them out.
@Suite struct ControlTests {
  let foreign = Tag.in(8192..<16384)

  /// Parked until it is in force everywhere; what was sent behind it waits, and is answered in order.
  @Test func aClientWaitsForItsChange() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let client = rig.client
    let other = try rig.connect(to: 0)
    rig.send(
      request("PING", "1") + request("CONFIG", "SET", "hz", "33") + request("PING", "2")
        + request("CONFIG", "GET", "hz") + request("CONFIG", "SET", "hz", "44")
        + request("PING", "3"),
      from: client)
    #expect(rig.shownReplies(to: client) == #""1""#)
    // More bytes wait too, cut anywhere.
    let more = request("PING", "4")
    rig.send(Array(more.prefix(5)), from: client)
    rig.send(Array(more.dropFirst(5)), from: client)
    #expect(rig.shownReplies(to: client) == "")
    // Others go on meanwhile.
    rig.send(request("CONFIG", "GET", "hz"), from: other)
    #expect(rig.shownReplies(to: other) == #"["hz", "10"]"#)

    let pending = rig.engine.takeControlRequests()
    #expect(pending.count == 1)
    #expect(rig.engine.takeControlRequests().count == 0)
    let first = try #require(pending.first)
    #expect(first.client == client && first.clientNumber == rig.engine.number(of: client))
    rig.post(.control(first.request, number: 7))
    rig.engine.drainMailbox()
    #expect(rig.engine.takeAppliedControls().map(\.number) == [7])
    #expect(rig.engine.takeAppliedControls().count == 0)
    // In force here, but the client is answered only when it is everywhere.
    rig.send(request("CONFIG", "GET", "hz"), from: other)
    #expect(rig.shownReplies(to: other) == #"["hz", "33"]"#)
    #expect(rig.shownReplies(to: client) == "")

    rig.post(.completed(first))
    rig.engine.drainMailbox()
    #expect(rig.shownReplies(to: client) == #"+OK "2" ["hz", "33"]"#)
    // It is listed, so that the server sends.
    #expect(rig.engine.listedCount > 0)

    let second = try rig.takeControl()
    rig.post(.control(second.request, number: 8))
    rig.post(.completed(second))
    rig.engine.drainMailbox()
    #expect(rig.shownReplies(to: client) == #"+OK "3" "4""#)
  }

  /// A message that comes while another client's requests are run, because that one looked before it said no.
  @Test func completedWhileAnotherIsServed() throws {
    var rig = try Rig(map: .test(2), local: [1])
    let client = rig.client
    let other = try rig.connect(to: 0)
    rig.send(request("CONFIG", "SET", "hz", "33") + request("PING", "behind"), from: client)
    let pending = try rig.takeControl()
    rig.post(.control(pending.request, number: 1))
    rig.post(.completed(pending))
    rig.send(
      request("PING") + request("GET", foreign) + request("CONFIG", "GET", "hz"), from: other)
    #expect(
      shown(rig.replies(to: other))
        == "+PONG -MOVED \(Tag.slot(of: foreign)) 10.0.0.1:7002 [\"hz\", \"33\"]")
    // Bytes that come now must not overtake the answer.
    rig.send(request("PING", "later"), from: client)
    rig.engine.finishCompleted()
    #expect(rig.shownReplies(to: client) == #"+OK "behind" "later""#)
  }

  /// The answer finds another client in the place of one that has left.
  @Test func theClientHasLeft() throws {
    var rig = try Rig()
    let client = rig.client
    rig.send(request("CONFIG", "SET", "hz", "33"), from: client)
    let pending = try rig.takeControl()
    rig.engine.disconnect(client)
    rig.post(.completed(pending))
    rig.engine.drainMailbox()
    let next = try rig.connect(to: 0)
    #expect(next == client)
    rig.post(.completed(pending))
    rig.engine.drainMailbox()
    #expect(rig.shownReplies(to: next) == "")
    rig.expect("PING => +PONG", from: next)
  }

  @Test func allOrNothing() throws {
    var rig = try Rig()
    rig.expect(
      """
      CONFIG SET hz 50 timeout 7 maxmemory 1gb => +OK
      CONFIG SET hz 60 timeout x => -ERR CONFIG SET failed …
      CONFIG GET hz timeout maxmemory => ["hz", "50", "timeout", "7", "maxmemory", "1073741824"]
      """)
    #expect(rig.engine.takeControlRequests().count == 0)
  }

  @Test func limitsFollowTheSettings() throws {
    var rig = try Rig()
    rig.expect("CONFIG SET proto-max-bulk-len 1mb => +OK")
    #expect(rig.engine.limits.maxBulkLength == 1 << 20)
    rig.send(Array("*2\r\n$3\r\nGET\r\n$1048577\r\n".utf8), from: rig.client)
    #expect(shown(rig.replies(to: rig.client)) == "-ERR Protocol error: invalid bulk length")
  }

  @Test func maxmemory() throws {
    var rig = try Rig()
    rig.expect("SET k v => +OK\nCONFIG SET maxmemory 1 => +OK")
    rig.engine.tick()
    // Clients are summed up.
    _ = rig.housekeep()
    let refusal = "-OOM command not allowed when used memory > 'maxmemory'."
    rig.expect(
      """
      SET k w              => \(refusal)
      INCR n               => \(refusal)
      APPEND k w           => \(refusal)
      MSET k w             => \(refusal)
      GET k                => "v"
      EXPIRE k 100         => :1
      DEL k                => :1
      SET k w              => \(refusal)
      CONFIG SET maxmemory 0 => +OK
      """)
    rig.engine.tick()
    rig.expect("SET k w => +OK")
    let set = rig.engine.statistics.commands[Int(CommandID.set.rawValue)]
    #expect(set.calls == 2 && set.rejected == 2)
  }

  @Test func shutdownIsNeverAnswered() throws {
    var rig = try Rig()
    rig.send(request("SHUTDOWN", "NOSAVE") + request("PING"), from: rig.client)
    let pending = try rig.takeControl()
    #expect(rig.engine.isDraining == false)
    rig.post(.control(pending.request, number: 1))
    rig.engine.drainMailbox()
    #expect(rig.engine.isDraining == true)
    #expect(rig.replies(to: rig.client) == [])
  }
}
