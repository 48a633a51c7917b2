internal import RESP
internal import Sharding
internal import Storage

// The commands about whole slots and shards (DESIGN §4): arguments are checked here, the control plane does and answers the rest.

extension Engine {
  /// CLUSTER RESIZE SHARDS n [MODE handover|incremental].
  mutating func clusterResize(_ call: Call) -> Effect {
    guard call.count == 4 || call.count == 6, Word(call[2]) == "SHARDS" else {
      return syntaxError()
    }
    guard let count = call[3].integer(), count >= 1, count <= Int64(Rebalancer.maxShardCount)
    else {
      return failing(
        text: "ERR The number of shards has to lie in between 1 and \(Rebalancer.maxShardCount).")
    }
    var mode = MigrationMode.handOver
    if call.count == 6 {
      guard Word(call[4]) == "MODE", let asked = migrationMode(call[5]) else {
        return syntaxError()
      }
      mode = asked
    }
    park(for: .rebalance(.resize(shards: Int(count), mode)))
    return .none
  }

  /// CLUSTER REBALANCE [WEIGHT id w …] [BY COUNT|LOAD] [MODE handover|incremental] [DRYRUN], or STATUS, CANCEL, PAUSE, RESUME, SPEED n.
  mutating func clusterRebalance(_ call: Call) -> Effect {
    if call.count > 2 {
      switch Word(call[2]) {
      case "STATUS": return control(.status, call, 3)
      case "CANCEL": return control(.cancel, call, 3)
      case "PAUSE": return control(.pause, call, 3)
      case "RESUME": return control(.resume, call, 3)
      case "SPEED":
        guard call.count == 4 else { return syntaxError() }
        guard let speed = call[3].integer(), speed >= 0, speed <= Int64(Int32.max) else {
          return notAnInteger()
        }
        return control(.speed(Int(speed)), call, 4)
      default: break
      }
    }
    var (goal, weights) = (RebalanceRequest.Goal.byCount, [NodeID: Double]())
    var (mode, isTrial) = (MigrationMode.handOver, false)
    var place = 2
    refreshMap()
    while place < call.count {
      switch (Word(call[place]), call.count - place) {
      case ("WEIGHT", 3...):
        guard let node = knownNode(call[place + 1]) else { return .none }
        guard let weight = Double(Self.text(call[place + 2])), weight.isFinite, weight >= 0 else {
          return failing("ERR weight is not a valid float")
        }
        weights[node] = weight
        place += 3
      case ("BY", 2...):
        switch Word(call[place + 1]) {
        case "COUNT": goal = .byCount
        case "LOAD": goal = .byLoad
        default: return syntaxError()
        }
        place += 2
      case ("MODE", 2...):
        guard let asked = migrationMode(call[place + 1]) else { return syntaxError() }
        mode = asked
        place += 2
      case ("DRYRUN", _):
        isTrial = true
        place += 1
      default: return syntaxError()
      }
    }
    if !weights.isEmpty {
      if goal == .byLoad { return failing("ERR WEIGHT cannot be combined with BY LOAD") }
      if map.shards.allSatisfy({ weights[$0.nodeID] == 0 }) {
        return failing("ERR some weight has to be above 0")
      }
      goal = .byWeight(weights)
    }
    park(for: .rebalance(.rebalance(goal, mode, isTrial: isTrial)))
    return .none
  }

  private mutating func control(_ request: RebalanceRequest, _ call: Call, _ count: Int) -> Effect {
    if call.count != count { return syntaxError() }
    park(for: .rebalance(request))
    return .none
  }

  private func migrationMode(_ argument: RawSpan) -> MigrationMode? {
    switch Word(argument) {
    case "HANDOVER": .handOver
    case "INCREMENTAL": .incremental
    default: nil
    }
  }

  static func text(_ argument: RawSpan) -> String {
    String(decoding: bytes(of: argument), as: UTF8.self)
  }

  /// The node of the map that an argument names; nil if there is none, which has been answered.
  private mutating func knownNode(_ argument: RawSpan) -> NodeID? {
    guard argument.byteCount == 40, let name = NodeID(hexadecimal: Self.bytes(of: argument)) else {
      fail(
        text:
          "ERR Invalid node name: \(Self.text(argument.extracting(0..<min(40, argument.byteCount))))"
      )
      return nil
    }
    guard map.shards.contains(where: { $0.nodeID == name }) else {
      fail(text: "ERR Unknown node name: \(name)")
      return nil
    }
    return name
  }

  // MARK: MIGRATESLOTS and what belongs to it (Valkey's names, texts and order of checks)

  /// CLUSTER MIGRATESLOTS SLOTSRANGE s e [s e …] NODE id [SLOTSRANGE … NODE …].
  mutating func clusterMigrateSlots(_ call: Call) -> Effect {
    refreshMap()
    guard let source = localShard else { return refusedAtEndpoint() }
    var blocks: [RebalanceRequest.Block] = []
    var seen: [SlotRange] = []
    var place = 2
    while place < call.count {
      guard Word(call[place]) == "SLOTSRANGE" else { return syntaxError() }
      place += 1
      var slots: [SlotRange] = []
      while place < call.count, Word(call[place]) != "NODE" {
        if Word(call[place]) == "SLOTSRANGE" { break }
        guard let range = slotRange(call, place) else { return .none }
        if let earlier = slots.first(where: { $0.overlaps(range) }) {
          return failing(
            text:
              "ERR Slot range \(range.first.number)-\(range.last.number) overlaps with previous range \(earlier.first.number)-\(earlier.last.number)."
          )
        }
        slots.append(range)
        place += 2
      }
      if slots.isEmpty { return failing("ERR No slot ranges specified") }
      guard place + 1 < call.count, Word(call[place]) == "NODE" else { return syntaxError() }
      guard let target = knownNode(call[place + 1]) else { return .none }
      place += 2
      guard isFree(slots, source) else { return .none }
      if target == source.nodeID { return failing("ERR Target node can not be this node.") }
      if slots.contains(where: { range in seen.contains { $0.overlaps(range) } }) {
        return failing("ERR Slot ranges in migrations overlap")
      }
      seen += slots
      blocks.append(RebalanceRequest.Block(slots: slots, target: target))
    }
    if blocks.isEmpty { return failing("ERR No slot ranges specified") }
    park(for: .rebalance(.migrate(blocks, source: source.id)))
    return .none
  }

  private mutating func refusedAtEndpoint() -> Effect {
    failing("ERR This command concerns a shard; connect to a shard's own port")
  }

  /// The range of two arguments; nil if it is none, which has been answered.
  private mutating func slotRange(_ call: Call, _ place: Int) -> SlotRange? {
    guard let first = slotArgument(call[place]) else { return nil }
    guard place + 1 < call.count, Word(call[place + 1]) != "NODE" else {
      fail("ERR No end slot for final slot range")
      return nil
    }
    guard let last = slotArgument(call[place + 1]) else { return nil }
    if first > last {
      fail(text: "ERR Start slot number \(first) is greater than end slot number \(last).")
      return nil
    }
    return SlotRange(HashSlot(UInt16(first)), HashSlot(UInt16(last)))
  }

  /// Whether these slots are all the shard's, and none is being moved by hand; if not, it has been answered.
  private mutating func isFree(_ slots: [SlotRange], _ shard: LocalShardInfo) -> Bool {
    var owner: ShardID?
    for range in slots {
      for slot in range.indices {
        guard let other = map.owner(of: HashSlot(UInt16(slot))) else {
          fail(text: "ERR Slot \(slot) has no node served.")
          return false
        }
        if let owner, owner != other {
          fail("ERR Requested slots span multiple shards")
          return false
        }
        owner = other
      }
    }
    guard owner == shard.id else {
      fail("ERR Slots are not served by this node.")
      return false
    }
    for open in openSlots where open.shard == sessions[current].shard {
      if case .migrating = open.state {
        fail("ERR Slots are being manually migrated")
      } else {
        fail("ERR Slots are being manually imported")
      }
      return false
    }
    return true
  }

  /// CLUSTER GETSLOTMIGRATIONS.
  mutating func clusterGetSlotMigrations(_ call: Call) -> Effect {
    park(for: .rebalance(.migrations(of: localShard?.id)))
    return .none
  }

  /// CLUSTER CANCELSLOTMIGRATIONS.
  mutating func clusterCancelSlotMigrations(_ call: Call) -> Effect {
    park(for: .rebalance(.cancelMigrations(of: localShard?.id)))
    return .none
  }

  /// CLUSTER EVENTS [COUNT n] [SINCE id].
  mutating func clusterEvents(_ call: Call) -> Effect {
    var (count, since) = (EventLog.capacity, UInt64(0))
    var place = 2
    while place < call.count {
      guard place + 1 < call.count else { return syntaxError() }
      guard let number = call[place + 1].integer(), number >= 0 else { return notAnInteger() }
      switch Word(call[place]) {
      case "COUNT": count = Int(number)
      case "SINCE": since = UInt64(number)
      default: return syntaxError()
      }
      place += 2
    }
    park(for: .rebalance(.events(count: count, since: since)))
    return .none
  }
}
