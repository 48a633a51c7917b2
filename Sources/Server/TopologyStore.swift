internal import Engine
internal import Reactor
internal import Sharding

/// `nodes.conf` in the cluster's directory: node ids, slots and the hash seed outlive the process. Without a directory there is nothing
/// on disk, and they do not.
struct TopologyStore {
  /// The file's path; nil = nothing is kept.
  let path: String?
  /// What the file has.
  private var stored: [UInt8]?

  init(directory: String) { path = directory.isEmpty ? nil : directory + "/nodes.conf" }

  /// The topology on disk, or a new one.
  mutating func load(
    _ settings: Settings, log: ServerLog
  ) throws(StartFailure) -> Topology {
    stored = path.flatMap { Files.bytes(of: $0) }
    guard let path, let stored else { return try Self.new(settings) }
    let topology: Topology
    do throws(NodesFileError) { topology = try NodesFile.decode(stored) } catch {
      throw StartFailure("\(path): \(error)")
    }
    if topology.shards.count != settings.shards {
      log.notice(
        "nodes.conf has \(topology.shards.count) shards and decides over --shards \(settings.shards)"
      )
    }
    return topology
  }

  /// Has every shard be reached where it listens, by its number, and writes the file if anything in it is new.
  func save(
    _ topology: inout Topology, ports: [Int: Int], _ settings: Settings
  ) throws(StartFailure) {
    topology.endpoints = settings.endpointType
    for index in topology.shards.indices {
      let number = Int(topology.shards[index].id.number)
      topology.shards[index].address = try Self.address(
        of: number, port: ports[number] ?? 0, settings)
    }
    guard let path else { return }
    let encoded = NodesFile.encode(topology)
    if encoded != stored {
      do throws(Files.Failure) { try Files.replace(path, with: encoded) } catch {
        throw StartFailure(error.reason)
      }
    }
  }

  /// Replaces the file, and on disk it is when this returns; beside it what has happened. Why the latter could not be written; nil if it was.
  func write(_ topology: Topology, _ events: EventLog) throws(StartFailure) -> String? {
    guard let path else { return nil }
    do throws(Files.Failure) {
      try Files.replace(path, with: NodesFile.encode(topology))
    } catch { throw StartFailure(error.reason) }
    do throws(Files.Failure) {
      try Files.replace(eventsPath(path), with: EventsFile.encode(events))
      return nil
    } catch { return error.reason }
  }

  /// What has happened so far; nothing if the file of it is missing or damaged, which is no reason not to start.
  func events(log: ServerLog) -> EventLog {
    guard let path, let bytes = Files.bytes(of: eventsPath(path)) else { return EventLog() }
    guard let events = EventsFile.decode(bytes) else {
      log.warning("the events of earlier runs cannot be read", ["path": eventsPath(path)])
      return EventLog()
    }
    return events
  }

  private func eventsPath(_ path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
      + "/events"
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
          address: try address(of: number, port: number, settings),
          epoch: ConfigEpoch(UInt64(number))))
    }
    return Topology(
      hashSeed: HashSeed(UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max)),
      epoch: ConfigEpoch(UInt64(settings.shards)), lastGeneration: UInt32(settings.shards),
      shards: shards, owners: .uniform(shardCount: settings.shards), variables: [])
  }

  /// Where clients reach the shard of that number, which listens on that port.
  static func address(
    of number: Int, port ownPort: Int, _ settings: Settings
  ) throws(StartFailure) -> EndpointAddress {
    var host = settings.announceIP
    if host.isEmpty {
      let first = settings.addresses.first?.address ?? "127.0.0.1"
      let isEverywhere = ["0.0.0.0", "::", "*"].contains(first)
      host = isEverywhere ? Machine.firstPublicAddress ?? "127.0.0.1" : first
    }
    let announced = settings.announcePort > 0 ? settings.announcePort + number : ownPort
    guard let port = UInt16(exactly: announced),
      let address = EndpointAddress(
        host: host, port: port,
        hostname: settings.announceHostname.isEmpty ? nil : settings.announceHostname)
    else { throw StartFailure("no valid address for shard \(number): \(host):\(announced)") }
    return address
  }
}
