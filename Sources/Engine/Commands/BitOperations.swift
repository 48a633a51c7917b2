internal import RESP
internal import Storage

// BITOP: a new string of several, 8 bytes at a time.

/// What BITOP does with its sources.
enum BitOperation {
  case and, or, xor, not

  /// The operation of that name.
  init?(_ name: RawSpan) {
    switch Word(name) {
    case "AND": self = .and
    case "OR": self = .or
    case "XOR": self = .xor
    case "NOT": self = .not
    default: return nil
    }
  }
}

extension Engine {
  /// BITOP AND|OR|XOR|NOT destination key [key …]: sources count as long as the longest of them; without any byte the
  /// destination is removed.
  mutating func bitop(_ call: Call) -> Effect {
    guard let operation = BitOperation(call[1]) else { return syntaxError() }
    if operation == .not && call.count != 4 {
      return failing("ERR BITOP NOT must be called with a single source key.")
    }
    var byteCount = 0
    for i in 3..<call.count {
      let hash = KeyHash(call[i], seed: hashSeed)
      guard let entry = read(call.slot, hash, call[i]) else { continue }
      byteCount = max(byteCount, keyspace.stringByteCount(of: entry))
    }
    if byteCount == 0 {
      let entry = live(call.slot, call.hash, call[2])
      if let entry { keyspace.remove(call.slot, entry) }
      reply.integer(0)
      return entry == nil ? .none : .verbatim
    }
    var result = LargeValue(expected: byteCount)
    do throws(OutOfMemory) {
      try result.room(atLeast: byteCount)
      combine(call, operation, into: &result)
      let entry = keyspace.find(call.slot, call.hash, call[2])
      try keyspace.setValue(
        call.slot, call.hash, call[2], result, over: entry, expiry: .clear, clock: accessClock,
        raw: true)
    } catch { return outOfMemory() }
    reply.integer(Int64(byteCount))
    return .verbatim
  }

  /// The sources are looked up a second time: expired ones are gone by now, so that nothing moves any more.
  private func combine(_ call: Call, _ operation: BitOperation, into result: inout LargeValue) {
    let byteCount = result.expectedByteCount
    var room = result.room
    for i in 3..<call.count {
      let hash = KeyHash(call[i], seed: hashSeed)
      let entry = keyspace.find(call.slot, hash, call[i])
      let digits = keyspace.digits(of: entry)
      let source = keyspace.bytes(of: entry, or: digits)
      if i == 3 && operation != .not {
        room.combine(source) { _, new in new }
      } else {
        // One loop for each operation.
        switch operation {
        case .and: room.combine(source) { $0 & $1 }
        case .or: room.combine(source) { $0 | $1 }
        case .xor: room.combine(source) { $0 ^ $1 }
        case .not: room.combine(source) { ~$1 }
        }
      }
    }
    result.filled(byteCount)
  }
}

extension MutableRawSpan {
  /// Makes each byte what `operation` says of it and the byte of `source` at its place, zeros behind the source's end.
  @inline(__always)
  @_lifetime(self: copy self)
  fileprivate mutating func combine(
    _ source: RawSpan, _ operation: (UInt64, UInt64) -> UInt64
  ) {
    let shared = source.byteCount & ~7
    var offset = 0
    while offset < shared {
      let new = operation(bytes.word(at: offset), source.word(at: offset))
      storeBytes(of: new.littleEndian, toByteOffset: offset, as: UInt64.self)
      offset += 8
    }
    while offset < byteCount {
      let own = Swift.min(8, byteCount - offset)
      let other = Swift.max(0, Swift.min(8, source.byteCount - offset))
      var new = operation(
        bytes.word(at: offset, count: own),
        other == 0 ? 0 : source.word(at: offset, count: other))
      if own == 8 {
        storeBytes(of: new.littleEndian, toByteOffset: offset, as: UInt64.self)
        offset += 8
        continue
      }
      for _ in 0..<own {
        storeBytes(of: UInt8(truncatingIfNeeded: new), toByteOffset: offset, as: UInt8.self)
        new >>= 8
        offset += 1
      }
    }
  }
}
