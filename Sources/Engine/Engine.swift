internal import RESP
public import Sharding
internal import Storage
internal import Synchronization

// An engine is what one worker thread owns (DESIGN §1, §8): its shards' slot tables and its sessions. It is a function of its state,
// the bytes that come and the time that it is told; it has no thread, no socket and no clock of its own. So while its owner sleeps other
// workers can use it, one at a time (`Engine+Neighbours.swift`); what they allocate there comes from their own arenas.
//
// The way of a command
// ====================
//   receive(bytes)      the session's kept bytes, if any, in front
//     parse             up to 16 requests into the batch: ranges into the bytes, nothing is copied
//     plan              for each: command, slot, hash; the cache line of its bucket is asked for …
//     plan, again       … then that of its entry
//     execute           for each in order: verdict, handler, effect, one look at the clock
//   listed(i)           the sessions with replies to send or a wish to be closed
//
// What a batch has prefetched is a hint, never a decision: everything is looked up again when the command runs.
//
// Invariants
// ==========
// - While a session's requests are run, its output queue lies in `reply`; at all other times in the session.
// - A session stands in `listedClients` if and only if its wish says `.listed`.
// - Replies of one session are in the order of its requests (I5): a session whose mode is `.stopped` runs nothing.

/// A shard as its worker sees it.
public struct LocalShardInfo: Sendable {
  /// Its number and generation.
  public let id: ShardID
  /// Its node id in the map.
  public let nodeID: NodeID

  /// A shard of that number and node id.
  public init(id: ShardID, nodeID: NodeID) {
    self.id = id
    self.nodeID = nodeID
  }
}

/// What a new engine is given.
public struct EngineOptions: Sendable {
  /// This worker's index, and how many workers there are: client ids are n × workers + index.
  public var worker = 0
  public var workers = 1
  /// The cluster's hash seed, two words.
  public var hashSeed: (UInt64, UInt64) = (0, 0)
  /// The shards on this worker, by their local indices; nil where there is none.
  public var shards: [LocalShardInfo?] = []
  /// Where the map of the process hangs: it says who has which slot at the start.
  public var board: MapBoard
  /// The settings in force.
  public var settings = Settings()
  /// Where time comes from.
  public var clock: MonotonicClock
  /// The processor time of the thread, which slices of housekeeping are measured with.
  public var processorClock = MonotonicClock.still
  /// Seed of what is drawn by chance (RANDOMKEY).
  public var randomSeed: UInt64 = 1
  /// What others send to this engine.
  public var mailbox = Mailbox()
  /// The mailboxes of all workers by their index, this one's among them; empty: there are no others.
  public var peers: [Mailbox] = []
  /// Whose turn it is to stop workers for a command; one in a process.
  public var turn = JointTurn()

  /// Options for a worker of a cluster with that map.
  public init(map: ClusterMap, clock: MonotonicClock) {
    self.init(board: MapBoard(map), clock: clock)
  }

  /// Options for a worker of a process with that board.
  public init(board: MapBoard, clock: MonotonicClock) {
    self.board = board
    self.clock = clock
  }
}

/// No memory could be had for an engine.
public struct EngineOutOfMemory: Error {
  /// There is nothing more to say.
  public init() {}
}

/// A worker's shards and sessions. See the top of this file.
public struct Engine: ~Copyable {
  /// Pins the struct: a type with an atomic in it is borrowed by address. Without it every call of a method that does not mutate copies all
  /// 6 KB to the stack (measured: a fifth of the user time of a request).
  private let pin = Atomic<Bool>(false)
  var keyspace: Keyspace
  var sessions: Slab<Session>
  /// The replies of the client whose requests are run.
  var reply = Replies()
  /// The client whose requests are run.
  var current: Int32 = -1
  /// What is known of the bytes that are about to be received, by their place in the group.
  var foresights = InlineArray<16, Foresight>(repeating: Foresight.none)
  /// Taken out while it is filled or run.
  var batch: RequestBatch? = RequestBatch()
  /// The current request's large arguments; empty but for requests that have some.
  var large: [HeldBulk] = []
  let lookup: CommandLookup
  let hot: [HotCommand]
  let hashSeed: Storage.HashSeed
  let clock: MonotonicClock
  let processorClock: MonotonicClock

  /// Unix milliseconds, as of this turn.
  var now: Int64 = 0
  /// Unix microseconds at the top of the turn, and the clock's reading then.
  var turnMicroseconds: Int64 = 0
  var turnNanoseconds: UInt64 = 0
  /// What an entry's access clock is set to: `AccessClock` says which of two.
  var accessClock: UInt32 = 0
  /// The same for what the current command reads; beyond all clocks while its client leaves them alone (CLIENT NO-TOUCH).
  var touchClock: UInt32 = 0
  /// The last reading of `clock`.
  var lastNanoseconds: UInt64 = 0
  /// Bits or-ed to a slot's owner before it is compared: not 0 while slots are open or keys are held, so that no owner compares equal.
  var openSlotBits: Int32 = 0
  /// How many take an interest in changes: the first of the two tests on the way of a command. Watches, monitors and records.
  var listeners = 0
  /// What is recorded of each shard; nil where nothing is.
  var records: [ChangeRecord?]
  /// Keys that the current command has found expired, until their events are told; nil outside of a command that is recorded.
  var expiredKeys: Set<[UInt8]>?
  /// There is a limit of memory: the second test, behind which `hasRoom` compares and evicts.
  var isMemoryLimited = false
  /// The queue of an EXEC is being run: nothing may come between its commands, nor wait.
  var isInTransaction = false
  /// The current command has answered an error.
  var hasFailed = false

  /// What was counted, a page for each shard; see `statistics`.
  var ledger: Ledger<Statistics>
  /// The sum of the pages at the last tick that made one.
  public internal(set) var totals: WorkerTotals
  /// The next such sum, while it is being made.
  var summing: FigureSum?
  /// What the sweep for expired keys has taken, in nanoseconds.
  var sweepNanoseconds: UInt64 = 0
  /// DEBUG SET-ACTIVE-EXPIRE: whether expired keys are looked for.
  var sweepsExpired = true
  /// How often DEBUG CHANGE-REPL-ID has come.
  var replicationIDChanges = 0
  /// Lines for the server's log, until it takes them.
  var logLines: [String] = []
  /// How long commands took, a row for each.
  var latencies: Histograms
  /// Bits or-ed to a command's row: all of them while nothing is to be recorded, which then goes into a row that nobody reads.
  var untrackedLatency: UInt8 = 0
  /// A command that took so many nanoseconds or more is looked at: whether it belongs into the slow log or among the latency events.
  var slowTime = UInt64.max
  /// The thread's processor time when it was last looked at, and the clock then: no command has taken more than what came since.
  var processorNanoseconds: UInt64 = 0
  var processorLookedAt: UInt64 = 0
  /// What was noted of slow commands: first at the configuration endpoint, then of each shard.
  var diaries: [Diary]
  /// Sessions in MONITOR.
  var monitors: [Int32] = []
  var settings: Settings
  var limits: ProtocolLimits
  let board: MapBoard
  /// The map as it hung on the board at the last look, and its number there.
  var map: ClusterMap
  var mapRevision: UInt64
  /// The worker's shards by local index; nil where there never was one.
  var shards: [LocalShardInfo?]
  /// What was handed over to shards of this worker, until the server asks.
  var adoptions: [Adoption] = []
  /// What is given away or taken over key by key, and which slots these are.
  var openSlots: [OpenSlot] = [] {
    didSet { setOpenSlotBits() }
  }
  var openSlotSet = SlotSet()
  /// The slot that is let go with keys in it (`setAside`); −1 = none.
  var settingAside = -1
  /// ASKING was sent before the command that is looked at.
  var wasAsking = false
  /// Who watches which keys.
  var watches = Watches()
  /// Who has read which keys, of those who want to be told of changes.
  var tracking = Tracking()
  var listedClients: [ClientID] = []
  var controlRequests: [PendingControl] = []
  /// Completed while another client was being served.
  var completedWhileBusy: [PendingControl] = []
  /// Changes of who owns which slot that are to be taken to the authority, and answers that came while another client was served.
  var clusterRequests: [PendingClusterRequest] = []
  var clusterAnswersWhileBusy: [PendingClusterRequest] = []
  /// Keys on their way to other servers, and what they are held by.
  var flights: [Flight] = []
  var heldKeys: Set<HeldKey> = []
  var lastFlight: UInt64 = 0
  /// What is to be sent, and what clients are to be answered of what was.
  var migrations: [PendingMigration] = []
  var migrationAnswers: [(flight: Flight, answer: [UInt8])] = []
  var appliedControls: [(number: UInt64, request: ControlRequest)] = []
  var random: Draw
  /// What DUMP compresses with.
  var compressor = LZFCompressor()
  /// Clients whose WAIT is not over.
  var waiting: [Waiting] = []
  /// Shards whose clients are paused, and the requests that wait for the end of it.
  var pauses: [Pause] = []
  var postponed: [Postponed] = []
  /// When the last slow command was noted, in microseconds since the start.
  var slowMoment: Int64 = 0
  var memory = MemoryState()
  var defragmentation = DefragmentationState()
  /// The kind of housekeeping that is asked for work next.
  var nextSlice = SliceKind.flush
  /// What housekeeping has cost and done, over all shards.
  var upkeep = Upkeep()
  var expiryCursor = ExpiryCursor()
  /// What the sweep may still look at before the next tick.
  var sweepUnits = 0
  var nextClientNumber: UInt64 = 0
  /// Requests that go from worker to worker.
  var router = RouterState()
  let worker: Int
  let workers: Int
  /// Live sessions: first those of the configuration endpoint, then each shard's.
  var clientCounts: [Int]
  /// What the server tells of the process.
  public var process = ProcessFigures()
  /// Where others leave messages for this engine.
  public let mailbox: Mailbox
  /// Whether the process is about to end.
  public internal(set) var isDraining = false

  /// An engine that owns the slots that the map gives to its shards, empty.
  public init(_ options: EngineOptions) throws(EngineOutOfMemory) {
    hashSeed = Storage.HashSeed(options.hashSeed.0, options.hashSeed.1)
    sessions = Slab<Session>()
    let memory = try Memory(hashSeed, options)
    keyspace = memory.keyspace
    latencies = memory.latencies
    diaries = Array(repeating: Diary(), count: options.shards.count + 1)
    records = Array(repeating: nil, count: options.shards.count)
    lookup = CommandLookup(renamed: options.settings.renamedCommands)
    ledger = Ledger(count: options.shards.count + 1, Statistics())
    totals = WorkerTotals(Statistics())
    hot = CommandTable.all.map(HotCommand.init)
    clock = options.clock
    processorClock = options.processorClock
    settings = options.settings
    limits = ProtocolLimits()
    board = options.board
    (map, mapRevision) = options.board.current
    shards = options.shards
    clientCounts = Array(repeating: 0, count: options.shards.count + 1)
    random = Draw(seed: options.randomSeed)
    worker = options.worker
    workers = options.workers
    mailbox = options.mailbox
    router.peers = options.peers
    router.turn = options.turn
    setWorkers()
    keyspace.frequencyRule = FrequencyRule(seed: options.randomSeed ^ 0x6c66_7500)
    keyspace.measureGrowth(with: options.processorClock.nanoseconds)
    applySettings()
  }

  /// Tells the time at the top of a turn, in Unix microseconds.
  public mutating func beginTurn(microseconds: Int64) {
    turnMicroseconds = microseconds
    now = microseconds / 1000
    setAccessClock()
    lastNanoseconds = clock.nanoseconds()
    turnNanoseconds = lastNanoseconds
    if lastNanoseconds &- processorLookedAt > Self.longTime { lookAtProcessor() }
  }

  /// How long a command may have taken, in nanoseconds, for the clock to be believed: one that was longer may have lost its processor meanwhile.
  static let longTime: UInt64 = 200_000

  /// Looks at the processor time of the thread: at the top of a turn, and behind a command that took long. At most once in `longTime` of the
  /// clock, for it is a call of the system.
  @inline(never)
  private mutating func lookAtProcessor() {
    processorNanoseconds = processorClock.nanoseconds()
    processorLookedAt = lastNanoseconds
  }

  /// What a command has cost that took so long by the clock: no more than the thread has had of its processor since the last look.
  @inline(never)
  mutating func cost(ofLong nanoseconds: UInt64) -> UInt64 {
    let before = processorNanoseconds
    lookAtProcessor()
    // A clock that stands still, in tests and in the library, says nothing.
    return processorNanoseconds == 0
      ? nanoseconds : min(nanoseconds, processorNanoseconds &- before)
  }

  /// Something else than a command was done: its time is not the next command's.
  public mutating func leaveOutTime() { lastNanoseconds = clock.nanoseconds() }

  /// Unix microseconds at the last look at the clock.
  var microseconds: Int64 {
    turnMicroseconds + Int64(truncatingIfNeeded: (lastNanoseconds &- turnNanoseconds) / 1000)
  }

  /// Takes over what follows from `settings`.
  mutating func applySettings() {
    compressor.isEnabled = settings.compressesPayloads
    limits = ProtocolLimits(
      maxBulkLength: settings.protoMaxBulkLength,
      queryBufferLimit: settings.clientQueryBufferLimit)
    slowTime = min(settings.slowTime, Self.longTime)
    // No command has the last row's number.
    untrackedLatency = settings.latencyTracking ? 0 : .max
    for i in diaries.indices { diaries[i].slowLog.limit(to: settings.slowlogMaxLength) }
    setOpenSlotBits()
    applyMemorySettings()
  }
}

/// What a new engine has to allocate.
private struct Memory: ~Copyable {
  let keyspace: Keyspace
  let latencies: Histograms

  init(_ seed: Storage.HashSeed, _ options: EngineOptions) throws(EngineOutOfMemory) {
    do throws(OutOfMemory) {
      let latencies = try Histograms()
      keyspace = try Self.keyspace(seed, options)
      self.latencies = latencies
    } catch { throw EngineOutOfMemory() }
  }

  /// A keyspace whose shards own, empty, what the map gives them.
  private static func keyspace(
    _ seed: Storage.HashSeed, _ options: EngineOptions
  ) throws(OutOfMemory) -> Keyspace {
    var local: [ShardID: Int32] = [:]
    for (index, shard) in options.shards.enumerated() {
      if let shard { local[shard.id] = Int32(index) }
    }
    var keyspace = try Keyspace(seed: seed)
    let map = options.board.current.map
    for slot in 0..<HashSlot.count {
      if let owner = map.owner(of: HashSlot(UInt16(slot))), let shard = local[owner] {
        keyspace.own(slot, by: shard)
      }
    }
    return keyspace
  }
}
