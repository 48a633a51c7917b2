internal import RESP
internal import Sharding
internal import Storage

// SCAN: a walk over the shard's slots in order, each in hash order (DESIGN §3).
//
// A cursor is slot (14 bits) ‖ hash prefix (39 bits): 53 bits, because JavaScript clients read it as a number. 0 begins and ends. It
// names a place in the hash space and nothing else, so it stays good while tables grow, shrink, split and move.

extension Engine {
  /// Most home buckets that one call of SCAN looks at, however few keys it finds (I6).
  private static let scanWorkUnits = 1024

  /// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type].
  mutating func scan(_ call: Call) -> Effect {
    guard let cursor = Self.cursor(call[1]) else { return failing("ERR invalid cursor") }
    var count: Int64 = 10
    var pattern = -1
    var isString = true
    var i = 2
    while i < call.count {
      guard i + 1 < call.count, let word = Word(call[i]) else { return syntaxError() }
      switch word {
      case "COUNT":
        guard let number = call[i + 1].integer() else { return notAnInteger() }
        if number < 1 { return syntaxError() }
        count = number
      case "MATCH": pattern = call[i + 1].equals(ignoringCase: "*") ? -1 : i + 1
      case "TYPE": isString = call[i + 1].equals(ignoringCase: "STRING")
      default: return syntaxError()
      }
      i += 2
    }

    let shard = sessions[current].shard
    var slot = Int(cursor >> 39)
    var prefix = (cursor & (1 << 39 - 1)) << 25
    var found: [EntryRef] = []
    var keys: [[UInt8]] = []
    var units = Self.scanWorkUnits
    var seen: Int64 = 0
    walk: while slot < HashSlot.count {
      var table = slot
      var end = UInt64.max
      if shard == Session.endpoint {
        // From here on another worker may know more.
        guard let part = shownPart(of: slot, from: prefix) else { break }
        (table, end) = part
      }
      if shard == Session.endpoint || isShown(slot, to: shard), keyspace.keyCount(of: table) > 0 {
        while true {
          let next = keyspace.scan(table, from: prefix, into: &found)
          units -= 1
          seen += Int64(found.count)
          for entry in found {
            if entry.hasExpiry, let expiry = keyspace.expiry(of: entry), expiry <= now { continue }
            let key = keyspace.key(of: entry)
            if isString, pattern < 0 || Glob.matches(call[pattern], key) {
              keys.append(Self.bytes(of: key))
            }
          }
          // A home may reach beyond what is this table's.
          guard let next, next < end else { break }
          prefix = next
          if seen >= count || units <= 0 { break walk }
        }
      }
      if end < .max {
        // The rest is the source's.
        prefix = end
        continue
      }
      slot += 1
      prefix = 0
      if seen >= count || units <= 0 { break }
      if slot & 63 == 0 { units -= 1 }
    }
    let next = slot < HashSlot.count ? UInt64(slot) << 39 | prefix >> 25 : 0
    reply.arrayHeader(2)
    reply.bulk(text: String(next))
    reply.arrayHeader(keys.count)
    for key in keys { reply.bulk(bytes: key) }
    return .none
  }

  /// The table of this worker that has a slot's keys from a prefix on, for the router, and up to where; nil if no shard here has them.
  private func shownPart(of slot: Int, from prefix: UInt64) -> (table: Int, end: UInt64)? {
    for open in openSlots where open.slot == slot && open.isImporting {
      if let cursor = open.cursor, prefix < cursor { return (open.table, cursor) }
    }
    if keyspace.owner(of: slot) >= 0 {
      let isBelow = openSlots.contains { open in
        guard open.slot == slot, open.table == slot, let cursor = open.cursor else { return false }
        return prefix < cursor
      }
      return isBelow ? nil : (slot, .max)
    }
    return map.owner(of: HashSlot(UInt16(slot))) == nil ? (slot, .max) : nil
  }

  /// A cursor as a client sends it: a number as C's `strtoul` reads it, so a sign is taken, and nothing at all is 0. One that no call
  /// has given is taken modulo what cursors can be.
  static func cursor(_ text: RawSpan) -> UInt64? {
    let bytes = shown(text)
    let isNegative = bytes.first == 45
    let digits = bytes.dropFirst(isNegative || bytes.first == 43 ? 1 : 0)
    guard !digits.isEmpty || bytes.isEmpty else { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard digit >= 48, digit <= 57 else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit - 48))
      if overflow || carry { return nil }
      value = sum
    }
    if isNegative { value = 0 &- value }
    return value & (1 << 53 - 1)
  }
}
