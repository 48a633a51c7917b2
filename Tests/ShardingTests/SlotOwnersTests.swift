import Sharding
import Testing

@Suite struct SlotOwnersTests {
  @Test func uniformForEveryShardCount() {
    for count in 1...600 {
      let owners = SlotOwners.uniform(shardCount: count)
      let ranges = owners.ranges
      #expect(ranges.map(\.owner) == Array(0..<count))
      #expect(ranges.first?.range.first == HashSlot(0))
      #expect(ranges.last?.range.last == HashSlot(16383))
      for (left, right) in zip(ranges, ranges.dropFirst()) {
        #expect(left.range.last.number + 1 == right.range.first.number)
      }
      let shares = ranges.map(\.range.count)
      #expect(shares.reduce(0, +) == HashSlot.count)
      #expect(shares.max()! - shares.min()! <= 1, "\(count) shards")
    }
  }

  /// Where `redis-cli --cluster create` cuts, seen with 3 nodes.
  @Test func uniformCutsWhereRedisCuts() {
    let three = SlotOwners.uniform(shardCount: 3).ranges.map(\.range.last.number)
    #expect(three == [5460, 10922, 16383])
    let seven = SlotOwners.uniform(shardCount: 7).ranges.map(\.range.last.number)
    #expect(seven == [2340, 4680, 7021, 9361, 11702, 14042, 16383])
  }

  @Test func moreShardsThanTheirShare() {
    #expect(SlotOwners.uniform(shardCount: 16384).ranges.count == 16384)
    #expect(SlotOwners.uniform(shardCount: 16383).ranges.count == 16383)
  }

  @Test func rangesAreMaximalAndLeaveHolesOut() {
    var owners = SlotOwners()
    #expect(owners.ranges.isEmpty)
    owners[HashSlot(0)] = 1
    owners.assign(SlotRange(HashSlot(2), HashSlot(5)), to: 0)
    owners.assign(SlotRange(HashSlot(6), HashSlot(6)), to: 0)
    owners.assign(SlotRange(HashSlot(7), HashSlot(9)), to: 1)
    owners[HashSlot(16383)] = 3
    #expect(owners.ranges.map(\.owner) == [1, 0, 1, 3])
    #expect(owners.ranges.map(\.range.first.number) == [0, 2, 7, 16383])
    #expect(owners.ranges.map(\.range.last.number) == [0, 6, 9, 16383])
    owners.assign(SlotRange(HashSlot(0), HashSlot(16383)), to: nil)
    #expect(owners == SlotOwners())
  }
}
