/// What the growth of segments has cost: it is housekeeping in the middle of a command.
public struct GrowthFigures: Sendable {
  /// Nanoseconds of the thread's processor time; from outside, as all time.
  var clock: @convention(c) () -> UInt64 = { 0 }
  /// How often a segment grew or was split.
  public private(set) var count: UInt64 = 0
  /// Nanoseconds in all, and the most at once.
  public private(set) var nanoseconds: UInt64 = 0
  public private(set) var largestNanoseconds: UInt64 = 0
  /// How often it took longer than a slice may (250 µs).
  public private(set) var overCount: UInt64 = 0

  /// Counts one.
  mutating func add(_ nanoseconds: UInt64) {
    count += 1
    self.nanoseconds += nanoseconds
    if nanoseconds > largestNanoseconds { largestNanoseconds = nanoseconds }
    if nanoseconds > 250_000 { overCount += 1 }
  }

  /// Begins again at nothing.
  mutating func reset() {
    let clock = clock
    self = GrowthFigures()
    self.clock = clock
  }
}

extension Keyspace {
  /// What growth has cost since the last reset.
  public var growthFigures: GrowthFigures { state.pointee.growth }

  /// Measures growth with that clock from now on.
  public mutating func measureGrowth(with clock: @escaping @convention(c) () -> UInt64) {
    state.pointee.growth.clock = clock
  }

  /// Forgets what growth has cost.
  public mutating func resetGrowthFigures() { state.pointee.growth.reset() }
}
