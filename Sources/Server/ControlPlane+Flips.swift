internal import Engine
internal import Reactor
internal import Sharding

// Flips (DESIGN §4), step by step as the rebalancer asks for them. Each step is a job on one worker's thread, between two commands.

extension ControlPlane {
  /// Asks the target of a flip whether it is ready: it has the memory in which tables travel, and is awake.
  func prepare(_ flip: Rebalancer.Flip) async {
    guard let target = flip.target else { return inbox.post(.ready(flip: flip.number)) }
    let count = flip.slotCount
    let made = await workers[home(of: target).worker].run { _ in SlotTableMemory(capacity: count) }
    guard let made = made ?? nil else { return inbox.post(.refused(flip: flip.number, .noMemory)) }
    memory[flip.number] = made
    inbox.post(.ready(flip: flip.number))
  }

  /// Has the source push the tables and publish the map in one turn; where there is one end only, it makes or drops them.
  func handOver(_ flip: Rebalancer.Flip, _ map: ClusterMap) async {
    let refusal: Rebalancer.FlipRefusal?
    switch (flip.source, flip.target) {
    case (let source?, let target?): refusal = await move(flip, source, target, map)
    case (nil, let target?): refusal = await make(flip, target, map)
    case (let source?, nil): refusal = await drop(flip, source, map)
    case (nil, nil): refusal = nil
    }
    memory[flip.number] = nil
    if let refusal { return inbox.post(.refused(flip: flip.number, refusal)) }
    inbox.post(.released(flip: flip.number))
    // The tables lie in the target's mailbox: it adopts them before it does anything else, if it has not yet.
    var adoption: Adoption?
    if let target = flip.target {
      let adopted = await workers[home(of: target).worker].run { $0.takeAdoptions() }
      adoption = adopted?.first { $0.flip == flip.number }
    }
    inbox.post(
      .adopted(
        flip: flip.number, keys: adoption?.keyCount ?? 0, bytes: adoption?.byteCount ?? 0,
        pause: Int64(clamping: adoption?.pauseNanoseconds ?? 0)))
  }

  private func move(
    _ flip: Rebalancer.Flip, _ source: ShardID, _ target: ShardID, _ map: ClusterMap
  ) async -> Rebalancer.FlipRefusal? {
    guard let memory = memory[flip.number] else { return .noMemory }
    let (from, to) = (home(of: source), home(of: target))
    let order = HandOver(
      flip: flip.number, slots: flip.slots, source: from.local, target: to.local,
      targetID: target, mailbox: mailboxes[to.worker], map: map, memory: memory,
      mustBeEmpty: flip.mustBeEmpty || emptied.remove(flip.number) != nil)
    switch await workers[from.worker].run({ $0.handOver(order) }) {
    case .done: return nil
    case .notOwned: return .other("the source does not own all of the slots")
    case .open(let slot): return .open(slot)
    case .notEmpty: return .notEmpty
    case nil: return .other("the source's worker has ended")
    }
  }

  private func make(
    _ flip: Rebalancer.Flip, _ target: ShardID, _ map: ClusterMap
  ) async -> Rebalancer.FlipRefusal? {
    let home = home(of: target)
    let isDone = await workers[home.worker].run {
      $0.own(flip.slots, by: target, map)
      return true
    }
    return isDone == nil ? .other("the target's worker has ended") : nil
  }

  private func drop(
    _ flip: Rebalancer.Flip, _ source: ShardID, _ map: ClusterMap
  ) async -> Rebalancer.FlipRefusal? {
    let home = home(of: source)
    switch await workers[home.worker].run({ $0.disown(flip.slots, of: home.local, map) }) {
    case true: return nil
    case false: return .notEmpty
    case nil: return .other("the source's worker has ended")
    }
  }
}
