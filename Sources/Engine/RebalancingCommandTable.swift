// The lines of the command table for what moves whole slots and shards: Valkey's commands, and Tern's own.

extension CommandTable {
  private static let flags: CommandFlags = [.admin, .stale, .noAsyncLoading]

  /// CLUSTER MIGRATESLOTS and its kin, SLOT-STATS, RESIZE, REBALANCE, EVENTS.
  static let rebalancingCommands: [Command] = [
    Command(
      .clusterMigrateSlots, "cluster|migrateslots", -4, flags, [], .cluster, since: "9.0.0",
      "O(N) where N is the number of slots in the ranges", of: .cluster),
    Command(
      .clusterGetSlotMigrations, "cluster|getslotmigrations", 2, flags, [],
      view: .process, tips: ["nondeterministic_output"], .cluster, since: "9.0.0",
      "O(N) where N is the number of migrations that are remembered", of: .cluster),
    Command(
      .clusterCancelSlotMigrations, "cluster|cancelslotmigrations", 2, flags, [], .cluster,
      since: "9.0.0", "O(N) where N is the number of migrations under way", of: .cluster),
    Command(
      .clusterSlotStats, "cluster|slot-stats", -4, [.stale, .noAsyncLoading], [],
      tips: ["nondeterministic_output", "request_policy:all_shards"], .cluster, since: "8.0.0",
      "O(N) where N is the number of slots, with ORDERBY O(N*log(N))", of: .cluster),
    Command(
      .clusterResize, "cluster|resize", -4, flags, [], view: .process, .cluster, since: "9.0.0",
      "O(1): the work is done between commands", of: .cluster),
    Command(
      .clusterRebalance, "cluster|rebalance", -2, flags, [], view: .process, .cluster,
      since: "9.0.0", "O(1): the work is done between commands", of: .cluster),
    Command(
      .clusterEvents, "cluster|events", -2, flags, [], view: .process,
      tips: ["nondeterministic_output"], .cluster, since: "9.0.0",
      "O(N) where N is the number of events",
      of: .cluster),
  ]
}
