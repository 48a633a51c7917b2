internal import RESP
internal import Storage

// WAIT and WAITAOF. There are no replicas and no append-only file, so that whoever asks for some waits until his time is over.

/// A client that waits, and what it is answered when its time is over.
struct Waiting {
  var client: ClientID
  /// The client's id: its place may have another one by then.
  var clientNumber: UInt64
  /// Unix milliseconds; nil: as long as the client stays.
  var deadline: Int64?
  var reply: WaitReply
  /// Its wait was ended with an error by another client.
  var isUnblocked = false
}

/// What WAIT and WAITAOF answer when nobody has acknowledged anything.
enum WaitReply {
  case replicas, files
}

extension Engine {
  /// WAIT replicas timeout.
  mutating func wait(_ call: Call) -> Effect {
    guard let replicas = call[1].integer() else { return notAnInteger() }
    guard let deadline = waitDeadline(call[2]) else { return .none }
    // EXEC cannot wait: what is known now is the answer.
    if replicas <= 0 || isInTransaction {
      answer(.replicas)
    } else {
      wait(until: deadline, .replicas)
    }
    return .none
  }

  /// WAITAOF local replicas timeout.
  mutating func waitaof(_ call: Call) -> Effect {
    guard let local = call[1].integer() else { return notAnInteger() }
    guard (0...1).contains(local) else {
      return failing("ERR value is out of range, value must between 0 and 1")
    }
    guard let replicas = call[2].integer(), replicas >= 0 else {
      return failing("ERR value is out of range, must be positive")
    }
    guard let deadline = waitDeadline(call[3]) else { return .none }
    if local > 0 {
      return failing(
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    }
    if replicas == 0 || isInTransaction { answer(.files) } else { wait(until: deadline, .files) }
    return .none
  }

  /// When a wait of so many milliseconds ends, nil inside for never; nil if it was refused and answered.
  private mutating func waitDeadline(_ argument: RawSpan) -> Int64?? {
    guard let milliseconds = argument.integer() else {
      fail("ERR timeout is not an integer or out of range")
      return nil
    }
    if milliseconds < 0 {
      fail("ERR timeout is negative")
      return nil
    }
    if milliseconds == 0 { return .some(nil) }
    let (moment, overflow) = now.addingReportingOverflow(milliseconds)
    return .some(overflow ? nil : moment)
  }

  private mutating func answer(_ kind: WaitReply) {
    switch kind {
    case .replicas: reply.integer(0)
    case .files:
      reply.arrayHeader(2)
      reply.integer(0)
      reply.integer(0)
    }
  }

  /// Nothing of this client runs until then.
  private mutating func wait(until deadline: Int64?, _ kind: WaitReply) {
    sessions[current].mode.insert(.parked)
    waiting.append(
      Waiting(
        client: ClientID(index: current), clientNumber: sessions[current].id, deadline: deadline,
        reply: kind))
  }

  /// Whether a client is parked by its own will.
  func isWaiting(_ client: ClientID) -> Bool {
    !waiting.isEmpty && waiting.contains { $0.client == client }
      || !postponed.isEmpty && postponed.contains { $0.client == client }
  }

  /// The Unix milliseconds at which the next waiting client is to be answered; nil if none has a deadline.
  public var nextDeadline: Int64? {
    var next: Int64? = nil
    for one in waiting {
      if let deadline = one.deadline { next = min(next ?? deadline, deadline) }
    }
    if !router.late.isEmpty { next = min(next ?? .max, router.nextLate) }
    for pause in pauses { next = min(next ?? pause.until, pause.until) }
    return next
  }

  /// Ends the wait of a client whose id that is, by its time or by an error; whether it waits. It goes on with the next housekeeping.
  mutating func unblock(_ number: UInt64, ofShard shard: Int32, withError: Bool) -> Bool {
    guard
      let i = waiting.firstIndex(where: { one in
        one.clientNumber == number && sessions.contains(one.client.index)
          && (shard == Session.endpoint || sessions[one.client.index].shard == shard)
      })
    else { return false }
    waiting[i].deadline = .min
    waiting[i].isUnblocked = withError
    return true
  }

  /// Answers those whose time is over, and runs what they sent meanwhile.
  mutating func finishWaits() {
    var over: [Waiting] = []
    let now = now
    waiting.removeAll { one in
      guard let deadline = one.deadline, deadline <= now else { return false }
      over.append(one)
      return true
    }
    for one in over {
      let index = one.client.index
      guard sessions.contains(index), sessions[index].id == one.clientNumber else { continue }
      sessions[index].mode.remove(.parked)
      beginAnswer(to: index)
      if one.isUnblocked {
        fail("UNBLOCKED client unblocked via CLIENT UNBLOCK")
      } else {
        answer(one.reply)
      }
      endAnswer(to: index)
      goOn(index)
    }
  }
}
