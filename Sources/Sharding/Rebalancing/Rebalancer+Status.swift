// What there is to tell of the rebalancer.

extension Rebalancer {
  /// All jobs that are listed, the newest first: those on their way, and the last
  /// `endedJobCapacity` that have ended.
  public var jobs: [RebalancerJob] {
    let all = (ended + active.filter { !$0.isManual }.map(\.record)).enumerated()
    return all.sorted { ($0.element.createdAt, $0.offset) > ($1.element.createdAt, $1.offset) }
      .map(\.element)
  }

  /// Since when the topology could not be written to disk; nil while it can.
  public var unsaved: SaveFailure? { saving.failure }

  /// Whether listed jobs are on their way.
  public var isBusy: Bool { active.contains { !$0.isManual } }

  /// The job of this name, on its way or ended, if it is remembered.
  public func job(_ id: JobID) -> RebalancerJob? {
    active.first { $0.id == id && !$0.isManual }?.record ?? ended.last { $0.id == id }
  }

  /// What is being done at `now`, microseconds since 1970.
  public func status(now: Int64) -> RebalancerStatus {
    let listed = active.filter { !$0.isManual }
    let job = (listed.first(where: \.isWhole) ?? listed.first)?.record ?? ended.last
    return RebalancerStatus(
      job: job, isPaused: isPaused, speed: speed, percent: job?.percent ?? 100,
      slotsPerSecond: job?.slotsPerSecond(now: now) ?? 0,
      timeLeft: job.map { $0.timeLeft(now: now) } ?? 0,
      shards: shardStates(), unsaved: saving.failure)
  }

  private func shardStates() -> [ShardStatus] {
    var counts = [Int](repeating: 0, count: topology.shards.count)
    for (range, owner) in topology.owners.ranges { counts[owner] += range.count }
    var modifying: Set<ShardID> = []
    for work in active {
      for case .flip(let source, let target, _) in work.steps {
        modifying.formUnion([source, target].compactMap { $0 })
      }
    }
    if let flip = current?.flip {
      modifying.formUnion([flip.source, flip.target].compactMap { $0 })
    }
    let leaving = Set(active.flatMap(\.leaving))
    var all = topology.shards.enumerated().map { index, shard in
      let state: ShardState =
        leaving.contains(shard.id)
        ? .deleting : modifying.contains(shard.id) ? .modifying : .available
      return ShardStatus(shard: shard, slotCount: counts[index], state: state)
    }
    for shard in active.flatMap(\.joining) {
      all.append(ShardStatus(shard: shard, slotCount: 0, state: .creating))
    }
    for entry in draining where !entry.isOverdue {
      all.append(ShardStatus(shard: entry.shard, slotCount: 0, state: .deleting))
    }
    return all.sorted { $0.shard.id < $1.shard.id }
  }
}
