internal import RESP
internal import Storage

// Bulks of which 32 KiB or more are still to come are received into their final allocation (DESIGN §2): the session keeps only the
// small parts of the request, the bulk's bytes go into a `LargeValue` that grows as they arrive.

extension Engine {
  /// After requests were run: if the request that is arriving stands in a large bulk, takes that apart.
  mutating func wantLarge(_ index: Int32) {
    if sessions[index].wish.contains(.direct) { return }
    if !sessions[index].mode.isDisjoint(with: .stopped) { return }
    let kept = sessions[index].query.byteCount
    guard kept > 0, let arriving = sessions[index].parser.arrivingArgument(unconsumed: kept) else {
      return
    }
    guard let name = arriving.name,
      takesLarge(
        sessions[index].query.bytes.extracting(
          Int(name.offset)..<(Int(name.offset) + Int(name.count))), arriving.argumentIndex)
    else { return }
    var value = LargeValue(expected: arriving.byteCount)
    do throws(OutOfMemory) {
      let bytes = sessions[index].query.bytes
      try value.append(bytes.extracting((kept - arriving.receivedByteCount)..<kept))
    } catch {
      close(index)
      return
    }
    sessions[index].query.removeLast(arriving.receivedByteCount)
    sessions[index].parser.tookLarge()
    sessions[index].large.append(HeldBulk(value))
    sessions[index].largeByteCount += arriving.receivedByteCount
    sessions[index].wish.insert(.direct)
  }

  /// Whether a command can take over this argument as an allocation of its own: the values of SET, MSET and their kin. All others are gathered in
  /// the query buffer, bounded by its limit.
  private func takesLarge(_ name: RawSpan, _ argument: Int) -> Bool {
    switch lookup.command(name) {
    case .set, .setnx, .getset: argument == 2
    case .setex, .psetex: argument == 3
    case .mset, .msetnx: argument >= 2 && argument % 2 == 0
    default: false
    }
  }

  /// Bytes for a session whose large bulk is arriving, from an ordinary buffer.
  mutating func receiveLarge(_ bytes: RawSpan, _ index: Int32) {
    guard let argument = sessions[index].large.last, let missing = argument.missingByteCount else {
      return close(index)
    }
    let count = min(missing, bytes.byteCount)
    do throws(OutOfMemory) {
      try argument.append(bytes.extracting(0..<count))
    } catch {
      return close(index)
    }
    sessions[index].largeByteCount += count
    if isTooMuch(index) { return close(index) }
    if isEvicted(index) { return }
    if count < missing { return }
    sessions[index].wish.remove(.direct)
    if count < bytes.byteCount {
      receiveAfterLarge(bytes.extracting(count..<bytes.byteCount), index)
    }
  }

  /// Whether a session holds more of a request than `client-query-buffer-limit` allows.
  private func isTooMuch(_ index: Int32) -> Bool {
    sessions[index].query.byteCount + sessions[index].largeByteCount
      > settings.clientQueryBufferLimit
  }

  /// Whether a session takes more than all clients may, and is closed for it.
  private mutating func isEvicted(_ index: Int32) -> Bool {
    guard exceedsClientLimit(index) else { return false }
    evictClient(index)
    return true
  }

  private mutating func receiveAfterLarge(_ bytes: RawSpan, _ index: Int32) {
    do throws(OutOfMemory) { try sessions[index].query.append(bytes) } catch {
      return close(index)
    }
    runKept(index)
  }

  /// Where the next bytes of a client's large bulk go: an address and how many fit there; nil if none is arriving.
  /// The memory stays where it is until `filled` or `disconnect`.
  @unsafe
  public mutating func destination(for client: ClientID) -> UnsafeMutableRawBufferPointer? {
    guard sessions[client.index].wish.contains(.direct),
      let argument = sessions[client.index].large.last
    else { return nil }
    return unsafe argument.destination()
  }

  /// So many bytes have come to where `destination` said. True if the bulk is whole: what comes next goes through `receive`.
  public mutating func filled(_ byteCount: Int, of client: ClientID) -> Bool {
    let index = client.index
    sessions[index].bytesIn += UInt64(byteCount)
    count(forShard: sessions[index].shard)
    statistics.bytesIn += UInt64(byteCount)
    statistics.reads &+= 1
    sessions[index].lastActiveAt = now
    guard let argument = sessions[index].large.last else { return true }
    argument.filled(byteCount)
    sessions[index].largeByteCount += byteCount
    if isTooMuch(index) {
      close(index)
      list(index)
      return true
    }
    if isEvicted(index) { return true }
    if argument.missingByteCount ?? 0 > 0 { return false }
    sessions[index].wish.remove(.direct)
    return true
  }
}

/// One large argument of a request: a class, because any number of them may wait in one MSET; far from the way of ordinary commands.
final class HeldBulk {
  /// The bulk; nil once a command has taken it over.
  private var value: LargeValue?
  private var takenByteCount = 0
  private var beginning: [UInt8] = []

  init(_ value: consuming LargeValue) { self.value = consume value }

  /// How many bytes are still to come; nil if the bulk was taken over.
  var missingByteCount: Int? {
    guard let expected = value?.expectedByteCount, let arrived = value?.byteCount else {
      return nil
    }
    return expected - arrived
  }

  /// How many bytes are there.
  var byteCount: Int { value?.byteCount ?? 0 }

  /// How many there are or were before a command took them.
  var shownByteCount: Int { value?.byteCount ?? takenByteCount }

  /// Its first bytes, as many as are ever shown of an argument of this size; also when a command has taken it.
  var shownBeginning: [UInt8] {
    let count = min(value?.byteCount ?? 0, SlowLog.byteLimit)
    if count == 0 { return beginning }
    var bytes: [UInt8] = []
    for i in 0..<count {
      if let byte = value?.bytes.byte(at: i) { bytes.append(byte) }
    }
    return bytes
  }

  func append(_ bytes: RawSpan) throws(OutOfMemory) { try value?.append(bytes) }

  func filled(_ byteCount: Int) { value?.filled(byteCount) }

  /// Room for what comes next: at most 1 MiB at a time, so that memory follows what has arrived, not what was claimed.
  @unsafe
  func destination() -> UnsafeMutableRawBufferPointer? {
    guard let missing = missingByteCount, missing > 0 else { return nil }
    do throws(OutOfMemory) { try value?.room(atLeast: min(missing, 256 << 10)) } catch {
      return nil
    }
    guard let address = unsafe value?.roomAddress, let count = value?.roomByteCount else {
      return nil
    }
    return unsafe UnsafeMutableRawBufferPointer(start: address, count: count)
  }

  /// The bulk itself, for the one command that takes it.
  func take() -> LargeValue? {
    takenByteCount = byteCount
    beginning = shownBeginning
    return value.take()
  }
}
