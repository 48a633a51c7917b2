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

extension AllocatorFigures {
  /// Bytes of pages that hold allocations beyond what is allocated, in percent of that.
  public var fragmentationPercent: Int {
    allocated > 0 ? (active - allocated) * 100 / allocated : 0
  }

  /// The allocator's own report, as text.
  public static func report() -> String {
    var text = ""
    withUnsafeMutablePointer(to: &text) { text in
      malloc_stats_print(
        { text, part in
          guard let text, let part else { return }
          text.assumingMemoryBound(to: String.self).pointee += String(cString: part)
        }, text, nil)
    }
    return text
  }
}
