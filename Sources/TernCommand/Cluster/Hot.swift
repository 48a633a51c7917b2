internal import ArgumentParser
internal import RESP
internal import Server

/// `tern cluster hot`: the slots that cost most.
struct Hot: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the hottest slots of all shards.",
    discussion: """
      Processor time, keys, memory and network bytes of each slot, since the server's \
      start; the figures move along with a slot. Every shard's port is asked.

      EXAMPLES
        tern cluster hot
        tern cluster hot --count 100 --json
        tern cluster hot --by memory-bytes
      """)

  /// What slots are ordered by.
  enum Metric: String, ExpressibleByArgument, CaseIterable {
    case cpu = "cpu-usec"
    case keys = "key-count"
    case memory = "memory-bytes"
    case bytesIn = "network-bytes-in"
    case bytesOut = "network-bytes-out"
  }

  @Option(help: "How many slots.")
  var count = 10

  @Option(help: "What they are ordered by.")
  var by = Metric.cpu

  @OptionGroup var cluster: ClusterOptions

  func validate() throws {
    guard (1...16384).contains(count) else {
      throw ValidationError("--count is in between 1 and 16384.")
    }
  }

  func run() throws {
    var client = try cluster.connect()
    let shards = try ClusterStatus.ask(&client).shards
    var slots: [HotSlot] = []
    for shard in shards where shard.slots > 0 {
      guard let (host, port) = shard.endpoint else { continue }
      var client = try cluster.connect(host: host, port: port)
      let reply = try client.ask([
        "CLUSTER", "SLOT-STATS", "ORDERBY", by.rawValue, "LIMIT", "\(count)", "DESC",
      ])
      slots += (reply.elements ?? []).compactMap { HotSlot($0, of: shard) }
    }
    slots = HotSlot.hottest(count, of: slots, by: by)
    Standard.write(
      cluster.json ? JSON.list(slots.map(\.json)).pretty + "\n" : HotSlot.text(slots), to: 1)
  }
}

/// A slot and what it costs.
struct HotSlot: Equatable {
  /// The slot.
  let slot: Int
  /// Who owns it.
  let shard: ClusterStatus.Shard
  private let figures: [String: Int]

  /// What one entry of a shard's reply says; nil if it is none.
  init?(_ entry: Reply, of shard: ClusterStatus.Shard) {
    guard let parts = entry.elements, parts.count == 2, let slot = parts[0].integer else {
      return nil
    }
    self.slot = slot
    self.shard = shard
    figures = Hot.Metric.allCases.reduce(into: [:]) {
      $0[$1.rawValue] = parts[1][$1.rawValue]?.integer ?? 0
    }
  }

  private func figure(_ metric: Hot.Metric) -> Int { figures[metric.rawValue] ?? 0 }

  /// So many of these slots, the greatest first; of equal ones the lower slot first.
  static func hottest(_ count: Int, of slots: [HotSlot], by metric: Hot.Metric) -> [HotSlot] {
    let sorted = slots.sorted {
      (-$0.figure(metric), $0.slot) < (-$1.figure(metric), $1.slot)
    }
    return Array(sorted.prefix(count))
  }

  /// A table of slots.
  static func text(_ slots: [HotSlot]) -> String {
    var table = Table(
      .numbers("slot"), .numbers("shard"), .numbers("cpu"), .numbers("keys"), .numbers("memory"),
      .numbers("in"), .numbers("out"))
    for slot in slots {
      table.rows.append([
        "\(slot.slot)", "\(slot.shard.number)",
        Quantity.duration(microseconds: slot.figure(.cpu)), Quantity.count(slot.figure(.keys)),
        Quantity.bytes(slot.figure(.memory)), Quantity.bytes(slot.figure(.bytesIn)),
        Quantity.bytes(slot.figure(.bytesOut)),
      ])
    }
    return table.text
  }

  /// For `--json`.
  var json: JSON {
    .object([
      .init("slot", .integer(slot)), .init("shard", .integer(shard.number)),
      .init("id", .text(shard.id)), .init("cpu_usec", .integer(figure(.cpu))),
      .init("keys", .integer(figure(.keys))), .init("memory_bytes", .integer(figure(.memory))),
      .init("network_bytes_in", .integer(figure(.bytesIn))),
      .init("network_bytes_out", .integer(figure(.bytesOut))),
    ])
  }
}
