/// Commands about the clients of a shard, what they may do, and what was slow.
extension CommandTable {
  static let protectionCommands: [Command] = [
    Command(
      .clientList, "client|list", -2, [.admin, .noscript, .loading, .stale], [.connection],
      tips: ["nondeterministic_output"], .connection, since: "2.4.0",
      "O(N) where N is the number of client connections", of: .client),
    Command(
      .clientKill, "client|kill", -3, [.admin, .noscript, .loading, .stale], [.connection],
      .connection, since: "2.4.0", "O(N) where N is the number of client connections", of: .client),
    Command(
      .clientPause, "client|pause", -3, [.admin, .noscript, .loading, .stale], [.connection],
      .connection, since: "2.9.50", "O(N) where N is the number of client connections", of: .client),
    Command(
      .clientUnpause, "client|unpause", 2, [.admin, .noscript, .loading, .stale], [.connection],
      .connection, since: "6.2.0", "O(N) where N is the number of client connections", of: .client),
    Command(
      .clientUnblock, "client|unblock", -3, [.admin, .noscript, .loading, .stale], [.connection],
      .connection, since: "5.0.0", "O(N) where N is the number of waiting clients", of: .client),
    Command(
      .clientReply, "client|reply", 3, [.noscript, .loading, .stale], [.connection], .connection,
      since: "3.2.0", "O(1)", of: .client),
    Command(
      .clientNoEvict, "client|no-evict", 3, [.admin, .noscript, .loading, .stale], [.connection],
      .connection, since: "7.0.0", "O(1)", of: .client),
    Command(
      .clientNoTouch, "client|no-touch", 3, [.noscript, .loading, .stale], [.connection],
      .connection, since: "7.2.0", "O(1)", of: .client),
    Command(
      .clientGetRedirection, "client|getredir", 2, [.noscript, .loading, .stale], [.connection],
      .connection, since: "6.0.0", "O(1)", of: .client),
    Command(
      .clientTrackingInfo, "client|trackinginfo", 2, [.noscript, .loading, .stale], [.connection],
      .connection, since: "6.2.0", "O(1)", of: .client),
    Command(
      .slowLog, "slowlog", -2, [], [], .server, since: "2.2.12", "Depends on subcommand."),
    Command(
      .slowLogGet, "slowlog|get", -2, [.admin, .loading, .stale], [],
      tips: ["request_policy:all_nodes", "nondeterministic_output"], .server, since: "2.2.12",
      "O(N) where N is the number of entries returned", of: .slowLog),
    Command(
      .slowLogLength, "slowlog|len", 2, [.admin, .loading, .stale], [],
      tips: ["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
      .server, since: "2.2.12", "O(1)", of: .slowLog),
    Command(
      .slowLogReset, "slowlog|reset", 2, [.admin, .loading, .stale], [],
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"], .server, since: "2.2.12",
      "O(N) where N is the number of entries", of: .slowLog),
    Command(
      .slowLogHelp, "slowlog|help", 2, [.loading, .stale], [], .server, since: "6.2.0", "O(1)",
      of: .slowLog),
    Command(
      .latency, "latency", -2, [], [], .server, since: "2.8.13", "Depends on subcommand."),
    Command(
      .latencyLatest, "latency|latest", 2, [.admin, .noscript, .loading, .stale], [],
      tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
      .server, since: "2.8.13", "O(1)", of: .latency),
    Command(
      .latencyHistory, "latency|history", 3, [.admin, .noscript, .loading, .stale], [],
      tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
      .server, since: "2.8.13", "O(1)", of: .latency),
    Command(
      .latencyReset, "latency|reset", -2, [.admin, .noscript, .loading, .stale], [],
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"], .server, since: "2.8.13",
      "O(1)", of: .latency),
    Command(
      .latencyGraph, "latency|graph", 3, [.admin, .noscript, .loading, .stale], [],
      tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
      .server, since: "2.8.13", "O(1)", of: .latency),
    Command(
      .latencyDoctor, "latency|doctor", 2, [.admin, .noscript, .loading, .stale], [],
      tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
      .server, since: "2.8.13", "O(1)", of: .latency),
    Command(
      .latencyHistogram, "latency|histogram", -2, [.admin, .noscript, .loading, .stale], [],
      tips: ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
      .server, since: "7.0.0", "O(N) where N is the number of commands", of: .latency),
    Command(
      .latencyHelp, "latency|help", 2, [.loading, .stale], [], .server, since: "2.8.13", "O(1)",
      of: .latency),
    Command(
      .monitor, "monitor", 1, [.admin, .noscript, .loading, .stale], [], .server, since: "1.0.0",
      "O(1)"),
  ]
}
