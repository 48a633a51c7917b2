internal import RESP
internal import Sharding
internal import Storage

// SCAN: a walk over the shard's slots in order, each in hash order (DESIGN §3).
//
// A cursor is slot (14 bits) ‖ hash prefix (39 bits): 53 bits, because JavaScript clients read it as a number. 0 begins and ends. It
// names a place in the hash space and nothing else, so it stays good while tables grow, shrink, split and move.
//
// A slot that is moved key by key from outside has keys on both sides, and only the source's shard knows which. For all shards together it
// is walked twice: the source's table, then what the target has been given; a key that went over in between is found there. The second
// time bit 53 is set and bit 0 is not, so that it is a number for JavaScript too. Where that made a step back of it the home before is
// walked once more, and so at least two homes in each such call.

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
    var (slot, prefix) = (cursor.slot, cursor.prefix)
    var isSecondLook = shard == Session.endpoint && cursor.isSecondLook
    var isFirstHome = isSecondLook
    var found: [EntryRef] = []
    var keys: [[UInt8]] = []
    var units = Self.scanWorkUnits
    var seen: Int64 = 0
    walk: while slot < HashSlot.count {
      var table = slot
      var end = UInt64.max
      if shard == Session.endpoint {
        // From here on another worker may know more.
        guard let part = shownPart(of: slot, from: prefix, isSecondLook) else {
          if !isSecondLook || !isNowhereElse(slot) { break }
          slot += 1
          prefix = 0
          isSecondLook = false
          continue
        }
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
          if seen >= count && !isFirstHome || units <= 0 { break walk }
          isFirstHome = false
        }
      }
      if end < .max {
        // The rest is the source's.
        prefix = end
        continue
      }
      isSecondLook = !isSecondLook && shard == Session.endpoint && isLeavingByPresence(slot)
      if !isSecondLook { slot += 1 }
      prefix = 0
      if seen >= count || units <= 0 { break }
      if slot & 63 == 0 { units -= 1 }
    }
    let next = ScanCursor(slot: slot, prefix: prefix, isSecondLook: isSecondLook)
    reply.arrayHeader(2)
    reply.bulk(text: String(next.number))
    reply.arrayHeader(keys.count)
    for key in keys { reply.bulk(bytes: key) }
    return .none
  }

  /// The table of this worker that has a slot's keys from a prefix on, for the router, and up to where; nil if no shard here has them.
  private func shownPart(
    of slot: Int, from prefix: UInt64, _ isSecondLook: Bool
  ) -> (table: Int, end: UInt64)? {
    for open in openSlots where open.slot == slot && open.isImporting {
      if let cursor = open.cursor {
        if prefix < cursor { return (open.table, cursor) }
      } else if isSecondLook {
        return (open.table, .max)
      }
    }
    if keyspace.owner(of: slot) >= 0 {
      if isSecondLook, isLeavingByPresence(slot) { return nil }
      let isBelow = openSlots.contains { open in
        guard open.slot == slot, open.table == slot, let cursor = open.cursor else { return false }
        return prefix < cursor
      }
      return isBelow ? nil : (slot, .max)
    }
    return map.owner(of: HashSlot(UInt16(slot))) == nil ? (slot, .max) : nil
  }

  /// Whether a shard of this worker gives a slot away key by key, as it is told from outside.
  private func isLeavingByPresence(_ slot: Int) -> Bool {
    if openSlotBits == 0 { return false }
    return openSlots.contains { open in
      guard open.slot == slot, open.cursor == nil, case .migrating = open.state else {
        return false
      }
      return true
    }
  }

  /// Whether nobody has anything for a second look at a slot that this worker has not: it has been sent here, or would be.
  private func isNowhereElse(_ slot: Int) -> Bool {
    if router.scansAsked { return true }
    return openSlots.contains { open in
      guard open.slot == slot, open.cursor == nil, case .migrating(let target) = open.state else {
        return false
      }
      return worker(of: target) == worker
    }
  }

  /// A cursor as a client sends it: a number as C's `strtoul` reads it, so a sign is taken, and nothing at all is 0. One that no call
  /// has given is taken modulo what cursors can be.
  static func cursor(_ text: RawSpan) -> ScanCursor? {
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
    return ScanCursor(value)
  }
}

/// Where a SCAN goes on: see the top of this file.
struct ScanCursor {
  var slot: Int
  /// In hash order, of 64 bits.
  var prefix: UInt64
  var isSecondLook = false

  private static let secondLook: UInt64 = 1 << 53

  init(slot: Int, prefix: UInt64, isSecondLook: Bool) {
    (self.slot, self.prefix, self.isSecondLook) = (slot, prefix, isSecondLook)
  }

  /// A number that a call has given. Any other is taken modulo what these can be.
  init(_ value: UInt64) {
    slot = Int(value >> 39) & (HashSlot.count - 1)
    prefix = value << 25
    isSecondLook = value & Self.secondLook != 0
  }

  /// What a client is told; 0 behind the last slot.
  var number: UInt64 {
    if slot >= HashSlot.count { return 0 }
    let place = UInt64(slot) << 39 | prefix >> 25
    return isSecondLook ? Self.secondLook | place & ~1 : place
  }
}
