/// Why something that was asked for is not done: a text to stand behind `-ERR `.
public struct RebalancerRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// The text.
  public let description: String

  /// The refusal with this text.
  init(_ text: String) { description = text }
}

// MARK: Resize and rebalance

extension Rebalancer {
  /// The plan that a resize to `shards` shards would follow now; `new` shards' ids are as they would
  /// be. Nothing is done.
  public func planResize(shards count: Int, new: NewShards) throws(RebalancerRefusal) -> SlotPlan {
    let joining = try joiningShards(for: count, new)
    return plan(targets: targets(for: count, joining), goal: .byCount)
  }

  /// The plan that a rebalance would follow now. Nothing is done.
  public func planRebalance(goal: SlotGoal) throws(RebalancerRefusal) -> SlotPlan {
    try check(goal)
    return plan(targets: topology.shards.map(\.id), goal: goal)
  }

  /// The most new shards, and so names, that a resize to `count` shards needs.
  public func newShardCount(for count: Int) -> Int { max(0, count - topology.shards.count) }

  mutating func beginResize(
    _ id: JobID, shards count: Int, _ mode: MigrationMode, _ new: NewShards, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkNothingWhole(id)
    let joining = try joiningShards(for: count, new)
    let targets = targets(for: count, joining)
    let staying = Set(targets)
    let plan = plan(targets: targets, goal: .byCount)
    var work = Work(
      record: RebalancerJob(
        id: id, operation: .resize(shards: count), mode: mode, slots: [], source: nil, target: nil,
        createdAt: now, updatedAt: now, state: joining.isEmpty ? .moving : .opening,
        slotsTotal: plan.slotCount), steps: steps(plan))
    work.joining = joining
    work.opening = Set(joining.map(\.id))
    work.leaving = topology.shards.map(\.id).filter { !staying.contains($0) }
    if !joining.isEmpty { work.steps.insert(.join, at: 0) }
    if !work.leaving.isEmpty { work.steps.append(.leave) }
    accept([work], now)
    for shard in joining {
      topology.lastGeneration = max(topology.lastGeneration, shard.id.generation)
      let old = draining.firstIndex { $0.shard.id.number == shard.id.number }
      let predecessor = old.map { draining.remove(at: $0).shard.id }
      actions.append(.openShard(shard, takesOver: predecessor))
    }
  }

  mutating func beginRebalance(
    _ id: JobID, _ goal: SlotGoal, _ mode: MigrationMode, _ isAutomatic: Bool, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkNothingWhole(id)
    let plan = try planRebalance(goal: goal)
    var work = Work(
      record: RebalancerJob(
        id: id, operation: .rebalance, mode: mode, slots: [], source: nil, target: nil,
        createdAt: now, updatedAt: now, state: .moving, slotsTotal: plan.slotCount),
      steps: steps(plan))
    work.record.isAutomatic = isAutomatic
    work.record.message = plan.message
    accept([work], now)
  }

  /// The plan from what is to what there is to be.
  func plan(targets: [ShardID], goal: SlotGoal) -> SlotPlan {
    SlotPlan(
      from: topology.owners, of: topology.shards.map(\.id), to: targets, goal: goal)
  }

  /// A flip for each move.
  func steps(_ plan: SlotPlan) -> [Work.Step] {
    plan.moves.map { .flip(source: $0.source, target: $0.target, slots: $0.slots) }
  }

  /// The new shards that `count` shards take: the lowest free numbers, one above the last
  /// generation after the other.
  private func joiningShards(
    for count: Int, _ new: NewShards
  ) throws(RebalancerRefusal) -> [ClusterShard] {
    guard count >= 1 else { throw RebalancerRefusal("A cluster has at least one shard") }
    guard count <= Rebalancer.maxShardCount else {
      throw RebalancerRefusal("A cluster has at most \(Rebalancer.maxShardCount) shards")
    }
    let missing = newShardCount(for: count)
    guard missing > 0 else { return [] }
    guard UInt64(topology.lastGeneration) + UInt64(missing) <= UInt64(UInt32.max) else {
      throw RebalancerRefusal("This cluster has had more shards than can be told apart")
    }
    var names = Set(topology.shards.map(\.nodeID))
    guard new.nodeIDs.count >= missing,
      new.nodeIDs.prefix(missing).allSatisfy({ names.insert($0).inserted })
    else { throw RebalancerRefusal("Too few names for new shards") }
    let taken = Set(topology.shards.map(\.id.number))
    var addresses = Set(topology.shards.map { "\($0.address.host):\($0.address.port)" })
    var joining: [ClusterShard] = []
    var number: UInt16 = 0
    while joining.count < missing {
      number += 1
      if taken.contains(number) { continue }
      guard let address = new.address(number),
        addresses.insert("\(address.host):\(address.port)").inserted
      else {
        throw RebalancerRefusal("There is no port for shard \(number)")
      }
      joining.append(
        ClusterShard(
          id: ShardID(
            number: number, generation: topology.lastGeneration + 1 + UInt32(joining.count)),
          nodeID: new.nodeIDs[joining.count], address: address, epoch: topology.epoch))
    }
    return joining
  }

  /// The shards that there are to be: without the highest numbers, if there are to be fewer.
  private func targets(for count: Int, _ joining: [ClusterShard]) -> [ShardID] {
    (topology.shards.prefix(count) + joining).map(\.id).sorted()
  }

  private func check(_ goal: SlotGoal) throws(RebalancerRefusal) {
    switch goal {
    case .byCount: break
    case .byLoad(let loads), .towardsLoad(let loads, fixed: _):
      guard loads.count == HashSlot.count else {
        throw RebalancerRefusal("Loads are of \(HashSlot.count) slots")
      }
    case .byWeight(let weights):
      let known = Set(topology.shards.map(\.id))
      guard weights.keys.allSatisfy(known.contains) else {
        throw RebalancerRefusal("A weight is given for a shard that is not in the cluster")
      }
      guard weights.values.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
        throw RebalancerRefusal("Weights are numbers from 0 on")
      }
      guard known.contains(where: { weights[$0] ?? 1 > 0 }) else {
        throw RebalancerRefusal("Some shard's weight must be above 0")
      }
    }
  }

  private func checkNothingWhole(_ id: JobID) throws(RebalancerRefusal) {
    try checkIsNew([id])
    if let other = active.first(where: \.isWhole) {
      throw RebalancerRefusal(
        "A \(other.record.operation.word.lowercased()) is already in progress (job \(other.id))")
    }
    if let other = active.first(where: { !$0.isManual }) {
      throw RebalancerRefusal("Slots are being migrated (job \(other.id))")
    }
  }

  private func checkIsNew(_ ids: [JobID]) throws(RebalancerRefusal) {
    let known = Set(active.map(\.id)).union(ended.map(\.id))
    guard Set(ids).count == ids.count, known.isDisjoint(with: ids) else {
      throw RebalancerRefusal("There is a job of this name")
    }
    guard active.count + ids.count <= Rebalancer.maxActiveJobCount else {
      throw RebalancerRefusal("Too many jobs at once")
    }
  }
}

// MARK: Moves

extension Rebalancer {
  mutating func beginMove(
    _ blocks: [Block], source: ShardID?, _ mode: MigrationMode, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkIsNew(blocks.map(\.job))
    let works = try movesOf(blocks, source, mode, now)
    accept(works, now)
  }

  /// The jobs of these blocks, or what is wrong with one of them, in the words of Valkey.
  private func movesOf(
    _ blocks: [Block], _ source: ShardID?, _ mode: MigrationMode, _ now: Int64
  ) throws(RebalancerRefusal) -> [Work] {
    guard !blocks.isEmpty else { throw RebalancerRefusal("No slot ranges specified") }
    var works: [Work] = []
    for block in blocks {
      try checkRanges(block.slots)
      guard let target = topology.shards.first(where: { $0.nodeID == block.target }) else {
        throw RebalancerRefusal("Unknown node name: \(block.target)")
      }
      guard target.id != source else {
        throw RebalancerRefusal("Target node can not be this node.")
      }
      try checkStays(target.id)
      let steps = try stepsOf(block, source, target.id)
      let sources = Set(block.slots.slots.map { topology.owners[$0] })
      let only = sources.count == 1 ? sources.first?.map { topology.shards[$0] } : nil
      works.append(
        Work(
          record: RebalancerJob(
            id: block.job, operation: .move, mode: mode, slots: block.slots,
            source: only.map { RebalancerJob.End($0) }, target: RebalancerJob.End(target),
            createdAt: now, updatedAt: now, state: .moving,
            slotsTotal: steps.reduce(0) { $0 + $1.slotCount }), steps: steps))
    }
    var busy = SlotSet()
    for work in active { for range in work.pendingSlots { busy.insert(range) } }
    if let current { for range in current.flip.slots { busy.insert(range) } }
    for block in blocks {
      if let slot = block.slots.slots.first(where: busy.contains) {
        throw RebalancerRefusal("I am already migrating slot \(slot.number).")
      }
    }
    var all = SlotSet()
    guard blocks.allSatisfy({ block in block.slots.allSatisfy { all.insert($0) } }) else {
      throw RebalancerRefusal("Slot ranges in migrations overlap")
    }
    return works
  }

  private func checkRanges(_ ranges: [SlotRange]) throws(RebalancerRefusal) {
    guard !ranges.isEmpty else { throw RebalancerRefusal("No slot ranges specified") }
    for (index, range) in ranges.enumerated() {
      let previous = ranges[..<index].first { $0.first <= range.last && range.first <= $0.last }
      if let previous {
        throw RebalancerRefusal(
          "Slot range \(range.first.number)-\(range.last.number) overlaps with previous range "
            + "\(previous.first.number)-\(previous.last.number).")
      }
    }
  }

  /// The flips of a block: one for each present owner other than the target.
  private func stepsOf(
    _ block: Block, _ source: ShardID?, _ target: ShardID
  ) throws(RebalancerRefusal) -> [Work.Step] {
    var owners: [Int: SlotSet] = [:]
    for slot in block.slots.slots {
      guard let owner = topology.owners[slot] else {
        throw RebalancerRefusal("Slot \(slot.number) has no node served.")
      }
      owners[owner, default: SlotSet()].insert(slot)
    }
    if let source {
      guard owners.count == 1 else {
        throw RebalancerRefusal("Requested slots span multiple shards")
      }
      guard owners.keys.allSatisfy({ topology.shards[$0].id == source }) else {
        throw RebalancerRefusal("Slots are not served by this node.")
      }
    }
    return owners.sorted { $0.key < $1.key }.compactMap { owner, slots in
      let id = topology.shards[owner].id
      return id == target ? nil : .flip(source: id, target: target, slots: slots.ranges)
    }
  }

  /// Slots are given to nobody who is about to leave.
  func checkStays(_ target: ShardID) throws(RebalancerRefusal) {
    if active.contains(where: { $0.leaving.contains(target) }) {
      throw RebalancerRefusal("The target is being removed from the cluster")
    }
  }
}

extension Work.Step {
  /// How many slots it moves.
  var slotCount: Int { if case .flip(_, _, let slots) = self { slots.slotCount } else { 0 } }
}

// MARK: By hand

extension Rebalancer {
  /// Whether an epoch above all others would tell anybody anything new (`CLUSTER BUMPEPOCH`): not if
  /// the shard has it alone already.
  public func wantsEpoch(_ shard: ShardID) -> Bool {
    topology.shards.contains { other in
      other.id == shard
        ? other.epoch < topology.epoch || other.epoch.number == 0 : other.epoch == topology.epoch
    }
  }

  mutating func beginAssign(
    _ id: JobID, _ slots: [SlotRange], to target: ShardID?, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkIsNew([id])
    try checkRanges(slots)
    let busy = SlotSet(active.flatMap(\.pendingSlots) + (current?.flip.slots ?? []))
    for slot in slots.slots {
      if busy.contains(slot) {
        throw RebalancerRefusal("Slot \(slot.number) is being migrated")
      }
      if target != nil, topology.owners[slot] != nil {
        throw RebalancerRefusal("Slot \(slot.number) is already busy")
      }
      if target == nil, topology.owners[slot] == nil {
        throw RebalancerRefusal("Slot \(slot.number) is already unassigned")
      }
    }
    var steps: [Work.Step] = []
    if let target {
      try checkIsHere(target)
      steps = [.flip(source: nil, target: target, slots: SlotSet(slots).ranges)]
    } else {
      var owners: [Int: SlotSet] = [:]
      for slot in slots.slots {
        guard let owner = topology.owners[slot] else { continue }
        owners[owner, default: SlotSet()].insert(slot)
      }
      steps = owners.sorted { $0.key < $1.key }.map { owner, slots in
        .flip(source: topology.shards[owner].id, target: nil, slots: slots.ranges)
      }
    }
    acceptManual(id, steps, mustBeEmpty: false, now)
    record(
      .configurationChanged,
      [
        .init("job", "\(id)"), .init("what", target == nil ? "delslots" : "addslots"),
        .init("slots", slots.slotCount),
      ], now)
  }

  mutating func beginSetSlot(
    _ id: JobID, _ slot: HashSlot, to target: ShardID, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkIsNew([id])
    try checkIsHere(target)
    let busy = SlotSet(
      active.filter { !$0.isManual }.flatMap(\.pendingSlots) + (current?.flip.slots ?? []))
    let owner = topology.owners[slot].map { topology.shards[$0].id }
    // Asked of every node in turn by redis-cli: the first one has done it.
    let isDone = owner == target && !busy.contains(slot)
    if !isDone, active.contains(where: { !$0.isManual && SlotSet($0.pendingSlots).contains(slot) })
    {
      throw RebalancerRefusal("Slot \(slot.number) is being migrated")
    }
    acceptManual(
      id, isDone ? [] : [.flip(source: owner, target: target, slots: [SlotRange(slot, slot)])],
      mustBeEmpty: true, now)
  }

  mutating func beginBump(
    _ id: JobID, _ shard: ShardID, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkIsNew([id])
    guard map.index(of: shard) != nil else {
      throw RebalancerRefusal("The shard is not in the cluster")
    }
    acceptManual(id, [.bump(shard)], mustBeEmpty: false, now)
  }

  mutating func beginAnnounce(
    _ id: JobID, _ type: EndpointType,
    _ address: @escaping @Sendable (ClusterShard) -> EndpointAddress?, _ now: Int64
  ) throws(RebalancerRefusal) {
    try checkIsNew([id])
    acceptManual(id, [.announce(type, address: address)], mustBeEmpty: false, now)
  }

  mutating func beginSave(_ id: JobID, _ now: Int64) throws(RebalancerRefusal) {
    try checkIsNew([id])
    record(.configurationChanged, [.init("what", "saveconfig")], now)
    saving.changes += 1
    saving.notBefore = .min
    acceptManual(id, [], mustBeEmpty: false, now)
    if let index = active.firstIndex(where: { $0.id == id }) { active[index].mustBeSaved = true }
  }

  private func checkIsHere(_ target: ShardID) throws(RebalancerRefusal) {
    guard map.index(of: target) != nil else {
      throw RebalancerRefusal("The shard is not in the cluster")
    }
    try checkStays(target)
  }

  private mutating func acceptManual(
    _ id: JobID, _ steps: [Work.Step], mustBeEmpty: Bool, _ now: Int64
  ) {
    var work = Work(
      record: RebalancerJob(
        id: id, operation: .move, mode: .handOver, slots: [], source: nil, target: nil,
        createdAt: now, updatedAt: now, state: .moving,
        slotsTotal: steps.reduce(0) { $0 + $1.slotCount }), steps: steps)
    work.isManual = true
    work.mustBeEmpty = mustBeEmpty
    accept([work], now)
  }

  private mutating func accept(_ works: [Work], _ now: Int64) {
    // The first save is the one at the end, if that comes soon.
    if active.isEmpty { saving.lastBegan = max(saving.lastBegan, now) }
    active += works
    actions.append(.accepted(works.map(\.id)))
    for work in works where !work.isManual { tellStart(of: work, now) }
  }
}
