internal import RESP
internal import Storage

// The commands on strings. Rules and texts: the commands' pages in Redis's documentation, and Redis 7 itself where they are silent.

/// The options of SET.
struct SetOptions {
  var onlyIfAbsent = false
  var onlyIfPresent = false
  var returnsOld = false
  var keepsExpiry = false
  /// The word of the expiry and the index of its argument.
  var unit: ExpiryUnit? = nil
  var expiryArgument = 0
}

/// How a moment of expiry is written.
enum ExpiryUnit {
  case seconds, milliseconds, unixSeconds, unixMilliseconds

  /// The moment in Unix milliseconds that a number says; nil if it is not positive or out of range.
  func moment(_ number: Int64, now: Int64) -> Int64? {
    if number <= 0 { return nil }
    var moment = number
    if self == .seconds || self == .unixSeconds {
      let (product, overflow) = number.multipliedReportingOverflow(by: 1000)
      if overflow { return nil }
      moment = product
    }
    if self == .seconds || self == .milliseconds {
      let (sum, overflow) = moment.addingReportingOverflow(now)
      if overflow { return nil }
      moment = sum
    }
    return moment
  }
}

extension Engine {
  /// GET key.
  @inline(__always)
  mutating func get(_ call: Call) -> Effect {
    if let entry = read(call) { replyValue(entry) } else { replyNull() }
    return .none
  }

  /// SET key value with no options, as most are.
  @inline(__always)
  mutating func set(_ call: Call) -> Effect {
    if call.count > 3 || !large.isEmpty { return setWithOptions(call) }
    let entry = keyspace.find(call.slot, call.hash, call[1])
    do throws(OutOfMemory) {
      try store(call, value: 2, over: entry, expiry: .clear)
    } catch { return outOfMemory() }
    reply.ok()
    return .verbatim
  }

  /// Stores an argument as a key's value: as an integer if it is written exactly as one.
  @inline(__always)
  mutating func store(
    _ call: Call, key: Int = 1, hash: KeyHash? = nil, value: Int, over entry: EntryRef?,
    expiry: StringExpiry
  ) throws(OutOfMemory) {
    let hash = hash ?? call.hash
    if let index = call.arguments.largeIndex(value) {
      guard index < large.count, let bulk = large[index].take() else { throw OutOfMemory() }
      try keyspace.setValue(
        call.slot, hash, call[key], bulk, over: entry, expiry: expiry, clock: accessClock)
      return
    }
    let bytes = call[value]
    if bytes.byteCount <= 20, let integer = bytes.integer() {
      try keyspace.setInteger(
        call.slot, hash, call[key], integer, over: entry, expiry: expiry, clock: accessClock)
    } else {
      try keyspace.setBytes(
        call.slot, hash, call[key], bytes, over: entry, expiry: expiry, clock: accessClock)
    }
  }

  private mutating func setWithOptions(_ call: Call) -> Effect {
    guard let options = setOptions(call) else { return syntaxError() }
    var expiry: StringExpiry = options.keepsExpiry ? .keep : .clear
    if let unit = options.unit {
      guard let number = call[options.expiryArgument].integer() else { return notAnInteger() }
      guard let moment = unit.moment(number, now: now) else {
        return failing("ERR invalid expire time in 'set' command")
      }
      expiry = .at(moment)
    }
    let entry = options.returnsOld ? read(call) : live(call)
    if options.returnsOld {
      if let entry { replyValue(entry) } else { replyNull() }
    }
    if options.onlyIfAbsent && entry != nil || options.onlyIfPresent && entry == nil {
      if !options.returnsOld { replyNull() }
      return .none
    }
    do throws(OutOfMemory) {
      try store(call, value: 2, over: entry, expiry: expiry)
    } catch {
      if options.returnsOld {
        // The old value went out already; nothing may follow it.
        close(current)
        return .none
      }
      return outOfMemory()
    }
    if !options.returnsOld { reply.ok() }
    return options.unit == nil && !options.returnsOld ? .verbatim : .rewritten
  }

  /// SET's options; nil is a syntax error.
  func setOptions(_ call: Call) -> SetOptions? {
    var options = SetOptions()
    var i = 3
    while i < call.count {
      guard let word = Word(call[i]) else { return nil }
      let hasNext = i + 1 < call.count
      let unit: ExpiryUnit
      switch word {
      case "NX" where !options.onlyIfPresent:
        options.onlyIfAbsent = true
        i += 1
        continue
      case "XX" where !options.onlyIfAbsent:
        options.onlyIfPresent = true
        i += 1
        continue
      case "GET":
        options.returnsOld = true
        i += 1
        continue
      case "KEEPTTL" where options.unit == nil:
        options.keepsExpiry = true
        i += 1
        continue
      case "EX": unit = .seconds
      case "PX": unit = .milliseconds
      case "EXAT": unit = .unixSeconds
      case "PXAT": unit = .unixMilliseconds
      default: return nil
      }
      // The same word twice is no error: the last one counts. So it is in Redis.
      guard hasNext, options.unit ?? unit == unit, !options.keepsExpiry else { return nil }
      options.unit = unit
      options.expiryArgument = i + 1
      i += 2
    }
    return options
  }

  /// MGET key [key …].
  mutating func mget(_ call: Call) -> Effect {
    reply.arrayHeader(call.count - 1)
    forEachKey(call, step: 1) { engine, argument, hash in
      if let entry = engine.read(call.slot, hash, call[argument]) {
        engine.replyValue(entry)
      } else {
        engine.replyNull()
      }
    }
    return .none
  }

  /// MSET key value [key value …].
  mutating func mset(_ call: Call) -> Effect {
    if call.count % 2 == 0 {
      return failing("ERR wrong number of arguments for 'mset' command")
    }
    var isDone = true
    forEachKey(call, step: 2) { engine, argument, hash in
      let entry = engine.keyspace.find(call.slot, hash, call[argument])
      do throws(OutOfMemory) {
        try engine.store(
          call, key: argument, hash: hash, value: argument + 1, over: entry, expiry: .clear)
      } catch { isDone = false }
    }
    if !isDone { return outOfMemory() }
    reply.ok()
    return .verbatim
  }

  /// INCR key.
  mutating func incr(_ call: Call) -> Effect { increment(call, by: 1) }

  /// DECR key.
  mutating func decr(_ call: Call) -> Effect { increment(call, by: -1) }

  /// INCRBY key increment.
  mutating func incrby(_ call: Call) -> Effect {
    guard let number = call[2].integer() else { return notAnInteger() }
    return increment(call, by: number)
  }

  /// DECRBY key decrement.
  mutating func decrby(_ call: Call) -> Effect {
    guard let number = call[2].integer() else { return notAnInteger() }
    if number == .min { return failing("ERR decrement would overflow") }
    return increment(call, by: -number)
  }

  @inline(__always)
  private mutating func increment(_ call: Call, by number: Int64) -> Effect {
    let entry = live(call)
    var value: Int64 = 0
    if let entry {
      if keyspace.encoding(of: entry) == .integer {
        value = keyspace.integer(of: entry)
      } else {
        guard let parsed = keyspace.bytes(of: entry).integer() else { return notAnInteger() }
        value = parsed
      }
    }
    let (sum, overflow) = value.addingReportingOverflow(number)
    if overflow { return failing("ERR increment or decrement would overflow") }
    do throws(OutOfMemory) {
      try keyspace.setInteger(
        call.slot, call.hash, call[1], sum, over: entry, expiry: .keep, clock: accessClock)
    } catch { return outOfMemory() }
    reply.integer(sum)
    return .verbatim
  }

  /// APPEND key value.
  mutating func append(_ call: Call) -> Effect {
    let entry = live(call)
    var length = call[2].byteCount
    if let entry {
      length += keyspace.stringByteCount(of: entry)
    }
    if length > settings.protoMaxBulkLength {
      return failing("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    }
    do throws(OutOfMemory) {
      if let entry {
        length = try keyspace.append(
          call.slot, call.hash, call[1], call[2], to: entry, clock: accessClock)
      } else {
        try store(call, value: 2, over: nil, expiry: .clear)
      }
    } catch { return outOfMemory() }
    reply.integer(Int64(length))
    return .verbatim
  }

  /// STRLEN key.
  mutating func strlen(_ call: Call) -> Effect {
    guard let entry = read(call) else {
      reply.integer(0)
      return .none
    }
    reply.integer(Int64(keyspace.stringByteCount(of: entry)))
    return .none
  }
}
