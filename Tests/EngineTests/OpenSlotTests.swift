import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// Slots that are given away and taken over key by key: two shards of one worker, so that both have keys of the same slot.
@Suite struct OpenSlotTests {
  /// Slots 0 … 5460 are shard 1's, 5461 … 10922 shard 2's, on this worker both; the rest is shard 3's, elsewhere.
  private func rig() throws -> Rig {
    var rig = try Rig(map: .test(3), local: [1, 2])
    let second = try rig.connect(to: 1)
    #expect(second == target)
    return rig
  }

  /// The client of shard 2; the rig's own is one of shard 1.
  let target = ClientID(index: 1)

  let key = Tag.in(0..<5461)
  let other = Tag.in(0..<5461, skip: 1)
  var slot: Int { Tag.slot(of: key) }

  /// A rig whose shard 1 gives a slot to shard 2.
  private func opened() throws -> Rig {
    var rig = try rig()
    rig.expect("CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1)) => +OK", from: target)
    rig.expect("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2)) => +OK")
    return rig
  }

  @Test func setSlotIsChecked() throws {
    var rig = try rig()
    let wrong = "-ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP"
    rig.expect(
      """
      CLUSTER SETSLOT x STABLE => -ERR Invalid or out of range slot
      CLUSTER SETSLOT 16384 STABLE => -ERR Invalid or out of range slot
      CLUSTER SETSLOT -1 STABLE => -ERR Invalid or out of range slot
      CLUSTER SETSLOT \(slot) => -ERR wrong number of arguments for 'cluster|setslot' command
      CLUSTER SETSLOT \(slot) FOO => \(wrong)
      CLUSTER SETSLOT \(slot) STABLE x => \(wrong)
      CLUSTER SETSLOT \(slot) NODE => \(wrong)
      CLUSTER SETSLOT \(slot) MIGRATING x => -ERR I don't know about node x
      CLUSTER SETSLOT \(slot) IMPORTING x => -ERR I'm already the owner of hash slot \(slot)
      CLUSTER SETSLOT \(slot) NODE x => -ERR Unknown node x
      CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(9)) => -ERR I don't know about node \(NodeID.test(9))
      CLUSTER SETSLOT \(slot) NODE \(NodeID.test(9)) => -ERR Unknown node \(NodeID.test(9))
      CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(1)) => +OK
      GET \(key) => nil
      CLUSTER SETSLOT \(slot) NODE \(NodeID.test(1)) => +OK
      SET \(key) v => +OK
      CLUSTER SETSLOT \(slot) NODE \(NodeID.test(2)) => -ERR Can't assign hashslot \(slot) to a different node while I still hold keys for this hash slot.
      CLUSTER SETSLOT \(slot) STABLE => +OK
      """)
    rig.expect(
      """
      CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(1)) => -ERR I'm not the owner of hash slot \(slot)
      CLUSTER SETSLOT \(slot) IMPORTING x => -ERR I don't know about node x
      CLUSTER SETSLOT \(slot) NODE \(NodeID.test(1)) => +OK
      """, from: target)
    let endpoint = try rig.connect(to: nil)
    rig.expect("CLUSTER SETSLOT \(slot) STABLE => -ERR This command concerns …", from: endpoint)
    let isClosed = rig.engine.openSlots.isEmpty && rig.engine.openSlotBits == 0
    #expect(isClosed)
  }

  /// Every row of the table of verdicts, with real tables.
  @Test func verdicts() throws {
    var rig = try opened()
    let moved = "-MOVED \(slot) 10.0.0.1:7001"
    let ask = "-ASK \(slot) 10.0.0.1:7002"
    let again = "-TRYAGAIN Multiple keys request during rehashing of slot"
    rig.expect(
      "CLUSTER SETSLOT \(slot) STABLE => +OK\nSET \(key)1 one => +OK\nSET \(key)2 two => +OK")
    rig.expect("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2)) => +OK")
    // The source: all here, none here, some.
    rig.expect(
      """
      GET \(key)1 => "one"
      MGET \(key)1 \(key)2 => ["one", "two"]
      GET \(key)x => \(ask)
      SET \(key)x v => \(ask)
      MGET \(key)x \(key)y => \(ask)
      MGET \(key)1 \(key)x => \(again)
      MSET \(key)1 1 \(key)x 1 => \(again)
      MGET \(key)x \(key)x => \(ask)
      MGET \(key)1 \(other) => -CROSSSLOT …
      GET \(other) => nil
      SET \(key)1 eins => +OK
      ASKING => +OK
      GET \(key)x => \(ask)
      """)
    // The target: only after ASKING, and never what lies at the source, though that is the same worker.
    rig.expect(
      """
      GET \(key)1 => \(moved)
      ASKING => +OK
      GET \(key)1 => nil
      GET \(key)1 => \(moved)
      ASKING => +OK
      SET \(key)x new => +OK
      ASKING => +OK
      GET \(key)x => "new"
      ASKING => +OK
      MGET \(key)x \(key)x => ["new", "new"]
      ASKING => +OK
      MGET \(key)x \(key)y => \(again)
      ASKING => +OK
      MGET \(key)y \(key)z => \(again)
      ASKING => +OK
      MGET \(key)x \(other) => -CROSSSLOT …
      ASKING => +OK
      GET \(other) => -MOVED \(Tag.slot(of: other)) 10.0.0.1:7001
      ASKING => +OK
      DEL \(key)x => :1
      """, from: target)
    rig.expect("CLUSTER COUNTKEYSINSLOT \(slot) => :2\nGET \(key)1 => \"eins\"\nDBSIZE => :2")
    rig.engine.keyspace.checkInvariants()
  }

  /// What lies in an open table is shown by COUNTKEYSINSLOT and GETKEYSINSLOT alone, is neither swept nor counted as the shard's.
  @Test func openTablesAreNotShown() throws {
    var rig = try opened()
    rig.expect(
      """
      ASKING => +OK
      SET \(key)1 v PX 100 => +OK
      ASKING => +OK
      SET \(key)2 v => +OK
      CLUSTER COUNTKEYSINSLOT \(slot) => :2
      DBSIZE => :0
      RANDOMKEY => nil
      KEYS * => []
      SCAN 0 COUNT 100000 => ["0", []]
      """, from: target)
    let keys = rig.ask("CLUSTER GETKEYSINSLOT \(slot) 10", from: target)
    #expect(keys.contains("\(key)1") && keys.contains("\(key)2"))
    let one = rig.ask("CLUSTER GETKEYSINSLOT \(slot) 1", from: target)
    #expect(one.split(separator: ",").count == 1)
    rig.expect("CLUSTER COUNTKEYSINSLOT \(slot) => :0\nCLUSTER GETKEYSINSLOT \(slot) 10 => []")
    rig.setTime(1_000_200)
    rig.engine.tick()
    while rig.housekeep() {}
    // Not swept; absent to whoever asks.
    rig.expect("CLUSTER COUNTKEYSINSLOT \(slot) => :2", from: target)
    rig.expect(
      """
      ASKING => +OK
      MGET \(key)1 \(key)2 => -TRYAGAIN …
      ASKING => +OK
      GET \(key)1 => nil
      CLUSTER COUNTKEYSINSLOT \(slot) => :1
      CLUSTER FLUSHSLOT \(slot) => +OK
      CLUSTER COUNTKEYSINSLOT \(slot) => :0
      """, from: target)
    rig.engine.keyspace.checkInvariants()
  }

  /// A key whose time has come is not at the source any more, although it was not removed yet.
  @Test func expiredKeysAreGone() throws {
    var rig = try opened()
    rig.expect("CLUSTER SETSLOT \(slot) STABLE => +OK\nSET \(key) v PX 100 => +OK")
    rig.expect("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2)) => +OK\nGET \(key) => \"v\"")
    rig.setTime(1_000_200)
    rig.expect("GET \(key) => -ASK …\nSET \(key) w => -ASK …")
  }

  @Test func nodesShowsOpenSlots() throws {
    var rig = try opened()
    let source = rig.ask("CLUSTER NODES", from: rig.client)
    #expect(source.contains("0-5460 [\(slot)->-\(NodeID.test(2))]"))
    #expect(!source.contains("-<-"))
    let importing = rig.ask("CLUSTER NODES", from: target)
    #expect(importing.contains("5461-10922 [\(slot)-<-\(NodeID.test(1))]"))
    rig.expect("CLUSTER SETSLOT \(slot) STABLE => +OK")
    rig.expect("CLUSTER SETSLOT \(slot) STABLE => +OK", from: target)
    let closed = rig.ask("CLUSTER NODES", from: target)
    #expect(!closed.contains("["))
    let isClosed = rig.engine.openSlots.isEmpty && rig.engine.openSlotBits == 0
    #expect(isClosed)
  }

  @Test func transactions() throws {
    var rig = try opened()
    rig.expect(
      """
      ASKING => +OK
      MULTI => +OK
      SET \(key) 1 => +QUEUED
      INCR \(key) => +QUEUED
      EXEC => [+OK, :2]
      GET \(key) => -MOVED …
      ASKING => +OK
      WATCH \(key) => +OK
      ASKING => +OK
      MULTI => +OK
      GET \(key) => +QUEUED
      EXEC => ["2"]
      ASKING => +OK
      WATCH \(key) => +OK
      ASKING => +OK
      SET \(key) 3 => +OK
      ASKING => +OK
      MULTI => +OK
      GET \(key) => +QUEUED
      EXEC => nil
      MULTI => +OK
      GET \(key) => -MOVED …
      EXEC => -EXECABORT …
      """, from: target)
    rig.expect(
      """
      MULTI => +OK
      GET \(key) => -ASK …
      EXEC => -EXECABORT …
      """)
    let listeners = rig.engine.listeners
    #expect(listeners == 0)
  }

  /// The end of an import loses nothing: the keys are there when it goes on, or when the slot comes.
  @Test func stableKeepsWhatWasImported() throws {
    var rig = try opened()
    rig.expect(
      """
      ASKING => +OK
      SET \(key) v => +OK
      CLUSTER SETSLOT \(slot) STABLE => +OK
      ASKING => +OK
      GET \(key) => -MOVED \(slot) 10.0.0.1:7001
      CLUSTER COUNTKEYSINSLOT \(slot) => :1
      CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(3)) => +OK
      ASKING => +OK
      GET \(key) => "v"
      CLUSTER SETSLOT \(slot) STABLE => +OK
      FLUSHALL => +OK
      CLUSTER COUNTKEYSINSLOT \(slot) => :0
      """, from: target)
    rig.expect("CLUSTER SETSLOT \(slot) STABLE => +OK")
    let isClosed = rig.engine.openSlots.isEmpty
    #expect(isClosed)
    while rig.housekeep() {}
    let keyCount = rig.engine.keyspace.keyCount
    #expect(keyCount == 0)
    rig.engine.keyspace.checkInvariants()
  }

  @Test func importsAreLimited() throws {
    var rig = try rig()
    for slot in 0..<Keyspace.openTableCount {
      rig.expect("CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(1)) => +OK", from: target)
    }
    rig.expect("CLUSTER SETSLOT 1300 IMPORTING \(NodeID.test(1)) => -ERR Too many …", from: target)
    rig.expect("CLUSTER SETSLOT 5 STABLE => +OK", from: target)
    rig.expect("CLUSTER SETSLOT 1300 IMPORTING \(NodeID.test(1)) => +OK", from: target)
    // Redirects are as before, and what is open of a slot is found.
    rig.expect("ASKING => +OK\nGET \(Tag.in(10..<20)) => nil", from: target)
  }

  // MARK: Changing hands

  @Test func lettingGoAndAdopting() throws {
    var rig = try opened()
    let number = HashSlot(UInt16(slot))
    rig.expect("CLUSTER SETSLOT \(slot) STABLE => +OK\nSET \(key)1 v => +OK")
    rig.expect("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(2)) => +OK")
    rig.expect("ASKING => +OK\nSET \(key)2 w => +OK", from: target)
    let isOpen = rig.engine.isOpen(number, of: 0) && rig.engine.isOpen(number, of: 1)
    #expect(isOpen)
    let refused = rig.engine.letGo(slot: number, of: 0)
    let first = rig.engine.letGo([SlotRange(HashSlot(0), HashSlot(5460))], of: 0)
    #expect(!refused && first == number)
    rig.expect("GET \(key)1 => \"v\"\nGET \(other) => nil")
    rig.expect("WATCH \(key)1 => +OK\nDEL \(key)1 => :1")
    rig.expect("UNWATCH => +OK\nWATCH \(other) => +OK")
    rig.expect("ASKING => +OK\nWATCH \(key)2 => +OK", from: target)
    let isGone = rig.engine.letGo(slot: number, of: 0)
    let isStillOpen = rig.engine.isOpen(number, of: 0)
    #expect(isGone && !isStillOpen)
    // Between the two nobody has it, and the target is asked to look first.
    let newer = ClusterMap.test(3).assigning([SlotRange(number, number)], to: .test(2))
    rig.post(.adoptOpen([SlotRange(number, number)], by: .test(2)))
    rig.engine.board.publish(newer)
    rig.expect("GET \(key)2 => -MOVED \(slot) 10.0.0.1:7002")
    rig.expect(
      """
      GET \(key)2 => "w"
      MULTI => +OK
      GET \(key)2 => +QUEUED
      EXEC => nil
      CLUSTER COUNTKEYSINSLOT \(slot) => :1
      DBSIZE => :1
      """, from: target)
    rig.expect("MULTI => +OK\nGET \(other) => +QUEUED\nEXEC => [nil]")
    let isClosed = rig.engine.openSlots.isEmpty && rig.engine.openSlotBits == 0
    #expect(isClosed)
    rig.engine.keyspace.checkInvariants()
  }

  /// A slot that was not being imported comes empty; what this worker holds is not taken from it.
  @Test func adoptingWithoutAnImport() throws {
    var rig = try rig()
    let number = HashSlot(UInt16(slot))
    rig.engine.adoptOpen(slot: number, by: 1)
    let owner = rig.engine.keyspace.owner(of: slot)
    #expect(owner == 0)
    _ = rig.engine.letGo([SlotRange(number, number)], of: 0)
    rig.engine.adoptOpen(slot: number, by: 1)
    rig.expect("SET \(key) v => +OK", from: target)
    // Not its own: nothing to do.
    let isDone = rig.engine.letGo(slot: number, of: 0)
    let newOwner = rig.engine.keyspace.owner(of: slot)
    #expect(isDone && newOwner == 1)
  }

  /// A slot that is taken over with keys in it: they stay, out of reach, until the slot is imported there.
  @Test func keysAreSetAside() throws {
    var rig = try rig()
    let number = HashSlot(UInt16(slot))
    rig.expect("SET \(key) v => +OK\nSET \(other) w => +OK")
    rig.engine.setAside(number)
    let otherSlot = HashSlot(UInt16(Tag.slot(of: other)))
    let left = rig.engine.letGo([SlotRange(otherSlot, otherSlot)], of: 0)
    #expect(left == otherSlot)
    let none = rig.engine.letGo([SlotRange(number, number)], of: 0)
    #expect(none == nil)
    rig.engine.setAside(nil)
    rig.engine.adoptOpen(slot: number, by: 1)
    rig.engine.board.publish(
      ClusterMap.test(3).assigning([SlotRange(number, number)], to: .test(2)))
    rig.expect("GET \(key) => nil", from: target)
    rig.expect(
      """
      GET \(key) => -MOVED \(slot) 10.0.0.1:7002
      ASKING => +OK
      GET \(key) => -MOVED \(slot) 10.0.0.1:7002
      CLUSTER COUNTKEYSINSLOT \(slot) => :1
      DBSIZE => :1
      CLUSTER SETSLOT \(slot) IMPORTING \(NodeID.test(2)) => +OK
      ASKING => +OK
      GET \(key) => "v"
      """)
    rig.engine.keyspace.checkInvariants()
  }

  /// What a shard that has left had imported is not its successor's.
  @Test func successors() throws {
    var rig = try opened()
    rig.expect(
      "ASKING => +OK\nSET \(key) v => +OK\nCLUSTER COUNTKEYSINSLOT \(slot) => :1", from: target)
    rig.engine.open(LocalShardInfo(id: .test(7), nodeID: .test(7)), at: 1)
    rig.expect("CLUSTER COUNTKEYSINSLOT \(slot) => :0\nDBSIZE => :0", from: target)
    let left = rig.engine.openSlots.map(\.shard)
    #expect(left == [0])
    rig.engine.keyspace.checkInvariants()
  }

  /// With the node that a slot goes to or comes from, that it is open ends.
  @Test func nodesThatLeave() throws {
    var rig = try rig()
    rig.expect("CLUSTER SETSLOT \(slot) MIGRATING \(NodeID.test(3)) => +OK")
    rig.expect("CLUSTER SETSLOT 12000 IMPORTING \(NodeID.test(3)) => +OK", from: target)
    var owners = SlotOwners.uniform(shardCount: 2)
    owners[HashSlot(0)] = 0
    rig.engine.board.publish(
      ClusterMap(epoch: ConfigEpoch(5), shards: ClusterMap.shards(2), owners: owners))
    rig.expect("GET \(Tag.in(12000..<13000)) => -MOVED …")
    let isClosed = rig.engine.openSlots.isEmpty
    #expect(isClosed)
  }
}
