// What goes into the rebalancer and what comes out of it.

extension Rebalancer {
  /// Names and addresses for shards that are yet to be made.
  public struct NewShards: Sendable {
    /// Names that no shard has or ever had; at least as many as there may be new shards.
    public let nodeIDs: [NodeID]
    /// Where the shard of this number is reached; nil if no port is left for it.
    public let address: @Sendable (_ number: UInt16) -> EndpointAddress?

    /// New shards with these names and addresses.
    public init(
      nodeIDs: [NodeID], address: @escaping @Sendable (_ number: UInt16) -> EndpointAddress?
    ) {
      self.nodeIDs = nodeIDs
      self.address = address
    }
  }

  /// Slots that are to go to one shard: a job of its own.
  public struct Block: Hashable, Sendable {
    /// The job's name.
    public let job: JobID
    /// The slots, as they were asked for.
    public let slots: [SlotRange]
    /// Where to.
    public let target: NodeID

    /// The slots that go to `target` as the job of this name.
    public init(job: JobID, slots: [SlotRange], target: NodeID) {
      self.job = job
      self.slots = slots
      self.target = target
    }
  }

  /// Why a shard does not take part in a flip. Only possible before it is released.
  public enum FlipRefusal: Hashable, Sendable {
    /// A handler or script is running, or a mailbox is full: to be tried again.
    case busy
    /// The target has no room for so much: to be tried again.
    case noMemory
    /// The source still has keys, in a flip that must be empty.
    case notEmpty
    /// The slot is being moved key by key, by hand.
    case open(HashSlot)
    /// Something else is wrong, which will not be right the next time.
    case other(String)

    /// Whether it may go better the next time.
    var isTransient: Bool {
      switch self {
      case .busy, .noMemory: true
      case .notEmpty, .open, .other: false
      }
    }
  }

  /// What has happened, or is asked for. Begins of jobs are answered by `.accepted` or `.rejected`
  /// before anything else that they make be done.
  public enum Input: Sendable {
    // MARK: Asked for

    /// That there be `shards` shards with equal shares.
    case resize(JobID, shards: Int, mode: MigrationMode, new: NewShards)
    /// That the slots be dealt to the present shards in this way; `isAutomatic` if nobody asked.
    case rebalance(JobID, goal: SlotGoal, mode: MigrationMode, isAutomatic: Bool = false)
    /// That slots go to shards: all blocks or none. With a `source`, all slots must be that
    /// shard's (`CLUSTER MIGRATESLOTS`); without, they may be anyone's.
    case move([Block], source: ShardID?, mode: MigrationMode)
    /// That slots without an owner go to a shard, or slots with an owner to nobody. Nothing of it
    /// is listed; `.finished` tells the end.
    case assign(JobID, slots: [SlotRange], to: ShardID?)
    /// That a slot, which the source must have no keys of, go to a shard. Nothing of it is listed;
    /// `.finished` tells the end.
    case setSlot(JobID, HashSlot, to: ShardID)
    /// That the shard get an epoch above all others. Nothing of it is listed; `.finished` tells the
    /// end. (`wantsEpoch` says whether there is a point in it.)
    case bumpEpoch(JobID, ShardID)
    /// That clients be told these addresses, and to connect to that part of them; a shard that there
    /// is no address for keeps its own. Nothing of it is listed; `.finished` tells the end.
    case announce(
      JobID, EndpointType, address: @Sendable (_ shard: ClusterShard) -> EndpointAddress?)
    /// That the topology be written now. Nothing of it is listed; `.finished` tells when it is on disk, or why it is not.
    case save(JobID)
    /// That this job end after the flip on its way; of jobs that are made by hand, none.
    case cancel(JobID)
    /// That all jobs end after the flip on its way.
    case cancelAll
    /// That no new flip be begun.
    case pause
    /// That flips be begun again.
    case resume
    /// That no more than this many slots a second change their owners; 0 = as fast as can be.
    case speed(Int)
    /// That an event be recorded.
    case note(ClusterEvent.Kind, [ClusterEvent.Field])

    // MARK: Happened

    /// The shard's port and engine are there.
    case shardOpened(ShardID)
    /// The shard's port or engine could not be opened, for this reason.
    case shardNotOpened(ShardID, reason: String)
    /// Nobody is connected to the port of a shard that has left the map, and its descriptor is wanted.
    case portUnused(ShardID)
    /// The target of the flip is ready.
    case ready(flip: UInt64)
    /// The source or the target of the flip says no; it owns and has what it did before.
    case refused(flip: UInt64, FlipRefusal)
    /// More of a slot's keys have gone along since the last time, or with `done` all have.
    case progress(flip: UInt64, keys: Int, bytes: Int, done: Bool)
    /// The source has pushed the tables and published the map; without a source the target has.
    case released(flip: UInt64)
    /// The target has adopted the tables. With hand-over `keys` and `bytes` are theirs; what was
    /// told by `progress` is not counted again. It may come before `.released`. For `pause` nanoseconds nobody held the slots.
    case adopted(flip: UInt64, keys: Int, bytes: Int, pause: Int64)
    /// What a job's slots hold in all, for those who ask how far it is.
    case totals(JobID, keys: Int, bytes: Int)
    /// The topology of the last `.save` is on disk.
    case saved
    /// It could not be written.
    case saveFailed(reason: String)
    /// Time has passed (`nextDeadline`).
    case tick
  }

  /// Slots that change their owner at one instant.
  public struct Flip: Hashable, Sendable {
    /// Ascending from 1; answers name it.
    public let number: UInt64
    /// The slots, ascending.
    public let slots: [SlotRange]
    /// Who owns them; nil if nobody does.
    public let source: ShardID?
    /// Who is to own them; nil if nobody is.
    public let target: ShardID?
    /// Whether the source is to refuse if it has keys.
    public let mustBeEmpty: Bool

    /// How many slots these are.
    public var slotCount: Int { slots.slotCount }
  }

  /// Something to be done.
  public enum Action: Sendable {
    /// The jobs that were asked for have begun.
    case accepted([JobID])
    /// What was asked for is not done, for this reason (a text to stand behind `-ERR `).
    case rejected(String)
    /// Open this shard's port and engine, or take over the port and the connections of a shard of
    /// the same number that has left the map. `.shardOpened` or `.shardNotOpened` answers.
    case openShard(ClusterShard, takesOver: ShardID?)
    /// The shard has left the map and owns nothing: its port answers `MOVED` until a `.closeShard`.
    case retireShard(ShardID)
    /// The shard's port has been open for as long as it has to be. `.portUnused` answers, or nothing does: then it stays open, and this comes again.
    case mayClose(ShardID)
    /// Close the shard's port and its connections.
    case closeShard(ShardID)
    /// Ask the target of this flip whether it is ready.
    case prepare(Flip)
    /// Move the keys of the one slot in this flip by cursor.
    case migrate(Flip)
    /// Have the source push the tables, or the only end make or drop them, and publish the map, in
    /// one turn.
    case handOver(Flip, map: ClusterMap)
    /// Publish a map in which no slot has another owner.
    case publish(ClusterMap)
    /// Write this topology to disk.
    case save(Topology)
    /// This has happened (it is in `events` too).
    case event(ClusterEvent)
    /// The job has ended in this way.
    case finished(JobID, JobOutcome)
  }
}
