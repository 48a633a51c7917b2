internal import RESP
internal import Storage

// A command that somebody listens to: run as always, then told to watchers, monitors and the shard's record. What it did is found out
// from its effect and from its keys before and after, so that handlers need not know of listeners; a listener changes nothing that a
// client could see.

/// A key of a command, as it was before.
struct HeardKey {
  /// The state of a key before a command.
  enum State {
    case absent, present
    /// There, but its time is up.
    case expired
  }
  /// Its argument.
  let argument: Int
  let key: [UInt8]
  let hash: KeyHash
  let state: State
}

/// A command that was run, for the record.
struct HeardCommand {
  let id: CommandID
  let shard: Int32
  let slot: Int
  let effect: Effect
  /// It answered no error.
  let isSuccess: Bool
  /// Its keys, in the order of its specifications.
  let keys: [HeardKey]
}

extension Engine {
  /// Runs a command that somebody may listen to. Behind `listeners != 0`, the one test on the way of a command.
  @inline(never)
  mutating func heard(_ call: Call) -> Effect {
    let shard = sessions[current].shard
    guard isRecorded(shard) else {
      let effect = dispatchOther(call)
      log(call, effect)
      return effect
    }
    records[Int(shard)]?.beginGroup()
    if call.id == .exec {
      // Its commands are told one by one.
      let effect = dispatchOther(call)
      log(call, effect)
      records[Int(shard)]?.endGroup()
      return effect
    }
    let keys = keys(of: call)
    expiredKeys = []
    let effect = dispatchOther(call)
    log(call, effect)
    if effect != .none {
      recordOverwritten(keys, call, shard)
      record(shard, call.slot, loggedForm(of: call, effect))
    }
    tellEvents(
      HeardCommand(
        id: call.id, shard: shard, slot: call.slot, effect: effect, isSuccess: !hasFailed,
        keys: keys), call)
    expiredKeys = nil
    if !isInTransaction { records[Int(shard)]?.endGroup() }
    return effect
  }

  /// Tells a command to the watchers of keys and to monitors (DESIGN §6).
  private mutating func log(_ call: Call, _ effect: Effect) {
    if effect != .none { touchKeys(of: call) }
    if !tracking.trackers.isEmpty { track(call) }
    if !monitors.isEmpty || !router.monitors.isEmpty { tellMonitors(call) }
  }

  /// The keys of a command as they are now. Nothing is removed.
  private func keys(of call: Call) -> [HeardKey] {
    var keys: [HeardKey] = []
    for specification in CommandTable.all[Int(call.id.rawValue)].specifications {
      for argument in places(of: specification, in: call) {
        let hash = KeyHash(call[argument], seed: hashSeed)
        var state = HeardKey.State.absent
        if let entry = keyspace.find(call.slot, hash, call[argument]) {
          state = hasExpired(entry) ? .expired : .present
        }
        keys.append(
          HeardKey(
            argument: argument, key: Self.bytes(of: call[argument]), hash: hash, state: state))
      }
    }
    return keys
  }

  /// Whether an entry's time is up.
  func hasExpired(_ entry: EntryRef) -> Bool {
    let moment = entry.hasExpiry ? keyspace.expiry(of: entry) : nil
    return moment.map { $0 <= now } ?? false
  }

  // MARK: the log

  /// Keys that a command has written over without a look at their expiry: as if they had been found expired.
  private mutating func recordOverwritten(_ keys: [HeardKey], _ call: Call, _ shard: Int32) {
    for key in keys where key.state == .expired && expiredKeys?.contains(key.key) == false {
      expiredKeys?.insert(key.key)
      record(shard, call.slot, [Array("DEL".utf8), key.key])
    }
  }

  /// The request that makes the same change, whenever and wherever it is carried out.
  private func loggedForm(of call: Call, _ effect: Effect) -> [[UInt8]] {
    var words = words(of: call)
    if effect == .verbatim { return words }
    guard let entry = keyspace.find(call.slot, call.hash, call[1]) else {
      return [Array("DEL".utf8), words[1]]
    }
    let moment = entry.hasExpiry ? keyspace.expiry(of: entry) : nil
    let time = Array("\(moment ?? 0)".utf8)
    switch call.id {
    case .set:
      if setOptions(call)?.unit == nil {
        // What was there was asked for, and is nobody's business else.
        return words.prefix(3) + words.dropFirst(3).filter { !Self.text($0, is: "GET") }
      }
      return [Array("SET".utf8), words[1], words[2], Array("PXAT".utf8), time]
    case .setex, .psetex:
      return [Array("SET".utf8), words[1], words[3], Array("PXAT".utf8), time]
    case .getset: words[0] = Array("SET".utf8)
    case .incrbyfloat:
      return [Array("SET".utf8), words[1], bytes(of: entry), Array("KEEPTTL".utf8)]
    case .getex:
      return moment == nil
        ? [Array("PERSIST".utf8), words[1]] : [Array("PEXPIREAT".utf8), words[1], time]
    case .expire, .pexpire, .expireat, .pexpireat:
      if call.id != .pexpireat { words[0] = Array("PEXPIREAT".utf8) }
      words[2] = time
    case .restore, .restoreAsking:
      if moment != nil, !words.dropFirst(4).contains(where: { Self.text($0, is: "ABSTTL") }) {
        words[2] = time
        words.append(Array("ABSTTL".utf8))
      }
    default: break
    }
    return words
  }

  private static func text(_ bytes: [UInt8], is word: Word) -> Bool {
    bytes.rawBytes.equals(ignoringCase: word)
  }

  /// A request's words. A bulk that was received apart has become a key's value by now.
  private func words(of call: Call) -> [[UInt8]] {
    var words: [[UInt8]] = []
    for i in 0..<call.count {
      guard call.arguments.largeIndex(i) != nil else {
        words.append(Self.bytes(of: call[i]))
        continue
      }
      let isList = call.id == .mset || call.id == .msetnx
      let key = isList ? i - 1 : 1
      let entry = keyspace.find(call.slot, KeyHash(call[key], seed: hashSeed), call[key])
      words.append(entry.map { bytes(of: $0) } ?? [])
    }
    return words
  }
}
