internal import RESP
internal import Sharding
internal import Storage

// The commands on keys of any type.

extension Engine {
  /// DEL and UNLINK key [key …]: the same, because big values are freed in slices in any case.
  mutating func del(_ call: Call) -> Effect {
    var removed: Int64 = 0
    for i in 1..<call.count {
      let hash = i == 1 ? call.hash : KeyHash(call[i], seed: hashSeed)
      if let entry = live(call.slot, hash, call[i]) {
        keyspace.remove(call.slot, entry)
        removed += 1
      }
    }
    reply.integer(removed)
    return removed > 0 ? .verbatim : .none
  }

  /// EXISTS key [key …]: a key named twice counts twice. It does not count as an access.
  mutating func exists(_ call: Call) -> Effect {
    var found: Int64 = 0
    for i in 1..<call.count {
      let hash = i == 1 ? call.hash : KeyHash(call[i], seed: hashSeed)
      if look(call.slot, hash, call[i]) != nil { found += 1 }
    }
    reply.integer(found)
    return .none
  }

  /// TOUCH key [key …]: EXISTS that counts as an access.
  mutating func touch(_ call: Call) -> Effect {
    // What it is asked for it does, also for a client that leaves the clocks alone otherwise.
    touchClock = accessClock
    var found: Int64 = 0
    for i in 1..<call.count {
      let hash = i == 1 ? call.hash : KeyHash(call[i], seed: hashSeed)
      if read(call.slot, hash, call[i]) != nil { found += 1 }
    }
    reply.integer(found)
    return .none
  }

  /// TYPE key. It does not count as an access.
  mutating func type(_ call: Call) -> Effect {
    if look(call.slot, call.hash, call[1]) != nil {
      reply.simple("string")
    } else {
      reply.simple("none")
    }
    return .none
  }

  /// Whether a slot is shown to the session that asks: its shard's, or, at the router, any shard's of this worker.
  @inline(__always)
  func isShown(_ slot: Int, to shard: Int32) -> Bool {
    let owner = keyspace.owner(of: slot)
    return owner == shard || shard == Session.endpoint && owner >= 0
  }

  /// DBSIZE: the keys of this shard.
  mutating func dbsize(_ call: Call) -> Effect {
    let shard = sessions[current].shard
    reply.integer(
      Int64(shard == Session.endpoint ? shownKeyCount : keyspace.keyCount(ofShard: shard)))
    return .none
  }

  /// KEYS pattern: all keys of this shard that match, in one reply; SCAN is the command for more than a few.
  mutating func keys(_ call: Call) -> Effect {
    let isAll = call[1].equals(ignoringCase: "*")
    var matching: [EntryRef] = []
    forEachLiveEntry(ofShard: sessions[current].shard) { entry in
      if isAll || Glob.matches(call[1], keyspace.key(of: entry)) { matching.append(entry) }
    }
    reply.arrayHeader(matching.count)
    for entry in matching { replyKey(entry) }
    return .none
  }

  /// RANDOMKEY: uniform over the keys of this shard; expired ones are removed when they are drawn.
  mutating func randomkey(_ call: Call) -> Effect {
    let shard = sessions[current].shard
    for _ in 0..<100 {
      guard let (slot, entry) = randomShownEntry(shard) else { break }
      if entry.hasExpiry, let expiry = keyspace.expiry(of: entry), expiry <= now {
        expire(slot, entry)
        continue
      }
      replyKey(entry)
      return .none
    }
    replyNull()
    return .none
  }

  /// One of the entries that are shown to a shard's port or the router's.
  private mutating func randomShownEntry(_ shard: Int32) -> (slot: Int, entry: EntryRef)? {
    if shard >= 0 { return keyspace.randomEntry(shard: shard, draw: &random) }
    let count = openSlots.isEmpty ? 0 : shownKeyCount
    var drawn = count > 0 ? random.below(count) : 0
    for open in openSlots where open.isImporting {
      let keys = keyspace.keyCount(of: open.table)
      if drawn < keys, let entry = keyspace.randomEntry(of: open.table, draw: &random) {
        return (open.table, entry)
      }
      drawn -= keys
    }
    // Of slots that are owned: what an import has left is not shown.
    for _ in 0..<100 {
      guard let found = keyspace.randomEntry(shard: nil, draw: &random) else { return nil }
      if found.slot < HashSlot.count, keyspace.owner(of: found.slot) >= 0 { return found }
    }
    return nil
  }

  /// FLUSHALL and FLUSHDB [ASYNC|SYNC]: every table is moved out at once and freed in slices, either way.
  mutating func flush(_ call: Call) -> Effect {
    if call.count > 2 { return syntaxError() }
    if call.count == 2 {
      switch Word(call[1]) {
      case "ASYNC", "SYNC": break
      default: return syntaxError()
      }
    }
    let shard = sessions[current].shard
    if shard == Session.endpoint {
      for local in shards.indices {
        flush(Int32(local))
        if isRecorded(Int32(local)) {
          records[local]?.beginGroup()
          record(Int32(local), -1, [Array("FLUSHALL".utf8)])
          records[local]?.endGroup()
        }
      }
    } else {
      flush(shard)
    }
    reply.ok()
    return .verbatim
  }

  /// Takes all keys of a shard away.
  private mutating func flush(_ shard: Int32) {
    if listeners != 0 { touchAll(ofShard: shard) }
    for slot in 0..<HashSlot.count
    where keyspace.owner(of: slot) == shard && keyspace.keyCount(of: slot) > 0 {
      keyspace.clear(slot)
    }
    if !openSlots.isEmpty { flushOpenTables(of: shard) }
  }

  /// OBJECT ENCODING key.
  mutating func objectEncoding(_ call: Call) -> Effect {
    guard let entry = look(call.slot, call.hash, call[2]) else {
      replyNull()
      return .none
    }
    switch keyspace.encoding(of: entry) {
    case .integer: reply.bulk("int")
    case .embedded: reply.bulk("embstr")
    case .raw: reply.bulk("raw")
    }
    return .none
  }

  /// OBJECT REFCOUNT key: small integers are said to be shared, as Redis shares them unless each needs a clock.
  mutating func objectRefCount(_ call: Call) -> Effect {
    guard let entry = look(call.slot, call.hash, call[2]) else {
      replyNull()
      return .none
    }
    let isShared =
      !(settings.maxMemory > 0 && settings.maxMemoryPolicy.needsClocks)
      && keyspace.encoding(of: entry) == .integer
      && (0..<10_000).contains(keyspace.integer(of: entry))
    reply.integer(isShared ? Int64(Int32.max) : 1)
    return .none
  }

  /// OBJECT IDLETIME key: seconds since the last access. The clock has 24 bits.
  mutating func objectIdleTime(_ call: Call) -> Effect {
    guard let entry = look(call.slot, call.hash, call[2]) else {
      replyNull()
      return .none
    }
    if settings.maxMemoryPolicy.countsUses {
      return failing(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
      )
    }
    reply.integer(
      Int64(AccessClock.idleSeconds(keyspace.accessClock(of: entry), at: accessClock)))
    return .none
  }

  /// OBJECT FREQ key: the counter of uses, as it has decayed.
  mutating func objectFrequency(_ call: Call) -> Effect {
    guard let entry = look(call.slot, call.hash, call[2]) else {
      replyNull()
      return .none
    }
    if !settings.maxMemoryPolicy.countsUses {
      return failing(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
      )
    }
    reply.integer(Int64(keyspace.useCount(of: entry, at: accessClock)))
    return .none
  }

  /// OBJECT HELP.
  mutating func objectHelp(_ call: Call) -> Effect {
    help(
      "OBJECT",
      [
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
      ])
  }

  /// A container's HELP, in the form that Redis gives it.
  mutating func help(_ name: String, _ lines: [String]) -> Effect {
    let id = CommandTable.all.first { $0.name == name.lowercased() }?.id
    let shown = id.map { lookup.shownName(of: $0) } ?? name
    let all =
      ["\(shown) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"] + lines
      + ["HELP", "    Prints this help."]
    reply.arrayHeader(all.count)
    for line in all { reply.append(bytes: Array("+\(line)\r\n".utf8)) }
    return .none
  }
}
