public import Engine
internal import Glibc
internal import Reactor
internal import Sharding
internal import Synchronization

/// Why a cluster could not be started, in words for the one who started it.
public struct StartFailure: Error, Sendable, CustomStringConvertible {
  /// In words.
  public let description: String

  /// A failure, in words.
  public init(_ description: String) { self.description = description }
}

/// A whole cluster in this process: workers, listeners, the topology on disk (DESIGN §1).
public final class ClusterServer: Sendable {
  /// Where something listens.
  public struct Endpoint: Sendable {
    /// The shard's number; nil = the configuration endpoint.
    public let shard: Int?
    /// The address it is bound to.
    public let address: String
    /// The port.
    public let port: UInt16
    /// `configuration endpoint` or `shard 3`.
    public var name: String { shard.map { "shard \($0)" } ?? "configuration endpoint" }
  }

  /// Everything that listens, in the order of the ports.
  public let endpoints: [Endpoint]
  /// The settings at the start.
  public let settings: Settings
  private let board: MapBoard
  private let workers: [Worker]
  private let directory: ShardDirectory
  private let inbox: ControlPlaneInbox
  private let process: ProcessState
  private let sequencer: Sequencer
  private let lock: Mutex<Int32?>
  private let life: Life

  private init(
    _ plan: Listeners, settings: Settings, board: MapBoard, workers: [Worker],
    process: ProcessState, sequencer: Sequencer, lock: Int32?, life: Life,
    directory: ShardDirectory, inbox: ControlPlaneInbox
  ) {
    endpoints = plan.endpoints
    self.settings = settings
    self.board = board
    self.workers = workers
    self.directory = directory
    self.inbox = inbox
    self.process = process
    self.sequencer = sequencer
    self.lock = Mutex(lock)
    self.life = life
  }

  /// Nobody can stop it any more, so it stops by itself.
  deinit {
    inbox.end()
    sequencer.drainAll()
    life.letGo()
    unlock()
  }

  /// The reactor's back-end: io_uring or epoll.
  public var backend: String { process.figures.backend }

  /// Starts a cluster; it serves when this returns. Without addresses to bind to it has no sockets, without a directory it leaves
  /// nothing on disk; with port 0 the kernel chooses each port.
  ///
  /// - Parameters:
  ///   - settings: what to start.
  ///   - configurationFile: the file that the settings came from, for INFO; empty = none.
  ///   - log: what happens is told to it, on any thread.
  ///   - shutdownRequested: a client has sent SHUTDOWN; the caller then calls `stop`.
  public static func start(
    _ settings: Settings, configurationFile: String = "",
    log: ServerLog,
    shutdownRequested: @escaping @Sendable () -> Void
  ) async throws(StartFailure) -> ClusterServer {
    let lock = settings.directory.isEmpty ? nil : try lockDirectory(settings.directory)
    do throws(StartFailure) {
      return try await start(
        settings, lock: lock, configurationFile: configurationFile, log: log,
        shutdownRequested: shutdownRequested)
    } catch {
      if let lock { Files.unlock(lock) }
      throw error
    }
  }

  private static func start(
    _ settings: Settings, lock: Int32?, configurationFile: String,
    log: ServerLog,
    shutdownRequested: @escaping @Sendable () -> Void
  ) async throws(StartFailure) -> ClusterServer {
    var store = TopologyStore(directory: settings.directory)
    var topology = try store.load(settings, log: log)
    var settings = settings
    settings.shards = topology.shards.count
    let plan = try Listeners(settings, topology)
    do throws(StartFailure) {
      try store.save(&topology, ports: plan.ports, settings)
    } catch {
      plan.close()
      throw error
    }
    let clock = Self.clock()
    var figures = figures(configurationFile, clock)
    if !settings.bind.isEmpty {
      for warning in SystemCheck.warnings(for: settings) { log.warning(warning) }
      settings.maxClients = ProcessState.mostClients(
        settings, openFiles: ProcessState.raiseOpenFiles(settings))
      figures.mostClients = max(
        settings.maxClients, Machine.mostOpenFiles - ProcessState.otherOpenFiles(settings))
    }
    let process = ProcessState(figures: figures, log: log, shutdown: shutdownRequested)
    let sequencer = Sequencer()
    let life = Life()
    let board = MapBoard(topology.map)
    let inbox = ControlPlaneInbox()
    let directory = ShardDirectory(topology.shards.map { Int($0.id.number) })
    let mailboxes = (0..<settings.workers).map { _ in Mailbox() }
    let turn = JointTurn()
    let doorways = (0..<settings.workers).map { _ in Doorway() }
    var workers: [Worker] = []
    for index in 0..<settings.workers {
      var engine = EngineOptions(board: board, clock: clock.clock)
      engine.processorClock = MonotonicClock { SystemClock.threadNanoseconds }
      engine.worker = index
      engine.workers = settings.workers
      engine.hashSeed = (topology.hashSeed.first, topology.hashSeed.second)
      engine.shards = plan.shards(of: index)
      engine.settings = settings
      engine.randomSeed = UInt64.random(in: 1...UInt64.max)
      engine.mailbox = mailboxes[index]
      engine.peers = mailboxes
      engine.turn = turn
      let cpu = settings.cpus.isEmpty ? nil : settings.cpus[index % settings.cpus.count]
      let options = WorkerOptions(
        engine: engine, backend: settings.backendChoice, cpu: cpu,
        listeners: plan.listeners(of: index), sequencer: sequencer, process: process,
        control: inbox, doorways: doorways)
      let worker = Worker()
      if let failure = await start(worker, options, life) {
        plan.close(from: index + 1)
        sequencer.drainAll()
        await life.over()
        throw StartFailure("worker \(index) cannot start: \(failure.reason)")
      }
      workers.append(worker)
    }
    let control = ControlPlane(
      ControlPlane.Parts(
        topology: topology, events: store.events(log: log), settings: settings, store: store,
        base: plan.base, ports: plan.ports, workers: workers, mailboxes: mailboxes, board: board,
        inbox: inbox,
        process: process, directory: directory))
    Task { await control.run() }
    return ClusterServer(
      plan, settings: settings, board: board, workers: workers, process: process,
      sequencer: sequencer, lock: lock, life: life, directory: directory, inbox: inbox)
  }

  private static func start(
    _ worker: Worker, _ options: WorkerOptions, _ life: Life
  ) async -> WorkerFailure? {
    await withCheckedContinuation {
      (continuation: CheckedContinuation<WorkerFailure?, Never>) in
      life.began()
      let thread = worker.start(
        options,
        ready: { result in
          switch result {
          case .success: continuation.resume(returning: nil)
          case .failure(let failure): continuation.resume(returning: failure)
          }
        }, ended: { life.ended() })
      if let thread { life.add(thread) }
    }
  }

  /// The number of the shard that has a key's slot, by the newest map; nil if none has.
  public func shard(for key: RawSpan) -> Int? {
    board.current.map.owner(of: HashSlot.of(key)).map { Int($0.number) }
  }

  /// The numbers of the shards, ascending.
  public var shardNumbers: [Int] { directory.numbers }

  /// Whether there is a shard of that number.
  public func hasShard(_ number: Int) -> Bool { directory.contains(number) }

  /// Runs `body` on the worker of a shard, between two turns of its loop, with the engine and the shard's local index in it. nil if there
  /// is no such shard, or the cluster has ended.
  public func run<R: Sendable>(
    onShard number: Int, _ body: @Sendable (inout Engine, Int32) -> R
  ) async -> R? {
    guard directory.contains(number) else { return nil }
    let home = ShardHome(of: number, workers: workers.count)
    return await workers[home.worker].run { engine in body(&engine, home.local) }
  }

  /// Whether the end was asked for because a worker could not go on; the log says why.
  public var hasFailed: Bool { process.hasFailed }

  /// Has all workers send what waits and end; returns when their threads have ended and their memory is given back. Any number of times.
  public func stop() async {
    inbox.end()
    sequencer.drainAll()
    await life.over()
    unlock()
  }

  private func unlock() {
    if let lock = lock.withLock({ $0.take() }) { Files.unlock(lock) }
  }

  /// What commands are timed with: the time-stamp counter if the kernel uses it as its own clock, else the kernel's clock.
  private static func clock() -> (clock: MonotonicClock, name: String) {
    let source = Files.read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return SystemClock.calibrate(trusted: source?.hasPrefix("tsc") ?? false)
      ? (MonotonicClock { SystemClock.stampNanoseconds }, "X86 TSC")
      : (MonotonicClock { SystemClock.monotonicNanoseconds }, "POSIX clock_gettime")
  }

  private static func lockDirectory(_ directory: String) throws(StartFailure) -> Int32 {
    do throws(Files.Failure) {
      try Files.makeDirectory(directory)
      guard let lock = try Files.lock(directory + "/tern.lock") else {
        throw Files.Failure(reason: "directory \(directory) is in use by another tern")
      }
      return lock
    } catch { throw StartFailure(error.reason) }
  }

  private static func figures(
    _ configurationFile: String, _ clock: (clock: MonotonicClock, name: String)
  ) -> ProcessFigures {
    var figures = ProcessFigures()
    figures.processID = Int(getpid())
    figures.configurationFile = configurationFile
    figures.startedAt = SystemClock.unixMicroseconds / 1000
    figures.clock = clock.name
    figures.runID = RandomBytes.hexadecimal(20)
    figures.executable = CommandLine.arguments.first ?? ""
    figures.systemByteCount = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    if let release = Files.read("/proc/sys/kernel/osrelease") {
      figures.system = "Linux \(release.filter { $0 != "\n" }) \(architecture)"
    }
    return figures
  }

  private static var architecture: String {
    #if arch(arm64)
      "aarch64"
    #else
      "x86_64"
    #endif
  }
}

/// How many workers still run, their threads, and who waits for the last one.
final class Life: Sendable {
  private struct State {
    var running = 0
    var threads: [WorkerThread.Handle] = []
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())

  /// A worker is about to start.
  func began() { state.withLock { $0.running += 1 } }

  /// The thread of one.
  func add(_ thread: WorkerThread.Handle) { state.withLock { $0.threads.append(thread) } }

  /// The last act of a worker's thread.
  func ended() {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.running -= 1
      guard state.running == 0 else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Returns when all workers have ended and their threads are gone.
  func over() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isOver = state.withLock { state in
        if state.running == 0 { return true }
        state.waiters.append(continuation)
        return false
      }
      if isOver { continuation.resume() }
    }
    // They have said their last: this takes as long as a thread takes to end.
    state.withLock { state in
      for thread in state.threads { thread.join() }
      state.threads = []
    }
  }

  /// Nobody will wait for the threads.
  func letGo() {
    state.withLock { state in
      for thread in state.threads { thread.letGo() }
      state.threads = []
    }
  }
}

/// Random bytes from the system, for ids and seeds.
enum RandomBytes {
  static func array(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255) }
  }

  static func hexadecimal(_ byteCount: Int) -> String {
    array(byteCount).map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 2 ? digits : "0" + digits
    }.joined()
  }
}

extension Settings {
  /// The `io` setting as the reactor takes it.
  var backendChoice: BackendChoice {
    switch io {
    case "uring": .uring
    case "epoll": .epoll
    default: .auto
    }
  }
}
