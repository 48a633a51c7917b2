/// What slots are dealt by.
public enum SlotGoal: Hashable, Sendable {
  /// Shares that differ by at most one slot.
  case byCount
  /// Shares in proportion to these weights, 1 for a shard that none is given of. A shard of weight
  /// 0 gives all its slots. Weights are finite and not negative, and some weight is above 0.
  case byWeight([ShardID: Double])
  /// Shares of equal load, slot by slot (16384 of them) in any unit. Without any load by count.
  case byLoad([UInt64])
  /// The same, but only by improving the present deal step by step, and no `fixed` slot moves.
  case towardsLoad([UInt64], fixed: [SlotRange])
}

/// Slots that go from one shard to another.
public struct SlotMove: Hashable, Sendable {
  /// Who owns them; nil if nobody does.
  public let source: ShardID?
  /// Who is to own them.
  public let target: ShardID
  /// Which, ascending, as few ranges as can be.
  public let slots: [SlotRange]

  /// How many slots these are.
  public var slotCount: Int { slots.slotCount }
}

/// How far apart the loads of shards are: the highest less the lowest, relative to the mean, so that
/// 0.1 is 10 %.
public struct LoadSpread: Hashable, Sendable {
  /// As it was measured.
  public let before: Double
  /// As it will be, if loads stay as they are.
  public let after: Double
}

/// Which slots have to go where for a goal to be reached: a pure function of what it is made of.
public struct SlotPlan: Hashable, Sendable {
  /// No map that a plan leaves has more ranges than this: every client reads every map.
  public static func rangeLimit(shardCount: Int) -> Int { 2 * shardCount + 16 }

  /// One for each pair of source and target, by source (none first), then by target.
  public let moves: [SlotMove]
  /// The shards that `owners` are of, by ascending number.
  public let shards: [ShardID]
  /// Who owns what afterwards: every slot has an owner.
  public let owners: SlotOwners
  /// By load: the slots that are hotter than a shard's share, so that no plan can make loads
  /// equal, hottest first.
  public let hotSlots: [HashSlot]
  /// By load: how far apart the loads of shards are. Else nil.
  public let loadSpread: LoadSpread?

  /// What there is to say of it: that a slot is hotter than a shard's share; else empty.
  public var message: String {
    guard let slot = hotSlots.first else { return "" }
    let others = hotSlots.count > 1 ? " and \(hotSlots.count - 1) more are" : " is"
    return "slot \(slot.number)\(others) hotter than a shard's share: loads cannot be made equal"
  }

  /// How many slots are moved.
  public var slotCount: Int { moves.reduce(0) { $0 + $1.slotCount } }

  /// The least moves after which `targets` own all slots, dealt by `goal`, in no more ranges than
  /// `rangeLimit`. `owners` are of `shards`; both lists are by ascending id, and `targets`, of which
  /// there is at least one, may have shards that are not in `shards` (they join) and lack some
  /// (they give all they have).
  public init(
    from owners: SlotOwners, of shards: [ShardID], to targets: [ShardID], goal: SlotGoal
  ) {
    precondition(!targets.isEmpty && targets.count <= HashSlot.count)
    precondition(zip(targets, targets.dropFirst()).allSatisfy { $0 < $1 })
    // Everything below is about indexes in `targets`.
    let places = Dictionary(uniqueKeysWithValues: targets.enumerated().map { ($1, $0) })
    let present = owners.indexes.map { owner in
      owner == SlotOwners.none ? nil : places[shards[Int(owner)]]
    }
    let limit = SlotPlan.rangeLimit(shardCount: targets.count)
    let even = [Double](repeating: 1, count: targets.count)
    let dealt: [Int]
    var hotSlots: [HashSlot] = []
    var spread: LoadSpread?
    switch goal {
    case .byLoad(let loads) where loads.contains { $0 > 0 }:
      precondition(loads.count == HashSlot.count)
      let layout = LoadLayout(
        present: present, shardCount: targets.count, loads: loads, rangeLimit: limit)
      dealt = layout.owners
      spread = LoadSpread(before: layout.spreadBefore, after: layout.spread)
      hotSlots = layout.hotSlots.map { HashSlot(UInt16($0)) }
    case .towardsLoad(let loads, let fixed) where loads.contains { $0 > 0 }:
      precondition(loads.count == HashSlot.count)
      let set = SlotSet(fixed)
      let layout = LoadLayout(
        improving: present, shardCount: targets.count, loads: loads, rangeLimit: limit,
        fixed: (0..<HashSlot.count).map { set.contains(HashSlot(UInt16($0))) })
      dealt = layout.owners
      spread = LoadSpread(before: layout.spreadBefore, after: layout.spread)
      hotSlots = layout.hotSlots.map { HashSlot(UInt16($0)) }
    // Without any load there is nothing to make equal: what has an owner stays.
    case .byLoad where !present.contains(nil), .towardsLoad where !present.contains(nil):
      dealt = present.map { $0 ?? 0 }
    case .byCount, .byLoad, .towardsLoad:
      dealt = SlotLayout.owners(present: present, weights: even, rangeLimit: limit)
    case .byWeight(let weights):
      dealt = SlotLayout.owners(
        present: present, weights: targets.map { weights[$0] ?? 1 }, rangeLimit: limit)
    }
    self.shards = targets
    var after = SlotOwners()
    for (slot, owner) in dealt.enumerated() { after[HashSlot(UInt16(slot))] = owner }
    self.owners = after
    self.hotSlots = hotSlots
    loadSpread = spread
    moves = SlotPlan.moves(from: owners, of: shards, to: after, of: targets)
  }

  /// One move for each pair of different owners.
  static func moves(
    from before: SlotOwners, of shards: [ShardID], to after: SlotOwners, of targets: [ShardID]
  ) -> [SlotMove] {
    struct Pair: Hashable {
      let source: ShardID?
      let target: ShardID
    }
    var slots: [Pair: [SlotRange]] = [:]
    var first = 0
    for end in 1...HashSlot.count
    where end == HashSlot.count || before.indexes[end] != before.indexes[first]
      || after.indexes[end] != after.indexes[first]
    {
      let range = SlotRange(HashSlot(UInt16(first)), HashSlot(UInt16(end - 1)))
      let source = before[range.first].map { shards[$0] }
      if let target = after[range.first].map({ targets[$0] }), target != source {
        slots[Pair(source: source, target: target), default: []].append(range)
      }
      first = end
    }
    return slots.map { SlotMove(source: $0.source, target: $0.target, slots: $1) }.sorted {
      guard $0.source == $1.source else {
        guard let left = $0.source, let right = $1.source else { return $0.source == nil }
        return left < right
      }
      return $0.target < $1.target
    }
  }
}
