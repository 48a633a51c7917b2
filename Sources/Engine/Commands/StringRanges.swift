internal import RESP
internal import Storage

// Parts of strings, and the number in a string that is not whole.

extension Engine {
  /// GETRANGE and SUBSTR key start end.
  mutating func getrange(_ call: Call) -> Effect {
    guard let first = call[2].integer(), let last = call[3].integer() else {
      return notAnInteger()
    }
    guard let entry = read(call),
      let range = WrittenRange.resolve(
        first, last, count: keyspace.stringByteCount(of: entry))
    else {
      reply.bulk("")
      return .none
    }
    reply.value(of: entry, in: keyspace, range: range)
    return .none
  }

  /// SETRANGE key offset value.
  mutating func setrange(_ call: Call) -> Effect {
    guard let offset = call[2].integer() else { return notAnInteger() }
    if offset < 0 { return failing("ERR offset is out of range") }
    let entry = live(call)
    let count = call[3].byteCount
    if count == 0 {
      reply.integer(Int64(entry.map { keyspace.stringByteCount(of: $0) } ?? 0))
      return .none
    }
    let (end, overflow) = Int(offset).addingReportingOverflow(count)
    if overflow || end > settings.protoMaxBulkLength { return stringTooLong() }
    let length: Int
    do throws(OutOfMemory) {
      // A new key gets its whole length at once; after that nothing can fail.
      let grown = try keyspace.grow(
        call.slot, call.hash, call[1], to: end, of: entry, clock: accessClock)
      length = try keyspace.overwrite(
        call.slot, call.hash, call[1], at: Int(offset), with: call[3], of: grown,
        clock: accessClock)
    } catch { return outOfMemory() }
    reply.integer(Int64(length))
    return .verbatim
  }

  /// The answer to what would make a string too long.
  mutating func stringTooLong() -> Effect {
    failing("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
  }

  /// INCRBYFLOAT key increment: in the precision of x86's `long double`, as Redis does it. The log takes the outcome.
  mutating func incrbyfloat(_ call: Call) -> Effect {
    let entry = live(call)
    let digits = keyspace.digits(of: entry)
    let isInfinite: Bool
    var value: ExtendedFloat? = .zero
    if entry != nil {
      let old = keyspace.bytes(of: entry, or: digits)
      value = ExtendedFloat(old)
      isInfinite = ExtendedFloat.isInfinity(old)
    } else {
      isInfinite = false
    }
    let increment = ExtendedFloat(call[2])
    let isInfiniteIncrement = ExtendedFloat.isInfinity(call[2])
    if value == nil && !isInfinite || increment == nil && !isInfiniteIncrement {
      return failing("ERR value is not a valid float")
    }
    guard let value, let increment, let sum = value.adding(increment) else {
      return failing("ERR increment would produce NaN or Infinity")
    }
    let text = sum.text
    do throws(OutOfMemory) {
      try keyspace.setBytes(
        call.slot, call.hash, call[1], text.rawBytes, over: entry, expiry: .keep,
        clock: accessClock)
    } catch { return outOfMemory() }
    reply.bulk(bytes: text)
    return .rewritten
  }
}
