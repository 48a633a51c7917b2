import CLinux

/// The two clocks of the machine, for those above: what is below is told the time (DESIGN §7).
public enum SystemClock {
  /// Microseconds since 1970.
  public static var unixMicroseconds: Int64 { tern_unix_microseconds() }

  /// Nanoseconds of the monotonic clock.
  public static var monotonicNanoseconds: UInt64 { UInt64(tern_monotonic()) }

  /// Microseconds of CPU that the process has used.
  public static var processMicroseconds: (user: Int64, system: Int64) {
    var user: Int64 = 0
    var system: Int64 = 0
    tern_process_microseconds(&user, &system)
    return (user, system)
  }
}
