internal import RESP
internal import Storage

// BITFIELD: integers of any width at any bit of a string. The arguments are read twice, first to refuse what is wrong
// and to see how long the string must be, then to do it.

/// What happens to a number that does not fit its field.
enum FieldOverflow {
  case wrap, saturate, fail

  /// The rule of that name.
  init?(_ name: RawSpan) {
    switch Word(name) {
    case "WRAP": self = .wrap
    case "SAT": self = .saturate
    case "FAIL": self = .fail
    default: return nil
    }
  }
}

/// The type of a field: `i16`, `u8`.
struct FieldType: Equatable {
  let isSigned: Bool
  /// Bits: 1 … 64 of a signed, 1 … 63 of an unsigned one.
  let width: Int

  /// The type that is written so.
  init?(_ text: RawSpan) {
    guard text.byteCount > 1 else { return nil }
    switch text.byte(at: 0) {
    case UInt8(ascii: "i"): isSigned = true
    case UInt8(ascii: "u"): isSigned = false
    default: return nil
    }
    guard let number = text.extracting(1..<text.byteCount).integer(), number > 0,
      number <= (isSigned ? 64 : 63)
    else { return nil }
    width = Int(number)
  }

  /// The number that these bits are.
  func number(_ bits: UInt64) -> Int64 {
    let shift = UInt64(64 - width)
    return isSigned ? Int64(bitPattern: bits << shift) >> Int64(shift) : Int64(bitPattern: bits)
  }

  /// The highest number of the type.
  var highest: Int128 { (Int128(1) << Int128(isSigned ? width - 1 : width)) - 1 }

  /// The number that is stored for `sum`, and whether `sum` did not fit. Of one that fails nothing is to be stored.
  func fit(_ sum: Int128, _ overflow: FieldOverflow) -> (number: Int64, isOverflow: Bool) {
    let highest = highest
    let lowest = isSigned ? -highest - 1 : 0
    if sum >= lowest && sum <= highest { return (Int64(sum), false) }
    if overflow == .saturate { return (Int64(sum > highest ? highest : lowest), true) }
    let bits = UInt64(truncatingIfNeeded: sum) & .ones(width)
    return (number(bits), true)
  }
}

/// One subcommand of BITFIELD.
struct FieldOperation {
  /// What is done to the field.
  enum Action {
    case get
    case set(Int64)
    case increment(Int64)
  }
  let action: Action
  let type: FieldType
  /// The field's first bit.
  let offset: Int
  let overflow: FieldOverflow

  /// What is stored and what is answered for a field that holds `old`; nil if it fails.
  func outcome(_ old: Int64) -> (new: Int64, reply: Int64)? {
    switch action {
    case .get: return (old, old)
    case .set(let number):
      // An unsigned field takes a negative number as the bits that it is.
      var wanted = type.isSigned ? Int128(number) : Int128(UInt64(bitPattern: number))
      // Redis measures the way up to the highest number in 64 bits: a number so far below that this overflows counts as
      // one above.
      if type.isSigned, type.width < 64, overflow == .saturate,
        type.highest - wanted > Int128(Int64.max)
      {
        wanted = Int128(Int64.max)
      }
      let (new, isOverflow) = type.fit(wanted, overflow)
      return isOverflow && overflow == .fail ? nil : (new, old)
    case .increment(let number):
      let (new, isOverflow) = type.fit(Int128(old) + Int128(number), overflow)
      return isOverflow && overflow == .fail ? nil : (new, new)
    }
  }
}

/// The place in the arguments of BITFIELD, and the rule for overflows that holds there.
private struct FieldCursor {
  var argument = 2
  var overflow = FieldOverflow.wrap
}

/// What stands at a place in the arguments.
private enum FieldStep {
  case operation(FieldOperation)
  case end
  case refused(StaticString)
}

extension Engine {
  /// BITFIELD and BITFIELD_RO key [GET type offset|[OVERFLOW WRAP|SAT|FAIL] SET|INCRBY type offset number …].
  mutating func bitfield(_ call: Call, isReadOnly: Bool) -> Effect {
    var count = 0
    var writes = false
    var byteCount = 0
    var cursor = FieldCursor()
    checking: while true {
      switch nextField(call, &cursor) {
      case .end: break checking
      case .refused(let text): return failing(text)
      case .operation(let operation):
        count += 1
        if case .get = operation.action { continue }
        writes = true
        byteCount = max(byteCount, (operation.offset + operation.type.width + 7) >> 3)
      }
    }
    if !writes {
      readFields(call, count)
      return .none
    }
    if isReadOnly { return failing("ERR BITFIELD_RO only supports the GET subcommand") }
    let old = live(call)
    let isLonger = byteCount > old.map { keyspace.stringByteCount(of: $0) } ?? 0
    let entry: EntryRef
    do throws(OutOfMemory) {
      entry = try keyspace.grow(
        call.slot, call.hash, call[1], to: byteCount, of: old, clock: accessClock)
    } catch { return outOfMemory() }
    // As in Redis, where every write FAILs the string is longer by zeros, and nobody is told.
    return changeFields(call, count, of: entry, isLonger: isLonger) ? .verbatim : .none
  }

  private mutating func readFields(_ call: Call, _ count: Int) {
    let entry = read(call)
    let digits = keyspace.digits(of: entry)
    reply.arrayHeader(count)
    var cursor = FieldCursor()
    while case .operation(let operation) = nextField(call, &cursor) {
      let bits = keyspace.bytes(of: entry, or: digits).bits(
        at: operation.offset, count: operation.type.width)
      reply.integer(operation.type.number(bits))
    }
  }

  /// Carries out all subcommands on a string that is long enough for what is written; whether a bit was changed.
  private mutating func changeFields(
    _ call: Call, _ count: Int, of entry: EntryRef, isLonger: Bool
  ) -> Bool {
    var isChanged = false
    reply.arrayHeader(count)
    var cursor = FieldCursor()
    while case .operation(let operation) = nextField(call, &cursor) {
      let type = operation.type
      let bits = keyspace.bytes(of: entry).bits(at: operation.offset, count: type.width)
      guard let (new, answer) = operation.outcome(type.number(bits)) else {
        replyNull()
        continue
      }
      reply.integer(answer)
      if case .get = operation.action { continue }
      if isLonger { isChanged = true }
      let newBits = UInt64(bitPattern: new) & .ones(type.width)
      if newBits != bits {
        isChanged = true
        var bytes = keyspace.mutableBytes(of: entry)
        bytes.setBits(at: operation.offset, count: type.width, to: newBits)
      }
    }
    return isChanged
  }

  /// The next subcommand from the cursor on.
  private func nextField(_ call: Call, _ cursor: inout FieldCursor) -> FieldStep {
    while cursor.argument < call.count {
      let i = cursor.argument
      let behind = call.count - i - 1
      let count: Int
      switch Word(call[i]) {
      case "OVERFLOW" where behind >= 1:
        guard let overflow = FieldOverflow(call[i + 1]) else {
          return .refused("ERR Invalid OVERFLOW type specified")
        }
        cursor.overflow = overflow
        cursor.argument += 2
        continue
      case "GET" where behind >= 2: count = 3
      case "SET" where behind >= 3, "INCRBY" where behind >= 3: count = 4
      default: return .refused("ERR syntax error")
      }
      guard let type = FieldType(call[i + 1]) else {
        return .refused(
          "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
        )
      }
      guard let offset = bitOffset(call[i + 2], width: type.width) else {
        return .refused("ERR bit offset is not an integer or out of range")
      }
      var action = FieldOperation.Action.get
      if count == 4 {
        guard let number = call[i + 3].integer() else {
          return .refused("ERR value is not an integer or out of range")
        }
        action = Word(call[i]) == "SET" ? .set(number) : .increment(number)
      }
      cursor.argument += count
      return .operation(
        FieldOperation(action: action, type: type, offset: offset, overflow: cursor.overflow))
    }
    return .end
  }
}
