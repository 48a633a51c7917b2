// Dealing slots by measured load.
//
// Two ways are tried, and the better one is taken: to improve the present layout step by step, which
// moves little, and to lay everything out anew, which leaves few ranges.
//
// *Improving*: slots without an owner go to the coldest shards; then again and again the hottest
// shard gives to the coldest one: a single slot, or a run from an end of one of its ranges, the one
// whose load comes nearest to what one has too much or the other too little. Only what makes the pair
// more equal and keeps the number of ranges within the limit is done. A shard that cannot give
// anything any more (it has one hot slot left) is left alone from there on, and what is mean is
// reckoned without it.
//
// *Anew*: slots that weigh much go to the coldest shard one by one, the heaviest first, as far as the
// limit on ranges allows; the others are cut where the sum of loads says, in as many runs as shards.
// Runs go to shards in the order in which what these have now lies.
//
// Loads are taken as whole numbers with at most 2⁴⁰ in all, so that sums and products fit.

/// The deal of slots to shards by load. Slots and shards are indexes here.
struct LoadLayout {
  /// When shards' loads differ by no more than this part of the mean, the deal is good enough. 10 %
  /// is what is promised; a little less leaves room for what was rounded.
  static let tolerance = 0.08
  /// A slot with more than this part of a shard's share is dealt on its own when laid out anew.
  private static let heavyPart = 0.04

  /// Who owns each slot.
  private(set) var owners: [Int]
  /// The slots hotter than a shard's share, hottest first.
  let hotSlots: [Int]
  /// How far the shards' loads were apart, relative to the mean.
  let spreadBefore: Double
  /// How far the shards' loads are apart, relative to the mean.
  var spread: Double { LoadLayout.spread(sums) }

  private let loads: [Int]
  /// The slots that stay where they are.
  private let fixed: [Bool]
  private let rangeLimit: Int
  private var sums: [Int]
  private var rangeCount: Int

  /// The deal of slots, whose present owners are `present` (nil: to be given out), so that the loads
  /// of `shardCount` shards become equal.
  init(present: [Int?], shardCount: Int, loads: [UInt64], rangeLimit: Int) {
    var better = LoadLayout(
      improving: present, shardCount: shardCount, loads: loads, rangeLimit: rangeLimit,
      fixed: [Bool](repeating: false, count: present.count))
    if better.rangeCount > rangeLimit || better.unevenness > LoadLayout.tolerance {
      let new = LoadLayout.new(present, shardCount, better.loads, rangeLimit)
      var other = LoadLayout(
        new, shardCount, better.loads, rangeLimit, better.hotSlots, better.spreadBefore,
        better.fixed)
      other.improve()
      if better.rangeCount > rangeLimit || other.spread < better.spread { better = other }
    }
    self = better
  }

  /// The same, only improved step by step, without the `fixed` slots.
  init(
    improving present: [Int?], shardCount: Int, loads: [UInt64], rangeLimit: Int, fixed: [Bool]
  ) {
    let loads = LoadLayout.scaled(loads)
    let share = Double(loads.reduce(0, +)) / Double(shardCount)
    let hot = loads.indices.filter { Double(loads[$0]) > share }
      .sorted { (loads[$0], $1) > (loads[$1], $0) }
    var held = [Int](repeating: 0, count: shardCount)
    for (slot, owner) in present.enumerated() { if let owner { held[owner] += loads[slot] } }
    let start = LoadLayout.filled(present, shardCount, loads)
    self.init(start, shardCount, loads, rangeLimit, hot, LoadLayout.spread(held), fixed)
    improve()
  }

  private init(
    _ owners: [Int], _ shardCount: Int, _ loads: [Int], _ rangeLimit: Int, _ hotSlots: [Int],
    _ spreadBefore: Double, _ fixed: [Bool]
  ) {
    self.owners = owners
    self.fixed = fixed
    self.loads = loads
    self.rangeLimit = rangeLimit
    self.hotSlots = hotSlots
    self.spreadBefore = spreadBefore
    sums = [Int](repeating: 0, count: shardCount)
    for (slot, owner) in owners.enumerated() { sums[owner] += loads[slot] }
    rangeCount = zip(owners, owners.dropFirst()).reduce(1) { $0 + ($1.0 == $1.1 ? 0 : 1) }
  }

  /// How far the loads are apart, apart from shards that bear a slot hotter than a share.
  private var unevenness: Double {
    let bearers = Set(hotSlots.map { owners[$0] })
    return LoadLayout.spread(sums.indices.filter { !bearers.contains($0) }.map { sums[$0] })
  }

  private static func spread(_ sums: [Int]) -> Double {
    guard let most = sums.max(), let least = sums.min(), most > 0 else { return 0 }
    return Double(most - least) * Double(sums.count) / Double(sums.reduce(0, +))
  }

  /// The loads as numbers with a sum of at most 2⁴⁰.
  private static func scaled(_ loads: [UInt64]) -> [Int] {
    let sum = loads.reduce(0.0) { $0 + Double($1) }
    let limit = Double(1 << 40)
    guard sum > limit else { return loads.map { Int($0) } }
    return loads.map { Int(Double($0) / sum * limit) }
  }
}

// MARK: Improving

extension LoadLayout {
  /// Gives the slots that have no owner to the coldest shards, in runs.
  private static func filled(_ present: [Int?], _ shardCount: Int, _ loads: [Int]) -> [Int] {
    var sums = [Int](repeating: 0, count: shardCount)
    for (slot, owner) in present.enumerated() { if let owner { sums[owner] += loads[slot] } }
    let share = loads.reduce(0, +) / shardCount
    var current: Int?
    var owners: [Int] = []
    owners.reserveCapacity(present.count)
    for (slot, owner) in present.enumerated() {
      if let owner {
        owners.append(owner)
        current = nil
        continue
      }
      // A run goes on until its shard has its share.
      if current.map({ sums[$0] + loads[slot] / 2 > share }) ?? true { current = coldest(sums) }
      let shard = current ?? 0
      owners.append(shard)
      sums[shard] += loads[slot]
    }
    return owners
  }

  private static func coldest(_ sums: [Int]) -> Int {
    sums.indices.min { (sums[$0], $0) < (sums[$1], $1) } ?? 0
  }

  /// A run of one shard's slots that another could be given.
  private struct Candidate {
    var slots: Range<Int>
    var error: Int
    var newRanges: Int
  }

  private mutating func improve() {
    var isDone = [Bool](repeating: false, count: sums.count)
    var isFull = isDone
    for _ in 0..<(8 * sums.count + 64) {
      let giving = sums.indices.filter { !isDone[$0] }
      let taking = giving.filter { !isFull[$0] }
      guard let hottest = giving.max(by: { (sums[$0], $1) < (sums[$1], $0) }),
        let coldest = taking.min(by: { (sums[$0], $0) < (sums[$1], $1) }), hottest != coldest
      else { break }
      let mean = giving.reduce(0) { $0 + sums[$1] } / giving.count
      let most = sums[hottest]
      let least = sums[coldest]
      if Double(most - least) <= LoadLayout.tolerance * Double(mean) { break }
      // Half the difference makes them equal; less may make one of them be as it should.
      let wanted = max(1, min(max(most - mean, mean - least), (most - least + 1) / 2))
      if let best = candidate(from: hottest, to: coldest, wanted, below: most - least) {
        give(best, from: hottest, to: coldest)
      } else if sums[hottest] - mean >= mean - sums[coldest] {
        isDone[hottest] = true
        isFull = [Bool](repeating: false, count: sums.count)
      } else {
        // Nobody's fault of the hottest: perhaps somebody else can take something.
        isFull[coldest] = true
      }
    }
  }

  /// The run whose load is nearest to `wanted`, and less than `difference`.
  private func candidate(
    from source: Int, to target: Int, _ wanted: Int, below difference: Int
  ) -> Candidate? {
    var best: Candidate?
    // Errors of a fiftieth do not matter as much as a new range.
    let coarse = max(1, wanted / 50)
    func consider(_ slots: Range<Int>, _ load: Int) {
      guard load > 0, load < difference else { return }
      let error = abs(load - wanted) / coarse
      if let best, best.error < error { return }
      let newRanges = newRanges(slots, to: target)
      guard newRanges <= 0 || rangeCount + newRanges <= rangeLimit else { return }
      if let best, (best.error, best.newRanges, best.slots.count) <= (error, newRanges, slots.count)
      {
        return
      }
      best = Candidate(slots: slots, error: error, newRanges: newRanges)
    }
    var first = 0
    while first < owners.count {
      var end = first + 1
      while end < owners.count, owners[end] == owners[first] { end += 1 }
      if owners[first] == source {
        var load = 0
        for slot in first..<end {
          load += loads[slot]
          if load >= difference || fixed[slot] { break }
          consider(first..<slot + 1, load)
        }
        load = 0
        for slot in (first..<end).reversed() {
          load += loads[slot]
          if load >= difference || fixed[slot] { break }
          consider(slot..<end, load)
        }
        for slot in first..<end where !fixed[slot] { consider(slot..<slot + 1, loads[slot]) }
      }
      first = end
    }
    return best
  }

  /// By how many there are more ranges when these slots of one shard go to another.
  private func newRanges(_ slots: Range<Int>, to target: Int) -> Int {
    let source = owners[slots.lowerBound]
    var count = 0
    for side in [slots.lowerBound - 1, slots.upperBound] where owners.indices.contains(side) {
      if owners[side] == source { count += 1 }
      if owners[side] == target { count -= 1 }
    }
    return count
  }

  private mutating func give(_ run: Candidate, from source: Int, to target: Int) {
    rangeCount += run.newRanges
    for slot in run.slots {
      owners[slot] = target
      sums[source] -= loads[slot]
      sums[target] += loads[slot]
    }
  }
}

// MARK: Anew

extension LoadLayout {
  /// A deal that does not build on who owns what, except in who gets which run.
  private static func new(
    _ present: [Int?], _ shardCount: Int, _ loads: [Int], _ rangeLimit: Int
  ) -> [Int] {
    let total = loads.reduce(0, +)
    let share = Double(total) / Double(shardCount)
    // A heavy slot in the middle of a run makes two ranges more.
    let heavy = loads.indices.filter { Double(loads[$0]) > heavyPart * share }
      .sorted { (loads[$0], $1) > (loads[$1], $0) }
      .prefix(max(0, (rangeLimit - shardCount) / 2))
    var owners = [Int?](repeating: nil, count: loads.count)
    var sums = [Int](repeating: 0, count: shardCount)
    for slot in heavy {
      let shard = coldest(sums)
      owners[slot] = shard
      sums[shard] += loads[slot]
    }
    let light = loads.indices.filter { owners[$0] == nil }
    let lightTotal = light.reduce(0) { $0 + loads[$1] }
    // What each shard may still bear, made to add up to what there is.
    let level = sums.map { max(0, share - Double($0)) }
    let levelTotal = level.reduce(0, +)
    let room = level.map {
      levelTotal > 0
        ? $0 / levelTotal * Double(lightTotal) : Double(lightTotal) / Double(shardCount)
    }
    // Shards from left to right as what they have lies now; new ones behind.
    var places = [(sum: Int, count: Int)](repeating: (0, 0), count: shardCount)
    for (slot, owner) in present.enumerated() {
      if let owner { places[owner] = (places[owner].sum + slot, places[owner].count + 1) }
    }
    let order = places.indices.sorted {
      let left = places[$0].count == 0 ? Int.max : places[$0].sum / places[$0].count
      let right = places[$1].count == 0 ? Int.max : places[$1].sum / places[$1].count
      return (left, $0) < (right, $1)
    }
    var next = 0
    var end = room[order[0]]
    var sum = 0.0
    for slot in light {
      let load = Double(loads[slot])
      while next + 1 < order.count, sum + load / 2 > end {
        next += 1
        end += room[order[next]]
      }
      owners[slot] = order[next]
      sum += load
    }
    return owners.map { $0 ?? 0 }
  }
}
