import CLinux
import Glibc
import Synchronization

/// Where a thread waits for another one away from its reactor, whose events stay where they are meanwhile.
public final class WaitingPlace: Sendable {
  private let fd: Int32
  private let isTaken = Atomic<Bool>(false)

  /// A place in which nobody waits.
  public init() throws(ReactorError) {
    fd = tern_eventfd()
    if fd < 0 { throw ReactorError("eventfd", errno: -fd) }
  }

  deinit { _ = tern_close(fd) }

  /// From now on `ring` is for whoever waits here. To be followed by a last look at what is waited for.
  public func enter() { isTaken.store(true, ordering: .sequentiallyConsistent) }

  /// Waits until somebody rings, or for a tenth of a second.
  public func wait() {
    var poll = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
    if Glibc.poll(&poll, 1, 100) > 0 {
      var count: UInt64 = 0
      _ = Glibc.read(fd, &count, 8)
    }
  }

  /// Nobody waits here any more.
  public func leave() { isTaken.store(false, ordering: .sequentiallyConsistent) }

  /// Ends the wait of whoever is here. False if nobody is.
  public func ring() -> Bool {
    if !isTaken.load(ordering: .sequentiallyConsistent) { return false }
    var one: UInt64 = 1
    _ = Glibc.write(fd, &one, 8)
    return true
  }
}
