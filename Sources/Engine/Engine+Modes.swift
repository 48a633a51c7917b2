internal import RESP
internal import Storage

// What stands in the way of a command of a session that is in some mode: who it is, what it may touch, whether its shard is paused, and
// whether it wants replies. All of it is off the way of a session that is in none.
//
// The order is Redis's: unknown, arity, authentication, slots, monitors, pauses, memory, queue.

extension Engine {
  /// Whether a command may be looked at at all, whatever its keys; if not, it has been answered. The first of the tests of a session in
  /// some mode, once for every command.
  @inline(never)
  mutating func isAllowed(_ call: Call) -> Bool {
    let mode = sessions[current].mode
    if !mode.isDisjoint(with: .quiet) { turnReplies() }
    if mode.contains(.noTouch) { touchClock = .max }
    if mode.contains(.unauthenticated), !settings.requirePass.isEmpty,
      !CommandTable.all[Int(call.id.rawValue)].flags.contains(.noAuth)
    {
      if call.id == .exec {
        failExec("NOAUTH Authentication required.")
      } else {
        fail("NOAUTH Authentication required.")
      }
      return false
    }
    return true
  }

  /// Whether a command that is served here may run or be queued now; if not, it has been answered, or put off until a pause is over.
  @inline(never)
  mutating func isUnhindered(_ call: Call) -> Bool {
    let mode = sessions[current].mode
    if mode.isDisjoint(with: [.monitor, .paused]) { return true }
    if mode.contains(.monitor) {
      // A monitor is a kind of replica to Redis: never paused, and kept from the keys.
      if !does(call, [.write, .readonly]) { return true }
      fail("ERR Replica can't interact with the keyspace")
      return false
    }
    guard isPaused(call) else { return true }
    postpone(call)
    return false
  }

  /// Whether a command has one of these flags, or is the EXEC of one that has.
  func does(_ call: Call, _ flags: CommandFlags) -> Bool {
    if !CommandTable.all[Int(call.id.rawValue)].flags.isDisjoint(with: flags) { return true }
    guard call.id == .exec, let transaction = sessions[current].transaction else { return false }
    return transaction.queue.contains(flags)
  }

  /// A command begins, or is refused: whether it is answered (CLIENT REPLY).
  mutating func turnReplies() {
    let mode = sessions[current].mode
    sessions[current].mode.remove([.skipNext, .skipping])
    if mode.contains(.skipNext) { sessions[current].mode.insert(.skipping) }
    reply.setSilent(!mode.isDisjoint(with: [.replyOff, .skipNext]))
  }

  /// The shard of the session whose requests are run has this place in lists by shard.
  var currentPlace: Int { Self.page(ofShard: sessions[current].shard) }
}

extension CommandQueue {
  /// Whether a command with one of these flags waits.
  func contains(_ flags: CommandFlags) -> Bool {
    for i in requests.indices
    where !CommandTable.all[Int(requests[i].id.rawValue)].flags.isDisjoint(with: flags) {
      return true
    }
    return false
  }
}
