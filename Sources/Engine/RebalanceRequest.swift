public import Sharding

/// What clients ask the control plane for that concerns whole slots and shards: `CLUSTER RESIZE`, `REBALANCE`, `MIGRATESLOTS`, `EVENTS` …
/// Its arguments were checked as far as an engine can.
public enum RebalanceRequest: Sendable, Equatable {
  /// How the slots are to be dealt.
  public enum Goal: Sendable, Equatable {
    /// Shares that differ by at most one slot.
    case byCount
    /// Shares in proportion to weights; 1 for a shard without.
    case byWeight([NodeID: Double])
    /// Shares of equal load, as it is at the moment.
    case byLoad
  }

  /// Slots that are to go to one shard.
  public struct Block: Sendable, Equatable {
    /// As they were asked for.
    public let slots: [SlotRange]
    /// Where to.
    public let target: NodeID
  }

  /// RESIZE SHARDS n: answered when the job has begun.
  case resize(shards: Int, MigrationMode)
  /// REBALANCE: answered when the job has begun; with DRYRUN by what it would do.
  case rebalance(Goal, MigrationMode, isTrial: Bool)
  /// REBALANCE STATUS, CANCEL, PAUSE, RESUME, SPEED slots a second (0 = as fast as can be).
  case status, cancel, pause, resume
  case speed(Int)
  /// MIGRATESLOTS: all blocks or none, all slots of that shard; answered when the jobs have begun.
  case migrate([Block], source: ShardID)
  /// GETSLOTMIGRATIONS of a shard, or of all.
  case migrations(of: ShardID?)
  /// CANCELSLOTMIGRATIONS: those whose source is that shard, or all.
  case cancelMigrations(of: ShardID?)
  /// EVENTS: the latest so many with higher ids.
  case events(count: Int, since: UInt64)
}
