internal import RESP
internal import Sharding
internal import Storage

// INFO, with the sections, fields and order of redis-server 7.0.15. What concerns keys, connections and commands is the shard's own, as a
// Redis Cluster node's would be (DESIGN §9), and adds up over the shards; at the configuration endpoint it is the sum. What only the
// process can know (processor time, resident memory, the allocator) is the process's. Fields of things that Tern does not have are 0:
// monitoring reads them. Our own begin with `tern_`; our own section is the last.

extension Engine {
  private static let sections = [
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules",
    "commandstats", "errorstats", "latencystats", "cluster", "keyspace", "housekeeping",
  ]
  /// Shown only when asked for.
  private static let moreSections: Set<String> = ["commandstats", "latencystats", "housekeeping"]

  /// INFO [section …].
  mutating func info(_ call: Call) -> Effect {
    let usual = Set(Self.sections).subtracting(Self.moreSections)
    var wanted: Set<String> = call.count == 1 ? usual : []
    for i in 1..<max(1, call.count) {
      let name = Self.text(of: call[i]).lowercased()
      switch name {
      case "all", "everything": wanted.formUnion(Self.sections)
      case "default": wanted.formUnion(usual)
      default: wanted.insert(name)
      }
    }
    var texts: [String] = []
    for name in Self.sections where wanted.contains(name) { texts.append(section(name)) }
    reply.verbatim(text: texts.joined(separator: "\r\n"))
    return .none
  }

  private func section(_ name: String) -> String {
    switch name {
    case "server": lines("Server", serverFields())
    case "clients": lines("Clients", clientFields())
    case "memory": lines("Memory", memoryFields())
    case "persistence": lines("Persistence", persistenceFields())
    case "stats": lines("Stats", statisticsFields())
    case "replication": lines("Replication", replicationFields())
    case "cpu": lines("CPU", processorFields())
    case "modules": lines("Modules", [])
    case "commandstats": lines("Commandstats", commandFields())
    case "latencystats": lines("Latencystats", latencyFields())
    case "errorstats":
      lines(
        "Errorstats", shownStatistics().errors.map { ("errorstat_\($0.code)", "count=\($0.count)") }
      )
    case "housekeeping": lines("Housekeeping", housekeepingFields())
    case "cluster": lines("Cluster", [("cluster_enabled", presentation == .cluster ? "1" : "0")])
    case "keyspace": lines("Keyspace", keyspaceFields())
    default: ""
    }
  }

  /// What the port of the current client says that it is.
  var presentation: Presentation {
    // A session without a number runs what came by the router's port of another worker.
    let isOfRouter =
      shownShard == nil || sessions[current].mode.contains(.router) || sessions[current].id == 0
    return isOfRouter ? settings.routerPresentsAs : .cluster
  }

  private func lines(_ title: String, _ fields: [(String, String)]) -> String {
    "# \(title)\r\n" + fields.map { "\($0.0):\($0.1)\r\n" }.joined()
  }

  /// Fields that are 0, as redis-server's are where nothing has happened.
  private func zeros(_ names: String) -> [(String, String)] {
    names.split(separator: " ").map { (String($0), "0") }
  }

  /// The local index of the shard that is asked about: the session's; nil at the configuration endpoint, which tells of all.
  private var shownShard: Int32? { sessions[current].shard >= 0 ? sessions[current].shard : nil }

  /// What was counted of the shard that is asked about, or of the process: this worker's pages, and the others' as of their last tick.
  private func shownStatistics() -> Statistics {
    if let shard = shownShard { return ledger[Self.page(ofShard: shard)] }
    var sum = sumOfPages()
    for (index, totals) in process.totals.enumerated() where index != worker {
      if let totals { sum.add(totals.statistics) }
    }
    return sum
  }

  /// What is remembered for clients that are told of changes; at the configuration endpoint, of this worker's shards.
  private func trackingFields() -> [(String, String)] {
    var (keys, items, prefixes) = (0, 0, 0)
    for (shard, count) in tracking.counts where shownShard == nil || shard == shownShard {
      keys += count.keys
      items += count.items
    }
    for index in tracking.trackers where shownShard == nil || sessions[index].shard == shownShard {
      prefixes += sessions[index].tracking?.prefixes.count ?? 0
    }
    return [
      ("tracking_total_keys", "\(keys)"), ("tracking_total_items", "\(items)"),
      ("tracking_total_prefixes", "\(prefixes)"),
    ]
  }

  private func serverFields() -> [(String, String)] {
    let uptime = max(0, (now - process.startedAt) / 1000)
    let shard = localShard.map { Int($0.id.number) } ?? 0
    return [
      ("redis_version", TernVersion.redis), ("redis_git_sha1", "00000000"),
      ("redis_git_dirty", "0"),
      ("redis_build_id", String(SHA1(Array(TernVersion.tern.utf8)).text.prefix(16))),
      ("redis_mode", presentation.rawValue), ("os", process.system), ("arch_bits", "64"),
      ("monotonic_clock", process.clock), ("multiplexing_api", process.backend),
      ("atomicvar_api", "c11-builtin"), ("gcc_version", "0.0.0"),
      ("process_id", "\(process.processID)"), ("process_supervised", "no"),
      ("run_id", process.runID), ("tcp_port", "\(settings.port + shard)"),
      ("server_time_usec", "\(microseconds)"), ("uptime_in_seconds", "\(uptime)"),
      ("uptime_in_days", "\(uptime / 86400)"), ("hz", "\(settings.hz)"),
      ("configured_hz", "\(settings.hz)"),
      ("lru_clock", "\(AccessClock.recency(seconds: turnMicroseconds / 1_000_000))"),
      ("executable", process.executable), ("config_file", process.configurationFile),
      ("io_threads_active", "0"), ("tern_version", TernVersion.tern),
      ("tern_workers", "\(workers)"), ("tern_worker", "\(worker)"),
      ("tern_io", process.backend),
      ("tern_log_lines_dropped", "\(process.droppedLogLineCount)"),
    ]
  }

  private func clientFields() -> [(String, String)] {
    let all = max(process.connectedClients, clientCount)
    var (mostIn, mostOut, waits) = (0, 0, 0)
    for index in 0..<sessions.indexLimit where sessions.contains(index) {
      if shownShard == nil || sessions[index].shard == shownShard {
        mostIn = max(mostIn, sessions[index].query.allocatedByteCount)
        mostOut = max(mostOut, sessions[index].output.byteCount)
      }
    }
    for one in waiting where sessions.contains(one.client.index) {
      if shownShard == nil || sessions[one.client.index].shard == shownShard { waits += 1 }
    }
    var pausedCount = 0
    for one in postponed where sessions.contains(one.client.index) {
      let index = one.client.index
      let isHeld = one.flight == nil && sessions[index].id == one.clientNumber
      if isHeld, shownShard == nil || sessions[index].shard == shownShard { pausedCount += 1 }
    }
    let trackers = tracking.trackers.filter {
      shownShard == nil || sessions[$0].shard == shownShard
    }
    return [
      ("connected_clients", "\(shownShard.map { clientCounts[Self.page(ofShard: $0)] } ?? all)"),
      ("cluster_connections", "0"), ("maxclients", "\(settings.maxClients)"),
      ("client_recent_max_input_buffer", "\(mostIn)"),
      ("client_recent_max_output_buffer", "\(mostOut)"),
      ("blocked_clients", "\(waits + pausedCount)"), ("tracking_clients", "\(trackers.count)"),
      ("clients_in_timeout_table", "\(waits)"), ("tern_process_connected_clients", "\(all)"),
    ]
  }

  private func memoryFields() -> [(String, String)] {
    let data =
      shownShard.map { keyspace.byteCount(ofShard: $0) }
      ?? max(process.keyspaceByteCount, keyspace.byteCount)
    let clients = sessionByteCount()
    let used = data + clients
    let peak = max(shownStatistics().peakByteCount + clients, used)
    let allocator = AllocatorFigures.now()
    let resident = process.residentByteCount
    var fields: [(String, String)] = []
    func plain(_ name: String, _ value: Int) { fields.append((name, "\(value)")) }
    func bytes(_ name: String, _ count: Int) {
      plain(name, count)
      fields.append((name + "_human", Self.human(count)))
    }
    func share(_ name: String, _ part: Int, _ whole: Int) {
      let percent = whole > 0 ? 100 * Double(part) / Double(whole) : 0
      fields.append((name, Self.decimal(percent, 2) + "%"))
    }
    bytes("used_memory", used)
    bytes("used_memory_rss", resident)
    bytes("used_memory_peak", peak)
    share("used_memory_peak_perc", used, peak)
    plain("used_memory_overhead", clients)
    plain("used_memory_startup", 0)
    plain("used_memory_dataset", data)
    share("used_memory_dataset_perc", data, used)
    plain("allocator_allocated", allocator.allocated)
    plain("allocator_active", allocator.active)
    plain("allocator_resident", allocator.resident)
    bytes("total_system_memory", process.systemByteCount)
    fields += zeros("used_memory_lua used_memory_vm_eval")
    fields.append(("used_memory_lua_human", "0B"))
    fields += zeros(
      "used_memory_scripts_eval number_of_cached_scripts number_of_functions number_of_libraries used_memory_vm_functions"
    )
    bytes("used_memory_vm_total", 0)
    plain("used_memory_functions", 0)
    bytes("used_memory_scripts", 0)
    bytes("maxmemory", settings.maxMemory)
    fields.append(("maxmemory_policy", settings.value(of: "maxmemory-policy") ?? "noeviction"))
    func overhead(_ name: String, _ whole: Int, _ part: Int) {
      fields.append((name + "_ratio", Self.ratio(whole, part)))
      plain(name + "_bytes", whole - part)
    }
    overhead("allocator_frag", allocator.active, allocator.allocated)
    overhead("allocator_rss", allocator.resident, allocator.active)
    overhead("rss_overhead", resident, allocator.resident)
    // Of the process, as what is resident is.
    fields.append(("mem_fragmentation_ratio", Self.ratio(resident, allocator.allocated)))
    plain("mem_fragmentation_bytes", resident - allocator.allocated)
    fields += zeros(
      "mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers mem_clients_slaves"
    )
    plain("mem_clients_normal", clients)
    fields += zeros("mem_cluster_links mem_aof_buffer")
    fields.append(("mem_allocator", "jemalloc-\(allocator.version)"))
    plain("active_defrag_running", defragmentationShare)
    plain("lazyfree_pending_objects", keyspace.hasGrave ? 1 : 0)
    plain("lazyfreed_objects", 0)
    plain("tern_process_used_memory", max(process.keyspaceByteCount, keyspace.byteCount))
    plain("tern_process_rss_peak", process.residentPeakByteCount)
    plain("tern_worker_memory_share", isMemoryLimited ? memory.share : 0)
    plain("tern_worker_memory_used", limitedByteCount)
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

  /// Nothing is ever written to disk: what is told is what redis-server tells that has not saved yet.
  private func persistenceFields() -> [(String, String)] {
    zeros("loading async_loading current_cow_peak current_cow_size current_cow_size_age")
      + [("current_fork_perc", "0.00")]
      + zeros(
        "current_save_keys_processed current_save_keys_total rdb_changes_since_last_save rdb_bgsave_in_progress"
      )
      + [
        ("rdb_last_save_time", "\(process.startedAt / 1000)"), ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", "-1"), ("rdb_current_bgsave_time_sec", "-1"),
      ]
      + zeros("rdb_saves rdb_last_cow_size rdb_last_load_keys_expired rdb_last_load_keys_loaded")
      + zeros("aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled")
      + [
        ("aof_last_rewrite_time_sec", "-1"), ("aof_current_rewrite_time_sec", "-1"),
        ("aof_last_bgrewrite_status", "ok"),
      ] + zeros("aof_rewrites aof_rewrites_consecutive_failures")
      + [("aof_last_write_status", "ok")]
      + zeros("aof_last_cow_size module_fork_in_progress module_fork_last_cow_size")
  }

  private func statisticsFields() -> [(String, String)] {
    let counted = shownStatistics()
    return [
      ("total_connections_received", "\(counted.connectionsReceived)"),
      ("total_commands_processed", "\(counted.commandCount)"),
      ("instantaneous_ops_per_sec", "\(counted.commandsPerSecond)"),
      ("total_net_input_bytes", "\(counted.bytesIn)"),
      ("total_net_output_bytes", "\(counted.bytesOut)"),
      ("total_net_repl_input_bytes", "0"), ("total_net_repl_output_bytes", "0"),
      ("instantaneous_input_kbps", Self.decimal(counted.bytesInPerSecond / 1024, 2)),
      ("instantaneous_output_kbps", Self.decimal(counted.bytesOutPerSecond / 1024, 2)),
      ("instantaneous_input_repl_kbps", "0.00"), ("instantaneous_output_repl_kbps", "0.00"),
      ("rejected_connections", "\(counted.connectionsRejected)"),
    ] + zeros("sync_full sync_partial_ok sync_partial_err")
      + [
        ("expired_keys", "\(counted.expiredKeys)"), ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", "0"),
        // Of the worker, which looks after all of its shards at once.
        ("expire_cycle_cpu_milliseconds", "\(sweepNanoseconds / 1_000_000)"),
      ]
      + [
        ("evicted_keys", "\(counted.evictedKeys)"),
        ("evicted_clients", "\(counted.evictedClients)"),
        ("tern_router_joint_turns", "\(counted.jointTurns)"),
      ] + evictionFields()
      + [
        ("keyspace_hits", "\(counted.hits)"), ("keyspace_misses", "\(counted.misses)"),
      ]
      + zeros(
        "pubsub_channels pubsub_patterns pubsubshard_channels latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys"
      )
      + defragmentationFields()
      + trackingFields() + zeros("unexpected_error_replies")
      + [
        ("total_error_replies", "\(counted.errorReplies)"), ("dump_payload_sanitizations", "0"),
        ("total_reads_processed", "\(counted.reads)"),
        ("total_writes_processed", "\(counted.writes)"),
      ]
      + zeros(
        "io_threaded_reads_processed io_threaded_writes_processed reply_buffer_shrinks reply_buffer_expands"
      )
  }

  private func replicationFields() -> [(String, String)] {
    // Random with the run, and each shard's own: what a replica of an earlier run or another shard knows is worth nothing here.
    var seed = Array(process.runID.utf8) + Array(":\(replicationIDChanges)".utf8)
    if let shard = localShard {
      seed += Array(":\(shard.nodeID)".utf8)
    }
    return [
      ("role", "master"), ("connected_slaves", "0"), ("master_failover_state", "no-failover"),
      ("master_replid", SHA1(seed).text),
      ("master_replid2", String(repeating: "0", count: 40)), ("master_repl_offset", "0"),
      ("second_repl_offset", "-1"), ("repl_backlog_active", "0"),
      ("repl_backlog_size", "1048576"), ("repl_backlog_first_byte_offset", "0"),
      ("repl_backlog_histlen", "0"),
    ]
  }

  /// Of the process; `main_thread` is the worker that answers.
  private func processorFields() -> [(String, String)] {
    [
      ("used_cpu_sys", Self.decimal(process.systemCPUSeconds, 6)),
      ("used_cpu_user", Self.decimal(process.userCPUSeconds, 6)),
      ("used_cpu_sys_children", "0.000000"), ("used_cpu_user_children", "0.000000"),
      ("used_cpu_sys_main_thread", Self.decimal(process.threadSystemCPUSeconds, 6)),
      ("used_cpu_user_main_thread", Self.decimal(process.threadUserCPUSeconds, 6)),
    ]
  }

  private func commandFields() -> [(String, String)] {
    let counted = shownStatistics()
    return CommandTable.all.compactMap { command in
      let figures = counted.commands[Int(command.id.rawValue)]
      if figures.calls == 0 && figures.rejected == 0 && figures.failed == 0 { return nil }
      let microseconds = figures.nanoseconds / 1000
      let each = figures.calls > 0 ? Double(microseconds) / Double(figures.calls) : 0
      return (
        "cmdstat_\(command.name)",
        "calls=\(figures.calls),usec=\(microseconds),usec_per_call=\(Self.decimal(each, 2)),rejected_calls=\(figures.rejected),failed_calls=\(figures.failed)"
      )
    }
  }

  private func keyspaceFields() -> [(String, String)] {
    let keys = shownShard.map { keyspace.keyCount(ofShard: $0) } ?? keyspace.keyCount
    let expiring =
      shownShard.map { keyspace.expiringCount(ofShard: $0) } ?? keyspace.expiringCount
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
