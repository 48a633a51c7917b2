import RESP
import Sharding
import Storage
import Testing
import Transcript

@testable import Engine

/// Two workers with a shard each, of a cluster of two: what one hands over the other finds.
private struct Pair: ~Copyable {
  let board: MapBoard
  var source: Rig
  var target: Rig

  init() throws {
    let board = MapBoard(.test(2))
    let source = try Rig(board: board, local: [1])
    let target = try Rig(board: board, local: [2])
    self.board = board
    self.source = source
    self.target = target
  }

  /// The order to hand slots from shard 1 over to shard 2.
  func order(_ slots: [SlotRange], mustBeEmpty: Bool = false, flip: UInt64 = 1) throws -> HandOver {
    let memory = try #require(SlotTableMemory(capacity: slots.reduce(0) { $0 + $1.count }))
    return HandOver(
      flip: flip, slots: slots, source: 0, target: 0, targetID: .test(2),
      mailbox: target.engine.mailbox, map: board.current.map.assigning(slots, to: .test(2)),
      memory: memory, mustBeEmpty: mustBeEmpty)
  }

  /// The order to hand slots from shard 2 over to shard 1.
  func orderBack(_ slots: [SlotRange]) throws -> HandOver {
    let memory = try #require(SlotTableMemory(capacity: slots.reduce(0) { $0 + $1.count }))
    return HandOver(
      flip: 2, slots: slots, source: 0, target: 0, targetID: .test(1),
      mailbox: source.engine.mailbox, map: board.current.map.assigning(slots, to: .test(1)),
      memory: memory)
  }
}

private func range(_ first: Int, _ last: Int) -> SlotRange {
  SlotRange(HashSlot(UInt16(first)), HashSlot(UInt16(last)))
}

@Suite struct HandoverTests {
  let key = Tag.in(100..<200)
  let other = Tag.in(300..<400)

  @Test func theTargetFindsWhatTheMapPromises() throws {
    var pair = try Pair()
    let slot = Tag.slot(of: key)
    pair.source.expect("SET \(key) v => +OK\nSET \(key)x w EX 100 => +OK\nSET \(other) o => +OK")
    let order = try pair.order([range(100, 199)])
    let outcome = pair.source.engine.handOver(order)
    #expect(outcome == .done)
    #expect(pair.board.current.map.epoch == ConfigEpoch(2))
    // The mailbox has not been read: whoever asks for a slot makes the target look.
    pair.source.expect(
      """
      GET \(key)   => -MOVED \(slot) 10.0.0.1:7002
      GET \(other) => "o"
      DBSIZE       => :1
      """)
    pair.target.expect(
      """
      GET \(key)   => "v"
      TTL \(key)x  => :100
      DBSIZE       => :2
      GET \(other) => -MOVED \(Tag.slot(of: other)) 10.0.0.1:7001
      """)
    let adoptions = pair.target.engine.takeAdoptions()
    #expect(adoptions.map(\.slotCount) == [100])
    #expect(adoptions.map(\.keyCount) == [2])
    let again = pair.target.engine.takeAdoptions()
    #expect(again == [])
    // A second order for slots that have left finds nothing to do.
    let refused = pair.source.engine.handOver(try pair.order([range(150, 250)]))
    #expect(refused == .notOwned)
    #expect(pair.board.current.map.epoch == ConfigEpoch(2))
  }

  @Test func allShardsTellTheSameMap() throws {
    var pair = try Pair()
    let before = pair.target.ask("CLUSTER SLOTS", from: pair.target.client)
    _ = pair.source.engine.handOver(try pair.order([range(0, 99)]))
    let atSource = pair.source.ask("CLUSTER SLOTS", from: pair.source.client)
    let atTarget = pair.target.ask("CLUSTER SLOTS", from: pair.target.client)
    #expect(atSource == atTarget)
    #expect(atSource != before)
    _ = pair.target.engine.takeAdoptions()
  }

  @Test func watchersOfSlotsThatLeaveFail() throws {
    var pair = try Pair()
    let slot = Tag.slot(of: key)
    pair.source.expect(
      "SET \(key) v => +OK\nWATCH \(key) => +OK\nMULTI => +OK\nGET \(key) => +QUEUED")
    _ = pair.source.engine.handOver(try pair.order([range(slot, slot)]))
    _ = pair.target.engine.takeAdoptions()
    _ = pair.target.engine.handOver(try pair.orderBack([range(slot, slot)]))
    // It left and came back: the watch does not stand.
    pair.source.expect("EXEC => nil\nGET \(key) => \"v\"")
    _ = pair.source.engine.takeAdoptions()
  }

  @Test func aQueueWhoseSlotHasLeftIsRedirectedWhole() throws {
    var pair = try Pair()
    let slot = Tag.slot(of: key)
    pair.source.expect("MULTI => +OK\nSET \(key) 1 => +QUEUED\nINCR \(key) => +QUEUED")
    _ = pair.source.engine.handOver(try pair.order([range(slot, slot)]))
    pair.source.expect(
      """
      EXEC       => -MOVED \(slot) 10.0.0.1:7002
      EXEC       => -ERR EXEC without MULTI
      """)
    pair.target.expect("EXISTS \(key) => :0\nMULTI => +OK\nSET \(key) 1 => +QUEUED\nEXEC => [+OK]")
    // A redirect while queueing fails the transaction.
    pair.source.expect(
      """
      MULTI      => +OK
      GET \(key) => -MOVED \(slot) 10.0.0.1:7002
      EXEC       => -EXECABORT Transaction discarded because of previous errors.
      """)
  }

  @Test func withinOneWorker() throws {
    let board = MapBoard(.test(2))
    var rig = try Rig(board: board, local: [1, 2])
    let second = try rig.connect(to: 1)
    rig.expect("SET \(key) v => +OK")
    let slots = [range(0, 8191)]
    let memory = try #require(SlotTableMemory(capacity: 8192))
    let order = HandOver(
      flip: 1, slots: slots, source: 0, target: 1, targetID: .test(2),
      mailbox: rig.engine.mailbox, map: board.current.map.assigning(slots, to: .test(2)),
      memory: memory)
    let outcome = rig.engine.handOver(order)
    #expect(outcome == .done)
    rig.expect("GET \(key) => \"v\"\nDBSIZE => :1", from: second)
    rig.expect("DBSIZE => :0")
    rig.expect("GET \(key) => -MOVED \(Tag.slot(of: key)) 10.0.0.1:7002")
  }

  @Test func shardsThatComeLater() throws {
    var rig = try Rig()
    rig.engine.open(LocalShardInfo(id: .test(7), nodeID: .test(7)), at: 3)
    let client = try rig.connect(to: 3)
    rig.expect("DBSIZE => :0\nPING => +PONG", from: client)
    let info = rig.ask("INFO clients", from: client)
    #expect(info.contains("connected_clients:1"))
    // Another shard takes the place over, with its clients and without its figures.
    rig.engine.open(LocalShardInfo(id: .test(8), nodeID: .test(8)), at: 3)
    rig.expect("PING => +PONG", from: client)
    let shard = rig.engine.shard(of: client)
    #expect(shard == 3)
  }

  @Test func slotsOfNobody() throws {
    let board = MapBoard(.test(1))
    var rig = try Rig(board: board, local: [1])
    let slot = Tag.slot(of: key)
    rig.expect("SET \(key) v => +OK")
    let map = board.current.map
    var owners = map.owners
    owners[HashSlot(UInt16(slot))] = nil
    let without = ClusterMap(epoch: map.epoch.next, shards: map.shards, owners: owners)
    let refused = rig.engine.disown([range(slot, slot)], of: 0, without)
    #expect(!refused)
    rig.expect("DEL \(key) => :1")
    let isDone = rig.engine.disown([range(slot, slot)], of: 0, without)
    #expect(isDone)
    rig.expect("GET \(key) => -CLUSTERDOWN Hash slot not served")
    rig.engine.own(
      [range(slot, slot)], by: .test(1),
      ClusterMap(epoch: without.epoch.next, shards: map.shards, owners: map.owners))
    rig.expect("GET \(key) => nil\nSET \(key) w => +OK")
  }
}

@Suite struct IncrementalTests {
  /// Many keys of one slot, moved slice by slice, each with a command at both ends between.
  @Test func keysGoAlongACursor() throws {
    var pair = try Pair()
    let tag = Tag.in(100..<200)
    let slot = Tag.slot(of: tag)
    let hashSlot = HashSlot(UInt16(slot))
    let keys = (0..<2000).map { "\(tag)\($0)" }
    for key in keys { pair.source.expect("SET \(key) \(key) => +OK") }
    let begins = pair.target.engine.beginImport(hashSlot, by: .test(2), from: .test(1))
    #expect(begins)
    let leaves = pair.source.engine.beginExport(hashSlot, of: 0, to: .test(2))
    #expect(leaves)
    let twice = pair.source.engine.beginExport(hashSlot, of: 0, to: .test(2))
    #expect(!twice)
    var (slices, moved, asked) = (0, 0, 0)
    while true {
      let mailbox = pair.target.engine.mailbox
      let moving = pair.source.engine.migrateSlice(
        hashSlot, of: 0, to: .test(2), mailbox, budget: 0)
      let slice = try #require(moving)
      slices += 1
      moved += slice.keyCount
      // Every key is served at exactly one of them, created there if it is absent.
      for key in keys.prefix(200) {
        let answer = pair.source.ask("GET \(key)", from: pair.source.client)
        _ = pair.target.ask("ASKING", from: pair.target.client)
        let asking = pair.target.ask("GET \(key)", from: pair.target.client)
        if answer == "\"\(key)\"" {
          // A late ASK of an earlier migration.
          #expect(asking == "-MOVED \(slot) 10.0.0.1:7001")
        } else {
          #expect(answer == "-ASK \(slot) 10.0.0.1:7002")
          #expect(asking == "\"\(key)\"")
          asked += 1
        }
        let without = pair.target.ask("GET \(key)", from: pair.target.client)
        #expect(without == "-MOVED \(slot) 10.0.0.1:7001")
        if slices % 16 != 0 { break }
      }
      if slice.isLast { break }
    }
    #expect(moved == keys.count)
    #expect(slices > 10 && asked > 0)
    let order = try pair.order([range(slot, slot)], mustBeEmpty: true)
    let outcome = pair.source.engine.handOver(order)
    #expect(outcome == .done)
    for key in keys { pair.target.expect("GET \(key) => \"\(key)\"") }
    pair.target.expect("DBSIZE => :2000\nCLUSTER COUNTKEYSINSLOT \(slot) => :2000")
    pair.source.expect("DBSIZE => :0\nGET \(keys[0]) => -MOVED \(slot) 10.0.0.1:7002")
    pair.source.engine.checkKeyspace()
    pair.target.engine.checkKeyspace()
  }

  /// Keys on both sides of the cursor in one command: TRYAGAIN at both ends, and the slot is in a hurry then.
  @Test func keysOnBothSides() throws {
    var pair = try Pair()
    let tag = Tag.in(100..<200)
    let slot = HashSlot(UInt16(Tag.slot(of: tag)))
    for i in 0..<200 { pair.source.expect("SET \(tag)\(i) \(i) => +OK") }
    _ = pair.target.engine.beginImport(slot, by: .test(2), from: .test(1))
    _ = pair.source.engine.beginExport(slot, of: 0, to: .test(2))
    let mailbox = pair.target.engine.mailbox
    for _ in 0..<3 {
      _ = pair.source.engine.migrateSlice(slot, of: 0, to: .test(2), mailbox, budget: 0)
    }
    var (here, gone): (String?, String?) = (nil, nil)
    for i in 0..<200 {
      let answer = pair.source.ask("GET \(tag)\(i)", from: pair.source.client)
      if answer.hasPrefix("-ASK") { gone = "\(tag)\(i)" } else { here = "\(tag)\(i)" }
    }
    let (stays, left) = (try #require(here), try #require(gone))
    pair.source.expect(
      "MGET \(stays) \(left) => -TRYAGAIN Multiple keys request during rehashing of slot")
    pair.target.expect(
      "ASKING => +OK\nMGET \(stays) \(left) => -TRYAGAIN Multiple keys request during rehashing of slot"
    )
    let slice = pair.source.engine.migrateSlice(slot, of: 0, to: .test(2), mailbox, budget: .max)
    #expect(slice?.isUrgent == true)
    #expect(slice?.isLast == true)
    pair.target.expect(
      "ASKING => +OK\nMGET \(stays) \(left) => [\"\(stays.dropFirst(tag.count))\", \"\(left.dropFirst(tag.count))\"]"
    )
    // What is created meanwhile is created at the target, and stays.
    pair.source.expect("SET \(tag)new 1 => -ASK \(slot.number) 10.0.0.1:7002")
    pair.target.expect("ASKING => +OK\nSET \(tag)new 1 => +OK")
    _ = pair.source.engine.handOver(try pair.order([SlotRange(slot, slot)], mustBeEmpty: true))
    pair.target.expect("GET \(tag)new => \"1\"\nDBSIZE => :201")
  }
}

extension Engine {
  mutating func checkKeyspace() { keyspace.checkInvariants() }
}
