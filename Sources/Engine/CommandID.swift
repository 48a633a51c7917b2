/// The commands, as the numbers that dispatch and statistics use: the index of a command in `CommandTable.all`.
public enum CommandID: UInt8, CaseIterable, Sendable {
  case get, set, mget, mset, incr, decr, incrby, decrby, append, strlen
  case del, unlink, exists, type, expire, pexpire, ttl, pttl, persist, scan, keys, randomkey,
    object,
    objectEncoding, objectIdleTime, objectRefCount, objectFrequency, objectHelp
  case dbsize, flushall, flushdb, command, commandCount, commandInfo, commandList, commandGetKeys,
    commandHelp, config, configGet, configSet, configResetStat, configHelp, info, time, shutdown
  case ping, echo, auth, hello, select, quit, reset, client, clientID, clientGetName, clientSetName,
    clientSetInfo, clientInfo, clientHelp
  case cluster, clusterSlots, clusterShards, clusterNodes, clusterInfo, clusterMyID,
    clusterMyShardID, clusterKeySlot, clusterCountKeysInSlot, clusterGetKeysInSlot, clusterHelp,
    readonly, readwrite, asking
  case setnx, setex, psetex, getset, getdel, getex, msetnx, getrange, setrange, substr, incrbyfloat,
    lcs
  case setbit, getbit, bitcount, bitpos, bitop, bitfield, bitfieldRO
  case expireat, pexpireat, expiretime, pexpiretime, copy, rename, renamenx, move, touch,
    dump, restore, restoreAsking, sort, sortReadOnly, wait, waitaof
  case multi, exec, discard, watch, unwatch
  case commandDocs, commandGetKeysAndFlags, lolwut, swapdb, debug
  case configRewrite
  case clientList, clientKill, clientPause, clientUnpause, clientUnblock, clientReply,
    clientNoEvict,
    clientNoTouch, clientGetRedirection, clientTrackingInfo
  case slowLog, slowLogGet, slowLogLength, slowLogReset, slowLogHelp
  case latency, latencyLatest, latencyHistory, latencyReset, latencyGraph, latencyDoctor,
    latencyHistogram, latencyHelp
  case monitor
  case memory, memoryUsage, memoryStats, memoryDoctor, memoryPurge, memoryMallocStats, memoryHelp
  case clusterSetSlot, clusterAddSlots, clusterAddSlotsRange, clusterDelSlots,
    clusterDelSlotsRange,
    clusterFlushSlots, clusterFlushSlot, clusterBumpEpoch, clusterSetConfigEpoch,
    clusterSaveConfig,
    clusterMeet, clusterForget, clusterReplicate, clusterReset, clusterFailover, clusterLinks,
    clusterSlaves, clusterReplicas, clusterCountFailureReports
  case migrate
  case clusterMigrateSlots, clusterGetSlotMigrations, clusterCancelSlotMigrations,
    clusterSlotStats,
    clusterResize, clusterRebalance, clusterEvents
  case clientTracking, clientCaching
}
