internal import Engine
internal import Reactor
internal import Sharding
internal import Synchronization

// The control plane carries out what the rebalancer decides (DESIGN §4).
//
//   clients ──▶ workers ──▶ inbox ──▶ Rebalancer (Sharding: pure, the one authority)
//                                        │ actions, in order
//        ┌───────────────┬──────────────┼───────────────┬────────────┐
//   ports and shards   flips          maps           nodes.conf   answers
//   (`open`, `close`)  (+Flips)       (`MapBoard`)   (a thread)   (mailboxes)
//
// One task does all of it, one message after the other: what it awaits are jobs on workers' threads, between two turns of their loops,
// so every step of a flip happens between two commands. Nothing here is on the way of a command.

/// Makes the changes of a running cluster: slots that move, shards that come and go, `nodes.conf`.
actor ControlPlane {
  /// What the control plane is made from.
  struct Parts {
    let topology: Topology
    let events: EventLog
    let settings: Settings
    let store: TopologyStore
    let base: Int
    let ports: [Int: Int]
    let workers: [Worker]
    let mailboxes: [Mailbox]
    let board: MapBoard
    let inbox: ControlPlaneInbox
    let process: ProcessState
    let directory: ShardDirectory
  }

  let workers: [Worker]
  let mailboxes: [Mailbox]
  let board: MapBoard
  let inbox: ControlPlaneInbox
  let process: ProcessState
  /// The settings, as far as those of `settingNames` have changed.
  private(set) var settings: Settings
  /// Decides whether to rebalance unasked.
  var auto = AutoRebalance()
  /// The sample that is wanted next, by number.
  var nextSample: UInt64 = 0
  /// Why nothing was rebalanced unasked the last time.
  var whyNot = AutoRebalance.Reason.off
  /// The port of the configuration endpoint; shard i listens i above it.
  private let base: Int
  /// The ports of the shards that were there at the start, by number, which the kernel may have chosen.
  private let ports: [Int: Int]
  private let store: TopologyStore
  private let directory: ShardDirectory
  var rebalancer: Rebalancer
  /// The memory of flips whose targets are ready.
  var memory: [UInt64: SlotTableMemory] = [:]
  /// Jobs after which there may be other shards than before.
  var reshaping: Set<JobID> = [] {
    didSet { board.isReshaping = !reshaping.isEmpty }
  }
  /// The settings that it must be told of when they change.
  static let settingNames: Set<String> = [
    "auto-rebalance", "auto-rebalance-interval-ms", "cluster-announce-hostname",
    "cluster-announce-ip", "cluster-announce-port", "cluster-preferred-endpoint-type",
  ]

  /// Flips whose slots were moved along a cursor, and are empty at the source.
  var emptied: Set<UInt64> = []
  /// Jobs whose end somebody wants to know, and how those of them have ended that have.
  var ends: [JobID: JobOutcome?] = [:]
  /// Who waits for them.
  var waiters: [JobID: CheckedContinuation<JobOutcome, Never>] = [:]
  /// When the next tick was asked for, in Unix microseconds.
  private var nextTick = Int64.max
  private var hasEnded = false

  /// What the state machine says at once to what was asked for.
  enum Verdict: Sendable {
    /// It is done, or will be.
    case accepted
    /// It is not done, for this reason.
    case rejected(String)
  }

  init(_ parts: Parts) {
    workers = parts.workers
    mailboxes = parts.mailboxes
    board = parts.board
    inbox = parts.inbox
    process = parts.process
    settings = parts.settings
    base = parts.base
    ports = parts.ports
    store = parts.store
    directory = parts.directory
    rebalancer = Rebalancer(
      topology: parts.topology, events: parts.events, now: SystemClock.unixMicroseconds)
    rebalancer.drainTimeout = Int64(parts.settings.clusterDrainTimeout) * 1_000_000
  }

  /// Unix microseconds.
  var now: Int64 { SystemClock.unixMicroseconds }

  /// Takes messages until the end.
  func run() async {
    awaitSample()
    for await message in inbox.messages {
      switch message {
      case .end: hasEnded = true
      case .happened(let input, let asked):
        let verdict = hasEnded ? .rejected("the cluster ends") : await take(input)
        asked?.resume(returning: verdict)
      case .configured(let settings, let done):
        let before = self.settings
        self.settings = settings
        // As a request of a client, whose answer it is.
        Task {
          await configured(before)
          done()
        }
      case .sample(let number): if number == nextSample, !hasEnded { await sample() }
      // It may take as long as a job: others go on meanwhile.
      case .request(let pending, let worker): Task { await serve(pending, from: worker) }
      }
      wakeAtDeadline()
    }
    for waiter in waiters.values { waiter.resume(returning: .failed("the cluster ends")) }
    waiters = [:]
  }

  /// Tells the state machine something, and does what it says. What it says at once to what was asked for.
  func take(_ input: Rebalancer.Input) async -> Verdict {
    var verdict = Verdict.accepted
    let actions = rebalancer.handle(input, now: now)
    board.unsavedSince = (rebalancer.unsaved?.since ?? 0) / 1000
    for action in actions {
      if case .rejected(let reason) = action { verdict = .rejected(reason) }
      await perform(action)
    }
    return verdict
  }

  private func perform(_ action: Rebalancer.Action) async {
    switch action {
    case .accepted, .rejected: break
    case .openShard(let shard, takesOver: let former):
      await open(shard, takingOver: former != nil)
    case .retireShard(let id): directory.remove(Int(id.number))
    case .mayClose(let id): await closeIfUnused(id)
    case .closeShard(let id): await close(id)
    case .prepare(let flip): await prepare(flip)
    // Slices go on while others ask how far it is.
    case .migrate(let flip): Task { await migrate(flip) }
    case .handOver(let flip, let map): await handOver(flip, map)
    case .publish(let map): board.publish(map)
    case .save(let topology): save(topology)
    case .event(let event):
      let fields = event.fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
      if [.topologyNotSaved, .migrationFailed].contains(event.kind) {
        process.log.warning("\(event.kind.rawValue) \(fields)")
      } else {
        process.log.notice("\(event.kind.rawValue) \(fields)")
      }
    case .finished(let job, let outcome): finish(job, outcome)
    }
  }

  // MARK: shards

  /// The home of a shard.
  func home(of id: ShardID) -> ShardHome { ShardHome(of: Int(id.number), workers: workers.count) }

  private func open(_ shard: ClusterShard, takingOver: Bool) async {
    let number = Int(shard.id.number)
    let home = home(of: shard.id)
    var sockets: [(fileDescriptor: Int32, address: String)] = []
    if !takingOver && !settings.bind.isEmpty {
      guard let port = UInt16(exactly: base + number) else {
        return inbox.post(.shardNotOpened(shard.id, reason: "no port is left for shard \(number)"))
      }
      do throws(StartFailure) { sockets = try Listeners.open(port: port, settings) } catch {
        return inbox.post(.shardNotOpened(shard.id, reason: error.description))
      }
    }
    let info = LocalShardInfo(id: shard.id, nodeID: shard.nodeID)
    let descriptors = sockets.map(\.fileDescriptor)
    guard await workers[home.worker].open(info, at: Int(home.local), listening: descriptors) else {
      for descriptor in descriptors { SocketName.refuse(descriptor, "") }
      return inbox.post(.shardNotOpened(shard.id, reason: "its worker has ended"))
    }
    directory.add(number)
    inbox.post(.shardOpened(shard.id))
  }

  /// Has a removed shard's port closed if nobody is connected to it and descriptors are scarce.
  private func closeIfUnused(_ id: ShardID) async {
    let home = home(of: id)
    let clientCount = await workers[home.worker].run { $0.clientCount(ofShard: Int(home.local)) }
    // Descriptors are counted by reading a directory: last.
    if clientCount == 0, process.needsDescriptors { inbox.post(.portUnused(id)) }
  }

  private func close(_ id: ShardID) async {
    let home = home(of: id)
    await workers[home.worker].close(shardAt: Int(home.local))
  }

  /// What shards that a cluster of so many needs are called, and where they are reached.
  func newShards(_ count: Int) -> Rebalancer.NewShards {
    let names = (0..<rebalancer.newShardCount(for: count)).map { _ in Self.newName() }
    let (base, settings) = (base, settings)
    return Rebalancer.NewShards(nodeIDs: names) { number in
      try? TopologyStore.address(of: Int(number), port: base + Int(number), settings)
    }
  }

  /// Where a shard that is there is reached, by the settings; nil if they give it no address.
  func address(_ shard: ClusterShard) -> EndpointAddress? {
    let number = Int(shard.id.number)
    let port = ports[number] ?? base + number
    return try? TopologyStore.address(of: number, port: port, settings)
  }

  /// A new job's name.
  static func newJob() -> JobID { JobID(newName()) }

  private static func newName() -> NodeID {
    while true {
      let bytes = RandomBytes.array(NodeID.byteCount)
      if let name = unsafe NodeID(bytes.span.bytes) { return name }
    }
  }

  // MARK: the file

  /// Writes `nodes.conf` on a thread of its own: flips do not wait for the disk.
  private func save(_ topology: Topology) {
    let events = rebalancer.events
    let write: @Sendable () -> Void = { [store, inbox, log = process.log] in
      do throws(StartFailure) {
        if let reason = try store.write(topology, events) {
          log.warning("events are not saved", ["why": reason])
        }
        inbox.post(.saved)
      } catch { inbox.post(.saveFailed(reason: error.description)) }
    }
    do throws(ReactorError) { try WorkerThread.start(named: "tern-nodes", write) } catch { write() }
  }

  // MARK: time

  /// Has a tick come when the state machine wants one.
  private func wakeAtDeadline() {
    guard !hasEnded, let deadline = rebalancer.nextDeadline, deadline < nextTick || nextTick <= now
    else { return }
    nextTick = deadline
    let pause = max(0, deadline - now)
    Task { [inbox] in
      try? await Task.sleep(for: .microseconds(pause))
      inbox.post(.tick)
    }
  }
}

/// The numbers of the shards that serve or are about to: what the library's face knows of a cluster that changes.
final class ShardDirectory: Sendable {
  private let state: Mutex<Set<Int>>

  init(_ numbers: [Int]) { state = Mutex(Set(numbers)) }

  /// Ascending.
  var numbers: [Int] { state.withLock { $0.sorted() } }

  func contains(_ number: Int) -> Bool { state.withLock { $0.contains(number) } }

  func add(_ number: Int) { state.withLock { _ = $0.insert(number) } }

  func remove(_ number: Int) { state.withLock { _ = $0.remove(number) } }
}
