import CLinux
import Glibc
import Synchronization

/// Waiting awake.
public enum Spin {
  /// Some 40 ns on current processors, in which another thread of the same core goes on.
  @inline(__always) public static func pause() { tern_relax() }
}

/// Wakes a reactor from another thread or from a signal handler. Many wakes before the reactor's next turn are one `.woken`
/// event; one that finds another pending costs an atomic exchange.
public final class WakeUp: Sendable {
  /// An eventfd that is written to and never read: both back-ends watch its edges, and a count of 2^64 − 1 is out of reach.
  let fd: Int32
  private let pending = Atomic<Bool>(false)

  init() throws(ReactorError) {
    fd = tern_eventfd()
    if fd < 0 { throw ReactorError("eventfd", errno: -fd) }
  }

  deinit { _ = tern_close(fd) }

  /// Has the reactor's current or next wait end. Async-signal-safe (errno is kept), never blocks.
  public func wake() {
    if pending.exchange(true, ordering: .acquiringAndReleasing) { return }
    let saved = errno
    var one: UInt64 = 1
    _ = Glibc.write(fd, &one, 8)
    errno = saved
  }

  /// Called by the reactor before it says `.woken`: whoever wakes from now on is heard again.
  func taken() { pending.store(false, ordering: .sequentiallyConsistent) }
}
