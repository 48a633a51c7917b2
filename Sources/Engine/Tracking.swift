internal import RESP
internal import Storage

// Server-assisted caching: clients are told when a key that they have read, or one with a prefix that they named, is not any more what it
// was. One table a worker, from a key's hash to the sessions that have read it.
//
//   read by a tracking client ──▶ remembered          changed, expired, evicted, gone with its slot ──▶ told, and forgotten
//
// Whoever is told must ask again to be told again. A session's own changes are told behind the reply to them. Where more keys are
// remembered than `tracking-table-max-keys` allows, everybody is told to forget everything, and the table is empty again. Sessions that
// ended are found out when something is to be told to them.
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
  /// One key, and who has read it.
  struct Tracked {
    let slot: Int
    let shard: Int32
    let key: [UInt8]
    var clients: [(index: Int32, id: UInt64)]
  }
  /// A key with a prefix, to be told to a session.
  struct Broadcast {
    let client: Int32
    let prefix: [UInt8]
    var keys: [[UInt8]]
  }

  private var places: [UInt64: [Tracked]] = [:]
  /// Sessions that track.
  var trackers: [Int32] = []
  /// What goes out behind the reply of the command that runs: to whom, and the bytes.
  var deferred: [(client: Int32, bytes: [UInt8])] = []
  var broadcasts: [Broadcast] = []
  /// Keys, and readers of keys.
  private(set) var keyCount = 0
  private(set) var counts: [Int32: (keys: Int, items: Int)] = [:]

  /// A session has read a key.
  mutating func remember(
    _ slot: Int, _ hash: KeyHash, _ key: RawSpan, by index: Int32, id: UInt64, shard: Int32
  ) {
    let found = places[hash.bits]?.firstIndex { $0.slot == slot && $0.key.rawBytes.equals(key) }
    if let found {
      let isKnown = places[hash.bits]?[found].clients.contains { $0.id == id } ?? true
      if isKnown { return }
      places[hash.bits]?[found].clients.append((index, id))
    } else {
      places[hash.bits, default: []].append(
        Tracked(slot: slot, shard: shard, key: Engine.bytes(of: key), clients: [(index, id)]))
      keyCount += 1
      counts[shard, default: (0, 0)].keys += 1
    }
    counts[shard, default: (0, 0)].items += 1
  }

  /// Forgets a key, and says who has read it.
  mutating func take(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) -> [(index: Int32, id: UInt64)] {
    guard
      let found = places[hash.bits]?.firstIndex(where: {
        $0.slot == slot && $0.key.rawBytes.equals(key)
      }), let tracked = places[hash.bits]?.remove(at: found)
    else { return [] }
    if places[hash.bits]?.isEmpty == true { places[hash.bits] = nil }
    forget(tracked)
    return tracked.clients
  }

  private mutating func forget(_ tracked: Tracked) {
    keyCount -= 1
    counts[tracked.shard, default: (0, 0)].keys -= 1
    counts[tracked.shard, default: (0, 0)].items -= tracked.clients.count
  }

  /// Forgets the keys that are wanted, and says which they were. O(all keys).
  mutating func take(where isWanted: (Tracked) -> Bool) -> [Tracked] {
    let found = places.values.flatMap { $0.filter(isWanted) }
    for hash in Array(places.keys) {
      places[hash]?.removeAll(where: isWanted)
      if places[hash]?.isEmpty == true { places[hash] = nil }
    }
    for tracked in found { forget(tracked) }
    return found
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
        tracking.remember(
          call.slot, KeyHash(call[i], seed: hashSeed), call[i], by: current,
          id: sessions[current].id, shard: sessions[current].shard)
      }
    }
    let limit = settings.trackingTableMaxKeys
    if limit > 0, tracking.keyCount > limit {
      _ = tracking.take { _ in true }
      for index in tracking.trackers { tell(nil, toTracker: index) }
    }
  }

  /// A key is not any more what it was.
  mutating func invalidate(_ slot: Int, _ hash: KeyHash, _ key: RawSpan) {
    for client in tracking.take(slot, hash, key) where isTracking(client) {
      if isSparedFromOwn(client.index) { continue }
      tell([Self.bytes(of: key)], toTracker: client.index)
    }
    for index in tracking.trackers where !isSparedFromOwn(index) {
      broadcast(slot, key, to: index)
    }
  }

  private func isTracking(_ client: (index: Int32, id: UInt64)) -> Bool {
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
    _ = tracking.take { $0.shard == shard }
    for index in tracking.trackers where sessions[index].shard == shard {
      tell(nil, toTracker: index)
    }
  }

  /// Slots are about to leave a shard.
  mutating func invalidate(leaving shard: Int32, _ isLeft: (_ slot: Int) -> Bool) {
    for tracked in tracking.take(where: { $0.shard == shard && isLeft($0.slot) }) {
      for client in tracked.clients where isTracking(client) {
        tell([tracked.key], toTracker: client.index)
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
