/// For each of the 16384 slots, which of some shards owns it, if any: by the shard's index in a
/// list that is kept elsewhere.
public struct SlotOwners: Hashable, Sendable {
  /// Marks a slot without an owner; no shard has this index.
  static let none = UInt16.max

  /// The owner's index by slot; always `HashSlot.count` of them.
  private(set) var indexes: [UInt16]

  /// No slot has an owner.
  public init() {
    indexes = Array(repeating: SlotOwners.none, count: HashSlot.count)
  }

  /// Each of `shardCount` shards owns one contiguous range, dealt as `redis-cli --cluster create`
  /// deals them: shares differ by at most one, and range i ends at the slot before
  /// (i + 1) · 16384 / `shardCount`, rounded. More shards than slots leave some without any.
  public static func uniform(shardCount: Int) -> SlotOwners {
    precondition(shardCount > 0 && shardCount <= ClusterMap.maxShardCount)
    var owners = SlotOwners()
    var first = 0
    for index in 0..<shardCount {
      let end = ((index + 1) * 2 * HashSlot.count + shardCount) / (2 * shardCount)
      for slot in first..<max(first, end) { owners.indexes[slot] = UInt16(index) }
      first = max(first, end)
    }
    return owners
  }

  /// The index of the slot's owner, nil if it has none.
  public subscript(slot: HashSlot) -> Int? {
    get {
      let index = indexes[slot.index]
      return index == SlotOwners.none ? nil : Int(index)
    }
    set {
      precondition(newValue.map { $0 >= 0 && $0 < ClusterMap.maxShardCount } ?? true)
      indexes[slot.index] = newValue.map { UInt16($0) } ?? SlotOwners.none
    }
  }

  /// Gives all slots of `range` to the shard with this index, or to none.
  public mutating func assign(_ range: SlotRange, to owner: Int?) {
    precondition(owner.map { $0 >= 0 && $0 < ClusterMap.maxShardCount } ?? true)
    let index = owner.map { UInt16($0) } ?? SlotOwners.none
    for slot in range.indices { indexes[slot] = index }
  }

  /// Every maximal range of slots with one owner, in the order of slots; slots without an owner
  /// are in none of them.
  public var ranges: [(range: SlotRange, owner: Int)] {
    var ranges: [(range: SlotRange, owner: Int)] = []
    var first = 0
    for end in 1...HashSlot.count where end == HashSlot.count || indexes[end] != indexes[first] {
      if indexes[first] != SlotOwners.none {
        let range = SlotRange(HashSlot(UInt16(first)), HashSlot(UInt16(end - 1)))
        ranges.append((range, Int(indexes[first])))
      }
      first = end
    }
    return ranges
  }
}
