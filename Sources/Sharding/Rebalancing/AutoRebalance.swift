// When slots are moved although nobody asked: `auto-rebalance`.
//
// Every ten seconds the control plane says what each slot has cost so far. What comes out of it here
// is a mean for each slot over about a minute, and rarely a goal for the rebalancer:
//
//     sample ──▶ cost of each slot since the last one ──▶ mean ──▶ both spread > 25 %, three times?
//                                                                        │ six since the last move?
//                               goal ◀── on what was measured, too ◀── the plan halves it?
//
// A move costs clients their caches and maps, so whatever is doubtful is not done. Nothing is begun
// while the cluster is changing: then counters are between shards as well, and are not believed.
//
// **Noise.** A plan always fits what it was made from. Three things keep it from following noise: the
// difference between shards must be beyond what the samples of three minutes say is chance; the plan
// must also have helped in the last samples as they were, whose noise is two to three times that of
// the mean; and a slot that was moved stays for ten minutes, whatever comes (`memory`). So no slot is
// ever moved twice within ten minutes.
//
// All times are counted in samples, so that whoever takes them more often (tests) has all of it
// happen as much faster.
//
// Limits: it sees processor time of commands, by slot; not that two shards share a worker, and not
// what a slot's memory is. Shares that a weight has made unequal it makes equal again.

/// Decides whether slots are to be dealt anew, from what slots have cost.
public struct AutoRebalance: Sendable {
  /// What is to be made equal.
  public enum Mode: String, Hashable, Sendable, CaseIterable {
    /// Nothing.
    case off
    /// Slots.
    case count
    /// What slots cost.
    case load
  }

  /// How the cluster was, and what it had cost by then.
  public struct Sample: Sendable {
    /// When, in microseconds.
    public let time: Int64
    /// What each slot has cost so far, in nanoseconds of processor time.
    public let costs: [UInt64]
    /// Who owns what: indexes in `shards`.
    public let owners: SlotOwners
    /// The shards.
    public let shards: [ShardID]
    /// Whether no job runs or is paused, and no slot is open, and that was so while costs were read.
    public let isCalm: Bool

    /// The sample of these parts.
    public init(
      time: Int64, costs: [UInt64], owners: SlotOwners, shards: [ShardID], isCalm: Bool
    ) {
      precondition(costs.count == HashSlot.count)
      self.time = time
      self.costs = costs
      self.owners = owners
      self.shards = shards
      self.isCalm = isCalm
    }
  }

  /// What is to be done.
  public enum Decision: Hashable, Sendable {
    /// Nothing, for this reason.
    case wait(Reason)
    /// That the slots be dealt by this goal, in this plan.
    case begin(SlotGoal, SlotPlan)
  }

  /// Why nothing is done.
  public enum Reason: Hashable, Sendable {
    /// It is switched off.
    case off
    /// There are not two samples of the same cluster yet.
    case measuring
    /// A job runs, or slots are open: or there was such a thing since the last sample.
    case changing
    /// Somebody has taken slots from all shards, by hand; they are not given out behind their back.
    case unassigned
    /// The cluster does so little that differences mean nothing.
    case idle
    /// There is nothing to be made better.
    case even
    /// It has not been uneven for long enough.
    case brief
    /// The last move was not long enough ago.
    case recent
    /// It is no more uneven than its ups and downs make it.
    case noise
    /// Moving would gain too little.
    case littleGain
    /// This slot is hotter than a shard's share, and so moving would gain too little.
    case hotSlot(HashSlot)
  }

  /// How far samples are apart, in microseconds: ten seconds. Reading 16384 counters of every worker
  /// takes some tens of microseconds of its time.
  public static let interval: Int64 = 10_000_000
  /// A minute's samples: the mean forgets a burst in that time, and follows a new load.
  static let meanSamples = 6
  /// For how many samples it must be uneven: half a minute is not somebody's nightly script.
  static let patience = 3
  /// How many samples a move is to have for showing what it has led to: a minute, as the mean needs.
  static let quietSamples = 6
  /// For how many samples a slot stays that was moved: ten minutes.
  static let memory = 60
  /// Loads may differ by this part of the mean: far more than the 8 % that a plan aims at, so that
  /// what has just been made equal does not at once become unequal enough again.
  static let spreadLimit = 0.25
  /// The part of the spread that may be left, by the mean that the plan was made from.
  static let leftByMean = 0.5
  /// The part that may be left in the last samples as they were, noise and all.
  static let leftBySamples = 0.75
  /// How many samples, three minutes', say how much of the difference is chance: 2 MiB of them.
  static let noiseSamples = 18
  /// By how many standard errors of the mean the difference must be beyond chance. As the shards are picked for their difference, and it is
  /// looked at again and again, three would let chance through every hour.
  static let certainty = 4.0
  /// Processor time a second, in nanoseconds, below which a cluster is idle: a hundredth of one
  /// processor, about what a few clients that only ask whether it is there cost.
  static let leastLoad = 10_000_000.0

  /// What each slot costs, in nanoseconds a second.
  private var mean = [Double](repeating: 0, count: HashSlot.count)
  private var meanCount = 0
  /// The last samples by themselves, at most `noiseSamples` of them.
  private var latest: [[Double]] = []
  private var last: Sample?
  private var mode = Mode.off
  /// How many samples there were.
  private var number = 0
  /// For how many it has been uneven.
  private var unevenCount = 0
  /// For how many nothing has moved.
  private var quietCount = AutoRebalance.quietSamples
  /// The last plan that was not worth it: after how many samples, and why.
  private var refusal: (number: Int, reason: Reason)?
  /// After how many each slot was moved last.
  private var movedAt = [Int](repeating: -AutoRebalance.memory, count: HashSlot.count)

  /// One that knows nothing yet.
  public init() {}

  /// Takes a sample in, and says what is to be done. After a `begin` it is to be done: its slots count
  /// as moved.
  public mutating func decide(_ mode: Mode, _ sample: Sample) -> Decision {
    number += 1
    if mode != self.mode { unevenCount = 0 }
    self.mode = mode
    let reason = measure(sample) ?? judge(mode, sample)
    if let reason {
      switch reason {
      // It is still uneven.
      case .brief, .recent, .noise, .littleGain, .hotSlot: break
      case .off, .measuring, .changing, .unassigned, .idle, .even: unevenCount = 0
      }
      return .wait(reason)
    }
    return plan(mode, sample)
  }

  // MARK: Measuring

  /// Takes in what slots have cost since the last sample; why that cannot be done, if it cannot.
  private mutating func measure(_ sample: Sample) -> Reason? {
    let before = last
    last = sample.isCalm ? sample : nil
    guard sample.isCalm else {
      quietCount = 0
      return .changing
    }
    guard let before else { return .measuring }
    guard before.owners == sample.owners, before.shards == sample.shards else {
      quietCount = 0
      return .changing
    }
    quietCount += 1
    let seconds = Double(sample.time - before.time) / 1_000_000
    guard seconds > 0 else { return .measuring }
    meanCount += 1
    // The mean of all as long as there are few.
    let part = max(1 / Double(AutoRebalance.meanSamples), 1 / Double(meanCount))
    var rates = [Double](repeating: 0, count: HashSlot.count)
    for slot in rates.indices {
      // A slot that was unassigned and came back begins at zero.
      let (now, then) = (sample.costs[slot], before.costs[slot])
      let rate = Double(now >= then ? now - then : now) / seconds
      rates[slot] = rate
      mean[slot] += part * (rate - mean[slot])
    }
    if latest.count == AutoRebalance.noiseSamples { latest.removeFirst() }
    latest.append(rates)
    return nil
  }

  // MARK: Judging

  /// Why nothing is to be done, before any plan is made.
  private mutating func judge(_ mode: Mode, _ sample: Sample) -> Reason? {
    if mode != .off, sample.owners.indexes.contains(SlotOwners.none) { return .unassigned }
    let isUneven: Bool
    switch mode {
    case .off: return .off
    case .count:
      var counts = [Int](repeating: 0, count: sample.shards.count)
      for owner in sample.owners.indexes { counts[Int(owner)] += 1 }
      isUneven = (counts.max() ?? 0) - (counts.min() ?? 0) > 1
    case .load:
      if mean.reduce(0, +) < AutoRebalance.leastLoad { return .idle }
      isUneven = isLoadUneven(sample)
    }
    guard isUneven else { return .even }
    unevenCount += 1
    if unevenCount < AutoRebalance.patience { return .brief }
    if quietCount < AutoRebalance.quietSamples { return .recent }
    // A plan takes some milliseconds: what was not worth it is not at once tried again.
    if mode == .load, isNoise(sample) { return .noise }
    if let refusal, number - refusal.number < AutoRebalance.quietSamples { return refusal.reason }
    return nil
  }

  /// Whether the hottest and the coldest shard by the mean are too far apart, in the last sample by itself as well: the mean alone would
  /// remember a burst for as long as patience lasts, and a sample alone is noise.
  private func isLoadUneven(_ sample: Sample) -> Bool {
    let sums = Self.sums(mean, sample.owners, sample.shards.count)
    let now = Self.sums(latest[latest.count - 1], sample.owners, sample.shards.count)
    guard let hottest = sums.indices.max(by: { sums[$0] < sums[$1] }),
      let coldest = sums.indices.min(by: { sums[$0] < sums[$1] })
    else { return false }
    return [sums, now].allSatisfy {
      let share = $0.reduce(0, +) / Double($0.count)
      return $0[hottest] - $0[coldest] > AutoRebalance.spreadLimit * share
    }
  }

  /// Whether the difference between the hottest and the coldest shard, as it was in the last samples one by one, is not beyond what chance
  /// makes of such samples. What comes and goes together, slots of one client say, counts as such.
  private func isNoise(_ sample: Sample) -> Bool {
    let count = sample.shards.count
    let sums = Self.sums(mean, sample.owners, count)
    guard let hottest = sums.indices.max(by: { sums[$0] < sums[$1] }),
      let coldest = sums.indices.min(by: { sums[$0] < sums[$1] })
    else { return true }
    let differences = latest.map { rates in
      let sums = Self.sums(rates, sample.owners, count)
      return sums[hottest] - sums[coldest]
    }
    let number = Double(differences.count)
    let middle = differences.reduce(0, +) / number
    let squares = differences.reduce(0) { $0 + ($1 - middle) * ($1 - middle) }
    let error = (squares / max(1, number - 1) / number).squareRoot()
    return middle <= AutoRebalance.certainty * error
  }

  private mutating func plan(_ mode: Mode, _ sample: Sample) -> Decision {
    let isFixed = movedAt.map { number - $0 < AutoRebalance.memory }
    let fixed = isFixed.indices.filter { isFixed[$0] }.map {
      SlotRange(HashSlot(UInt16($0)), HashSlot(UInt16($0)))
    }
    let goal: SlotGoal =
      mode == .count
      ? .byCount : .towardsLoad(mean.map { UInt64(min($0, 1e15)) }, fixed: fixed)
    let plan = SlotPlan(
      from: sample.owners, of: sample.shards, to: sample.shards, goal: goal)
    let moved = plan.moves.flatMap(\.slots.slots)
    if moved.contains(where: { isFixed[$0.index] }) { return .wait(.recent) }
    if mode == .load, !isWorthIt(plan, sample) {
      let reason = plan.hotSlots.first.map { Reason.hotSlot($0) } ?? .littleGain
      refusal = (number, reason)
      return .wait(reason)
    }
    guard !moved.isEmpty else { return .wait(.littleGain) }
    for slot in moved { movedAt[slot.index] = number }
    unevenCount = 0
    quietCount = 0
    return .begin(goal, plan)
  }

  /// Whether the plan makes it so much better, by the mean and by what it is the mean of.
  private func isWorthIt(_ plan: SlotPlan, _ sample: Sample) -> Bool {
    let left = { (rates: [[Double]]) -> Double in
      let count = sample.shards.count
      let before = rates.reduce(0) { $0 + Self.spread($1, sample.owners, count) }
      let after = rates.reduce(0) { $0 + Self.spread($1, plan.owners, count) }
      return before > 0 ? after / before : 1
    }
    let last = Array(latest.suffix(AutoRebalance.patience))
    return left([mean]) <= AutoRebalance.leftByMean && left(last) <= AutoRebalance.leftBySamples
  }

  /// How far the loads of shards are apart: the highest less the lowest, relative to the mean.
  static func spread(_ rates: [Double], _ owners: SlotOwners, _ shardCount: Int) -> Double {
    let sums = sums(rates, owners, shardCount)
    let total = sums.reduce(0, +)
    guard let most = sums.max(), let least = sums.min(), total > 0 else { return 0 }
    return (most - least) * Double(shardCount) / total
  }

  private static func sums(
    _ rates: [Double], _ owners: SlotOwners, _ shardCount: Int
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: shardCount)
    for (slot, owner) in owners.indexes.enumerated() where owner != SlotOwners.none {
      sums[Int(owner)] += rates[slot]
    }
    return sums
  }
}

extension AutoRebalance.Reason: CustomStringConvertible {
  /// In words.
  public var description: String {
    switch self {
    case .off: "off"
    case .measuring: "measuring"
    case .changing: "the cluster has just been changed"
    case .unassigned: "there are slots without an owner"
    case .idle: "idle"
    case .even: "even"
    case .brief: "uneven, not for long"
    case .recent: "uneven, but slots have moved lately"
    case .noise: "uneven by ups and downs"
    case .littleGain: "uneven, but moving would gain too little"
    case .hotSlot(let slot):
      "uneven, because slot \(slot.number) is hotter than a shard's share"
    }
  }
}
