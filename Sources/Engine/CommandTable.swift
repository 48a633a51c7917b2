/// The commands and subcommands that Tern knows, one line each (DESIGN §8). A new command is one line here, one case in
/// `CommandID` and `Engine.dispatch`, and one function beside its siblings in `Commands/`.
///
/// Attributes are those of `COMMAND INFO` in Redis 7.2; what is not in Redis (`view`, `router`) is DESIGN §8 and §9.
public enum CommandTable {
  /// Every command, at the index that its id says (a test holds it).
  public static let all: [Command] =
    stringCommands + genericCommands + serverCommands + connectionCommands + clusterCommands
    + moreStringCommands + bitmapCommands + keyCommands + transactionCommands
    + documentingCommands + configurationCommands + protectionCommands + memoryCommands
    + ownershipCommands + rebalancingCommands
    + trackingCommands

  private static let stringCommands: [Command] = [
    Command(
      .get, "get", 2, [.readonly, .fast], [.string], keys: .one([.readOnly, .access]),
      router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .set, "set", -3, [.write, .denyoom], [.string],
      keys: .one(
        [.readWrite, .access, .update, .variable],
        note: "RW and ACCESS due to the optional `GET` argument"), router: .byKey, .string,
      since: "1.0.0", "O(1)"),
    Command(
      .mget, "mget", -2, [.readonly, .fast], [.string], keys: .all([.readOnly, .access]),
      router: .fanOut(.inRequestOrder), tips: ["request_policy:multi_shard"], .string,
      since: "1.0.0", "O(N) where N is the number of keys"),
    Command(
      .mset, "mset", -3, [.write, .denyoom], [.string], keys: .all([.overwrite, .update], step: 2),
      router: .fanOut(.allSucceeded),
      tips: ["request_policy:multi_shard", "response_policy:all_succeeded"], .string,
      since: "1.0.1", "O(N) where N is the number of keys"),
    Command(
      .incr, "incr", 2, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .decr, "decr", 2, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .incrby, "incrby", 3, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .decrby, "decrby", 3, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .append, "append", 3, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .insert]), router: .byKey, .string, since: "2.0.0",
      "O(1) amortised for small additions"),
    Command(
      .strlen, "strlen", 2, [.readonly, .fast], [.string], keys: .one([.readOnly]), router: .byKey,
      .string, since: "2.2.0", "O(1)"),
  ]

  private static let genericCommands: [Command] = [
    Command(
      .del, "del", -2, [.write], [.keyspace], keys: .all([.remove, .delete]), router: .fanOut(.sum),
      tips: ["request_policy:multi_shard", "response_policy:agg_sum"], .generic, since: "1.0.0",
      "O(N) where N is the number of keys"),
    Command(
      .unlink, "unlink", -2, [.write, .fast], [.keyspace], keys: .all([.remove, .delete]),
      router: .fanOut(.sum), tips: ["request_policy:multi_shard", "response_policy:agg_sum"],
      .generic, since: "4.0.0", "O(1) for each key, the rest is freed in slices"),
    Command(
      .exists, "exists", -2, [.readonly, .fast], [.keyspace], keys: .all([.readOnly]),
      router: .fanOut(.sum), tips: ["request_policy:multi_shard", "response_policy:agg_sum"],
      .generic, since: "1.0.0", "O(N) where N is the number of keys"),
    Command(
      .type, "type", 2, [.readonly, .fast], [.keyspace], keys: .one([.readOnly]), router: .byKey,
      .generic, since: "1.0.0", "O(1)"),
    Command(
      .expire, "expire", -3, [.write, .fast], [.keyspace], keys: .one([.readWrite, .update]),
      router: .byKey, .generic, since: "1.0.0", "O(1)"),
    Command(
      .pexpire, "pexpire", -3, [.write, .fast], [.keyspace], keys: .one([.readWrite, .update]),
      router: .byKey, .generic, since: "2.6.0", "O(1)"),
    Command(
      .ttl, "ttl", 2, [.readonly, .fast], [.keyspace], keys: .one([.readOnly, .access]),
      router: .byKey, tips: ["nondeterministic_output"], .generic, since: "1.0.0", "O(1)"),
    Command(
      .pttl, "pttl", 2, [.readonly, .fast], [.keyspace], keys: .one([.readOnly, .access]),
      router: .byKey, tips: ["nondeterministic_output"], .generic, since: "2.6.0", "O(1)"),
    Command(
      .persist, "persist", 2, [.write, .fast], [.keyspace], keys: .one([.readWrite, .update]),
      router: .byKey, .generic, since: "2.2.0", "O(1)"),
    Command(
      .scan, "scan", -2, [.readonly], [.keyspace], router: .allShards(.special),
      tips: ["nondeterministic_output", "request_policy:special"], .generic, since: "2.8.0",
      "O(1) for a call, O(N) for a whole iteration"),
    Command(
      .keys, "keys", 2, [.readonly], [.keyspace, .dangerous], router: .allShards(.special),
      tips: ["request_policy:all_shards", "nondeterministic_output_order"], .generic,
      since: "1.0.0", "O(N) where N is the number of keys of the shard"),
    Command(
      .randomkey, "randomkey", 1, [.readonly], [.keyspace], router: .allShards(.special),
      tips: ["request_policy:all_shards", "nondeterministic_output"], .generic, since: "1.0.0",
      "O(1)"),
    Command(.object, "object", -2, [], [], .generic, since: "2.2.3", "Depends on subcommand."),
    Command(
      .objectEncoding, "object|encoding", 3, [.readonly], [.keyspace],
      keys: .one([.readOnly], at: 2), router: .byKey, tips: ["nondeterministic_output"], .generic,
      since: "2.2.3", "O(1)", of: .object),
    Command(
      .objectIdleTime, "object|idletime", 3, [.readonly], [.keyspace],
      keys: .one([.readOnly], at: 2), router: .byKey, tips: ["nondeterministic_output"], .generic,
      since: "2.2.3", "O(1)", of: .object),
    Command(
      .objectRefCount, "object|refcount", 3, [.readonly], [.keyspace],
      keys: .one([.readOnly], at: 2), router: .byKey, tips: ["nondeterministic_output"], .generic,
      since: "2.2.3", "O(1)", of: .object),
    Command(
      .objectFrequency, "object|freq", 3, [.readonly], [.keyspace],
      keys: .one([.readOnly], at: 2), router: .byKey, tips: ["nondeterministic_output"], .generic,
      since: "4.0.0", "O(1)", of: .object),
    Command(
      .objectHelp, "object|help", 2, [.loading, .stale], [.keyspace], .generic, since: "6.2.0",
      "O(1)", of: .object),
  ]

  private static let serverCommands: [Command] = [
    Command(
      .dbsize, "dbsize", 1, [.readonly, .fast], [.keyspace], router: .allShards(.sum),
      tips: ["request_policy:all_shards", "response_policy:agg_sum"], .server, since: "1.0.0",
      "O(1)"),
    Command(
      .flushall, "flushall", -1, [.write], [.keyspace, .dangerous],
      router: .allShards(.allSucceeded),
      tips: ["request_policy:all_shards", "response_policy:all_succeeded"], .server, since: "1.0.0",
      "O(S) where S is the number of slots, the rest is freed in slices"),
    Command(
      .flushdb, "flushdb", -1, [.write], [.keyspace, .dangerous], router: .allShards(.allSucceeded),
      tips: ["request_policy:all_shards", "response_policy:all_succeeded"], .server, since: "1.0.0",
      "O(S) where S is the number of slots, the rest is freed in slices"),
    Command(
      .command, "command", -1, [.loading, .stale], [.connection],
      tips: ["nondeterministic_output_order"], .server, since: "2.8.13",
      "O(N) where N is the number of commands"),
    Command(
      .commandCount, "command|count", 2, [.loading, .stale], [.connection], .server,
      since: "2.8.13", "O(1)", of: .command),
    Command(
      .commandInfo, "command|info", -2, [.loading, .stale], [.connection],
      tips: ["nondeterministic_output_order"], .server, since: "2.8.13",
      "O(N) where N is the number of commands asked for", of: .command),
    Command(
      .commandList, "command|list", -2, [.loading, .stale], [.connection],
      tips: ["nondeterministic_output_order"], .server, since: "7.0.0",
      "O(N) where N is the number of commands", of: .command),
    Command(
      .commandGetKeys, "command|getkeys", -4, [.loading, .stale], [.connection], .server,
      since: "2.8.13", "O(N) where N is the number of arguments", of: .command),
    Command(
      .commandHelp, "command|help", 2, [.loading, .stale], [.connection], .server, since: "5.0.0",
      "O(1)", of: .command),
    Command(.config, "config", -2, [], [], .server, since: "2.0.0", "Depends on subcommand."),
    Command(
      .configGet, "config|get", -3, [.admin, .noscript, .loading, .stale], [], view: .process,
      .server, since: "2.0.0", "O(N) where N is the number of settings", of: .config),
    Command(
      .configSet, "config|set", -4, [.admin, .noscript, .loading, .stale], [], view: .process,
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"], .server, since: "2.0.0",
      "O(N) where N is the number of settings given", of: .config),
    Command(
      .configResetStat, "config|resetstat", 2, [.admin, .noscript, .loading, .stale], [],
      view: .process, .server, since: "2.0.0", "O(1)", of: .config),
    Command(
      .configHelp, "config|help", 2, [.loading, .stale], [], view: .process, .server,
      since: "5.0.0", "O(1)", of: .config),
    Command(
      .info, "info", -1, [.loading, .stale], [.dangerous], router: .allShards(.special),
      tips: ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
      .server, since: "1.0.0", "O(1)"),
    Command(
      .time, "time", 1, [.loading, .stale, .fast], [], tips: ["nondeterministic_output"], .server,
      since: "2.6.0", "O(1)"),
    Command(
      .shutdown, "shutdown", -1, [.admin, .noscript, .loading, .stale, .noMulti, .allowBusy], [],
      view: .process, .server, since: "1.0.0", "O(1)"),
  ]

  private static let connectionCommands: [Command] = [
    Command(
      .ping, "ping", -1, [.fast], [.connection],
      tips: ["request_policy:all_shards", "response_policy:all_succeeded"], .connection,
      since: "1.0.0", "O(1)"),
    Command(
      .echo, "echo", 2, [.loading, .stale, .fast], [.connection], .connection, since: "1.0.0",
      "O(1)"),
    Command(
      .auth, "auth", -2, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], [.connection],
      .connection, since: "1.0.0", "O(1)"),
    Command(
      .hello, "hello", -1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], [.connection],
      .connection, since: "6.0.0", "O(1)"),
    Command(
      .select, "select", 2, [.loading, .stale, .fast], [.connection], .connection, since: "1.0.0",
      "O(1)"),
    Command(
      .quit, "quit", -1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], [.connection],
      .connection, since: "1.0.0", "O(1)"),
    Command(
      .reset, "reset", 1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], [.connection],
      .connection, since: "6.2.0", "O(1)"),
    Command(.client, "client", -2, [], [], .connection, since: "2.4.0", "Depends on subcommand."),
    Command(
      .clientID, "client|id", 2, [.noscript, .loading, .stale], [.connection], .connection,
      since: "5.0.0", "O(1)", of: .client),
    Command(
      .clientGetName, "client|getname", 2, [.noscript, .loading, .stale], [.connection],
      .connection, since: "2.6.9", "O(1)", of: .client),
    Command(
      .clientSetName, "client|setname", 3, [.noscript, .loading, .stale], [.connection],
      .connection, since: "2.6.9", "O(1)", of: .client),
    Command(
      .clientSetInfo, "client|setinfo", 4, [.noscript, .loading, .stale], [.connection],
      tips: ["request_policy:all_nodes", "response_policy:all_succeeded"], .connection,
      since: "7.2.0", "O(1)", of: .client),
    Command(
      .clientInfo, "client|info", 2, [.noscript, .loading, .stale], [.connection],
      tips: ["nondeterministic_output"], .connection, since: "6.2.0", "O(1)", of: .client),
    Command(
      .clientHelp, "client|help", 2, [.loading, .stale], [.connection], .connection, since: "5.0.0",
      "O(1)", of: .client),
  ]

  private static let clusterCommands: [Command] = [
    Command(.cluster, "cluster", -2, [], [], .cluster, since: "3.0.0", "Depends on subcommand."),
    Command(
      .clusterSlots, "cluster|slots", 2, [.stale], [], view: .process,
      tips: ["nondeterministic_output"], .cluster, since: "3.0.0",
      "O(N) where N is the number of slot ranges", of: .cluster),
    Command(
      .clusterShards, "cluster|shards", 2, [.stale], [], view: .process,
      tips: ["nondeterministic_output"], .cluster, since: "7.0.0",
      "O(N) where N is the number of shards", of: .cluster),
    Command(
      .clusterNodes, "cluster|nodes", 2, [.stale], [], view: .process,
      tips: ["nondeterministic_output"], .cluster, since: "3.0.0",
      "O(N) where N is the number of shards", of: .cluster),
    Command(
      .clusterInfo, "cluster|info", 2, [.stale], [], view: .process,
      tips: ["nondeterministic_output"], .cluster, since: "3.0.0", "O(1)", of: .cluster),
    Command(
      .clusterMyID, "cluster|myid", 2, [.stale], [], .cluster, since: "3.0.0", "O(1)", of: .cluster),
    Command(
      .clusterMyShardID, "cluster|myshardid", 2, [.stale], [], tips: ["nondeterministic_output"],
      .cluster, since: "7.2.0", "O(1)", of: .cluster),
    Command(
      .clusterKeySlot, "cluster|keyslot", 3, [.stale], [], .cluster, since: "3.0.0",
      "O(N) where N is the number of bytes of the key", of: .cluster),
    Command(
      .clusterCountKeysInSlot, "cluster|countkeysinslot", 3, [.stale], [], .cluster, since: "3.0.0",
      "O(1)", of: .cluster),
    Command(
      .clusterGetKeysInSlot, "cluster|getkeysinslot", 4, [.stale], [],
      tips: ["nondeterministic_output"], .cluster, since: "3.0.0",
      "O(N) where N is the number of keys asked for", of: .cluster),
    Command(
      .clusterHelp, "cluster|help", 2, [.loading, .stale], [], view: .process, .cluster,
      since: "5.0.0", "O(1)", of: .cluster),
    Command(
      .readonly, "readonly", 1, [.loading, .stale, .fast], [.connection], .cluster, since: "3.0.0",
      "O(1)"),
    Command(
      .readwrite, "readwrite", 1, [.loading, .stale, .fast], [.connection], .cluster,
      since: "3.0.0", "O(1)"),
    Command(.asking, "asking", 1, [.fast], [.connection], .cluster, since: "3.0.0", "O(1)"),
  ]

  private static let moreStringCommands: [Command] = [
    Command(
      .setnx, "setnx", 3, [.write, .denyoom, .fast], [.string], keys: .one([.overwrite, .insert]),
      router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .setex, "setex", 4, [.write, .denyoom], [.string], keys: .one([.overwrite, .update]),
      router: .byKey, .string, since: "2.0.0", "O(1)"),
    Command(
      .psetex, "psetex", 4, [.write, .denyoom], [.string], keys: .one([.overwrite, .update]),
      router: .byKey, .string, since: "2.6.0", "O(1)"),
    Command(
      .getset, "getset", 3, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .string, since: "1.0.0", "O(1)"),
    Command(
      .getdel, "getdel", 2, [.write, .fast], [.string],
      keys: .one([.readWrite, .access, .delete]), router: .byKey, .string, since: "6.2.0", "O(1)"),
    Command(
      .getex, "getex", -2, [.write, .fast], [.string],
      keys: .one(
        [.readWrite, .access, .update], note: "RW and UPDATE because it changes the TTL"),
      router: .byKey, .string, since: "6.2.0", "O(1)"),
    Command(
      .msetnx, "msetnx", -3, [.write, .denyoom], [.string],
      keys: .all([.overwrite, .insert], step: 2), router: .fanOut(.special),
      tips: ["request_policy:multi_shard", "response_policy:agg_min"], .string, since: "1.0.1",
      "O(N) where N is the number of keys"),
    Command(
      .getrange, "getrange", 4, [.readonly], [.string], keys: .one([.readOnly, .access]),
      router: .byKey, .string, since: "2.4.0", "O(N) where N is the length of the reply"),
    Command(
      .setrange, "setrange", 4, [.write, .denyoom], [.string], keys: .one([.readWrite, .update]),
      router: .byKey, .string, since: "2.2.0",
      "O(M) where M is the length of the value, and the string's length where it has to move"),
    Command(
      .substr, "substr", 4, [.readonly], [.string], keys: .one([.readOnly, .access]),
      router: .byKey, .string, since: "1.0.0", "O(N) where N is the length of the reply"),
    Command(
      .incrbyfloat, "incrbyfloat", 3, [.write, .denyoom, .fast], [.string],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .string, since: "2.6.0", "O(1)"),
    Command(
      .lcs, "lcs", -3, [.readonly], [.string],
      keys: KeySpecification(first: 1, last: 2, step: 1, use: [.readOnly, .access]),
      router: .byKey, .string, since: "7.0.0",
      "O(N*M) where N and M are the lengths of the strings, 64 of them at a time"),
  ]

  private static let bitmapCommands: [Command] = [
    Command(
      .setbit, "setbit", 4, [.write, .denyoom], [.bitmap],
      keys: .one([.readWrite, .access, .update]), router: .byKey, .bitmap, since: "2.2.0", "O(1)"),
    Command(
      .getbit, "getbit", 3, [.readonly, .fast], [.bitmap], keys: .one([.readOnly, .access]),
      router: .byKey, .bitmap, since: "2.2.0", "O(1)"),
    Command(
      .bitcount, "bitcount", -2, [.readonly], [.bitmap], keys: .one([.readOnly, .access]),
      router: .byKey, .bitmap, since: "2.6.0", "O(N) where N is the length of the range"),
    Command(
      .bitpos, "bitpos", -3, [.readonly], [.bitmap], keys: .one([.readOnly, .access]),
      router: .byKey, .bitmap, since: "2.8.7", "O(N) where N is the length of the range"),
    Command(
      .bitop, "bitop", -4, [.write, .denyoom], [.bitmap],
      keys: .all([], at: 2),
      specifications: [
        .one([.overwrite, .update], at: 2), .all([.readOnly, .access], at: 3),
      ], router: .byKey,
      .bitmap, since: "2.6.0", "O(N) where N is the length of all strings together"),
    Command(
      .bitfield, "bitfield", -2, [.write, .denyoom], [.bitmap],
      keys: .one(
        [.readWrite, .access, .update, .variable],
        note: "This command allows both access and modification of the key"), router: .byKey,
      .bitmap, since: "3.2.0", "O(1) for each subcommand"),
    Command(
      .bitfieldRO, "bitfield_ro", -2, [.readonly, .fast], [.bitmap],
      keys: .one([.readOnly, .access]), router: .byKey, .bitmap, since: "6.0.0",
      "O(1) for each subcommand"),
  ]

  // The rest of the generic commands, behind the others because ids are indices.
  private static let keyCommands: [Command] = [
    Command(
      .expireat, "expireat", -3, [.write, .fast], [.keyspace], keys: .one([.readWrite, .update]),
      router: .byKey, .generic, since: "1.2.0", "O(1)"),
    Command(
      .pexpireat, "pexpireat", -3, [.write, .fast], [.keyspace], keys: .one([.readWrite, .update]),
      router: .byKey, .generic, since: "2.6.0", "O(1)"),
    Command(
      .expiretime, "expiretime", 2, [.readonly, .fast], [.keyspace],
      keys: .one([.readOnly, .access]), router: .byKey, .generic, since: "7.0.0", "O(1)"),
    Command(
      .pexpiretime, "pexpiretime", 2, [.readonly, .fast], [.keyspace],
      keys: .one([.readOnly, .access]), router: .byKey, .generic, since: "7.0.0", "O(1)"),
    Command(
      .copy, "copy", -3, [.write, .denyoom], [.keyspace], keys: .two,
      specifications: [.one([.readOnly, .access]), .one([.overwrite, .update], at: 2)],
      router: .byKey, .generic, since: "6.2.0", "O(N) where N is the number of bytes of the value"),
    Command(
      .rename, "rename", 3, [.write], [.keyspace], keys: .two,
      specifications: [.one([.readWrite, .access, .delete]), .one([.overwrite, .update], at: 2)],
      router: .byKey, .generic, since: "1.0.0", "O(1), an old value is freed in slices"),
    Command(
      .renamenx, "renamenx", 3, [.write, .fast], [.keyspace], keys: .two,
      specifications: [.one([.readWrite, .access, .delete]), .one([.overwrite, .insert], at: 2)],
      router: .byKey, .generic, since: "1.0.0", "O(1)"),
    Command(
      .move, "move", 3, [.write, .fast], [.keyspace], keys: .one([.readWrite, .access, .update]),
      router: .byKey, .generic, since: "1.0.0", "O(1)"),
    Command(
      .touch, "touch", -2, [.readonly, .fast], [.keyspace], keys: .all([.readOnly]),
      router: .fanOut(.sum), tips: ["request_policy:multi_shard", "response_policy:agg_sum"],
      .generic, since: "3.2.1", "O(N) where N is the number of keys"),
    Command(
      .dump, "dump", 2, [.readonly], [.keyspace], keys: .one([.readOnly, .access]),
      router: .byKey, tips: ["nondeterministic_output"], .generic, since: "2.6.0",
      "O(N) where N is the number of bytes of the value"),
    Command(
      .restore, "restore", -4, [.write, .denyoom], [.keyspace, .dangerous],
      keys: .one([.overwrite, .update]), router: .byKey, .generic, since: "2.6.0",
      "O(N) where N is the number of bytes of the value"),
    Command(
      .restoreAsking, "restore-asking", -4, [.write, .denyoom, .asking], [.keyspace, .dangerous],
      keys: .one([.overwrite, .update]), router: .byKey, .server, since: "3.0.0",
      "O(N) where N is the number of bytes of the value"),
    Command(
      .sort, "sort", -2, [.write, .denyoom, .movableKeys],
      [.set, .sortedSet, .list, .dangerous], keys: .one([.readOnly, .access]),
      specifications: [
        .one([.readOnly, .access]), .sortPatterns,
        .unknown(
          [.overwrite, .update],
          note:
            "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"
        ),
      ], router: .byKey, .generic, since: "1.0.0",
      "O(N+M*log(M)) where N is the number of elements to sort and M of those returned"),
    Command(
      .sortReadOnly, "sort_ro", -2, [.readonly, .movableKeys],
      [.set, .sortedSet, .list, .dangerous], keys: .one([.readOnly, .access]),
      specifications: [.one([.readOnly, .access]), .sortPatterns], router: .byKey, .generic,
      since: "7.0.0",
      "O(N+M*log(M)) where N is the number of elements to sort and M of those returned"),
    Command(
      .wait, "wait", 3, [.noscript], [.connection],
      tips: ["request_policy:all_shards", "response_policy:agg_min"], .generic, since: "3.0.0",
      "O(1)"),
    Command(
      .waitaof, "waitaof", 4, [.noscript], [.connection],
      tips: ["request_policy:all_shards", "response_policy:agg_min"], .generic, since: "7.2.0",
      "O(1)"),
  ]

  private static let transactionCommands: [Command] = [
    Command(
      .multi, "multi", 1, [.noscript, .loading, .stale, .fast, .allowBusy], [.transaction],
      .transactions, since: "1.2.0", "O(1)"),
    Command(
      .exec, "exec", 1, [.noscript, .loading, .stale, .skipSlowLog], [.transaction],
      .transactions, since: "1.2.0", "Depends on commands in the transaction"),
    Command(
      .discard, "discard", 1, [.noscript, .loading, .stale, .fast, .allowBusy], [.transaction],
      .transactions, since: "2.0.0", "O(N), when N is the number of queued commands"),
    Command(
      .watch, "watch", -2, [.noscript, .loading, .stale, .fast, .allowBusy], [.transaction],
      keys: .all([.readOnly]), router: .byKey, .transactions, since: "2.2.0",
      "O(1) for every key."),
    Command(
      .unwatch, "unwatch", 1, [.noscript, .loading, .stale, .fast, .allowBusy], [.transaction],
      .transactions, since: "2.2.0", "O(1)"),
  ]

  // What the server says of itself, beside `serverCommands`, and what is there for tests.
  private static let documentingCommands: [Command] = [
    Command(
      .commandDocs, "command|docs", -2, [.loading, .stale], [.connection],
      tips: ["nondeterministic_output_order"], .server, since: "7.0.0",
      "O(N) where N is the number of commands asked for", of: .command),
    Command(
      .commandGetKeysAndFlags, "command|getkeysandflags", -4, [.loading, .stale], [.connection],
      .server, since: "7.0.0", "O(N) where N is the number of arguments", of: .command),
    Command(
      .lolwut, "lolwut", -1, [.readonly, .fast], [], .server, since: "5.0.0",
      "O(N) where N is the number of squares drawn"),
    Command(
      .swapdb, "swapdb", 3, [.write, .fast], [.keyspace, .dangerous], .server, since: "4.0.0",
      "O(1): it is refused"),
    Command(
      .debug, "debug", -2, [.admin, .noscript, .loading, .stale], [], .server, since: "1.0.0",
      "Depends on subcommand."),
  ]

  private static let configurationCommands: [Command] = [
    Command(
      .configRewrite, "config|rewrite", 2, [.admin, .noscript, .loading, .stale], [],
      view: .process, .server, since: "2.8.0", "O(1)", of: .config)
  ]
}
