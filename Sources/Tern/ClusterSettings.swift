internal import Engine
internal import Server

/// What a `Cluster` is started with. The defaults are a cluster without sockets that leaves nothing on disk.
public struct ClusterSettings: Sendable {
  /// Number of shards, 1…500. Where `directory` holds the `nodes.conf` of an earlier cluster, that decides.
  public var shards = 4
  /// Number of worker threads, 1…256. Shard i (from 1) lives on worker (i − 1) mod `workers`.
  public var workers = ClusterSettings.processorCount
  /// Where clients connect. nil: nothing listens and there are no sockets at all. 0: the kernel chooses a port for the configuration
  /// endpoint and each shard; `Cluster.endpoints` names them. Else: the configuration endpoint's port; shard i listens on `port` + i.
  public var port: Int? = nil
  /// Numeric addresses to listen on, where there is a port.
  public var bind = ["127.0.0.1"]
  /// Where `nodes.conf` lies, with node ids, slots and hash seed (keys are kept in memory only); it is made if it is missing, and locked
  /// until the cluster has shut down. nil: nothing is on disk, nothing is locked.
  public var directory: String? = nil
  /// The interface of the kernel that is used for connections.
  public var io = IO.auto
  /// Processors to pin workers to, in turn; empty: none is pinned.
  public var cpus: [Int] = []
  /// Most bytes for keys of all shards; commands that need memory are refused beyond. 0: no limit.
  public var maxMemory = 0
  /// Connections at once, over all ports.
  public var maxClients = 10_000

  /// io_uring, epoll, or the better one that the kernel allows.
  public enum IO: String, Sendable {
    case auto, uring, epoll
  }

  /// A cluster of 4 shards on as many workers as there are processors.
  public init() {}

  /// As many as the process may run on, at most 256.
  private static var processorCount: Int { min(256, ServerSettings.defaults().values.workers) }

  /// The same as the server takes them, checked by the same rules as a configuration file.
  func checked() throws(TernError) -> Settings {
    var settings = Settings()
    var texts = [
      ("shards", "\(shards)"), ("workers", "\(workers)"), ("io", io.rawValue),
      ("maxmemory", "\(maxMemory)"), ("maxclients", "\(maxClients)"),
      ("cpus", cpus.map(String.init).joined(separator: ",")),
    ]
    if let port { texts.append(("port", "\(port)")) }
    for (name, text) in texts {
      do throws(SettingError) { try settings.set(name, to: text) } catch {
        throw .cannotStart(reason: "\(name) \(text): \(error.reason)")
      }
    }
    if let directory {
      if directory.isEmpty { throw .cannotStart(reason: "the directory has no name") }
      settings.directory = directory
    } else {
      settings.directory = ""
    }
    settings.bind = port == nil ? [] : bind
    if port != nil, bind.isEmpty {
      throw .cannotStart(reason: "there is a port but no address to listen on")
    }
    return settings
  }
}
