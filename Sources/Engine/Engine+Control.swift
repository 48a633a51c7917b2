internal import RESP
internal import Sharding
internal import Storage

// Control requests (DESIGN §9): how one begins here, is applied on every worker, and is answered.

extension Engine {
  /// Sends a change of the whole process on its way; the client waits, and nothing of it runs meanwhile.
  ///
  /// In EXEC the others of its queue are run first: `OK` is written in its place, and the whole reply is held until it is true. What is
  /// set can be read at once, but only here.
  mutating func park(for request: ControlRequest) {
    if isInTransaction, let transaction = sessions[current].transaction {
      transaction.add(request)
      if case .configure(let changes) = request { configure(changes) }
      return reply.ok()
    }
    sessions[current].mode.insert(.parked)
    controlRequests.append(
      PendingControl(
        client: ClientID(index: current), clientNumber: sessions[current].id, request: request))
  }

  /// The control requests that began here since the last call, for the sequencer.
  public mutating func takeControlRequests() -> [PendingControl] {
    controlRequests.takeAll()
  }

  /// The numbers of the changes applied since the last call, to be acknowledged, and what the server itself must carry out of them.
  public mutating func takeAppliedControls() -> [(number: UInt64, request: ControlRequest)] {
    appliedControls.takeAll()
  }

  /// The settings in force on this worker.
  public var currentSettings: Settings { settings }

  /// Applies a change; `receive` and the mailbox bring them in the order of their numbers.
  mutating func apply(_ request: ControlRequest, number: UInt64) {
    switch request {
    case .configure(let changes):
      configure(changes)
    case .resetStatistics:
      for page in 0..<ledger.count {
        ledger[page] = Statistics()
        ledger[page].sampledAt = now
      }
      sweepNanoseconds = 0
      totals = WorkerTotals(Statistics())
      latencies.removeAll()
      upkeep = Upkeep()
      keyspace.resetGrowthFigures()
      for slot in 0..<HashSlot.count { keyspace.resetStatistics(of: slot) }
      for open in openSlots { keyspace.resetStatistics(of: open.table) }
    case .rewriteConfiguration: break
    case .shutdown:
      isDraining = true
    case .sweepExpired(let isOn):
      sweepsExpired = isOn
    }
    appliedControls.append((number, request))
  }

  private mutating func configure(_ changes: [(name: String, value: String)]) {
    for change in changes {
      // Checked by the worker that took the command, against the same table.
      var changed = settings
      do throws(SettingError) { try changed.set(change.name, to: change.value) } catch { continue }
      settings = changed
    }
    applySettings()
    if changes.contains(where: { $0.name == "maxmemory-clients" }) { limitClients() }
  }

  /// All workers have applied a client's request: it is answered, and what it sent meanwhile is run.
  mutating func complete(_ pending: PendingControl) {
    let index = pending.client.index
    // The client may be gone, and another one in its place.
    guard sessions.contains(index), sessions[index].id == pending.clientNumber else { return }
    if current >= 0 || isStopped {
      // Another client's requests are being run, or nobody's may be: this one is answered afterwards, in `finishCompleted`.
      completedWhileBusy.append(pending)
      return
    }
    if let transaction = sessions[index].transaction, transaction.controlsUnderWay > 0 {
      // EXEC has written its reply already; with the last of its changes in force it may leave.
      return releaseReplies(of: index)
    }
    sessions[index].mode.remove(.parked)
    beginAnswer(to: index)
    if let failure = pending.failure {
      reply.append(text: "-ERR \(failure)\r\n")
    } else {
      reply.ok()
    }
    endAnswer(to: index)
    goOn(index)
  }

  /// What follows is appended to the replies of a client that waited for it. No request is being run.
  mutating func beginAnswer(to index: Int32) {
    swap(&reply.queue, &sessions[index].output)
    reply.version = sessions[index].version
    reply.setSilent(!sessions[index].mode.isDisjoint(with: [.replyOff, .skipping]))
  }

  /// The answer is written.
  mutating func endAnswer(to index: Int32) {
    swap(&reply.queue, &sessions[index].output)
    if reply.finish() { abandon(index) }
  }

  /// Runs what a client has sent while it waited.
  mutating func goOn(_ index: Int32) {
    sessions[index].wish.remove(.gathering)
    runKept(index)
    wantLarge(index)
    list(index)
  }

  /// Whether there is something to exchange with the sequencer, the authority or other servers, or to answer for them, or
  /// for other workers. Asked once a turn.
  public var hasControls: Bool {
    let isNone =
      controlRequests.isEmpty && appliedControls.isEmpty && completedWhileBusy.isEmpty
      && clusterRequests.isEmpty && clusterAnswersWhileBusy.isEmpty && migrations.isEmpty
      && migrationAnswers.isEmpty && router.keptMail.isEmpty && router.arrived.isEmpty
      && router.ready.isEmpty
      && router.monitors.isEmpty
    return !isNone
  }

  /// Answers what was completed while other requests were run.
  public mutating func finishCompleted() {
    finishAnswers()
    workHops()
    finishReady()
    if !router.monitors.isEmpty { tellRemoteMonitors() }
    for pending in completedWhileBusy.takeAll() { complete(pending) }
  }
}
