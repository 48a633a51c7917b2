internal import Engine
internal import Reactor
internal import Sharding

/// `nodes.conf` in the cluster's directory: node ids, slots and the hash seed outlive the process.
struct TopologyStore {
  /// The file's path.
  let path: String

  init(directory: String) { path = directory + "/nodes.conf" }

  /// The topology on disk, or a new one, in which every shard is reached where the settings say. Written back if anything is new.
  func open(_ settings: Settings, report: (String) -> Void) throws(StartFailure) -> Topology {
    var topology: Topology
    let stored = Files.bytes(of: path)
    if let stored {
      do throws(NodesFileError) { topology = try NodesFile.decode(stored) } catch {
        throw StartFailure("\(path): \(error)")
      }
      if topology.shards.count != settings.shards {
        report(
          "nodes.conf has \(topology.shards.count) shards and decides over --shards \(settings.shards)"
        )
      }
    } else {
      topology = try Self.new(settings)
    }
    for index in topology.shards.indices {
      topology.shards[index].address = try Self.address(
        of: Int(topology.shards[index].id.number), settings)
    }
    let encoded = NodesFile.encode(topology)
    if encoded != stored {
      do throws(Files.Failure) { try Files.replace(path, with: encoded) } catch {
        throw StartFailure(error.reason)
      }
    }
    return topology
  }

  private static func new(_ settings: Settings) throws(StartFailure) -> Topology {
    var shards: [ClusterShard] = []
    for number in 1...settings.shards {
      let bytes = RandomBytes.array(NodeID.byteCount)
      guard let nodeID = unsafe NodeID(bytes.span.bytes) else {
        throw StartFailure("cannot make a node id")
      }
      shards.append(
        ClusterShard(
          id: ShardID(number: UInt16(number), generation: UInt32(number)), nodeID: nodeID,
          address: try address(of: number, settings), epoch: ConfigEpoch(UInt64(number))))
    }
    return Topology(
      hashSeed: HashSeed(UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max)),
      epoch: ConfigEpoch(UInt64(settings.shards)), lastGeneration: UInt32(settings.shards),
      shards: shards, owners: .uniform(shardCount: settings.shards), variables: [])
  }

  private static func address(
    of number: Int, _ settings: Settings
  ) throws(StartFailure) -> EndpointAddress {
    var host = settings.announceIP
    if host.isEmpty {
      let first = settings.bind.first ?? "127.0.0.1"
      let isEverywhere = ["0.0.0.0", "::", "*"].contains(first)
      host = isEverywhere ? Machine.firstPublicAddress ?? "127.0.0.1" : first
    }
    let base = settings.announcePort > 0 ? settings.announcePort : settings.port
    guard let port = UInt16(exactly: base + number),
      let address = EndpointAddress(host: host, port: port)
    else { throw StartFailure("no valid address for shard \(number): \(host):\(base + number)") }
    return address
  }
}
