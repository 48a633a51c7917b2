// Where to point: one immutable object an epoch for the whole process.
//
// The control plane makes a map, the source of a flip publishes it, and workers read it on their
// cold path. It confers no ownership (a shard serves what it holds tables of); it only says where
// everybody else is to go, and so all shards give equal answers at any instant.
//
// Everything that clients ask about topology is rendered once, when the map is made, because
// clients ask in storms: `CLUSTER SLOTS` and `CLUSTER SHARDS` in RESP2 and RESP3 lie ready whole,
// `CLUSTER NODES` and `CLUSTER INFO` up to the two places where the shard that answers differs:
//
//     $1234\r\n                                                    head, made per reply
//     f20d… 10.0.0.1:7001@17001 master - 0 0 3 connected 0-5460\n
//     c6da… 10.0.0.1:7002@17002 master - 0 0 2 connected 5461-10922\n
//                               ▲ flags[1]: "myself,"             ▲ lineEnds[1]: open slots
//     \r\n
//
// A reply is handed out as slices of what lies there, to be copied to where it is sent from.
//
// Limits: `maxShardCount` shards. A map is at most 16384 ranges, 2 MiB a rendering of
// `CLUSTER SLOTS`; a map of 500 contiguous shards is 0.3 MiB in all.

/// Who owns which slot and where each shard is reached, in one epoch, with every reply about it.
public final class ClusterMap: Sendable {
  /// A cluster has no more shards than slots.
  public static let maxShardCount = HashSlot.count

  /// The epoch of the map, at least that of every shard in it.
  public let epoch: ConfigEpoch
  /// The shards, by ascending number.
  public let shards: [ClusterShard]
  /// The owner of each slot, as an index into `shards`.
  public let owners: SlotOwners
  /// What clients are told to connect to.
  public let endpoints: EndpointType
  /// How many slots have an owner.
  public let assignedSlotCount: Int

  /// Every maximal range of slots with one owner, by ascending slots.
  let ranges: [(range: SlotRange, owner: Int)]
  private let renderings: MapRenderings

  /// The map of these shards and owners. Shards come by strictly ascending number, their node ids
  /// differ, no epoch is later than the map's, and every owner is the index of a shard.
  public init(
    epoch: ConfigEpoch, shards: [ClusterShard], owners: SlotOwners, endpoints: EndpointType = .ip
  ) {
    precondition(!shards.isEmpty && shards.count <= ClusterMap.maxShardCount)
    precondition(
      zip(shards, shards.dropFirst()).allSatisfy { $0.id.number < $1.id.number },
      "a map lists its shards by ascending number")
    precondition(
      Set(shards.map(\.nodeID)).count == shards.count, "two shards have the same node id")
    precondition(shards.allSatisfy { $0.epoch <= epoch }, "a shard's epoch is after the map's")
    self.epoch = epoch
    self.shards = shards
    self.owners = owners
    self.endpoints = endpoints
    let ranges = owners.ranges
    precondition(ranges.allSatisfy { $0.owner < shards.count }, "an owner is not in the map")
    self.ranges = ranges
    assignedSlotCount = ranges.reduce(0) { $0 + $1.range.count }
    renderings = MapRenderings(
      epoch: epoch, shards: shards, ranges: ranges, assignedSlotCount: assignedSlotCount,
      endpoints: endpoints)
  }

  /// The map in which every slot has an owner and shares differ by at most one
  /// (`SlotOwners.uniform`).
  public static func uniform(epoch: ConfigEpoch, shards: [ClusterShard]) -> ClusterMap {
    ClusterMap(epoch: epoch, shards: shards, owners: .uniform(shardCount: shards.count))
  }

  /// The map after a flip: `slots` belong to `target`, and the epoch, the map's and `target`'s, is
  /// the next one. `target` must be in the map.
  public func assigning(_ slots: [SlotRange], to target: ShardID) -> ClusterMap {
    guard let index = index(of: target) else { preconditionFailure("the target is not in the map") }
    var shards = shards
    var owners = owners
    shards[index].epoch = epoch.next
    for range in slots { owners.assign(range, to: index) }
    return ClusterMap(
      epoch: epoch.next, shards: shards, owners: owners, endpoints: endpoints)
  }

  /// Where in `shards` this very shard (number and generation) is; nil if it has left or not yet
  /// come. Takes log₂ of the number of shards.
  public func index(of id: ShardID) -> Int? {
    var low = 0
    var high = shards.count
    while low < high {
      let middle = (low + high) / 2
      if shards[middle].id.number < id.number { low = middle + 1 } else { high = middle }
    }
    return low < shards.count && shards[low].id == id ? low : nil
  }

  /// The shard that owns `slot`, nil if none does.
  public func owner(of slot: HashSlot) -> ShardID? {
    owners[slot].map { shards[$0].id }
  }

  /// The ranges of slots that the shard at `index` owns, ascending.
  public func ranges(ofShardAt index: Int) -> [SlotRange] {
    renderings.rangesByShard[index]
  }
}

// MARK: Replies

extension ClusterMap {
  /// The whole reply `-MOVED slot endpoint:port`, naming the slot's owner; for a slot without one the
  /// whole reply `-CLUSTERDOWN …`. One allocation.
  public func redirect(for slot: HashSlot) -> [UInt8] {
    guard let owner = owners[slot] else { return ErrorReply.clusterDown }
    return redirect("-MOVED ", slot, toShardAt: owner)
  }

  /// The whole reply `-ASK slot endpoint:port`, naming `target`; if that has left the map, so that the
  /// migration is about to be called off, the whole reply `-TRYAGAIN …`.
  public func ask(_ slot: HashSlot, of target: ShardID) -> [UInt8] {
    guard let index = index(of: target) else { return ErrorReply.tryAgain }
    return redirect("-ASK ", slot, toShardAt: index)
  }

  private func redirect(_ kind: String, _ slot: HashSlot, toShardAt index: Int) -> [UInt8] {
    let address = renderings.redirectEnds[index]
    var reply: [UInt8] = []
    reply.reserveCapacity(kind.utf8.count + 5 + address.count)
    reply.append(kind)
    reply.append(decimal: slot.number)
    reply.append(contentsOf: address)
    return reply
  }

  /// The reply to `CLUSTER SLOTS`, the same from every shard.
  public func slotsReply(resp3: Bool) -> [UInt8] {
    resp3 ? renderings.slots3 : renderings.slots2
  }

  /// The reply to `CLUSTER SHARDS`, the same from every shard.
  public func shardsReply(resp3: Bool) -> [UInt8] {
    resp3 ? renderings.shards3 : renderings.shards2
  }

  /// The reply to `CLUSTER NODES`, in pieces to be sent one after the other, with `shard` as
  /// `myself` and the slots that it has open. A shard that has left the map, whose port still
  /// answers, gives the first shard's reply: `redis-cli` crashes where no line is `myself`.
  public func nodesReply(
    from shard: ShardID, resp3: Bool, openSlots: [OpenSlot] = []
  ) -> [ArraySlice<UInt8>] {
    let index = index(of: shard)
    var open: [UInt8] = []
    if index != nil { for slot in openSlots { open.append(slot) } }
    let text = renderings.nodes
    let flags = renderings.flags[index ?? 0]
    let lineEnd = renderings.lineEnds[index ?? 0]
    let myself = MapRenderings.myself
    var head: [UInt8] = []
    head.append(text: text.count + myself.count + open.count, resp3: resp3)
    let pieces = [head[...], text[..<flags], myself[...], text[flags..<lineEnd]]
    let end = MapRenderings.lineEnd
    return pieces + (open.isEmpty ? [] : [open[...]]) + [text[lineEnd...], end[...]]
  }

  /// Whether every slot has an owner.
  public var isWhole: Bool { assignedSlotCount == HashSlot.count }

  /// The reply to `CLUSTER INFO`, as `shard` gives it; for one that has left the map, as the first
  /// shard gives it. The state is `fail` if some slot is nobody's and the cluster is to be whole. A line more says since when
  /// (milliseconds since 1970) the map is not on disk, if it is not.
  public func infoReply(
    from shard: ShardID, resp3: Bool, requiresFullCoverage: Bool = true, unsavedSince: Int64 = 0
  ) -> [UInt8] {
    var text: [UInt8] = []
    text.append(
      isWhole || !requiresFullCoverage ? "cluster_state:ok\r\n" : "cluster_state:fail\r\n")
    text.append(contentsOf: renderings.infoStart)
    text.append(decimal: shards[index(of: shard) ?? 0].epoch.number)
    text.append(MapRenderings.infoEnd)
    if unsavedSince > 0 {
      text.append("tern_topology_unsaved_since:\(unsavedSince)\r\n")
    }
    var reply: [UInt8] = []
    reply.reserveCapacity(text.count + 16)
    reply.append(text: text.count, resp3: resp3)
    reply.append(contentsOf: text)
    reply.append("\r\n")
    return reply
  }
}
