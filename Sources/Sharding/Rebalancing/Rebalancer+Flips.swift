// The steps of jobs, and the flip on its way.

extension Rebalancer {
  /// Begins the next step that can be done now. False if there is none; true if one is done, given
  /// up, or on its way.
  mutating func step(_ now: Int64) -> Bool {
    // By hand first; somebody waits.
    for index in active.indices where active[index].isManual && active[index].outcome == nil {
      if now >= active[index].notBefore { return take(index, now) }
    }
    for index in active.indices where !active[index].isManual && active[index].outcome == nil {
      guard active[index].opening.isEmpty else { continue }
      if let first = active[index].steps.first {
        guard !isPaused, now >= active[index].notBefore else { continue }
        if case .flip = first, speed > 0, now < throttledUntil { continue }
      }
      return take(index, now)
    }
    return false
  }

  /// Does a job's next step, or finds that there is none.
  private mutating func take(_ index: Int, _ now: Int64) -> Bool {
    guard let step = active[index].steps.first else {
      end(index, .success, now)
      return true
    }
    active[index].steps.removeFirst()
    switch step {
    case .join: join(index, now)
    case .leave: leave(index, now)
    case .bump(let shard): bump(index, shard, now)
    case .announce(let type, let address): announce(type, address, now)
    case .flip(let source, let target, let slots): begin(index, source, target, slots, now)
    }
    return true
  }

  // MARK: Steps without a flip

  private mutating func join(_ index: Int, _ now: Int64) {
    let joining = active[index].joining
    active[index].joining = []
    var next = topology
    for var shard in joining {
      next.epoch = next.epoch.next
      shard.epoch = next.epoch
      let place = next.shards.firstIndex { $0.id.number > shard.id.number } ?? next.shards.count
      next.insert(shard, at: place)
    }
    publish(next)
    active[index].record.updatedAt = now
    for shard in joining {
      record(
        .shardCreated,
        [
          .init("shard", shard.id.number), .init("generation", shard.id.generation),
          .init("node", "\(shard.nodeID)"),
          .init("address", "\(shard.address.host):\(shard.address.port)"),
        ], now)
    }
  }

  private mutating func leave(_ index: Int, _ now: Int64) {
    let leaving = Set(active[index].leaving)
    let owning = Set(topology.owners.ranges.map { topology.shards[$0.owner].id })
    guard leaving.isDisjoint(with: owning) else {
      // Somebody has given them slots in the meantime.
      planAgain(index, now)
      return
    }
    active[index].leaving = []
    var next = topology
    next.epoch = next.epoch.next
    let left = next.shards.filter { leaving.contains($0.id) }
    next.remove { leaving.contains($0.id) }
    publish(next)
    active[index].record.updatedAt = now
    for shard in left {
      draining.append((shard, now.addingSaturated(max(0, drainTimeout)), false))
      actions.append(.retireShard(shard.id))
      record(
        .shardRemoved,
        [
          .init("shard", shard.id.number), .init("generation", shard.id.generation),
          .init("node", "\(shard.nodeID)"),
        ], now)
    }
  }

  private mutating func planAgain(_ index: Int, _ now: Int64) {
    guard active[index].planCount < 8 else {
      end(index, .failed("slots are being given to shards that are to leave"), now)
      return
    }
    active[index].planCount += 1
    let leaving = Set(active[index].leaving)
    let targets = topology.shards.map(\.id).filter { !leaving.contains($0) }
    let plan = plan(targets: targets, goal: .byCount)
    active[index].steps = steps(plan) + [.leave]
    active[index].record.slotsTotal = active[index].record.slotsDone + plan.slotCount
  }

  private mutating func bump(_ index: Int, _ shard: ShardID, _ now: Int64) {
    guard let place = map.index(of: shard) else {
      end(index, .failed("The shard is not in the cluster"), now)
      return
    }
    var next = topology
    next.epoch = next.epoch.next
    next.shards[place].epoch = next.epoch
    publish(next)
    record(
      .configurationChanged,
      [
        .init("what", "bumpepoch"), .init("shard", shard.number),
        .init("epoch", next.epoch.number),
      ], now)
  }

  private mutating func announce(
    _ type: EndpointType, _ address: (ClusterShard) -> EndpointAddress?, _ now: Int64
  ) {
    // Those that are on their way into the map come with the address that is announced then.
    for index in active.indices {
      for place in active[index].joining.indices {
        let shard = active[index].joining[place]
        if let new = address(shard) { active[index].joining[place].address = new }
      }
    }
    var next = topology
    next.endpoints = type
    for place in next.shards.indices {
      if let new = address(next.shards[place]) { next.shards[place].address = new }
    }
    guard next != topology else { return }
    next.epoch = next.epoch.next
    publish(next)
    record(
      .configurationChanged,
      [.init("what", "announce"), .init("epoch", next.epoch.number)], now)
  }

  private mutating func publish(_ next: Topology) {
    topology = next
    map = next.map
    saving.changes += 1
    actions.append(.publish(map))
  }

  // MARK: Flips

  /// Begins a flip of those of the slots that are still the source's; as many of them as the mode and
  /// the speed allow, the others stay to be moved by the next one.
  private mutating func begin(
    _ index: Int, _ source: ShardID?, _ target: ShardID?, _ slots: [SlotRange], _ now: Int64
  ) {
    let owner = source.flatMap { map.index(of: $0) }
    guard source == nil || owner != nil, target.map({ map.index(of: $0) != nil }) ?? true else {
      end(index, .failed("A shard of this migration has left the cluster"), now)
      return
    }
    var mine = SlotSet()
    for slot in slots.slots where topology.owners[slot] == owner {
      mine.insert(slot)
    }
    var ranges = mine.ranges
    active[index].record.slotsTotal -= slots.slotCount - ranges.slotCount
    guard !ranges.isEmpty else {
      // Somebody else may have done it first; that is as well.
      let new = target.flatMap { map.index(of: $0) }
      let isDone = slots.slots.allSatisfy { topology.owners[$0] == new }
      if active[index].isManual, !isDone {
        end(index, .failed("The slot has another owner now"), now)
      }
      return
    }
    let isIncremental =
      active[index].record.mode == .incremental && source != nil && target != nil
    if !active[index].isManual {
      let limit = isIncremental ? 1 : speed > 0 ? max(1, speed / 10) : HashSlot.count
      let (first, rest) = ranges.split(after: limit)
      ranges = first
      if !rest.isEmpty {
        active[index].steps.insert(.flip(source: source, target: target, slots: rest), at: 0)
      }
    }
    let flip = Flip(
      number: nextFlip, slots: ranges, source: source, target: target,
      mustBeEmpty: active[index].mustBeEmpty)
    nextFlip += 1
    current = CurrentFlip(
      flip: flip, job: active[index].id, isIncremental: isIncremental, stage: .preparing)
    if !active[index].isManual, speed > 0 {
      throttledUntil = now.addingSaturated(Int64(ranges.slotCount) * 1_000_000 / Int64(speed))
    }
    if source != nil, target != nil {
      actions.append(.prepare(flip))
    } else {
      handOver(flip)
    }
  }

  /// Has the source let go, with the map that follows the present one.
  private mutating func handOver(_ flip: Flip) {
    var next = topology
    next.epoch = next.epoch.next
    let target = flip.target.flatMap { self.map.index(of: $0) }
    if let target { next.shards[target].epoch = next.epoch }
    for range in flip.slots { next.owners.assign(range, to: target) }
    let map = next.map
    current?.stage = .handingOver(next, map)
    actions.append(.handOver(flip, map: map))
  }

  mutating func ready(_ number: UInt64, _ now: Int64) {
    guard let current, current.flip.number == number, case .preparing = current.stage else {
      return
    }
    acknowledge(now)
    if current.isIncremental {
      self.current?.stage = .migrating
      actions.append(.migrate(current.flip))
    } else {
      handOver(current.flip)
    }
  }

  mutating func progress(
    _ number: UInt64, _ keys: Int, _ bytes: Int, _ done: Bool, _ now: Int64
  ) {
    guard let current, current.flip.number == number, case .migrating = current.stage else {
      return
    }
    acknowledge(now)
    if let index = active.firstIndex(where: { $0.id == current.job }) {
      active[index].record.keysDone += max(0, keys)
      active[index].record.bytesDone += max(0, bytes)
    }
    if done { handOver(current.flip) }
  }

  mutating func released(_ number: UInt64, _ now: Int64) {
    guard let current, current.flip.number == number,
      case .handingOver(let topology, let map) = current.stage
    else { return }
    self.topology = topology
    self.map = map
    saving.changes += 1
    self.current?.stage = .released
    acknowledge(now)
    // Nobody has to adopt what was dropped.
    if current.flip.target == nil { complete(keys: 0, bytes: 0, pause: 0, now) }
    if let early = current.early { adopted(number, early.keys, early.bytes, early.pause, now) }
  }

  mutating func adopted(
    _ number: UInt64, _ keys: Int, _ bytes: Int, _ pause: Int64, _ now: Int64
  ) {
    guard let current, current.flip.number == number else { return }
    if case .handingOver = current.stage {
      // The target's word is here before the source's: the source has pushed, but may not have published yet. Until it says so the
      // next flip would overtake this one's map.
      self.current?.early = Early(keys: keys, bytes: bytes, pause: pause)
      return
    }
    guard case .released = current.stage else { return }
    acknowledge(now)
    complete(
      keys: current.isIncremental ? 0 : max(0, keys),
      bytes: current.isIncremental ? 0 : max(0, bytes),
      pause: pause, now)
  }

  private mutating func complete(keys: Int, bytes: Int, pause: Int64, _ now: Int64) {
    guard let current else { return }
    self.current = nil
    guard let index = active.firstIndex(where: { $0.id == current.job }) else { return }
    active[index].retryDelay = Rebalancer.retryDelays.lowerBound
    active[index].refusedSince = nil
    if active[index].outcome != nil { active[index].lastChange = saving.changes }
    active[index].record.slotsDone += current.flip.slotCount
    active[index].record.keysDone += keys
    active[index].record.bytesDone += bytes
    active[index].record.flipCount += 1
    active[index].record.longestPause = max(active[index].record.longestPause, pause)
    if active[index].outcome == nil { active[index].record.message = "" }
    tellProgress(index, now)
  }

  mutating func refused(_ number: UInt64, _ refusal: FlipRefusal, _ now: Int64) {
    guard let current, current.flip.number == number else { return }
    if case .released = current.stage { return }
    acknowledge(now)
    self.current = nil
    guard let index = active.firstIndex(where: { $0.id == current.job }) else { return }
    guard active[index].outcome == nil else { return }
    let since = active[index].refusedSince ?? now
    guard refusal.isTransient, now.addingSaturated(-since) < Rebalancer.patience else {
      end(index, .failed(text(of: refusal, current.flip)), now)
      return
    }
    active[index].refusedSince = since
    active[index].record.message = text(of: refusal, current.flip)
    active[index].notBefore = now.addingSaturated(active[index].retryDelay)
    active[index].retryDelay = min(
      2 * active[index].retryDelay, Rebalancer.retryDelays.upperBound)
    // The job's other flips first; behind them come the shards that leave.
    let place = active[index].steps.firstIndex { if case .leave = $0 { true } else { false } }
    active[index].steps.insert(
      .flip(source: current.flip.source, target: current.flip.target, slots: current.flip.slots),
      at: place ?? active[index].steps.count)
  }

  private func text(of refusal: FlipRefusal, _ flip: Flip) -> String {
    let first = flip.slots.first?.first.number ?? 0
    return switch refusal {
    case .busy: "a shard is busy"
    case .noMemory: "the target has not enough memory"
    case .notEmpty:
      "Can't assign hashslot \(first) to a different node while I still hold keys for this hash slot."
    case .open(let slot): "slot \(slot.number) is being migrated key by key"
    case .other(let reason): reason
    }
  }

  /// A shard has answered.
  private mutating func acknowledge(_ now: Int64) {
    guard let index = active.firstIndex(where: { $0.id == current?.job }) else { return }
    active[index].record.acknowledgedAt = now
    active[index].record.updatedAt = now
  }
}

extension Topology {
  /// Adds a shard; owners behind it keep their slots.
  fileprivate mutating func insert(_ shard: ClusterShard, at place: Int) {
    shards.insert(shard, at: place)
    renumber { $0 >= place ? $0 + 1 : $0 }
  }

  /// Removes shards that own nothing; the others keep their slots.
  fileprivate mutating func remove(where isLeaving: (ClusterShard) -> Bool) {
    var places: [Int: Int] = [:]
    for (place, shard) in shards.enumerated() where !isLeaving(shard) {
      places[place] = places.count
    }
    shards.removeAll(where: isLeaving)
    renumber { places[$0] }
  }

  private mutating func renumber(_ place: (Int) -> Int?) {
    for (range, owner) in owners.ranges {
      guard let place = place(owner) else { preconditionFailure("a shard leaves with its slots") }
      if place != owner { owners.assign(range, to: place) }
    }
  }
}
