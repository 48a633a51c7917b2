import CLinux
import Glibc
import Synchronization

/// The clocks of the machine, for those above: what is below is told the time (DESIGN §7).
public enum SystemClock {
  /// Microseconds since 1970.
  public static var unixMicroseconds: Int64 { tern_unix_microseconds() }

  /// Nanoseconds of the monotonic clock.
  public static var monotonicNanoseconds: UInt64 { UInt64(tern_monotonic()) }

  /// Nanoseconds for a time stamp's tick, as a fixed-point number with 32 bits behind the point; 0 = not calibrated. Set before any
  /// worker starts, and never changed.
  nonisolated(unsafe) private static var nanosecondsPerTick: UInt64 = 0

  /// Nanoseconds by the time-stamp counter, which costs a third of a call of the system's clock: for measuring commands, each of
  /// which ends with a look at it. Only after `calibrate` said yes.
  public static var stampNanoseconds: UInt64 {
    let product = tern_time_stamp().multipliedFullWidth(by: nanosecondsPerTick)
    return product.high << 32 | product.low >> 32
  }

  /// Held while it is calibrated: several clusters may start at once.
  private static let calibration = Mutex(())

  /// Measures the time-stamp counter against the monotonic clock, for 4 ms, where the kernel itself trusts it. False: use the monotonic
  /// clock.
  public static func calibrate(trusted: Bool) -> Bool {
    guard trusted, tern_time_stamp() != 0 else { return false }
    return calibration.withLock { _ in calibrate() }
  }

  private static func calibrate() -> Bool {
    if nanosecondsPerTick != 0 { return true }
    let begin = monotonicNanoseconds
    let first = tern_time_stamp()
    var now = begin
    while now - begin < 4_000_000 { now = monotonicNanoseconds }
    let ticks = tern_time_stamp() - first
    guard ticks > 0 else { return false }
    nanosecondsPerTick = ((now - begin) << 32) / ticks
    return nanosecondsPerTick != 0
  }

  /// Nanoseconds of processor time that the calling thread has used.
  public static var threadNanoseconds: UInt64 {
    var time = timespec()
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0
      ? UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec) : 0
  }

  /// Microseconds of CPU that the process has used.
  public static var processMicroseconds: (user: Int64, system: Int64) {
    var user: Int64 = 0
    var system: Int64 = 0
    tern_process_microseconds(&user, &system)
    return (user, system)
  }

  /// Microseconds of CPU that the calling thread has used.
  public static var threadMicroseconds: (user: Int64, system: Int64) {
    var user: Int64 = 0
    var system: Int64 = 0
    tern_thread_microseconds(&user, &system)
    return (user, system)
  }
}
