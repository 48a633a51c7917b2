import CLinux
import Glibc

/// SIGTERM and SIGINT as something to wait for. A handler, and not a mask, because the runtime has threads of its own that take signals.
public enum Termination {
  /// An eventfd that the handler writes to. Set once, before the handler is, and never changed.
  nonisolated(unsafe) private static var fileDescriptor: Int32 = -1

  /// Has SIGTERM and SIGINT end `wait` instead of the process, and SIGPIPE, SIGHUP and SIGALRM ignored, as redis-server does. Once, at the start.
  public static func hold() {
    fileDescriptor = tern_eventfd()
    _ = fcntl(fileDescriptor, F_SETFL, 0)  // a blocking read waits
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in Termination.request() }
    action.sa_flags = SA_RESTART
    sigaction(SIGTERM, &action, nil)
    sigaction(SIGINT, &action, nil)
    // The end of a terminal is no wish to end a server, nor is an alarm that nobody here has set.
    for number in [SIGPIPE, SIGHUP, SIGALRM] { signal(number, SIG_IGN) }
  }

  /// Waits, blocking the calling thread.
  public static func wait() {
    var count: UInt64 = 0
    while read(fileDescriptor, &count, 8) < 0, errno == EINTR {}
  }

  /// Ends `wait`, as SIGTERM from outside would. Async-signal-safe.
  public static func request() {
    let saved = errno
    var one: UInt64 = 1
    _ = write(fileDescriptor, &one, 8)
    errno = saved
  }
}
