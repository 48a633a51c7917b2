internal import Engine
internal import Server

/// A whole cluster in this process: workers with their threads and shards, with sockets or without. Several may run at once; they share
/// nothing but the process. It installs no signal handlers and prints nothing.
///
/// ```swift
/// let cluster = try await Cluster.start()
/// let shard = cluster.shard(for: "user:1")
/// let visits = try await shard.run { turn throws(TernError) in
///   try turn.set("user:1", "Ada")
///   return try turn.increment("visits:{user:1}".utf8.span.bytes, by: 1)
/// }
/// await cluster.shutdown()
/// ```
///
/// A cluster whose last reference goes away without `shutdown` stops by itself, some time later.
public final class Cluster: Sendable {
  /// Where a cluster listens.
  public struct Endpoint: Sendable, Hashable {
    /// The shard's number; nil for the configuration endpoint, which knows the cluster but serves no keys.
    public let shard: Int?
    /// The address that it is bound to.
    public let address: String
    /// The port.
    public let port: Int
  }

  /// Everything that listens, the configuration endpoint first, then the shards in order. Empty without a port.
  public let endpoints: [Endpoint]
  private let server: ClusterServer

  private init(_ server: ClusterServer) {
    self.server = server
    endpoints = server.endpoints.map {
      Endpoint(shard: $0.shard, address: $0.address, port: Int($0.port))
    }
  }

  /// Starts a cluster; all of it serves when this returns. A `SHUTDOWN` that a client sends ends it as `shutdown` does.
  ///
  /// Where the cluster listens, the process's limit of open descriptors is raised as far as `maxClients` needs and the system allows.
  ///
  /// - Parameters:
  ///   - settings: what to start.
  ///   - log: gets lines for a log, on any thread.
  /// - Throws: `TernError.cannotStart`; nothing of the cluster is left then.
  public static func start(
    _ settings: ClusterSettings = ClusterSettings(),
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws(TernError) -> Cluster {
    let checked = try settings.checked()
    do throws(StartFailure) {
      return Cluster(
        try await ClusterServer.start(
          checked, log: ServerLog(.lines(log)), shutdownRequested: {}))
    } catch { throw .cannotStart(reason: error.description) }
  }

  /// Ends the cluster: nothing is accepted any more, replies that wait are sent (for 2 s at most), connections are closed. Returns when
  /// all of its threads have ended, its memory has been given back and the directory is unlocked. Any number of times, by any task.
  public func shutdown() async { await server.stop() }

  /// The shards, in the order of their numbers: 1, 2 … in a new cluster.
  public var shards: [Shard] { server.shardNumbers.map { Shard(server, $0) } }

  /// The shard of that number. If there is none, its `run` throws `noSuchShard`.
  public func shard(_ number: Int) -> Shard { Shard(server, number) }

  /// The shard that serves a key: by its slot, and where it has a hash tag by that. O(key).
  public func shard(for key: RawSpan) -> Shard { Shard(server, server.shard(for: key) ?? 0) }

  /// The shard that serves a key.
  public func shard(for key: String) -> Shard { unsafe shard(for: key.utf8.span.bytes) }

  /// What connections are served with: `io_uring` or `epoll`.
  public var backend: String { server.backend }
}

/// A shard of a running cluster, named by its number.
public struct Shard: Sendable {
  private let server: ClusterServer
  /// Its number, from 1.
  public let number: Int

  init(_ server: ClusterServer, _ number: Int) {
    self.server = server
    self.number = number
  }

  /// Runs `body` on the worker of the shard, as one turn of its loop: no command of any client, and no other `run`, comes between its
  /// calls. It must not wait for anything; the clients of the worker's shards wait meanwhile.
  ///
  /// Entering costs some microseconds, a call inside some tens of nanoseconds: do much in one turn.
  ///
  /// - Throws: what `body` throws; `stopped` if the cluster has ended, `noSuchShard`.
  public func run<R: Sendable>(
    _ body: @Sendable (inout ShardTurn) throws(TernError) -> R
  ) async throws(TernError) -> R {
    guard server.hasShard(number) else { throw .noSuchShard(number) }
    let result = await server.run(onShard: number) { engine, local in
      ShardTurn.run(on: &engine, shard: local, body)
    }
    guard let result else { throw .stopped }
    return try result.get()
  }
}
