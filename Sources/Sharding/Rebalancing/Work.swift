/// A job on its way: what there is to tell of it, and what there still is to do.
struct Work: Sendable {
  /// Something that a job does, in its turn.
  enum Step: Sendable {
    /// The job's new shards join the map.
    case join
    /// Slots go from one shard, or from nobody, to another, or to nobody.
    case flip(source: ShardID?, target: ShardID?, slots: [SlotRange])
    /// The job's shards that own nothing any more leave the map.
    case leave
    /// A shard gets an epoch above all others.
    case bump(ShardID)
    /// Clients are told other addresses.
    case announce(
      EndpointType, address: @Sendable (_ shard: ClusterShard) -> EndpointAddress?)
  }

  /// Whether clients drive it by hand: it is not listed, goes first, and need not be saved before
  /// it ends.
  var isManual = false
  /// Whether its source must have no keys.
  var mustBeEmpty = false
  /// Whether it ends when all is on disk although it is made by hand, and fails if that cannot be had.
  var mustBeSaved = false
  /// What there is to tell.
  var record: RebalancerJob
  /// What there still is to do, in this order.
  var steps: [Step]
  /// Shards that are being opened for it.
  var opening: Set<ShardID> = []
  /// Its new shards, until they have joined.
  var joining: [ClusterShard] = []
  /// The shards that are to leave, until they have left.
  var leaving: [ShardID] = []
  /// When its next flip may be tried.
  var notBefore: Int64 = .min
  /// How long it waits after the next refusal.
  var retryDelay = Rebalancer.retryDelays.lowerBound
  /// Since when it has only been refused.
  var refusedSince: Int64?
  /// How often it had to be planned again.
  var planCount = 1
  /// How it will end, once all is saved.
  var outcome: JobOutcome?
  /// The change that has to be on disk for it to end.
  var lastChange: UInt64 = 0
  /// The tenth of its slots that was told last.
  var toldTenth = 0

  /// Its name.
  var id: JobID { record.id }

  /// The slots that it still has to move.
  var pendingSlots: [SlotRange] {
    steps.flatMap { step -> [SlotRange] in
      if case .flip(_, _, let slots) = step { slots } else { [] }
    }
  }

  /// Whether it is a resize or a rebalance, of which there is one at a time.
  var isWhole: Bool { !isManual && record.operation != .move }
}

/// The flip on its way.
struct CurrentFlip: Sendable {
  /// How far it is.
  enum Stage: Sendable {
    /// The target was asked whether it is ready.
    case preparing
    /// Keys go along, slice by slice.
    case migrating
    /// The source was asked to let go. The topology will be this one, and the map its map.
    case handingOver(Topology, ClusterMap)
    /// The source has let go; the target will adopt.
    case released
  }

  /// The flip.
  let flip: Rebalancer.Flip
  /// Whose it is.
  let job: JobID
  /// Whether keys go slice by slice.
  let isIncremental: Bool
  /// How far it is.
  var stage: Stage
  /// What the target has said before the source did.
  var early: Early?
}

/// What a target has adopted.
struct Early: Sendable {
  let keys: Int
  let bytes: Int
  let pause: Int64
}

/// How much of the topology is on disk.
struct SaveState: Sendable {
  /// How often the topology has changed.
  var changes: UInt64 = 0
  /// The latest change that is on disk.
  var saved: UInt64 = 0
  /// The latest change in what is being written.
  var writing: UInt64?
  /// When something was last asked to be written.
  var lastBegan: Int64 = .min
  /// When it may be tried again after a failure.
  var notBefore: Int64 = .min
  /// Since when it fails, and why it did the last time.
  var failure: SaveFailure?
}

extension [SlotRange] {
  /// The first `count` slots, and the others.
  func split(after count: Int) -> (first: [SlotRange], rest: [SlotRange]) {
    var left = count
    var first: [SlotRange] = []
    var rest: [SlotRange] = []
    for range in self {
      if left >= range.count {
        first.append(range)
      } else if left == 0 {
        rest.append(range)
      } else {
        let middle = range.first.number + UInt16(left)
        first.append(SlotRange(range.first, HashSlot(middle - 1)))
        rest.append(SlotRange(HashSlot(middle), range.last))
      }
      left -= Swift.min(left, range.count)
    }
    return (first, rest)
  }
}
