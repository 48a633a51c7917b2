internal import RESP
internal import Sharding
internal import Storage

// The cold path of a command's verdict (DESIGN §4): several keys, slots that are elsewhere or open, sessions in a mode.

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
    if sessions[current].mode.contains(.router) { return routes(call, known) }
    let isInMode = !sessions[current].mode.isEmpty
    if isInMode, !isAllowed(call) { return false }
    if isRefusedWhileDown() { return false }
    guard isSlotHere(call, known) else { return false }
    if isInMode, !isUnhindered(call) { return false }
    if sessions[current].mode.contains(.multi) { return admitsInMulti(call, known) }
    return openSlotBits == 0 ? true : isInOwnTable(call, known)
  }

  /// Whether no command with keys is served, because some slot is nobody's; it has been answered so then.
  mutating func isRefusedWhileDown() -> Bool {
    if openSlotBits == 0 || !isClusterDown { return false }
    refreshMap()
    if !isClusterDown { return false }
    fail(line: ErrorReply.clusterIsDown)
    return true
  }

  /// Whether a command that is served here runs on the way of all others. If not, it has been run in the table of a slot that is being
  /// imported, or is put off because one of its keys is on its way to another server.
  private mutating func isInOwnTable(_ call: Call, _ known: HotCommand) -> Bool {
    guard let table = table(of: call.slot, at: sessions[current].shard) else { return true }
    if !heldKeys.isEmpty, let flight = flightThatHolds(call.arguments, known, table) {
      postpone(call, until: flight)
      return false
    }
    if table == call.slot { return true }
    runInOpenTable(call, known, table)
    return false
  }

  mutating func runInOpenTable(_ call: Call, _ known: HotCommand, _ table: Int) {
    if isMemoryLimited, known.attention.contains(.deniedWithoutMemory), !hasRoom() {
      return fail("OOM command not allowed when used memory > 'maxmemory'.")
    }
    var byteCount = 0
    for i in 0..<call.count { byteCount += Int(call.arguments.range(i).count) }
    runAdmitted(
      Call(call.arguments, id: call.id, slot: table, hash: call.hash), byteCount: byteCount)
    sessions[current].commandCount &+= 1
    // It was not refused, whatever it has answered.
    hasFailed = false
  }

  private mutating func isSlotHere(_ call: Call, _ known: HotCommand) -> Bool {
    let shard = sessions[current].shard
    let mode = sessions[current].mode
    let asking = mode.contains(.asking) || known.attention.contains(.asking)
    wasAsking = mode.contains(.asking)
    // It is for this command, whatever becomes of it, or for a whole MULTI.
    if mode.contains(.asking), !mode.contains(.multi) { sessions[current].mode.remove(.asking) }
    // Keys of two slots in one command: CROSSSLOT, before anything else.
    if known.lastKey != known.firstKey, !isOneSlot(call, known) {
      fail(line: ErrorReply.crossSlot)
      return false
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
    case .tryAgain:
      hasten(slot)
      fail(line: ErrorReply.tryAgain)
    case .clusterDown: fail(line: ErrorReply.clusterDown)
    }
  }

  /// A client waits for keys of a slot to be together: the slot is moved without pauses.
  mutating func hasten(_ slot: Int) {
    if let i = openSlots.firstIndex(where: { $0.slot == slot && $0.cursor != nil }) {
      openSlots[i].isUrgent = true
    }
  }

  /// Whether all keys of a command are in the slot of the first.
  func isOneSlot(_ call: Call, _ known: HotCommand) -> Bool {
    var (i, last) = otherKeys(call.arguments, known)
    while i <= last {
      if HashSlot.of(call[i]).index != call.slot { return false }
      i += Int(known.step)
    }
    return true
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

  func decide(
    _ call: Call, _ known: HotCommand, _ shard: Int32, asking: Bool
  ) -> Verdict {
    let state = slotState(call.slot, of: shard)
    var side = KeySide.here
    if state.asksForKeys(asking: asking), let table = table(of: call.slot, at: shard) {
      side = keySide(call, known, in: table)
    }
    return verdict(state, asking: asking, keys: side)
  }

  /// On which side of a migration a command's keys are: by presence. The same key twice is one key.
  private func keySide(_ call: Call, _ known: HotCommand, in table: Int) -> KeySide {
    var tally = KeyTally()
    count(call.arguments, known, table, first: call[Int(known.firstKey)], in: &tally)
    return tally.side
  }

  /// Counts the keys of a command, all of one table; `first` is the first of all that are counted together.
  func count(
    _ arguments: Arguments, _ known: HotCommand, _ table: Int, first: RawSpan,
    in tally: inout KeyTally
  ) {
    count(arguments[Int(known.firstKey)], table, first: first, in: &tally)
    var (i, last) = otherKeys(arguments, known)
    while i <= last {
      count(arguments[i], table, first: first, in: &tally)
      i += Int(known.step)
    }
  }

  private func count(_ key: RawSpan, _ table: Int, first: RawSpan, in tally: inout KeyTally) {
    if !key.equals(first) { tally.differ = true }
    if isPresent(key, in: table) { tally.here += 1 } else { tally.gone += 1 }
  }

  /// Whether a key of an open slot is here: on this side of the cursor, or, without one, in that table with time to live.
  func isPresent(_ key: RawSpan, in table: Int) -> Bool {
    isPresent(key, KeyHash(key, seed: hashSeed), in: table)
  }

  /// The same of a key whose hash is known.
  func isPresent(_ key: RawSpan, _ hash: KeyHash, in table: Int) -> Bool {
    if let open = openSlots.first(where: { $0.table == table }), let cursor = open.cursor {
      return open.hasHash(hash, cursor)
    }
    guard let entry = keyspace.find(table, hash, key) else { return false }
    guard entry.hasExpiry, let expiry = keyspace.expiry(of: entry) else { return true }
    return expiry > now
  }

  /// The first flight that holds a key of a command, whose keys are in that table.
  func flightThatHolds(_ arguments: Arguments, _ known: HotCommand, _ table: Int) -> UInt64? {
    if let flight = flightThatHolds(arguments[Int(known.firstKey)], in: table) { return flight }
    var (i, last) = otherKeys(arguments, known)
    while i <= last {
      if let flight = flightThatHolds(arguments[i], in: table) { return flight }
      i += Int(known.step)
    }
    return nil
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
    readKeptMail()
    for message in mailbox.takeAll() { read(message) }
  }

  /// Reads what came while the worker had stopped for a joint command, if it has gone on.
  mutating func readKeptMail() {
    // One by one: what is read may have a command run that looks into the mailbox, and changes are numbered.
    while !router.keptMail.isEmpty, !isStopped { read(router.keptMail.removeFirst()) }
  }

  private mutating func read(_ message: MailboxMessage) {
    if isStopped, message.waitsForStop { return router.keptMail.append(message) }
    switch message {
    case .control(let request, let number): apply(request, number: number)
    case .completed(let pending): complete(pending)
    case .adopt(let tables): adopt(tables)
    case .drain: isDraining = true
    case .clusterChanged(let pending): complete(pending)
    case .adoptOpen(let slots, let shard): adoptOpen(slots, by: shard)
    case .adoptEntries(let entries): adopt(entries)
    case .migrated(let outcome): land(outcome)
    case .hops(let batch): router.arrived.append(.requests(batch))
    case .answeredHops(let batch): router.arrived.append(.answers(batch))
    case .monitor(let message): take(message)
    case .joint(let message): router.jointMessages.append(message)
    }
  }
}

extension MailboxMessage {
  /// Whether a worker that has stopped for a joint command reads it when it goes on. These have commands of clients run, or change settings
  /// or keys, between what the worker has said to the command and its part of it.
  fileprivate var waitsForStop: Bool {
    switch self {
    case .control, .completed, .clusterChanged, .migrated: true
    case .adopt, .drain, .adoptOpen, .adoptEntries, .hops, .answeredHops, .joint, .monitor: false
    }
  }
}
