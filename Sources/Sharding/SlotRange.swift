/// The slots from one to another, both of them in it.
public struct SlotRange: Hashable, Sendable {
  /// The lowest slot of the range.
  public let first: HashSlot
  /// The highest slot of the range, at least `first`.
  public let last: HashSlot

  /// The range from `first` to `last`, which must not be lower.
  public init(_ first: HashSlot, _ last: HashSlot) {
    precondition(first <= last, "a range of slots ends where it begins, or later")
    self.first = first
    self.last = last
  }

  /// How many slots there are in it: at least 1.
  public var count: Int { last.index - first.index + 1 }

  /// Whether some slot is in both.
  public func overlaps(_ other: SlotRange) -> Bool { first <= other.last && other.first <= last }

  /// Whether the slot is in it.
  public func contains(_ slot: HashSlot) -> Bool { first <= slot && slot <= last }

  /// Its slots, as indices.
  public var indices: ClosedRange<Int> { first.index...last.index }
}

extension SlotRange: CustomStringConvertible {
  /// `0-99`, or `200` for one slot, as `CLUSTER NODES` writes it.
  public var description: String {
    first == last ? "\(first.number)" : "\(first.number)-\(last.number)"
  }
}

extension [SlotRange] {
  /// How many slots are in these ranges.
  public var slotCount: Int { reduce(0) { $0 + $1.count } }

  /// The slots of these ranges, one by one.
  public var slots: [HashSlot] { flatMap { $0.indices.map { HashSlot(UInt16($0)) } } }
}
