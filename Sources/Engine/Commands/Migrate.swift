internal import RESP
internal import Sharding
internal import Storage

// MIGRATE host port key|"" database timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS key …]. `Migration.swift` tells
// what happens. Where its keys are only its options tell, so that its verdict is made here; as with Redis one whose slot is open runs
// whether or not the keys are here.

/// What MIGRATE is asked for.
struct MigrateOptions {
  var isCopy = false
  var replaces = false
  var credentials: [[UInt8]] = []
  /// Its keys are the arguments from here to `lastKey`.
  var firstKey = 3
  var lastKey = 3
  var milliseconds = 1000
  var database: Int64 = 0
}

extension Engine {
  /// MIGRATE.
  mutating func migrate(_ call: Call) -> Effect {
    let keys = Self.migrateKeys(of: call.arguments)
    var slot = -1
    if !keys.isEmpty {
      guard let table = migrationTable(call, keys) else { return .none }
      slot = table
    }
    guard let options = migrateOptions(call) else { return .none }
    let table = slot
    if !heldKeys.isEmpty {
      for i in options.firstKey..<(options.lastKey + 1) {
        guard let flight = flightThatHolds(call[i], in: table) else { continue }
        postpone(call, until: flight)
        return .none
      }
    }
    return migrate(call, options, from: table)
  }

  /// Where MIGRATE's keys are; nowhere, if it has none or contradicts itself.
  static func migrateKeys(of arguments: Arguments) -> Range<Int> {
    var i = 6
    while i < arguments.count {
      switch Word(arguments[i]) {
      case "AUTH": i += 1
      case "AUTH2": i += 2
      case "KEYS":
        return arguments[3].byteCount == 0 ? (i + 1)..<arguments.count : 3..<3
      default: break
      }
      i += 1
    }
    return 3..<4
  }

  /// The table that the keys lie in; nil if they are not to be looked for here, which has been answered.
  private mutating func migrationTable(_ call: Call, _ keys: Range<Int>) -> Int? {
    let slot = HashSlot.of(call[keys.lowerBound]).index
    for i in keys.dropFirst() where HashSlot.of(call[i]).index != slot {
      fail(line: ErrorReply.crossSlot)
      return nil
    }
    let shard = sessions[current].shard
    if isMovedAlongCursor(slot, of: shard) { return nil }
    if keyspace.owner(of: slot) == shard { return slot }
    if let open = openSlot(slot, of: shard), open.isImporting { return open.table }
    drainMailbox()
    if isMovedAlongCursor(slot, of: shard) { return nil }
    if keyspace.owner(of: slot) == shard { return slot }
    if let open = openSlot(slot, of: shard), open.isImporting { return open.table }
    fail(line: map.redirect(for: HashSlot(UInt16(slot))))
    return nil
  }

  /// The options; nil if they are wrong, which has been answered.
  private mutating func migrateOptions(_ call: Call) -> MigrateOptions? {
    var options = MigrateOptions()
    var i = 6
    while i < call.count {
      let left = call.count - 1 - i
      switch Word(call[i]) {
      case "COPY": options.isCopy = true
      case "REPLACE": options.replaces = true
      case "AUTH" where left >= 1:
        options.credentials = [Self.bytes(of: call[i + 1])]
        i += 1
      case "AUTH2" where left >= 2:
        options.credentials = [Self.bytes(of: call[i + 1]), Self.bytes(of: call[i + 2])]
        i += 2
      case "KEYS":
        if call[3].byteCount != 0 {
          fail(
            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string")
          return nil
        }
        options.firstKey = i + 1
        options.lastKey = call.count - 1
        i = call.count
      default:
        fail("ERR syntax error")
        return nil
      }
      i += 1
    }
    guard let timeout = call[5].integer(), let database = call[4].integer() else {
      fail("ERR value is not an integer or out of range")
      return nil
    }
    options.milliseconds = timeout <= 0 ? 1000 : Int(min(timeout, Int64(Int32.max)))
    options.database = database
    return options
  }

  /// Makes the payloads of those keys that are here, and sends them on their way.
  private mutating func migrate(
    _ call: Call, _ options: MigrateOptions, from table: Int
  ) -> Effect {
    var keys: [(hash: KeyHash, bytes: [UInt8])] = []
    var requests: [UInt8] = []
    let limit = settings.clientQueryBufferLimit - flights.reduce(0) { $0 + $1.byteCount }
    for i in options.firstKey..<(options.lastKey + 1) {
      let hash = KeyHash(call[i], seed: hashSeed)
      guard let entry = read(table, hash, call[i]) else { continue }
      let time = keyspace.expiry(of: entry).map { max(1, $0 - now) } ?? 0
      let payload = Self.payload(of: entry, in: keyspace, &compressor)
      let key = Self.bytes(of: call[i])
      requests += Array("*\(options.replaces ? 5 : 4)\r\n".utf8)
      Self.append(Array("RESTORE-ASKING".utf8), to: &requests)
      Self.append(key, to: &requests)
      Self.append(Array("\(time)".utf8), to: &requests)
      Self.append(payload, to: &requests)
      if options.replaces { Self.append(Array("REPLACE".utf8), to: &requests) }
      keys.append((hash, key))
      if requests.count > limit {
        return failing(
          "ERR MIGRATE would take more memory than client-query-buffer-limit; name fewer keys")
      }
    }
    if keys.isEmpty {
      reply.simple("NOKEY")
      return .none
    }
    lastFlight += 1
    let flight = Flight(
      number: lastFlight, client: current, clientNumber: sessions[current].id,
      shard: sessions[current].shard, slot: HashSlot.of(call[options.firstKey]).index,
      table: table, keys: keys, isCopy: options.isCopy, byteCount: requests.count)
    flights.append(flight)
    setHeldKeys()
    sessions[current].mode.insert(.parked)
    migrations.append(
      PendingMigration(
        number: flight.number, host: Self.text(of: call[1]), port: Self.port(call[2]),
        milliseconds: options.milliseconds, database: options.database,
        credentials: options.credentials, requests: requests, requestCount: keys.count))
    return .none
  }

  /// A port as C's `atoi` reads it: what is none is 0, where nobody listens.
  private static func port(_ argument: RawSpan) -> UInt16 {
    var port = 0
    for i in 0..<argument.byteCount {
      let digit = Int(argument.byte(at: i)) - 48
      guard (0...9).contains(digit), port < 65536 else { break }
      port = port * 10 + digit
    }
    return UInt16(exactly: port) ?? 0
  }

  /// Appends a bulk of a request.
  private static func append(_ bytes: [UInt8], to request: inout [UInt8]) {
    request += Array("$\(bytes.count)\r\n".utf8)
    request += bytes
    request += [13, 10]
  }

  // MARK: keys that are held

  /// After flights have come or gone: the keys that nobody may touch.
  mutating func setHeldKeys() {
    heldKeys.removeAll(keepingCapacity: !flights.isEmpty)
    for flight in flights where !flight.isCopy {
      for key in flight.keys { heldKeys.insert(HeldKey(flight.table, key.hash)) }
    }
    setOpenSlotBits()
  }

  /// The flight that holds a key of a table, if one does.
  func flightThatHolds(_ key: RawSpan, in table: Int) -> UInt64? {
    let held = HeldKey(table, KeyHash(key, seed: hashSeed))
    guard heldKeys.contains(held) else { return nil }
    return flights.first { flight in
      !flight.isCopy && flight.table == table
        && flight.keys.contains { HeldKey(table, $0.hash) == held }
    }?.number
  }

  /// The flight that holds a key of a queue, if one does.
  func flightThatHolds(_ queue: borrowing CommandQueue) -> UInt64? {
    if heldKeys.isEmpty || queue.slot < 0 { return nil }
    guard let table = table(of: queue.slot, at: sessions[current].shard) else { return nil }
    for i in queue.requests.indices where queue.requests[i].slot >= 0 {
      let known = hot[Int(queue.requests[i].id.rawValue)]
      if let flight = flightThatHolds(queue.arguments(of: i), known, table) { return flight }
    }
    return nil
  }

  // MARK: their arrival

  /// Keys that are to be sent, since the last call.
  public mutating func takeMigrations() -> [PendingMigration] {
    migrations.takeAll()
  }

  /// Another server has answered: what it has acknowledged is removed here, and is no longer held. The client is answered when no
  /// requests are being run.
  mutating func land(_ outcome: MigrationOutcome) {
    guard let i = flights.firstIndex(where: { $0.number == outcome.number }) else { return }
    let flight = flights.remove(at: i)
    setHeldKeys()
    if !flight.isCopy, holds(flight) {
      for place in outcome.acknowledged where flight.keys.indices.contains(place) {
        let key = flight.keys[place]
        guard let entry = keyspace.find(flight.table, key.hash, key.bytes.rawBytes) else {
          continue
        }
        keyspace.remove(flight.table, entry)
        if listeners != 0 { touch(flight.table, key.hash, key.bytes.rawBytes) }
      }
    }
    migrationAnswers.append((flight, outcome.answer.line))
    if current < 0 { finishMigrations() }
  }

  /// Whether the table that a flight's keys were in is still its shard's.
  private func holds(_ flight: Flight) -> Bool {
    flight.table < Keyspace.slotCount
      ? keyspace.owner(of: flight.table) == flight.shard
      : openSlots.contains { $0.shard == flight.shard && $0.table == flight.table }
  }

  /// Answers those whose keys have arrived, or not.
  mutating func finishMigrations() {
    if isStopped { return }
    for (flight, line) in migrationAnswers.takeAll() {
      let index = flight.client
      guard sessions.contains(index), sessions[index].id == flight.clientNumber else { continue }
      sessions[index].mode.remove(.parked)
      beginAnswer(to: index)
      if line.isEmpty { reply.ok() } else { fail(bytes: line) }
      endAnswer(to: index)
      goOn(index)
    }
  }
}

extension MigrationOutcome.Answer {
  /// The error that MIGRATE answers, without its `-`; empty = `OK`.
  fileprivate var line: [UInt8] {
    switch self {
    case .done: []
    case .refused(let text): Array("ERR Target instance replied with error: ".utf8) + text
    case .cannotConnect: Array("IOERR error or timeout connecting to the client".utf8)
    case .cannotWrite: Array("IOERR error or timeout writing to target instance".utf8)
    case .cannotRead: Array("IOERR error or timeout reading to target instance".utf8)
    }
  }
}
