internal import ArgumentParser
internal import Server
internal import Sharding

/// `tern cluster slots`: the ranges by shard.
struct Slots: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show which shard owns which ranges of slots.",
    discussion: """
      EXAMPLES
        tern cluster slots
        tern cluster slots --json | jq '.[] | select(.shard == 2) | .ranges'
      """)

  @OptionGroup var cluster: ClusterOptions

  func run() throws {
    var client = try cluster.connect()
    let shards = try ClusterStatus.ask(&client).shards
    let list = SlotList(try SlotOwnership.ask(&client), shards)
    Standard.write(cluster.json ? list.json.pretty + "\n" : list.text, to: 1)
  }
}

/// The slots of each shard.
struct SlotList {
  private let lines: [(shard: ClusterStatus.Shard, ranges: [SlotRange])]
  private let unassigned: Int

  /// The slots of these shards.
  init(_ ownership: SlotOwnership, _ shards: [ClusterStatus.Shard]) {
    lines = shards.map { shard in
      (shard, ownership.ranges.filter { $0.owner == shard.id }.map(\.slots))
    }
    unassigned = HashSlot.count - ownership.ranges.reduce(0) { $0 + $1.slots.count }
  }

  /// A table; a warning if slots are nobody's.
  var text: String {
    var table = Table(
      .numbers("shard"), .words("id"), .words("address"), .numbers("slots"), .words("ranges"))
    for (shard, ranges) in lines {
      table.rows.append([
        "\(shard.number)", shard.shortID, shard.address, Quantity.count(ranges.slotCount),
        ranges.map(\.description).joined(separator: " "),
      ])
    }
    return table.text
      + (unassigned == 0
        ? "" : "\n\(Quantity.counted(unassigned, "slot")) of \(HashSlot.count) belong to nobody\n")
  }

  /// For `--json`.
  var json: JSON {
    .list(
      lines.map { shard, ranges in
        .object([
          .init("shard", .integer(shard.number)), .init("id", .text(shard.id)),
          .init("address", .text(shard.address)),
          .init("slots", .integer(ranges.slotCount)),
          .init(
            "ranges",
            .list(
              ranges.map { .list([.integer($0.first.index), .integer($0.last.index)]) })),
        ])
      })
  }
}
