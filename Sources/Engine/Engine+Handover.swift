public import Sharding
internal import Storage

// Hand-over (DESIGN §4): a batch of slots changes its shard by pointer, between two commands of the source.
//
//   target's worker          source's worker                       everybody
//   `SlotTableMemory`
//     memory for the tables ▶ `handOver`, one turn:
//                               watchers of the slots are dirtied,
//                               their readers told (tracking)
//                               tables leave the keyspace
//                               tables lie in the target's mailbox
//                               the new map hangs on the board  ─▶  MOVED names the target
//   adopts: at the top of a
//   turn, between groups of
//   events, or when a command
//   for one of the slots asks
//
// There is no state between: a slot is the source's, or in the mailbox, or the target's. Whoever is redirected by the new map finds the
// tables, because the target looks into its mailbox before it says no. Nothing can fail once tables have left.

/// Memory in which tables travel: taken before anything moves, so that nothing can fail on the way.
public struct SlotTableMemory: Sendable {
  let batch: SlotTableBatch

  /// Memory for so many tables, 66 bytes each; nil if there is none.
  public init?(capacity: Int) {
    do throws(OutOfMemory) { batch = try SlotTableBatch(capacity: capacity) } catch { return nil }
  }
}

/// A batch of slots that is to change its shard.
public struct HandOver: Sendable {
  /// Its number.
  public let flip: UInt64
  /// All of them are the source's.
  public let slots: [SlotRange]
  /// The shards, by the local indices at their workers.
  public let source: Int32
  public let target: Int32
  /// The target, by its number.
  let targetID: ShardID
  /// The target's mailbox.
  public let mailbox: Mailbox
  /// The map in which they are the target's.
  public let map: ClusterMap
  /// Where the tables lie meanwhile.
  let batch: SlotTableBatch
  /// Whether the source refuses if it has keys (CLUSTER SETSLOT … NODE).
  let mustBeEmpty: Bool

  /// A hand-over of these parts.
  public init(
    flip: UInt64, slots: [SlotRange], source: Int32, target: Int32, targetID: ShardID,
    mailbox: Mailbox, map: ClusterMap, memory: SlotTableMemory, mustBeEmpty: Bool = false
  ) {
    self.targetID = targetID
    self.flip = flip
    self.slots = slots
    self.source = source
    self.target = target
    self.mailbox = mailbox
    self.map = map
    batch = memory.batch
    self.mustBeEmpty = mustBeEmpty
  }

  /// What came of it at the source.
  public enum Outcome: Sendable, Equatable {
    /// The tables are under way, the map is published.
    case done
    /// Nothing has happened: the source does not own all of the slots.
    case notOwned
    /// Nothing has happened: this slot is being moved key by key.
    case open(HashSlot)
    /// Nothing has happened: there are keys left where none must be.
    case notEmpty
  }
}

/// Tables on their way to the target of a hand-over.
public struct HandedOver: Sendable {
  /// The hand-over's number.
  public let flip: UInt64
  /// The local index of the shard that owns them from now on.
  let shard: Int32
  /// The tables.
  let batch: SlotTableBatch
  /// The monotonic clock when the first of them left.
  let leftAt: UInt64
}

/// What came of a hand-over, as its target has seen it.
public struct Adoption: Sendable, Equatable {
  /// Its number.
  public let flip: UInt64
  /// What was adopted.
  public let slotCount: Int
  public let keyCount: Int
  public let byteCount: Int
  /// How long the slots were nobody's: from the first table's leaving to the last one's adoption.
  public let pauseNanoseconds: UInt64
}

extension Engine {
  /// Hands slots over, in one turn: the tables lie in the target's mailbox, and the new map is published, when this returns `.done`; else
  /// nothing has happened. O(slots). Never called while a command runs.
  public mutating func handOver(_ order: HandOver) -> HandOver.Outcome {
    precondition(current < 0, "slots leave between commands")
    for range in order.slots {
      for slot in range.indices {
        if keyspace.owner(of: slot) != order.source { return .notOwned }
        let hashSlot = HashSlot(UInt16(slot))
        if !order.mustBeEmpty, isOpen(hashSlot, of: order.source) { return .open(hashSlot) }
      }
    }
    if order.mustBeEmpty { return handOverEmpty(order) }
    // Whoever waits for a slot waits for this as well.
    let leftAt = clock.nanoseconds()
    slotsLeft(order.source, order.slots)
    for range in order.slots {
      for slot in range.indices {
        let isTaken = keyspace.take(slot, into: order.batch)
        precondition(isTaken, "an owned slot has a table")
      }
    }
    let tables = HandedOver(
      flip: order.flip, shard: order.target, batch: order.batch, leftAt: leftAt)
    if order.mailbox === mailbox { adopt(tables) } else { order.mailbox.push(tables) }
    publish(order.map)
    return .done
  }

  /// Slots that were emptied key by key: what the target has imported of them becomes their tables.
  private mutating func handOverEmpty(_ order: HandOver) -> HandOver.Outcome {
    if letGo(order.slots, of: order.source) != nil { return .notEmpty }
    if order.mailbox === mailbox {
      adoptOpen(order.slots, by: order.targetID)
    } else {
      order.mailbox.pushOpen(order.slots, order.targetID)
    }
    publish(order.map)
    return .done
  }

  /// Slots that were handed over are a shard's of this worker from now on.
  mutating func adopt(_ tables: HandedOver) {
    let (slots, keys, bytes) = (tables.batch.count, tables.batch.keyCount, tables.batch.byteCount)
    keyspace.adopt(tables.batch, by: tables.shard)
    router.view &+= 1
    if !openSlots.isEmpty { forgetImports(of: tables.shard) }
    adoptions.append(
      Adoption(
        flip: tables.flip, slotCount: slots, keyCount: keys, byteCount: bytes,
        pauseNanoseconds: clock.nanoseconds() &- tables.leftAt))
  }

  /// Whether slots of this worker's shards are open, or keys of them on their way elsewhere.
  public var hasOpenSlots: Bool {
    openSlots.contains { $0.state != .elsewhere } || !flights.isEmpty
  }

  /// What was adopted since the last call.
  public mutating func takeAdoptions() -> [Adoption] {
    if mailbox.hasMail { drainMailbox() }
    return adoptions.takeAll()
  }

  // MARK: slots without a history

  /// Slots that nobody owns are a shard's, with what it has imported of them, and the map that says so is published.
  public mutating func own(_ slots: [SlotRange], by shard: ShardID, _ map: ClusterMap) {
    adoptOpen(slots, by: shard)
    publish(map)
  }

  /// Slots of a shard are nobody's, and the map that says so is published. False, and nothing has happened, if there are keys in them.
  public mutating func disown(_ slots: [SlotRange], of shard: Int32, _ map: ClusterMap) -> Bool {
    precondition(current < 0, "slots leave between commands")
    if letGo(slots, of: shard) != nil { return false }
    publish(map)
    return true
  }

  /// Everybody points by this map from now on.
  private mutating func publish(_ map: ClusterMap) {
    board.publish(map)
    refreshMap()
  }

  /// Has the newest map at hand, for whoever answers about topology. One load where nothing has changed.
  @inline(__always)
  mutating func refreshMap() {
    if board.revision != mapRevision { takeMap() }
  }

  @inline(never)
  private mutating func takeMap() {
    (map, mapRevision) = board.current
    router.view &+= 1
    setWorkers()
    if !openSlots.isEmpty { mapChanged() }
    if settings.requiresFullCoverage { setOpenSlotBits() }
  }

  // MARK: shards that come and go

  /// A shard is on this worker from now on, at that local index; a shard that has left may have been there, whose clients are its own
  /// from now on. It owns nothing yet.
  public mutating func open(_ shard: LocalShardInfo, at local: Int) {
    while shards.count <= local {
      shards.append(nil)
      clientCounts.append(0)
      diaries.append(Diary())
      diaries[diaries.count - 1].slowLog.limit(to: settings.slowlogMaxLength)
    }
    closeAll(of: Int32(local))
    ledger.grow(to: local + 2, Statistics())
    // What was counted of a shard that has left stays the process's: totals never fall.
    ledger[0].keep(ledger[local + 1])
    ledger[local + 1] = Statistics()
    ledger[local + 1].sampledAt = now
    shards[local] = shard
  }

  /// How many clients speak to the shard of that local index, whether it is in the map or has left it.
  public func clientCount(ofShard local: Int) -> Int {
    local + 1 < clientCounts.count ? clientCounts[local + 1] : 0
  }

  /// The local index of the shard that a client speaks to; nil at the configuration endpoint.
  public func shard(of client: ClientID) -> Int? {
    let shard = sessions[client.index].shard
    return shard >= 0 ? Int(shard) : nil
  }
}
