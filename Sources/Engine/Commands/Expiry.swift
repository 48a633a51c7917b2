internal import RESP
internal import Storage

// The commands about when a key expires.

extension Engine {
  /// EXPIRE key seconds [NX|XX|GT|LT].
  mutating func expire(_ call: Call) -> Effect { expire(call, unit: 1000, base: now, "expire") }

  /// PEXPIRE key milliseconds [NX|XX|GT|LT].
  mutating func pexpire(_ call: Call) -> Effect { expire(call, unit: 1, base: now, "pexpire") }

  /// EXPIREAT key unix-seconds [NX|XX|GT|LT].
  mutating func expireat(_ call: Call) -> Effect { expire(call, unit: 1000, base: 0, "expireat") }

  /// PEXPIREAT key unix-milliseconds [NX|XX|GT|LT].
  mutating func pexpireat(_ call: Call) -> Effect { expire(call, unit: 1, base: 0, "pexpireat") }

  private mutating func expire(_ call: Call, unit: Int64, base: Int64, _ name: String) -> Effect {
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
    let (moment, overflow) = product.addingReportingOverflow(base)
    if isTooLarge || overflow {
      return failing(text: "ERR invalid expire time in '\(name)' command")
    }
    guard let entry = live(call) else {
      reply.integer(0)
      return .none
    }
    keyspace.touch(entry, touchClock)
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
    replyExpiry(call) { Self.seconds(max(0, $0 - $1)) }
    return .none
  }

  /// PTTL key, in milliseconds.
  mutating func pttl(_ call: Call) -> Effect {
    replyExpiry(call) { max(0, $0 - $1) }
    return .none
  }

  /// EXPIRETIME key, in Unix seconds, rounded.
  mutating func expiretime(_ call: Call) -> Effect {
    replyExpiry(call) { moment, _ in Self.seconds(moment) }
    return .none
  }

  /// PEXPIRETIME key, in Unix milliseconds.
  mutating func pexpiretime(_ call: Call) -> Effect {
    replyExpiry(call) { moment, _ in moment }
    return .none
  }

  /// Milliseconds, not negative, in seconds, rounded; the largest number does not overflow.
  @inline(__always)
  private static func seconds(_ milliseconds: Int64) -> Int64 {
    milliseconds / 1000 + (milliseconds % 1000 >= 500 ? 1 : 0)
  }

  /// Answers −2 for no key, −1 for one without expiry, else what is made of the moment and now.
  @inline(__always)
  private mutating func replyExpiry(_ call: Call, _ shown: (Int64, Int64) -> Int64) {
    guard let entry = look(call.slot, call.hash, call[1]) else { return reply.integer(-2) }
    guard entry.hasExpiry, let expiry = keyspace.expiry(of: entry) else {
      return reply.integer(-1)
    }
    reply.integer(shown(expiry, now))
  }

  /// PERSIST key.
  mutating func persist(_ call: Call) -> Effect {
    guard let entry = live(call) else {
      reply.integer(0)
      return .none
    }
    keyspace.touch(entry, touchClock)
    if !entry.hasExpiry {
      reply.integer(0)
      return .none
    }
    do throws(OutOfMemory) {
      try keyspace.setExpiry(call.slot, call.hash, call[1], of: entry, nil)
    } catch { return outOfMemory() }
    reply.integer(1)
    return .verbatim
  }
}
