/// The name of a job: 40 hexadecimal digits, as a node id's, drawn elsewhere.
public struct JobID: Hashable, Sendable, CustomStringConvertible {
  /// The digits.
  public let name: NodeID

  /// The job of this name.
  public init(_ name: NodeID) { self.name = name }

  /// The 40 hexadecimal digits.
  public var description: String { name.description }
}

/// How a job moves slots (DESIGN §4).
public enum MigrationMode: String, Hashable, Sendable, CaseIterable {
  /// Whole tables change their owner by pointer.
  case handOver = "handover"
  /// Keys go one slice after the other, by a cursor in hash order, with `ASK` to clients.
  case incremental
}

/// How a job has ended. A job ends once.
public enum JobOutcome: Hashable, Sendable {
  /// All that was asked for is done, and saved.
  case success
  /// It was called off. What had moved stays moved.
  case cancelled
  /// It could not go on, for this reason. What had moved stays moved.
  case failed(String)
}

/// Something that the rebalancer was asked to do, on its way or done.
public struct RebalancerJob: Hashable, Sendable {
  /// What was asked for.
  public enum Operation: Hashable, Sendable {
    /// That there be this many shards.
    case resize(shards: Int)
    /// That the slots be dealt anew.
    case rebalance
    /// That these slots go to one shard.
    case move

    /// The word that clients see.
    public var word: String {
      switch self {
      case .resize: "RESIZE"
      case .rebalance: "REBALANCE"
      case .move: "MOVE"
      }
    }
  }

  /// How far it is.
  public enum State: Hashable, Sendable {
    /// New shards' ports and engines are being opened.
    case opening
    /// Slots are being moved.
    case moving
    /// It was called off, and waits for the flip on its way to end.
    case cancelling
    /// Everything is moved; `nodes.conf` is being written.
    case saving
    /// It has ended.
    case ended(JobOutcome)

    /// The word that clients see.
    public var word: String {
      switch self {
      case .opening: "opening"
      case .moving: "moving"
      case .cancelling: "cancelling"
      case .saving: "saving"
      case .ended(.success): "success"
      case .ended(.cancelled): "cancelled"
      case .ended(.failed): "failed"
      }
    }

    /// Whether it has ended.
    public var isEnded: Bool { if case .ended = self { true } else { false } }
  }

  /// One end of a move, as it was when the move was asked for: it may have left since.
  public struct End: Hashable, Sendable {
    /// Which shard.
    public let id: ShardID
    /// Its name.
    public let nodeID: NodeID

    /// The end that is this shard.
    public init(_ shard: ClusterShard) {
      id = shard.id
      nodeID = shard.nodeID
    }
  }

  /// Its name.
  public let id: JobID
  /// What was asked for.
  public let operation: Operation
  /// Whether nobody asked for it: `auto-rebalance`.
  public internal(set) var isAutomatic = false
  /// How slots are moved.
  public let mode: MigrationMode
  /// The slots as they were asked for, range by range; empty unless it is a move.
  public let slots: [SlotRange]
  /// Whence, if all the slots of a move come from one shard.
  public let source: End?
  /// Where to, for a move.
  public let target: End?
  /// When it was asked for, in microseconds since 1970.
  public let createdAt: Int64
  /// When anything last changed about it, in microseconds since 1970.
  public internal(set) var updatedAt: Int64
  /// When a shard last acknowledged something of it, in microseconds since 1970; 0 = never.
  public internal(set) var acknowledgedAt: Int64 = 0
  /// How far it is.
  public internal(set) var state: State
  /// What there is to say: why it waits or has failed; else empty.
  public internal(set) var message = ""
  /// The slots that have changed their owner.
  public internal(set) var slotsDone = 0
  /// All the slots that are to.
  public internal(set) var slotsTotal: Int
  /// The keys that have gone along.
  public internal(set) var keysDone = 0
  /// All the keys that are to, if that was measured (`Rebalancer.Input.totals`).
  public internal(set) var keysTotal: Int?
  /// The bytes that have gone along.
  public internal(set) var bytesDone = 0
  /// All the bytes that are to, if that was measured.
  public internal(set) var bytesTotal: Int?
  /// The longest time in which one of its slots was held by nobody, in nanoseconds.
  public internal(set) var longestPause: Int64 = 0
  /// How many flips it has taken.
  public internal(set) var flipCount = 0

  /// How much of it is done, from 0 to 100.
  public var percent: Double {
    if case .ended(.success) = state { return 100 }
    return slotsTotal == 0 ? 0 : 100 * Double(slotsDone) / Double(slotsTotal)
  }

  /// Since when it runs, or how long it has run, in microseconds.
  public func duration(now: Int64) -> Int64 {
    max(0, (state.isEnded ? updatedAt : now) - createdAt)
  }

  /// Slots a second, over the time that it runs or has run; 0 if none was moved.
  public func slotsPerSecond(now: Int64) -> Double {
    slotsDone == 0 ? 0 : Double(slotsDone) * 1e6 / Double(max(1, duration(now: now)))
  }

  /// How long it will still take at this rate, in microseconds; nil if that cannot be told.
  public func timeLeft(now: Int64) -> Int64? {
    if state.isEnded { return 0 }
    guard slotsDone > 0 else { return nil }
    let left = Double(max(0, slotsTotal - slotsDone)) * Double(duration(now: now))
    return Int64(min(left / Double(slotsDone), 1e18))
  }
}

/// What a shard is doing, in the words of managed services.
public enum ShardState: String, Hashable, Sendable, CaseIterable {
  /// It serves its slots, which stay.
  case available
  /// It is given slots, or gives some.
  case modifying
  /// It is being opened and is not in the map yet.
  case creating
  /// It is giving all its slots, or has, and its port answers `MOVED` for a while.
  case deleting
}

/// A shard and what it is doing.
public struct ShardStatus: Hashable, Sendable {
  /// The shard.
  public let shard: ClusterShard
  /// How many slots it owns.
  public let slotCount: Int
  /// What it is doing.
  public let state: ShardState
}

/// Since when the topology is not on disk as it is.
public struct SaveFailure: Hashable, Sendable {
  /// When it could not be written for the first time, in microseconds since 1970.
  public let since: Int64
  /// Why it could not be the last time.
  public let reason: String
}

/// What the rebalancer is doing.
public struct RebalancerStatus: Hashable, Sendable {
  /// The resize or rebalance on its way, else the earliest move on its way, else the job that
  /// ended last; nil if there never was one.
  public let job: RebalancerJob?
  /// Whether no new flips are begun.
  public let isPaused: Bool
  /// Slots a second at most; 0 = as fast as can be.
  public let speed: Int
  /// How much of the job is done, from 0 to 100; 100 if there is none.
  public let percent: Double
  /// Slots a second.
  public let slotsPerSecond: Double
  /// How long the job will still take, in microseconds; nil if that cannot be told.
  public let timeLeft: Int64?
  /// All shards in the map, and those that come and go, by ascending id.
  public let shards: [ShardStatus]
  /// Since when the topology could not be written to disk; nil while it can.
  public let unsaved: SaveFailure?
}
