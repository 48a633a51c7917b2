internal import Engine
internal import Glibc
internal import Reactor
internal import Sharding

/// All listening sockets of a cluster, opened before any worker starts, and which worker serves which: shard i lives on worker
/// (i − 1) mod W (DESIGN §1), the configuration endpoint with shard 1.
struct Listeners {
  private struct Place {
    var fileDescriptor: Int32
    var shard: Int?
  }

  private var places: [Place] = []
  private(set) var endpoints: [ClusterServer.Endpoint] = []
  private let topology: Topology
  private let workers: Int

  /// The port of the configuration endpoint: shard i listens i above it, unless the kernel chose the ports.
  private(set) var base = 0
  /// The port that each shard is reached at, by its number: where it listens, or would if nothing does.
  private(set) var ports: [Int: Int] = [:]

  init(_ settings: Settings, _ topology: Topology) throws(StartFailure) {
    self.topology = topology
    workers = settings.workers
    let numbers = topology.shards.map { Int($0.id.number) }
    // Nothing listens: the ports are names.
    let base = settings.port == 0 && settings.bind.isEmpty ? Settings().port : settings.port
    guard base >= 0, base + (numbers.last ?? 0) <= 65535 else {
      throw StartFailure("port \(base) leaves no room for the shards' ports")
    }
    for number in [0] + numbers {
      // 0 = the kernel chooses, on the first address; the others follow.
      var port = base == 0 ? 0 : base + number
      for (address, mayBeMissing) in settings.addresses {
        do throws(ReactorError) {
          let fileDescriptor = try Self.listen(address, UInt16(port), settings)
          places.append(Place(fileDescriptor: fileDescriptor, shard: number == 0 ? nil : number))
          if port == 0 { port = Int(try Reactor.localPort(of: fileDescriptor)) }
        } catch {
          if mayBeMissing { continue }
          close()
          throw StartFailure("cannot listen on \(address):\(port): \(error)")
        }
        endpoints.append(
          ClusterServer.Endpoint(
            shard: number == 0 ? nil : number, address: address, port: UInt16(port)))
      }
      ports[number] = port
      if number == 0 { self.base = port }
    }
    if endpoints.isEmpty, !settings.bind.isEmpty {
      throw StartFailure(
        "none of the addresses of 'bind' is there: \(settings.bind.joined(separator: " "))")
    }
  }

  /// How often a port that is in use is tried again, and the pause between, in microseconds: the kernel closes the sockets of a
  /// process that used io_uring a moment after its end, and a server that is started again at once must not fail for that.
  private static let tries = 25
  private static let pause: UInt32 = 20_000

  private static func listen(
    _ address: String, _ port: UInt16, _ settings: Settings
  ) throws(ReactorError) -> Int32 {
    for _ in 1..<tries {
      do throws(ReactorError) {
        return try Reactor.listen(
          address: address, port: port, backlog: Int32(clamping: settings.tcpBacklog))
      } catch {
        guard error.isAddressInUse else { throw error }
        usleep(pause)
      }
    }
    return try Reactor.listen(
      address: address, port: port, backlog: Int32(clamping: settings.tcpBacklog))
  }

  /// Closes all of them, as long as no worker has any.
  func close() { close(from: 0) }

  /// Closes those of this worker and of the later ones: no worker has taken them.
  func close(from worker: Int) {
    for index in worker..<max(worker, workers) {
      for listener in listeners(of: index) { SocketName.refuse(listener.fileDescriptor, "") }
    }
  }

  /// The shards of a worker, by local index; nil where there is none.
  func shards(of worker: Int) -> [LocalShardInfo?] {
    var shards: [LocalShardInfo?] = []
    for shard in topology.shards {
      let home = ShardHome(of: Int(shard.id.number), workers: workers)
      guard home.worker == worker else { continue }
      while shards.count <= home.local { shards.append(nil) }
      shards[Int(home.local)] = LocalShardInfo(id: shard.id, nodeID: shard.nodeID)
    }
    return shards
  }

  /// The listeners of a worker.
  func listeners(of worker: Int) -> [(fileDescriptor: Int32, shard: Int?)] {
    places.compactMap { place in
      guard let number = place.shard else {
        return worker == 0 ? (place.fileDescriptor, nil) : nil
      }
      let home = ShardHome(of: number, workers: workers)
      return home.worker == worker ? (place.fileDescriptor, Int(home.local)) : nil
    }
  }

  /// The listening sockets of a shard that comes later: on all addresses that are there, at `port`, which is not 0.
  static func open(
    port: UInt16, _ settings: Settings
  ) throws(StartFailure) -> [(fileDescriptor: Int32, address: String)] {
    var sockets: [(fileDescriptor: Int32, address: String)] = []
    for (address, mayBeMissing) in settings.addresses {
      do throws(ReactorError) {
        sockets.append((try listen(address, port, settings), address))
      } catch {
        if mayBeMissing { continue }
        for socket in sockets { SocketName.refuse(socket.fileDescriptor, "") }
        throw StartFailure("cannot listen on \(address):\(port): \(error)")
      }
    }
    return sockets
  }
}

/// Where a shard lives: worker and local index follow from its number, so a shard that takes over another's number takes over its place.
struct ShardHome: Hashable {
  /// The index of the worker.
  let worker: Int
  /// The local index there.
  let local: Int32

  /// The home of the shard of that number, from 1.
  init(of number: Int, workers: Int) {
    worker = (number - 1) % workers
    local = Int32((number - 1) / workers)
  }
}
