import CLinux

/// The processors and descriptors that the process may use.
public enum Machine {
  /// Processors that this process may run on.
  public static var availableCPUs: [Int] {
    var set = tern_processors()
    if tern_get_affinity(&set) < 0 { return [0] }
    return withUnsafeBytes(of: &set) { bytes in
      (0..<bytes.count * 8).filter { bytes[$0 / 8] & (1 << UInt8($0 % 8)) != 0 }
    }
  }

  /// Has the calling thread run on one processor alone.
  public static func pinThisThread(toCPU cpu: Int) throws(ReactorError) {
    var set = tern_processors()
    let isInRange = withUnsafeMutableBytes(of: &set) { bytes in
      guard cpu >= 0 && cpu < bytes.count * 8 else { return false }
      bytes[cpu / 8] |= 1 << UInt8(cpu % 8)
      return true
    }
    let answer = isInRange ? tern_set_affinity(&set) : -EINVAL
    if answer < 0 { throw ReactorError("pinning to processor \(cpu)", errno: -answer) }
  }

  /// How many descriptors the process may have open now.
  public static var openFileLimit: Int {
    var limit = rlimit()
    return tern_get_open_files(&limit) < 0 ? 1024 : Int(clamping: limit.rlim_cur)
  }

  /// How many descriptors the process could have if it asked for them.
  public static var mostOpenFiles: Int {
    var limit = rlimit()
    if tern_get_open_files(&limit) < 0 { return 1024 }
    var most = Int(clamping: limit.rlim_max)
    var higher = limit
    // Who may raise the hard limit finds out by asking for it as it is, and one more.
    higher.rlim_max = limit.rlim_max &+ 1
    if limit.rlim_max < rlim_t(Int32.max), tern_set_open_files(&higher) == 0 {
      _ = tern_set_open_files(&limit)
      most = Int(Int32.max)
    }
    return most
  }

  /// Raises the limit of open descriptors to `count`, or as near to it as the process may; what it is then.
  public static func raiseOpenFiles(to count: Int) -> Int {
    var limit = rlimit()
    if tern_get_open_files(&limit) < 0 { return 1024 }
    if limit.rlim_cur >= count { return Int(clamping: limit.rlim_cur) }
    var wanted = limit
    wanted.rlim_cur = rlim_t(count)
    wanted.rlim_max = max(limit.rlim_max, rlim_t(count))
    if tern_set_open_files(&wanted) == 0 { return count }
    wanted.rlim_max = limit.rlim_max
    wanted.rlim_cur = min(rlim_t(count), limit.rlim_max)
    if tern_set_open_files(&wanted) == 0 { return Int(clamping: wanted.rlim_cur) }
    return Int(clamping: limit.rlim_cur)
  }
}
