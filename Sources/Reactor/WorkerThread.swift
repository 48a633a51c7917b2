import CLinux
import Glibc

/// Threads and signals, where raw pointers are at home.
public enum WorkerThread {
  /// What a new thread is given: a class, because a C thread takes one pointer.
  private final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body` on a new thread with a name of at most 15 bytes. Nobody joins it: whoever cares is told by `body`.
  public static func start(named name: String, _ body: @escaping @Sendable () -> Void)
    throws(ReactorError)
  {
    var thread = pthread_t()
    let start = Unmanaged.passRetained(Start(body))
    let code = pthread_create(
      &thread, nil,
      { raw in
        if let raw { Unmanaged<Start>.fromOpaque(raw).takeRetainedValue().body() }
        return nil
      }, start.toOpaque())
    if code != 0 {
      start.release()
      throw ReactorError("starting a thread", errno: code)
    }
    tern_name_thread(UInt(thread), String(name.prefix(15)))
    pthread_detach(thread)
  }

  /// The calling thread, as a number to compare.
  public static var current: UInt { UInt(pthread_self()) }

  /// Has SIGTERM and SIGINT wait for `nextTermination` instead of ending the process, on this thread and those that it starts from now on;
  /// and SIGPIPE ignored.
  public static func holdTerminationSignals() {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Waits for SIGTERM or SIGINT.
  public static func waitForTermination() {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGTERM)
    sigaddset(&set, SIGINT)
    var signal: Int32 = 0
    while sigwait(&set, &signal) != 0 {}
  }

  /// Ends `waitForTermination`, as SIGTERM from outside would.
  public static func requestTermination() { kill(getpid(), SIGTERM) }
}
