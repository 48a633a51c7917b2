internal import Engine
internal import Sharding

// What clients ask the control plane for, and what they are answered: at once, when a job has begun, or, of changes made by hand, when
// they are in force.

extension ControlPlane {
  /// Does what a client asks for.
  func serve(_ pending: PendingClusterRequest, from worker: Int) async {
    var pending = pending
    for request in pending.requests {
      pending.outcome = await outcome(of: request)
      if case .refused = pending.outcome { break }
    }
    mailboxes[worker].answer(pending)
  }

  private func outcome(of request: ClusterRequest) async -> ClusterOutcome {
    switch request {
    case .setSlot(let slot, to: let shard):
      return await byHand { .setSlot($0, slot, to: shard) }
    case .takeOver(let slot, to: let shard): return await takeOver(slot, shard)
    case .assign(let slots, to: let shard):
      return await byHand { .assign($0, slots: slots, to: shard) }
    case .unassign(let slots):
      let owners = rebalancer.topology.owners
      var owned = SlotSet()
      for slot in slots.slots where owners[slot] != nil { owned.insert(slot) }
      let ranges = owned.ranges
      return ranges.isEmpty ? .done : await byHand { .assign($0, slots: ranges, to: nil) }
    case .bumpEpoch(let shard):
      if rebalancer.wantsEpoch(shard) {
        let outcome = await byHand { .bumpEpoch($0, shard) }
        if case .refused = outcome { return outcome }
      }
      return .epoch(epoch(of: shard))
    case .setEpoch(let epoch, of: _):
      // Epochs only grow, with every change: the one that is there is as good as the one that is asked for, unless that is higher.
      return epoch <= rebalancer.topology.epoch
        ? .done : .refused("ERR The epoch grows with every change; it cannot be set")
    case .save:
      let outcome = await byHand { .save($0) }
      guard case .refused(let text) = outcome else { return outcome }
      return .refused("ERR error saving the cluster node config: \(text.dropFirst(4))")
    case .rebalance(let request): return await outcome(of: request)
    }
  }

  /// A slot changes its owner by hand although keys are left, which stay where they are (redis-cli's repair).
  private func takeOver(_ slot: HashSlot, _ shard: ShardID) async -> ClusterOutcome {
    guard let source = rebalancer.map.owner(of: slot) else {
      return await byHand { .assign($0, slots: [SlotRange(slot, slot)], to: shard) }
    }
    let worker = workers[home(of: source).worker]
    await worker.run { $0.setAside(slot) }
    let outcome = await byHand { .setSlot($0, slot, to: shard) }
    await worker.run { $0.setAside(nil) }
    return outcome
  }

  private func epoch(of shard: ShardID) -> ConfigEpoch {
    let map = rebalancer.map
    return map.index(of: shard).map { map.shards[$0].epoch } ?? map.epoch
  }

  /// A change that is made by hand: answered when it is in force.
  func byHand(_ input: (JobID) -> Rebalancer.Input) async -> ClusterOutcome {
    let job = Self.newJob()
    ends[job] = .some(nil)
    defer { ends[job] = nil }
    if case .rejected(let reason) = await inbox.ask(input(job)) { return .refused("ERR \(reason)") }
    if case .failed(let reason) = await end(of: job) { return .refused("ERR \(reason)") }
    return .done
  }

  /// How a job ends that `ends` knows of, when it has.
  private func end(of job: JobID) async -> JobOutcome {
    if case .some(.some(let outcome)) = ends[job] { return outcome }
    return await withCheckedContinuation { waiters[job] = $0 }
  }

  /// A job has ended.
  func finish(_ job: JobID, _ outcome: JobOutcome) {
    reshaping.remove(job)
    if let waiter = waiters.removeValue(forKey: job) {
      waiter.resume(returning: outcome)
    } else if ends[job] != nil {
      ends[job] = outcome
    }
  }

  // MARK: whole slots and shards

  private func outcome(of request: RebalanceRequest) async -> ClusterOutcome {
    switch request {
    case .resize(let count, let mode):
      return await resize(to: count, mode)
    case .rebalance(let goal, let mode, let isTrial):
      let goal = await slotGoal(goal)
      if isTrial { return trial(goal) }
      return await begin(.rebalance(Self.newJob(), goal: goal, mode: mode))
    case .status: return .reply(await status())
    case .cancel: return await begin(.cancelAll)
    case .pause: return await begin(.pause)
    case .resume: return await begin(.resume)
    case .speed(let slots): return await begin(.speed(slots))
    case .migrate(let blocks, let source):
      let jobs = blocks.map {
        Rebalancer.Block(job: Self.newJob(), slots: $0.slots, target: $0.target)
      }
      return await begin(.move(jobs, source: source, mode: .handOver))
    case .migrations(of: let shard): return .reply(migrations(of: shard))
    case .cancelMigrations(of: let shard): return await cancelMigrations(of: shard)
    case .events(let count, let since): return .reply(events(count, since))
    }
  }

  /// While slots are open by hand no shard comes or goes, and the other way round: one that has imported keys might leave with them.
  private func resize(to count: Int, _ mode: MigrationMode) async -> ClusterOutcome {
    let job = Self.newJob()
    reshaping.insert(job)
    for worker in workers where await worker.run({ $0.hasOpenSlots }) == true {
      // Those that a job of ours moves along a cursor are told by the state machine.
      if rebalancer.isBusy { break }
      reshaping.remove(job)
      return .refused("ERR Slots are being moved by hand; redis-cli --cluster fix ends that")
    }
    let outcome = await begin(.resize(job, shards: count, mode: mode, new: newShards(count)))
    if case .refused = outcome { reshaping.remove(job) }
    return outcome
  }

  private func begin(_ input: Rebalancer.Input) async -> ClusterOutcome {
    if case .rejected(let reason) = await inbox.ask(input) { return .refused("ERR \(reason)") }
    return .reply(.ok)
  }

  private func slotGoal(_ goal: RebalanceRequest.Goal) async -> SlotGoal {
    switch goal {
    case .byCount: return .byCount
    case .byWeight(let weights):
      var byShard: [ShardID: Double] = [:]
      for shard in rebalancer.topology.shards {
        if let weight = weights[shard.nodeID] { byShard[shard.id] = weight }
      }
      return .byWeight(byShard)
    case .byLoad:
      let before = await loads()
      try? await Task.sleep(for: Self.loadWindow)
      let after = await loads()
      let recent = zip(after, before).map { $0 > $1 ? $0 - $1 : 0 }
      // Where little has happened lately: what has cost most so far. An idle cluster has no load at all.
      let measured = [recent, after].first { $0.reduce(0, &+) >= Self.leastLoad }
      return .byLoad(measured ?? [UInt64](repeating: 0, count: HashSlot.count))
    }
  }

  /// The processor time, in nanoseconds, that makes a load: a plan by less would follow chance.
  private static let leastLoad: UInt64 = 10_000_000
  /// How long loads are measured for.
  private static let loadWindow = Duration.seconds(1)

  /// What every slot has cost so far, in nanoseconds of processor time.
  func loads() async -> [UInt64] {
    var sum = [UInt64](repeating: 0, count: HashSlot.count)
    for worker in workers {
      guard let loads = await worker.run({ $0.slotLoads() }) else { continue }
      for slot in sum.indices { sum[slot] &+= loads[slot] }
    }
    return sum
  }

  private func cancelMigrations(of shard: ShardID?) async -> ClusterOutcome {
    let wanted = rebalancer.jobs.filter { job in
      guard !job.state.isEnded, case .move = job.operation else { return false }
      return shard == nil || job.source?.id == shard
    }
    if wanted.isEmpty { return .refused("ERR No migrations ongoing") }
    for job in wanted { _ = await inbox.ask(.cancel(job.id)) }
    return .reply(.ok)
  }

  // MARK: answers

  private func name(_ id: ShardID?) -> String {
    guard let id, let index = rebalancer.map.index(of: id) else { return "" }
    return rebalancer.map.shards[index].nodeID.description
  }

  /// REBALANCE … DRYRUN: the moves, and what they lead to.
  private func trial(_ goal: SlotGoal) -> ClusterOutcome {
    let plan: SlotPlan
    do throws(RebalancerRefusal) { plan = try rebalancer.planRebalance(goal: goal) } catch {
      return .refused("ERR \(error)")
    }
    let moves = plan.moves.map { move in
      ReplyTree.map([
        .init("source", .text(name(move.source))), .init("target", .text(name(move.target))),
        .init("slots", .integer(move.slotCount)), .init("ranges", .text(Self.text(move.slots))),
      ])
    }
    var fields: [ReplyTree.Field] = [
      .init("slots", .integer(plan.slotCount)), .init("moves", .list(moves)),
      .init("hot-slots", .list(plan.hotSlots.map { .integer($0.index) })),
    ]
    if !plan.message.isEmpty { fields.append(.init("message", .text(plan.message))) }
    if let spread = plan.loadSpread {
      fields.append(.init("load-spread-before-percent", .text(Self.text(100 * spread.before))))
      fields.append(.init("load-spread-after-percent", .text(Self.text(100 * spread.after))))
    }
    return .reply(.map(fields))
  }

  /// REBALANCE STATUS.
  private func status() async -> ReplyTree {
    let status = rebalancer.status(now: now)
    let job = status.job
    let holdings = await holdings(of: status.shards)
    let shards = status.shards.map { shard in
      let held = holdings[shard.shard.id]
      return ReplyTree.map([
        .init("shard", .integer(Int(shard.shard.id.number))),
        .init("id", .text(shard.shard.nodeID.description)),
        .init("address", .text("\(shard.shard.address.host):\(shard.shard.address.port)")),
        .init("status", .text(shard.state.rawValue)), .init("slots", .integer(shard.slotCount)),
        .init("keys", .integer(held?.keyCount ?? 0)),
        .init("memory-bytes", .integer(held?.byteCount ?? 0)),
        .init("ops-per-second", .integer(Int(held?.commandsPerSecond ?? 0))),
      ])
    }
    let state =
      job.map { status.isPaused && !$0.state.isEnded ? "paused" : $0.state.word } ?? "idle"
    return .map([
      .init("job", .text(job?.id.description ?? "")),
      .init("operation", .text(job?.operation.word.lowercased() ?? "")),
      .init("mode", .text(job?.mode.rawValue ?? "")), .init("state", .text(state)),
      .init("percent", .text(Self.text(status.percent))),
      .init("slots-done", .integer(job?.slotsDone ?? 0)),
      .init("slots-total", .integer(job?.slotsTotal ?? 0)),
      .init("keys-done", .integer(job?.keysDone ?? 0)),
      .init("bytes-done", .integer(job?.bytesDone ?? 0)),
      .init("slots-per-second", .integer(Int(status.slotsPerSecond))),
      .init("time-left-ms", .integer(status.timeLeft.map { Int($0 / 1000) } ?? -1)),
      .init("duration-usec", .integer(Int(job?.duration(now: now) ?? 0))),
      .init("longest-pause-usec", .integer(Int(job?.longestPause ?? 0) / 1000)),
      .init("speed", .integer(status.speed)), .init("message", .text(job?.message ?? "")),
      .init("topology-unsaved-since", .integer(Int((status.unsaved?.since ?? 0) / 1000))),
      .init("topology-unsaved-reason", .text(status.unsaved?.reason ?? "")),
      .init("auto-rebalance", .text(settings.autoRebalance.rawValue)),
      .init("auto-rebalance-state", .text(whyNot.description)),
      .init("shards", .list(shards)),
    ])
  }

  /// What shards hold; those that are being opened hold nothing yet. One job for each worker, however many shards it has.
  private func holdings(of shards: [ShardStatus]) async -> [ShardID: Holdings] {
    var all: [ShardID: Holdings] = [:]
    for worker in workers.indices {
      let ids = shards.filter { $0.state != .creating }.map(\.shard.id)
        .filter { home(of: $0).worker == worker }
      let locals = ids.map { home(of: $0).local }
      let held = await workers[worker].run { engine in
        locals.map { engine.holdings(ofShard: $0) }
      }
      for (id, holdings) in zip(ids, held ?? []) { all[id] = holdings }
    }
    return all
  }

  /// GETSLOTMIGRATIONS: one entry a job at its source, another at its target; of all shards for those who ask about all.
  private func migrations(of shard: ShardID?) -> ReplyTree {
    var entries: [ReplyTree] = []
    for job in rebalancer.jobs {
      guard case .move = job.operation else { continue }
      if shard == nil || job.source?.id == shard { entries.append(entry(job, "EXPORT")) }
      if shard == nil || job.target?.id == shard { entries.append(entry(job, "IMPORT")) }
    }
    return .list(entries)
  }

  private func entry(_ job: RebalancerJob, _ operation: String) -> ReplyTree {
    .map([
      .init("name", .text(job.id.description)), .init("operation", .text(operation)),
      // Both ends of each, as Valkey writes them.
      .init(
        "slot_ranges",
        .text(
          job.slots.map { "\($0.first.number)-\($0.last.number)" }.joined(separator: " "))),
      .init("target_node", .text(job.target?.nodeID.description ?? "")),
      .init("source_node", .text(job.source?.nodeID.description ?? "")),
      .init("create_time", .integer(Int(job.createdAt / 1_000_000))),
      .init("last_update_time", .integer(Int(job.updatedAt / 1_000_000))),
      .init("last_ack_time", .integer(Int(job.acknowledgedAt / 1_000_000))),
      .init("state", .text(job.state.word)), .init("message", .text(job.message)),
      .init("cow_size", .integer(0)), .init("remaining_repl_size", .integer(0)),
      .init("percent", .text(Self.text(job.percent))),
      .init("slots_done", .integer(job.slotsDone)), .init("slots_total", .integer(job.slotsTotal)),
      .init("keys_done", .integer(job.keysDone)),
      .init("keys_total", .integer(job.keysTotal ?? job.keysDone)),
      .init("bytes_done", .integer(job.bytesDone)),
      .init("bytes_total", .integer(job.bytesTotal ?? job.bytesDone)),
      .init("slots_per_second", .integer(Int(job.slotsPerSecond(now: now)))),
      .init("longest_pause_usec", .integer(Int(job.longestPause / 1000))),
    ])
  }

  /// EVENTS: oldest first.
  private func events(_ count: Int, _ since: UInt64) -> ReplyTree {
    .list(
      rebalancer.events.events(after: since, count: count).map { event in
        .map(
          [
            .init("id", .integer(Int(clamping: event.id))),
            .init("time", .integer(Int(event.milliseconds))),
            .init("event", .text(event.kind.rawValue)),
          ] + event.fields.map { .init($0.name, .text($0.value)) })
      })
  }

  /// `0-99 200 300-301`
  private static func text(_ slots: [SlotRange]) -> String {
    slots.map(\.description).joined(separator: " ")
  }

  /// With one decimal.
  private static func text(_ number: Double) -> String {
    let tenths = (number * 10).rounded()
    guard abs(tenths) < 1e15 else { return "0.0" }
    return "\(Int(tenths) / 10).\(abs(Int(tenths)) % 10)"
  }
}
