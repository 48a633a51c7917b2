internal import ArgumentParser
internal import Server
internal import Sharding

/// `tern cluster move`: some slots go to one shard.
struct Move: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Move slots to a shard.",
    discussion: """
      The slots may be those of several shards; each of these is asked to give its own. \
      Slots that are at the target already stay there.

      EXAMPLES
        tern cluster move --slots 0-99 --to 2
        tern cluster move --slots 0-99,5000,6000-6010 --to 3fa9c0de
      """)

  /// Slots as a user writes them.
  struct Ranges: Equatable {
    /// As they were written.
    let ranges: [SlotRange]

    /// `0-99,200`; nil if that is not what it says, or if slots stand in it twice.
    init?(argument: String) {
      var ranges: [SlotRange] = []
      for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
        let ends = part.split(separator: "-", omittingEmptySubsequences: false)
        guard let first = ends.first.flatMap(Self.slot), let last = ends.last.flatMap(Self.slot),
          ends.count <= 2, first <= last
        else { return nil }
        let range = SlotRange(first, last)
        if ranges.contains(where: range.overlaps) { return nil }
        ranges.append(range)
      }
      self.ranges = ranges
    }

    /// The same as a user is told why not.
    static func parse(_ argument: String) throws -> Ranges {
      if let ranges = Ranges(argument: argument) { return ranges }
      throw ValidationError(
        "slots are 0 to 16383, a range goes upwards, and no slot stands in it twice")
    }

    private static func slot(_ text: Substring) -> HashSlot? {
      guard !text.isEmpty, text.utf8.allSatisfy({ 48...57 ~= $0 }), let number = UInt16(text),
        Int(number) < HashSlot.count
      else { return nil }
      return HashSlot(number)
    }
  }

  @Option(
    help: ArgumentHelp("Which slots.", valueName: "first-last,…"), transform: Ranges.parse)
  var slots: Ranges

  @Option(help: ArgumentHelp("Where to: a shard's number or id.", valueName: "shard"))
  var to: ShardName

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var cluster: ClusterOptions

  func run() throws {
    var client = try cluster.connect()
    let shards = try ClusterStatus.ask(&client).shards
    let target = try to.find(in: shards)
    let parts = try MovePart.parts(
      of: slots.ranges, to: target.id, try SlotOwnership.ask(&client))
    if parts.isEmpty {
      let text = "shard \(target.number) has these slots already"
      Standard.write(cluster.json ? "[]\n" : text + "\n", to: 1)
      return
    }
    var watch = try JobWatch(&client)
    var refusal: ClusterFailure?
    for part in parts {
      do throws(ClusterFailure) {
        try begin(part, target, shards)
        watch.want([("operation", "move"), ("source", part.source), ("target", target.id)])
      } catch {
        refusal = error
        break
      }
    }
    // What has begun is waited for, whatever the others said.
    if !watch.wanted.isEmpty { try waiting.finish(&watch, "move", &client, cluster) }
    if let refusal { throw refusal }
  }

  private func begin(
    _ part: MovePart, _ target: ClusterStatus.Shard, _ shards: [ClusterStatus.Shard]
  ) throws(ClusterFailure) {
    guard let (host, port) = shards.first(where: { $0.id == part.source })?.endpoint else {
      throw .refused("there is no address for shard \(part.source)")
    }
    var source = try cluster.connect(host: host, port: port)
    let ranges = part.slots.flatMap { ["\($0.first.number)", "\($0.last.number)"] }
    _ = try source.ask(
      ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"] + ranges + ["NODE", target.id])
  }
}

/// What one shard has to give of a move.
struct MovePart: Equatable {
  /// The shard's id.
  let source: String
  /// Its slots.
  var slots: [SlotRange]

  /// What each shard but the target has of these slots, in the order of the slots.
  static func parts(
    of ranges: [SlotRange], to target: String, _ ownership: SlotOwnership
  ) throws(ClusterFailure) -> [MovePart] {
    let owners = ownership.owners
    var parts: [MovePart] = []
    for range in ranges {
      for index in range.indices {
        guard let owner = owners[index] else { throw .refused("slot \(index) belongs to nobody") }
        if owner == target { continue }
        let slot = HashSlot(UInt16(index))
        let place = parts.firstIndex { $0.source == owner } ?? parts.count
        if place == parts.count { parts.append(MovePart(source: owner, slots: [])) }
        if let last = parts[place].slots.last, last.last.index + 1 == index,
          last.last >= range.first
        {
          parts[place].slots[parts[place].slots.count - 1] = SlotRange(last.first, slot)
        } else {
          parts[place].slots.append(SlotRange(slot, slot))
        }
      }
    }
    return parts
  }
}
