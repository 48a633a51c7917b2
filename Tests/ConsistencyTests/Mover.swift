import Glibc
import RESP
import Sharding

/// Has slots moved, by commands, one move after the other.
struct Mover {
  private let world: World
  private let base: Int
  private var wires: [Int: Wire] = [:]

  /// `base` is the configuration endpoint's port: shard i listens i above it.
  init(_ world: World, base: Int) {
    self.world = world
    self.base = base
  }

  private mutating func wire(_ shard: Int) throws(Broken) -> Wire {
    if let wire = wires[shard] { return wire }
    let wire = try Wire(port: base + shard)
    wires[shard] = wire
    return wire
  }

  private func field(_ name: String, of map: Reply) -> String {
    guard case .array(let items) = map,
      let place = items.firstIndex(where: { $0.text == name }), place + 1 < items.count
    else { return "" }
    if case .integer(let number) = items[place + 1] { return "\(number)" }
    return items[place + 1].text ?? ""
  }

  mutating func nodeID(of shard: Int) throws(Broken) -> String {
    try wire(shard).ask("CLUSTER", "MYID").text ?? ""
  }

  /// Sets more keys in the slots of the test, all of which that shard serves.
  mutating func fill(perSlot count: Int, at shard: Int) throws(Broken) {
    let wire = try wire(shard)
    for (_, tag) in world.tags {
      for n in 0..<count { wire.output += request(["SET", "filler:\(n):{\(tag)}", "\(n)"]) }
      try wire.flush()
      for _ in 0..<count {
        let line = try wire.line()
        if line.first != UInt8(ascii: "+") {
          throw Broken("SET is answered \(String(decoding: line, as: UTF8.self))")
        }
      }
    }
  }

  /// MIGRATESLOTS of a group from one shard to another; returns when it has ended.
  mutating func move(_ slots: ClosedRange<Int>, from source: Int, to target: Int) throws(Broken) {
    let id = try nodeID(of: target)
    let move = world.begin(slots)
    let answer = try wire(source).ask(
      "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", "\(slots.lowerBound)", "\(slots.upperBound)",
      "NODE", id)
    guard answer == .simple(Array("OK".utf8)) else {
      throw Broken("MIGRATESLOTS \(slots) from \(source) to \(target): \(answer.text ?? "?")")
    }
    while true {
      let jobs = try wire(source).ask("CLUSTER", "GETSLOTMIGRATIONS").elements ?? []
      let state = jobs.first.map { field("state", of: $0) } ?? ""
      if state == "success" { break }
      if state == "failed" || state == "cancelled" {
        throw Broken("a migration has \(state): \(field("message", of: jobs[0]))")
      }
    }
    world.end(move)
  }

  /// A change of the whole cluster; returns when it has ended.
  mutating func change(_ words: String...) throws(Broken) {
    let move = world.begin(0...HashSlot.count - 1)
    let answer = try wire(1).ask(["CLUSTER"] + words)
    guard answer == .simple(Array("OK".utf8)) else {
      throw Broken("\(words): \(answer.text ?? "?")")
    }
    while true {
      let status = try wire(1).ask("CLUSTER", "REBALANCE", "STATUS")
      let state = field("state", of: status)
      if state == "success" { break }
      if state == "failed" || state == "cancelled" {
        throw Broken("\(words) has \(state): \(field("message", of: status))")
      }
    }
    world.end(move)
  }

  /// The shard that the map says a slot belongs to.
  mutating func owner(of slot: Int) throws(Broken) -> Int {
    for entry in try wire(1).ask("CLUSTER", "SLOTS").elements ?? [] {
      guard let parts = entry.elements, case .integer(let first) = parts[0],
        case .integer(let last) = parts[1], case .integer(let port)? = parts[2].elements?[1]
      else { continue }
      if slot >= Int(first), slot <= Int(last) { return Int(port) - base }
    }
    throw Broken("slot \(slot) belongs to nobody")
  }

  /// The keys that all shards together say they have.
  mutating func keyCount(shards: Int) throws(Broken) -> Int {
    var sum = 0
    for shard in 1...shards {
      if case .integer(let count) = try wire(shard).ask("DBSIZE") { sum += Int(count) }
    }
    return sum
  }
}
