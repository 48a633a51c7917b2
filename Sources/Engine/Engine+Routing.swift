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

/// How many of some keys are here.
struct KeyTally {
  var here = 0
  var gone = 0
  /// Whether there are two different ones.
  var differ = false

  /// On which side of a migration they are together.
  var side: KeySide {
    if gone == 0 { return .here }
    if !differ { return .oneGone }
    return here == 0 ? .allGone : .someGone
  }
}

extension Engine {
  /// Whether a command with keys is served here and now; if not, it has been answered with the redirection or error that is due.
  @inline(never)
  mutating func isRoutedHere(_ call: Call, _ known: HotCommand) -> Bool {
    let isInMode = !sessions[current].mode.isEmpty
    if isInMode, !isAllowed(call) { return false }
    guard isSlotHere(call, known) else { return false }
    if isInMode, !isUnhindered(call) { return false }
    return sessions[current].mode.contains(.multi) ? admitsInMulti(call, known) : true
  }

  private mutating func isSlotHere(_ call: Call, _ known: HotCommand) -> Bool {
    let shard = sessions[current].shard
    let mode = sessions[current].mode
    let asking = mode.contains(.asking) || known.attention.contains(.asking)
    // It is for this command, whatever becomes of it, or for a whole MULTI.
    if mode.contains(.asking), !mode.contains(.multi) { sessions[current].mode.remove(.asking) }
    if known.lastKey != known.firstKey {
      // Keys of two slots in one command: CROSSSLOT, before anything else.
      var (i, last) = otherKeys(call.arguments, known)
      while i <= last {
        if HashSlot.of(call[i]).index != call.slot {
          fail(line: ErrorReply.crossSlot)
          return false
        }
        i += Int(known.step)
      }
    }
    if keyspace.owner(of: call.slot) | openSlotBits == shard { return true }
    // A first look without the mailbox, and only if it says no, others: no worker says no before it has looked.
    if decide(call, known, shard, asking: asking) == .serve { return true }
    while true {
      look()
      let verdict = decide(call, known, shard, asking: asking)
      if verdict == .serve { return true }
      if !isMapOld {
        answer(verdict, call.slot)
        return false
      }
    }
  }

  /// Answers the redirection or error that is due for keys of a slot.
  mutating func answer(_ verdict: Verdict, _ slot: Int) {
    switch verdict {
    case .serve: break
    case .moved: fail(line: map.redirect(for: HashSlot(UInt16(slot))))
    case .ask(let target): fail(line: map.ask(HashSlot(UInt16(slot)), of: target))
    case .tryAgain: fail(line: ErrorReply.tryAgain)
    case .clusterDown: fail(line: ErrorReply.clusterDown)
    }
  }

  /// The indices between which a command's keys but the first lie, a step apart.
  private func otherKeys(_ arguments: Arguments, _ known: HotCommand) -> (next: Int, last: Int) {
    if known.lastKey == HotCommand.storedKey {
      let destination = Self.sortDestination(arguments)
      return destination == 0 ? (1, 0) : (destination, destination)
    }
    let last = known.lastKey < 0 ? arguments.count + Int(known.lastKey) : Int(known.lastKey)
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
    var tally = KeyTally()
    count(call.arguments, known, call.slot, first: call[Int(known.firstKey)], in: &tally)
    return tally.side
  }

  /// Counts the keys of a command, all of that slot; `first` is the first of all that are counted together.
  func count(
    _ arguments: Arguments, _ known: HotCommand, _ slot: Int, first: RawSpan,
    in tally: inout KeyTally
  ) {
    count(arguments[Int(known.firstKey)], slot, first: first, in: &tally)
    var (i, last) = otherKeys(arguments, known)
    while i <= last {
      count(arguments[i], slot, first: first, in: &tally)
      i += Int(known.step)
    }
  }

  private func count(_ key: RawSpan, _ slot: Int, first: RawSpan, in tally: inout KeyTally) {
    if !key.equals(first) { tally.differ = true }
    if keyspace.find(slot, KeyHash(key, seed: hashSeed), key) != nil {
      tally.here += 1
    } else {
      tally.gone += 1
    }
  }

  /// Looks before anything is refused: takes the map first and then what others have sent, so that whoever the map names as a slot's
  /// owner has its table, here too.
  mutating func look() {
    refreshMap()
    drainMailbox()
  }

  /// A newer map was published since `look`: what was decided by the old one is decided again.
  var isMapOld: Bool { board.revision != mapRevision }

  /// Reads what others have sent: control requests, slot tables.
  public mutating func drainMailbox() {
    for message in mailbox.takeAll() {
      switch message {
      case .control(let request, let number): apply(request, number: number)
      case .completed(let pending): complete(pending)
      case .adopt(let tables): adopt(tables)
      case .drain: isDraining = true
      }
    }
  }
}
