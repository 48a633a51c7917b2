// `redis-cli --cluster reshard` and `fix`, and what shards do for them: moves key by key, by
// presence (DESIGN §4, the third way).
//
//     SETSLOT IMPORTING at the target, SETSLOT MIGRATING at the source,
//     GETKEYSINSLOT and MIGRATE until nothing is left, SETSLOT NODE at the target.
//
// The operator dies at any point, and comes back with `fix`: a slot that is open on both sides is
// moved on, one that is open on one side only is made stable again, or opened on the other side if
// it has keys there.
import Sharding

/// The operator's tool.
struct RedisCLI {
  /// What it does next, or waits for.
  enum Stage {
    case idle, importing, migrating, listing, moving, node, stableSource, stableTarget
  }

  var stage = Stage.idle
  var slot = 0
  var source = 0
  var target = 0
  /// Whether keys that both sides have are replaced, as `fix` does.
  var replaces = false
  /// What it waits for; answers to earlier questions are not read.
  var ticket = 0
  var askedAt = 0
  var replies: [(due: Int, ticket: Int, reply: OperatorReply)] = []
  /// Keys of `MIGRATE` that have been sent and not answered, by the ticket of the command.
  var migrations: [Int: (slot: Int, source: Int, left: Int, isBusy: Bool, hasFailed: Bool)] = [:]
}

extension Simulation {
  /// Answers the operator.
  mutating func reply(_ reply: OperatorReply, ticket: Int) {
    redisCLI.replies.append((due(after: now), ticket, reply))
  }

  /// Reads an answer, dies, or begins something.
  mutating func stepRedisCLI() {
    if let first = redisCLI.replies.firstIndex(where: { $0.due <= now }) {
      let (_, ticket, reply) = redisCLI.replies.remove(at: first)
      if ticket == redisCLI.ticket, redisCLI.stage != .idle { go(on: reply) }
      return
    }
    if redisCLI.stage == .idle {
      if numbers.chance(250), fix() { return }
      if !isHealing, options.hasPresenceMoves, numbers.chance(150) { reshard() }
    } else if (!isHealing && numbers.chance(20)) || now - redisCLI.askedAt > 1500 {
      hit(.operatorCrash)
      redisCLI.stage = .idle
    }
  }

  private mutating func ask(_ stage: RedisCLI.Stage, _ order: Order, at shard: Int) {
    redisCLI.stage = stage
    redisCLI.ticket += 1
    redisCLI.askedAt = now
    send(order, to: shard, by: .operatorsPort, ticket: redisCLI.ticket)
  }

  private mutating func reshard() {
    let slot = numbers.below(options.busySlotCount)
    guard let owner = board.owner(of: Simulation.slots[slot]) else { return }
    redisCLI.slot = slot
    redisCLI.source = Int(owner.number) - 1
    redisCLI.target = Int(board.shards[numbers.below(board.shards.count)].id.number) - 1
    guard redisCLI.source != redisCLI.target else { return }
    redisCLI.replaces = false
    ask(
      .importing, .setImporting(slot: slot, at: redisCLI.target, source: redisCLI.source),
      at: redisCLI.target)
  }

  /// Looks for an open slot, and goes on with it. False if there is none.
  private mutating func fix() -> Bool {
    for slot in Simulation.slots.indices {
      let owner = shards.indices.first { shards[$0].stays[slot].table != nil }
      guard let owner else { continue }
      let outgoing = shards[owner].stays[slot].outgoing
      // More than one, if moves were given up: first the one that the source knows.
      let targets = shards.indices.filter { shards[$0].stays[slot].incoming?.way == .presence }
      let target = targets.first { $0 == outgoing?.target } ?? targets.first
      guard outgoing?.way ?? .presence == .presence else { continue }
      if outgoing == nil, target == nil { continue }
      redisCLI.slot = slot
      redisCLI.source = owner
      redisCLI.replaces = true
      hit(.fixed)
      if let target {
        redisCLI.target = target
        if outgoing?.target == target {
          list()
        } else if shards[target].stays[slot].incoming?.table.isEmpty ?? true {
          ask(.stableTarget, .setStable(slot: slot, at: target), at: target)
        } else if outgoing != nil {
          ask(.stableSource, .setStable(slot: slot, at: owner), at: owner)
        } else {
          ask(.migrating, .setMigrating(slot: slot, at: owner, target: target), at: owner)
        }
      } else {
        ask(.stableSource, .setStable(slot: slot, at: owner), at: owner)
      }
      return true
    }
    return false
  }

  private mutating func list() {
    ask(.listing, .getKeys(slot: redisCLI.slot, at: redisCLI.source), at: redisCLI.source)
  }

  private mutating func go(on reply: OperatorReply) {
    let slot = redisCLI.slot
    switch (redisCLI.stage, reply) {
    case (.importing, .ok):
      ask(
        .migrating, .setMigrating(slot: slot, at: redisCLI.source, target: redisCLI.target),
        at: redisCLI.source)
    case (.migrating, .ok):
      if !isHealing, !redisCLI.replaces, numbers.chance(options.callOffs) {
        // Called off before anything has moved, at both ends, or he forgets the source.
        if numbers.chance(400) {
          return ask(
            .stableTarget, .setStable(slot: slot, at: redisCLI.target), at: redisCLI.target)
        }
        ask(.stableSource, .setStable(slot: slot, at: redisCLI.source), at: redisCLI.source)
      } else {
        list()
      }
    case (.listing, .keys(let ranks)):
      // Now and then he does not wait for all keys, and is refused.
      if ranks.isEmpty || (!isHealing && numbers.chance(60)) {
        ask(.node, .setNode(slot: slot, at: redisCLI.target), at: redisCLI.target)
      } else {
        ask(
          .moving,
          .migrate(
            slot: slot, at: redisCLI.source, ranks: Array(ranks.prefix(2)),
            replaces: redisCLI.replaces),
          at: redisCLI.source)
      }
    case (.moving, .ok): list()
    case (.moving, .busyKey):
      redisCLI.replaces = true
      list()
    case (.node, .ok):
      hit(.presenceMove)
      redisCLI.stage = .idle
    case (.stableSource, .ok):
      ask(.stableTarget, .setStable(slot: slot, at: redisCLI.target), at: redisCLI.target)
    default: redisCLI.stage = .idle
    }
  }
}

// MARK: What shards do

extension Simulation {
  /// Carries out a command of the operator.
  mutating func obeyOperator(_ order: Order, ticket: Int) {
    switch order {
    case .setImporting(let slot, let shard, let source):
      let stay = shards[shard].stays[slot]
      let isAgain = stay.incoming?.way == .presence && stay.incoming?.source == source
      let isLate = (isResizing || !isInMap(shard)) && mutation != .resizeWithOpenSlots
      guard shards[shard].id != nil, stay.table == nil, stay.incoming == nil || isAgain, !isLate
      else {
        return reply(.error, ticket: ticket)
      }
      touched.append(slot)
      if !isAgain { shards[shard].stays[slot].incoming = Incoming(way: .presence, source: source) }
      reply(.ok, ticket: ticket)
    case .setMigrating(let slot, let shard, let target):
      let stay = shards[shard].stays[slot]
      let isAgain = stay.outgoing?.way == .presence && stay.outgoing?.target == target
      let isLate = (isResizing || !isInMap(target)) && mutation != .resizeWithOpenSlots
      guard stay.table != nil, stay.outgoing == nil || isAgain, !isLate else {
        return reply(.error, ticket: ticket)
      }
      touched.append(slot)
      shards[shard].stays[slot].outgoing = Outgoing(way: .presence, target: target)
      reply(.ok, ticket: ticket)
    case .getKeys(let slot, let shard):
      guard let table = shards[shard].stays[slot].table else {
        return reply(.error, ticket: ticket)
      }
      reply(.keys(table.values.indices.filter { table.values[$0] != 0 }), ticket: ticket)
    case .migrate(let slot, let shard, let ranks, let replaces):
      migrate(slot, shard, ranks, replaces: replaces, ticket: ticket)
    case .setNode(let slot, let shard): claim(slot, by: shard, ticket: ticket)
    case .setStable(let slot, let shard): setStable(slot, shard, ticket: ticket)
    default: preconditionFailure("not the operator's")
    }
  }

  /// Whether the shard has not left; its port may still be open.
  private func isInMap(_ shard: Int) -> Bool {
    shards[shard].id.map { rebalancer.map.index(of: $0) != nil } ?? false
  }

  private mutating func setStable(_ slot: Int, _ shard: Int, ticket: Int) {
    guard shards[shard].stays[slot].outgoing?.way != .cursor,
      shards[shard].stays[slot].incoming?.way != .cursor
    else { return reply(.error, ticket: ticket) }
    touched.append(slot)
    lastOpen[slot] = now
    // What clients have created at the target by then is where nobody finds it, as with Redis.
    for target in shards.indices where target == shard || shards[shard].stays[slot].table != nil {
      guard let incoming = shards[target].stays[slot].incoming else { continue }
      for rank in 0..<SimulatedKey.count where incoming.table.values[rank] != 0 {
        excuse(SimulatedKey(slot: slot, rank: rank))
      }
    }
    // So is what an operator who has died since has sent there.
    for rank in 0..<SimulatedKey.count where shards[shard].stays[slot].isInFlight[rank] {
      excuse(SimulatedKey(slot: slot, rank: rank))
    }
    shards[shard].stays[slot].outgoing = nil
    shards[shard].stays[slot].incoming = nil
    reply(.ok, ticket: ticket)
  }

  /// Sends `RESTORE-ASKING` for each key that is still there, over the shard's own connection.
  private mutating func migrate(
    _ slot: Int, _ shard: Int, _ ranks: [Int], replaces: Bool, ticket: Int
  ) {
    guard let table = shards[shard].stays[slot].table,
      let target = shards[shard].stays[slot].outgoing?.target,
      shards[shard].stays[slot].outgoing?.way == .presence
    else { return reply(.error, ticket: ticket) }
    let present = ranks.filter {
      table.values[$0] != 0 && !shards[shard].stays[slot].isInFlight[$0]
    }
    // `NOKEY`.
    guard !present.isEmpty else { return reply(.ok, ticket: ticket) }
    redisCLI.migrations[ticket] = (slot, shard, present.count, false, false)
    let connection = (clients.count + shard) * Simulation.portCount + target
    for rank in present {
      let key = SimulatedKey(slot: slot, rank: rank)
      if mutation != .keysNotLocked { shards[shard].stays[slot].isInFlight[rank] = true }
      if mutation == .deleteBeforeRestore {
        shards[shard].stays[slot].table?.values[rank] = 0
        shards[shard].stays[slot].isInFlight[rank] = false
      }
      operations.append(
        Operation(
          command: .restore(key, table.values[rank], replaces: replaces), client: -1, at: now,
          ticket: ticket))
      send(operations.count - 1, connection, isAsking: true)
    }
    touched.append(slot)
  }

  /// The target has answered `RESTORE-ASKING`: what it has stored is deleted here.
  mutating func finishRestore(_ operation: Int, _ reply: SimulatedReply) {
    guard case .restore(let key, _, _) = operations[operation].command,
      let ticket = operations[operation].ticket, var migration = redisCLI.migrations[ticket]
    else { return }
    let shard = migration.source
    touched.append(key.slot)
    shards[shard].stays[key.slot].isInFlight[key.rank] = false
    if case .values = reply {
      shards[shard].stays[key.slot].table?.values[key.rank] = 0
      dirtyWatchers(of: key.slot, rank: key.rank, at: shard)
    } else if case .busyKey = reply {
      migration.isBusy = true
    } else {
      // The target does not import any more.
      migration.hasFailed = true
    }
    migration.left -= 1
    redisCLI.migrations[ticket] = migration.left > 0 ? migration : nil
    if migration.left == 0 {
      let outcome: OperatorReply =
        migration.hasFailed ? .error : migration.isBusy ? .busyKey : .ok
      self.reply(outcome, ticket: ticket)
    }
  }
}
