internal import ArgumentParser
internal import RESP
internal import Server
internal import Sharding

/// `tern cluster rebalance`: deals the slots anew over the shards that there are.
struct Rebalance: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Deal the slots anew: equally many for each shard, by weight, or by load.",
    discussion: """
      By load means by the processor time that each slot's commands take; it is measured \
      for a second. A slot that is hotter than a shard's whole share is reported. As few \
      slots move as can be.

      EXAMPLES
        tern cluster rebalance
        tern cluster rebalance --by load --dry-run
        tern cluster rebalance --weight 1=2 --weight 4=0.5   others have weight 1
        tern cluster rebalance --weight 3fa9c0de=0           shard 3fa9c0de… gives all
        tern cluster rebalance --mode incremental
      """)

  /// What is to be made equal.
  enum Goal: String, ExpressibleByArgument, CaseIterable {
    case count, load
  }

  /// A shard and how much it is to have beside the others.
  struct Weight: ExpressibleByArgument {
    /// Which shard.
    let shard: ShardName
    /// From 0 on; shards that none is told of have 1.
    let weight: Double

    /// `2=1.5`; nil if it is not of this form.
    init?(argument: String) {
      let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, let shard = ShardName(argument: String(parts[0])),
        let weight = Double(parts[1]), weight.isFinite, weight >= 0
      else { return nil }
      self.shard = shard
      self.weight = weight
    }
  }

  @Option(help: "What shards are to have equally much of.")
  var by = Goal.count

  @Option(help: ArgumentHelp("A shard's weight; can be given again.", valueName: "shard=weight"))
  var weight: [Weight] = []

  @Flag(help: "Only tell what would be moved.")
  var dryRun = false

  @OptionGroup var job: JobOptions
  @OptionGroup var cluster: ClusterOptions

  func validate() throws {
    if by == .load, !weight.isEmpty {
      throw ValidationError("--weight cannot be combined with --by load.")
    }
  }

  func run() throws {
    var client = try cluster.connect()
    var words = ["REBALANCE"]
    if !weight.isEmpty {
      let shards = try ClusterStatus.ask(&client).shards
      for weight in weight {
        words += ["WEIGHT", try weight.shard.find(in: shards).id, "\(weight.weight)"]
      }
    }
    if by == .load { words += ["BY", "LOAD"] }
    words += job.mode.words
    if dryRun { return try tell(&client, words + ["DRYRUN"]) }
    try job.carryOut(words, "rebalance", [("operation", "rebalance")], &client, cluster)
    if job.waiting.noWait || cluster.json { return }
    if let last = try ClusterStatus.ask(&client).job, last.operation == "rebalance",
      !last.message.isEmpty
    {
      Standard.write("note: \(last.message)\n", to: 1)
    }
  }

  private func tell(_ client: inout ClusterClient, _ words: [String]) throws(ClusterFailure) {
    let reply = try client.ask(["CLUSTER"] + words)
    let shards = try ClusterStatus.ask(&client).shards
    let trial = RebalanceTrial(reply, shards)
    Standard.write(cluster.json ? trial.json.pretty + "\n" : trial.text, to: 1)
  }
}

/// What a rebalance would do.
struct RebalanceTrial: Equatable {
  /// Slots that would go from one shard to another.
  struct Move: Equatable {
    /// Number and id of the shard that would give.
    var source: (number: Int, id: String)
    /// Number and id of the shard that would get.
    var target: (number: Int, id: String)
    /// How many slots.
    var slots: Int
    /// `0-99 200`
    var ranges: String

    /// Whether all is equal.
    static func == (left: Move, right: Move) -> Bool {
      left.source == right.source && left.target == right.target && left.slots == right.slots
        && left.ranges == right.ranges
    }
  }

  /// The moves, in the order in which they would be made.
  var moves: [Move] = []
  /// How many slots would move.
  var slots = 0
  /// Slots that are hotter than a shard's share.
  var hotSlots: [Int] = []
  /// By how much the busiest shard's load is above the mean, before and after, in percent; nil if not by load.
  var spread: (before: Double, after: Double)?

  /// What the server's reply says, with the numbers of these shards.
  init(_ reply: Reply, _ shards: [ClusterStatus.Shard]) {
    func end(_ name: String?) -> (Int, String) {
      let id = name ?? ""
      return (shards.first { $0.id == id }?.number ?? 0, id)
    }
    slots = reply["slots"]?.integer ?? 0
    moves = (reply["moves"]?.elements ?? []).map { move in
      Move(
        source: end(move["source"]?.text), target: end(move["target"]?.text),
        slots: move["slots"]?.integer ?? 0, ranges: move["ranges"]?.text ?? "")
    }
    hotSlots = (reply["hot-slots"]?.elements ?? []).compactMap(\.integer)
    if let before = reply["load-spread-before-percent"]?.text.flatMap({ Double($0) }),
      let after = reply["load-spread-after-percent"]?.text.flatMap({ Double($0) })
    {
      spread = (before, after)
    }
  }

  /// Whether all is equal.
  static func == (left: RebalanceTrial, right: RebalanceTrial) -> Bool {
    left.moves == right.moves && left.slots == right.slots && left.hotSlots == right.hotSlots
      && left.spread?.before == right.spread?.before && left.spread?.after == right.spread?.after
  }

  /// A table of the moves, and what they lead to.
  var text: String {
    var lines = ""
    if moves.isEmpty {
      lines += "no slot would have to move\n"
    } else {
      var table = Table(.numbers("from"), .numbers("to"), .numbers("slots"), .words("ranges"))
      for move in moves {
        table.rows.append([
          "\(move.source.number)", "\(move.target.number)", Quantity.count(move.slots), move.ranges,
        ])
      }
      lines += table.text + "\n\(Quantity.counted(slots, "slot")) would move\n"
    }
    if let spread {
      lines +=
        "spread of loads: \(Quantity.tenths(spread.before)) % now, \(Quantity.tenths(spread.after)) % then\n"
    }
    if !hotSlots.isEmpty {
      lines +=
        "hotter than a shard's share, so that loads cannot be made equal: "
        + hotSlots.map { "slot \($0)" }.joined(separator: ", ") + "\n"
    }
    return lines
  }

  /// For `--json`.
  var json: JSON {
    .object([
      .init("slots", .integer(slots)),
      .init(
        "moves",
        .list(
          moves.map { move in
            .object([
              .init("source", .integer(move.source.number)),
              .init("source_id", .text(move.source.id)),
              .init("target", .integer(move.target.number)),
              .init("target_id", .text(move.target.id)), .init("slots", .integer(move.slots)),
              .init("ranges", .text(move.ranges)),
            ])
          })), .init("hot_slots", .list(hotSlots.map { .integer($0) })),
      .init("load_spread_before_percent", spread.map { .number($0.before) } ?? .null),
      .init("load_spread_after_percent", spread.map { .number($0.after) } ?? .null),
    ])
  }
}
