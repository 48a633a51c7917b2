/// Where an engine's time comes from (DESIGN §7): a C function pointer, so that reading it costs no closure and no existential.
public struct MonotonicClock: Sendable {
  /// Nanoseconds from any fixed point in the past; never goes back.
  public let nanoseconds: @convention(c) () -> UInt64

  /// A clock that reads `nanoseconds`.
  public init(_ nanoseconds: @escaping @convention(c) () -> UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// A clock that stands still: for harnesses that want no time statistics.
  public static let still = MonotonicClock { 0 }
}
