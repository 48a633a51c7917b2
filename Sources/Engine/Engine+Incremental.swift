public import Sharding
internal import Storage

// Incremental migration (DESIGN §4): a slot's keys go along in slices, in hash order, and a cursor says whose a key is.
//
//   hash order   0 ├──── target's ────┤cursor├──────── source's ────────┤ 2⁶⁴
//
//   source's turn   entries from the cursor on leave its table ─▶ lie in the target's mailbox ─▶ the cursor moves
//                   below it: ASK; above: served, whether the key is there or not
//   target's turn   looks into its mailbox before it says no: adopts the entries, and the cursor that came with them
//                   after ASKING, below it: served; above: MOVED, a late ASK of an earlier migration
//
// The target's cursor is one that the source had, so it never runs ahead of it, and a key is served by one of them at most (I2). When the
// cursor is at the end the slot, without keys at the source, is flipped as one that was moved by hand is.

/// Keys on their way to the target of an incremental migration.
public struct HandedEntries: Sendable {
  /// The slot, and the shard that is being given it.
  let slot: HashSlot
  let target: ShardID
  /// The entries; nil if there were none up to the cursor.
  let batch: EntryBatch?
  /// Whose prefixes are below it are the target's from now on.
  let cursor: UInt64
}

/// What a slice of an incremental migration has moved.
public struct MigratedSlice: Sendable {
  /// Keys, and their bytes by size class.
  public let keyCount: Int
  public let byteCount: Int
  /// Whether the source has nothing left.
  public let isLast: Bool
  /// Whether a client waits for the slot's keys to be together.
  public let isUrgent: Bool
  /// How long the source's worker was busy with it.
  public let nanoseconds: UInt64
}

extension Engine {
  /// A shard of this worker is about to be given a slot in hash order. False if too many slots are open here.
  public mutating func beginImport(
    _ slot: HashSlot, by target: ShardID, from source: NodeID
  ) -> Bool {
    guard let local = localIndex(of: target) else { return false }
    close(slot.index, of: local)
    guard openForImport(slot.index, of: local, from: source),
      let i = openSlots.firstIndex(where: { $0.shard == local && $0.slot == slot.index })
    else { return false }
    // What is left of an import that was given up is not the slot's.
    keyspace.clear(openSlots[i].table)
    openSlots[i].state = .importingByCursor
    openSlots[i].cursor = 0
    return true
  }

  /// A shard of this worker gives a slot away in hash order, from its first key on. False if it does not own it, or moves it by hand.
  public mutating func beginExport(_ slot: HashSlot, of shard: Int32, to target: ShardID) -> Bool {
    guard keyspace.owner(of: slot.index) == shard, !isOpen(slot, of: shard) else { return false }
    openSlots.append(
      OpenSlot(
        shard: shard, slot: slot.index, state: .migrating(to: target), cursor: 0))
    return true
  }

  /// The slot is not imported along a cursor after all; nothing has come yet.
  public mutating func giveUpImport(_ slot: HashSlot, by target: ShardID) {
    guard let local = localIndex(of: target) else { return }
    close(slot.index, of: local)
  }

  /// Moves the next keys of a slot to the target's mailbox: a home of keys at least, then as many as `budget` nanoseconds allow. nil if
  /// the slot is not being moved along a cursor, or there is no memory.
  public mutating func migrateSlice(
    _ slot: HashSlot, of shard: Int32, to target: ShardID, _ mailbox: Mailbox, budget: UInt64
  ) -> MigratedSlice? {
    precondition(current < 0, "keys leave between commands")
    guard
      let i = openSlots.firstIndex(where: { $0.shard == shard && $0.slot == slot.index }),
      let cursor = openSlots[i].cursor
    else { return nil }
    let begin = clock.nanoseconds()
    let batch: EntryBatch?
    let next: UInt64?
    do throws(OutOfMemory) {
      (batch, next) = try keyspace.takeEntries(slot.index, from: cursor) {
        clock.nanoseconds() &- begin < budget
      }
    } catch { return nil }
    // Those that have read any key of the slot: what changes below the cursor changes elsewhere from now on.
    if !tracking.trackers.isEmpty { invalidate(leaving: shard, [SlotRange(slot, slot)]) }
    let slice = MigratedSlice(
      keyCount: batch?.count ?? 0, byteCount: batch?.byteCount ?? 0, isLast: next == nil,
      isUrgent: openSlots[i].isUrgent, nanoseconds: clock.nanoseconds() &- begin)
    let entries = HandedEntries(
      slot: slot, target: target, batch: batch, cursor: next ?? .max)
    if mailbox === self.mailbox { adopt(entries) } else { mailbox.push(entries) }
    openSlots[i].cursor = next ?? .max
    openSlots[i].isUrgent = false
    return slice
  }

  /// Keys have come. Where there is no memory for them they wait, and the cursor with them: `retryStranded`.
  mutating func adopt(_ entries: HandedEntries) {
    guard let local = localIndex(of: entries.target),
      let i = openSlots.firstIndex(where: {
        $0.shard == local && $0.slot == entries.slot.index && $0.cursor != nil
      })
    else {
      preconditionFailure("keys came for a slot that is not being imported")
    }
    precondition(openSlots[i].stranded == nil, "slices come one after the other")
    guard let batch = entries.batch else {
      openSlots[i].cursor = entries.cursor
      return
    }
    do throws(OutOfMemory) {
      try keyspace.adopt(batch, into: openSlots[i].table)
      openSlots[i].cursor = entries.cursor
    } catch { openSlots[i].stranded = (batch, entries.cursor) }
  }

  /// Whether all keys that have come are adopted; those that found no memory are tried again.
  public mutating func hasAdopted(_ slot: HashSlot, by target: ShardID) -> Bool {
    if mailbox.hasMail { drainMailbox() }
    guard let local = localIndex(of: target),
      let i = openSlots.firstIndex(where: { $0.shard == local && $0.slot == slot.index }),
      let stranded = openSlots[i].stranded
    else { return true }
    do throws(OutOfMemory) {
      try keyspace.adopt(stranded.batch, into: openSlots[i].table)
      openSlots[i].cursor = stranded.cursor
      openSlots[i].stranded = nil
      return true
    } catch { return false }
  }
}
