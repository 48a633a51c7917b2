// The table of settings: persistence, replication. See `Setting`.

extension SettingTable {
  /// Snapshots and the append-only file.
  static let persistence: [Setting] = [
    .accepted(
      "aof-disable-auto-gc", .flag, "no",
      "there is no append-only file yet"),
    .accepted(
      "aof-load-truncated", .flag, "yes",
      "there is no append-only file yet"),
    .accepted(
      "aof-rewrite-incremental-fsync", .flag, "yes",
      "there is no append-only file yet"),
    .accepted(
      "aof-timestamp-enabled", .flag, "no",
      "there is no append-only file yet"),
    .accepted(
      "aof-use-rdb-preamble", .flag, "yes",
      "there is no append-only file yet"),
    .accepted(
      "aof_rewrite_cpulist", .text, .immutable, "",
      "there is no append-only file yet"),
    .accepted(
      "appenddirname", .special(.fileName("appenddirname")), .immutable, "appendonlydir",
      "there is no append-only file yet"),
    .accepted(
      "appendfilename", .special(.fileName("appendfilename")), .immutable, "appendonly.aof",
      "there is no append-only file yet"),
    .accepted(
      "appendfsync", .choice(["everysec", "always", "no"]), "everysec",
      "there is no append-only file yet"),
    .accepted(
      "appendonly", .flag, "no",
      "there is no append-only file yet"),
    .accepted(
      "auto-aof-rewrite-min-size", .memory(0...int64), "67108864",
      "there is no append-only file yet"),
    .accepted(
      "auto-aof-rewrite-percentage", .integer(0...int32), "100",
      "there is no append-only file yet"),
    .accepted(
      "bgsave_cpulist", .text, .immutable, "",
      "there is no background process"),
    .accepted(
      "dbfilename", .special(.fileName("dbfilename")), .protected, "dump.rdb",
      "there are no snapshots yet"),
    Setting.accepted(
      "key-load-delay", .integer(-int32 - 1...int32), "0",
      "there are no snapshots yet"
    ).hidden,
    Setting.accepted(
      "loading-process-events-interval-bytes", .integer(1024...int32), "2097152",
      "there are no snapshots yet"
    ).hidden,
    .accepted(
      "no-appendfsync-on-rewrite", .flag, "no",
      "there is no append-only file yet"),
    .accepted(
      "rdb-del-sync-files", .flag, "no",
      "there are no snapshots yet"),
    Setting.accepted(
      "rdb-key-save-delay", .integer(-int32 - 1...int32), "0",
      "there are no snapshots yet"
    ).hidden,
    .accepted(
      "rdb-save-incremental-fsync", .flag, "yes",
      "there are no snapshots yet"),
    .accepted(
      "rdbchecksum", .flag, .immutable, "yes",
      "there are no snapshots yet"),
    .drives("rdbcompression", .flag, .flag(\.compressesPayloads)),
    .accepted(
      "sanitize-dump-payload", .choice(["no", "yes", "clients"]), "no",
      "RESTORE always checks a payload wholly"),
    .accepted(
      "save", .special(.savePoints), "",
      "there are no snapshots yet"),
    .accepted(
      "stop-writes-on-bgsave-error", .flag, "yes",
      "there are no snapshots yet"),
  ]
}

extension SettingTable {
  /// Replicas.
  static let replication: [Setting] = [
    .accepted(
      "masterauth", .text, "",
      "there are no replicas yet"),
    .accepted(
      "masteruser", .text, "",
      "there are no replicas yet"),
    .accepted(
      "min-replicas-max-lag", alias: "min-slaves-max-lag", .integer(0...int32), "10",
      "there are no replicas yet"),
    .accepted(
      "min-replicas-to-write", alias: "min-slaves-to-write", .integer(0...int32), "0",
      "there are no replicas yet"),
    .accepted(
      "propagation-error-behavior", .choice(["ignore", "panic", "panic-on-replicas"]), "ignore",
      "nothing is propagated yet"),
    .accepted(
      "repl-backlog-size", .memory(1...int64), "1048576",
      "there are no replicas yet"),
    .accepted(
      "repl-backlog-ttl", .integer(0...Int.max), "3600",
      "there are no replicas yet"),
    .accepted(
      "repl-disable-tcp-nodelay", .flag, "no",
      "there are no replicas yet"),
    .accepted(
      "repl-diskless-load", .choice(["disabled", "on-empty-db", "swapdb"]), "disabled",
      "there are no replicas yet"),
    .accepted(
      "repl-diskless-sync", .flag, "yes",
      "there are no replicas yet"),
    .accepted(
      "repl-diskless-sync-delay", .integer(0...int32), "5",
      "there are no replicas yet"),
    .accepted(
      "repl-diskless-sync-max-replicas", .integer(0...int32), "0",
      "there are no replicas yet"),
    .accepted(
      "repl-ping-replica-period", alias: "repl-ping-slave-period", .integer(1...int32), "10",
      "there are no replicas yet"),
    .accepted(
      "repl-timeout", .integer(1...int32), "60",
      "there are no replicas yet"),
    .accepted(
      "replica-announce-ip", alias: "slave-announce-ip", .text, "",
      "there are no replicas yet"),
    .accepted(
      "replica-announce-port", alias: "slave-announce-port", .integer(0...65535), "0",
      "there are no replicas yet"),
    .accepted(
      "replica-announced", .flag, "yes",
      "there are no replicas yet"),
    .accepted(
      "replica-ignore-disk-write-errors", .flag, "no",
      "there are no replicas yet"),
    .accepted(
      "replica-ignore-maxmemory", alias: "slave-ignore-maxmemory", .flag, "yes",
      "there are no replicas yet"),
    .accepted(
      "replica-lazy-flush", alias: "slave-lazy-flush", .flag, "no",
      "there are no replicas yet"),
    .accepted(
      "replica-priority", alias: "slave-priority", .integer(0...int32), "100",
      "there are no replicas yet"),
    .accepted(
      "replica-read-only", alias: "slave-read-only", .flag, "yes",
      "there are no replicas yet"),
    .accepted(
      "replica-serve-stale-data", alias: "slave-serve-stale-data", .flag, "yes",
      "there are no replicas yet"),
    .accepted(
      "replicaof", alias: "slaveof", .special(.primaryAddress), .immutable, "",
      "there are no replicas yet"),
  ]
}
