internal import Engine
internal import Glibc
internal import Reactor
internal import Synchronization

/// What a worker tells of its memory, a few times a second.
struct WorkerFigures {
  /// Bytes of its keys, and of its clients.
  let keyspaceByteCount: Int
  let clientByteCount: Int
  /// And of what is remembered for clients that are told of changes.
  let trackingByteCount: Int
  /// Whether it has to evict with less than an equal part.
  let isHungry: Bool

  /// The figures of a worker's engine.
  init(_ engine: borrowing Engine) {
    keyspaceByteCount = engine.keyspaceByteCount
    clientByteCount = engine.clientByteCount
    trackingByteCount = engine.trackingByteCount
    isHungry = engine.isHungry
  }
}

/// What all workers of a process share beside their mailboxes: counts of connections, figures for INFO, and the wish to end. Touched a
/// few times a second and at connects, never on the way of a command.
final class ProcessState: Sendable {
  private struct State {
    var figures = ProcessFigures()
    var workers: [Int: WorkerFigures] = [:]
    var shutdown: @Sendable () -> Void
    var hasShutdown = false
    var hasFailed = false
  }

  private let state: Mutex<State>
  private let connections = Atomic<Int>(0)

  /// The log, and the file that CONFIG REWRITE writes.
  let log: ServerLog
  private let configuration: ConfigurationFile

  /// `shutdown` is called when a client asks for the end.
  init(
    figures: ProcessFigures, log: ServerLog, shutdown: @escaping @Sendable () -> Void
  ) {
    self.log = log
    configuration = ConfigurationFile(path: figures.configurationFile)
    state = Mutex(State(figures: figures, shutdown: shutdown))
  }

  /// Counts a new connection; false if there are too many already.
  func connected(limit: Int) -> Bool {
    let (old, _) = connections.add(1, ordering: .relaxed)
    if old < limit { return true }
    connections.subtract(1, ordering: .relaxed)
    return false
  }

  /// Connections of all workers.
  var connectionCount: Int { connections.load(ordering: .relaxed) }

  /// A connection is gone.
  func disconnected() { connections.subtract(1, ordering: .relaxed) }

  /// A worker has found its back-end.
  func began(_ backend: Backend) { state.withLock { $0.figures.backend = backend.name } }

  /// The figures as they were at the last refresh.
  var figures: ProcessFigures {
    var figures = state.withLock { $0.figures }
    figures.connectedClients = connections.load(ordering: .relaxed)
    return figures
  }

  /// A worker cannot go on: the process ends.
  func failed(_ line: String) {
    log.warning(line)
    state.withLock { $0.hasFailed = true }
    requestShutdown()
  }

  /// Whether a worker could not go on.
  var hasFailed: Bool { state.withLock { $0.hasFailed } }

  /// Descriptors that the settings may need beside those of clients.
  static func otherOpenFiles(_ settings: Settings) -> Int { settings.shards + 64 }

  /// Descriptors that the settings may need.
  static func neededOpenFiles(_ settings: Settings) -> Int {
    settings.maxClients + otherOpenFiles(settings)
  }

  /// The most clients that so many descriptors allow. What else there is to be opened is little: listeners, a ring and bells for each worker.
  static func mostClients(_ settings: Settings, openFiles: Int) -> Int {
    if openFiles >= neededOpenFiles(settings) { return settings.maxClients }
    let listeners = (settings.shards + 1) * max(1, settings.addresses.count)
    return max(1, openFiles - listeners - 8 * settings.workers - 16)
  }

  /// Whether more than three quarters of the descriptors that the process may have are open.
  var needsDescriptors: Bool {
    let openCount = Files.matching("/proc/self/fd/*").count
    return openCount > Machine.openFileLimit / 4 * 3
  }

  /// Makes room for as many descriptors as the settings may need, as far as the system allows; how many there may be now.
  @discardableResult
  static func raiseOpenFiles(_ settings: Settings) -> Int {
    Machine.raiseOpenFiles(to: neededOpenFiles(settings))
  }

  /// Settings were changed by a client: what follows for the process. Called by the first worker.
  func configured(_ changes: [(name: String, value: String)], _ settings: Settings) {
    let names = changes.map(\.name)
    if names.contains("loglevel") { log.level = settings.logLevel }
    log.notice("settings changed", ["names": names.joined(separator: " ")])
    for setting in settings.withoutEffect where names.contains(setting.name) {
      log.warning("a setting has no effect", ["name": setting.name, "why": setting.why])
    }
    if names.contains("maxclients") {
      let allowed = Self.raiseOpenFiles(settings)
      if allowed < Self.neededOpenFiles(settings) {
        log.warning(
          "the system does not allow the descriptors for maxclients",
          ["maxclients": "\(settings.maxClients)", "openFiles": "\(allowed)"])
      }
    }
  }

  /// Writes the configuration file on a thread of its own; `done` gets what went wrong, or nil.
  func rewriteConfiguration(
    _ settings: Settings, done: @escaping @Sendable (String?) -> Void
  ) {
    let write: @Sendable () -> Void = { [configuration, log] in
      let failure = configuration.rewrite(settings)
      if let failure {
        log.warning("the configuration file was not written", ["why": failure])
      } else {
        log.notice("the configuration file was written", ["path": configuration.path])
      }
      done(failure)
    }
    do throws(ReactorError) {
      try WorkerThread.start(named: "tern-config", write)
    } catch { write() }
  }

  /// A client has asked for the end of the process; the first one counts.
  func requestShutdown() {
    let shutdown = state.withLock { state -> (@Sendable () -> Void)? in
      if state.hasShutdown { return nil }
      state.hasShutdown = true
      return state.shutdown
    }
    shutdown?()
  }

  /// Takes a worker's figures in; the first worker also reads those of the process.
  func refresh(worker: Int, _ figures: WorkerFigures, totals: WorkerTotals, now: Int64) {
    let memory = worker == 0 ? Self.memory() : nil
    let cpu = worker == 0 ? Self.cpu() : nil
    state.withLock { state in
      state.workers[worker] = figures
      while state.figures.totals.count <= worker { state.figures.totals.append(nil) }
      if state.figures.totals[worker] !== totals { state.figures.totals[worker] = totals }
      state.figures.keyspaceByteCount = state.workers.values.reduce(0) { $0 + $1.keyspaceByteCount }
      state.figures.clientByteCount = state.workers.values.reduce(0) { $0 + $1.clientByteCount }
      state.figures.trackingByteCount = state.workers.values.reduce(0) {
        $0 + $1.trackingByteCount
      }
      state.figures.hungryWorkers = state.workers.values.count { $0.isHungry }
      if let memory {
        state.figures.residentByteCount = memory
        state.figures.residentPeakByteCount = max(state.figures.residentPeakByteCount, memory)
      }
      if let cpu {
        state.figures.userCPUSeconds = cpu.user
        state.figures.systemCPUSeconds = cpu.system
      }
    }
  }

  /// Resident memory of the process in bytes.
  private static func memory() -> Int {
    guard let text = Files.read("/proc/self/statm"),
      let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return 0 }
    return pages * sysconf(Int32(_SC_PAGESIZE))
  }

  /// CPU seconds of the process.
  private static func cpu() -> (user: Double, system: Double) {
    let spent = SystemClock.processMicroseconds
    return (Double(spent.user) / 1_000_000, Double(spent.system) / 1_000_000)
  }
}
