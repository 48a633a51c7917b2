internal import RESP
internal import Sharding
internal import Storage

// CLUSTER: the map as clients see it (DESIGN §4, §10), and what lies in a slot.

extension Engine {
  /// The shard that answers as `myself`: the session's; at the configuration endpoint the first of the map.
  private var myself: ShardID {
    let shard = sessions[current].shard
    guard shard >= 0, let local = shards[Int(shard)] else { return map.shards[0].id }
    return local.id
  }

  private var isVersion3: Bool { reply.version == .three }

  /// CLUSTER SLOTS.
  mutating func clusterSlots(_ call: Call) -> Effect {
    refreshMap()
    reply.append(bytes: map.slotsReply(resp3: isVersion3))
    return .none
  }

  /// CLUSTER SHARDS.
  mutating func clusterShards(_ call: Call) -> Effect {
    refreshMap()
    reply.append(bytes: map.shardsReply(resp3: isVersion3))
    return .none
  }

  /// CLUSTER NODES.
  mutating func clusterNodes(_ call: Call) -> Effect {
    refreshMap()
    for piece in map.nodesReply(from: myself, resp3: isVersion3) {
      reply.append(bytes: Array(piece))
    }
    return .none
  }

  /// CLUSTER INFO.
  mutating func clusterInfo(_ call: Call) -> Effect {
    refreshMap()
    reply.append(bytes: map.infoReply(from: myself, resp3: isVersion3))
    return .none
  }

  /// CLUSTER MYID.
  mutating func clusterMyID(_ call: Call) -> Effect {
    refreshMap()
    let index = map.index(of: myself) ?? 0
    reply.bulk(text: map.shards[index].nodeID.description)
    return .none
  }

  /// CLUSTER MYSHARDID: a shard without replicas is called as its primary is.
  mutating func clusterMyShardID(_ call: Call) -> Effect { clusterMyID(call) }

  /// CLUSTER KEYSLOT key.
  mutating func clusterKeySlot(_ call: Call) -> Effect {
    reply.integer(Int64(HashSlot.of(call[2]).index))
    return .none
  }

  /// The slot that an argument names; nil if it is none.
  private func slot(_ argument: RawSpan) -> Int? {
    guard let number = argument.integer(), let slot = Int(exactly: number),
      slot >= 0, slot < HashSlot.count
    else { return nil }
    return slot
  }

  /// CLUSTER COUNTKEYSINSLOT slot.
  mutating func clusterCountKeysInSlot(_ call: Call) -> Effect {
    guard call[2].integer() != nil else { return notAnInteger() }
    guard let slot = slot(call[2]) else { return failing("ERR Invalid slot") }
    let isHeld = keyspace.owner(of: slot) == sessions[current].shard
    reply.integer(isHeld ? Int64(keyspace.keyCount(of: slot)) : 0)
    return .none
  }

  /// CLUSTER GETKEYSINSLOT slot count.
  mutating func clusterGetKeysInSlot(_ call: Call) -> Effect {
    guard call[2].integer() != nil, let count = call[3].integer() else { return notAnInteger() }
    guard let slot = slot(call[2]), count >= 0 else {
      return failing("ERR Invalid slot or number of keys")
    }
    guard keyspace.owner(of: slot) == sessions[current].shard else {
      reply.arrayHeader(0)
      return .none
    }
    let wanted = Int(min(count, Int64(keyspace.keyCount(of: slot))))
    reply.arrayHeader(wanted)
    var left = wanted
    var prefix: UInt64 = 0
    var home: [EntryRef] = []
    while left > 0 {
      let next = keyspace.scan(slot, from: prefix, into: &home)
      for entry in home.prefix(left) { replyKey(entry) }
      left -= min(left, home.count)
      guard let next else { break }
      prefix = next
    }
    precondition(left == 0, "a slot has fewer keys than it counts")
    return .none
  }

  /// CLUSTER HELP.
  mutating func clusterHelp(_ call: Call) -> Effect {
    help(
      "CLUSTER",
      [
        "COUNTKEYSINSLOT <slot>", "    Return the number of keys in <slot>.",
        "GETKEYSINSLOT <slot> <count>",
        "    Return key names stored by current node in a slot.",
        "INFO", "    Return information about the cluster.",
        "KEYSLOT <key>", "    Return the hash slot for <key>.",
        "MYID", "    Return the node id.",
        "MYSHARDID", "    Return the node's shard id.",
        "NODES", "    Return cluster configuration seen by node. Output format:",
        "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
        "SLOTS", "    Return information about slots range mappings. Each range is made of:",
        "    start, end, master and replicas IP addresses, ports and ids",
        "SHARDS",
        "    Return information about slot range mappings and the nodes associated with them.",
      ])
  }
}
