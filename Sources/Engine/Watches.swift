internal import RESP
internal import Sharding
internal import Storage

// Who watches which keys, one table a worker: from a key's slot and hash to the sessions that watch it. The session has the same list the other
// way round (`Transaction.watched`). Empty, the table owns no memory.
//
// A watch ends with the first change of its key: the session is marked, for good until its EXEC, DISCARD or UNWATCH, and watches
// nothing any more. So a watch that still stands says that nothing has happened to the key since WATCH, and `wasPresent` still holds:
// a command that leaves absent what was absent (DEL of several keys, FLUSHALL) has not changed it.
//
// `Engine.listeners` counts the watches, among others: without any, a write costs the test that it costs anyway.

/// The watched keys of a worker's sessions.
struct Watches: ~Copyable {
  /// One session's interest in one key.
  struct Watch {
    let client: Int32
    let slot: Int32
    let hash: KeyHash
    let key: [UInt8]
    let wasPresent: Bool
  }

  private var places: [Int32: [UInt64: [Watch]]] = [:]
  /// How many there are.
  private(set) var count = 0

  /// Adds a watch; nil if the client watches the key already, else the key as both lists hold it.
  mutating func add(
    _ client: Int32, _ slot: Int, _ hash: KeyHash, _ key: RawSpan, wasPresent: Bool
  ) -> WatchedKey? {
    var bytes: [UInt8]? = nil
    for watch in places[Int32(slot)]?[hash.bits] ?? [] where Self.isSame(watch, slot, key) {
      if watch.client == client { return nil }
      bytes = watch.key
    }
    let shared = bytes ?? Engine.bytes(of: key)
    places[Int32(slot), default: [:]][hash.bits, default: []].append(
      Watch(
        client: client, slot: Int32(slot), hash: hash, key: shared, wasPresent: wasPresent))
    count += 1
    return WatchedKey(slot: Int32(slot), hash: hash, key: shared)
  }

  /// Takes a client's watch of a key away. O(watches of that key).
  mutating func remove(_ client: Int32, _ watched: WatchedKey) {
    let (slot, hash) = (watched.slot, watched.hash.bits)
    guard
      let i = places[slot]?[hash]?.firstIndex(where: {
        $0.client == client && $0.slot == watched.slot && $0.key == watched.key
      })
    else { return }
    count -= 1
    if count == 0 {
      places = [:]
    } else if places[slot]?[hash]?.count == 1 {
      places[slot]?[hash] = nil
      if places[slot]?.isEmpty == true { places[slot] = nil }
    } else {
      places[slot]?[hash]?.remove(at: i)
    }
  }

  /// Whether anyone may watch a key of that slot and hash.
  func mayWatch(_ slot: Int, _ hash: KeyHash) -> Bool { places[Int32(slot)]?[hash.bits] != nil }

  /// The clients that watch a key; if it is absent now, those for whom that is a change.
  func clients(
    watching slot: Int, _ hash: KeyHash, _ key: RawSpan, isPresent: Bool
  ) -> [Int32] {
    var clients: [Int32] = []
    for watch in places[Int32(slot)]?[hash.bits] ?? [] where Self.isSame(watch, slot, key) {
      if isPresent || watch.wasPresent { clients.append(watch.client) }
    }
    return clients
  }

  /// The watches of a slot or an open table, in no order. O(such watches).
  func all(of table: Int) -> [Watch] {
    places[Int32(table)]?.values.flatMap { $0 } ?? []
  }

  /// The slots of which keys are watched.
  var tables: [Int] { places.keys.map(Int.init) }

  private static func isSame(_ watch: Watch, _ slot: Int, _ key: RawSpan) -> Bool {
    watch.slot == Int32(slot) && watch.key.rawBytes.equals(key)
  }
}

extension Engine {
  /// A session watches a key from now on. The key's state is looked at here: one that has expired is removed first.
  mutating func watch(_ slot: Int, _ hash: KeyHash, _ key: RawSpan, in transaction: Transaction) {
    let isPresent = live(slot, hash, key) != nil
    if transaction.isConflicted { return }
    guard let watched = watches.add(current, slot, hash, key, wasPresent: isPresent) else { return }
    transaction.watched.append(watched)
    transaction.watchedByteCount += key.byteCount + MemoryLayout<Watches.Watch>.stride
    listeners += 1
  }

  /// A session watches nothing any more.
  mutating func unwatch(_ client: Int32) {
    guard let transaction = sessions[client].transaction, !transaction.watched.isEmpty else {
      return
    }
    for watched in transaction.watched { watches.remove(client, watched) }
    listeners -= transaction.watched.count
    transaction.watched = []
    transaction.watchedByteCount = 0
  }

  /// The EXEC of these clients will do nothing, and they watch nothing any more.
  private mutating func conflict(_ clients: [Int32]) {
    for client in clients {
      sessions[client].transaction?.isConflicted = true
      unwatch(client)
    }
  }

  /// A key was written, or taken away: called by every effect on a key (DESIGN §6), behind `listeners != 0`.
  mutating func touch(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) {
    if !tracking.trackers.isEmpty { invalidate(slot, hash, key) }
    if !watches.mayWatch(slot, hash) { return }
    let isPresent = keyspace.find(slot, hash, key) != nil
    conflict(watches.clients(watching: slot, hash, key, isPresent: isPresent))
  }

  /// The keys that a command may write were written, or some of them; which, the watchers' `wasPresent` and the key's presence tell.
  mutating func touchKeys(of call: Call) {
    if watches.count == 0 && tracking.trackers.isEmpty { return }
    for keys in CommandTable.all[Int(call.id.rawValue)].specifications
    where !keys.use.contains(.readOnly) {
      for i in places(of: keys, in: call) {
        touch(call.slot, KeyHash(call[i], seed: hashSeed), call[i])
      }
    }
  }

  /// The arguments of a command that a specification says are keys.
  func places(of keys: KeySpecification, in call: Call) -> StrideThrough<Int> {
    if keys.isUnknown {
      // The only one that is written is SORT's STORE.
      let destination = Self.sortDestination(call.arguments)
      return stride(from: max(destination, 1), through: destination, by: 1)
    }
    let last = Int(keys.last) < 0 ? call.count + Int(keys.last) : Int(keys.last)
    return stride(from: Int(keys.first), through: last, by: Int(keys.step))
  }

  /// An entry is about to be removed because it has expired, or for want of memory: an effect like any other (DESIGN §6).
  mutating func touchRemoved(_ slot: Int, _ entry: EntryRef, evicted: Bool = false) {
    recordRemoval(slot, entry, evicted: evicted)
    if watches.count == 0 && tracking.trackers.isEmpty { return }
    let key = Self.bytes(of: keyspace.key(of: entry))
    touch(slot, KeyHash(key.rawBytes, seed: hashSeed), key.rawBytes)
  }

  /// All keys of a shard are about to be removed: whoever watches one that is there has a conflict.
  mutating func touchAll(ofShard shard: Int32) {
    if !tracking.trackers.isEmpty { invalidateAll(ofShard: shard) }
    if watches.count == 0 { return }
    let tables = watches.tables.filter { keyspace.owner(of: $0) == shard }
    for watch in tables.flatMap({ watches.all(of: $0) })
    where keyspace.find(Int(watch.slot), watch.hash, watch.key.rawBytes) != nil {
      conflict([watch.client])
    }
  }

  /// All keys of a table are about to be removed.
  mutating func touchAll(ofTable table: Int) {
    if watches.count == 0 { return }
    for watch in watches.all(of: table)
    where keyspace.find(table, watch.hash, watch.key.rawBytes) != nil {
      conflict([watch.client])
    }
  }

  /// Slots are about to leave a shard: whoever has read a key of them there is told, and whoever watches one has a conflict for good, so that
  /// leaving and coming back fails EXEC (DESIGN §4). In the turn in which their tables leave. O(slots, and what is watched and tracked of them).
  mutating func slotsLeft(_ shard: Int32, _ slots: [SlotRange]) {
    if !tracking.trackers.isEmpty { invalidate(leaving: shard, slots) }
    if watches.count == 0 { return }
    for range in slots { for slot in range.indices { tableLeft(shard, slot) } }
  }

  /// The same of the watches of one slot or open table.
  mutating func tableLeft(_ shard: Int32, _ table: Int) {
    for watch in watches.all(of: table)
    where sessions[watch.client].shard == shard || sessions[watch.client].mode.contains(.router) {
      conflict([watch.client])
    }
  }
}
