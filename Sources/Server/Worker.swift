internal import Engine
internal import Glibc
internal import Reactor
internal import Synchronization

/// The executor of a worker: its jobs run on the worker's own thread, between two turns of its loop (DESIGN §1).
final class WorkerExecutor: SerialExecutor {
  private struct Queue {
    var jobs: [UnownedJob] = []
    /// No thread looks at the jobs any more: the next one that comes has to bring its own.
    var isAbandoned = false
  }
  private let queue = Mutex(Queue())
  private let hasJobs = Atomic<Bool>(false)
  /// The thread that the loop runs on, 0 before it began.
  private let thread = Atomic<UInt>(0)
  private let wakeUp = Mutex<WakeUp?>(nil)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isLate = queue.withLock { queue in
      queue.jobs.append(job)
      defer { queue.isAbandoned = false }
      return queue.isAbandoned
    }
    if isLate { return runLate() }
    hasJobs.store(true, ordering: .releasing)
    wakeUp.withLock { $0?.wake() }
  }

  /// Jobs that come after the end find a worker without a loop, and must be told so: on a thread of their own, since the worker's is gone.
  private func runLate() {
    do throws(ReactorError) {
      try WorkerThread.start(named: "tern-late") { [self] in end() }
    } catch { end() }
  }

  /// Runs what waits until there is nothing more: the loop has ended, or never began.
  func end() {
    wakeUp.withLock { $0 = nil }
    while true {
      let waiting = queue.withLock { queue in
        if queue.jobs.isEmpty { queue.isAbandoned = true }
        return queue.jobs.takeAll()
      }
      if waiting.isEmpty { return }
      for job in waiting { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
    }
  }

  /// Takes the calling thread as this executor's own.
  func begin(_ wakeUp: WakeUp) {
    thread.store(WorkerThread.current, ordering: .releasing)
    self.wakeUp.withLock { $0 = wakeUp }
  }

  /// Whether something waits. One load.
  var hasWaitingJobs: Bool { hasJobs.load(ordering: .acquiring) }

  /// Runs what waits.
  func runJobs() {
    guard hasWaitingJobs else { return }
    hasJobs.store(false, ordering: .relaxed)
    let waiting = queue.withLock { $0.jobs.takeAll() }
    for job in waiting { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
  }

  func checkIsolated() {
    precondition(
      thread.load(ordering: .acquiring) == WorkerThread.current,
      "a worker's state is touched by its own thread alone")
  }
}

/// One thread with one loop, and all that it owns: an engine with its shards and sessions, a reactor with its connections.
///
/// The loop enters the actor for as many turns as no job waits; within them everything is plain struct access.
actor Worker {
  private let executor: WorkerExecutor
  private var loop: WorkerLoop?
  private var hasEnded = false

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init() {
    executor = WorkerExecutor()
  }

  /// Starts the worker's thread; nil if there is none. `ready` is called once, on it as a rule: with the wake-up of its reactor, or with
  /// what went wrong. `ended` is the last that is heard of it.
  nonisolated func start(
    _ options: WorkerOptions, ready: @escaping @Sendable (Result<WakeUp, WorkerFailure>) -> Void,
    ended: @escaping @Sendable () -> Void
  ) -> WorkerThread.Handle? {
    do throws(ReactorError) {
      let name = "tern-worker-\(options.engine.worker)"
      return try WorkerThread.startJoinable(named: name) { [self] in
        run(options, ready: ready)
        executor.end()
        Engine.unbindMemoryOfThisThread()
        ended()
      }
    } catch {
      Self.closeListeners(options)
      executor.end()
      ready(.failure(WorkerFailure(reason: error.description)))
      ended()
      return nil
    }
  }

  private nonisolated static func closeListeners(_ options: WorkerOptions) {
    for listener in options.listeners { SocketName.refuse(listener.fileDescriptor, "") }
  }

  /// The thread's body.
  private nonisolated func run(
    _ options: WorkerOptions, ready: @Sendable (Result<WakeUp, WorkerFailure>) -> Void
  ) {
    let loop: WorkerLoop
    do throws(WorkerFailure) {
      loop = try WorkerLoop(options)
    } catch {
      // A loop takes the listeners over last of all.
      Self.closeListeners(options)
      ready(.failure(error))
      return
    }
    let wakeUp = loop.wakeUp
    executor.begin(wakeUp)
    // A noncopyable value enters a closure by way of an Optional that is emptied there.
    var handed: WorkerLoop? = consume loop
    assumeIsolated { $0.loop = handed.take() }
    ready(.success(wakeUp))
    var state = WorkerLoop.State.running
    while state == .running {
      executor.runJobs()
      state = assumeIsolated { $0.turns() }
    }
    let loopHasFailed = state == .failed
    assumeIsolated { $0.hasEnded = true }
    // After a reactor's failure the kernel may still hold addresses of sessions: they are never freed, the process ends soon.
    if loopHasFailed {
      _ = unsafe Unmanaged.passRetained(self)
    } else {
      assumeIsolated { $0.loop = nil }
    }
  }

  /// Runs `body` on the worker's engine, between two turns; nil if the worker has ended.
  func run<R: Sendable>(_ body: @Sendable (inout Engine) -> R) -> R? {
    hasEnded ? nil : loop?.run(body)
  }

  /// A shard is on this worker from now on; false if the worker has ended, and the sockets are the caller's.
  func open(_ shard: LocalShardInfo, at local: Int, listening sockets: [Int32]) -> Bool {
    if hasEnded || loop == nil { return false }
    loop?.open(shard, at: local, listening: sockets)
    return true
  }

  /// A shard is gone from this worker.
  func close(shardAt local: Int) {
    if !hasEnded { loop?.close(shardAt: local) }
  }

  private func turns() -> WorkerLoop.State { Self.turns(&loop, executor) }

  /// Turns until the loop ends, or a job waits for it to be nobody's. The actor is entered, and its state looked at for other accesses,
  /// once for all of them: with a request a turn it would show.
  private static func turns(_ loop: inout WorkerLoop?, _ executor: WorkerExecutor)
    -> WorkerLoop.State
  {
    while true {
      let state = loop?.turn() ?? .ended
      if state != .running || executor.hasWaitingJobs { return state }
    }
  }
}

/// Why a worker could not start.
public struct WorkerFailure: Error, Sendable {
  /// In words.
  public let reason: String
}
