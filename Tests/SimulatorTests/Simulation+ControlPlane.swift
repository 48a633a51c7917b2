// The control plane: the rebalancer, its actions, and those who ask it for something.
import Sharding

/// What the control plane knows besides the rebalancer.
struct ControlPlane {
  /// What workers have told, and when it arrives.
  var answers: [(due: Int, input: Rebalancer.Input)] = []
  /// Flips whose source has published. What a target says before that waits: between its push and
  /// its publication a source may sleep, and the next flip would overtake its map.
  var released: Set<UInt64> = []
  /// Adoptions that wait for the source's word.
  var early: [UInt64: Rebalancer.Input] = [:]
  /// The last job that was asked for.
  var lastJob = 0
  /// Who waits for a job by hand at the end of which connection.
  var waiting: [JobID: Int] = [:]
  /// `refusedFlipStaysInMap`: the flips that were refused.
  var refusedFlips: [Rebalancer.Flip] = []
  /// The slots whose tables were dropped and not made again.
  var unassigned: Set<Int> = []

  /// The name of the next job.
  mutating func nextJob() -> JobID {
    lastJob += 1
    return JobID(Simulation.name(1000 + lastJob))
  }
}

extension Simulation {
  /// A step is a millisecond.
  private var time: Int64 { Int64(now) * 1000 }

  /// Takes in an answer, or lets time pass, or asks for a job.
  mutating func stepControl() {
    if let first = control.answers.firstIndex(where: { $0.due <= now }) {
      return receive(control.answers.remove(at: first).input)
    }
    if numbers.chance(100), let deadline = rebalancer.nextDeadline, deadline <= time {
      return handle(.tick)
    }
    if !isHealing, numbers.chance(options.eagerness) { askForJob() }
    if isHealing, numbers.chance(50) { heal() }
  }

  private mutating func receive(_ input: Rebalancer.Input) {
    switch input {
    case .released(let flip):
      control.released.insert(flip)
      handle(input)
      if let adopted = control.early.removeValue(forKey: flip) { handle(adopted) }
    case .adopted(let flip, _, _, _) where !control.released.contains(flip):
      control.early[flip] = input
    default: handle(input)
    }
  }

  /// Has the rebalancer take something in, and does what it says.
  mutating func handle(_ input: Rebalancer.Input) {
    trace("rebalancer: \(input)")
    for action in rebalancer.handle(input, now: time) { perform(action) }
  }

  private mutating func perform(_ action: Rebalancer.Action) {
    switch action {
    case .accepted, .rejected, .event: break
    case .openShard(let shard, let predecessor):
      let index = Int(shard.id.number) - 1
      if predecessor != nil { hit(.portTakenOver) }
      if numbers.chance(30) {
        return later(.shardNotOpened(shard.id, reason: "no port"))
      }
      shards[index].id = shard.id
      hit(.shardOpened)
      later(.shardOpened(shard.id))
    case .retireShard: hit(.shardRetired)
    case .mayClose(let id): if isHealing || numbers.chance(500) { later(.portUnused(id)) }
    case .closeShard(let id): if let index = port(of: id) { shards[index].id = nil }
    case .prepare(let flip):
      if let target = flip.target { send(.prepare(flip), to: Int(target.number) - 1, by: .control) }
    case .migrate(let flip):
      if let target = flip.target {
        send(.openImport(flip), to: Int(target.number) - 1, by: .control)
      }
    case .handOver(let flip, let map):
      guard let end = flip.source ?? flip.target else { return }
      send(.handOver(flip, withRefusedFlips(map)), to: Int(end.number) - 1, by: .control)
    case .publish(let map): publish(map, worker: 0)
    case .save:
      if !isHealing, numbers.chance(50) {
        hit(.saveFailed)
        later(.saveFailed(reason: "the disk is full"))
      } else {
        later(.saved)
      }
    case .finished(let job, let outcome):
      if outcome == .cancelled { hit(.cancelledJob) }
      guard let ticket = control.waiting.removeValue(forKey: job) else { return }
      reply(outcome == .success ? .ok : .error, ticket: ticket)
    }
  }

  private mutating func later(_ input: Rebalancer.Input) {
    control.answers.append((due(after: now), input))
  }

  /// `refusedFlipStaysInMap`: the map as if every flip had been made.
  private mutating func withRefusedFlips(_ map: ClusterMap) -> ClusterMap {
    var owners = map.owners
    for flip in control.refusedFlips {
      guard let target = flip.target.flatMap({ map.index(of: $0) }) else { continue }
      for range in flip.slots { owners.assign(range, to: target) }
    }
    control.refusedFlips = []
    return ClusterMap(epoch: map.epoch, shards: map.shards, owners: owners)
  }

  // MARK: Those who ask

  private mutating func askForJob() {
    let isFull = rebalancer.jobs.count { !$0.state.isEnded } > 3
    switch numbers.below(20) {
    case 0: handle(.cancelAll)
    case 1:
      hit(.bumpedEpoch)
      handle(.bumpEpoch(control.nextJob(), board.shards[numbers.below(board.shards.count)].id))
    case 2: handle(numbers.chance(300) ? .pause : .resume)
    case 3...9 where options.hasResizes: askForResize()
    case 10...11 where options.hasUnassigning: assign()
    case _ where options.hasCursorMoves && !isFull && numbers.chance(400):
      move([numbers.below(options.busySlotCount)], .incremental)
    case _ where options.hasHandOvers && !isFull:
      let slots = (0..<options.busySlotCount).filter { _ in numbers.chance(500) }
      if !slots.isEmpty { move(slots, .handOver) }
    default: break
    }
  }

  private mutating func move(_ slots: [Int], _ mode: MigrationMode) {
    let target = board.shards[numbers.below(board.shards.count)].nodeID
    handle(
      .move(
        [
          Rebalancer.Block(
            job: control.nextJob(),
            slots: slots.map { SlotRange(Simulation.slots[$0], Simulation.slots[$0]) },
            target: target)
        ], source: nil, mode: mode))
  }

  /// Whether shards come or go.
  var isResizing: Bool {
    rebalancer.jobs.contains { job in
      if case .resize = job.operation { !job.state.isEnded } else { false }
    }
  }

  /// The rebalancer does not know what is open by hand: a shard that has been given keys that way
  /// would leave with them. So nothing is opened while shards come or go, and none does while
  /// anything is open.
  private var isOpenByHand: Bool {
    shards.contains { shard in
      shard.stays.contains { ($0.outgoing?.way ?? $0.incoming?.way) == .presence }
    }
  }

  private mutating func askForResize() {
    if isOpenByHand, mutation != .resizeWithOpenSlots { return }
    let count = 1 + numbers.below(Simulation.portCount)
    let names = (0..<Simulation.portCount).map { Simulation.name(100_000 + now * 10 + $0) }
    hit(.resized)
    handle(
      .resize(
        control.nextJob(), shards: count, mode: .handOver,
        new: Rebalancer.NewShards(nodeIDs: names) { number in
          EndpointAddress(host: "10.0.0.1", port: 7000 + number)
        }))
  }

  private mutating func assign() {
    let slot = numbers.below(options.busySlotCount)
    let range = SlotRange(Simulation.slots[slot], Simulation.slots[slot])
    if board.owner(of: Simulation.slots[slot]) == nil {
      handle(.assign(control.nextJob(), slots: [range], to: board.shards[0].id))
    } else if numbers.chance(300) {
      handle(.assign(control.nextJob(), slots: [range], to: nil))
    }
  }

  private mutating func heal() {
    if rebalancer.isPaused { handle(.resume) }
    for slot in Simulation.slots where board.owner(of: slot) == nil {
      handle(
        .assign(control.nextJob(), slots: [SlotRange(slot, slot)], to: board.shards[0].id))
    }
  }

  /// `SETSLOT NODE`, asked for by a shard.
  mutating func claim(_ slot: Int, by shard: Int, ticket: Int) {
    guard let id = shards[shard].id else { return reply(.error, ticket: ticket) }
    let job = control.nextJob()
    control.waiting[job] = ticket
    var isRejected = false
    trace("claim of \(slot) by \(shard + 1)")
    for action in rebalancer.handle(.setSlot(job, Simulation.slots[slot], to: id), now: time) {
      if case .rejected = action { isRejected = true }
      perform(action)
    }
    if isRejected {
      control.waiting[job] = nil
      reply(.error, ticket: ticket)
    }
  }
}
