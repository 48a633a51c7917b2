internal import RESP
internal import Storage

// The events of a command, in Redis's order: for each key first that it was found expired, then that it is missed or new, then what
// was done to it.

extension Engine {
  /// Records the events of a command that was run.
  mutating func tellEvents(_ heard: HeardCommand, _ call: Call) {
    if settings.keyspaceEvents.isEmpty { return }
    let keys = heard.keys
    let isChanged = heard.effect != .none
    switch heard.id {
    case .get, .mget, .strlen, .getrange, .substr, .getbit, .bitcount, .bitpos, .bitfieldRO,
      .exists, .touch, .type, .ttl, .pttl, .expiretime, .pexpiretime, .dump:
      for key in keys { tellMiss(heard, key) }
    case .lcs:
      // The keys are looked at before the options.
      for key in keys { tellMiss(heard, key, evenIfFailed: true) }
    case .set:
      let options = setOptions(call)
      if options?.returnsOld == true { tellMiss(heard, keys[0]) }
      tellWritten(heard, .string, "set", expires: options?.unit != nil)
    case .setnx: tellWritten(heard, .string, "set")
    case .setex, .psetex: tellWritten(heard, .string, "set", expires: true)
    case .getset:
      tellMiss(heard, keys[0])
      tellWritten(heard, .string, "set")
    case .mset, .msetnx: tellSets(heard)
    case .append: tellWritten(heard, .string, "append")
    case .setrange: tellWritten(heard, .string, "setrange")
    case .incr, .decr, .incrby, .decrby: tellWritten(heard, .string, "incrby")
    case .incrbyfloat: tellWritten(heard, .string, "incrbyfloat")
    case .setbit: tellWritten(heard, .string, "setbit")
    case .bitfield:
      // It made the key unless it only read.
      if !isThere(heard, keys[0]) { tellMiss(heard, keys[0]) }
      tellWritten(heard, .string, "setbit")
    case .bitop:
      for key in keys.dropFirst() { tellMiss(heard, key) }
      if !isChanged || isThere(heard, keys[0]) {
        tellWritten(heard, .string, "set")
      } else {
        event(heard.shard, .generic, "del", keys[0].key)
      }
    case .del, .unlink: tellRemoved(heard)
    case .expire, .pexpire, .expireat, .pexpireat:
      tellExpired(heard, keys[0])
      if isChanged { event(heard.shard, .generic, afterwards(heard, keys[0]), keys[0].key) }
    case .getdel, .getex:
      tellMiss(heard, keys[0])
      if isChanged { event(heard.shard, .generic, afterwards(heard, keys[0]), keys[0].key) }
    case .persist:
      tellExpired(heard, keys[0])
      if isChanged { event(heard.shard, .generic, "persist", keys[0].key) }
    case .rename, .renamenx:
      for key in keys { tellExpired(heard, key) }
      if isChanged {
        event(heard.shard, .new, "new", keys[1].key)
        event(heard.shard, .generic, "rename_from", keys[0].key)
        event(heard.shard, .generic, "rename_to", keys[1].key)
      }
    case .copy:
      tellMiss(heard, keys[0])
      tellExpired(heard, keys[1])
      if isChanged {
        event(heard.shard, .new, "new", keys[1].key)
        event(heard.shard, .generic, "copy_to", keys[1].key)
      }
    case .restore, .restoreAsking:
      tellExpired(heard, keys[0])
      if isChanged, isThere(heard, keys[0]) {
        event(heard.shard, .new, "new", keys[0].key)
        event(heard.shard, .generic, "restore", keys[0].key)
      } else if isChanged {
        event(heard.shard, .generic, "del", keys[0].key)
      }
    case .sort, .sortReadOnly:
      tellMiss(heard, keys[0])
      if isChanged, keys.count > 1 { event(heard.shard, .generic, "del", keys[1].key) }
    default:
      tellRemoved(heard)
    }
    // Those that no key of the command accounts for.
    for key in (expiredKeys ?? []).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      event(heard.shard, .expired, "expired", key)
    }
  }

  /// Whether a key is there now; one that has expired is not.
  private func isThere(_ heard: HeardCommand, _ key: HeardKey) -> Bool {
    guard let entry = keyspace.find(heard.slot, key.hash, key.key.rawBytes) else { return false }
    return !hasExpired(entry)
  }

  /// What a command that sets or takes away an expiry has done to a key.
  private func afterwards(_ heard: HeardCommand, _ key: HeardKey) -> String {
    guard let entry = keyspace.find(heard.slot, key.hash, key.key.rawBytes) else { return "del" }
    return entry.hasExpiry ? "expire" : "persist"
  }

  /// That a key was found expired, if it was: once, however often the command names it.
  private mutating func tellExpired(_ heard: HeardCommand, _ key: HeardKey) {
    guard key.state == .expired, expiredKeys != nil else { return }
    if expiredKeys?.remove(key.key) != nil { event(heard.shard, .expired, "expired", key.key) }
  }

  /// That a key is missed.
  private mutating func tellMiss(
    _ heard: HeardCommand, _ key: HeardKey, evenIfFailed: Bool = false
  ) {
    tellExpired(heard, key)
    if key.state == .present || !heard.isSuccess && !evenIfFailed { return }
    event(heard.shard, .keyMiss, "keymiss", key.key)
  }

  /// What was done to the value of the first key.
  private mutating func tellWritten(
    _ heard: HeardCommand, _ eventClass: KeyspaceEvents, _ name: String, expires: Bool = false
  ) {
    let key = heard.keys[0]
    tellExpired(heard, key)
    // A BITFIELD all of whose writes fail has made the key all the same.
    if key.state != .present, heard.effect != .none || isThere(heard, key) {
      event(heard.shard, .new, "new", key.key)
    }
    if heard.effect == .none { return }
    event(heard.shard, eventClass, name, key.key)
    if expires { event(heard.shard, .generic, "expire", key.key) }
  }

  /// MSET and MSETNX.
  private mutating func tellSets(_ heard: HeardCommand) {
    if heard.id == .msetnx {
      for key in heard.keys { tellExpired(heard, key) }
    }
    var made: Set<[UInt8]> = []
    for key in heard.keys {
      tellExpired(heard, key)
      if heard.effect == .none { continue }
      if key.state != .present, made.insert(key.key).inserted {
        event(heard.shard, .new, "new", key.key)
      }
      event(heard.shard, .string, "set", key.key)
    }
  }

  /// The keys that are not there any more.
  private mutating func tellRemoved(_ heard: HeardCommand) {
    var removed: Set<[UInt8]> = []
    for key in heard.keys {
      tellExpired(heard, key)
      if key.state == .present, heard.effect != .none, !isThere(heard, key),
        removed.insert(key.key).inserted
      {
        event(heard.shard, .generic, "del", key.key)
      }
    }
  }
}
