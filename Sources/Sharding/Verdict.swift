/// What a shard is to a slot at this moment.
public enum SlotState: Hashable, Sendable {
  /// It holds the slot's table as its owner, and nothing is going on.
  case held
  /// It does not hold the slot; the map names another owner.
  case elsewhere
  /// It does not hold the slot, nor does anybody.
  case unassigned
  /// It owns the slot and is giving it away key by key: by presence, or along a cursor.
  case migrating(to: ShardID)
  /// It is being given the slot key by key, and a key belongs to whoever has it.
  case importingByPresence
  /// It is being given the slot in hash order, and a key belongs to it below the cursor.
  case importingByCursor
}

/// On which side of a migration a command's keys are. "Here" is a matter of presence or of the
/// cursor, as the slot's state says. The same key twice is one key.
public enum KeySide: Hashable, Sendable, CaseIterable {
  /// All keys are here.
  case here
  /// There is one key, and it is not here.
  case oneGone
  /// There are several keys, of which some are here and some are not.
  case someGone
  /// There are several keys, none of them here.
  case allGone
}

/// What a shard does with a command.
public enum Verdict: Hashable, Sendable {
  /// Carries it out.
  case serve
  /// Answers `MOVED` with the address of the slot's owner.
  case moved
  /// Answers `ASK` with the address of this shard.
  case ask(ShardID)
  /// Answers `TRYAGAIN`: the keys are about to be together.
  case tryAgain
  /// Answers `CLUSTERDOWN`: nobody has the slot.
  case clusterDown
}

extension SlotState {
  /// Whether the verdict depends on where the command's keys are. Where it does not, any `KeySide`
  /// gives the same verdict, and no key need be looked up.
  @inlinable
  public func asksForKeys(asking: Bool) -> Bool {
    switch self {
    case .held, .elsewhere, .unassigned: false
    case .migrating: true
    case .importingByPresence, .importingByCursor: asking
    }
  }
}

/// The redirection rules, whole. `KeySide` is asked for only by the cases that need it.
/// What `.moved` answers with is the map's address, read on the cold path after the mailbox was
/// drained: no worker says no before it has looked.
@inlinable
public func verdict(_ state: SlotState, asking: Bool, keys: KeySide) -> Verdict {
  switch (state, keys) {
  case (.held, _): .serve
  case (.elsewhere, _): .moved
  case (.unassigned, _): .clusterDown
  case (.migrating, .here): .serve
  case (.migrating(let target), .oneGone), (.migrating(let target), .allGone): .ask(target)
  case (.migrating, .someGone): .tryAgain
  case (.importingByPresence, _) where !asking, (.importingByCursor, _) where !asking: .moved
  // After ASKING a single absent key is served: the client may be about to create it.
  case (.importingByPresence, .here), (.importingByPresence, .oneGone): .serve
  case (.importingByPresence, .someGone), (.importingByPresence, .allGone): .tryAgain
  // A late ASKING from an earlier migration of this slot finds its key above the cursor.
  case (.importingByCursor, .here): .serve
  case (.importingByCursor, .oneGone), (.importingByCursor, .allGone): .moved
  case (.importingByCursor, .someGone): .tryAgain
  }
}
