/// The version of who owns which slot. It grows with every flip, and the highest one wins (I4).
public struct ConfigEpoch: Hashable, Comparable, Sendable {
  /// The epoch as a number, as `CLUSTER INFO` shows it.
  public let number: UInt64

  /// The epoch of this number.
  public init(_ number: UInt64) { self.number = number }

  /// The epoch after this one.
  public var next: ConfigEpoch { ConfigEpoch(number + 1) }

  /// Earlier before later.
  public static func < (left: ConfigEpoch, right: ConfigEpoch) -> Bool {
    left.number < right.number
  }
}
