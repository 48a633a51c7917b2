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

  /// EXISTS key [key …]: a key named twice counts twice.
  mutating func exists(_ call: Call) -> Effect {
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
    if live(call) != nil { reply.simple("string") } else { reply.simple("none") }
    return .none
  }

  /// EXPIRE key seconds [NX|XX|GT|LT].
  mutating func expire(_ call: Call) -> Effect { expire(call, unit: 1000, "expire") }

  /// PEXPIRE key milliseconds [NX|XX|GT|LT].
  mutating func pexpire(_ call: Call) -> Effect { expire(call, unit: 1, "pexpire") }

  private mutating func expire(_ call: Call, unit: Int64, _ name: String) -> Effect {
    var isNX = false
    var isXX = false
    var isGT = false
    var isLT = false
    for i in 3..<max(3, call.count) {
      switch Word(call[i]) {
      case "NX": isNX = true
      case "XX": isXX = true
      case "GT": isGT = true
      case "LT": isLT = true
      default: return failing(bytes: Array("ERR Unsupported option ".utf8) + Self.shown(call[i]))
      }
    }
    if isNX && (isXX || isGT || isLT) {
      return failing(
        "ERR NX and XX, GT or LT options at the same time are not compatible")
    }
    if isGT && isLT {
      return failing("ERR GT and LT options at the same time are not compatible")
    }
    guard let number = call[2].integer() else { return notAnInteger() }
    let (product, isTooLarge) = number.multipliedReportingOverflow(by: unit)
    let (moment, overflow) = product.addingReportingOverflow(now)
    if isTooLarge || overflow {
      return failing(text: "ERR invalid expire time in '\(name)' command")
    }
    guard let entry = live(call) else {
      reply.integer(0)
      return .none
    }
    let present = entry.hasExpiry ? keyspace.expiry(of: entry) : nil
    let isRefused =
      isNX && present != nil || isXX && present == nil
      || isGT && (present.map { moment <= $0 } ?? true)
      || isLT && (present.map { moment >= $0 } ?? false)
    if isRefused {
      reply.integer(0)
      return .none
    }
    if moment <= now {
      keyspace.remove(call.slot, entry)
    } else {
      do throws(OutOfMemory) {
        try keyspace.setExpiry(call.slot, call.hash, call[1], of: entry, moment)
      } catch { return outOfMemory() }
    }
    reply.integer(1)
    return .rewritten
  }

  /// TTL key, in seconds, rounded.
  mutating func ttl(_ call: Call) -> Effect {
    replyTimeToLive(call) { ($0 + 500) / 1000 }
    return .none
  }

  /// PTTL key, in milliseconds.
  mutating func pttl(_ call: Call) -> Effect {
    replyTimeToLive(call) { $0 }
    return .none
  }

  @inline(__always)
  private mutating func replyTimeToLive(_ call: Call, _ rounded: (Int64) -> Int64) {
    guard let entry = live(call) else { return reply.integer(-2) }
    guard entry.hasExpiry, let expiry = keyspace.expiry(of: entry) else {
      return reply.integer(-1)
    }
    reply.integer(rounded(max(0, expiry - now)))
  }

  /// PERSIST key.
  mutating func persist(_ call: Call) -> Effect {
    guard let entry = live(call), entry.hasExpiry else {
      reply.integer(0)
      return .none
    }
    do throws(OutOfMemory) {
      try keyspace.setExpiry(call.slot, call.hash, call[1], of: entry, nil)
    } catch { return outOfMemory() }
    reply.integer(1)
    return .verbatim
  }

  /// DBSIZE: the keys of this shard.
  mutating func dbsize(_ call: Call) -> Effect {
    reply.integer(Int64(keyspace.keyCount(ofShard: sessions[current].shard)))
    return .none
  }

  /// KEYS pattern: all keys of this shard that match, in one reply; SCAN is the command for more than a few.
  mutating func keys(_ call: Call) -> Effect {
    let shard = sessions[current].shard
    let isAll = call[1].equals(ignoringCase: "*")
    var found: [EntryRef] = []
    var matching: [EntryRef] = []
    for slot in 0..<HashSlot.count
    where keyspace.owner(of: slot) == shard && keyspace.keyCount(of: slot) > 0 {
      var prefix: UInt64? = 0
      while let from = prefix {
        found.removeAll(keepingCapacity: true)
        prefix = keyspace.scan(slot, from: from, into: &found)
        for entry in found {
          if entry.hasExpiry, let expiry = keyspace.expiry(of: entry), expiry <= now { continue }
          if isAll || Glob.matches(call[1], keyspace.key(of: entry)) { matching.append(entry) }
        }
      }
    }
    reply.arrayHeader(matching.count)
    for entry in matching { replyKey(entry) }
    return .none
  }

  /// RANDOMKEY: uniform over the keys of this shard; expired ones are removed when they are drawn.
  mutating func randomkey(_ call: Call) -> Effect {
    for _ in 0..<100 {
      guard let (slot, entry) = keyspace.randomEntry(shard: sessions[current].shard, draw: &random)
      else { break }
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
    if listeners != 0 { touchAll(ofShard: shard) }
    for slot in 0..<HashSlot.count
    where keyspace.owner(of: slot) == shard && keyspace.keyCount(of: slot) > 0 {
      keyspace.clear(slot)
    }
    reply.ok()
    return .verbatim
  }

  /// OBJECT ENCODING key.
  mutating func objectEncoding(_ call: Call) -> Effect {
    guard let entry = live(call.slot, call.hash, call[2]) else {
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

  /// OBJECT IDLETIME key: seconds since it was last used, which this does not count as.
  mutating func objectIdleTime(_ call: Call) -> Effect {
    guard let entry = live(call.slot, call.hash, call[2]) else {
      replyNull()
      return .none
    }
    // The clock has 24 bits: half a year. What seems to lie ahead was written a moment ago by a clock that was set back.
    let idle = (accessClock &- keyspace.accessClock(of: entry)) & 0xFF_FFFF
    reply.integer(idle < 1 << 23 ? Int64(idle) : 0)
    return .none
  }

  /// OBJECT REFCOUNT key: an entry has exactly one referrer.
  mutating func objectRefCount(_ call: Call) -> Effect {
    if live(call.slot, call.hash, call[2]) != nil { reply.integer(1) } else { replyNull() }
    return .none
  }

  /// OBJECT FREQ key: there is no policy that would count.
  mutating func objectFrequency(_ call: Call) -> Effect {
    guard live(call.slot, call.hash, call[2]) != nil else {
      replyNull()
      return .none
    }
    return failing(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
    )
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
    let all =
      ["\(name) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"] + lines
      + ["HELP", "    Prints this help."]
    reply.arrayHeader(all.count)
    for line in all { reply.append(bytes: Array("+\(line)\r\n".utf8)) }
    return .none
  }
}
