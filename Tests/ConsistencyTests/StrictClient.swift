import RESP
import Sharding
import TestSupport

/// A client of a cluster that pipelines, keeps a map, and follows one redirect of a command: with a second one something is wrong. Or one of the
/// router, which is never redirected.
///
/// It works in rounds: a batch of commands, at least one for every slot, is sent to all shards, then all replies are read, and what was
/// redirected is sent again. Its counters are its own: each reply must be one more than the last. Registers are everybody's, and what is
/// seen of them is kept to be judged later.
struct StrictClient {
  /// A counter that only this client increments.
  struct Counter {
    let slot: Int
    let request: [UInt8]
    let name: String
    var acknowledged: UInt64 = 0
  }

  /// What it has seen, to be judged when all have ended.
  struct Seen: Sendable {
    /// A history of each register.
    var histories: [RegisterHistory] = []
    var commands = 0
    var redirects = 0
    /// Of these, those by ASK.
    var asks = 0
  }

  private enum Kind {
    case increment
    case write(UInt64)
    case read
  }

  /// A command under way.
  private struct Work {
    let kind: Kind
    /// The place of the counter or of the register.
    let place: Int
    var port: Int
    var redirects = 0
    /// Whether it was sent here by ASK.
    var isAsking = false
    var sentAt: UInt64 = 0
  }

  let world: World
  let index: Int
  private(set) var counters: [Counter] = []
  private(set) var seen = Seen()
  private var registers: [(slot: Int, name: String)] = []
  private var owners = [Int](repeating: 0, count: HashSlot.count)
  private let isOfRouter: Bool
  private var wires: [Int: Wire] = [:]
  private var random: SplitMix
  private var lastValue: UInt64 = 0

  /// Counters of one slot, and how many slots share a register each.
  private static let countersASlot = 2
  private static let registerCount = 12

  init(
    _ world: World, index: Int, port: Int, seed: UInt64, isOfRouter: Bool
  ) throws(Broken) {
    self.world = world
    self.isOfRouter = isOfRouter
    self.index = index
    random = SplitMix(state: seed &+ UInt64(index) &* 0x1234_5678_9ABC_DEF1)
    for (slot, tag) in world.tags {
      for n in 0..<Self.countersASlot {
        let name = "count:\(index):\(n):{\(tag)}"
        counters.append(Counter(slot: slot, request: request(["INCR", name]), name: name))
      }
    }
    let stride = max(1, world.tags.count / Self.registerCount)
    for place in Swift.stride(from: 0, to: world.tags.count, by: stride) {
      registers.append((world.tags[place].slot, "register:{\(world.tags[place].tag)}"))
      seen.histories.append(RegisterHistory())
    }
    if isOfRouter {
      owners = [Int](repeating: port, count: HashSlot.count)
    } else {
      try loadMap(from: port)
    }
  }

  private mutating func loadMap(from port: Int) throws(Broken) {
    guard case .array(let entries) = try wire(port).ask("CLUSTER", "SLOTS") else {
      throw Broken("no map from port \(port)")
    }
    for entry in entries {
      guard case .array(let parts) = entry, parts.count > 2, case .integer(let first) = parts[0],
        case .integer(let last) = parts[1], case .array(let node) = parts[2],
        case .integer(let port) = node[1]
      else { throw Broken("a strange map: \(entry)") }
      for slot in Int(first)...Int(last) { owners[slot] = Int(port) }
    }
  }

  private mutating func wire(_ port: Int) throws(Broken) -> Wire {
    if let wire = wires[port] { return wire }
    let wire = try Wire(port: port)
    wires[port] = wire
    return wire
  }

  // MARK: rounds

  /// Rounds until the world stops, then a look at all counters and registers.
  mutating func run() throws(Broken) {
    while !world.isStopping {
      try round()
      world.finishedRound(of: index)
    }
    if world.failed.isEmpty { try readBack() }
  }

  private mutating func round() throws(Broken) {
    var work: [Work] = []
    for place in counters.indices {
      work.append(Work(kind: .increment, place: place, port: owners[counters[place].slot]))
    }
    for place in registers.indices {
      let port = owners[registers[place].slot]
      if Bool.random(using: &random) {
        lastValue += 1
        let value = lastValue * 64 + UInt64(index) + 1
        work.append(Work(kind: .write(value), place: place, port: port))
      } else {
        work.append(Work(kind: .read, place: place, port: port))
      }
    }
    work.shuffle(using: &random)
    try carryOut(&work)
  }

  /// Sends everything, reads everything, and again what was redirected.
  private mutating func carryOut(_ work: inout [Work]) throws(Broken) {
    while !work.isEmpty {
      var byPort: [Int: [Work]] = [:]
      let now = monotonic()
      for var item in work {
        item.sentAt = now
        byPort[item.port, default: []].append(item)
        append(item, to: try wire(item.port))
      }
      for port in byPort.keys { try wire(port).flush() }
      work.removeAll(keepingCapacity: true)
      for (port, items) in byPort {
        let wire = try wire(port)
        for item in items {
          if let again = try take(item, wire) { work.append(again) }
        }
      }
    }
  }

  private static let asking = request(["ASKING"])

  private func append(_ item: Work, to wire: Wire) {
    if item.isAsking { wire.output += Self.asking }
    switch item.kind {
    case .increment: wire.output += counters[item.place].request
    case .write(let value):
      wire.output += request(["SET", registers[item.place].name, "\(value)"])
    case .read: wire.output += request(["GET", registers[item.place].name])
    }
  }

  private func slot(of item: Work) -> Int {
    if case .increment = item.kind { return counters[item.place].slot }
    return registers[item.place].slot
  }

  /// Takes a command's reply; the command again if it is to be sent elsewhere.
  private mutating func take(_ item: Work, _ wire: Wire) throws(Broken) -> Work? {
    if item.isAsking {
      let line = try wire.line()
      if text(line) != "+OK" { throw Broken("ASKING is answered \(text(line))") }
    }
    let line = try wire.line()
    seen.commands += 1
    switch (line.first, item.kind) {
    case (UInt8(ascii: "-"), _): return try follow(line, item)
    case (UInt8(ascii: ":"), .increment):
      let wanted = counters[item.place].acknowledged + 1
      guard number(line.dropFirst()) == wanted else {
        throw Broken(
          "\(counters[item.place].name) in slot \(slot(of: item)): \(text(line)) where \(wanted) is due, from port \(wire.port)"
        )
      }
      counters[item.place].acknowledged = wanted
    case (UInt8(ascii: "+"), .write(let value)): note(item, value, isWrite: true)
    case (UInt8(ascii: "$"), .read):
      var value: UInt64 = 0
      if line != Array("$-1".utf8)[...] {
        guard let count = number(line.dropFirst()), count <= 20,
          let read = number(try wire.bulk(Int(count)))
        else { throw Broken("\(registers[item.place].name) is no number: \(text(line))") }
        value = read
      }
      note(item, value, isWrite: false)
    default: throw Broken("\(item.kind) is answered \(text(line)) by port \(wire.port)")
    }
    return nil
  }

  private mutating func note(_ item: Work, _ value: UInt64, isWrite: Bool) {
    seen.histories[item.place].operations.append(
      RegisterHistory.Operation(
        value: value, isWrite: isWrite, start: item.sentAt, end: monotonic()))
  }

  /// `-MOVED slot host:port` or `-ASK slot host:port`, and nothing else, once.
  private mutating func follow(_ line: ArraySlice<UInt8>, _ item: Work) throws(Broken) -> Work {
    let slot = slot(of: item)
    if isOfRouter { throw Broken("slot \(slot): the router says \(text(line))") }
    let words = line.split(separator: UInt8(ascii: " "))
    guard words.count == 3, ["-MOVED", "-ASK"].contains(text(words[0])),
      number(words[1]) == UInt64(slot), let colon = words[2].lastIndex(of: UInt8(ascii: ":")),
      let port = number(words[2][(colon + 1)...])
    else { throw Broken("slot \(slot) at port \(item.port): \(text(line))") }
    if item.redirects > 0,
      world.isStrict || !world.mayHaveMoved(slot, item.sentAt, monotonic())
    {
      throw Broken(
        "slot \(slot) was redirected to port \(item.port), and from there: \(text(line))")
    }
    if Int(port) == item.port { throw Broken("port \(port) redirects to itself: \(text(line))") }
    var again = item
    again.isAsking = text(words[0]) == "-ASK"
    seen.redirects += 1
    if again.isAsking { seen.asks += 1 } else { owners[slot] = Int(port) }
    again.port = Int(port)
    again.redirects += 1
    return again
  }

  private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

  // MARK: the end

  /// Reads every counter and register once more.
  private mutating func readBack() throws(Broken) {
    for counter in counters {
      let found = try find(counter.name, counter.slot)
      guard found == counter.acknowledged else {
        throw Broken(
          "\(counter.name) is \(found), and \(counter.acknowledged) increments were acknowledged")
      }
    }
    for place in registers.indices {
      let start = monotonic()
      let value = try find(registers[place].name, registers[place].slot)
      seen.histories[place].operations.append(
        RegisterHistory.Operation(value: value, isWrite: false, start: start, end: monotonic()))
    }
  }

  private mutating func find(_ name: String, _ slot: Int) throws(Broken) -> UInt64 {
    for _ in 0..<3 {
      switch try wire(owners[slot]).ask("GET", name) {
      case .null: return 0
      case .bulk(let bytes): return number(bytes[...]) ?? .max
      case .error(let bytes):
        let colon = bytes.lastIndex(of: UInt8(ascii: ":")) ?? 0
        owners[slot] = Int(number(bytes[(colon + 1)...]) ?? 0)
      default: throw Broken("GET \(name) answers neither value nor redirect")
      }
    }
    throw Broken("\(name) is nowhere")
  }
}
