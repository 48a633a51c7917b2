internal import RESP
internal import Storage

// DUMP and RESTORE: values as they stand in RDB files (`RDB/StringPayload.swift`).

/// The options of RESTORE.
private struct RestoreOptions {
  var replaces = false
  var isAbsolute = false
  /// Seconds since the last access; nil if that is now.
  var idleSeconds: Int64? = nil
  /// The counter of uses, for policies that count them.
  var frequency: Int64? = nil
}

extension Engine {
  /// DUMP key.
  mutating func dump(_ call: Call) -> Effect {
    guard let entry = read(call) else {
      replyNull()
      return .none
    }
    reply.bulk(bytes: Self.payload(of: entry, in: keyspace, &compressor))
    return .none
  }

  /// A value as DUMP gives it.
  static func payload(
    of entry: EntryRef, in keyspace: borrowing Keyspace, _ compressor: inout LZFCompressor
  ) -> [UInt8] {
    if keyspace.encoding(of: entry) == .integer {
      let digits = Array(String(keyspace.integer(of: entry)).utf8)
      return StringPayload.payload(of: digits.rawBytes, &compressor)
    }
    return StringPayload.payload(of: keyspace.bytes(of: entry), &compressor)
  }

  /// RESTORE and RESTORE-ASKING key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency].
  mutating func restore(_ call: Call) -> Effect {
    var options = RestoreOptions()
    var i = 4
    while i < call.count {
      let hasNext = i + 1 < call.count
      switch Word(call[i]) {
      case "REPLACE": options.replaces = true
      case "ABSTTL": options.isAbsolute = true
      case "IDLETIME" where hasNext && options.frequency == nil:
        i += 1
        guard let number = call[i].integer() else { return notAnInteger() }
        if number < 0 { return failing("ERR Invalid IDLETIME value, must be >= 0") }
        options.idleSeconds = number
      case "FREQ" where hasNext && options.idleSeconds == nil:
        i += 1
        guard let number = call[i].integer() else { return notAnInteger() }
        guard (0...255).contains(number) else {
          return failing("ERR Invalid FREQ value, must be >= 0 and <= 255")
        }
        options.frequency = number
      default: return syntaxError()
      }
      i += 1
    }
    let old = live(call)
    if let old, !options.replaces {
      keyspace.touch(old, accessClock)
      return failing("BUSYKEY Target key name already exists.")
    }
    guard let number = call[2].integer() else { return notAnInteger() }
    if number < 0 { return failing("ERR Invalid TTL value, must be >= 0") }
    guard StringPayload.hasGoodFooter(call[3]) else {
      return failing("ERR DUMP payload version or checksum are wrong")
    }
    guard
      let content = StringPayload.content(of: call[3], limit: settings.protoMaxBulkLength)
    else { return failing("ERR Bad data format") }

    var expiry: StringExpiry = .clear
    if number > 0 {
      let (sum, isBeyondTime) = number.addingReportingOverflow(options.isAbsolute ? 0 : now)
      if isBeyondTime { return failing("ERR Invalid TTL value, must be >= 0") }
      let moment = sum
      if moment <= now {
        if let old { keyspace.remove(call.slot, old) }
        reply.ok()
        return old == nil ? .none : .rewritten
      }
      expiry = .at(moment)
    }
    do throws(OutOfMemory) {
      try put(call, content, over: old, expiry, clock: accessClock(options))
    } catch { return outOfMemory() }
    reply.ok()
    return .rewritten
  }

  private mutating func put(
    _ call: Call, _ content: StringPayload.Content, over old: EntryRef?, _ expiry: StringExpiry,
    clock: UInt32
  ) throws(OutOfMemory) {
    switch content {
    case .integer(let value):
      try keyspace.setInteger(
        call.slot, call.hash, call[1], value, over: old, expiry: expiry, clock: clock)
    case .part(let offset, let count):
      try put(
        call, bytes: call[3].extracting(offset..<(offset + count)), over: old, expiry, clock)
    case .bytes(let bytes):
      try put(call, bytes: bytes.rawBytes, over: old, expiry, clock)
    }
  }

  private mutating func put(
    _ call: Call, bytes: RawSpan, over old: EntryRef?, _ expiry: StringExpiry, _ clock: UInt32
  ) throws(OutOfMemory) {
    if let integer = bytes.integer() {
      try keyspace.setInteger(
        call.slot, call.hash, call[1], integer, over: old, expiry: expiry, clock: clock)
    } else {
      try keyspace.setBytes(
        call.slot, call.hash, call[1], bytes, over: old, expiry: expiry, clock: clock)
    }
  }

  /// The access clock of the new key. Its idle time counts where times are kept, its frequency where uses are counted.
  private func accessClock(_ options: RestoreOptions) -> UInt32 {
    if settings.maxMemoryPolicy.countsUses {
      let count = options.frequency.map { UInt32($0) } ?? AccessClock.initialCount
      return AccessClock.frequency(seconds: turnMicroseconds / 1_000_000, count: count)
    }
    let most: Int64 = 0xFF_FFFF
    let seconds = options.idleSeconds ?? 0
    var moment = Int64(accessClock) - seconds
    if moment < 0 { moment += most }
    return UInt32(moment & most)
  }
}
