internal import Engine
internal import Glibc
internal import Reactor
internal import Synchronization

/// The executor of a worker: its jobs run on the worker's own thread, between two turns of its loop (DESIGN §1).
final class WorkerExecutor: SerialExecutor {
  private let jobs = Mutex<[UnownedJob]>([])
  private let hasJobs = Atomic<Bool>(false)
  /// The thread that the loop runs on, 0 before it began.
  private let thread = Atomic<UInt>(0)
  private let wakeUp = Mutex<WakeUp?>(nil)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
    hasJobs.store(true, ordering: .releasing)
    wakeUp.withLock { $0?.wake() }
  }

  /// Takes the calling thread as this executor's own.
  func begin(_ wakeUp: WakeUp) {
    thread.store(WorkerThread.current, ordering: .releasing)
    self.wakeUp.withLock { $0 = wakeUp }
  }

  /// Runs what waits. Called by the loop, once a turn; one load while nothing waits.
  func runJobs() {
    guard hasJobs.load(ordering: .acquiring) else { return }
    hasJobs.store(false, ordering: .relaxed)
    let waiting = jobs.withLock { jobs in
      var taken: [UnownedJob] = []
      swap(&taken, &jobs)
      return taken
    }
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
/// The loop enters the actor once per turn; within a turn everything is plain struct access.
actor Worker {
  private let executor: WorkerExecutor
  private var loop: WorkerLoop?

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  init() {
    executor = WorkerExecutor()
  }

  /// Starts the worker's thread. `ready` is called on it, once: with the wake-up of its reactor, or with what went wrong.
  nonisolated func start(
    _ options: WorkerOptions, ready: @escaping @Sendable (Result<WakeUp, WorkerFailure>) -> Void,
    ended: @escaping @Sendable () -> Void
  ) {
    do throws(ReactorError) {
      try WorkerThread.start(named: "tern-worker-\(options.engine.worker)") { [self] in
        run(options, ready: ready)
        ended()
      }
    } catch {
      ready(.failure(WorkerFailure(reason: error.description)))
      ended()
    }
  }

  /// The thread's body.
  private nonisolated func run(
    _ options: WorkerOptions, ready: @Sendable (Result<WakeUp, WorkerFailure>) -> Void
  ) {
    let loop: WorkerLoop
    do throws(WorkerFailure) {
      loop = try WorkerLoop(options)
    } catch {
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
      state = assumeIsolated { $0.turn() }
    }
    let loopHasFailed = state == .failed
    // After a reactor's failure the kernel may still hold addresses of sessions: they are never freed, the process ends soon.
    if loopHasFailed { _ = unsafe Unmanaged.passRetained(self) } else { assumeIsolated { $0.loop = nil } }
  }

  private func turn() -> WorkerLoop.State {
    loop?.turn() ?? .ended
  }
}

/// Why a worker could not start.
public struct WorkerFailure: Error, Sendable {
  /// In words.
  public let reason: String
}
