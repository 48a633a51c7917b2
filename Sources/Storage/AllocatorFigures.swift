import CJemalloc

/// What jemalloc says of the whole process, in bytes.
public struct AllocatorFigures: Sendable {
  /// In allocations.
  public let allocated: Int
  /// In pages that hold allocations.
  public let active: Int
  /// Mapped and backed by memory.
  public let resident: Int
  /// jemalloc's version, such as 5.3.0.
  public let version: String

  /// The figures of this moment. Some microseconds.
  public static func now() -> AllocatorFigures {
    var epoch: UInt64 = 1
    let size = MemoryLayout<UInt64>.size
    _ = mallctl("epoch", nil, nil, &epoch, size)
    return AllocatorFigures(
      allocated: figure("stats.allocated"), active: figure("stats.active"),
      resident: figure("stats.resident"), version: versionText())
  }

  private static func figure(_ name: String) -> Int {
    var value = 0
    var size = MemoryLayout<Int>.size
    return mallctl(name, &value, &size, nil, 0) == 0 ? value : 0
  }

  private static func versionText() -> String {
    var text: UnsafePointer<CChar>?
    var size = MemoryLayout<UnsafePointer<CChar>?>.size
    guard mallctl("version", &text, &size, nil, 0) == 0, let text else { return "unknown" }
    return String(String(cString: text).prefix { $0 != "-" })
  }
}
