import CLinux
import Glibc

/// Threads and signals, where raw pointers are at home.
public enum WorkerThread {
  /// What a new thread is given: a class, because a C thread takes one pointer.
  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// A thread that runs or has run: to be joined or let go, once.
  public struct Handle: Sendable {
    fileprivate let thread: pthread_t

    /// Waits for the thread's end.
    public func join() { pthread_join(thread, nil) }

    /// Nobody will wait for it.
    public func letGo() { pthread_detach(thread) }
  }

  /// Runs `body` on a new thread with a name of at most 15 bytes. Nobody joins it: whoever cares is told by `body`.
  public static func start(named name: String, _ body: @escaping @Sendable () -> Void)
    throws(ReactorError)
  {
    try startJoinable(named: name, body).letGo()
  }

  /// Runs `body` on a new thread with a name of at most 15 bytes.
  public static func startJoinable(named name: String, _ body: @escaping @Sendable () -> Void)
    throws(ReactorError) -> Handle
  {
    var thread = pthread_t()
    let start = Unmanaged.passRetained(Start(String(name.prefix(15)), body))
    let code = pthread_create(
      &thread, nil,
      { raw in
        if let raw {
          let start = Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
          tern_name_this_thread(start.name)
          start.body()
        }
        return nil
      }, start.toOpaque())
    if code != 0 {
      start.release()
      throw ReactorError("starting a thread", errno: code)
    }
    return Handle(thread: thread)
  }

  /// Has the calling thread sleep: not for workers.
  public static func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }

  /// The calling thread, as a number to compare.
  public static var current: UInt { UInt(pthread_self()) }
}
