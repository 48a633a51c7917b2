/// A slot that is being moved key by key, as its source or its target shows it to `redis-cli` in
/// its own line of `CLUSTER NODES`.
public enum OpenSlot: Hashable, Sendable {
  /// The shard that answers is giving the slot to this node.
  case migrating(HashSlot, to: NodeID)
  /// The shard that answers is being given the slot by this node.
  case importing(HashSlot, from: NodeID)
}

extension [UInt8] {
  /// Appends an open slot as it stands behind the ranges of a line, a space in front.
  mutating func append(_ slot: OpenSlot) {
    append(" [")
    switch slot {
    case .migrating(let slot, to: let target):
      append(decimal: slot.number)
      append("->-")
      append(target)
    case .importing(let slot, from: let source):
      append(decimal: slot.number)
      append("-<-")
      append(source)
    }
    append("]")
  }
}
