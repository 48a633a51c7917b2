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

  init(_ settings: Settings, _ topology: Topology) throws(StartFailure) {
    self.topology = topology
    workers = settings.workers
    guard settings.port > 0, let last = topology.shards.last,
      settings.port + Int(last.id.number) <= 65535
    else { throw StartFailure("port \(settings.port) leaves no room for the shards' ports") }
    for shard in [ShardID?.none] + topology.shards.map({ $0.id }) {
      let number = shard.map { Int($0.number) } ?? 0
      for address in settings.bind {
        let port = UInt16(settings.port + number)
        do throws(ReactorError) {
          let fileDescriptor = try Self.listen(address, port, settings)
          places.append(Place(fileDescriptor: fileDescriptor, shard: shard == nil ? nil : number))
        } catch {
          close()
          throw StartFailure("cannot listen on \(address):\(port): \(error)")
        }
        endpoints.append(
          ClusterServer.Endpoint(
            name: shard == nil ? "configuration endpoint" : "shard \(number)", address: address,
            port: port))
      }
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

  private func close() { for place in places { SocketName.refuse(place.fileDescriptor, "") } }

  private func worker(of number: Int) -> Int { (number - 1) % workers }

  private func numbers(of worker: Int) -> [ClusterShard] {
    topology.shards.filter { self.worker(of: Int($0.id.number)) == worker }
  }

  /// The shards of a worker, by local index.
  func shards(of worker: Int) -> [LocalShardInfo] {
    numbers(of: worker).map { LocalShardInfo(id: $0.id, nodeID: $0.nodeID) }
  }

  /// The listeners of a worker.
  func listeners(of worker: Int) -> [(fileDescriptor: Int32, shard: Int?)] {
    let local = numbers(of: worker).map { Int($0.id.number) }
    return places.compactMap { place in
      guard let number = place.shard else {
        return worker == 0 ? (place.fileDescriptor, nil) : nil
      }
      return local.firstIndex(of: number).map { (place.fileDescriptor, $0) }
    }
  }
}
