internal import RESP
internal import Storage

// Strings that are set under a condition or with an expiry, or read and changed at once.

extension Engine {
  /// SETNX key value.
  mutating func setnx(_ call: Call) -> Effect {
    if live(call) != nil {
      reply.integer(0)
      return .none
    }
    do throws(OutOfMemory) {
      try store(call, value: 2, over: nil, expiry: .clear)
    } catch { return outOfMemory() }
    reply.integer(1)
    return .verbatim
  }

  /// SETEX key seconds value and PSETEX key milliseconds value.
  mutating func setex(_ call: Call, _ unit: ExpiryUnit) -> Effect {
    guard let number = call[2].integer() else { return notAnInteger() }
    guard let moment = unit.moment(number, now: now) else {
      return unit == .seconds
        ? failing("ERR invalid expire time in 'setex' command")
        : failing("ERR invalid expire time in 'psetex' command")
    }
    let entry = keyspace.find(call.slot, call.hash, call[1])
    do throws(OutOfMemory) {
      try store(call, value: 3, over: entry, expiry: .at(moment))
    } catch { return outOfMemory() }
    reply.ok()
    return .rewritten
  }

  /// MSETNX key value [key value …]: all, or none if one of them is there.
  mutating func msetnx(_ call: Call) -> Effect {
    if call.count % 2 == 0 {
      return failing("ERR wrong number of arguments for 'msetnx' command")
    }
    var isFree = true
    forEachKey(call, step: 2) { engine, argument, hash in
      if isFree, engine.live(call.slot, hash, call[argument]) != nil { isFree = false }
    }
    if !isFree {
      reply.integer(0)
      return .none
    }
    var isDone = true
    forEachKey(call, step: 2) { engine, argument, hash in
      // A key that is named twice is there by now.
      let entry = engine.keyspace.find(call.slot, hash, call[argument])
      do throws(OutOfMemory) {
        try engine.store(
          call, key: argument, hash: hash, value: argument + 1, over: entry, expiry: .clear)
      } catch { isDone = false }
    }
    if !isDone { return outOfMemory() }
    reply.integer(1)
    return .verbatim
  }

  /// GETSET key value. What was there is answered first; if there is no memory then, nothing may follow it.
  mutating func getset(_ call: Call) -> Effect {
    let entry = read(call)
    if let entry { replyValue(entry) } else { replyNull() }
    do throws(OutOfMemory) {
      try store(call, value: 2, over: entry, expiry: .clear)
    } catch {
      close(current)
      return .none
    }
    return .rewritten
  }

  /// GETDEL key.
  mutating func getdel(_ call: Call) -> Effect {
    guard let entry = read(call) else {
      replyNull()
      return .none
    }
    replyValue(entry)
    keyspace.remove(call.slot, entry)
    return .rewritten
  }

  /// What GETEX does to a key's expiry.
  private enum ExpiryChange {
    case none, persist, refused
    /// The unit, and the index of its number.
    case expire(ExpiryUnit, Int)
  }

  /// GETEX key [EX seconds|PX milliseconds|EXAT unix-seconds|PXAT unix-milliseconds|PERSIST].
  mutating func getex(_ call: Call) -> Effect {
    let change = expiryChange(call)
    if case .refused = change { return syntaxError() }
    guard let entry = read(call) else {
      replyNull()
      return .none
    }
    var moment: Int64?
    switch change {
    case .refused, .none:
      replyValue(entry)
      return .none
    case .persist:
      if !entry.hasExpiry {
        replyValue(entry)
        return .none
      }
    case .expire(let unit, let argument):
      guard let number = call[argument].integer() else { return notAnInteger() }
      moment = unit.moment(number, now: now)
      guard let moment else { return failing("ERR invalid expire time in 'getex' command") }
      if moment <= now {
        replyValue(entry)
        keyspace.remove(call.slot, entry)
        return .rewritten
      }
    }
    do throws(OutOfMemory) {
      try keyspace.setExpiry(call.slot, call.hash, call[1], of: entry, moment)
    } catch { return outOfMemory() }
    // The entry may have moved.
    if let entry = keyspace.find(call.slot, call.hash, call[1]) { replyValue(entry) }
    return .rewritten
  }

  private func expiryChange(_ call: Call) -> ExpiryChange {
    var change = ExpiryChange.none
    var i = 2
    while i < call.count {
      let unit: ExpiryUnit
      switch Word(call[i]) {
      case "EX": unit = .seconds
      case "PX": unit = .milliseconds
      case "EXAT": unit = .unixSeconds
      case "PXAT": unit = .unixMilliseconds
      case "PERSIST":
        if case .expire = change { return .refused }
        change = .persist
        i += 1
        continue
      default: return .refused
      }
      switch change {
      case .none: break
      // The same word twice is allowed; the last one counts.
      case .expire(unit, _): break
      case .expire, .persist, .refused: return .refused
      }
      guard i + 1 < call.count else { return .refused }
      change = .expire(unit, i + 1)
      i += 2
    }
    return change
  }
}
