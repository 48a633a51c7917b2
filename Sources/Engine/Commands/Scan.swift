internal import RESP
internal import Sharding
internal import Storage

// SCAN: a walk over the shard's slots in order, each in hash order (DESIGN §3).
//
// A cursor is slot (14 bits) ‖ hash prefix (39 bits): 53 bits, because JavaScript clients read it as a number. 0 begins and ends. It
// names a place in the hash space and nothing else, so it stays good while tables grow, shrink, split and move.
//
// For all shards together (`Engine+Router.swift`) a worker walks as long as the slots are its own. A slot that is moved key by key from
// outside has keys on both sides, and only the source's knows which. A call walks through it alone: first through a part of the source's
// table, then through the same part of what the target was given, so that a key that goes over in between is found there, and goes on from
// where both have been. Where the target is on another worker the router sends the call there with the map's epoch; if another one
// holds by then the slot may have gone on to somebody else, and the call begins again.

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

    var walk = Walk(
      slot: Int(cursor >> 39), prefix: (cursor & (1 << 39 - 1)) << 25, count: count,
      units: Self.scanWorkUnits, isString: isString, pattern: pattern)
    if sessions[current].shard == Session.endpoint {
      walkAll(&walk, call)
    } else {
      walkShard(&walk, call, sessions[current].shard)
    }
    let next = walk.slot < HashSlot.count ? UInt64(walk.slot) << 39 | walk.prefix >> 25 : 0
    reply.arrayHeader(2)
    reply.bulk(text: String(next))
    reply.arrayHeader(walk.keys.count)
    for key in walk.keys { reply.bulk(bytes: key) }
    return .none
  }

  /// One call of SCAN.
  private struct Walk {
    /// Where it is.
    var slot: Int
    var prefix: UInt64
    /// How many keys it wants to see, how many homes and stretches of empty slots it may still look at, and how many keys it has seen.
    let count: Int64
    var units: Int
    var seen: Int64 = 0
    let isString: Bool
    /// Which argument is the pattern; −1 = none.
    let pattern: Int
    var keys: [[UInt8]] = []

    var isOver: Bool { seen >= count || units <= 0 }

    /// Goes on to the next slot.
    mutating func pass() {
      slot += 1
      prefix = 0
      if slot & 63 == 0 { units -= 1 }
    }
  }

  /// Walks through a table from the place of the walk on, up to `end`; false if the walk is over before, its place being where to go on.
  private mutating func walkTable(
    _ walk: inout Walk, _ call: Call, _ table: Int, to end: UInt64 = .max
  ) -> Bool {
    if keyspace.keyCount(of: table) == 0 { return true }
    var found: [EntryRef] = []
    while true {
      let next = keyspace.scan(table, from: walk.prefix, into: &found)
      walk.units -= 1
      walk.seen += Int64(found.count)
      for entry in found {
        if entry.hasExpiry, let expiry = keyspace.expiry(of: entry), expiry <= now { continue }
        let key = keyspace.key(of: entry)
        if walk.isString, walk.pattern < 0 || Glob.matches(call[walk.pattern], key) {
          walk.keys.append(Self.bytes(of: key))
        }
      }
      // A home may reach beyond what is this table's.
      guard let next, next < end else { return true }
      walk.prefix = next
      if walk.isOver { return false }
    }
  }

  /// Walks through the slots of a shard.
  private mutating func walkShard(_ walk: inout Walk, _ call: Call, _ shard: Int32) {
    while walk.slot < HashSlot.count {
      if isShown(walk.slot, to: shard), !walkTable(&walk, call, walk.slot) { return }
      walk.pass()
      if walk.isOver { return }
    }
  }

  /// Walks through the slots of this worker, as far as there is none of another one in between.
  private mutating func walkAll(_ walk: inout Walk, _ call: Call) {
    // By an old map the other half of a slot would be sent back, and a slot that was assigned since would count as nobody's.
    refreshMap()
    // Where a hop has brought it: slots that nobody has lie before.
    if call.slot > walk.slot { (walk.slot, walk.prefix) = (call.slot, 0) }
    if let half = router.scanHalf, half.isSecond { return walkGiven(&walk, call, half.target) }
    let first = walk.slot
    while walk.slot < HashSlot.count {
      if let target = targetByPresence(of: walk.slot) {
        // In a call of its own.
        if walk.slot == first { walkBoth(&walk, call, target) }
        return
      }
      // From here on another worker may know more.
      guard let part = shownPart(of: walk.slot, from: walk.prefix) else { return }
      if !walkTable(&walk, call, part.table, to: part.end) { return }
      if part.end < .max {
        // The rest is the source's.
        walk.prefix = part.end
        continue
      }
      walk.pass()
      if walk.isOver { return }
    }
  }

  /// Walks through a slot that is moved key by key from outside: the source's table, and then through the same of what the target was given,
  /// if that is here; if not, the router sends the command there.
  private mutating func walkBoth(_ walk: inout Walk, _ call: Call, _ target: ShardID) {
    let isBoth = worker(of: target) == worker
    router.scanHalf = isBoth ? nil : ScanHalf(target: target, epoch: map.epoch)
    var given = walk
    if walkTable(&walk, call, walk.slot) { walk.pass() }
    if !isBoth { return }
    given.keys = walk.keys
    walkGiven(&given, call, target)
    walk.keys = given.keys
    // What the other has of it that is farther on is found once more.
    if (given.slot, given.prefix) < (walk.slot, walk.prefix) {
      (walk.slot, walk.prefix) = (given.slot, given.prefix)
    }
  }

  /// Walks through what a shard of this worker was given of a slot, or through all of it if it is the shard's own by now.
  private mutating func walkGiven(_ walk: inout Walk, _ call: Call, _ target: ShardID) {
    if let shard = importer(target, of: walk.slot) {
      let open = openSlots.first { $0.slot == walk.slot && $0.shard == shard && $0.isImporting }
      if !walkTable(&walk, call, open?.table ?? walk.slot) { return }
    }
    walk.pass()
  }

  /// To whom a shard of this worker gives a slot away key by key, as it is told from outside.
  func targetByPresence(of slot: Int) -> ShardID? {
    if openSlotBits == 0 { return nil }
    for open in openSlots where open.slot == slot && open.cursor == nil {
      if case .migrating(let target) = open.state { return target }
    }
    return nil
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

/// The reply of a SCAN, as far as two of them can be made one.
struct ScanReply {
  private let cursor: UInt64
  private let keyCount: Int
  private let keys: ArraySlice<UInt8>

  /// `*2 $n cursor *n keys…`; nil for anything else.
  init?(_ bytes: [UInt8]) {
    let lines = bytes.split(separator: 10, maxSplits: 4, omittingEmptySubsequences: false)
    guard lines.count == 5, let cursor = Self.number(lines[2]),
      let count = Self.number(lines[3].dropFirst()), lines[0].first == 42
    else { return nil }
    (self.cursor, keyCount, keys) = (cursor, Int(count), lines[4])
  }

  private static func number(_ line: ArraySlice<UInt8>) -> UInt64? {
    UInt64(String(decoding: line.dropLast(), as: UTF8.self))
  }

  /// All keys of both, and the cursor that is less far on; 0 is the end.
  static func bytes(of a: Self, _ b: Self) -> [UInt8] {
    let cursor = a.cursor &- 1 < b.cursor &- 1 ? a.cursor : b.cursor
    let text = String(cursor)
    let head = "*2\r\n$\(text.utf8.count)\r\n\(text)\r\n*\(a.keyCount + b.keyCount)\r\n"
    return Array(head.utf8) + a.keys + b.keys
  }
}
