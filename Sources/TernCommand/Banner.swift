internal import Engine
internal import Server

/// What a server says of itself when it has started.
enum Banner {
  /// Version, back-end and limits, in a few lines.
  static func text(_ server: ClusterServer) -> String {
    let settings = server.settings
    let shards = counted(settings.shards, "shard")
    let workers = counted(settings.workers, "worker")
    return """
      tern \(ServerVersion.text)
        \(shards) on \(workers), \(server.backend)
        \(limits(settings))
        directory \(settings.directory)
      """
  }

  private static func limits(_ settings: Settings) -> String {
    let memory =
      settings.maxMemory == 0
      ? "no limit of memory"
      : "maxmemory \(settings.maxMemory) bytes, \(settings.maxMemoryPolicy.rawValue)"
    return "maxclients \(settings.maxClients), \(memory)"
  }

  private static func counted(_ count: Int, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
  }
}
