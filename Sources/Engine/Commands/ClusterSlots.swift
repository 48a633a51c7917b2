internal import RESP
internal import Sharding
internal import Storage

// CLUSTER SETSLOT and its kin: what redis-cli moves slots with, one key after the other (`Engine+OpenSlots.swift`), and what changes the
// owner of a slot (`ClusterRequest.swift`). Checks and texts are those of redis-server 7.0.15. What differs follows from there being one
// map: SETSLOT … NODE takes effect everywhere, whichever shard it is sent to, and is refused while the owner has keys left; DELSLOTS too.

extension Engine {
  /// The session's shard, by its local index and its id; nil at the configuration endpoint, which has been answered.
  private mutating func ownShard() -> (local: Int32, id: ShardID)? {
    guard let shard = localShard else {
      _ = refuseWholeKeyspace()
      return nil
    }
    return (sessions[current].shard, shard.id)
  }

  /// The slot that an argument names; nil if it is none, which has been answered.
  mutating func slotArgument(_ argument: RawSpan) -> Int? {
    guard let slot = slot(argument) else {
      fail("ERR Invalid or out of range slot")
      return nil
    }
    return slot
  }

  /// The shard that has a node id.
  func shard(named argument: RawSpan) -> ClusterShard? {
    guard let id = NodeID(hexadecimal: Self.bytes(of: argument)) else { return nil }
    return map.shards.first { $0.nodeID == id }
  }

  /// Answers a text with an argument behind it, shown as far as it is a string to C.
  func unknownNode(_ text: String, _ argument: RawSpan) -> [UInt8] {
    Array(text.utf8) + Self.shown(argument)
  }

  // MARK: SETSLOT

  /// CLUSTER SETSLOT slot IMPORTING node | MIGRATING node | STABLE | NODE node.
  mutating func clusterSetSlot(_ call: Call) -> Effect {
    guard let shard = ownShard(), let slot = slotArgument(call[2]) else { return .none }
    // What has changed hands is to be known before anything is said about it.
    drainMailbox()
    if isMovedAlongCursor(slot, of: shard.local) { return .none }
    switch (Word(call[3]), call.count) {
    case ("MIGRATING", 5), ("IMPORTING", 5):
      if board.isReshaping {
        return failing("ERR Shards are being added or removed; see CLUSTER REBALANCE STATUS")
      }
      if Word(call[3]) == "IMPORTING" { return setImporting(slot, of: shard.local, from: call[4]) }
      return setMigrating(slot, of: shard.local, to: call[4])
    case ("STABLE", 4):
      close(slot, of: shard.local)
      reply.ok()
      return .none
    case ("NODE", 5): return setOwner(slot, to: call[4])
    default:
      return failing(
        "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
    }
  }

  /// Whether the rebalancer is moving a slot along a cursor, which then nobody moves by hand; if so, that has been answered.
  mutating func isMovedAlongCursor(_ slot: Int, of shard: Int32) -> Bool {
    if openSlot(slot, of: shard)?.cursor == nil { return false }
    fail(text: "ERR Slot \(slot) is being moved by the rebalancer; see CLUSTER REBALANCE STATUS")
    return true
  }

  private mutating func setMigrating(_ slot: Int, of shard: Int32, to node: RawSpan) -> Effect {
    if keyspace.owner(of: slot) != shard {
      return failing(text: "ERR I'm not the owner of hash slot \(slot)")
    }
    guard let target = self.shard(named: node) else {
      return failing(bytes: unknownNode("ERR I don't know about node ", node))
    }
    if target.id == shards[Int(shard)]?.id {
      // Nothing would ever leave, and whoever asks for an absent key would be sent back to where it came from.
      close(slot, of: shard)
    } else {
      openForMigration(slot, of: shard, to: target.id)
    }
    reply.ok()
    return .none
  }

  private mutating func setImporting(_ slot: Int, of shard: Int32, from node: RawSpan) -> Effect {
    if keyspace.owner(of: slot) == shard {
      return failing(text: "ERR I'm already the owner of hash slot \(slot)")
    }
    guard let source = self.shard(named: node) else {
      return failing(bytes: unknownNode("ERR I don't know about node ", node))
    }
    if !openForImport(slot, of: shard, from: source.nodeID) {
      return failing("ERR Too many slots are being imported on this worker")
    }
    reply.ok()
    return .none
  }

  private mutating func setOwner(_ slot: Int, to node: RawSpan) -> Effect {
    guard let target = shard(named: node) else {
      return failing(bytes: unknownNode("ERR Unknown node ", node))
    }
    let local = sessions[current].shard
    let isHere = keyspace.owner(of: slot) == local
    let own = shards[Int(local)]?.id
    if isHere, target.id != own, keyspace.keyCount(of: slot) > 0 {
      return failing(
        text:
          "ERR Can't assign hashslot \(slot) to a different node while I still hold keys for this hash slot."
      )
    }
    let number = HashSlot(UInt16(slot))
    if map.owner(of: number) == target.id, isHere == (target.id == own),
      !hasChanges(to: slot)
    {
      // It is so already. What this shard had open of the slot is over.
      if !isHere { close(slot, of: local) }
      reply.ok()
      return .none
    }
    park(for: .setSlot(number, to: target.id))
    return .none
  }

  /// Whether the EXEC that is being run has asked for changes that a slot is among.
  private func hasChanges(to slot: Int) -> Bool {
    !changesUnderWay.isEmpty
      && ownership(of: slot) != (map.owner(of: HashSlot(UInt16(slot))) != nil)
  }

  // MARK: who owns what

  /// What the EXEC that is being run has asked for so far.
  private var changesUnderWay: [ClusterRequest] {
    isInTransaction ? sessions[current].transaction?.clusterRequests ?? [] : []
  }

  /// Whether a slot has an owner, once what this EXEC has asked for is done.
  private func ownership(of slot: Int) -> Bool {
    let number = HashSlot(UInt16(slot))
    var isOwned = map.owner(of: number) != nil && !isForgotten(number)
    for request in changesUnderWay {
      switch request {
      case .setSlot(number, _), .takeOver(number, to: _): isOwned = true
      case .assign(let slots, _) where slots.contains { $0.contains(number) }: isOwned = true
      case .unassign(let slots) where slots.contains { $0.contains(number) }: isOwned = false
      default: break
      }
    }
    return isOwned
  }

  /// Whether the EXEC that is being run has had this shard forget that another one owns a slot.
  private func isForgotten(_ slot: HashSlot) -> Bool {
    guard isInTransaction, let transaction = sessions[current].transaction else { return false }
    return transaction.forgottenSlots.contains { $0.contains(slot) }
  }

  /// CLUSTER ADDSLOTS and DELSLOTS slot [slot …].
  mutating func clusterSlotList(_ call: Call, adds: Bool) -> Effect {
    var slots: [SlotRange] = []
    for i in 2..<call.count {
      guard let slot = slotArgument(call[i]) else { return .none }
      slots.append(SlotRange(HashSlot(UInt16(slot)), HashSlot(UInt16(slot))))
    }
    return change(slots, adds: adds)
  }

  /// CLUSTER ADDSLOTSRANGE and DELSLOTSRANGE start end [start end …].
  mutating func clusterSlotRanges(_ call: Call, adds: Bool) -> Effect {
    if call.count % 2 == 1 {
      refuse(call, .arity)
      return .none
    }
    var slots: [SlotRange] = []
    for i in stride(from: 2, to: call.count, by: 2) {
      guard let first = slotArgument(call[i]), let last = slotArgument(call[i + 1]) else {
        return .none
      }
      if first > last {
        return failing(
          text: "ERR start slot number \(first) is greater than end slot number \(last)")
      }
      slots.append(SlotRange(HashSlot(UInt16(first)), HashSlot(UInt16(last))))
    }
    return change(slots, adds: adds)
  }

  /// Asks that slots come to this shard, or that nobody owns them any more.
  private mutating func change(_ slots: [SlotRange], adds: Bool) -> Effect {
    guard let shard = ownShard() else { return .none }
    look()
    var seen = SlotSet()
    for range in slots {
      for slot in range.indices {
        let number = HashSlot(UInt16(slot))
        if ownership(of: slot) == adds {
          return failing(
            text: adds
              ? "ERR Slot \(slot) is already busy" : "ERR Slot \(slot) is already unassigned")
        }
        if !seen.insert(number) {
          return failing(text: "ERR Slot \(slot) specified multiple times")
        }
        if !adds, keyspace.owner(of: slot) == shard.local, keyspace.keyCount(of: slot) > 0 {
          return failing(
            text:
              "ERR Slot \(slot) still has keys here; move or remove them before CLUSTER DELSLOTS")
        }
      }
    }
    // Neighbours go as one range.
    if adds { add(seen, to: shard.id) } else { forget(seen, at: shard.id) }
    return .none
  }

  /// Asks for slots: those that nobody has, and those of others that this EXEC has forgotten the owners of.
  private mutating func add(_ slots: SlotSet, to shard: ShardID) {
    var free = slots
    var requests: [ClusterRequest] = []
    for slot in slots.ranges.slots where isForgotten(slot) {
      requests.append(.takeOver(slot, to: shard))
      free.remove(slot)
    }
    let ranges = free.ranges
    if !ranges.isEmpty { requests.append(.assign(ranges, to: shard)) }
    park(forAll: requests)
  }

  /// Gives slots of this shard up. What it forgets of others' slots it would soon be told again, so that nothing happens (redis-cli, which
  /// repairs slots that two nodes claim, sends it to those that are not to have them, and stops at an error), except that
  /// an ADDSLOTS of the same EXEC takes them over.
  private mutating func forget(_ slots: SlotSet, at shard: ShardID) {
    var own = slots
    var others = SlotSet()
    for slot in slots.ranges.slots {
      if map.owner(of: slot) == nil || map.owner(of: slot) == shard { continue }
      own.remove(slot)
      others.insert(slot)
    }
    if isInTransaction { sessions[current].transaction?.forgottenSlots += others.ranges }
    let ranges = own.ranges
    if ranges.isEmpty { reply.ok() } else { park(for: .unassign(ranges)) }
  }

  /// CLUSTER FLUSHSLOTS: this shard gives all its slots up.
  mutating func clusterFlushSlots(_ call: Call) -> Effect {
    guard let shard = ownShard() else { return .none }
    if keyspace.keyCount(ofShard: shard.local) > 0 {
      return failing("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
    }
    guard let index = map.index(of: shard.id), !map.ranges(ofShardAt: index).isEmpty else {
      reply.ok()
      return .none
    }
    park(for: .unassign(map.ranges(ofShardAt: index)))
    return .none
  }

  /// CLUSTER FLUSHSLOT slot [ASYNC|SYNC]: removes this shard's keys in a slot.
  mutating func clusterFlushSlot(_ call: Call) -> Effect {
    if call.count > 4 { return syntaxError() }
    if call.count == 4 {
      switch Word(call[3]) {
      case "ASYNC", "SYNC": break
      default: return syntaxError()
      }
    }
    guard let shard = ownShard(), let slot = slotArgument(call[2]) else { return .none }
    var effect = Effect.none
    if let table = table(of: slot, at: shard.local), keyspace.keyCount(of: table) > 0 {
      if listeners != 0 { touchAll(ofTable: table) }
      keyspace.clear(table)
      effect = .verbatim
    }
    reply.ok()
    return effect
  }

  // MARK: epochs

  /// CLUSTER BUMPEPOCH.
  mutating func clusterBumpEpoch(_ call: Call) -> Effect {
    guard let shard = ownShard() else { return .none }
    drainMailbox()
    let epoch = map.index(of: shard.id).map { map.shards[$0].epoch } ?? ConfigEpoch(0)
    if epoch == map.epoch, epoch.number != 0, changesUnderWay.isEmpty {
      reply.append(text: "+STILL \(epoch.number)\r\n")
      return .none
    }
    // In EXEC: every change before it makes an epoch.
    let next = map.epoch.number + UInt64(changesUnderWay.count) + 1
    park(for: .bumpEpoch(shard.id), answer: "BUMPED \(next)")
    return .none
  }

  /// CLUSTER SET-CONFIG-EPOCH epoch: of a node that is alone and has none yet.
  mutating func clusterSetConfigEpoch(_ call: Call) -> Effect {
    guard let shard = ownShard() else { return .none }
    guard let epoch = call[2].integer() else { return notAnInteger() }
    if epoch < 0 { return failing(text: "ERR Invalid config epoch specified: \(epoch)") }
    if map.shards.count > 1 {
      return failing(
        "ERR The user can assign a config epoch only when the node does not know any other node.")
    }
    if map.shards[0].epoch.number != 0 {
      return failing("ERR Node config epoch is already non-zero")
    }
    park(for: .setEpoch(ConfigEpoch(UInt64(epoch)), of: shard.id))
    return .none
  }

  /// CLUSTER SAVECONFIG.
  mutating func clusterSaveConfig(_ call: Call) -> Effect {
    park(for: .save)
    return .none
  }
}
