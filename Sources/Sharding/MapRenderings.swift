/// What a map looks like to clients, in bytes: made once, with the map, field by field as Redis 7.0
/// answers.
struct MapRenderings: Sendable {
  /// What makes a line the answering shard's own, in front of its flags.
  static let myself = Array("myself,".utf8)
  /// The end of a text reply.
  static let lineEnd = Array("\r\n".utf8)
  /// What comes after `cluster_my_epoch:` and its number. There is no bus to count messages on.
  static let infoEnd =
    "\r\ncluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
    + "total_cluster_links_buffer_limit_exceeded:0\r\n"

  /// The ranges of each shard, by its index, ascending.
  let rangesByShard: [[SlotRange]]
  /// ` endpoint:port\r\n` for each shard: the end of `MOVED` and `ASK`.
  let redirectEnds: [[UInt8]]
  /// `CLUSTER SLOTS` in RESP2 and in RESP3.
  let slots2, slots3: [UInt8]
  /// `CLUSTER SHARDS` in RESP2 and in RESP3.
  let shards2, shards3: [UInt8]
  /// The text of `CLUSTER NODES`, without a `myself`.
  let nodes: [UInt8]
  /// Where in `nodes` each shard's flags begin, by its index.
  let flags: [Int]
  /// Where in `nodes` each shard's line ends, at its line feed.
  let lineEnds: [Int]
  /// The text of `CLUSTER INFO` up to the answering shard's epoch.
  let infoStart: [UInt8]

  /// Renders the map of these shards and ranges.
  init(
    epoch: ConfigEpoch, shards: [ClusterShard], ranges: [(range: SlotRange, owner: Int)],
    assignedSlotCount: Int, endpoints: EndpointType
  ) {
    var rangesByShard: [[SlotRange]] = Array(repeating: [], count: shards.count)
    for (range, owner) in ranges { rangesByShard[owner].append(range) }
    self.rangesByShard = rangesByShard
    redirectEnds = shards.map { shard in
      var end: [UInt8] = []
      end.append(" \(shard.address.endpoint(endpoints) ?? ""):")
      end.append(decimal: shard.address.port)
      end.append("\r\n")
      return end
    }
    slots2 = MapRenderings.slots(shards, ranges, endpoints, resp3: false)
    slots3 = MapRenderings.slots(shards, ranges, endpoints, resp3: true)
    (shards2, shards3) = MapRenderings.shards(shards, rangesByShard, endpoints)
    (nodes, flags, lineEnds) = MapRenderings.nodes(shards, rangesByShard)
    infoStart = Array(
      """
      cluster_slots_assigned:\(assignedSlotCount)\r
      cluster_slots_ok:\(assignedSlotCount)\r
      cluster_slots_pfail:0\r
      cluster_slots_fail:0\r
      cluster_known_nodes:\(shards.count)\r
      cluster_size:\(rangesByShard.count { !$0.isEmpty })\r
      cluster_current_epoch:\(epoch.number)\r
      cluster_my_epoch:
      """.utf8)
  }

  private static func slots(
    _ shards: [ClusterShard], _ ranges: [(range: SlotRange, owner: Int)],
    _ endpoints: EndpointType, resp3: Bool
  ) -> [UInt8] {
    // Each shard's part of a range.
    let nodes = shards.map { shard in
      let address = shard.address
      var node: [UInt8] = []
      node.append(array: 4)
      if let endpoint = address.endpoint(endpoints) {
        node.append(bulk: endpoint)
      } else {
        node.append(resp3 ? "_\r\n" : "$-1\r\n")
      }
      node.append(integer: address.port)
      node.append(bulk: shard.nodeID)
      // What else is known of the address.
      let ip = endpoints == .ip ? nil : address.host
      let hostname = endpoints == .hostname ? nil : address.hostname
      node.append(map: (ip == nil ? 0 : 1) + (hostname == nil ? 0 : 1), resp3: resp3)
      if let ip {
        node.append(bulk: "ip")
        node.append(bulk: ip)
      }
      if let hostname {
        node.append(bulk: "hostname")
        node.append(bulk: hostname)
      }
      return node
    }
    var reply: [UInt8] = []
    reply.reserveCapacity(ranges.reduce(16) { $0 + 24 + nodes[$1.owner].count })
    reply.append(array: ranges.count)
    for (range, owner) in ranges {
      reply.append("*3\r\n:")
      reply.append(decimal: range.first.number)
      reply.append("\r\n:")
      reply.append(decimal: range.last.number)
      reply.append("\r\n")
      reply.append(contentsOf: nodes[owner])
    }
    return reply
  }

  private static func shards(
    _ shards: [ClusterShard], _ rangesByShard: [[SlotRange]], _ endpoints: EndpointType
  ) -> (resp2: [UInt8], resp3: [UInt8]) {
    var resp2: [UInt8] = []
    var resp3: [UInt8] = []
    resp2.append(array: shards.count)
    resp3.append(array: shards.count)
    for (shard, ranges) in zip(shards, rangesByShard) {
      let address = shard.address
      var slots: [UInt8] = []
      slots.append("$5\r\nslots\r\n*")
      slots.append(decimal: 2 * ranges.count)
      for range in ranges {
        slots.append("\r\n:")
        slots.append(decimal: range.first.number)
        slots.append("\r\n:")
        slots.append(decimal: range.last.number)
      }
      slots.append("\r\n$5\r\nnodes\r\n*1\r\n")
      var node: [UInt8] = []
      node.append("$2\r\nid\r\n")
      node.append(bulk: shard.nodeID)
      node.append("$4\r\nport\r\n:")
      node.append(decimal: address.port)
      node.append("\r\n$2\r\nip\r\n")
      node.append(bulk: address.host)
      node.append("$8\r\nendpoint\r\n")
      node.append(bulk: address.endpoint(endpoints) ?? "")
      if let hostname = address.hostname {
        node.append("$8\r\nhostname\r\n")
        node.append(bulk: hostname)
      }
      node.append("$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n")
      node.append("$6\r\nhealth\r\n$6\r\nonline\r\n")
      let fieldCount = address.hostname == nil ? 7 : 8
      resp2.append(map: 2, resp3: false)
      resp2.append(contentsOf: slots)
      resp2.append(map: fieldCount, resp3: false)
      resp2.append(contentsOf: node)
      resp3.append(map: 2, resp3: true)
      resp3.append(contentsOf: slots)
      resp3.append(map: fieldCount, resp3: true)
      resp3.append(contentsOf: node)
    }
    return (resp2, resp3)
  }

  private static func nodes(
    _ shards: [ClusterShard], _ rangesByShard: [[SlotRange]]
  ) -> (text: [UInt8], flags: [Int], lineEnds: [Int]) {
    var text: [UInt8] = []
    var flags: [Int] = []
    var lineEnds: [Int] = []
    for (shard, ranges) in zip(shards, rangesByShard) {
      text.append(shard.nodeID)
      text.append(" ")
      text.append(shard.address)
      text.append(" ")
      flags.append(text.count)
      // There is no primary to name, and no ping was sent or answered.
      text.append("master - 0 0 ")
      text.append(decimal: shard.epoch.number)
      text.append(" connected")
      for range in ranges {
        text.append(" ")
        text.append(range)
      }
      lineEnds.append(text.count)
      text.append("\n")
    }
    return (text, flags, lineEnds)
  }
}

extension [UInt8] {
  /// Appends `host:port@busPort`, and `,hostname` if there is one, as in `CLUSTER NODES`.
  mutating func append(_ address: EndpointAddress) {
    append(address.host)
    append(":")
    append(decimal: address.port)
    append("@")
    append(decimal: address.busPort)
    if let hostname = address.hostname {
      append(",")
      append(hostname)
    }
  }
}
