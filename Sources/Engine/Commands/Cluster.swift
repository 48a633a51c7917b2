internal import RESP
internal import Sharding
internal import Storage

// CLUSTER: the map as clients see it (DESIGN §4, §10), and what lies in a slot.

extension Engine {
  /// The shard that the session speaks to; nil at the configuration endpoint.
  var localShard: LocalShardInfo? {
    let shard = sessions[current].shard
    return shard >= 0 ? shards[Int(shard)] : nil
  }

  /// The shard that answers as `myself`: the session's; at the configuration endpoint the first of the map.
  var myself: ShardID { localShard?.id ?? map.shards[0].id }

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
    let open = shownOpenSlots(of: sessions[current].shard)
    for piece in map.nodesReply(from: myself, resp3: isVersion3, openSlots: open) {
      reply.append(bytes: Array(piece))
    }
    return .none
  }

  /// The slots that a shard has open, as the `myself` line shows them: by slot, as Redis does.
  private func shownOpenSlots(of shard: Int32) -> [Sharding.OpenSlot] {
    if openSlots.isEmpty { return [] }
    let own = openSlots.filter { $0.shard == shard }.sorted { $0.slot < $1.slot }
    return own.compactMap { open in
      let slot = HashSlot(UInt16(open.slot))
      switch open.state {
      case .migrating(let target):
        return map.index(of: target).map { .migrating(slot, to: map.shards[$0].nodeID) }
      case .importingByPresence: return open.source.map { .importing(slot, from: $0) }
      default: return nil
      }
    }
  }

  /// CLUSTER INFO.
  mutating func clusterInfo(_ call: Call) -> Effect {
    refreshMap()
    reply.append(
      bytes: map.infoReply(
        from: myself, resp3: isVersion3, requiresFullCoverage: settings.requiresFullCoverage,
        unsavedSince: board.unsavedSince))
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
  func slot(_ argument: RawSpan) -> Int? {
    guard let number = argument.integer(), let slot = Int(exactly: number),
      slot >= 0, slot < HashSlot.count
    else { return nil }
    return slot
  }

  /// The tables of a slot that are shown to the current session: its shard's, or at the router all that this worker has.
  private func shownTables(of slot: Int) -> [Int] {
    let shard = sessions[current].shard
    if shard != Session.endpoint { return table(of: slot, at: shard).map { [$0] } ?? [] }
    let imported = openSlots.filter { $0.slot == slot && $0.isImporting }.map(\.table)
    return (keyspace.owner(of: slot) >= 0 ? [slot] : []) + imported.filter { $0 != slot }
  }

  /// CLUSTER COUNTKEYSINSLOT slot.
  mutating func clusterCountKeysInSlot(_ call: Call) -> Effect {
    guard call[2].integer() != nil else { return notAnInteger() }
    guard let slot = slot(call[2]) else { return failing("ERR Invalid slot") }
    reply.integer(Int64(shownTables(of: slot).reduce(0) { $0 + keyspace.keyCount(of: $1) }))
    return .none
  }

  /// CLUSTER GETKEYSINSLOT slot count.
  mutating func clusterGetKeysInSlot(_ call: Call) -> Effect {
    guard call[2].integer() != nil, let count = call[3].integer() else { return notAnInteger() }
    guard let slot = slot(call[2]), count >= 0 else {
      return failing("ERR Invalid slot or number of keys")
    }
    let tables = shownTables(of: slot)
    let wanted = Int(min(count, Int64(tables.reduce(0) { $0 + keyspace.keyCount(of: $1) })))
    reply.arrayHeader(wanted)
    var left = wanted
    for table in tables {
      var prefix: UInt64 = 0
      var home: [EntryRef] = []
      while left > 0 {
        let next = keyspace.scan(table, from: prefix, into: &home)
        for entry in home.prefix(left) { replyKey(entry) }
        left -= min(left, home.count)
        guard let next else { break }
        prefix = next
      }
    }
    precondition(left == 0, "a slot has fewer keys than it counts")
    return .none
  }

  /// CLUSTER HELP.
  mutating func clusterHelp(_ call: Call) -> Effect {
    help(
      "CLUSTER",
      [
        "ADDSLOTS <slot> [<slot> ...]", "    Assign slots to current node.",
        "ADDSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Assign slots which are between <start-slot> and <end-slot> to current node.",
        "BUMPEPOCH", "    Advance the cluster config epoch.",
        "COUNT-FAILURE-REPORTS <node-id>",
        "    Return number of failure reports for <node-id>.",
        "COUNTKEYSINSLOT <slot>", "    Return the number of keys in <slot>.",
        "DELSLOTS <slot> [<slot> ...]", "    Delete slots information from current node.",
        "DELSLOTSRANGE <start slot> <end slot> [<start slot> <end slot> ...]",
        "    Delete slots information which are between <start-slot> and <end-slot> from current node.",
        "FLUSHSLOT <slot> [ASYNC|SYNC]", "    Remove all keys of current node in <slot>.",
        "FLUSHSLOTS", "    Delete current node own slots information.",
        "GETKEYSINSLOT <slot> <count>",
        "    Return key names stored by current node in a slot.",
        "INFO", "    Return information about the cluster.",
        "KEYSLOT <key>", "    Return the hash slot for <key>.",
        "LINKS",
        "    Return information about all network links between this node and its peers.",
        "    Output format is an array where each array element is a map containing attributes of a link",
        "MYID", "    Return the node id.",
        "MYSHARDID", "    Return the node's shard id.",
        "NODES", "    Return cluster configuration seen by node. Output format:",
        "    <id> <ip:port@bus-port[,hostname]> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
        "REPLICAS <node-id>", "    Return <node-id> replicas.",
        "SAVECONFIG", "    Force saving cluster configuration on disk.",
        "SET-CONFIG-EPOCH <epoch>", "    Set config epoch of current node.",
        "SETSLOT <slot> (IMPORTING <node-id>|MIGRATING <node-id>|STABLE|NODE <node-id>)",
        "    Set slot state.",
        "SLOTS", "    Return information about slots range mappings. Each range is made of:",
        "    start, end, master and replicas IP addresses, ports and ids",
        "SHARDS",
        "    Return information about slot range mappings and the nodes associated with them.",
      ])
  }
}
