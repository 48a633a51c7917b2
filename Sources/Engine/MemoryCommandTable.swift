// The lines of the command table for MEMORY.

extension CommandTable {
  /// MEMORY and its subcommands.
  static let memoryCommands: [Command] = [
    Command(.memory, "memory", -2, [], [], .server, since: "4.0.0", "Depends on subcommand."),
    Command(
      .memoryUsage, "memory|usage", -3, [.readonly], [], keys: .one([.readOnly], at: 2),
      router: .byKey, .server, since: "4.0.0", "O(1)", of: .memory),
    Command(
      .memoryStats, "memory|stats", 2, [], [], router: .allShards(.special),
      tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
      .server, since: "4.0.0", "O(slots)", of: .memory),
    Command(
      .memoryDoctor, "memory|doctor", 2, [], [], router: .allShards(.special),
      tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
      .server, since: "4.0.0", "O(1)", of: .memory),
    Command(
      .memoryPurge, "memory|purge", 2, [], [], view: .process,
      tips: ["request_policy:all_shards", "response_policy:all_succeeded"], .server,
      since: "4.0.0", "Depends on how much memory is allocated, could be slow", of: .memory),
    Command(
      .memoryMallocStats, "memory|malloc-stats", 2, [], [], view: .process,
      tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
      .server, since: "4.0.0", "Depends on how much memory is allocated, could be slow",
      of: .memory),
    Command(
      .memoryHelp, "memory|help", 2, [.loading, .stale], [], .server, since: "4.0.0", "O(1)",
      of: .memory),
  ]
}
