import Sharding

/// Numbers from a seed, the same on every machine (xorshift).
struct Numbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

extension NodeID {
  /// An id that shows `number`.
  static func test(_ number: Int) -> NodeID {
    var bytes = Array(repeating: UInt8(0xA5), count: NodeID.byteCount)
    for place in 0..<8 { bytes[19 - place] = UInt8(truncatingIfNeeded: number >> (8 * place)) }
    return NodeID(bytes.span.bytes)!
  }
}

extension ClusterShard {
  /// Shard `number`, at port 7000 + `number`.
  static func test(
    _ number: Int, generation: UInt32 = 1, epoch: UInt64 = 1, hostname: String? = nil
  ) -> ClusterShard {
    ClusterShard(
      id: ShardID(number: UInt16(number), generation: generation), nodeID: .test(number),
      address: EndpointAddress(host: "127.0.0.1", port: UInt16(7000 + number), hostname: hostname)!,
      epoch: ConfigEpoch(epoch))
  }
}

extension ClusterMap {
  /// A uniform map of `count` test shards.
  static func test(_ count: Int) -> ClusterMap {
    .uniform(epoch: ConfigEpoch(1), shards: (1...count).map { .test($0) })
  }

  /// A map in which every slot's owner is drawn, so that it has thousands of ranges; about one
  /// slot in `holes` has none.
  static func scattered(_ count: Int, seed: UInt64, holes: Int? = nil) -> ClusterMap {
    var numbers = Numbers(seed: seed)
    var owners = SlotOwners()
    for number in 0..<UInt16(HashSlot.count) {
      let isHole = holes.map { Int.random(in: 0..<$0, using: &numbers) == 0 } ?? false
      owners[HashSlot(number)] = isHole ? nil : Int.random(in: 0..<count, using: &numbers)
    }
    return ClusterMap(
      epoch: ConfigEpoch(9), shards: (1...count).map { .test($0, epoch: UInt64($0 % 9)) },
      owners: owners)
  }
}

func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
