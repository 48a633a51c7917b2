// What the rebalancer is told, in one place, and what follows from it once it was told.

extension Rebalancer {
  /// Takes in what has happened or is asked for at `now` (microseconds since 1970), and says what is
  /// to be done, in this order. Answers to flips that are over, and whatever else comes too late or
  /// twice, change nothing.
  public mutating func handle(_ input: Input, now: Int64) -> [Action] {
    do throws(RebalancerRefusal) {
      try take(input, now)
    } catch {
      actions.append(.rejected(error.description))
    }
    advance(now)
    defer { actions = [] }
    return actions
  }

  /// When a `.tick` is due at the latest, in microseconds since 1970; nil if nothing waits for time
  /// to pass.
  public var nextDeadline: Int64? {
    var deadlines = draining.map(\.asksAt)
    if current == nil {
      for work in active where !work.steps.isEmpty && work.opening.isEmpty {
        guard !isPaused || work.isManual else { continue }
        let throttle = work.isManual ? .min : throttledUntil
        deadlines.append(max(work.notBefore, throttle))
      }
    }
    if saving.changes > saving.saved, saving.writing == nil {
      let delay = current == nil ? .min : saving.lastBegan.addingSaturated(Rebalancer.saveInterval)
      deadlines.append(max(saving.notBefore, delay))
    }
    return deadlines.min()
  }

  private mutating func take(_ input: Input, _ now: Int64) throws(RebalancerRefusal) {
    switch input {
    case .resize(let id, let shards, let mode, let new):
      try beginResize(id, shards: shards, mode, new, now)
    case .rebalance(let id, let goal, let mode, let isAutomatic):
      try beginRebalance(id, goal, mode, isAutomatic, now)
    case .move(let blocks, let source, let mode):
      try beginMove(blocks, source: source, mode, now)
    case .assign(let id, let slots, let target): try beginAssign(id, slots, to: target, now)
    case .setSlot(let id, let slot, let target): try beginSetSlot(id, slot, to: target, now)
    case .bumpEpoch(let id, let shard): try beginBump(id, shard, now)
    case .announce(let id, let type, let address): try beginAnnounce(id, type, address, now)
    case .cancel(let id):
      guard let index = active.firstIndex(where: { $0.id == id && !$0.isManual }),
        active[index].outcome == nil
      else { throw RebalancerRefusal("No such job is in progress") }
      cancel(index, now)
    case .cancelAll:
      let listed = active.indices.filter { !active[$0].isManual && active[$0].outcome == nil }
      guard !listed.isEmpty else { throw RebalancerRefusal("No migrations ongoing") }
      for index in listed { cancel(index, now) }
    case .pause: isPaused = true
    case .resume: isPaused = false
    case .speed(let slots):
      guard (0...HashSlot.count).contains(slots) else {
        throw RebalancerRefusal(
          "Speed is 0 (as fast as can be) to \(HashSlot.count) slots a second")
      }
      speed = slots
      throttledUntil = .min
    case .note(let kind, let fields): record(kind, fields, now)
    case .shardOpened(let shard): opened(shard, now)
    case .shardNotOpened(let shard, let reason): notOpened(shard, reason, now)
    case .portUnused(let shard): closeUnused(shard)
    case .ready(let flip): ready(flip, now)
    case .refused(let flip, let refusal): refused(flip, refusal, now)
    case .progress(let flip, let keys, let bytes, let done):
      progress(flip, keys, bytes, done, now)
    case .released(let flip): released(flip, now)
    case .adopted(let flip, let keys, let bytes, let pause):
      adopted(flip, keys, bytes, pause, now)
    case .totals(let id, let keys, let bytes):
      guard let index = active.firstIndex(where: { $0.id == id }) else { return }
      active[index].record.keysTotal = keys
      active[index].record.bytesTotal = bytes
    case .save(let id): try beginSave(id, now)
    case .saved: saved(now)
    case .saveFailed(let reason): saveFailed(reason, now)
    case .tick: break
    }
  }

  // MARK: Shards that come

  private mutating func opened(_ shard: ShardID, _ now: Int64) {
    guard let index = active.firstIndex(where: { $0.opening.contains(shard) }) else { return }
    active[index].opening.remove(shard)
    active[index].record.updatedAt = now
    if active[index].opening.isEmpty { active[index].record.state = .moving }
  }

  private mutating func notOpened(_ shard: ShardID, _ reason: String, _ now: Int64) {
    guard let index = active.firstIndex(where: { $0.opening.contains(shard) }) else { return }
    active[index].opening.remove(shard)
    active[index].joining.removeAll { $0.id == shard }
    end(index, .failed("shard \(shard.number) could not be opened: \(reason)"), now)
  }

  // MARK: The end of jobs

  private mutating func cancel(_ index: Int, _ now: Int64) {
    active[index].record.state = .cancelling
    end(index, .cancelled, now)
  }

  /// Has a job do no more, and end in this way once the flip on its way is over and all is saved.
  /// Of its shards, those that have not joined are closed, those that have not left stay.
  mutating func end(_ index: Int, _ outcome: JobOutcome, _ now: Int64) {
    guard active[index].outcome == nil else { return }
    active[index].outcome = outcome
    active[index].steps = []
    active[index].leaving = []
    for shard in active[index].joining { actions.append(.closeShard(shard.id)) }
    active[index].joining = []
    active[index].opening = []
    active[index].lastChange = saving.changes
    active[index].record.updatedAt = now
    if case .failed(let reason) = outcome { active[index].record.message = reason }
  }

  // MARK: Saving

  private mutating func saved(_ now: Int64) {
    guard let writing = saving.writing else { return }
    saving.saved = writing
    saving.writing = nil
    guard let failure = saving.failure else { return }
    saving.failure = nil
    // This event is to be on disk too: the last word there shall not be that the topology is not saved.
    saving.changes += 1
    record(.topologySaved, [.init("duration-usec", now.addingSaturated(-failure.since))], now)
  }

  /// What has moved has moved, and jobs end as they would have; but a restart would find the topology as it was. It is tried again until it works.
  private mutating func saveFailed(_ reason: String, _ now: Int64) {
    guard let writing = saving.writing else { return }
    saving.writing = nil
    saving.notBefore = now.addingSaturated(Rebalancer.saveInterval)
    let isNew = saving.failure?.reason != reason
    saving.failure = SaveFailure(since: saving.failure?.since ?? now, reason: reason)
    if isNew { record(.topologyNotSaved, [.init("reason", reason)], now) }
    for index in active.indices where active[index].outcome != nil {
      guard !active[index].mustBeSaved else {
        if active[index].lastChange <= writing { active[index].outcome = .failed(reason) }
        continue
      }
      active[index].lastChange = 0
      if active[index].outcome != .success { continue }
      active[index].record.message = "topology not saved: \(reason)"
    }
  }

  private mutating func saveIfDue(_ now: Int64) {
    guard saving.changes > saving.saved, saving.writing == nil, now >= saving.notBefore else {
      return
    }
    let isBetweenFlips = current == nil
    guard isBetweenFlips || now >= saving.lastBegan.addingSaturated(Rebalancer.saveInterval) else {
      return
    }
    saving.writing = saving.changes
    saving.lastBegan = now
    actions.append(.save(topology))
  }

  // MARK: Onwards

  /// Does whatever can be done now: ends jobs, asks whether ports may be closed, begins the next flip, saves.
  private mutating func advance(_ now: Int64) {
    while current == nil, step(now) {}
    closeDrained(now)
    saveIfDue(now)
    endJobs(now)
  }

  /// The least time between two questions whether a port may be closed, in microseconds.
  private static let askInterval: Int64 = 1_000_000

  private mutating func closeDrained(_ now: Int64) {
    for place in draining.indices where draining[place].asksAt <= now {
      actions.append(.mayClose(draining[place].shard.id))
      draining[place].isOverdue = true
      draining[place].asksAt = now.addingSaturated(max(Rebalancer.askInterval, drainTimeout))
    }
  }

  private mutating func closeUnused(_ shard: ShardID) {
    guard let place = draining.firstIndex(where: { $0.shard.id == shard && $0.isOverdue }) else {
      return
    }
    draining.remove(at: place)
    actions.append(.closeShard(shard))
  }

  private mutating func endJobs(_ now: Int64) {
    var left: [Work] = []
    left.reserveCapacity(active.count)
    for var work in active {
      let isFlipping = current?.job == work.id
      guard let outcome = work.outcome, !isFlipping else {
        left.append(work)
        continue
      }
      let isWaiting = work.mustBeSaved ? outcome == .success : !work.isManual
      if isWaiting, work.lastChange > saving.saved {
        if work.record.state != .cancelling { work.record.state = .saving }
        left.append(work)
        continue
      }
      work.record.updatedAt = now
      work.record.state = .ended(outcome)
      if !work.isManual {
        tellEnd(of: work, outcome, now)
        if ended.count == Rebalancer.endedJobCapacity { ended.removeFirst() }
        ended.append(work.record)
      }
      actions.append(.finished(work.id, outcome))
    }
    active = left
  }

  // MARK: Events

  /// Records an event and has it told.
  mutating func record(_ kind: ClusterEvent.Kind, _ fields: [ClusterEvent.Field], _ now: Int64) {
    actions.append(.event(events.append(kind, fields, milliseconds: now / 1000)))
  }

  /// Tells that a job has begun.
  mutating func tellStart(of work: Work, _ now: Int64) {
    var fields = work.record.headFields
    fields.append(.init("slots", work.record.slotsTotal))
    record(.migrationStarted, fields, now)
  }

  private mutating func tellEnd(of work: Work, _ outcome: JobOutcome, _ now: Int64) {
    let kind: ClusterEvent.Kind =
      switch outcome {
      case .success: .migrationFinished
      case .cancelled: .migrationCancelled
      case .failed: .migrationFailed
      }
    var fields = work.record.headFields + work.record.figures(now: now)
    if case .failed(let reason) = outcome { fields.append(.init("reason", reason)) }
    if outcome == .success, let failure = saving.failure {
      fields.append(.init("note", "topology not saved: \(failure.reason)"))
    }
    record(kind, fields, now)
  }

  /// Tells how far a job is, once for each tenth.
  mutating func tellProgress(_ index: Int, _ now: Int64) {
    let job = active[index].record
    guard !active[index].isManual, job.slotsTotal > 0 else { return }
    let tenth = 10 * job.slotsDone / job.slotsTotal
    guard tenth > active[index].toldTenth, tenth < 10 else { return }
    active[index].toldTenth = tenth
    record(.migrationProgress, job.headFields + job.figures(now: now), now)
  }

  /// Tells of the jobs that the last run had begun and not ended.
  mutating func recordInterruptedJobs(now: Int64) {
    var open: [String: [ClusterEvent.Field]] = [:]
    var order: [String] = []
    for event in events.events {
      guard let job = event.value(of: "job") else { continue }
      switch event.kind {
      case .migrationStarted, .migrationProgress:
        if open[job] == nil { order.append(job) }
        open[job] = event.fields
      case .migrationFinished, .migrationCancelled, .migrationFailed: open[job] = nil
      case .shardCreated, .shardRemoved, .configurationChanged, .topologyNotSaved, .topologySaved:
        break
      }
    }
    for job in order {
      guard let fields = open.removeValue(forKey: job) else { continue }
      _ = events.append(
        .migrationFailed, fields + [.init("reason", "interrupted by restart")],
        milliseconds: now / 1000)
    }
  }
}

extension RebalancerJob {
  /// Which job it is.
  fileprivate var headFields: [ClusterEvent.Field] {
    var fields: [ClusterEvent.Field] = [
      .init("job", "\(id)"), .init("operation", operation.word.lowercased()),
      .init("mode", mode.rawValue),
    ]
    if isAutomatic { fields.append(.init("cause", "auto-rebalance")) }
    if case .resize(let shards) = operation { fields.append(.init("shards", shards)) }
    if let source { fields.append(.init("source", "\(source.nodeID)")) }
    if let target { fields.append(.init("target", "\(target.nodeID)")) }
    return fields
  }

  /// What it has done.
  fileprivate func figures(now: Int64) -> [ClusterEvent.Field] {
    [
      .init("slots", slotsDone), .init("slots-total", slotsTotal), .init("keys", keysDone),
      .init("bytes", bytesDone), .init("flips", flipCount),
      .init("duration-usec", duration(now: now)), .init("longest-pause-nsec", longestPause),
    ]
  }
}

extension Int64 {
  /// The sum, or the greatest number if that is greater still.
  func addingSaturated(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
}
