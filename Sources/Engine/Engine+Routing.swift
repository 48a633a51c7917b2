internal import RESP
internal import Sharding
internal import Storage

// The cold path of a command's verdict (DESIGN §4): several keys, slots that are elsewhere or open, sessions in a mode.

/// A slot that a shard of this worker is giving away or is being given key by key.
struct OpenSlot {
  /// The shard, by its local index.
  var shard: Int32
  /// The slot.
  var slot: Int
  /// Migrating or importing.
  var state: SlotState
}

extension Engine {
  /// Whether a command with keys is served here and now; if not, it has been answered with the redirection or error that is due.
  @inline(never)
  mutating func isRoutedHere(_ call: Call, _ known: HotCommand) -> Bool {
    let shard = sessions[current].shard
    let mode = sessions[current].mode
    let asking = mode.contains(.asking) || known.attention.contains(.asking)
    // It is for this command, whatever becomes of it.
    if mode.contains(.asking) { sessions[current].mode.remove(.asking) }
    if known.lastKey != known.firstKey {
      // Keys of two slots in one command: CROSSSLOT, before anything else.
      var (i, last) = otherKeys(call, known)
      while i <= last {
        if HashSlot.of(call[i]).index != call.slot {
          fail(line: ErrorReply.crossSlot)
          return false
        }
        i += Int(known.step)
      }
    }
    if keyspace.owner(of: call.slot) | openSlotBits == shard { return true }
    // A first look without the mailbox, and only if it says no, a second one: no worker says no before it has looked.
    if decide(call, known, shard, asking: asking) == .serve { return true }
    drainMailbox()
    switch decide(call, known, shard, asking: asking) {
    case .serve: return true
    case .moved:
      fail(line: map.redirect(for: HashSlot(UInt16(call.slot))))
    case .ask(let target):
      fail(line: map.ask(HashSlot(UInt16(call.slot)), of: target))
    case .tryAgain: fail(line: ErrorReply.tryAgain)
    case .clusterDown: fail(line: ErrorReply.clusterDown)
    }
    return false
  }

  /// The indices between which a command's keys but the first lie, a step apart.
  private func otherKeys(_ call: Call, _ known: HotCommand) -> (next: Int, last: Int) {
    if known.lastKey == HotCommand.storedKey {
      let destination = Self.sortDestination(call.arguments)
      return destination == 0 ? (1, 0) : (destination, destination)
    }
    let last = known.lastKey < 0 ? call.count + Int(known.lastKey) : Int(known.lastKey)
    return (Int(known.firstKey) + Int(known.step), last)
  }

  private mutating func decide(
    _ call: Call, _ known: HotCommand, _ shard: Int32, asking: Bool
  ) -> Verdict {
    let state = slotState(call.slot, of: shard)
    let side: KeySide = state.asksForKeys(asking: asking) ? keySide(call, known) : .here
    return verdict(state, asking: asking, keys: side)
  }

  /// What a slot is to a shard of this worker at this moment.
  func slotState(_ slot: Int, of shard: Int32) -> SlotState {
    if let open = openSlots.first(where: { $0.shard == shard && $0.slot == slot }) {
      return open.state
    }
    if keyspace.owner(of: slot) == shard, shard >= 0 { return .held }
    return map.owner(of: HashSlot(UInt16(slot))) == nil ? .unassigned : .elsewhere
  }

  /// On which side of a migration a command's keys are: by presence. The same key twice is one key.
  private func keySide(_ call: Call, _ known: HotCommand) -> KeySide {
    let first = call[Int(known.firstKey)]
    let isHere = keyspace.find(call.slot, call.hash, first) != nil
    var here = isHere ? 1 : 0
    var gone = isHere ? 0 : 1
    var differ = false
    var (i, last) = otherKeys(call, known)
    while i <= last {
      let key = call[i]
      if !key.equals(first) { differ = true }
      if keyspace.find(call.slot, KeyHash(key, seed: hashSeed), key) != nil {
        here += 1
      } else {
        gone += 1
      }
      i += Int(known.step)
    }
    if gone == 0 { return .here }
    if !differ { return .oneGone }
    return here == 0 ? .allGone : .someGone
  }

  /// Reads what others have sent: control requests, newer maps.
  public mutating func drainMailbox() {
    for message in mailbox.takeAll() {
      switch message {
      case .control(let request, let number): apply(request, number: number)
      case .completed(let pending): complete(pending)
      case .map(let newer): if newer.epoch > map.epoch { map = newer }
      case .drain: isDraining = true
      }
    }
  }
}
