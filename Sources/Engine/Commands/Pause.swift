internal import RESP
internal import Storage

// CLIENT PAUSE and UNPAUSE. A pause is a mode of every session of the shard, so that those of other shards are not slowed down; the first
// command of a session that it concerns is put off with its arguments, the session is parked, and both go on when the pause is over.

/// A shard whose clients are paused.
struct Pause {
  /// Its local index, or `Session.endpoint`.
  var shard: Int32
  /// Whether commands that change nothing wait too.
  var includesReads: Bool
  /// Unix milliseconds.
  var until: Int64
}

/// A request that waits for the end of a pause, or until a key of it has arrived elsewhere.
final class Postponed {
  let client: ClientID
  /// The client's id: its place may have another one by then.
  let clientNumber: UInt64
  /// The request, alone.
  var queue = CommandQueue()
  /// What it waits for, if it is a flight.
  var flight: UInt64? = nil
  /// ASKING was sent before it.
  var isAsking = false
  /// It waits for its client's round, and then stops the workers that it concerns; and it has begun to.
  var isJoint = false
  var isBegun = false

  init(client: ClientID, clientNumber: UInt64) {
    self.client = client
    self.clientNumber = clientNumber
  }
}

extension Engine {
  /// CLIENT PAUSE milliseconds [WRITE|ALL].
  mutating func clientPause(_ call: Call) -> Effect {
    var includesReads = true
    if call.count > 4 { return subcommandSyntaxError(call) }
    if call.count == 4 {
      switch Word(call[3]) {
      case "WRITE": includesReads = false
      case "ALL": break
      default: return failing("ERR CLIENT PAUSE mode must be WRITE or ALL")
      }
    }
    guard let milliseconds = call[2].integer() else {
      return failing("ERR timeout is not an integer or out of range")
    }
    if milliseconds < 0 { return failing("ERR timeout is negative") }
    let (sum, overflow) = now.addingReportingOverflow(milliseconds)
    for shard in pausedShards {
      pause(shard, until: overflow ? .max : sum, includesReads: includesReads)
    }
    reply.ok()
    return .none
  }

  /// Pauses the clients of a shard; of two pauses at once the longer and the stricter holds.
  private mutating func pause(_ shard: Int32, until: Int64, includesReads: Bool) {
    if let i = pauses.firstIndex(where: { $0.shard == shard }) {
      pauses[i].until = max(pauses[i].until, until)
      pauses[i].includesReads = pauses[i].includesReads || includesReads
      return
    }
    pauses.append(Pause(shard: shard, includesReads: includesReads, until: until))
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && sessions[index].shard == shard {
      sessions[index].mode.insert(.paused)
    }
  }

  /// CLIENT UNPAUSE.
  mutating func clientUnpause(_ call: Call) -> Effect {
    for shard in pausedShards {
      pauses.removeAll { $0.shard == shard }
      endPause(of: shard)
    }
    reply.ok()
    return .none
  }

  /// Whose clients the current one pauses: its shard's; at the router those of all shards, and the router's.
  private var pausedShards: [Int32] {
    let shard = sessions[current].shard
    return shard == Session.endpoint ? [shard] + shards.indices.map(Int32.init) : [shard]
  }

  /// What comes from clients of a shard is run again; what was put off follows with the next housekeeping.
  private mutating func endPause(of shard: Int32) {
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && sessions[index].shard == shard {
      sessions[index].mode.remove(.paused)
    }
  }

  /// Whether a command has to wait. QUIT never does.
  func isPaused(_ call: Call) -> Bool {
    let shard = sessions[current].shard
    guard call.id != .quit, let pause = pauses.first(where: { $0.shard == shard }) else {
      return false
    }
    return pause.includesReads || does(call, .write)
  }

  /// Keeps a request, whole, until the pause is over; nothing of its client runs before.
  mutating func postpone(_ call: Call, until flight: UInt64? = nil) {
    let postponed = Postponed(
      client: ClientID(index: current), clientNumber: sessions[current].id)
    postponed.flight = flight
    postponed.isAsking = call.slot >= 0 && wasAsking
    do throws(OutOfMemory) {
      try postponed.queue.append(call, large: large, isDeniedWithoutMemory: false)
    } catch { return abandon(current) }
    // It will begin once more.
    if sessions[current].mode.contains(.skipping) {
      sessions[current].mode.remove(.skipping)
      sessions[current].mode.insert(.skipNext)
    }
    sessions[current].mode.insert(.parked)
    self.postponed.append(postponed)
  }

  /// Ends pauses whose time is over, and runs what was put off by those that have ended.
  mutating func finishPauses() {
    for pause in pauses where pause.until <= now {
      pauses.removeAll { $0.shard == pause.shard }
      endPause(of: pause.shard)
    }
    if postponed.isEmpty { return }
    // One of those that go on may pause the shard anew; what that concerns is put off again.
    let paused = pauses.map(\.shard)
    for one in postponed.takeAll() {
      let index = one.client.index
      guard sessions.contains(index), sessions[index].id == one.clientNumber else { continue }
      let isHeld = one.flight.map { flight in flights.contains { $0.number == flight } } ?? false
      if isHeld || one.flight == nil && paused.contains(sessions[index].shard) {
        postponed.append(one)
        continue
      }
      sessions[index].mode.remove(.parked)
      if !sessions[index].mode.contains(.closing) { resume(one, of: index) }
      goOn(index)
    }
  }
}
