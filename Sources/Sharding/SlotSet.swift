/// A set of hash slots, a bit each; as long as none was in it, it owns no memory.
public struct SlotSet: Sendable {
  private var words: [UInt64] = []

  /// No slot.
  public init() {}

  /// All the slots of some ranges.
  public init(_ ranges: [SlotRange]) { for range in ranges { insert(range) } }

  /// Adds a slot; false if it was there before.
  @discardableResult
  public mutating func insert(_ slot: HashSlot) -> Bool {
    if words.isEmpty { words = Array(repeating: 0, count: HashSlot.count / 64) }
    let bit: UInt64 = 1 << UInt64(slot.index & 63)
    let isNew = words[slot.index >> 6] & bit == 0
    words[slot.index >> 6] |= bit
    return isNew
  }

  /// Adds a range; false if one of its slots was there before.
  @discardableResult
  public mutating func insert(_ range: SlotRange) -> Bool {
    var isNew = true
    for slot in range.indices where !insert(HashSlot(UInt16(slot))) { isNew = false }
    return isNew
  }

  /// Takes a slot out, if it is there.
  public mutating func remove(_ slot: HashSlot) {
    if !words.isEmpty { words[slot.index >> 6] &= ~(1 << UInt64(slot.index & 63)) }
  }

  /// Whether the slot is in the set.
  public func contains(_ slot: HashSlot) -> Bool {
    !words.isEmpty && words[slot.index >> 6] >> UInt64(slot.index & 63) & 1 == 1
  }

  /// The set as maximal ranges, ascending.
  public var ranges: [SlotRange] {
    var ranges: [SlotRange] = []
    var first: HashSlot?
    var last = HashSlot(0)
    for number in 0..<UInt16(HashSlot.count) where contains(HashSlot(number)) {
      let slot = HashSlot(number)
      if let begin = first, last.number + 1 != number {
        ranges.append(SlotRange(begin, last))
        first = slot
      }
      first = first ?? slot
      last = slot
    }
    if let first { ranges.append(SlotRange(first, last)) }
    return ranges
  }
}
