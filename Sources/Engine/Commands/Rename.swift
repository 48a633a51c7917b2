internal import RESP
internal import Storage

// A value under another key. Both keys are in one slot, so in one table; there is one database.

extension Engine {
  /// RENAME key newkey.
  mutating func rename(_ call: Call) -> Effect { rename(call, overwrites: true) }

  /// RENAMENX key newkey.
  mutating func renamenx(_ call: Call) -> Effect { rename(call, overwrites: false) }

  private mutating func rename(_ call: Call, overwrites: Bool) -> Effect {
    guard let first = live(call) else { return failing("ERR no such key") }
    keyspace.touch(first, accessClock)
    if call[1].equals(call[2]) {
      if overwrites { reply.ok() } else { reply.integer(0) }
      return .none
    }
    let hash = KeyHash(call[2], seed: hashSeed)
    let target = live(call.slot, hash, call[2])
    if !overwrites && target != nil {
      reply.integer(0)
      return .none
    }
    // An expired target that was removed may have moved what stood beside it.
    guard let source = keyspace.find(call.slot, call.hash, call[1]) else {
      return failing("ERR no such key")
    }
    do throws(OutOfMemory) {
      try keyspace.rename(
        call.slot, source, to: hash, call[2], over: target, clock: accessClock)
    } catch { return outOfMemory() }
    if overwrites { reply.ok() } else { reply.integer(1) }
    return .verbatim
  }

  /// COPY source destination [DB 0] [REPLACE].
  mutating func copy(_ call: Call) -> Effect {
    var replaces = false
    var database: Int64 = 0
    var i = 3
    while i < call.count {
      switch Word(call[i]) {
      case "REPLACE": replaces = true
      case "DB" where i + 1 < call.count:
        i += 1
        guard let number = call[i].integer() else { return notAnInteger() }
        guard Int32(exactly: number) != nil else {
          return failing(
            "ERR value is out of range, value must between -2147483648 and 2147483647")
        }
        guard (0..<16).contains(number) else { return failing("ERR DB index is out of range") }
        database = number
      default: return syntaxError()
      }
      i += 1
    }
    if database != 0 {
      return failing("ERR Copying to another database is not allowed in cluster mode")
    }
    if call[1].equals(call[2]) {
      return failing("ERR source and destination objects are the same")
    }
    guard read(call) != nil else {
      reply.integer(0)
      return .none
    }
    let hash = KeyHash(call[2], seed: hashSeed)
    let target = live(call.slot, hash, call[2])
    if let target, !replaces {
      keyspace.touch(target, accessClock)
      reply.integer(0)
      return .none
    }
    guard let source = keyspace.find(call.slot, call.hash, call[1]) else {
      reply.integer(0)
      return .none
    }
    do throws(OutOfMemory) {
      try keyspace.copy(call.slot, source, to: hash, call[2], over: target, clock: accessClock)
    } catch { return outOfMemory() }
    reply.integer(1)
    return .verbatim
  }

  /// MOVE key db: there is no other database.
  mutating func move(_ call: Call) -> Effect {
    failing("ERR MOVE is not allowed in cluster mode")
  }
}
