import Testing

@testable import Sharding

/// The rebalancer in a world in which anything happens in any order: jobs of all kinds begin, are
/// called off, paused and slowed down, shards and disks refuse, fail and dawdle. `RebalancerRig`
/// holds everything against what must be true.
@Suite struct RebalancerWorldTests {
  @Test(arguments: 1...4 as ClosedRange<UInt64>) func anyOrder(seed: UInt64) {
    var numbers = Numbers(seed: seed &* 0x9E37_79B9)
    var rig = RebalancerRig(shards: Int.random(in: 1...6, using: &numbers))
    rig.rebalancer.drainTimeout = 2_000_000
    for _ in 0..<400 {
      rig.now += Int64.random(in: 0...20_000, using: &numbers)
      if Int.random(in: 0..<100, using: &numbers) < 22 {
        ask(&rig, &numbers)
      } else if Int.random(in: 0..<100, using: &numbers) < 12 {
        disturb(&rig, &numbers)
      } else if !rig.happen() {
        _ = rig.wait()
      }
    }
    // Everything heals: all jobs end, and a last resize makes shares equal.
    rig.send(.resume)
    rig.send(.speed(0))
    rig.run()
    let count = Int.random(in: 1...8, using: &numbers)
    let last = rig.resize(count)
    rig.run()
    #expect(rig.outcomes[last] == .success, "seed \(seed)")
    #expect(rig.shares.count == count)
    #expect(rig.shares.reduce(0, +) == HashSlot.count, "seed \(seed)")
    #expect(rig.shares.max()! - rig.shares.min()! <= 1, "seed \(seed)")
    #expect(Set(rig.accepted) == Set(rig.outcomes.keys), "seed \(seed)")
    #expect(rig.disk == rig.rebalancer.topology, "seed \(seed)")
    rig.checkAll(rig.rebalancer.map)
    while rig.wait() {}
    #expect(rig.open == Set(rig.rebalancer.topology.shards.map(\.id)), "seed \(seed)")
    // Every listed job that began has ended once, by its events.
    var open: Set<String> = []
    for event in rig.events {
      guard let job = event.value(of: "job") else { continue }
      switch event.kind {
      case .migrationStarted: #expect(open.insert(job).inserted, "seed \(seed)")
      case .migrationFinished, .migrationCancelled, .migrationFailed:
        #expect(open.remove(job) != nil, "seed \(seed)")
      default: break
      }
    }
    #expect(open.isEmpty, "seed \(seed)")
    #expect(rig.flips.count > 20, "seed \(seed)")
  }

  private func ask(_ rig: inout RebalancerRig, _ numbers: inout Numbers) {
    let shards = rig.rebalancer.topology.shards
    let some = { (numbers: inout Numbers) in shards.randomElement(using: &numbers)!.id }
    let range = { (numbers: inout Numbers) in
      let first = UInt16.random(in: 0...16383, using: &numbers)
      return SlotRange(
        HashSlot(first), HashSlot(min(16383, first + .random(in: 0...60, using: &numbers))))
    }
    let mode: MigrationMode = Int.random(in: 0..<4, using: &numbers) == 0 ? .incremental : .handOver
    switch Int.random(in: 0..<14, using: &numbers) {
    case 0, 1, 2: rig.resize(Int.random(in: 0...9, using: &numbers), .handOver)
    case 3:
      rig.send(
        .rebalance(
          rig.jobID(),
          goal: .byWeight([some(&numbers): Double(Int.random(in: 0...3, using: &numbers))]),
          mode: .handOver))
    case 4, 5:
      let target = Int(some(&numbers).number)
      rig.move([range(&numbers), range(&numbers)], to: target, mode)
    case 6:
      let target = some(&numbers)
      rig.send(.assign(rig.jobID(), slots: [range(&numbers)], to: target))
    case 7: rig.send(.assign(rig.jobID(), slots: [range(&numbers)], to: nil))
    case 8, 9: rig.send(.setSlot(rig.jobID(), range(&numbers).first, to: some(&numbers)))
    case 10: rig.send(.bumpEpoch(rig.jobID(), some(&numbers)))
    case 11:
      rig.send(Bool.random(using: &numbers) ? .pause : .resume)
    case 12: rig.send(.speed([0, 0, 5000, 16384].randomElement(using: &numbers)!))
    default:
      if let job = rig.running.sorted(by: { "\($0)" < "\($1)" }).randomElement(using: &numbers) {
        rig.send(Bool.random(using: &numbers) ? .cancel(job) : .cancelAll)
      }
    }
  }

  private func disturb(
    _ rig: inout RebalancerRig, _ numbers: inout Numbers
  ) {
    switch Int.random(in: 0..<6, using: &numbers) {
    case 0, 1:
      let refusals: [Rebalancer.FlipRefusal] = [
        .busy, .busy, .noMemory, .notEmpty, .open(HashSlot(1)), .other("no"),
      ]
      rig.refuse(refusals.randomElement(using: &numbers)!)
    case 2:
      if let shard = rig.opening.randomElement(using: &numbers) {
        rig.opening.removeAll { $0 == shard }
        rig.open.remove(shard)
        rig.send(.shardNotOpened(shard, reason: "address in use"))
      }
    case 3: if rig.writing != nil { rig.failToSave() }
    case 4: if rig.writing != nil { rig.save() }
    default:
      // The target's word overtakes the source's.
      if let (flip, map) = rig.handingOver, flip.target != nil {
        rig.overtake(flip, map)
      }
    }
  }
}
