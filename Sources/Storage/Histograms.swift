// How long commands took, as counts by duration: a row for each command, log-linear.
//
//   nanoseconds  0 … 15 | 16 … 31 | 32 … 63 (steps of 2) | 64 … 127 (steps of 4) | … | … 2³¹ − 1
//   place        0 … 15 | 16 … 31 | 32 … 47              | 48 … 63               | … | … 447
//
// Every doubling has 16 places, so that a place is at most 1/16 wide: what is read back is off by 3 % at most. Recording is a
// logarithm, two shifts and one increment in memory that was allocated at the start; pages that no command touches stay untouched.

import CJemalloc

/// Counts of durations, by row.
@safe public struct Histograms: ~Copyable {
  /// Rows there are: one for every command that a `UInt8` can name.
  public static var rowCount: Int { 256 }
  /// Places of a row.
  @usableFromInline static var placeCount: Int { 512 }
  /// The longest duration that is told apart, in nanoseconds; longer ones count as this.
  @usableFromInline static var longest: UInt64 { (1 << 31) - 1 }

  @usableFromInline let counts: UnsafeMutablePointer<UInt32>

  private static var byteCount: Int {
    SizeClass.bytes(rowCount * placeCount * MemoryLayout<UInt32>.stride)
  }

  /// Rows of zeros.
  public init() throws(OutOfMemory) {
    let memory = try allocate(Histograms.byteCount, flags: tern_mallocx_zero())
    counts = memory.assumingMemoryBound(to: UInt32.self)
  }

  deinit { deallocate(counts, Histograms.byteCount) }

  /// Counts a duration. O(1), a few instructions.
  @inlinable @inline(__always)
  public mutating func record(_ nanoseconds: UInt64, row: UInt8) {
    let duration = min(nanoseconds, Histograms.longest)
    let place = Int(row) &* Histograms.placeCount &+ Histograms.place(of: duration)
    counts[place] &+= 1
  }

  /// The place of a duration.
  @inlinable @inline(__always)
  static func place(of nanoseconds: UInt64) -> Int {
    let doubling = 59 &- (nanoseconds | 16).leadingZeroBitCount
    // Below 16 the shift is by nothing, and the doubling 0.
    return doubling &* 16 &+ Int(truncatingIfNeeded: nanoseconds &>> UInt64(doubling))
  }

  /// The longest duration that is counted at a place.
  static func longest(at place: Int) -> UInt64 {
    if place < 32 { return UInt64(place) }
    let doubling = UInt64(place / 16 - 1)
    return (UInt64(place % 16 + 17) &<< doubling) - 1
  }

  /// Forgets everything.
  public mutating func removeAll() {
    counts.update(repeating: 0, count: Histograms.rowCount * Histograms.placeCount)
  }

  /// Durations that were counted in a row. O(places).
  public func count(row: UInt8) -> UInt64 { count(row: row, below: .max) }

  /// Of these, those below so many nanoseconds, a power of two of at least 16. O(places).
  public func count(row: UInt8, below nanoseconds: UInt64) -> UInt64 {
    var sum: UInt64 = 0
    for place in 0..<Histograms.placeCount {
      if Histograms.longest(at: place) >= nanoseconds { break }
      sum += UInt64(counts[Int(row) * Histograms.placeCount + place])
    }
    return sum
  }

  /// The duration that so many percent of a row's do not exceed, in nanoseconds; 0 without any. O(places).
  public func nanoseconds(row: UInt8, percentile: Double) -> UInt64 {
    let all = count(row: row)
    if all == 0 { return 0 }
    let share = (min(max(percentile, 0), 100) / 100 * Double(all)).rounded()
    let wanted = max(1, UInt64(share))
    var sum: UInt64 = 0
    for place in 0..<Histograms.placeCount {
      sum += UInt64(counts[Int(row) * Histograms.placeCount + place])
      if sum >= wanted { return Histograms.longest(at: place) }
    }
    return Histograms.longest
  }
}
