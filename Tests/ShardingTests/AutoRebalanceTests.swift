import Testing

@testable import Sharding

/// A cluster under a load, sampled as the control plane does, whose plans are carried out at once.
private struct World {
  var auto = AutoRebalance()
  var mode = AutoRebalance.Mode.load
  var owners: SlotOwners
  let shards: [ShardID]
  var costs = [UInt64](repeating: 0, count: HashSlot.count)
  var number = 0
  /// In which samples each slot was moved.
  var moves: [[Int]] = Array(repeating: [], count: HashSlot.count)
  var begun: [Int] = []
  var reason: AutoRebalance.Reason?
  var random: Numbers

  init(shards count: Int, seed: UInt64 = 1) {
    owners = .uniform(shardCount: count)
    shards = (1...count).map { ShardID(number: UInt16($0), generation: 1) }
    random = Numbers(seed: seed)
  }

  /// Ten seconds under these loads, in nanoseconds a second.
  mutating func pass(_ loads: [Double], isCalm: Bool = true) {
    number += 1
    for slot in costs.indices { costs[slot] &+= UInt64(loads[slot] * 10) }
    let sample = AutoRebalance.Sample(
      time: Int64(number) * AutoRebalance.interval, costs: costs, owners: owners, shards: shards,
      isCalm: isCalm)
    switch auto.decide(mode, sample) {
    case .wait(let reason): self.reason = reason
    case .begin(_, let plan):
      reason = nil
      begun.append(number)
      for slot in plan.moves.flatMap(\.slots.slots) { moves[slot.index].append(number) }
      owners = plan.owners
    }
  }

  func spread(_ loads: [Double]) -> Double {
    AutoRebalance.spread(loads, owners, shards.count)
  }

  /// Whether a slot was moved twice within ten minutes.
  var flaps: Bool {
    moves.contains { zip($0, $0.dropFirst()).contains { $1 - $0 < 60 } }
  }

  mutating func fraction() -> Double { Double(random.next() >> 11) / Double(1 << 53) }

  /// Loads that differ from slot to slot by some law.
  mutating func someLoads(_ kind: Int) -> [Double] {
    switch kind % 4 {
    // A hot range in one shard.
    case 0:
      let first = Int(random.next() % 16000)
      return (0..<HashSlot.count).map { (first..<first + 300).contains($0) ? 2e6 : 1e4 }
    // A few hot slots.
    case 1:
      var loads = [Double](repeating: 2e4, count: HashSlot.count)
      for _ in 0..<40 { loads[Int(random.next() % 16384)] = 1e7 }
      return loads
    // Heavy-tailed.
    case 2: return (0..<HashSlot.count).map { _ in 1e4 / (0.001 + fraction()) }
    // Even.
    default: return [Double](repeating: 5e4, count: HashSlot.count)
    }
  }

  /// The loads with a noise of some kind.
  mutating func noisy(_ loads: [Double], _ kind: Int) -> [Double] {
    switch kind % 4 {
    // Every slot by itself, up to twice as much.
    case 0: return loads.map { $0 * 2 * fraction() }
    // Now and then, and then all at once.
    case 1: return loads.map { $0 * (fraction() < 0.1 ? 10 : 0) }
    // Whole regions, as clients come and go.
    case 2:
      let regions = (0..<8).map { _ in fraction() < 0.5 ? 0.2 : 1.8 }
      return loads.indices.map { loads[$0] * regions[$0 / 2048] }
    // To and fro.
    default:
      let low = number % 2 == 0
      return loads.indices.map { loads[$0] * (($0 < 8192) == low ? 0.3 : 1.7) }
    }
  }
}

@Suite struct AutoRebalanceTests {
  /// 300 hot slots in one shard.
  private static let hotRange = (0..<HashSlot.count).map { $0 < 300 ? 1e6 : 1e3 }

  @Test func aHotRangeIsSpread() {
    var world = World(shards: 4)
    #expect(world.spread(Self.hotRange) > 3)
    for _ in 0..<3 { world.pass(Self.hotRange) }
    #expect(world.begun.isEmpty)
    world.pass(Self.hotRange)
    // The first sample is the base; then it is uneven three times.
    #expect(world.begun == [4])
    #expect(world.spread(Self.hotRange) < 0.1)
    for _ in 0..<60 { world.pass(Self.hotRange) }
    #expect(world.begun == [4])
    #expect(world.reason == .even)
  }

  @Test func patienceAndQuiet() {
    var world = World(shards: 4)
    let even = [Double](repeating: 1e5, count: HashSlot.count)
    let other = (0..<HashSlot.count).map { $0 >= 16000 ? 1e7 : 1e5 }
    for _ in 0..<20 { world.pass(even) }
    #expect(world.reason == .even)
    // Two samples are not enough, and the mean forgets them.
    for _ in 0..<4 {
      for _ in 0..<2 { world.pass(other) }
      for _ in 0..<15 { world.pass(even) }
    }
    #expect(world.begun.isEmpty)
    for _ in 0..<15 { world.pass(other) }
    #expect(world.begun.count == 1)
    // The load moves on: not within a minute.
    let third = (0..<HashSlot.count).map { (5000..<5400).contains($0) ? 1e8 : 1e5 }
    let first = world.begun[0]
    while world.begun.count < 2 && world.number < first + 100 { world.pass(third) }
    #expect(world.begun.count == 2)
    #expect(world.begun[1] - first > 6)
  }

  @Test func nothingWhileTheClusterChanges() {
    var world = World(shards: 4)
    for round in 0..<30 { world.pass(Self.hotRange, isCalm: round % 3 == 0) }
    #expect(world.begun.isEmpty && world.reason == .changing)
    // A move that was begun and over between two samples.
    for _ in 0..<3 { world.pass(Self.hotRange) }
    world.owners.assign(SlotRange(HashSlot(9), HashSlot(9)), to: 3)
    world.pass(Self.hotRange)
    #expect(world.reason == .changing)
    for _ in 0..<5 { world.pass(Self.hotRange) }
    #expect(world.begun.isEmpty && world.reason == .recent)
    world.pass(Self.hotRange)
    #expect(world.begun.count == 1)
  }

  @Test func whatIsNotWorthIt() {
    // One slot has it all.
    var world = World(shards: 4)
    var loads = [Double](repeating: 1e3, count: HashSlot.count)
    loads[77] = 1e9
    for _ in 0..<20 { world.pass(loads) }
    #expect(world.begun.isEmpty && world.reason == .hotSlot(HashSlot(77)))
    // Nothing happens.
    world = World(shards: 4)
    loads = [Double](repeating: 0, count: HashSlot.count)
    loads[5] = 9e6
    for _ in 0..<20 { world.pass(loads) }
    #expect(world.begun.isEmpty && world.reason == .idle)
    // 20 %.
    world = World(shards: 2)
    loads = (0..<HashSlot.count).map { $0 < 8192 ? 1.1e5 : 0.9e5 }
    for _ in 0..<20 { world.pass(loads) }
    #expect(world.begun.isEmpty && world.reason == .even)
    // Off, alone, or with slots that nobody has.
    world.mode = .off
    for _ in 0..<20 { world.pass(Self.hotRange) }
    #expect(world.reason == .off)
    var alone = World(shards: 1)
    for _ in 0..<20 { alone.pass(Self.hotRange) }
    #expect(alone.begun.isEmpty && alone.reason == .even)
    for mode in [AutoRebalance.Mode.load, .count] {
      var world = World(shards: 3)
      world.mode = mode
      world.owners[HashSlot(1)] = nil
      for _ in 0..<20 { world.pass(Self.hotRange) }
      #expect(world.begun.isEmpty && world.reason == .unassigned)
    }
  }

  @Test func byCount() {
    var world = World(shards: 4)
    world.mode = .count
    for _ in 0..<20 { world.pass(Self.hotRange) }
    #expect(world.begun.isEmpty && world.reason == .even)
    for slot in 0..<100 {
      world.owners.assign(SlotRange(HashSlot(UInt16(slot)), HashSlot(UInt16(slot))), to: 3)
    }
    for _ in 0..<6 { world.pass(Self.hotRange) }
    #expect(world.begun.isEmpty)
    for _ in 0..<20 { world.pass(Self.hotRange) }
    #expect(world.begun.count == 1 && world.reason == .even)
  }

  /// A counter that falls begins anew; a sample at the same time as the last tells nothing.
  @Test func countersThatFall() {
    var world = World(shards: 4)
    for _ in 0..<3 { world.pass(Self.hotRange) }
    world.costs = Array(repeating: 0, count: HashSlot.count)
    world.pass(Self.hotRange)
    #expect(world.begun == [4])
  }

  /// Stationary loads with every kind of noise, for a quarter of an hour: no slot moves twice in ten minutes, and what is begun is seldom.
  @Test(arguments: [4, 9, 10, 15]) func neverFlaps(kind: Int) {
    let seed = UInt64(100 + kind)
    var world = World(shards: [2, 3, 4, 8][kind / 4], seed: seed)
    let loads = world.someLoads(kind)
    for _ in 0..<90 {
      let now = world.noisy(loads, kind / 4)
      world.pass(now)
    }
    #expect(!world.flaps, "seed \(seed)")
    #expect(world.begun.count <= 2, "seed \(seed): \(world.begun)")
  }

  /// A load that always goes where it hurts most: into the slots that were just moved, or the coldest shard.
  @Test(arguments: [1, 2] as [UInt64]) func anAdversary(seed: UInt64) {
    var world = World(shards: 4, seed: seed)
    var loads = world.someLoads(0)
    for _ in 0..<90 {
      world.pass(world.noisy(loads, Int(seed)))
      if world.begun.last == world.number {
        let target = Int(world.random.next() % 4)
        for slot in loads.indices {
          let isHit = world.owners[HashSlot(UInt16(slot))] == target
          loads[slot] = isHit && world.moves[slot].last == world.number ? 1e7 : isHit ? 5e4 : 1e4
        }
      }
    }
    #expect(!world.flaps, "seed \(seed)")
    let pauses = zip(world.begun, world.begun.dropFirst()).map { $1 - $0 }
    #expect(pauses.allSatisfy { $0 > 6 }, "seed \(seed): \(world.begun)")
  }
}
