import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// What changes the owner of a slot: checks here, the change by the authority over the map.
@Suite struct ClusterRequestTests {
  private let slots = [SlotRange(HashSlot(20), HashSlot(29))]

  /// Slots 20 … 29 are nobody's; shard 1 is here.
  private func rig() throws -> Rig {
    var owners = SlotOwners.uniform(shardCount: 2)
    for slot in 20..<30 { owners[HashSlot(UInt16(slot))] = nil }
    return try Rig(
      map: ClusterMap(epoch: ConfigEpoch(3), shards: ClusterMap.shards(2), owners: owners),
      local: [1])
  }

  /// Sends a line and takes what it asks the authority for.
  private func requests(_ line: String, _ rig: inout Rig) -> [PendingClusterRequest] {
    rig.send(request(words(line)), from: rig.client)
    return rig.engine.takeClusterRequests()
  }

  @Test func checks() throws {
    var rig = try rig()
    rig.expect(
      """
      CLUSTER ADDSLOTS x => -ERR Invalid or out of range slot
      CLUSTER ADDSLOTS 20 16384 => -ERR Invalid or out of range slot
      CLUSTER ADDSLOTS 20 21 20 => -ERR Slot 20 specified multiple times
      CLUSTER ADDSLOTS 20 19 => -ERR Slot 19 is already busy
      CLUSTER DELSLOTS 20 => -ERR Slot 20 is already unassigned
      CLUSTER DELSLOTS 1 1 => -ERR Slot 1 specified multiple times
      CLUSTER ADDSLOTSRANGE 20 => -ERR wrong number of arguments for 'cluster|addslotsrange' command
      CLUSTER ADDSLOTSRANGE 20 21 22 => -ERR wrong number of arguments for 'cluster|addslotsrange' command
      CLUSTER ADDSLOTSRANGE 9 8 => -ERR start slot number 9 is greater than end slot number 8
      CLUSTER ADDSLOTSRANGE 20 22 22 23 => -ERR Slot 22 specified multiple times
      CLUSTER DELSLOTSRANGE 19 20 => -ERR Slot 20 is already unassigned
      CLUSTER BUMPEPOCH x => -ERR wrong number of arguments for 'cluster|bumpepoch' command
      CLUSTER SET-CONFIG-EPOCH x => -ERR value is not an integer or out of range
      CLUSTER SET-CONFIG-EPOCH -1 => -ERR Invalid config epoch specified: -1
      CLUSTER SET-CONFIG-EPOCH 1 => -ERR The user can assign a config epoch only when the node does not know any other node.
      CLUSTER FLUSHSLOTS x => -ERR wrong number of arguments for 'cluster|flushslots' command
      SET \(Tag.in(0..<20)) v => +OK
      CLUSTER DELSLOTS \(Tag.slot(of: Tag.in(0..<20))) => -ERR Slot \(Tag.slot(of: Tag.in(0..<20))) still has keys here; move or remove them before CLUSTER DELSLOTS
      CLUSTER FLUSHSLOTS => -ERR DB must be empty to perform CLUSTER FLUSHSLOTS.
      """)
  }

  /// It looks first, as every refusal does. Another shard's slot is not this one's to give up: nothing happens.
  @Test func delSlotsLooksFirst() throws {
    var two = try Two()
    let tag = Two.keys[0]
    let slot = Tag.slot(of: tag)
    try two.give(Two.slots(of: tag))
    let asked = request(words("CLUSTER DELSLOTS \(slot)"))
    two.second.send(asked, from: two.second.client)
    let requests = two.second.engine.takeClusterRequests()
    #expect(requests.count == 1)
    two.first.send(asked, from: two.first.client)
    #expect(
      two.first.shownReplies(to: two.first.client)
        == "+OK")
    let none = two.first.engine.takeClusterRequests()
    #expect(none.isEmpty)
  }

  /// State and conduct go together: a cluster that is to be whole serves nothing while a slot is nobody's.
  @Test func fullCoverage() throws {
    var rig = try rig()
    let key = Tag.in(0..<20)
    rig.expect("SET \(key) v => +OK")
    #expect(
      rig.ask("CLUSTER", "INFO").hasPrefix("\"cluster_state:ok\\r\\ncluster_slots_assigned:16374"))
    rig.send(request(words("CONFIG SET cluster-require-full-coverage yes")), from: rig.client)
    rig.engine.applyOwnControls()
    _ = rig.shownReplies(to: rig.client)
    #expect(rig.ask("CLUSTER", "INFO").hasPrefix("\"cluster_state:fail"))
    for line in ["GET \(key)", "SET \(key) w", "GET \(Tag.in(30..<100))", "MGET \(key) \(key)"] {
      rig.expect("\(line) => -CLUSTERDOWN The cluster is down")
    }
    rig.expect(
      "PING => +PONG\nDBSIZE => :1\nMULTI => +OK\nGET \(key) => -CLUSTERDOWN The cluster is down\nEXEC => -EXECABORT …"
    )
    var whole = rig.engine.map
    whole = whole.assigning(slots, to: .test(1))
    rig.engine.own(slots, by: .test(1), whole)
    rig.expect("GET \(key) => \"v\"")
    #expect(rig.ask("CLUSTER", "INFO").hasPrefix("\"cluster_state:ok"))
  }

  /// What does not apply is said so; what has an answer without replicas gives it.
  @Test func nodes() throws {
    var rig = try rig()
    let (own, other, none) = (NodeID.test(1), NodeID.test(2), NodeID.test(9))
    rig.expect(
      """
      CLUSTER MEET 10.0.0.1 x => -ERR Invalid TCP base port specified: x
      CLUSTER MEET 10.0.0.1 7001 x => -ERR Invalid TCP bus port specified: x
      CLUSTER MEET 10.0.0.1 7001 => -ERR All shards …
      CLUSTER FORGET \(none) => -ERR Unknown node \(none)
      CLUSTER FORGET \(own) => -ERR I tried hard but I can't forget myself...
      CLUSTER FORGET \(other) => -ERR A shard of a Tern cluster leaves with CLUSTER RESIZE…
      CLUSTER REPLICATE x => -ERR Unknown node x
      CLUSTER REPLICATE \(own) => -ERR Can't replicate myself
      CLUSTER REPLICATE \(other) => -ERR Tern has no replicas: every shard is a primary
      CLUSTER REPLICAS \(other) => []
      CLUSTER SLAVES \(own) => []
      CLUSTER REPLICAS x => -ERR Unknown node x
      CLUSTER COUNT-FAILURE-REPORTS \(other) => :0
      CLUSTER COUNT-FAILURE-REPORTS x => -ERR Unknown node x
      CLUSTER FAILOVER => -ERR You should send CLUSTER FAILOVER to a replica
      CLUSTER FAILOVER FORCE => -ERR You should send CLUSTER FAILOVER to a replica
      CLUSTER FAILOVER NOW => -ERR syntax error
      CLUSTER RESET x => -ERR syntax error
      CLUSTER RESET SOFT => -ERR A shard of a Tern cluster cannot stand alone…
      CLUSTER LINKS => []
      SET \(Tag.in(0..<20)) v => +OK
      CLUSTER RESET => -ERR CLUSTER RESET can't be called with master nodes containing keys
      """)
  }

  @Test func whatIsAskedFor() throws {
    let asked: [(String, ClusterRequest)] = [
      ("CLUSTER ADDSLOTS 20 22 21", .assign([SlotRange(HashSlot(20), HashSlot(22))], to: .test(1))),
      ("CLUSTER ADDSLOTSRANGE 20 24 25 29", .assign(slots, to: .test(1))),
      ("CLUSTER DELSLOTS 0", .unassign([SlotRange(HashSlot(0), HashSlot(0))])),
      ("CLUSTER DELSLOTSRANGE 30 40", .unassign([SlotRange(HashSlot(30), HashSlot(40))])),
      (
        "CLUSTER FLUSHSLOTS",
        .unassign([
          SlotRange(HashSlot(0), HashSlot(19)), SlotRange(HashSlot(30), HashSlot(8191)),
        ])
      ),
      ("CLUSTER SETSLOT 7 NODE \(NodeID.test(2))", .setSlot(HashSlot(7), to: .test(2))),
      ("CLUSTER SETSLOT 25 NODE \(NodeID.test(1))", .setSlot(HashSlot(25), to: .test(1))),
      ("CLUSTER BUMPEPOCH", .bumpEpoch(.test(1))),
      ("CLUSTER SAVECONFIG", .save),
    ]
    for (line, wanted) in asked {
      var rig = try rig()
      let requests = requests(line, &rig)
      #expect(requests.map(\.requests) == [[wanted]], "\(line)")
      // Nothing runs until the answer is there.
      rig.send(request(words("PING")), from: rig.client)
      let before = rig.shownReplies(to: rig.client)
      #expect(before == "")
      for var pending in requests {
        pending.outcome = wanted == .bumpEpoch(.test(1)) ? .epoch(ConfigEpoch(4)) : .done
        rig.post(.clusterChanged(pending))
      }
      rig.engine.drainMailbox()
      let replies = rig.shownReplies(to: rig.client)
      #expect(replies == (line.hasSuffix("BUMPEPOCH") ? "+BUMPED 4 +PONG" : "+OK +PONG"))
    }
  }

  @Test func refusals() throws {
    var rig = try rig()
    for var pending in requests("CLUSTER SETSLOT 7 NODE \(NodeID.test(2))", &rig) {
      pending.outcome = .refused(
        "ERR Can't assign hashslot 7 to a different node while I still hold keys for this hash slot."
      )
      rig.post(.clusterChanged(pending))
      // Late: the client has gone, and another one may have its place.
      rig.post(.clusterChanged(pending))
    }
    rig.engine.drainMailbox()
    let reply = rig.shownReplies(to: rig.client)
    #expect(
      reply
        == "-ERR Can't assign hashslot 7 to a different node while I still hold keys for this hash slot."
    )
    rig.expect("PING => +PONG")
  }

  /// redis-cli's repair: all in one transaction, which asks once and is answered when all of it is in force.
  @Test func transaction() throws {
    var rig = try rig()
    rig.send(
      request(words("MULTI")) + request(words("CLUSTER DELSLOTS 25"))
        + request(words("CLUSTER ADDSLOTS 25")) + request(words("CLUSTER SETSLOT 25 STABLE"))
        + request(words("CLUSTER BUMPEPOCH")) + request(words("EXEC")), from: rig.client)
    let requests = rig.engine.takeClusterRequests()
    let slot = SlotRange(HashSlot(25), HashSlot(25))
    #expect(requests.map(\.requests) == [[.assign([slot], to: .test(1)), .bumpEpoch(.test(1))]])
    for pending in requests { rig.post(.clusterChanged(pending)) }
    rig.engine.drainMailbox()
    let replies = rig.shownReplies(to: rig.client)
    #expect(
      replies
        == "+OK +QUEUED +QUEUED +QUEUED +QUEUED [-ERR Slot 25 is already unassigned, +OK, +OK, +BUMPED 5]"
    )
    // A slot that is given up and taken again in one transaction.
    rig.send(
      request(words("MULTI")) + request(words("CLUSTER DELSLOTS 7"))
        + request(words("CLUSTER ADDSLOTS 7")) + request(words("EXEC")), from: rig.client)
    let again = rig.engine.takeClusterRequests()
    let seven = [SlotRange(HashSlot(7), HashSlot(7))]
    #expect(again.map(\.requests) == [[.unassign(seven), .assign(seven, to: .test(1))]])
    // Refused: what EXEC has written would not be true, so that nothing of it is sent.
    for var pending in again {
      pending.outcome = .refused("ERR no")
      rig.post(.clusterChanged(pending))
    }
    rig.engine.drainMailbox()
    let isClosed = rig.isClosing(rig.client) && !rig.engine.hasOutput(rig.client)
    #expect(isClosed)
  }

  /// DELSLOTS of another shard's slot does nothing by itself, as redis-cli wants it; with ADDSLOTS in one EXEC the slot is taken over.
  @Test func takingOver() throws {
    var rig = try rig()
    rig.expect(
      "CLUSTER DELSLOTS 10000 => +OK\nCLUSTER ADDSLOTS 10000 => -ERR Slot 10000 is already busy"
    )
    rig.send(
      request(words("MULTI")) + request(words("CLUSTER DELSLOTS 10000"))
        + request(words("CLUSTER ADDSLOTS 10000 20")) + request(words("CLUSTER ADDSLOTS 10000"))
        + request(words("EXEC")), from: rig.client)
    let requests = rig.engine.takeClusterRequests()
    let twenty = [SlotRange(HashSlot(20), HashSlot(20))]
    #expect(
      requests.map(\.requests) == [
        [.takeOver(HashSlot(10000), to: .test(1)), .assign(twenty, to: .test(1))]
      ])
    for pending in requests { rig.post(.clusterChanged(pending)) }
    rig.engine.drainMailbox()
    let replies = rig.shownReplies(to: rig.client)
    #expect(replies.hasSuffix("[+OK, +OK, -ERR Slot 10000 is already busy]"))
  }
}
