/// Which slots the keys of one command are in: what is known before there is a verdict to ask for.
public enum KeySlots: Hashable, Sendable {
  /// The command has no keys.
  case none
  /// All its keys are in this slot.
  case one(HashSlot)
  /// Its keys are in two slots or more: a shard answers `CROSSSLOT`.
  case several

  /// Takes another key's slot in.
  @inlinable
  public mutating func insert(_ slot: HashSlot) {
    switch self {
    case .none: self = .one(slot)
    case .one(let first): if first != slot { self = .several }
    case .several: break
    }
  }
}
