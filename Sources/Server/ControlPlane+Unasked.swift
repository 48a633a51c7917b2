internal import Engine
internal import Sharding

// What the control plane does without a client that asks for slots or shards: it tells clients other addresses when settings say so, and
// looks at loads for `auto-rebalance`.

extension ControlPlane {
  /// Settings have changed from these: clients are told the addresses that they say now.
  func configured(_ before: Settings) async {
    if before.autoRebalance != settings.autoRebalance
      || before.autoRebalanceInterval != settings.autoRebalanceInterval
    {
      if before.autoRebalance == .off { auto = AutoRebalance() }
      whyNot = settings.autoRebalance == .off ? .off : .measuring
      awaitSample()
    }
    var addresses: [ShardID: EndpointAddress] = [:]
    for shard in rebalancer.status(now: now).shards.map(\.shard) {
      addresses[shard.id] = address(shard)
    }
    let known = addresses
    let outcome = await byHand {
      .announce($0, settings.endpointType, address: { known[$0.id] })
    }
    if case .refused(let reason) = outcome {
      process.log.warning("clients are not told the new addresses", ["why": reason])
    }
  }

  /// Has a sample be taken an interval from now, if loads are of interest.
  func awaitSample() {
    nextSample += 1
    guard settings.autoRebalance != .off else { return }
    let pause = Duration.milliseconds(settings.autoRebalanceInterval)
    Task { [inbox, number = nextSample] in
      try? await Task.sleep(for: pause)
      inbox.post(sample: number)
    }
  }

  /// Looks at what slots have cost, and has them be dealt anew if that is called for.
  func sample() async {
    defer { awaitSample() }
    let epoch = rebalancer.topology.epoch
    var isCalm = !rebalancer.isBusy && !rebalancer.isPaused
    for worker in workers where isCalm {
      if await worker.run({ $0.hasOpenSlots }) != false { isCalm = false }
    }
    let costs = await loads()
    // While counters were read none may have been on its way from shard to shard.
    isCalm = isCalm && !rebalancer.isBusy && rebalancer.topology.epoch == epoch
    let topology = rebalancer.topology
    let decision = auto.decide(
      settings.autoRebalance,
      AutoRebalance.Sample(
        time: now, costs: costs, owners: topology.owners, shards: topology.shards.map(\.id),
        isCalm: isCalm))
    switch decision {
    case .wait(let reason):
      if case .hotSlot(let slot) = reason, whyNot != reason {
        process.log.warning(
          "one slot is hotter than a shard's share: loads cannot be made equal",
          ["slot": "\(slot.number)"])
      }
      whyNot = reason
    case .begin(let goal, let plan):
      whyNot = .changing
      let spread = plan.loadSpread.map {
        "\(Int(100 * $0.before)) to \(Int(100 * $0.after))"
      }
      process.log.notice(
        "rebalancing unasked",
        [
          "by": settings.autoRebalance.rawValue, "slots": "\(plan.slotCount)",
          "percent": spread ?? "",
        ])
      let job = Self.newJob()
      let verdict = await take(
        .rebalance(job, goal: goal, mode: .handOver, isAutomatic: true))
      if case .rejected(let reason) = verdict {
        process.log.warning("nothing is rebalanced", ["why": reason])
      }
    }
  }
}
