// The table of settings, and how CONFIG REWRITE changes a file's text.
import Engine
import Testing

@Suite struct ConfigurationTests {
  /// Every name that redis-server 7.0.15 answers to CONFIG GET *.
  static let names = """
    acl-pubsub-default aclfile acllog-max-len active-defrag-cycle-max active-defrag-cycle-min
    active-defrag-ignore-bytes active-defrag-max-scan-fields active-defrag-threshold-lower
    active-defrag-threshold-upper active-expire-effort activedefrag activerehashing
    always-show-logo aof-disable-auto-gc aof-load-truncated aof-rewrite-incremental-fsync
    aof-timestamp-enabled aof-use-rdb-preamble aof_rewrite_cpulist appenddirname appendfilename
    appendfsync appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage bgsave_cpulist
    bind bind-source-addr bio_cpulist busy-reply-threshold client-output-buffer-limit
    client-query-buffer-limit cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down
    cluster-allow-replica-migration cluster-announce-bus-port cluster-announce-hostname
    cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-config-file
    cluster-enabled cluster-link-sendbuf-limit cluster-migration-barrier cluster-node-timeout
    cluster-port cluster-preferred-endpoint-type cluster-replica-no-failover
    cluster-replica-validity-factor cluster-require-full-coverage cluster-slave-no-failover
    cluster-slave-validity-factor crash-log-enabled crash-memcheck-enabled daemonize databases
    dbfilename dir disable-thp dynamic-hz enable-debug-command enable-module-command
    enable-protected-configs hash-max-listpack-entries hash-max-listpack-value
    hash-max-ziplist-entries hash-max-ziplist-value hll-sparse-max-bytes hz ignore-warnings
    io-threads io-threads-do-reads jemalloc-bg-thread latency-monitor-threshold latency-tracking
    latency-tracking-info-percentiles lazyfree-lazy-eviction lazyfree-lazy-expire
    lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time
    lfu-log-factor list-compress-depth list-max-listpack-size list-max-ziplist-size logfile
    loglevel lua-time-limit masterauth masteruser maxclients maxmemory maxmemory-clients
    maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples min-replicas-max-lag
    min-replicas-to-write min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite
    notify-keyspace-events oom-score-adj oom-score-adj-values pidfile port proc-title-template
    propagation-error-behavior protected-mode proto-max-bulk-len rdb-del-sync-files
    rdb-save-incremental-fsync rdbchecksum rdbcompression repl-backlog-size repl-backlog-ttl
    repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay
    repl-diskless-sync-max-replicas repl-ping-replica-period repl-ping-slave-period repl-timeout
    replica-announce-ip replica-announce-port replica-announced replica-ignore-disk-write-errors
    replica-ignore-maxmemory replica-lazy-flush replica-priority replica-read-only
    replica-serve-stale-data replicaof requirepass sanitize-dump-payload save server_cpulist
    set-max-intset-entries set-proc-title shutdown-on-sigint shutdown-on-sigterm shutdown-timeout
    slave-announce-ip slave-announce-port slave-ignore-maxmemory slave-lazy-flush slave-priority
    slave-read-only slave-serve-stale-data slaveof slowlog-log-slower-than slowlog-max-len
    socket-mark-id stop-writes-on-bgsave-error stream-node-max-bytes stream-node-max-entries
    supervised syslog-enabled syslog-facility syslog-ident tcp-backlog tcp-keepalive timeout
    tls-auth-clients tls-ca-cert-dir tls-ca-cert-file tls-cert-file tls-ciphers tls-ciphersuites
    tls-client-cert-file tls-client-key-file tls-client-key-file-pass tls-cluster
    tls-dh-params-file tls-key-file tls-key-file-pass tls-port tls-prefer-server-ciphers
    tls-protocols tls-replication tls-session-cache-size tls-session-cache-timeout
    tls-session-caching tracking-table-max-keys unixsocket unixsocketperm
    zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries
    zset-max-ziplist-value
    """.split { $0 == " " || $0 == "\n" }.map(String.init)

  @Test func everyNameOfRedisIsThere() {
    #expect(Self.names.count == 192)
    let known = Set(Settings.names)
    #expect(Self.names.filter { !known.contains($0) } == [])
    #expect(
      known.subtracting(Self.names) == [
        "shards", "workers", "io", "cpus", "client-output-pause", "cluster-drain-timeout",
        "cluster-migration-bytes-per-second", "cluster-migration-cpu-percent", "auto-rebalance",
        "router-atomic", "router-ordered", "router-presents-as",
        "router-tryagain-timeout",
      ])
    #expect(known.count == Settings.names.count)
  }

  /// A standard value is one that its setting takes, and takes as it stands.
  @Test func standardsAreCanonical() throws {
    for name in Settings.names {
      var settings = Settings()
      let standard = try #require(settings.value(of: name))
      do throws(SettingError) {
        try settings.set(name, to: standard)
        #expect(settings == Settings(), "\(name)")
      } catch {
        // Some texts are empty until they are set.
        #expect(standard == "", "\(name): \(error.reason)")
      }
    }
  }

  @Test(arguments: [
    ("hz", "0", "1"), ("hz", "2147483647", "500"), ("maxmemory", "1KB", "1024"),
    ("maxmemory", "3m", "3000000"), ("maxmemory", "k", "0"), ("maxmemory", "", "0"),
    ("maxmemory-clients", "0%", "0"), ("maxmemory-clients", "100%", "100%"),
    ("appendfsync", "ALWAYS", "always"), ("maxmemory-policy", "Allkeys-LRU", "allkeys-lru"),
    ("notify-keyspace-events", "KEg$lshzxetd", "AKE"), ("notify-keyspace-events", "Kx", "xK"),
    ("notify-keyspace-events", "KEAmn", "AKEm"), ("latency-tracking-info-percentiles", "1e1", "10"),
    ("latency-tracking-info-percentiles", "50.123456789", "50.123457"),
    ("shutdown-on-sigint", "now save", "save now"), ("shutdown-on-sigint", "default", "default"),
    ("save", "01 1", "1 1"), ("unixsocketperm", "755", "755"), ("loglevel", "DEBUG", "debug"),
    (
      "client-output-buffer-limit", "replica 1kb 2 3",
      "normal 0 0 0 slave 1024 2 3 pubsub 33554432 8388608 60"
    ),
  ]) func taken(name: String, value: String, shown: String) throws {
    var settings = Settings()
    try settings.set(name, to: value)
    #expect(settings.value(of: name) == shown)
  }

  @Test(arguments: [
    ("timeout", "01", "argument couldn't be parsed into an integer"),
    ("timeout", "2147483648", "argument must be between 0 and 2147483647 inclusive"),
    ("maxmemory", "1 kb", "argument must be a memory value"),
    ("maxmemory", "99999999999999999gb", "argument must be a memory value"),
    (
      "proto-max-bulk-len", "1",
      "argument must be between 1048576 and 9223372036854775807 inclusive"
    ),
    ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
    ("maxmemory-clients", "5.5%", "argument must be a memory or percent value"),
    ("activedefrag", "1", "argument must be 'yes' or 'no'"),
    ("unixsocketperm", "9", "argument couldn't be parsed as an octal number"),
    ("unixsocketperm", "1000", "argument must be between 0 and 777 inclusive"),
    ("save", "3600", "Invalid save parameters"),
    ("tls-port", "1", "Unable to update TLS configuration. Check server logs."),
    ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
    ("oom-score-adj-values", "1 2", "wrong number of arguments"),
    ("nosuch", "1", "Bad directive or wrong number of arguments"),
  ]) func refused(name: String, value: String, reason: String) {
    var settings = Settings()
    do throws(SettingError) {
      try settings.set(name, to: value)
      Issue.record("\(name) \(value) was taken")
    } catch { #expect(error.reason == reason) }
    #expect(settings == Settings())
  }

  @Test func whatHasNoEffectIsKnown() throws {
    var settings = Settings()
    #expect(settings.withoutEffect.isEmpty)
    try settings.set("appendonly", to: "yes")
    try settings.set("timeout", to: "5")
    #expect(settings.withoutEffect.map(\.name) == ["appendonly"])
    #expect(settings.withoutEffect.first?.why == "there is no append-only file yet")
    try settings.set("appendonly", to: "no")
    #expect(settings.withoutEffect.isEmpty)
  }

  /// As redis-server 7.0.15 rewrites it, but that an empty text stays where Redis takes the line away.
  @Test func rewriting() throws {
    var settings = Settings()
    for (name, value) in [
      ("maxmemory", "300mb"), ("save", "1 2"), ("maxmemory-clients", "5%"), ("timeout", "33"),
      ("client-output-buffer-limit", "normal 1mb 0 0"), ("slave-priority", "50"),
    ] { try settings.set(name, to: value) }
    let old = """
      # my file
      save 900 1
      save 300 10



      maxmemory 100mb
      MAXMEMORY 200mb
         hz 20
      rename-command FLUSHDB ""
      # end
      include /etc/more*.conf
      nosuch 1
      logfile "open
      slave-priority 40
      client-output-buffer-limit pubsub 1 2 3
      client-output-buffer-limit normal 1 2 3

      """
    let new = settings.rewriting(old, defaults: Settings())
    #expect(
      new == """
        # my file
        save 1 2

        maxmemory 300mb

        hz 10
        rename-command FLUSHDB ""
        # end
        include /etc/more*.conf
        # ??? nosuch 1
        # ??? logfile "open
        replica-priority 50
        client-output-buffer-limit pubsub 32mb 8mb 60
        client-output-buffer-limit normal 1mb 0 0

        # Generated by CONFIG REWRITE
        timeout 33
        maxmemory-clients 5%

        """)
    #expect(settings.rewriting(new, defaults: Settings()) == new)
    #expect(Settings().rewriting("", defaults: Settings()) == "")
  }

  @Test(arguments: [
    ("a", ["a"]), ("", [""]), ("a b", ["a b"]),
    ("\"\\\n\r\t\u{7}\u{8}\u{1}é", ["\"\\\n\r\t\u{7}\u{8}\u{1}é"]),
  ]) func quotedTextsReadAsThemselves(text: String, words: [String]) {
    let line = ConfigurationLine("x " + ConfigurationLine.quoted(text))
    #expect(line == .directive(name: "x", words: words))
  }

  @Test(arguments: [
    ("", ConfigurationLine.blank), ("  # x", .blank), ("a 'b", .unbalanced),
    ("a \"b\"c", .unbalanced), ("a b\"c d\"", .directive(name: "a", words: ["bc d"])),
    ("a 'it\\'s' \"\\x41\\q\"", .directive(name: "a", words: ["it's", "Aq"])),
    ("a \"\\x4\"", .directive(name: "a", words: ["x4"])), ("a \"\\", .unbalanced),
    ("\ta\t b ", .directive(name: "a", words: ["b"])),
    ("a # b", .directive(name: "a", words: ["#", "b"])),
  ]) func lines(text: String, line: ConfigurationLine) {
    #expect(ConfigurationLine(text) == line)
  }
}
