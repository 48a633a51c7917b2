internal import RESP
internal import Sharding
internal import Storage

// What becomes of a command in MULTI, and whether EXEC may run. All of it is off the way of a session that is in no mode.
//
// The order of the tests is Redis's: unknown, arity, not in MULTI, slots, memory, queue. Whatever is refused on the way makes EXEC fail;
// EXEC itself first asks where its queue's slot is, and answers the redirection whole, which ends the transaction.

extension Engine {
  /// Whether a command without keys may run, of a session that is in some mode; if not, it was queued or has been answered.
  @inline(never)
  mutating func admitsInMode(_ call: Call, _ known: HotCommand) -> Bool {
    if sessions[current].mode.contains(.router) { return routesWithoutKeys(call, known) }
    guard isAllowed(call) else { return false }
    guard isUnhindered(call) else { return false }
    if sessions[current].mode.contains(.multi) { return admitsInMulti(call, known) }
    // It is for the next command, and for a whole MULTI.
    if call.id != .asking, call.id != .multi { sessions[current].mode.remove(.asking) }
    return true
  }

  /// Whether a command of a session in MULTI runs at once, as few do; if not, it was queued or has been answered.
  mutating func admitsInMulti(_ call: Call, _ known: HotCommand) -> Bool {
    // CLIENT REPLY would take elements out of EXEC's array: the stream of replies could not be read any more.
    if known.attention.contains(.notInMulti) || call.id == .clientReply {
      fail("ERR Command not allowed inside a transaction")
      return false
    }
    switch call.id {
    case .exec: return admitsExec(call)
    case .discard, .quit, .reset: return true
    case .migrate:
      // Redis stops for the time of it; here the client would wait in the middle of its transaction.
      fail("ERR MIGRATE inside MULTI is not allowed")
      return false
    default: break
    }
    if call.id == .debug, !mayDebug {
      refuseDebug()
      return false
    }
    if isMemoryLimited, !hasRoom() {
      // Queues take memory too.
      fail("OOM command not allowed when used memory > 'maxmemory'.")
      return false
    }
    // Both answer an error that does not fail EXEC.
    if call.id == .multi || call.id == .watch { return true }
    queue(call, isDeniedWithoutMemory: known.attention.contains(.deniedWithoutMemory))
    return false
  }

  /// Queues a command for EXEC. A client whose queue is too large is closed.
  private mutating func queue(_ call: Call, isDeniedWithoutMemory: Bool) {
    guard let transaction = sessions[current].transaction else { return }
    reply.simple("QUEUED")
    // EXEC will not run it in any case.
    if transaction.isAborted || transaction.isConflicted { return }
    do throws(OutOfMemory) {
      try transaction.queue.append(
        call, large: large, isDeniedWithoutMemory: isDeniedWithoutMemory)
      transaction.queuedCount += 1
      if transaction.byteCount > settings.clientQueryBufferLimit { throw OutOfMemory() }
    } catch {
      abandon(current)
    }
  }

  /// A command was refused: if it was to be queued, EXEC will fail.
  mutating func abortTransaction() {
    if sessions[current].mode.contains(.multi) { sessions[current].transaction?.isAborted = true }
  }

  /// Whether the queue may be run here and now; if not, EXEC has been answered, and the transaction has ended.
  private mutating func admitsExec(_ call: Call) -> Bool {
    guard let transaction = sessions[current].transaction else { return true }
    var queue = CommandQueue()
    swap(&queue, &transaction.queue)
    let verdict = decide(queue)
    let flight = verdict == .serve ? flightThatHolds(queue) : nil
    let slot = queue.slot
    let needsMemory = queue.isDeniedWithoutMemory
    swap(&queue, &transaction.queue)
    // Nothing will be run wherever the slot is: a redirect while queueing gives EXECABORT, though what was queued before it has left too.
    if transaction.isAborted, verdict != nil { return true }
    if let verdict, verdict != .serve {
      discard(current)
      answer(verdict, slot)
      return false
    }
    if verdict == nil {
      discard(current)
      fail(line: ErrorReply.crossSlot)
      return false
    }
    if let flight {
      postpone(call, until: flight)
      return false
    }
    if isMemoryLimited, needsMemory, !hasRoom() {
      failExec("OOM command not allowed when used memory > 'maxmemory'.")
      return false
    }
    return true
  }

  /// EXEC cannot run for that reason: the transaction has ended.
  mutating func failExec(_ reason: String) {
    endWatch(of: current)
    discard(current)
    fail(text: "EXECABORT Transaction discarded because of: \(reason)")
  }

  /// What is to be done with all commands of a queue together; nil if their keys are in two slots.
  private mutating func decide(_ queue: borrowing CommandQueue) -> Verdict? {
    if queue.isCrossSlot { return nil }
    let shard = sessions[current].shard
    let slot = queue.slot
    if slot < 0 || keyspace.owner(of: slot) | openSlotBits == shard { return .serve }
    let first = decide(queue, slot, shard)
    if first == .serve { return first }
    while true {
      look()
      let verdict = decide(queue, slot, shard)
      if verdict == .serve || !isMapOld { return verdict }
    }
  }

  func decide(_ queue: borrowing CommandQueue, _ slot: Int, _ shard: Int32) -> Verdict {
    let isAsking = sessions[current].mode.contains(.asking)
    let state = slotState(slot, of: shard)
    var tally = KeyTally()
    if state.asksForKeys(asking: isAsking), let table = table(of: slot, at: shard) {
      guard let first = queue.requests.indices.first(where: { queue.requests[$0].slot >= 0 }) else {
        return .serve
      }
      let arguments = queue.arguments(of: first)
      let key = arguments[Int(hot[Int(queue.requests[first].id.rawValue)].firstKey)]
      for i in queue.requests.indices where queue.requests[i].slot >= 0 {
        let known = hot[Int(queue.requests[i].id.rawValue)]
        count(queue.arguments(of: i), known, table, first: key, in: &tally)
      }
    }
    return verdict(state, asking: isAsking, keys: tally.side)
  }

  /// Ends a transaction without running it, if there is one, and all watching.
  mutating func discard(_ client: Int32) {
    unwatch(client)
    sessions[client].transaction = nil
    sessions[client].mode.remove([.multi, .asking])
  }
}
