import Testing

@testable import Sharding

@Suite struct RebalancerTests {
  @Test func fourToEightToFour() {
    var rig = RebalancerRig(shards: 4)
    let up = rig.resize(8)
    #expect(rig.accepted == [up])
    #expect(rig.opening.map(\.number) == [5, 6, 7, 8])
    #expect(rig.opening.map(\.generation) == [2, 3, 4, 5])
    #expect(
      rig.rebalancer.status(now: rig.now).shards.map(\.state).suffix(4)
        == Array(repeating: .creating, count: 4))
    rig.run()
    #expect(rig.outcomes == [up: .success])
    #expect(rig.shares == Array(repeating: 2048, count: 8))
    #expect(rig.flips.count == 4)
    #expect(rig.disk == rig.rebalancer.topology)
    let job = rig.rebalancer.job(up)
    #expect(job?.slotsDone == 8192)
    #expect(job?.slotsTotal == 8192)
    #expect(job?.keysDone == 20)
    #expect(job?.bytesDone == 2000)
    #expect(job?.longestPause == 700)
    #expect(job?.percent == 100)
    #expect(job?.state == .ended(.success))
    let down = rig.resize(4)
    rig.run()
    #expect(rig.outcomes[down] == .success)
    #expect(rig.shares == Array(repeating: 4096, count: 4))
    #expect(rig.rebalancer.topology.shards.map(\.id.number) == [1, 2, 3, 4])
    #expect(rig.retired.map(\.number).sorted() == [5, 6, 7, 8])
    #expect(
      rig.rebalancer.status(now: rig.now).shards.map(\.state)
        == Array(repeating: .available, count: 4) + Array(repeating: .deleting, count: 4))
    #expect(rig.rebalancer.jobs.map(\.id) == [down, up])
    // Ports answer for a minute.
    rig.now += 59_000_000
    rig.send(.tick)
    #expect(rig.open.count == 8)
    rig.now += 1_000_000
    rig.send(.tick)
    #expect(rig.open.count == 4)
    #expect(rig.rebalancer.nextDeadline == nil)
    #expect(
      rig.events.map(\.kind.rawValue) == [
        "migration-started", "shard-created", "shard-created", "shard-created", "shard-created",
        "migration-progress", "migration-progress", "migration-progress", "migration-finished",
        "migration-started", "migration-progress", "migration-progress", "migration-progress",
        "shard-removed", "shard-removed", "shard-removed", "shard-removed", "migration-finished",
      ])
    #expect(rig.events.last?.value(of: "slots") == "8192")
  }

  /// Beyond its time a port stays open as long as somebody is connected, is asked about again, and is not listed as a shard any more.
  @Test func aPortThatSomebodyIsConnectedTo() {
    var rig = RebalancerRig(shards: 2)
    let leaving = rig.rebalancer.topology.shards[1].id
    rig.connected = [leaving]
    rig.resize(1)
    rig.run()
    for _ in 0..<3 {
      rig.now += 60_000_000
      rig.send(.tick)
      #expect(rig.open.count == 2)
      #expect(rig.rebalancer.status(now: rig.now).shards.count == 1)
      #expect(rig.askedToClose == [leaving])
    }
    rig.connected = []
    rig.send(.tick)
    #expect(rig.open.count == 1 && rig.rebalancer.nextDeadline == nil)
    // A word that comes late changes nothing.
    rig.send(.portUnused(leaving))
    #expect(rig.open.count == 1)
  }

  /// Its number is used again although it is overdue.
  @Test func anOverduePortIsTakenOver() {
    var rig = RebalancerRig(shards: 2)
    rig.connected = [rig.rebalancer.topology.shards[1].id]
    rig.resize(1)
    rig.run()
    rig.now += 100_000_000
    rig.send(.tick)
    rig.resize(2)
    rig.run()
    #expect(rig.retired.isEmpty)
    #expect(rig.open == Set(rig.rebalancer.topology.shards.map(\.id)))
  }

  @Test func aDrainingPortIsTakenOver() {
    var rig = RebalancerRig(shards: 2)
    rig.resize(4)
    rig.run()
    rig.resize(2)
    rig.run()
    #expect(rig.retired.count == 2)
    rig.resize(3)
    #expect(rig.retired.map(\.number) == [4])
    #expect(rig.opening == [ShardID(number: 3, generation: 4)])
    rig.run()
    rig.now += 100_000_000
    rig.send(.tick)
    #expect(rig.open == Set(rig.rebalancer.topology.shards.map(\.id)))
  }

  @Test func theLowestFreeNumbersAreTaken() {
    var topology = Topology(
      hashSeed: HashSeed(1, 2), epoch: ConfigEpoch(3), lastGeneration: 9,
      shards: [.test(2), .test(5)], owners: .uniform(shardCount: 2))
    topology.shards[0].epoch = ConfigEpoch(3)
    var rig = RebalancerRig(topology)
    rig.resize(5)
    rig.run()
    #expect(rig.rebalancer.topology.shards.map(\.id.number) == [1, 2, 3, 4, 5])
    #expect(rig.rebalancer.topology.lastGeneration == 12)
    #expect(rig.shares.max()! - rig.shares.min()! <= 1)
    #expect(Set(rig.rebalancer.topology.shards.map(\.epoch)).count == 5)
  }

  @Test func oneAtATime() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(4)
    rig.resize(5)
    rig.send(.rebalance(rig.jobID(), goal: .byCount, mode: .handOver))
    #expect(
      rig.rejections
        == Array(repeating: "A resize is already in progress (job \(id))", count: 2))
    rig.run()
    rig.move([slots(0, 9)], to: 2)
    rig.resize(2)
    #expect(rig.rejections.last?.hasPrefix("Slots are being migrated") == true)
    rig.run()
    rig.resize(2)
    rig.run()
    #expect(rig.shares == [8192, 8192])
  }

  /// Other addresses are a map of their own, saved, after the flip on its way; shards that are coming have them too.
  @Test func announcedAddresses() {
    var rig = RebalancerRig(shards: 2)
    let announce = { (rig: inout RebalancerRig, type: EndpointType, host: String?) in
      let id = rig.jobID()
      rig.send(
        .announce(
          id, type,
          address: { shard in
            host.flatMap {
              EndpointAddress(host: "10.0.0.1", port: 8000 + shard.id.number, hostname: $0)
            }
          }))
    }
    rig.resize(3)
    announce(&rig, .hostname, "a.example")
    rig.run()
    let topology = rig.rebalancer.topology
    #expect(topology.shards.map(\.address.hostname) == ["a.example", "a.example", "a.example"])
    #expect(topology.shards.map(\.address.port) == [8001, 8002, 8003])
    #expect(topology.endpoints == .hostname && rig.rebalancer.map.endpoints == .hostname)
    #expect(rig.disk.shards == topology.shards)
    let epoch = rig.epoch
    // Nothing new, no new map; a shard without an address keeps its own.
    announce(&rig, .hostname, "a.example")
    announce(&rig, .hostname, nil)
    rig.run()
    #expect(rig.epoch == epoch)
    announce(&rig, .unknown, nil)
    #expect(rig.epoch == epoch.next && rig.rebalancer.map.endpoints == .unknown)
    rig.run()
    rig.resize(2)
    rig.run()
    #expect(rig.rebalancer.map.endpoints == .unknown)
  }

  @Test func whatIsNoCluster() {
    var rig = RebalancerRig(shards: 2)
    rig.resize(0)
    rig.resize(-5)
    rig.resize(501)
    rig.send(
      .resize(rig.jobID(), shards: 3, mode: .handOver, new: .init(nodeIDs: []) { _ in nil }))
    let names = [rig.name()]
    rig.send(
      .resize(rig.jobID(), shards: 3, mode: .handOver, new: .init(nodeIDs: names) { _ in nil }))
    // The address of another shard.
    rig.send(
      .resize(
        rig.jobID(), shards: 3, mode: .handOver,
        new: .init(nodeIDs: names) { _ in EndpointAddress(host: "127.0.0.1", port: 7001) }))
    rig.send(.rebalance(rig.jobID(), goal: .byLoad([1]), mode: .handOver))
    for weights in [[1: -1.0], [1: .nan], [1: .infinity], [1: 0, 2: 0], [7: 1]] {
      let weights = Dictionary(
        uniqueKeysWithValues: weights.map {
          (ShardID(number: UInt16($0.key), generation: 1), $0.value)
        })
      rig.send(.rebalance(rig.jobID(), goal: .byWeight(weights), mode: .handOver))
    }
    #expect(rig.rejections.count == 12)
    #expect(rig.accepted.isEmpty && rig.events.isEmpty)
    rig.resize(500)
    #expect(rig.opening.count == 498)
    rig.send(.cancelAll)
    #expect(rig.open.count == 2)
    rig.resize(20)
    rig.run()
    #expect(rig.shares.count == 20)
    #expect(rig.shares.max()! - rig.shares.min()! <= 1)
  }

  @Test func aShardThatCannotBeOpened() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(5)
    _ = rig.happen()
    rig.send(.shardNotOpened(rig.opening[0], reason: "address in use"))
    rig.open = Set(rig.open.filter { $0.number != 4 })
    rig.run()
    #expect(rig.outcomes[id] == .failed("shard 4 could not be opened: address in use"))
    #expect(rig.open.count == 2)
    #expect(rig.rebalancer.topology.shards.count == 2)
    let again = rig.resize(5)
    rig.run()
    #expect(rig.outcomes[again] == .success)
  }

  @Test func refusedFlipsAreTriedAgain() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(4)
    while rig.preparing == nil { _ = rig.happen() }
    rig.refuse(.busy)
    #expect(rig.rebalancer.job(id)?.message == "a shard is busy")
    for round in 0..<5 {
      while rig.preparing == nil { _ = rig.wait() }
      if round % 2 == 0, let flip = rig.preparing {
        rig.preparing = nil
        rig.send(.ready(flip: flip.number))
      }
      rig.refuse(.noMemory)
    }
    rig.run()
    #expect(rig.outcomes[id] == .success)
    #expect(rig.shares == Array(repeating: 4096, count: 4))
    #expect(rig.rebalancer.job(id)?.message == "")
  }

  @Test func patienceEnds() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(3)
    let began = rig.now
    while rig.outcomes[id] == nil {
      if rig.preparing != nil { rig.refuse(.noMemory) } else if !rig.happen() { _ = rig.wait() }
    }
    #expect(rig.outcomes[id] == .failed("the target has not enough memory"))
    #expect((10_000_000..<11_000_000).contains(rig.now - began))
    rig.resize(3)
    rig.run()
    #expect(rig.shares.max()! - rig.shares.min()! <= 1)
  }

  @Test func cancelEndsAfterTheFlip() {
    var rig = RebalancerRig(shards: 4)
    let id = rig.resize(8)
    while rig.adopting == nil { _ = rig.happen() }
    rig.send(.cancel(id))
    #expect(rig.outcomes[id] == nil)
    #expect(rig.rebalancer.job(id)?.state == .cancelling)
    rig.send(.cancel(id))
    #expect(rig.rejections == ["No such job is in progress"])
    rig.run()
    #expect(rig.outcomes[id] == .cancelled)
    #expect(rig.flips.count == 1)
    #expect(rig.rebalancer.job(id)?.slotsDone == 2048)
    #expect(rig.disk == rig.rebalancer.topology)
    rig.send(.cancelAll)
    #expect(rig.rejections.last == "No migrations ongoing")
    // Before anything has joined, nothing stays.
    var early = RebalancerRig(shards: 4)
    early.resize(8)
    early.send(.cancelAll)
    early.run()
    #expect(early.open.count == 4 && early.rebalancer.topology.shards.count == 4)
  }

  @Test func pauseAndResume() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(4)
    while rig.preparing == nil { _ = rig.happen() }
    rig.send(.pause)
    while rig.happen() {}
    #expect(rig.flips.count == 1)
    #expect(rig.rebalancer.status(now: rig.now).isPaused)
    #expect(rig.disk == rig.rebalancer.topology)
    // What is done by hand goes on.
    let slot = HashSlot(0)
    let manual = rig.jobID()
    rig.send(.setSlot(manual, slot, to: rig.rebalancer.topology.shards[3].id))
    while rig.happen() {}
    #expect(rig.rejections.isEmpty)
    #expect(rig.outcomes[manual] == .success)
    rig.send(.resume)
    rig.run()
    #expect(rig.outcomes[id] == .success)
  }

  @Test func speedIsKept() {
    for mode in MigrationMode.allCases {
      var rig = RebalancerRig(shards: 2)
      rig.send(.speed(100))
      let began = rig.now
      let id = rig.move([slots(0, 49)], to: 2, mode)
      rig.run()
      #expect(rig.outcomes[id] == .success)
      #expect((400_000...500_000).contains(rig.now - began))
      #expect(rig.flips.count == (mode == .handOver ? 5 : 50))
      rig.send(.speed(-1))
      #expect(rig.rejections.count == 1)
    }
  }

  @Test func incremental() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.move([slots(10, 12), slots(20, 20)], to: 2, .incremental)
    rig.send(.totals(id, keys: 100, bytes: 10_000))
    while rig.migrating == nil { _ = rig.happen() }
    rig.send(.progress(flip: 1, keys: 3, bytes: 300, done: false))
    rig.run()
    let job = rig.rebalancer.job(id)
    #expect(job?.keysDone == 43)
    #expect(job?.bytesDone == 4300)
    #expect(job?.keysTotal == 100)
    #expect(job?.slots == [slots(10, 12), slots(20, 20)])
    #expect(rig.flips.map(\.slots) == [10, 11, 12, 20].map { [slots($0, $0)] })
  }

  @Test func movesAreCheckedAsTheFieldDoes() {
    var rig = RebalancerRig(shards: 3)
    let other = rig.rebalancer.topology.shards[1].nodeID
    rig.send(.move([], source: nil, mode: .handOver))
    rig.move([], to: 2)
    rig.move([slots(0, 10), slots(20, 30), slots(5, 6)], to: 2)
    rig.move([slots(0, 10)], to: 9)
    rig.move([slots(0, 10)], to: 1, source: 1)
    rig.move([slots(5000, 6000)], to: 3, source: 1)
    rig.move([slots(6000, 6001)], to: 3, source: 1)
    let (a, b) = (rig.jobID(), rig.jobID())
    rig.send(
      .move(
        [
          .init(job: a, slots: [slots(0, 5)], target: other),
          .init(job: b, slots: [slots(5, 6)], target: other),
        ], source: nil, mode: .handOver))
    #expect(rig.accepted.isEmpty)
    rig.move([slots(3, 4)], to: 2)
    rig.move([slots(4, 5)], to: 3)
    #expect(
      rig.rejections == [
        "No slot ranges specified", "No slot ranges specified",
        "Slot range 5-6 overlaps with previous range 0-10.",
        "Unknown node name: \(NodeID.test(99_999))", "Target node can not be this node.",
        "Requested slots span multiple shards", "Slots are not served by this node.",
        "Slot ranges in migrations overlap", "I am already migrating slot 4.",
      ])
    // Two blocks are two jobs.
    rig.send(
      .move(
        [
          .init(job: a, slots: [slots(10, 15)], target: other),
          .init(job: b, slots: [slots(16, 16)], target: other),
        ], source: nil, mode: .handOver))
    rig.run()
    #expect(rig.outcomes[a] == .success && rig.outcomes[b] == .success)
    #expect(rig.rebalancer.job(a)?.source?.id.number == 1)
    #expect(rig.rebalancer.job(a)?.target?.nodeID == other)
    // From several shards.
    let wide = rig.move([slots(0, 16383)], to: 2)
    rig.run()
    #expect(rig.outcomes[wide] == .success)
    #expect(rig.shares == [0, 16384, 0])
    #expect(rig.rebalancer.job(wide)?.source == nil)
  }

  @Test func byHand() {
    var rig = RebalancerRig(shards: 2)
    let (one, two) = (rig.rebalancer.topology.shards[0].id, rig.rebalancer.topology.shards[1].id)
    let drop = rig.jobID()
    rig.send(.assign(drop, slots: [slots(8190, 8193)], to: nil))
    rig.run()
    #expect(rig.outcomes[drop] == .success)
    #expect(rig.shares == [8190, 8190])
    rig.send(.assign(rig.jobID(), slots: [slots(8191, 8191)], to: nil))
    rig.move([slots(8191, 8191)], to: 1)
    rig.send(.assign(rig.jobID(), slots: [slots(0, 0)], to: two))
    #expect(
      rig.rejections == [
        "Slot 8191 is already unassigned", "Slot 8191 has no node served.",
        "Slot 0 is already busy",
      ])
    rig.send(.assign(rig.jobID(), slots: [slots(8190, 8193)], to: one))
    rig.run()
    #expect(rig.shares == [8194, 8190])
    // As redis-cli does it: every node in turn.
    let (first, second, third) = (rig.jobID(), rig.jobID(), rig.jobID())
    rig.send(.setSlot(first, HashSlot(8193), to: two))
    #expect(rig.preparing?.mustBeEmpty == true)
    rig.send(.setSlot(second, HashSlot(8193), to: two))
    rig.run()
    rig.send(.setSlot(third, HashSlot(8193), to: two))
    #expect(rig.outcomes[third] == .success)
    #expect(rig.outcomes[first] == .success)
    #expect(rig.outcomes[second] == .success)
    let full = rig.jobID()
    rig.send(.setSlot(full, HashSlot(8192), to: two))
    rig.refuse(.notEmpty)
    #expect(
      rig.outcomes[full]
        == .failed(
          "Can't assign hashslot 8192 to a different node while I still hold keys for this hash slot."
        ))
    #expect(rig.rebalancer.jobs.isEmpty)
    #expect(rig.rebalancer.wantsEpoch(one))
    #expect(!rig.rebalancer.wantsEpoch(two))
    let epoch = rig.epoch
    rig.send(.bumpEpoch(rig.jobID(), one))
    #expect(rig.epoch == epoch.next)
    #expect(!rig.rebalancer.wantsEpoch(one))
    #expect(rig.rebalancer.wantsEpoch(two))
  }

  /// What has moved has moved: the job has done what it was asked for, and everything says that a restart would find something else.
  @Test func aFileThatCannotBeWritten() throws {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(4)
    while rig.writing == nil { _ = rig.happen() }
    rig.failToSave()
    let since = rig.now
    while rig.outcomes[id] == nil { if !rig.happen() { _ = rig.wait() } }
    #expect(rig.outcomes[id] == .success)
    #expect(rig.shares == Array(repeating: 4096, count: 4))
    #expect(rig.rebalancer.job(id)?.message == "topology not saved: no space left on device")
    let told = rig.rebalancer.events.events
    #expect(told.count { $0.kind == .topologyNotSaved } == 1)
    let end = try #require(told.last { $0.kind == .migrationFinished })
    #expect(end.value(of: "note") == "topology not saved: no space left on device")
    #expect(
      rig.rebalancer.status(now: rig.now).unsaved
        == SaveFailure(since: since, reason: "no space left on device"))
    // It is tried again until it works, and said once each time.
    for _ in 0..<3 {
      while rig.writing == nil { if !rig.happen(), !rig.wait() { break } }
      rig.failToSave()
    }
    #expect(rig.rebalancer.unsaved?.since == since)
    #expect(rig.rebalancer.events.events.count { $0.kind == .topologyNotSaved } == 1)
    while rig.disk != rig.rebalancer.topology || rig.rebalancer.unsaved != nil {
      if !rig.happen(), !rig.wait() { break }
    }
    #expect(rig.disk == rig.rebalancer.topology && rig.rebalancer.unsaved == nil)
    #expect(rig.rebalancer.events.events.last?.kind == .topologySaved)
  }

  /// SAVECONFIG ends when all is on disk, and fails where that cannot be had; what is changed by hand meanwhile is in force.
  @Test func savingByHand() throws {
    var rig = RebalancerRig(shards: 2)
    let id = rig.jobID()
    rig.send(.save(id))
    #expect(rig.outcomes[id] == nil && rig.writing != nil)
    rig.failToSave()
    #expect(rig.outcomes[id] == .failed("no space left on device"))
    let bump = rig.jobID()
    rig.send(.bumpEpoch(bump, rig.rebalancer.topology.shards[0].id))
    #expect(rig.outcomes[bump] == .success)
    // What was being written when it came does not count.
    let other = rig.jobID()
    while rig.writing == nil { if !rig.happen(), !rig.wait() { break } }
    rig.send(.save(other))
    rig.failToSave()
    #expect(rig.outcomes[other] == nil)
    while rig.outcomes[other] == nil { if !rig.happen(), !rig.wait() { break } }
    #expect(rig.outcomes[other] == .success && rig.disk == rig.rebalancer.topology)
  }

  @Test func restartTellsWhatWasInterrupted() throws {
    var rig = RebalancerRig(shards: 4)
    rig.resize(6)
    rig.run()
    let id = rig.resize(8)
    for _ in 0..<12 { _ = rig.happen() }
    let log = try #require(EventsFile.decode(EventsFile.encode(rig.rebalancer.events)))
    var again = Rebalancer(topology: rig.disk, events: log, now: rig.now)
    let last = try #require(again.events.events.last)
    #expect(last.kind == .migrationFailed)
    #expect(last.value(of: "job") == "\(id)")
    #expect(last.value(of: "reason") == "interrupted by restart")
    #expect(again.map.shards.count == 6)
    #expect(again.handle(.tick, now: rig.now).isEmpty)
    // Told once.
    let third = Rebalancer(topology: rig.disk, events: again.events, now: rig.now)
    #expect(third.events == again.events)
  }

  @Test func whatIsLateOrTwiceChangesNothing() {
    var rig = RebalancerRig(shards: 2)
    let id = rig.resize(4)
    while !rig.running.isEmpty {
      for number in 0...(rig.rebalancer.nextFlip) where !isCurrent(number, rig) {
        rig.send(.ready(flip: number))
        rig.send(.refused(flip: number, .busy))
        rig.send(.released(flip: number))
        rig.send(.progress(flip: number, keys: 1, bytes: 1, done: true))
        rig.send(.adopted(flip: number, keys: 1, bytes: 1, pause: 1))
      }
      rig.send(.shardOpened(ShardID(number: 77, generation: 1)))
      rig.send(.shardNotOpened(ShardID(number: 1, generation: 1), reason: ""))
      if rig.writing == nil {
        rig.send(.saved)
        rig.send(.saveFailed(reason: ""))
      }
      if !rig.happen() { _ = rig.wait() }
    }
    #expect(rig.outcomes[id] == .success)
    #expect(rig.rebalancer.job(id)?.keysDone == 10)
  }

  private func isCurrent(_ number: UInt64, _ rig: RebalancerRig) -> Bool {
    rig.rebalancer.current?.flip.number == number
  }

  @Test func endedJobsAreRememberedUpToALimit() {
    var rig = RebalancerRig(shards: 1)
    for _ in 0..<(Rebalancer.endedJobCapacity + 5) {
      rig.now += 1
      rig.move([slots(0, 0)], to: 1)
    }
    #expect(rig.outcomes.count == Rebalancer.endedJobCapacity + 5)
    #expect(rig.rebalancer.jobs.count == Rebalancer.endedJobCapacity)
  }

  @Test func plansWithoutDoing() throws {
    var rig = RebalancerRig(shards: 4)
    let plan = try rig.rebalancer.planResize(shards: 8, new: rig.newShards(4))
    #expect(plan.slotCount == 8192)
    let hot = try rig.rebalancer.planRebalance(
      goal: .byLoad([100] + Array(repeating: 0, count: HashSlot.count - 1)))
    #expect(hot.hotSlots == [HashSlot(0)])
    #expect(throws: RebalancerRefusal.self) {
      try rig.rebalancer.planResize(shards: 501, new: .init(nodeIDs: []) { _ in nil })
    }
  }
}
