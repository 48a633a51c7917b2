internal import RESP
internal import Storage

// Strings as arrays of bits: bit 0 is the highest bit of the first byte, and behind the last byte there are zeros.

/// What a range of BITCOUNT or BITPOS counts.
private enum RangeUnit {
  case bytes, bits

  /// The unit of that name.
  init?(_ name: RawSpan) {
    switch Word(name) {
    case "BYTE": self = .bytes
    case "BIT": self = .bits
    default: return nil
    }
  }

  /// The bits that a written range means in a string of so many bytes; nil if they are none.
  func resolve(
    _ first: Int64, _ last: Int64, byteCount: Int, lenient: Bool = false
  ) -> Range<Int>? {
    let scale = self == .bytes ? 8 : 1
    guard
      let range = WrittenRange.resolve(
        first, last, count: byteCount * 8 / scale, lenient: lenient)
    else { return nil }
    return range.lowerBound * scale..<range.upperBound * scale
  }
}

extension Engine {
  /// A bit's place in an argument, below the longest string's end; in units of `width` bits after a `#`, where that is given.
  func bitOffset(_ argument: RawSpan, width: Int? = nil) -> Int? {
    var digits = argument
    var scale: Int64 = 1
    if let width, argument.byteCount > 0, argument.byte(at: 0) == UInt8(ascii: "#") {
      digits = argument.extracting(1..<argument.byteCount)
      scale = Int64(width)
    }
    guard let number = digits.integer(), number >= 0 else { return nil }
    let (offset, overflow) = number.multipliedReportingOverflow(by: scale)
    if overflow || offset >> 3 >= Int64(settings.protoMaxBulkLength) { return nil }
    return Int(offset)
  }

  /// The answer to a bit's place that is none.
  mutating func notABitOffset() -> Effect {
    failing("ERR bit offset is not an integer or out of range")
  }

  /// SETBIT key offset value.
  mutating func setbit(_ call: Call) -> Effect {
    guard let offset = bitOffset(call[2]) else { return notABitOffset() }
    guard let bit = call[3].integer(), bit & ~1 == 0 else {
      return failing("ERR bit is not an integer or out of range")
    }
    let entry = live(call)
    let oldCount = entry.map { keyspace.stringByteCount(of: $0) } ?? 0
    let old: UInt64
    do throws(OutOfMemory) {
      let grown = try keyspace.grow(
        call.slot, call.hash, call[1], to: offset >> 3 + 1, of: entry, clock: accessClock)
      var bytes = keyspace.mutableBytes(of: grown)
      old = bytes.bytes.bits(at: offset, count: 1)
      bytes.setBits(at: offset, count: 1, to: UInt64(bit))
    } catch { return outOfMemory() }
    reply.integer(Int64(old))
    return old == UInt64(bit) && offset >> 3 < oldCount ? .none : .verbatim
  }

  /// GETBIT key offset.
  mutating func getbit(_ call: Call) -> Effect {
    guard let offset = bitOffset(call[2]) else { return notABitOffset() }
    let entry = read(call)
    let digits = keyspace.digits(of: entry)
    reply.integer(Int64(keyspace.bytes(of: entry, or: digits).bits(at: offset, count: 1)))
    return .none
  }

  /// BITCOUNT key [start end [BYTE|BIT]]. Of a key that is not there the arguments are not looked at.
  mutating func bitcount(_ call: Call) -> Effect {
    guard let entry = read(call) else {
      reply.integer(0)
      return .none
    }
    let byteCount = keyspace.stringByteCount(of: entry)
    var range: Range<Int>? = 0..<byteCount * 8
    if call.count == 4 || call.count == 5 {
      guard let first = call[2].integer(), let last = call[3].integer() else {
        return notAnInteger()
      }
      var unit = RangeUnit.bytes
      // Of a range that is empty in any unit, the unit is not looked at.
      if call.count == 5, !(first < 0 && last < 0 && first > last) {
        guard let named = RangeUnit(call[4]) else { return syntaxError() }
        unit = named
      }
      range = unit.resolve(first, last, byteCount: byteCount)
    } else if call.count != 2 {
      return syntaxError()
    }
    guard let range else {
      reply.integer(0)
      return .none
    }
    let digits = keyspace.digits(of: entry)
    reply.integer(Int64(keyspace.bytes(of: entry, or: digits).countOnes(in: range)))
    return .none
  }

  /// BITPOS key bit [start [end [BYTE|BIT]]]. Of a key that is not there the range is not looked at.
  mutating func bitpos(_ call: Call) -> Effect {
    guard let bit = call[2].integer() else { return notAnInteger() }
    if bit & ~1 != 0 { return failing("ERR The bit argument must be 1 or 0.") }
    guard let entry = read(call) else {
      reply.integer(bit == 1 ? -1 : 0)
      return .none
    }
    if call.count > 6 { return syntaxError() }
    var first: Int64 = 0
    var last: Int64 = -1
    var unit = RangeUnit.bytes
    if call.count > 3 {
      guard let number = call[3].integer() else { return notAnInteger() }
      first = number
    }
    if call.count > 5 {
      guard let named = RangeUnit(call[5]) else { return syntaxError() }
      unit = named
    }
    if call.count > 4 {
      guard let number = call[4].integer() else { return notAnInteger() }
      last = number
    }
    let byteCount = keyspace.stringByteCount(of: entry)
    guard let range = unit.resolve(first, last, byteCount: byteCount, lenient: true)
    else {
      reply.integer(-1)
      return .none
    }
    let digits = keyspace.digits(of: entry)
    let found = keyspace.bytes(of: entry, or: digits).firstBit(bit == 1, in: range)
    // Without an end, the zeros behind the string count.
    reply.integer(Int64(found ?? (bit == 0 && call.count < 5 ? range.upperBound : -1)))
    return .none
  }
}

extension RawSpan {
  /// The ones among those bits.
  func countOnes(in bits: Range<Int>) -> Int {
    if bits.isEmpty { return 0 }
    var offset = bits.lowerBound >> 3
    let end = (bits.upperBound + 7) >> 3
    // What the first and the last byte have outside of the range.
    var count = 0
    count -= (byte(at: offset) & ~(0xff >> UInt8(bits.lowerBound & 7))).nonzeroBitCount
    let behind = UInt8(truncatingIfNeeded: 8 * end - bits.upperBound)
    count -= (byte(at: end - 1) & ~(0xff << behind)).nonzeroBitCount
    while offset + 32 <= end {
      count += word(at: offset).nonzeroBitCount + word(at: offset + 8).nonzeroBitCount
      count += word(at: offset + 16).nonzeroBitCount + word(at: offset + 24).nonzeroBitCount
      offset += 32
    }
    while offset < end {
      count += word(at: offset, count: Swift.min(8, end - offset)).nonzeroBitCount
      offset += 8
    }
    return count
  }

  /// The first of those bits with that value.
  func firstBit(_ value: Bool, in bits: Range<Int>) -> Int? {
    if bits.isEmpty { return nil }
    // Inverted where a zero is looked for: then it is a one.
    let flip: UInt64 = value ? 0 : .max
    let end = (bits.upperBound + 7) >> 3
    var offset = bits.lowerBound >> 3
    // The bits before the range count as not found.
    var keep = UInt64.max >> UInt64(bits.lowerBound & 7)
    while offset < end {
      let count = Swift.min(8, end - offset)
      let found = (word(at: offset, count: count).byteSwapped ^ flip) & keep
      if found != 0 {
        // What stands behind the last byte is behind the range, too.
        let place = offset * 8 + found.leadingZeroBitCount
        return place < bits.upperBound ? place : nil
      }
      keep = .max
      offset += 8
    }
    return nil
  }

  /// Up to 64 bits from `offset` on, the first the highest; zeros behind the end.
  func bits(at offset: Int, count: Int) -> UInt64 {
    let end = offset + count
    let last = (end - 1) >> 3
    var all: UInt128 = 0
    for i in offset >> 3...last {
      all = all << 8 | UInt128(i < byteCount ? byte(at: i) : 0)
    }
    return UInt64(truncatingIfNeeded: all >> UInt128(8 * (last + 1) - end)) & .ones(count)
  }
}

extension MutableRawSpan {
  /// Writes up to 64 bits from `offset` on, the first the highest. Traps if they are not all there.
  @_lifetime(self: copy self)
  mutating func setBits(at offset: Int, count: Int, to value: UInt64) {
    let end = offset + count
    let last = (end - 1) >> 3
    let shift = UInt128(8 * (last + 1) - end)
    let mask = UInt128(UInt64.ones(count)) << shift
    let new = UInt128(value) << shift
    for i in offset >> 3...last {
      let place = UInt128(8 * (last - i))
      let kept = bytes.byte(at: i) & ~UInt8(truncatingIfNeeded: mask >> place)
      storeBytes(
        of: kept | UInt8(truncatingIfNeeded: (new & mask) >> place), toByteOffset: i,
        as: UInt8.self)
    }
  }
}

extension UInt64 {
  /// A number whose lowest `count` bits (1 … 64) are ones.
  static func ones(_ count: Int) -> UInt64 { .max >> UInt64(64 - count) }
}
