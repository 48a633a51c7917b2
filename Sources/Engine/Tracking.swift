internal import RESP
internal import Sharding
internal import Storage

// Server-assisted caching: clients are told when a key that they have read, or one with a prefix that they named, is not any more what it
// was. One table a worker, from a key's hash to the sessions that have read it.
//
//   read by a tracking client ──▶ remembered          changed, expired, evicted, gone with its slot ──▶ told, and forgotten
//
// Whoever is told must ask again to be told again. A session's own changes are told behind the reply to them. Where more keys are
// remembered than `tracking-table-max-keys` allows, everybody is told to forget everything, and the table is empty again. Sessions that
// ended are found out when something is to be told to them, or when a key has more readers than there can be; with the last of them the
// table is empty. What it takes counts as memory of its worker (`limitedByteCount`).
//
// A slot that leaves its shard costs what was read of it: many keys of it in one message for each reader, and beyond `leavingLimit` one
// message that says to forget everything. Its readers cannot be told later: what changes then changes elsewhere.
//
// Limit: of a command that writes some of the keys that it names all of these count as changed.

/// How a session is told of changes.
final class TrackingState {
  /// CLIENT TRACKING's options, and what has become of them.
  struct Options: OptionSet {
    let rawValue: UInt8
    static let broadcast = Options(rawValue: 1)
    static let optIn = Options(rawValue: 2)
    static let optOut = Options(rawValue: 4)
    static let noLoop = Options(rawValue: 8)
    /// CLIENT CACHING: the next command is an exception to the rule.
    static let caching = Options(rawValue: 16)
    /// Who was to be told is gone.
    static let brokenRedirect = Options(rawValue: 32)
  }
  var options: Options
  /// The client that is told instead, 0 for none, and its place.
  var redirect: UInt64
  var redirectIndex: Int32
  /// What is broadcast to it.
  var prefixes: [[UInt8]]

  init(options: Options, redirect: UInt64, redirectIndex: Int32, prefixes: [[UInt8]]) {
    self.options = options
    self.redirect = redirect
    self.redirectIndex = redirectIndex
    self.prefixes = prefixes
  }
}

/// The keys that sessions of a worker have read, and what is to be told to them.
struct Tracking: ~Copyable {
  /// A key with a prefix, to be told to a session.
  struct Broadcast {
    let client: Int32
    let prefix: [UInt8]
    var keys: [[UInt8]]
  }

  /// What was read, by hash slot: a slot that leaves costs what it has.
  private var slots: [Int: TrackedSlot] = [:]
  /// Slots that were forgotten as a whole: their memory is given back in slices.
  private var graves: [TrackedSlot] = []
  /// Sessions that track.
  var trackers: [Int32] = []
  /// What goes out behind the reply of the command that runs: to whom, and the bytes.
  var deferred: [(client: Int32, bytes: [UInt8])] = []
  var broadcasts: [Broadcast] = []
  /// Keys, and the memory of all this.
  private(set) var keyCount = 0
  /// Keys that were looked at because their slot left: the work of hand-overs.
  private(set) var visitedCount = 0
  private(set) var byteCount = 0
  private(set) var counts: [Int32: (keys: Int, items: Int, byteCount: Int)] = [:]

  /// The hash slot of a key in a table: open tables have numbers of their own.
  private static func hashSlot(_ table: Int, _ key: RawSpan) -> Int {
    table < HashSlot.count ? table : HashSlot.of(key).index
  }

  /// A session has read a key. How many readers the key has then. O(1).
  mutating func remember(
    _ table: Int, _ hash: KeyHash, _ key: RawSpan, by client: TrackedReader, shard: Int32
  ) -> Int {
    let slot = Self.hashSlot(table, key)
    let change = slots[slot, default: TrackedSlot()].remember(hash, key, by: client, shard: shard)
    count(change.change, ofShard: change.shard)
    return change.readerCount
  }

  /// Forgets a key, and says who has read it. O(1).
  mutating func take(_ table: Int, _ hash: KeyHash, _ key: RawSpan) -> TrackedReaders? {
    let slot = Self.hashSlot(table, key)
    guard let tracked = slots[slot]?.take(hash, key) else { return nil }
    if slots[slot]?.isEmpty == true { slots[slot] = nil }
    count(tracked.figures.negative, ofShard: tracked.shard)
    return tracked.readers
  }

  /// Who has read a key.
  func readers(_ table: Int, _ hash: KeyHash, _ key: RawSpan) -> [TrackedReader] {
    slots[Self.hashSlot(table, key)]?.readers(hash, key) ?? []
  }

  /// How many keys of a slot are remembered.
  func keyCount(of slot: Int) -> Int { slots[slot]?.keyCount ?? 0 }

  /// Forgets a slot's keys, and says which they were. O(such keys).
  mutating func take(slot: Int) -> [TrackedKey] {
    guard let taken = slots.removeValue(forKey: slot) else { return [] }
    let keys = taken.keys
    visitedCount += keys.count
    for key in keys { count(key.figures.negative, ofShard: key.shard) }
    return keys
  }

  /// Forgets a slot's keys. O(shards that they were read at).
  mutating func forget(slot: Int) {
    guard let taken = slots.removeValue(forKey: slot) else { return }
    for (shard, figures) in taken.figures { count(figures.negative, ofShard: shard) }
    graves.append(taken)
  }

  /// Forgets what was read at a shard. O(slots of which something was read).
  mutating func forget(shard: Int32) {
    for (slot, tracked) in slots where tracked.figures[shard] != nil { forget(slot: slot) }
  }

  /// Forgets everything. O(slots of which something was read).
  mutating func forgetAll() {
    graves += slots.values
    slots = [:]
    keyCount = 0
    byteCount = 0
    counts = [:]
  }

  /// Drops readers of a key that `isGone` says are gone.
  mutating func purge(
    _ table: Int, _ hash: KeyHash, _ key: RawSpan, _ isGone: (TrackedReader) -> Bool
  ) {
    let slot = Self.hashSlot(table, key)
    guard let change = slots[slot]?.purge(hash, key, isGone) else { return }
    count(change.change, ofShard: change.shard)
  }

  private mutating func count(_ change: TrackedFigures, ofShard shard: Int32) {
    keyCount += change.keys
    byteCount += change.byteCount
    let known = counts[shard] ?? (0, 0, 0)
    let sum = (
      keys: known.keys + change.keys, items: known.items + change.items,
      byteCount: known.byteCount + change.byteCount
    )
    counts[shard] = sum.keys == 0 ? nil : sum
  }

  /// Whether memory of forgotten slots is to be given back.
  var hasGrave: Bool { !graves.isEmpty }

  /// Gives back that of some keys of one slot. How many they were.
  mutating func bury(limit: Int) -> Int {
    if graves.isEmpty { return 0 }
    let last = graves.count - 1
    let count = graves[last].bury(limit: limit)
    if !graves[last].hasUnburied { graves.removeLast() }
    return count
  }
}

extension Engine {
  /// The session whose requests are run is told of changes from now on.
  mutating func startTracking(_ state: TrackingState) {
    if sessions[current].tracking == nil {
      tracking.trackers.append(current)
      listeners += 1
    }
    sessions[current].tracking = state
  }

  /// A session is told nothing more.
  mutating func endTracking(_ index: Int32) {
    sessions[index].tracking = nil
    forgetTracker(index)
  }

  /// As above, for a session that is gone.
  mutating func forgetTracker(_ index: Int32) {
    tracking.trackers.removeAll { $0 == index }
    listeners -= 1
    if tracking.trackers.isEmpty { tracking.forgetAll() }
  }

  /// A command was answered without having been run: CLIENT CACHING is over, which was about it (as Redis has it, unless it is of CLIENT).
  mutating func endCaching(_ id: CommandID?) {
    guard let state = sessions[current].tracking, state.options.contains(.caching),
      sessions[current].mode.isDisjoint(with: [.multi, .parked]),
      id.map({ CommandTable.all[Int($0.rawValue)].container }) != .client
    else { return }
    state.options.remove(.caching)
  }

  /// After each command, behind `listeners != 0`: remembers what a tracking client has read, and tells what waited for the reply.
  mutating func track(_ call: Call) {
    if let state = sessions[current].tracking {
      remember(call, state)
      let command = CommandTable.all[Int(call.id.rawValue)]
      if command.container != .client, !sessions[current].mode.contains(.multi) {
        state.options.remove(.caching)
      }
    }
    if !isInTransaction { flushTracking() }
  }

  private mutating func remember(_ call: Call, _ state: TrackingState) {
    let command = CommandTable.all[Int(call.id.rawValue)]
    let isException = state.options.contains(.caching)
    if !command.flags.contains(.readonly) || state.options.contains(.broadcast)
      || state.options.contains(.optIn) && !isException
      || state.options.contains(.optOut) && isException
    {
      return
    }
    for specification in command.specifications where !specification.isUnknown {
      for i in places(of: specification, in: call) {
        remember(call.slot, call[i])
      }
    }
    let limit = settings.trackingTableMaxKeys
    if limit > 0, tracking.keyCount > limit {
      tracking.forgetAll()
      for index in tracking.trackers { tell(nil, toTracker: index) }
    }
  }

  /// The current session has read a key. Of one that has more readers than there are sessions that track, those that are gone are dropped:
  /// half of them at least, so that a read costs the same whoever has read before.
  private mutating func remember(_ table: Int, _ key: RawSpan) {
    let hash = KeyHash(key, seed: hashSeed)
    let reader = TrackedReader(id: sessions[current].id, index: current)
    let readerCount = tracking.remember(
      table, hash, key, by: reader, shard: sessions[current].shard)
    guard readerCount > 2 * tracking.trackers.count + 8 else { return }
    var gone: Set<UInt64> = []
    for reader in tracking.readers(table, hash, key) where !isTracking(reader) {
      gone.insert(reader.id)
    }
    tracking.purge(table, hash, key) { gone.contains($0.id) }
  }

  /// A key is not any more what it was.
  mutating func invalidate(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) {
    for client in tracking.take(slot, hash, key)?.all ?? [] where isTracking(client) {
      if isSparedFromOwn(client.index) { continue }
      tell([Self.bytes(of: key)], toTracker: client.index)
    }
    for index in tracking.trackers where !isSparedFromOwn(index) {
      broadcast(slot, key, to: index)
    }
  }

  private func isTracking(_ client: TrackedReader) -> Bool {
    guard sessions.contains(client.index), sessions[client.index].id == client.id,
      let state = sessions[client.index].tracking
    else { return false }
    return !state.options.contains(.broadcast)
  }

  /// NOLOOP: what it changes itself it is not told of.
  private func isSparedFromOwn(_ index: Int32) -> Bool {
    index == current && sessions[index].tracking?.options.contains(.noLoop) == true
  }

  private mutating func broadcast(_ slot: Int, _ key: RawSpan, to index: Int32) {
    guard let state = sessions[index].tracking, state.options.contains(.broadcast) else { return }
    let shard = sessions[index].shard
    guard keyspace.owner(of: slot) == shard || current >= 0 && sessions[current].shard == shard
    else { return }
    let bytes = Self.bytes(of: key)
    for prefix in state.prefixes where bytes.starts(with: prefix) {
      let found = tracking.broadcasts.firstIndex { $0.client == index && $0.prefix == prefix }
      if let found {
        tracking.broadcasts[found].keys.append(bytes)
      } else {
        tracking.broadcasts.append(
          Tracking.Broadcast(client: index, prefix: prefix, keys: [bytes]))
      }
    }
  }

  /// All keys of a shard are gone.
  mutating func invalidateAll(ofShard shard: Int32) {
    tracking.forget(shard: shard)
    // An open slot may have been read at both of its shards.
    for index in tracking.trackers where sessions[index].shard == shard || !openSlots.isEmpty {
      tell(nil, toTracker: index)
    }
  }

  /// Keys of slots that leave together of which each is told by name; of more everybody is told to forget everything.
  static let leavingLimit = 1024

  /// Slots are about to leave a shard, which costs what was read of them. Prefixes are not looked for among keys: whoever follows those
  /// is told to forget everything.
  mutating func invalidate(leaving shard: Int32, _ slots: [SlotRange]) {
    var keyCount = 0
    for range in slots { for slot in range.indices { keyCount += tracking.keyCount(of: slot) } }
    let areMany = keyCount > Self.leavingLimit
    var names: [Int32: [[UInt8]]] = [:]
    if keyCount > 0 {
      for range in slots {
        for slot in range.indices {
          if areMany {
            tracking.forget(slot: slot)
            continue
          }
          for key in tracking.take(slot: slot) {
            for reader in key.readers.all where isTracking(reader) {
              names[reader.index, default: []].append(key.name)
            }
          }
        }
      }
    }
    for index in tracking.trackers {
      if let told = names[index] {
        tell(told, toTracker: index)
      } else if areMany && !openSlots.isEmpty {
        // An open slot may have been read at both of its shards.
        tell(nil, toTracker: index)
      } else if sessions[index].shard == shard {
        let isBroadcast = sessions[index].tracking?.options.contains(.broadcast) == true
        if areMany || isBroadcast { tell(nil, toTracker: index) }
      }
    }
    flushTracking()
  }

  // MARK: telling

  /// What waited for the reply to the command that ran goes out.
  mutating func flushTracking() {
    if tracking.deferred.isEmpty && tracking.broadcasts.isEmpty { return }
    let broadcasts = tracking.broadcasts
    tracking.broadcasts = []
    for broadcast in broadcasts where sessions.contains(broadcast.client) {
      tell(broadcast.keys, toTracker: broadcast.client)
    }
    let deferred = tracking.deferred
    tracking.deferred = []
    for message in deferred where sessions.contains(message.client) {
      if message.client != current {
        tell(message.bytes, to: message.client)
        continue
      }
      // It is no reply: CLIENT REPLY does not concern it.
      let isSilent = reply.isSilent
      reply.setSilent(false)
      reply.append(bytes: message.bytes)
      reply.setSilent(isSilent)
    }
  }

  /// Tells a session which keys are invalid, nil for all, or whoever is told instead. Only RESP3 has a way to tell.
  private mutating func tell(_ keys: [[UInt8]]?, toTracker index: Int32) {
    guard let state = sessions[index].tracking else { return }
    var message = ">2\r\n$10\r\ninvalidate\r\n"
    var target = index
    var words = keys
    if state.redirect != 0 {
      target = state.redirectIndex
      if !sessions.contains(target) || sessions[target].id != state.redirect {
        state.options.insert(.brokenRedirect)
        message = ">2\r\n$21\r\ntracking-redir-broken\r\n:\(state.redirect)\r\n"
        target = index
        words = []
      }
    }
    let version = target == current ? reply.version : sessions[target].version
    guard version == .three else { return }
    var bytes = Array(message.utf8)
    if let words {
      if state.redirect == 0 || target != index || !words.isEmpty {
        bytes += Array("*\(words.count)\r\n".utf8)
      }
      for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
    } else {
      bytes += Array("_\r\n".utf8)
    }
    if current >= 0 && target == current {
      tracking.deferred.append((target, bytes))
    } else {
      tell(bytes, to: target)
    }
  }
}
