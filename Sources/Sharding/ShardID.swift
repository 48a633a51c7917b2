/// Which shard is meant: a number, which later shards may take over, and a generation, which tells
/// them apart. A pair is never used again.
public struct ShardID: Hashable, Comparable, Sendable {
  /// From 1: the shard listens on the base port plus its number.
  public let number: UInt16
  /// From 1: which of the shards that bore this number.
  public let generation: UInt32

  /// The shard of this number and generation, both at least 1.
  public init(number: UInt16, generation: UInt32) {
    precondition(number > 0 && generation > 0, "shards and their generations count from 1")
    self.number = number
    self.generation = generation
  }

  /// By number, then by generation.
  public static func < (left: ShardID, right: ShardID) -> Bool {
    (left.number, left.generation) < (right.number, right.generation)
  }
}
