// The table of settings: server, memory. See `Setting`.

/// Every setting, by area.
enum SettingTable {
  /// Ends of ranges, by the types that Redis keeps the values in.
  static let int32 = Int(Int32.max)
  static let uint32 = Int(UInt32.max)
  static let int64 = UInt64(Int64.max)

  /// A field of an enumeration whose raw values are the setting's words.
  static func choice<Value: RawRepresentable<String> & Sendable>(
    _ path: any WritableKeyPath<Settings, Value> & Sendable
  ) -> Setting.Home {
    .own(
      get: { $0[keyPath: path].rawValue },
      set: { settings, text in
        if let value = Value(rawValue: text) { settings[keyPath: path] = value }
      })
  }

  /// `hz`: any number is taken, and brought into 1…500.
  private static let clippedFrequency = Setting.Home.own(
    get: { "\($0.hz)" }, set: { $0.hz = min(max(Int($1) ?? 0, 1), 500) })

  /// `bind`: words.
  private static let addresses = Setting.Home.own(
    get: { $0.bind.joined(separator: " ") },
    set: { $0.bind = $1.split(separator: " ").map(String.init) })

  /// `notify-keyspace-events`: letters.
  private static let keyspaceEvents = Setting.Home.own(
    get: { $0.keyspaceEvents.shown }, set: { $0.keyspaceEvents = KeyspaceEvents($1) ?? [] })

  /// `cpus`: a list of numbers.
  private static let processors = Setting.Home.own(
    get: { $0.cpus.map(String.init).joined(separator: ",") },
    set: { $0.cpus = Settings.cpuList($1) ?? [] })

  /// `maxmemory-clients`: a percentage is kept as a negative number.
  private static let bytesOrPercent = Setting.Home.own(
    get: { $0.maxMemoryClients < 0 ? "\(-$0.maxMemoryClients)%" : "\($0.maxMemoryClients)" },
    set: { settings, text in
      settings.maxMemoryClients =
        text.hasSuffix("%") ? -(Int(text.dropLast()) ?? 0) : Int(text) ?? 0
    })
}

extension SettingTable {
  /// Connections, listeners, threads.
  static let server: [Setting] = [
    .drives("shards", .integer(1...500), .immutable, .number(\.shards)),
    .drives("workers", .integer(1...256), .immutable, .number(\.workers)),
    .drives("io", .choice(["auto", "uring", "epoll"]), .immutable, .text(\.io)),
    .drives("cpus", .special(.processors), .immutable, processors),
    .drives("client-output-pause", .memory(1 << 10...1 << 40), .number(\.clientOutputPause)),
    .drives("bind", .words, .immutable, addresses),
    .accepted(
      "bind-source-addr", .text, "",
      "sockets are left as the system makes them"),
    .accepted(
      "client-output-buffer-limit", .special(.bufferLimits),
      "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
      "a slow reader is not sent to until it reads: `client-output-pause`"),
    .drives(
      "client-query-buffer-limit", .memory(1_048_576...int64), .number(\.clientQueryBufferLimit)),
    .accepted(
      "databases", .integer(1...int32), .immutable, "16",
      "a cluster has database 0 alone, as for Redis"),
    .drives("dir", .text, .alwaysProtected, .text(\.directory)),
    .drives("hz", .integer(0...int32), clippedFrequency),
    .drives("maxclients", .integer(1...uint32), .number(\.maxClients)),
    .drives("notify-keyspace-events", .special(.eventClasses), keyspaceEvents),
    .drives("port", .integer(0...65535), .immutable, .number(\.port)),
    .drives("proto-max-bulk-len", .memory(1_048_576...int64), .number(\.protoMaxBulkLength)),
    .accepted(
      "socket-mark-id", .integer(0...uint32), .immutable, "0",
      "sockets are left as the system makes them"),
    .drives("router-atomic", .flag, .flag(\.routerAtomic)),
    .drives("router-ordered", .flag, .flag(\.routerOrdered)),
    .drives("router-tryagain-timeout", .integer(0...3_600_000), .number(\.routerTryAgainTimeout)),
    .drives(
      "router-presents-as", .choice(["standalone", "cluster"]),
      choice(\Settings.routerPresentsAs)),
    .drives("tcp-backlog", .integer(0...int32), .immutable, .number(\.tcpBacklog)),
    .drives("tcp-keepalive", .integer(0...int32), .number(\.tcpKeepaliveSeconds)),
    .drives("timeout", .integer(0...int32), .number(\.timeoutSeconds)),
    .drives("tracking-table-max-keys", .integer(0...Int.max), .number(\.trackingTableMaxKeys)),
    .accepted(
      "unixsocket", .text, .immutable, "",
      "there are no Unix sockets yet"),
    .accepted(
      "unixsocketperm", .octal(0...0o777), .immutable, "0",
      "there are no Unix sockets yet"),
  ]
}

extension SettingTable {
  /// Memory: limits, eviction, expiry, defragmentation.
  static let memory: [Setting] = [
    .drives("active-defrag-cycle-max", .integer(1...99), .number(\.activeDefragCycleMax)),
    .drives("active-defrag-cycle-min", .integer(1...99), .number(\.activeDefragCycleMin)),
    .drives("active-defrag-ignore-bytes", .memory(1...int64), .number(\.activeDefragIgnoreBytes)),
    .accepted(
      "active-defrag-max-scan-fields", .integer(1...Int.max), "1000",
      "no value has fields that are moved one by one yet"),
    .drives(
      "active-defrag-threshold-lower", .integer(0...1000), .number(\.activeDefragThresholdLower)),
    .drives(
      "active-defrag-threshold-upper", .integer(0...1000), .number(\.activeDefragThresholdUpper)),
    .accepted(
      "active-expire-effort", .integer(1...10), "1",
      "the sweep for expired keys has a fixed share of time"),
    .drives("activedefrag", .flag, .flag(\.activeDefrag)),
    .accepted(
      "activerehashing", .flag, "yes",
      "tables grow and shrink by segments as they are used"),
    .accepted(
      "disable-thp", .flag, .immutable, "yes",
      "the setting of the machine is left alone; a warning tells of it"),
    .accepted(
      "dynamic-hz", .flag, "yes",
      "the ticks are as many whatever the clients"),
    .accepted(
      "jemalloc-bg-thread", .flag, "yes",
      "jemalloc runs without a thread of its own"),
    .accepted(
      "lazyfree-lazy-eviction", .flag, "no",
      "big values are always freed in slices, beside the commands"),
    .accepted(
      "lazyfree-lazy-expire", .flag, "no",
      "big values are always freed in slices, beside the commands"),
    .accepted(
      "lazyfree-lazy-server-del", .flag, "no",
      "big values are always freed in slices, beside the commands"),
    .accepted(
      "lazyfree-lazy-user-del", .flag, "no",
      "big values are always freed in slices, beside the commands"),
    .accepted(
      "lazyfree-lazy-user-flush", .flag, "no",
      "big values are always freed in slices, beside the commands"),
    .drives("lfu-decay-time", .integer(0...int32), .number(\.lfuDecayTime)),
    .drives("lfu-log-factor", .integer(0...int32), .number(\.lfuLogFactor)),
    .drives("maxmemory", .memory(0...UInt64.max), .number(\.maxMemory)),
    .drives("maxmemory-clients", .memoryOrPercent, bytesOrPercent),
    .accepted(
      "maxmemory-eviction-tenacity", .integer(0...100), "10",
      "the work of an eviction is bounded in any case"),
    .drives(
      "maxmemory-policy",
      .choice([
        "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru",
        "allkeys-lfu", "allkeys-random", "noeviction",
      ]), choice(\Settings.maxMemoryPolicy)),
    .drives("maxmemory-samples", .integer(1...int32), .number(\.maxMemorySamples)),
  ]
}
