// The table of settings: process, cluster. See `Setting`.

extension SettingTable {
  /// The process and its operation: log, slow log, permissions, signals.
  static let process: [Setting] = [
    .accepted(
      "acl-pubsub-default", .choice(["allchannels", "resetchannels"]), "resetchannels",
      "there are no access control lists yet"),
    .accepted(
      "aclfile", .text, .immutable, "",
      "there are no access control lists yet"),
    .accepted(
      "acllog-max-len", .integer(0...Int.max), "128",
      "there are no access control lists yet"),
    .accepted(
      "always-show-logo", .flag, .immutable, "no",
      "the start says what matters in words"),
    .accepted(
      "bio_cpulist", .text, .immutable, "",
      "`cpus` pins workers"),
    .accepted(
      "busy-reply-threshold", alias: "lua-time-limit", .integer(0...Int.max), "5000",
      "there are no scripts yet"),
    .accepted(
      "crash-log-enabled", .flag, "yes",
      "a crash leaves its trace to the system"),
    .accepted(
      "crash-memcheck-enabled", .flag, "yes",
      "a crash leaves its trace to the system"),
    .accepted(
      "daemonize", .flag, .immutable, "no",
      "tern stays in the foreground, as service managers want it"),
    .drives(
      "enable-debug-command", .choice(["no", "yes", "local"]), .immutable,
      choice(\Settings.enableDebugCommand)),
    .accepted(
      "enable-module-command", .choice(["no", "yes", "local"]), .immutable, "no",
      "there are no modules"),
    .drives(
      "enable-protected-configs", .choice(["no", "yes", "local"]), .immutable,
      choice(\Settings.enableProtectedConfigs)),
    .accepted(
      "ignore-warnings", .text, "",
      "no warning keeps the server from starting"),
    .accepted(
      "io-threads", .integer(1...128), .immutable, "1",
      "`workers` says how many threads there are"),
    .accepted(
      "io-threads-do-reads", .flag, .immutable, "no",
      "`workers` says how many threads there are"),
    .drives("latency-monitor-threshold", .integer(0...Int.max), .number(\.latencyMonitorThreshold)),
    .drives("latency-tracking", .flag, .flag(\.latencyTracking)),
    .drives(
      "latency-tracking-info-percentiles", .special(.percentiles), .text(\.latencyPercentileText)),
    .drives("logfile", .text, .immutable, .text(\.logFile)),
    .drives(
      "loglevel", .choice(["debug", "verbose", "notice", "warning"]), choice(\Settings.logLevel)),
    Setting.accepted(
      "lua-enable-deprecated-api", .flag, .immutable, "no",
      "there are no scripts yet"
    ).hidden,
    .accepted(
      "oom-score-adj", .choice(["no", "yes", "relative", "absolute"]), "no",
      "the score of the process is left alone"),
    .accepted(
      "oom-score-adj-values", .special(.oomScores), "0 200 800",
      "the score of the process is left alone"),
    .accepted(
      "pidfile", .text, .immutable, "",
      "tern stays in the foreground, as service managers want it"),
    .accepted(
      "proc-title-template", .special(.titleTemplate), "{title} {listen-addr} {server-mode}",
      "the title of the process is left alone"),
    .drives("protected-mode", .flag, .flag(\.protectedMode)),
    .accepted(
      "server_cpulist", .text, .immutable, "",
      "`cpus` pins workers"),
    .drives("requirepass", .special(.password), .text(\.requirePass)),
    .accepted(
      "set-proc-title", .flag, .immutable, "yes",
      "the title of the process is left alone"),
    .accepted(
      "shutdown-on-sigint", .special(.shutdownOptions), "default",
      "there is nothing to be saved or waited for at the end"),
    .accepted(
      "shutdown-on-sigterm", .special(.shutdownOptions), "default",
      "there is nothing to be saved or waited for at the end"),
    .accepted(
      "shutdown-timeout", .integer(0...int32), "10",
      "there is nothing to be saved or waited for at the end"),
    .drives("slowlog-log-slower-than", .integer(-1...Int.max), .number(\.slowlogLogSlowerThan)),
    .drives("slowlog-max-len", .integer(0...Int.max), .number(\.slowlogMaxLength)),
    .accepted(
      "supervised", .choice(["upstart", "systemd", "auto", "no"]), .immutable, "no",
      "tern stays in the foreground, as service managers want it"),
    .accepted(
      "syslog-enabled", .flag, .immutable, "no",
      "the log goes to `logfile` or standard output"),
    .accepted(
      "syslog-facility",
      .choice([
        "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
      ]), .immutable, "local0",
      "the log goes to `logfile` or standard output"),
    .accepted(
      "syslog-ident", .text, .immutable, "redis",
      "the log goes to `logfile` or standard output"),
    Setting.accepted(
      "use-exit-on-panic", .flag, "no",
      "a crash leaves its trace to the system"
    ).hidden,
    Setting.accepted(
      "watchdog-period", .integer(0...int32), "0",
      "a crash leaves its trace to the system"
    ).hidden,
  ]
}

extension SettingTable {
  /// The cluster.
  static let cluster: [Setting] = [
    .drives("auto-rebalance", .choice(["load", "count", "off"]), choice(\Settings.autoRebalance)),
    // For tests: everything that is counted in samples happens as much faster.
    Setting.drives(
      "auto-rebalance-interval-ms", .integer(10...3_600_000), .number(\.autoRebalanceInterval)
    ).hidden,
    .accepted(
      "cluster-allow-pubsubshard-when-down", .flag, "yes",
      "there is no sharded publish and subscribe yet"),
    .accepted(
      "cluster-allow-reads-when-down", .flag, "no",
      "every slot is served or refused by itself"),
    .accepted(
      "cluster-allow-replica-migration", .flag, "yes",
      "there are no replicas yet, and nothing fails over"),
    .accepted(
      "cluster-announce-bus-port", .integer(0...65535), "0",
      "there is no cluster bus: one process knows all"),
    .drives("cluster-announce-hostname", .special(.hostname), .text(\.announceHostname)),
    .drives("cluster-announce-ip", .special(.announcedAddress), .text(\.announceIP)),
    .drives("cluster-announce-port", .integer(0...65535), .number(\.announcePort)),
    .accepted(
      "cluster-announce-tls-port", .integer(0...65535), "0",
      "there is no TLS yet"),
    .accepted(
      "cluster-config-file", .text, .immutable, "nodes.conf",
      "the file is always nodes.conf in `dir`"),
    .drives(
      "cluster-drain-timeout", .integer(0...86400), .immutable, .number(\.clusterDrainTimeout)),
    .drives(
      "cluster-migration-bytes-per-second", .memory(0...UInt64.max), .immutable,
      .number(\.migrationBytesPerSecond)),
    .drives(
      "cluster-migration-cpu-percent", .integer(1...100), .immutable,
      .number(\.migrationCPUPercent)),
    .accepted("cluster-enabled", .only("yes"), .immutable, "yes", "Tern is a cluster"),
    .accepted(
      "cluster-link-sendbuf-limit", .memory(0...UInt64.max), "0",
      "there is no cluster bus: one process knows all"),
    .accepted(
      "cluster-migration-barrier", .integer(0...int32), "1",
      "there are no replicas yet, and nothing fails over"),
    .accepted(
      "cluster-node-timeout", .integer(0...Int.max), "15000",
      "there are no replicas yet, and nothing fails over"),
    .accepted(
      "cluster-port", .integer(0...65535), .immutable, "0",
      "there is no cluster bus: one process knows all"),
    .drives(
      "cluster-preferred-endpoint-type", .choice(["ip", "hostname", "unknown-endpoint"]),
      choice(\Settings.endpointType)),
    .accepted(
      "cluster-replica-no-failover", alias: "cluster-slave-no-failover", .flag, "no",
      "there are no replicas yet, and nothing fails over"),
    .accepted(
      "cluster-replica-validity-factor", alias: "cluster-slave-validity-factor",
      .integer(0...int32), "10",
      "there are no replicas yet, and nothing fails over"),
    .drives("cluster-require-full-coverage", .flag, .flag(\.requiresFullCoverage)),
  ]
}
