// The lines of the command table for what changes the owner of a slot, and for what Redis's nodes do and ours don't.

extension CommandTable {
  /// What an operator's command on the cluster may do.
  private static let flags: CommandFlags = [.admin, .stale, .noAsyncLoading]

  /// CLUSTER SETSLOT and its kin, and MIGRATE.
  static let ownershipCommands: [Command] = [
    Command(
      .clusterSetSlot, "cluster|setslot", -4, flags, [], .cluster, since: "3.0.0", "O(1)",
      of: .cluster),
    Command(
      .clusterAddSlots, "cluster|addslots", -3, flags, [], .cluster, since: "3.0.0",
      "O(N) where N is the number of slots named", of: .cluster),
    Command(
      .clusterAddSlotsRange, "cluster|addslotsrange", -4, flags, [], .cluster, since: "7.0.0",
      "O(N) where N is the number of slots in the ranges", of: .cluster),
    Command(
      .clusterDelSlots, "cluster|delslots", -3, flags, [], .cluster, since: "3.0.0",
      "O(N) where N is the number of slots named", of: .cluster),
    Command(
      .clusterDelSlotsRange, "cluster|delslotsrange", -4, flags, [], .cluster, since: "7.0.0",
      "O(N) where N is the number of slots in the ranges", of: .cluster),
    Command(
      .clusterFlushSlots, "cluster|flushslots", 2, flags, [], .cluster, since: "3.0.0",
      "O(N) where N is the number of slots of the shard", of: .cluster),
    Command(
      .clusterFlushSlot, "cluster|flushslot", -3, flags, [], .cluster, since: "9.0.0",
      "O(1), the rest is freed in slices", of: .cluster),
    Command(
      .clusterBumpEpoch, "cluster|bumpepoch", 2, flags, [], tips: ["nondeterministic_output"],
      .cluster, since: "3.0.0", "O(1)", of: .cluster),
    Command(
      .clusterSetConfigEpoch, "cluster|set-config-epoch", 3, flags, [], .cluster, since: "3.0.0",
      "O(1)", of: .cluster),
    Command(
      .clusterSaveConfig, "cluster|saveconfig", 2, flags, [], view: .process, .cluster,
      since: "3.0.0", "O(N) where N is the number of slot ranges", of: .cluster),
    Command(
      .clusterMeet, "cluster|meet", -4, flags, [], .cluster, since: "3.0.0", "O(1): it is refused",
      of: .cluster),
    Command(
      .clusterForget, "cluster|forget", 3, flags, [], .cluster, since: "3.0.0",
      "O(1): it is refused", of: .cluster),
    Command(
      .clusterReplicate, "cluster|replicate", 3, flags, [], .cluster, since: "3.0.0",
      "O(1): it is refused", of: .cluster),
    Command(
      .clusterReset, "cluster|reset", -2, [.admin, .noscript, .stale], [], .cluster,
      since: "3.0.0", "O(1): it is refused", of: .cluster),
    Command(
      .clusterFailover, "cluster|failover", -2, flags, [], .cluster, since: "3.0.0",
      "O(1): it is refused", of: .cluster),
    Command(
      .clusterLinks, "cluster|links", 2, [.stale], [], tips: ["nondeterministic_output"], .cluster,
      since: "7.0.0", "O(1)", of: .cluster),
    Command(
      .clusterSlaves, "cluster|slaves", 3, [.admin, .stale], [], tips: ["nondeterministic_output"],
      .cluster, since: "3.0.0", "O(1)", of: .cluster),
    Command(
      .clusterReplicas, "cluster|replicas", 3, [.admin, .stale], [],
      tips: ["nondeterministic_output"], .cluster, since: "5.0.0", "O(1)", of: .cluster),
    Command(
      .clusterCountFailureReports, "cluster|count-failure-reports", 3, [.admin, .stale], [],
      tips: ["nondeterministic_output"], .cluster, since: "3.0.0", "O(1)", of: .cluster),
    Command(
      .migrate, "migrate", -6, [.write, .movableKeys], [.keyspace, .dangerous],
      keys: .one([.readWrite, .access, .delete], at: 3),
      specifications: [
        .one([.readWrite, .access, .delete], at: 3),
        .behind("KEYS", from: -2, [.readWrite, .access, .delete, .incomplete]),
      ], router: .byKey, tips: ["nondeterministic_output"], .generic, since: "2.6.0",
      "O(N) where N is the number of bytes of the values, made on the worker; sending them delays nobody else"
    ),
  ]
}
