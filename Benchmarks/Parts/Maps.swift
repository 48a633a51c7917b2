import Benchmark
import Sharding

/// The shards of a cluster of this size.
private func makeShards(_ count: Int) -> [ClusterShard] {
  (1...count).compactMap { number in
    var id = [UInt8](repeating: 0x5A, count: NodeID.byteCount)
    id[0] = UInt8(number >> 8)
    id[1] = UInt8(number & 0xFF)
    guard let nodeID = NodeID(id.span.bytes),
      let address = EndpointAddress(host: "10.0.0.1", port: UInt16(7000 + number))
    else { return nil }
    return ClusterShard(
      id: ShardID(number: UInt16(number), generation: 1), nodeID: nodeID, address: address,
      epoch: ConfigEpoch(1))
  }
}

/// What a flip costs the control plane (a map with all its renderings), and what a reply about topology costs a worker.
func mapBenchmarks() {
  let shards = makeShards(500)
  Benchmark(spaceless("map of 500 shards, rendered")) { _ in
    blackHole(ClusterMap.uniform(epoch: ConfigEpoch(1), shards: shards).assignedSlotCount)
  }
  // Every second slot changes hands: as many ranges as there can be.
  let owners = (0..<HashSlot.count).map { $0 % 500 }
  var scattered = SlotOwners.uniform(shardCount: 500)
  for (slot, owner) in owners.enumerated() {
    scattered.assign(SlotRange(HashSlot(UInt16(slot)), HashSlot(UInt16(slot))), to: owner)
  }
  let worst = scattered
  Benchmark(spaceless("map of 500 shards and 16384 ranges, rendered")) { _ in
    blackHole(
      ClusterMap(epoch: ConfigEpoch(1), shards: shards, owners: worst).assignedSlotCount)
  }
  let map = ClusterMap.uniform(epoch: ConfigEpoch(1), shards: shards)
  Benchmark(spaceless("CLUSTER SLOTS of 500 shards, lent")) { _ in
    blackHole(map.slotsReply(resp3: false).count)
  }
  Benchmark(spaceless("CLUSTER NODES of 500 shards, its pieces")) { _ in
    blackHole(map.nodesReply(from: shards[250].id, resp3: false).count)
  }
  Benchmark(spaceless("MOVED")) { _ in
    for number in 0..<operationCount {
      blackHole(map.redirect(for: HashSlot(UInt16(number))).count)
    }
  }
}
