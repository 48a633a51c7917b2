// The one authority over who owns which slot.
//
// A pure state machine: what has happened goes in as `Input`, what is to be done comes out as
// `Action`s, in the order in which it is to be done. No clock, no I/O, no randomness: time, names
// of jobs and of new shards come in. `Server` carries the actions out, the simulator too.
//
// **Flips.** Slots change their owner in flips, numbered and one after another:
//
//     driver                      source                      target
//       | prepare ----------------------------------------------->|  room, memory?
//       |<-------------------------------------------- ready -----|  (or refused)
//       | migrate ------------------->| keys in slices ---------->|  incremental only
//       |<- progress … done: true ----|                           |
//       | handOver(map, epoch + 1) -->| in one turn:              |
//       |                             |   push tables ----------->|
//       |                             |   publish the map         |
//       |<- released (or refused) ----|                           |
//       |<------------------------------------------ adopted -----|
//       | the next flip
//
// The map of a flip is made when the flip is (`handOver`), from the topology as it then is, so a
// refused one leaves nothing behind. The topology changes at *released*: from there on nothing is
// refused. A flip has at most one missing end: without a source the target makes empty tables and
// publishes the map (`ADDSLOTS`), without a target the source drops its tables (`DELSLOTS`); these
// are not prepared.
//
// **Jobs** are lists of steps, made when the job begins: join (the new shards are in the map),
// flips (one for each pair of source and target), leave (shards without slots leave the map, and
// their ports answer `MOVED` until a deadline). A resize or rebalance has the cluster for itself,
// apart from moves of slots that it does not touch. What clients do by hand (`SETSLOT`, `ADDSLOTS`,
// `BUMPEPOCH`) are jobs of one step that nobody lists and that go first.
//
// **Refusals**: a busy source or target is asked again, after 1 ms, then twice as long each time up
// to 250 ms, other flips of the job first; after 10 s the job fails. Other refusals fail it at once.
// **Cancel** waits for the flip on its way; what has moved stays moved.
// **Saving**: one file at a time is being written; a job ends when a file with all its changes is
// on disk, or could not be written: what has moved has moved, and that it would not outlive the
// process is told by an event, the status and the job's message. Changes by hand end when they are
// in force. It is tried again every second. **Restart**: `nodes.conf` is the whole truth (memory is not persistent), so nothing is
// resumed; jobs that had begun and not ended are recorded as failed.
//
// Invariants: a slot is in the map with one owner or none, and with one if it ever had, unless it
// was unassigned by hand; each map's epoch is greater than the last one's; one flip is on its way at
// most; a job ends exactly once; a shard leaves the map only when it owns nothing.

/// Owns the topology, and changes it as it is asked to, step by step.
public struct Rebalancer: Sendable {
  /// No cluster is made larger than this, in shards.
  public static let maxShardCount = 500
  /// How many jobs that have ended are remembered.
  public static let endedJobCapacity = 1000
  /// No more jobs than this are on their way at once.
  public static let maxActiveJobCount = 1000
  /// How long a job is patient with busy shards, in microseconds.
  public static let patience: Int64 = 10_000_000
  /// The first and the longest pause before a refused flip is tried again, in microseconds.
  static let retryDelays: ClosedRange<Int64> = 1000...250_000
  /// While flips follow each other, the topology is saved this often, in microseconds.
  static let saveInterval: Int64 = 1_000_000

  /// Who owns what, as far as flips are released.
  public internal(set) var topology: Topology
  /// The map of `topology`: the latest one that was published.
  public internal(set) var map: ClusterMap
  /// What has happened of late.
  public internal(set) var events: EventLog
  /// How long the port of a removed shard answers `MOVED`, in microseconds.
  public var drainTimeout: Int64 = 60_000_000
  /// Slots a second at most; 0 = as fast as can be.
  public internal(set) var speed = 0
  /// Whether no new flips are begun, other than those made by hand.
  public internal(set) var isPaused = false

  /// The jobs that are on their way, in the order of their begin, those made by hand among them.
  var active: [Work] = []
  /// The jobs that have ended, oldest first.
  var ended: [RebalancerJob] = []
  /// The flip on its way.
  var current: CurrentFlip?
  /// The number of the next flip.
  var nextFlip: UInt64 = 1
  /// Shards that have left the map and whose ports are open: until a deadline in any case, and as long as anybody is connected there or nobody
  /// wants the descriptor. A client that is never answered again, or marks an address as dead, is worse than a listener more.
  var draining: [(shard: ClusterShard, asksAt: Int64, isOverdue: Bool)] = []
  /// When the next flip may begin, because of `speed`.
  var throttledUntil: Int64 = .min
  /// How much of `topology` is on disk.
  var saving = SaveState()

  /// What is asked for while `handle` runs.
  var actions: [Action] = []

  /// The rebalancer of a cluster that has just been started with this topology, which was saved.
  /// Jobs that `events` tell the begin of and not the end are told to have failed.
  public init(topology: Topology, events: EventLog = EventLog(), now: Int64) {
    self.topology = topology
    map = topology.map
    self.events = events
    recordInterruptedJobs(now: now)
  }
}
