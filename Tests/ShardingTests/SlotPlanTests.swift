import Testing

@testable import Sharding

private func ids(_ numbers: some Sequence<Int>) -> [ShardID] {
  numbers.map { ShardID(number: UInt16($0), generation: 1) }
}

private func shares(_ plan: SlotPlan) -> [Int] {
  var counts = [Int](repeating: 0, count: plan.shards.count)
  for (range, owner) in plan.owners.ranges { counts[owner] += range.count }
  return counts
}

/// What must hold of every plan: its moves lead from what was to what it says, everything has an
/// owner, and there are no more ranges than allowed.
private func check(_ plan: SlotPlan, from owners: SlotOwners, of shards: [ShardID]) {
  var present: [ShardID?] = (0..<HashSlot.count).map { slot in
    owners[HashSlot(UInt16(slot))].map { shards[$0] }
  }
  var pairs: Set<[ShardID?]> = []
  for move in plan.moves {
    #expect(pairs.insert([move.source, move.target]).inserted)
    #expect(move.source != move.target)
    #expect(zip(move.slots, move.slots.dropFirst()).allSatisfy { $0.last < $1.first })
    for slot in move.slots.slots {
      #expect(present[slot.index] == move.source)
      present[slot.index] = move.target
    }
  }
  let after: [ShardID?] = (0..<HashSlot.count).map { slot in
    plan.owners[HashSlot(UInt16(slot))].map { plan.shards[$0] }
  }
  #expect(present == after)
  #expect(!after.contains(nil))
  #expect(plan.owners.ranges.count <= SlotPlan.rangeLimit(shardCount: plan.shards.count))
}

private func rangeCount(_ owners: [Int]) -> Int {
  zip(owners, owners.dropFirst()).reduce(1) { $0 + ($1.0 == $1.1 ? 0 : 1) }
}

@Suite struct SlotPlanTests {
  @Test func doubledAndHalved() {
    let four = SlotOwners.uniform(shardCount: 4)
    let up = SlotPlan(from: four, of: ids(1...4), to: ids(1...8), goal: .byCount)
    check(up, from: four, of: ids(1...4))
    #expect(shares(up) == Array(repeating: 2048, count: 8))
    #expect(up.slotCount == 8192)
    #expect(up.moves.count == 4)
    #expect(up.owners.ranges.count == 8)
    let down = SlotPlan(from: up.owners, of: up.shards, to: ids(1...4), goal: .byCount)
    check(down, from: up.owners, of: up.shards)
    #expect(shares(down) == Array(repeating: 4096, count: 4))
    #expect(down.slotCount == 8192)
    #expect(down.owners.ranges.count == 4)
  }

  @Test func nothingToDo() {
    for count in [1, 3, 7, 500] {
      let owners = SlotOwners.uniform(shardCount: count)
      let plan = SlotPlan(from: owners, of: ids(1...count), to: ids(1...count), goal: .byCount)
      #expect(plan.moves.isEmpty)
      #expect(plan.owners == owners)
    }
  }

  @Test func unassignedSlotsAreGivenOut() {
    let plan = SlotPlan(from: SlotOwners(), of: [], to: ids([2, 5, 9]), goal: .byCount)
    check(plan, from: SlotOwners(), of: [])
    #expect(shares(plan) == [5462, 5461, 5461])
    #expect(plan.moves.allSatisfy { $0.source == nil })
    #expect(plan.owners.ranges.count == 3)
  }

  @Test func weights() {
    let four = SlotOwners.uniform(shardCount: 4)
    let weights = [ids([1])[0]: 3.0, ids([2])[0]: 0.0, ids([4])[0]: 0.5]
    let plan = SlotPlan(from: four, of: ids(1...4), to: ids(1...4), goal: .byWeight(weights))
    check(plan, from: four, of: ids(1...4))
    // 16384 · 3 / 4.5, 0, 16384 / 4.5, 16384 · 0.5 / 4.5.
    #expect(shares(plan) == [10923, 0, 3641, 1820])
    for weight in [Double.leastNonzeroMagnitude, 1e-300, 1e300, .greatestFiniteMagnitude] {
      let odd = [ids([1])[0]: weight, ids([2])[0]: 0.0]
      let plan = SlotPlan(from: four, of: ids(1...4), to: ids(1...4), goal: .byWeight(odd))
      check(plan, from: four, of: ids(1...4))
      #expect(shares(plan).reduce(0, +) == HashSlot.count)
    }
  }

  /// Every deal of few slots to few shards, every set of shards that stay: shares differ by at most
  /// one, moves are as few as can be where ranges allow, and the limit holds.
  @Test func exhaustive() {
    for shardCount in 1...3 {
      let slotCount = 6
      var worlds = 1
      for _ in 0..<slotCount { worlds *= shardCount + 1 }
      for world in 0..<worlds {
        var rest = world
        let present = (0..<slotCount).map { _ in
          defer { rest /= shardCount + 1 }
          return rest % (shardCount + 1) == shardCount ? nil : rest % (shardCount + 1)
        }
        let weights = [Double](repeating: 1, count: shardCount)
        var held = [Int](repeating: 0, count: shardCount)
        for owner in present { if let owner { held[owner] += 1 } }
        for limit in [2 * shardCount, 100] {
          let owners = SlotLayout.owners(present: present, weights: weights, rangeLimit: limit)
          var counts = [Int](repeating: 0, count: shardCount)
          for owner in owners { counts[owner] += 1 }
          let fits =
            owners.count == slotCount && counts.max()! - counts.min()! <= 1
            && rangeCount(owners) <= limit
          #expect(fits, "\(present) → \(owners)")
          // The fewest moves that any quotas allow: those who have the most get the rest.
          let (base, extra) = slotCount.quotientAndRemainder(dividingBy: shardCount)
          let kept = held.sorted(by: >).enumerated().reduce(0) {
            $0 + min($1.element, base + ($1.offset < extra ? 1 : 0))
          }
          let moved = zip(present, owners).count { $0 != $1 }
          if limit == 100 { #expect(moved == slotCount - kept, "\(present) → \(owners)") }
        }
      }
    }
  }

  /// Layouts and weights at random: quotas are kept and so is the limit on ranges, whatever it is.
  @Test(arguments: [1, 2, 3] as [UInt64]) func anyLayout(seed: UInt64) {
    var numbers = Numbers(seed: seed)
    for _ in 0..<150 {
      let shardCount = Int.random(in: 1...20, using: &numbers)
      let slotCount = Int.random(in: 1...400, using: &numbers)
      let runs = Int.random(in: 1...40, using: &numbers)
      var present: [Int?] = []
      while present.count < slotCount {
        let owner = Int.random(in: 0...shardCount, using: &numbers)
        let count = min(
          slotCount - present.count, Int.random(in: 1...max(1, slotCount / runs), using: &numbers))
        present += Array(repeating: owner == shardCount ? nil : owner, count: count)
      }
      var weights = (0..<shardCount).map { _ in Double(Int.random(in: 0...4, using: &numbers)) }
      weights[0] += 1
      let limit = 2 * shardCount + Int.random(in: 0...40, using: &numbers)
      let owners = SlotLayout.owners(present: present, weights: weights, rangeLimit: limit)
      let quotas = SlotLayout.quotas(present: present, weights: weights)
      var counts = [Int](repeating: 0, count: shardCount)
      for owner in owners { counts[owner] += 1 }
      let sum = weights.reduce(0, +)
      let close = zip(counts, weights).allSatisfy {
        abs(Double($0) - Double(slotCount) * $1 / sum) < 1.001
      }
      #expect(counts == quotas && close && rangeCount(owners) <= limit, "seed \(seed)")
    }
  }

  /// Many resizes one after the other, as a cluster's life has them.
  @Test(arguments: [4, 5] as [UInt64]) func manyResizes(seed: UInt64) {
    var numbers = Numbers(seed: seed)
    var owners = SlotOwners.uniform(shardCount: 300)
    var shards = ids(1...300)
    for round in 0..<10 {
      let count = round == 0 ? 280 : Int.random(in: 1...500, using: &numbers)
      let targets = ids(1...count)
      let plan = SlotPlan(from: owners, of: shards, to: targets, goal: .byCount)
      check(plan, from: owners, of: shards)
      let counts = shares(plan)
      #expect(counts.max()! - counts.min()! <= 1, "seed \(seed)")
      if round == 0 { #expect(plan.slotCount <= 1200, "\(plan.slotCount) slots moved") }
      owners = plan.owners
      shards = targets
    }
  }

  @Test func crumbsAreSweptUp() {
    for count in [2, 30, 500] {
      let map = ClusterMap.scattered(count, seed: 9, holes: 5)
      let shards = map.shards.map(\.id)
      let plan = SlotPlan(from: map.owners, of: shards, to: shards, goal: .byCount)
      check(plan, from: map.owners, of: shards)
    }
  }

  // MARK: By load

  private func sums(_ plan: SlotPlan, _ loads: [UInt64]) -> [UInt64] {
    var sums = [UInt64](repeating: 0, count: plan.shards.count)
    for (slot, load) in loads.enumerated() {
      if let owner = plan.owners[HashSlot(UInt16(slot))] { sums[owner] += load }
    }
    return sums
  }

  @Test(arguments: [6, 7] as [UInt64]) func loadsBecomeEqual(seed: UInt64) {
    var numbers = Numbers(seed: seed)
    for shardCount in [2, 3, 8, 40] {
      // No slot above a fiftieth of a share; a gradient, noise, and shards that join or leave.
      let share = UInt64(1_000_000)
      let step = share * UInt64(shardCount) / 16384
      let loads = (0..<HashSlot.count).map { slot in
        min(
          UInt64(slot) * 2 * step / 16384 + UInt64.random(in: 0...step, using: &numbers),
          share / 50)
      }
      let present = Int.random(in: max(1, shardCount - 3)...(shardCount + 3), using: &numbers)
      let owners = SlotOwners.uniform(shardCount: present)
      let plan = SlotPlan(
        from: owners, of: ids(1...present), to: ids(1...shardCount), goal: .byLoad(loads))
      check(plan, from: owners, of: ids(1...present))
      let sums = sums(plan, loads)
      let mean = Double(sums.reduce(0, +)) / Double(shardCount)
      let spread = Double(sums.max()! - sums.min()!) / mean
      #expect(spread <= 0.1, "\(shardCount) shards, seed \(seed)")
      #expect(abs((plan.loadSpread?.after ?? 9) - spread) < 0.001)
      #expect(plan.hotSlots.isEmpty)
      // What is equal enough stays as it is.
      let again = SlotPlan(
        from: plan.owners, of: plan.shards, to: plan.shards, goal: .byLoad(loads))
      #expect(again.moves.isEmpty)
    }
  }

  @Test func hotSlotsAreDealtAlone() {
    // Forty slots bear everything, all of them the first shard's.
    var loads = [UInt64](repeating: 0, count: HashSlot.count)
    for slot in 0..<40 { loads[slot * 7] = 1000 }
    let owners = SlotOwners.uniform(shardCount: 4)
    let plan = SlotPlan(from: owners, of: ids(1...4), to: ids(1...4), goal: .byLoad(loads))
    check(plan, from: owners, of: ids(1...4))
    #expect(sums(plan, loads).max()! <= 11000)
    #expect(sums(plan, loads).min()! >= 9000)
    #expect(plan.loadSpread?.before == 4)
  }

  @Test func oneSlotHotterThanAShare() {
    var loads = [UInt64](repeating: 1, count: HashSlot.count)
    loads[100] = 20000
    let owners = SlotOwners.uniform(shardCount: 4)
    let plan = SlotPlan(from: owners, of: ids(1...4), to: ids(1...4), goal: .byLoad(loads))
    check(plan, from: owners, of: ids(1...4))
    #expect(plan.hotSlots == [HashSlot(100)])
    let bearer = plan.owners[HashSlot(100)]!
    var sums = sums(plan, loads)
    #expect(sums.remove(at: bearer) <= 20500)
    #expect(sums.max()! - sums.min()! <= 560)
  }

  @Test func loadsOfAnySize() {
    let owners = SlotOwners.uniform(shardCount: 3)
    for loads in [
      [UInt64](repeating: 0, count: HashSlot.count), Array(repeating: .max, count: HashSlot.count),
      Array(repeating: 0, count: HashSlot.count - 1) + [.max],
      Array(repeating: 0, count: HashSlot.count - 1) + [1],
    ] {
      let plan = SlotPlan(from: owners, of: ids(1...3), to: ids(2...4), goal: .byLoad(loads))
      check(plan, from: owners, of: ids(1...3))
    }
    let crumbs = ClusterMap.scattered(40, seed: 3)
    let shards = crumbs.shards.map(\.id)
    let loads = (0..<HashSlot.count).map { UInt64(1 + $0 % 5) }
    let plan = SlotPlan(from: crumbs.owners, of: shards, to: shards, goal: .byLoad(loads))
    check(plan, from: crumbs.owners, of: shards)
    #expect((plan.loadSpread?.after ?? 9) <= 0.1)
  }
}
