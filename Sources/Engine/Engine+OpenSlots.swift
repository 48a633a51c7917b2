internal import RESP
public import Sharding
internal import Storage

// Slots that are given away or taken over key by key (DESIGN §4, the third way).
//
// A migrating slot's keys lie in the slot's own table, which its shard owns until the end. An importing slot's keys lie in an *open
// table* of the keyspace, because a shard of the same worker may own the same slot, perhaps the very shard that gives it away:
//
//     slot 7        table 7        owner: shard 1            MIGRATING to shard 3
//                   table 16384    nobody's, open            IMPORTING at shard 3, on the same worker
//
// What is served in an importing slot gets the open table's number as `Call.slot`; for redirects, CROSSSLOT and queues the slot stays
// what it is. Open tables are neither shown (KEYS, SCAN, DBSIZE, RANDOMKEY), nor swept for expired keys, nor evicted from: only
// COUNTKEYSINSLOT and GETKEYSINSLOT show them. A key in it whose time has come is absent to whoever asks for it.
//
// SETSLOT … STABLE ends an import without a loss: as with Redis its keys stay where they are, out of reach, until the slot is imported
// again, or comes to that shard, or FLUSHALL.
//
// Invariants
// ==========
// - A slot stands at most once in the list for a shard, and never as importing at the shard that owns it (I2).
// - Two open slots have two tables; an open table that no slot has is empty.
// - `openSlotBits` is not 0 while a slot is open or a key is held: then every command takes the way through `isRoutedHere`.

/// A slot that a shard of this worker is giving away or is being given key by key.
struct OpenSlot {
  /// The shard, by its local index.
  var shard: Int32
  /// The slot.
  var slot: Int
  /// Migrating or importing; `.elsewhere` for what is left of an import that was ended.
  var state: SlotState
  /// The number of the table that its keys lie in: the slot's own if it is migrating, an open one if it is importing.
  var table: Int
  /// Whom an importing slot comes from.
  var source: NodeID?
  /// The boundary in hash order of a slot that is moved along a cursor: keys whose prefixes are below it are the target's. nil = a key
  /// is where it is found.
  var cursor: UInt64?
  /// Entries that came and found no memory yet, and the cursor behind them.
  var stranded: (batch: EntryBatch, cursor: UInt64)?
  /// A client was answered TRYAGAIN: the slot is moved without pauses.
  var isUrgent = false

  init(
    shard: Int32, slot: Int, state: SlotState, table: Int? = nil, source: NodeID? = nil,
    cursor: UInt64? = nil
  ) {
    self.cursor = cursor
    self.shard = shard
    self.slot = slot
    self.state = state
    self.table = table ?? slot
    self.source = source
  }

  /// Whether the shard takes the slot over.
  var isImporting: Bool { state == .importingByPresence || state == .importingByCursor }

  /// On whose side of the cursor a hash is: whether its key is this shard's. Only of a slot that is moved along a cursor.
  func hasHash(_ hash: KeyHash, _ cursor: UInt64) -> Bool {
    (hash.prefix >= cursor) == (table < Keyspace.slotCount)
  }
}

extension Engine {
  /// What is open of a slot at a shard of this worker.
  func openSlot(_ slot: Int, of shard: Int32) -> OpenSlot? {
    if openSlots.isEmpty || !openSlotSet.contains(HashSlot(UInt16(slot))) { return nil }
    let open = openSlots.first { $0.shard == shard && $0.slot == slot }
    // Ownership is by table: what was being imported of a slot that has come whole since is of no account.
    if let open, open.table != slot, keyspace.owner(of: slot) == shard { return nil }
    return open
  }

  /// The number of the table in which that shard has its keys of a slot; nil if it has none.
  func table(of slot: Int, at shard: Int32) -> Int? {
    if let open = openSlot(slot, of: shard) { return open.table }
    return keyspace.owner(of: slot) == shard && shard >= 0 ? slot : nil
  }

  /// What a slot is to a shard of this worker at this moment.
  func slotState(_ slot: Int, of shard: Int32) -> SlotState {
    if let open = openSlot(slot, of: shard) { return open.state }
    if keyspace.owner(of: slot) == shard, shard >= 0 { return .held }
    return map.owner(of: HashSlot(UInt16(slot))) == nil ? .unassigned : .elsewhere
  }

  /// The way of a command is as short as it can be where nothing is open and nothing held.
  mutating func setOpenSlotBits() {
    openSlotSet = SlotSet()
    for open in openSlots { openSlotSet.insert(HashSlot(UInt16(open.slot))) }
    openSlotBits = openSlots.isEmpty && heldKeys.isEmpty && !isClusterDown ? 0 : .min
  }

  /// Whether some slot is nobody's, and nothing is to be served then (`cluster-require-full-coverage yes`).
  var isClusterDown: Bool { settings.requiresFullCoverage && !map.isWhole }

  /// The local index of a shard; nil if it is not on this worker.
  public func localIndex(of shard: ShardID) -> Int32? {
    shards.firstIndex { $0?.id == shard }.map(Int32.init)
  }

  /// Whether a slot is being moved key by key here, or keys of it are on their way to another server: it cannot be handed over whole.
  /// Of what is left of an import that was ended the same holds.
  public func isOpen(_ slot: HashSlot, of shard: Int32) -> Bool {
    openSlots.contains { $0.shard == shard && $0.slot == slot.index }
      || flights.contains { $0.shard == shard && $0.slot == slot.index }
  }

  // MARK: opening and closing

  /// The shard gives the slot, which it owns, to another one.
  mutating func openForMigration(_ slot: Int, of shard: Int32, to target: ShardID) {
    close(slot, of: shard)
    openSlots.append(OpenSlot(shard: shard, slot: slot, state: .migrating(to: target)))
  }

  /// The shard takes the slot over from another one. False if too many are being taken over here.
  mutating func openForImport(_ slot: Int, of shard: Int32, from source: NodeID) -> Bool {
    if let i = openSlots.firstIndex(where: { $0.shard == shard && $0.slot == slot }) {
      openSlots[i].state = .importingByPresence
      openSlots[i].source = source
      return true
    }
    guard let table = freeOpenTable else { return false }
    openSlots.append(
      OpenSlot(
        shard: shard, slot: slot, state: .importingByPresence, table: table, source: source))
    return true
  }

  /// The slot is no longer migrating or importing. What was imported stays; so does its table.
  mutating func close(_ slot: Int, of shard: Int32) {
    guard let i = openSlots.firstIndex(where: { $0.shard == shard && $0.slot == slot }) else {
      return
    }
    if openSlots[i].table >= Keyspace.slotCount, keyspace.keyCount(of: openSlots[i].table) > 0 {
      openSlots[i].state = .elsewhere
      openSlots[i].source = nil
    } else {
      remove(openSlots[i])
    }
  }

  /// Nothing is open of a slot any more; its open table, if it has one, is emptied.
  private mutating func remove(_ open: OpenSlot) {
    if open.table >= Keyspace.slotCount { keyspace.take(open.table)?.discard() }
    openSlots.removeAll { $0.shard == open.shard && $0.slot == open.slot }
  }

  /// Slots have come whole: what was left of an import of them is older, and goes.
  mutating func forgetImports(of shard: Int32) {
    for open in openSlots
    where open.shard == shard && open.table >= Keyspace.slotCount
      && keyspace.owner(of: open.slot) == shard
    {
      remove(open)
    }
  }

  /// FLUSHALL empties what a shard has imported too.
  mutating func flushOpenTables(of shard: Int32) {
    for open in openSlots where open.shard == shard && open.table >= Keyspace.slotCount {
      if listeners != 0 { touchAll(ofTable: open.table) }
      keyspace.clear(open.table)
    }
    for open in openSlots where open.shard == shard && open.state == .elsewhere { remove(open) }
  }

  /// After a newer map: a slot is not migrating to, or importing from, a shard that has left; nor migrating from one that has let it go.
  mutating func mapChanged() {
    for open in openSlots {
      switch open.state {
      case .migrating(let target):
        let isOwner = keyspace.owner(of: open.slot) == open.shard
        if !isOwner || map.index(of: target) == nil { close(open.slot, of: open.shard) }
      case .importingByPresence:
        if let source = open.source, !map.shards.contains(where: { $0.nodeID == source }) {
          close(open.slot, of: open.shard)
        }
      default: break
      }
    }
  }

  /// A shard has left: what it had imported, or had left of a slot that was taken from it, goes with it.
  mutating func closeAll(of shard: Int32) {
    for open in openSlots where open.shard == shard { remove(open) }
  }

  // MARK: changing hands

  /// A shard of this worker lets a slot go that it owns, if no keys are left in it: nobody owns the slot then, and it is not migrating
  /// any more. False, and nothing has happened, if keys are left. True for a slot that it does not own.
  ///
  /// In the same turn the caller leaves `.adoptOpen` in the mailbox of the new owner's worker, and then publishes the map.
  public mutating func letGo(slot: HashSlot, of shard: Int32) -> Bool {
    guard keyspace.owner(of: slot.index) == shard else { return true }
    let isEmpty = keyspace.keyCount(of: slot.index) == 0
    guard isEmpty || settingAside == slot.index else { return false }
    let place = isEmpty ? nil : freeOpenTable
    if !isEmpty, place == nil { return false }
    slotsLeft(shard, [SlotRange(slot, slot)])
    openSlots.removeAll { $0.shard == shard && $0.slot == slot.index }
    guard let place else {
      keyspace.take(slot.index)?.discard()
      return true
    }
    if let table = keyspace.take(slot.index) {
      keyspace.adopt(table, as: place, by: Keyspace.nobody)
    }
    for flight in flights where flight.table == slot.index && flight.shard == shard {
      flight.table = place
    }
    setHeldKeys()
    openSlots.append(OpenSlot(shard: shard, slot: slot.index, state: .elsewhere, table: place))
    return true
  }

  /// From now on this slot is let go although there are keys in it, or (nil) none is. The keys stay where they are, out of reach, until
  /// the slot is imported there: as those of a node of Redis's that has lost a slot to another one.
  public mutating func setAside(_ slot: HashSlot?) { settingAside = slot?.index ?? -1 }

  /// An open table that no slot has.
  private var freeOpenTable: Int? {
    let used = Set(openSlots.map(\.table))
    let tables = Keyspace.slotCount..<(Keyspace.slotCount + Keyspace.openTableCount)
    return tables.first { !used.contains($0) }
  }

  /// The same for several slots at once, all or none. The first one that has keys left; nil if all were let go.
  public mutating func letGo(_ slots: [SlotRange], of shard: Int32) -> HashSlot? {
    for range in slots {
      for slot in range.indices
      where keyspace.owner(of: slot) == shard && keyspace.keyCount(of: slot) > 0
        && (slot != settingAside || freeOpenTable == nil)
      {
        return HashSlot(UInt16(slot))
      }
    }
    for range in slots {
      for slot in range.indices {
        _ = letGo(slot: HashSlot(UInt16(slot)), of: shard)
      }
    }
    return nil
  }

  /// A slot that nobody on this worker owns becomes the shard's: its table is what the shard has imported of it, or empty.
  public mutating func adoptOpen(slot: HashSlot, by shard: Int32) {
    let slot = slot.index
    guard keyspace.owner(of: slot) == Keyspace.nobody else { return }
    router.view &+= 1
    guard let open = openSlot(slot, of: shard), open.table >= Keyspace.slotCount else {
      keyspace.own(slot, by: shard)
      return
    }
    // What was watched in the open table is watched under another number now: EXEC does nothing.
    tableLeft(shard, open.table)
    if let table = keyspace.take(open.table) { keyspace.adopt(table, as: slot, by: shard) }
    for flight in flights where flight.table == open.table { flight.table = slot }
    setHeldKeys()
    openSlots.removeAll { $0.shard == shard && $0.slot == slot }
  }

  /// Adopts slots by a message of the source's worker.
  mutating func adoptOpen(_ slots: [SlotRange], by shard: ShardID) {
    guard let local = localIndex(of: shard) else { return }
    for range in slots {
      for slot in range.indices {
        adoptOpen(slot: HashSlot(UInt16(slot)), by: local)
      }
    }
  }
}
