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
    /// `configuration endpoint` or `shard 3`.
    public let name: String
    /// The address it is bound to.
    public let address: String
    /// The port.
    public let port: UInt16
  }

  /// Everything that listens, in the order of the ports.
  public let endpoints: [Endpoint]
  /// The settings at the start.
  public let settings: Settings
  private let process: ProcessState
  private let sequencer: Sequencer
  private let lock: Int32
  private let life: Life

  private init(
    endpoints: [Endpoint], settings: Settings, process: ProcessState, sequencer: Sequencer,
    lock: Int32, life: Life
  ) {
    self.endpoints = endpoints
    self.settings = settings
    self.process = process
    self.sequencer = sequencer
    self.lock = lock
    self.life = life
  }

  /// The reactor's back-end: io_uring or epoll.
  public var backend: String { process.figures.backend }

  /// Starts a cluster; it serves when this returns.
  ///
  /// - Parameters:
  ///   - settings: what to start.
  ///   - configurationFile: the file that the settings came from, for INFO; empty = none.
  ///   - report: gets lines for the log, on any thread.
  ///   - shutdownRequested: a client has sent SHUTDOWN; the caller then calls `stop`.
  public static func start(
    _ settings: Settings, configurationFile: String = "",
    report: @escaping @Sendable (String) -> Void,
    shutdownRequested: @escaping @Sendable () -> Void
  ) async throws(StartFailure) -> ClusterServer {
    let lock = try lockDirectory(settings.directory)
    do throws(StartFailure) {
      return try await start(
        settings, lock: lock, configurationFile: configurationFile, report: report,
        shutdownRequested: shutdownRequested)
    } catch {
      Files.unlock(lock)
      throw error
    }
  }

  private static func start(
    _ settings: Settings, lock: Int32, configurationFile: String,
    report: @escaping @Sendable (String) -> Void,
    shutdownRequested: @escaping @Sendable () -> Void
  ) async throws(StartFailure) -> ClusterServer {
    let store = TopologyStore(directory: settings.directory)
    let topology = try store.open(settings, report: report)
    var settings = settings
    settings.shards = topology.shards.count
    let plan = try Listeners(settings, topology)
    let clock = Self.clock()
    let process = ProcessState(
      figures: figures(configurationFile, clock), report: report, shutdown: shutdownRequested)
    process.raiseOpenFiles(settings)
    let sequencer = Sequencer()
    let life = Life(workers: settings.workers)
    let map = topology.map
    let mailboxes = (0..<settings.workers).map { _ in Mailbox() }
    for index in 0..<settings.workers {
      var engine = EngineOptions(map: map, clock: clock.clock)
      engine.worker = index
      engine.workers = settings.workers
      engine.hashSeed = (topology.hashSeed.first, topology.hashSeed.second)
      engine.shards = plan.shards(of: index)
      engine.settings = settings
      engine.randomSeed = UInt64.random(in: 1...UInt64.max)
      engine.mailbox = mailboxes[index]
      let cpu = settings.cpus.isEmpty ? nil : settings.cpus[index % settings.cpus.count]
      let options = WorkerOptions(
        engine: engine, backend: settings.backendChoice, cpu: cpu,
        listeners: plan.listeners(of: index), sequencer: sequencer, process: process)
      let failure = await withCheckedContinuation {
        (continuation: CheckedContinuation<WorkerFailure?, Never>) in
        Worker().start(
          options,
          ready: { result in
            switch result {
            case .success: continuation.resume(returning: nil)
            case .failure(let failure): continuation.resume(returning: failure)
            }
          }, ended: { life.ended() })
      }
      if let failure {
        sequencer.drainAll()
        throw StartFailure("worker \(index) cannot start: \(failure.reason)")
      }
    }
    return ClusterServer(
      endpoints: plan.endpoints, settings: settings, process: process, sequencer: sequencer,
      lock: lock, life: life)
  }

  /// Whether the end was asked for because a worker could not go on; the log says why.
  public var hasFailed: Bool { process.hasFailed }

  /// Has all workers send what waits and end; returns when they have.
  public func stop() async {
    sequencer.drainAll()
    await life.over()
    Files.unlock(lock)
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

/// How many workers still run, and who waits for the last one.
final class Life: Sendable {
  private struct State {
    var running: Int
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state: Mutex<State>

  init(workers: Int) { state = Mutex(State(running: workers)) }

  func ended() {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.running -= 1
      return state.running == 0 ? state.waiters : []
    }
    for waiter in waiters { waiter.resume() }
  }

  func over() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isOver = state.withLock { state in
        if state.running == 0 { return true }
        state.waiters.append(continuation)
        return false
      }
      if isOver { continuation.resume() }
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
