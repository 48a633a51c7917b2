internal import RESP
internal import Sharding
internal import Storage

// INFO, with the sections, fields and order of Redis. What concerns the keyspace is the shard's own (DESIGN §9); what only the process
// can know is the process's. A field of something that does not exist yet is left out, never invented.

extension Engine {
  private static let defaultSections = [
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules",
    "errorstats", "cluster", "keyspace",
  ]
  private static let moreSections = ["commandstats", "housekeeping"]

  /// INFO [section …].
  mutating func info(_ call: Call) -> Effect {
    var wanted: Set<String> = []
    for i in 1..<max(1, call.count) {
      let name = Self.text(of: call[i]).lowercased()
      switch name {
      case "all", "everything": wanted.formUnion(Self.defaultSections + Self.moreSections)
      case "default": wanted.formUnion(Self.defaultSections)
      default: wanted.insert(name)
      }
    }
    if call.count == 1 { wanted = Set(Self.defaultSections) }
    var sections: [String] = []
    for name in Self.defaultSections.prefix(8) + Self.moreSections + Self.defaultSections.suffix(3)
    where wanted.contains(name) {
      sections.append(section(name))
    }
    reply.verbatim(text: sections.joined(separator: "\r\n"))
    return .none
  }

  private func section(_ name: String) -> String {
    switch name {
    case "server": lines("Server", serverFields())
    case "clients": lines("Clients", clientFields())
    case "memory": lines("Memory", memoryFields())
    case "persistence":
      lines("Persistence", [("loading", "0"), ("async_loading", "0"), ("aof_enabled", "0")])
    case "stats": lines("Stats", statisticsFields())
    case "replication":
      lines(
        "Replication",
        [("role", "master"), ("connected_slaves", "0"), ("master_repl_offset", "0")])
    case "cpu":
      lines(
        "CPU",
        [
          ("used_cpu_sys", Self.decimal(process.systemCPUSeconds, 6)),
          ("used_cpu_user", Self.decimal(process.userCPUSeconds, 6)),
        ])
    case "modules": lines("Modules", [])
    case "commandstats": lines("Commandstats", commandFields())
    case "errorstats":
      lines(
        "Errorstats",
        statistics.errors.map { ("errorstat_\($0.code)", "count=\($0.count)") })
    case "housekeeping": lines("Housekeeping", housekeepingFields())
    case "cluster": lines("Cluster", [("cluster_enabled", "1")])
    case "keyspace": lines("Keyspace", keyspaceFields())
    default: ""
    }
  }

  private func lines(_ title: String, _ fields: [(String, String)]) -> String {
    "# \(title)\r\n" + fields.map { "\($0.0):\($0.1)\r\n" }.joined()
  }

  /// The local index of the shard that is asked about: the session's, and all of this worker's at the configuration endpoint (nil).
  private var shownShard: Int32? { sessions[current].shard >= 0 ? sessions[current].shard : nil }

  private func serverFields() -> [(String, String)] {
    let uptime = max(0, (now - process.startedAt) / 1000)
    let shard = shownShard.map { Int(shards[Int($0)].id.number) } ?? 0
    return [
      ("redis_version", TernVersion.redis), ("tern_version", TernVersion.tern),
      ("redis_mode", "cluster"), ("os", process.system), ("arch_bits", "64"),
      ("monotonic_clock", process.clock), ("multiplexing_api", process.backend),
      ("process_id", "\(process.processID)"), ("process_supervised", "no"),
      ("run_id", process.runID), ("tcp_port", "\(settings.port + shard)"),
      ("server_time_usec", "\(microseconds)"), ("uptime_in_seconds", "\(uptime)"),
      ("uptime_in_days", "\(uptime / 86400)"), ("hz", "\(settings.hz)"),
      ("configured_hz", "\(settings.hz)"),
      ("lru_clock", "\(AccessClock.recency(seconds: turnMicroseconds / 1_000_000))"),
      ("executable", process.executable), ("config_file", process.configurationFile),
      ("io_threads_active", "0"), ("tern_workers", "\(workers)"), ("tern_worker", "\(worker)"),
      ("tern_io", process.backend),
    ]
  }

  private func clientFields() -> [(String, String)] {
    let all = max(process.connectedClients, clientCount)
    return [
      ("connected_clients", "\(shownShard.map { clientCounts[Int($0)] } ?? all)"),
      ("cluster_connections", "0"), ("maxclients", "\(settings.maxClients)"),
      ("blocked_clients", "0"), ("tracking_clients", "0"), ("clients_in_timeout_table", "0"),
      ("tern_process_connected_clients", "\(all)"),
    ]
  }

  private func memoryFields() -> [(String, String)] {
    var data = 0
    for slot in 0..<HashSlot.count {
      let owner = keyspace.owner(of: slot)
      if owner >= 0, shownShard == nil || owner == shownShard {
        data += keyspace.byteCount(of: slot)
      }
    }
    let clients = sessionByteCount()
    let used = data + clients
    let allocator = AllocatorFigures.now()
    let resident = process.residentByteCount
    var fields: [(String, String)] = []
    func bytes(_ name: String, _ count: Int) {
      fields.append((name, "\(count)"))
      fields.append((name + "_human", Self.human(count)))
    }
    bytes("used_memory", used)
    bytes("used_memory_rss", resident)
    fields.append(("used_memory_overhead", "\(clients)"))
    fields.append(("used_memory_dataset", "\(data)"))
    fields.append(
      (
        "used_memory_dataset_perc",
        Self.decimal(used > 0 ? 100 * Double(data) / Double(used) : 0, 2) + "%"
      ))
    fields.append(("allocator_allocated", "\(allocator.allocated)"))
    fields.append(("allocator_active", "\(allocator.active)"))
    fields.append(("allocator_resident", "\(allocator.resident)"))
    bytes("total_system_memory", process.systemByteCount)
    bytes("maxmemory", settings.maxMemory)
    fields.append(("maxmemory_policy", settings.maxMemoryPolicy.rawValue))
    fields.append(
      ("allocator_frag_ratio", Self.ratio(allocator.active, allocator.allocated)))
    fields.append(("allocator_frag_bytes", "\(allocator.active - allocator.allocated)"))
    fields.append(("allocator_rss_ratio", Self.ratio(allocator.resident, allocator.active)))
    fields.append(("allocator_rss_bytes", "\(allocator.resident - allocator.active)"))
    fields.append(("mem_fragmentation_ratio", Self.ratio(resident, allocator.allocated)))
    fields.append(("mem_fragmentation_bytes", "\(resident - allocator.allocated)"))
    fields.append(("mem_clients_normal", "\(clients)"))
    fields.append(("mem_allocator", "jemalloc-\(allocator.version)"))
    fields.append(("active_defrag_running", "\(defragmentationShare)"))
    fields.append(("lazyfree_pending_objects", "\(keyspace.hasGrave ? 1 : 0)"))
    fields.append(("tern_process_used_memory", "\(process.keyspaceByteCount)"))
    fields.append(("tern_process_rss_peak", "\(process.residentPeakByteCount)"))
    fields.append(("tern_worker_memory_share", isMemoryLimited ? "\(memory.share)" : "0"))
    fields.append(("tern_worker_memory_used", "\(limitedByteCount)"))
    return fields
  }

  /// What the sessions of the shard that is asked about take: their places, bytes that wait to be run, and replies that wait to leave.
  private func sessionByteCount() -> Int {
    var sum = 0
    for index in 0..<sessions.indexLimit where sessions.contains(index) {
      if shownShard == nil || sessions[index].shard == shownShard {
        sum += MemoryLayout<Session>.stride + sessions[index].query.allocatedByteCount
        sum += sessions[index].largeByteCount + sessions[index].output.byteCount
      }
    }
    return sum
  }

  private func statisticsFields() -> [(String, String)] {
    [
      ("total_connections_received", "\(statistics.connectionsReceived)"),
      ("total_commands_processed", "\(statistics.commandCount)"),
      ("instantaneous_ops_per_sec", "\(statistics.commandsPerSecond)"),
      ("total_net_input_bytes", "\(statistics.bytesIn)"),
      ("total_net_output_bytes", "\(statistics.bytesOut)"),
      ("instantaneous_input_kbps", Self.decimal(statistics.bytesInPerSecond / 1024, 2)),
      ("instantaneous_output_kbps", Self.decimal(statistics.bytesOutPerSecond / 1024, 2)),
      ("rejected_connections", "\(statistics.connectionsRejected)"),
      ("expired_keys", "\(statistics.expiredKeys)"), ("evicted_keys", "\(statistics.evictedKeys)"),
      ("keyspace_hits", "\(statistics.hits)"), ("keyspace_misses", "\(statistics.misses)"),
      ("pubsub_channels", "0"), ("pubsub_patterns", "0"),
      ("total_error_replies", "\(statistics.errorReplies)"),
    ] + memoryStatisticsFields()
  }

  private func commandFields() -> [(String, String)] {
    CommandTable.all.compactMap { command in
      let figures = statistics.commands[Int(command.id.rawValue)]
      if figures.calls == 0 && figures.rejected == 0 { return nil }
      let microseconds = figures.nanoseconds / 1000
      let each = figures.calls > 0 ? Double(microseconds) / Double(figures.calls) : 0
      return (
        "cmdstat_\(command.name)",
        "calls=\(figures.calls),usec=\(microseconds),usec_per_call=\(Self.decimal(each, 2)),rejected_calls=\(figures.rejected),failed_calls=\(figures.failed)"
      )
    }
  }

  private func keyspaceFields() -> [(String, String)] {
    var keys = 0
    var expiring = 0
    for slot in 0..<HashSlot.count {
      let owner = keyspace.owner(of: slot)
      if owner >= 0, shownShard == nil || owner == shownShard {
        keys += keyspace.keyCount(of: slot)
        expiring += keyspace.expiringCount(of: slot)
      }
    }
    return keys == 0 ? [] : [("db0", "keys=\(keys),expires=\(expiring),avg_ttl=0")]
  }

  /// A number with so many decimals; there is no formatting without Foundation.
  static func decimal(_ value: Double, _ places: Int) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return "0" }
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int((abs(value) * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    let padding = String(repeating: "0", count: max(0, places - fraction.count))
    return "\(value < 0 ? "-" : "")\(scaled / scale).\(padding)\(fraction)"
  }

  private static func ratio(_ a: Int, _ b: Int) -> String {
    decimal(b > 0 ? Double(a) / Double(b) : 0, 2)
  }

  /// Bytes as Redis shows them to people: 6.91M.
  static func human(_ count: Int) -> String {
    if count < 1 << 10 { return "\(count)B" }
    for (unit, shift) in [("K", 10), ("M", 20), ("G", 30)] where count < 1 << (shift + 10) {
      return decimal(Double(count) / Double(1 << shift), 2) + unit
    }
    return decimal(Double(count) / Double(1 << 40), 2) + "T"
  }
}
