import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// Six shards; 1 and 4 on this worker; slots 0 … 2730 are shard 1's, 8192 … 10922 shard 4's. Slot 2000 … 2009 are nobody's.
private func sixShards(epoch: UInt64 = 3) -> ClusterMap {
  var owners = SlotOwners.uniform(shardCount: 6)
  for slot in 2000..<2010 { owners[HashSlot(UInt16(slot))] = nil }
  return ClusterMap(epoch: ConfigEpoch(epoch), shards: ClusterMap.shards(6), owners: owners)
}

@Suite struct ClusterTests {
  let mine = Tag.in(0..<2000)
  let alsoMine = Tag.in(0..<2000, skip: 1)
  let sibling = Tag.in(8192..<10922)
  let foreign = Tag.in(5000..<5400)
  let nobodys = Tag.in(2000..<2010)

  @Test func redirects() throws {
    var rig = try Rig(map: sixShards(), local: [1, 4])
    let second = try rig.connect(to: 1)
    let moved = "-MOVED \(Tag.slot(of: foreign)) 10.0.0.1:7002"
    let toSibling = "-MOVED \(Tag.slot(of: sibling)) 10.0.0.1:7004"
    let toMine = "-MOVED \(Tag.slot(of: mine)) 10.0.0.1:7001"
    rig.expect(
      """
      SET \(mine) v        => +OK
      GET \(mine)          => "v"
      GET \(foreign)       => \(moved)
      SET \(foreign) v     => \(moved)
      DEL \(foreign) \(foreign)x => \(moved)
      OBJECT ENCODING \(foreign) => \(moved)
      GET \(sibling)       => \(toSibling)
      GET \(nobodys)       => -CLUSTERDOWN Hash slot not served
      MSET \(nobodys) v    => -CLUSTERDOWN Hash slot not served
      MGET \(mine) \(foreign) => -CROSSSLOT Keys in request don't hash to the same slot
      MGET \(foreign) \(mine) => -CROSSSLOT Keys in request don't hash to the same slot
      MGET \(nobodys) \(mine) => -CROSSSLOT Keys in request don't hash to the same slot
      MSET \(mine) 1 \(alsoMine) 2 => -CROSSSLOT Keys in request don't hash to the same slot
      MGET \(mine) \(mine)x \(mine) => ["v", nil, "v"]
      GET \(mine) x        => -ERR wrong number of arguments for 'get' command
      DBSIZE               => :1
      CLUSTER COUNTKEYSINSLOT \(Tag.slot(of: mine)) => :1
      CLUSTER MYID         => "\(NodeID.test(1))"
      """)
    rig.expect(
      """
      GET \(mine)          => \(toMine)
      SET \(sibling) w     => +OK
      DBSIZE               => :1
      RANDOMKEY            => "\(sibling)"
      SCAN 0 COUNT 100000  => ["0", ["\(sibling)"]]
      CLUSTER COUNTKEYSINSLOT \(Tag.slot(of: mine)) => :0
      CLUSTER GETKEYSINSLOT \(Tag.slot(of: mine)) 10 => []
      CLUSTER MYID         => "\(NodeID.test(4))"
      FLUSHALL             => +OK
      DBSIZE               => :0
      """, from: second)
    rig.expect("GET \(mine) => \"v\"\nRANDOMKEY => \"\(mine)\"")
    // The whole map, from anywhere.
    #expect(rig.ask("CLUSTER SLOTS", from: rig.client) == rig.ask("CLUSTER SLOTS", from: second))
    #expect(rig.ask("CLUSTER SHARDS", from: rig.client) == rig.ask("CLUSTER SHARDS", from: second))
    let nodes = rig.ask("CLUSTER NODES", from: second)
    #expect(nodes.contains("\(NodeID.test(4)) 10.0.0.1:7004@17004 myself,master"))
    #expect(nodes.split(separator: "myself").count == 2)
    rig.engine.keyspace.checkInvariants()
  }

  /// Redirects count as rejected, not as failed, and the slot's costs are not charged.
  @Test func redirectsAreCounted() throws {
    var rig = try Rig(map: sixShards(), local: [1, 4])
    for _ in 0..<3 { _ = rig.ask("GET \(foreign)", from: rig.client) }
    let get = rig.engine.statistics.commands[Int(CommandID.get.rawValue)]
    #expect(get.calls == 0 && get.rejected == 3 && get.failed == 0)
    let charged = rig.engine.keyspace.statistics(of: Tag.slot(of: foreign))
    #expect(charged == SlotStatistics())
    #expect(rig.engine.statistics.errors.map(\.code) == ["MOVED"])
  }

  @Test func configurationEndpoint() throws {
    var rig = try Rig(map: sixShards(), local: [1, 4])
    let client = try rig.connect(to: nil)
    let refusal = "-ERR This command concerns a whole shard; connect to a shard's own port"
    rig.expect(
      """
      PING                 => +PONG
      SET \(mine) v        => +OK
      GET \(mine)          => "v"
      SET \(foreign) v     => -MOVED \(Tag.slot(of: foreign)) 10.0.0.1:7002
      GET \(nobodys)       => -CLUSTERDOWN Hash slot not served
      RENAME \(mine) \(foreign) => -CROSSSLOT Keys in request don't hash to the same slot; …
      MIGRATE h 1 k 0 9    => \(refusal)
      DBSIZE               => :1
      KEYS *               => ["\(mine)"]
      RANDOMKEY            => "\(mine)"
      FLUSHALL             => +OK
      FLUSHDB              => +OK
      DBSIZE               => :0
      CONFIG GET hz        => ["hz", "10"]
      CONFIG SET hz 11     => +OK
      CLUSTER MYID         => "\(NodeID.test(1))"
      CLUSTER KEYSLOT foo  => :12182
      CLUSTER COUNTKEYSINSLOT \(Tag.slot(of: mine)) => :0
      COMMAND COUNT        => …
      CLIENT SETNAME me    => +OK
      ASKING               => +OK
      GET \(mine)          => nil
      INFO cluster         => "# Cluster\\r\\ncluster_enabled:0\\r\\n"
      HELLO 3              => {"server"…
      CLUSTER SLOTS        => [[:0, …
      """, from: client)
    let slots = rig.ask("CLUSTER SLOTS", from: rig.client)
    _ = rig.ask("HELLO 2", from: client)
    let same = rig.ask("CLUSTER SLOTS", from: client)
    #expect(slots == same)
  }

  // MARK: Open slots

  /// What a shard answers in every state, with and without ASKING, for a key that is there, one that is not, and several.
  @Test func everySlotState() throws {
    let slot = Tag.slot(of: mine)
    let moved = "-MOVED \(slot) 10.0.0.1:7001"
    let ask = "-ASK \(slot) 10.0.0.1:7005"
    let again = "-TRYAGAIN Multiple keys request during rehashing of slot"
    let down = "-CLUSTERDOWN Hash slot not served"
    let keys = [
      "\(mine)here", "\(mine)gone", "\(mine)here \(mine)gone", "\(mine)gone \(mine)away",
      "\(mine)here \(mine)here", "\(mine)gone \(mine)gone",
    ]
    let values = [#"["v"]"#, "[nil]", #"["v", nil]"#, "[nil, nil]", #"["v", "v"]"#, "[nil, nil]"]
    let answers: [(SlotState, asking: Bool, [String])] = [
      (.held, false, values), (.held, true, values),
      (.elsewhere, false, Array(repeating: moved, count: 6)),
      (.elsewhere, true, Array(repeating: moved, count: 6)),
      (.unassigned, false, Array(repeating: down, count: 6)),
      (.unassigned, true, Array(repeating: down, count: 6)),
      (.migrating(to: .test(5)), false, [values[0], ask, again, ask, values[4], ask]),
      (.migrating(to: .test(5)), true, [values[0], ask, again, ask, values[4], ask]),
      (.migrating(to: .test(9)), false, [values[0], again, again, again, values[4], again]),
      (.importingByPresence, false, Array(repeating: moved, count: 6)),
      (.importingByPresence, true, [values[0], values[1], again, again, values[4], values[5]]),
      (.importingByCursor, false, Array(repeating: moved, count: 6)),
      (.importingByCursor, true, [values[0], moved, again, moved, values[4], moved]),
    ]
    for (state, asking, wanted) in answers {
      var rig = try Rig(map: sixShards(), local: [1, 4])
      _ = rig.ask("SET \(mine)here v", from: rig.client)
      rig.engine.openSlots = [OpenSlot(shard: 0, slot: slot, state: state)]
      rig.engine.openSlotBits = .min
      for (place, keys) in keys.enumerated() {
        if asking { rig.expect("ASKING => +OK") }
        let reply = rig.ask("MGET \(keys)", from: rig.client)
        #expect(reply == wanted[place], "\(state), asking \(asking): \(keys)")
        // Other slots of this shard, and its sibling's, are as ever.
        rig.expect("GET \(alsoMine) => nil")
        if asking { rig.expect("ASKING => +OK\nGET \(alsoMine) => nil") }
      }
    }
  }

  /// ASKING holds for the next command, whatever that is and whatever becomes of it.
  @Test func askingHoldsOnce() throws {
    let slot = Tag.slot(of: mine)
    let moved = "-MOVED \(slot) 10.0.0.1:7001"
    for between in [
      "GET \(mine)", "PING", "NOPE", "GET", "CLIENT NOPE", "MGET \(mine) \(foreign)",
      "GET \(foreign)", "READONLY", "CONFIG GET hz", "MSET \(mine)",
    ] {
      var rig = try Rig(map: sixShards(), local: [1, 4])
      rig.engine.openSlots = [OpenSlot(shard: 0, slot: slot, state: .importingByPresence)]
      rig.engine.openSlotBits = .min
      rig.expect(
        """
        GET \(mine)        => \(moved)
        ASKING             => +OK
        ASKING             => +OK
        GET \(mine)        => nil
        GET \(mine)        => \(moved)
        ASKING             => +OK
        \(between)         => …
        GET \(mine)        => \(moved)
        """)
    }
  }

  /// READONLY changes nothing where there are no replicas, and stays until READWRITE or RESET.
  @Test func readonly() throws {
    var rig = try Rig(map: sixShards(), local: [1, 4])
    let moved = "-MOVED \(Tag.slot(of: foreign)) 10.0.0.1:7002"
    rig.expect(
      """
      READONLY             => +OK
      GET \(foreign)       => \(moved)
      SET \(mine) v        => +OK
      GET \(mine)          => "v"
      """)
    do {
      let info = rig.ask("CLIENT INFO", from: rig.client)
      #expect(info.contains(" flags=r "))
    }
    rig.expect("READWRITE => +OK\nGET \(foreign) => \(moved)")
    do {
      let info = rig.ask("CLIENT INFO", from: rig.client)
      #expect(info.contains(" flags=N "))
    }
  }

  // MARK: The mailbox

  /// No worker says no before it has looked.
  @Test func aNewerMapIsReadBeforeMoved() throws {
    var rig = try Rig(map: sixShards(), local: [1, 4])
    let slot = HashSlot(UInt16(Tag.slot(of: foreign)))
    let newer = sixShards().assigning([SlotRange(slot, slot)], to: .test(6))
    rig.engine.board.publish(newer)
    rig.expect("GET \(foreign) => -MOVED \(slot.number) 10.0.0.1:7006")
    #expect(rig.engine.map.epoch == ConfigEpoch(4))
    // An older one is ignored, an equal one too.
    rig.engine.board.publish(sixShards(epoch: 3))
    rig.engine.board.publish(sixShards(epoch: 4))
    rig.expect("GET \(foreign) => -MOVED \(slot.number) 10.0.0.1:7006")
    // Before CLUSTERDOWN too.
    let nobody = HashSlot(UInt16(Tag.slot(of: nobodys)))
    let assigned = newer.assigning([SlotRange(nobody, nobody)], to: .test(2))
    rig.engine.board.publish(assigned)
    rig.expect("GET \(nobodys) => -MOVED \(nobody.number) 10.0.0.1:7002")
    // What this worker holds it serves, whatever a map says.
    let stolen = assigned.assigning(
      [SlotRange(HashSlot(0), HashSlot(16383))], to: .test(2))
    rig.engine.board.publish(stolen)
    rig.expect(
      "SET \(mine) v => +OK\nGET \(foreign) => -MOVED \(slot.number) 10.0.0.1:7002\nGET \(mine) => \"v\""
    )
  }

  @Test func mailboxCapacity() {
    let mailbox = Mailbox()
    #expect(!mailbox.hasMail)
    for number in 0..<Mailbox.capacity {
      #expect(mailbox.send(.control(.resetStatistics, number: UInt64(number))))
    }
    #expect(!mailbox.send(.drain))
    #expect(!mailbox.send(.drain))
    let all = mailbox.takeAll()
    #expect(all.count == Mailbox.capacity)
    for (place, message) in all.enumerated() {
      guard case .control(.resetStatistics, let number) = message else {
        Issue.record("another message")
        continue
      }
      #expect(number == UInt64(place))
    }
    #expect(!mailbox.hasMail && mailbox.takeAll().isEmpty)
    #expect(mailbox.send(.drain))
    #expect(mailbox.takeAll().count == 1)
  }
}
