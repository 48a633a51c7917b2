internal import RESP
internal import Sharding
internal import Storage

// MEMORY, and what INFO says of memory at its limit and of housekeeping.

extension Engine {
  /// Bytes of a bucket for an entry: a word, a tag and a ninth of the rest, at the usual fill of four fifths.
  private static let placeByteCount = 9

  /// MEMORY USAGE key [SAMPLES count]: the entry with its value by size class, and its place in a bucket. It is no access.
  mutating func memoryUsage(_ call: Call) -> Effect {
    var i = 3
    while i < call.count {
      guard Word(call[i]) == "SAMPLES", i + 1 < call.count else { return syntaxError() }
      guard let samples = call[i + 1].integer() else { return notAnInteger() }
      // Values have no elements that would be sampled.
      if samples < 0 { return syntaxError() }
      i += 2
    }
    guard let entry = live(call.slot, call.hash, call[2]) else {
      replyNull()
      return .none
    }
    reply.integer(Int64(keyspace.allocatedByteCount(of: entry) + Self.placeByteCount))
    return .none
  }

  /// MEMORY STATS: of the shard, and of the allocator for the whole process.
  mutating func memoryStats(_ call: Call) -> Effect {
    let figures = memoryFigures()
    let allocator = AllocatorFigures.now()
    let resident = max(process.residentByteCount, 1)
    let keys = max(figures.keys, 1)
    reply.mapHeader(28, reply.version)
    field("peak.allocated", max(memory.peakByteCount, figures.used))
    field("total.allocated", figures.used)
    field("startup.allocated", 0)
    field("replication.backlog", 0)
    field("clients.slaves", 0)
    field("clients.normal", figures.clients)
    field("cluster.links", 0)
    field("aof.buffer", 0)
    field("lua.caches", 0)
    field("functions.caches", 0)
    reply.bulk("db.0")
    reply.mapHeader(3, reply.version)
    // A table keeps no index beside its buckets, which count as data.
    field("overhead.hashtable.main", 0)
    field("overhead.hashtable.expires", 0)
    field("overhead.hashtable.slot-to-keys", 0)
    field("overhead.total", figures.clients)
    field("keys.count", figures.keys)
    field("keys.bytes-per-key", figures.keys > 0 ? figures.data / keys : 0)
    field("dataset.bytes", figures.data)
    field("dataset.percentage", 100 * Self.ratio(figures.data, figures.used))
    field(
      "peak.percentage", 100 * Self.ratio(figures.used, max(memory.peakByteCount, figures.used)))
    field("allocator.allocated", allocator.allocated)
    field("allocator.active", allocator.active)
    field("allocator.resident", allocator.resident)
    field("allocator-fragmentation.ratio", Self.ratio(allocator.active, allocator.allocated))
    field("allocator-fragmentation.bytes", allocator.active - allocator.allocated)
    field("allocator-rss.ratio", Self.ratio(allocator.resident, allocator.active))
    field("allocator-rss.bytes", allocator.resident - allocator.active)
    field("rss-overhead.ratio", Self.ratio(resident, allocator.resident))
    field("rss-overhead.bytes", resident - allocator.resident)
    field("fragmentation", Self.ratio(resident, allocator.allocated))
    field("fragmentation.bytes", resident - allocator.allocated)
    return .none
  }

  /// What the shard that is asked about holds; at the router all workers', the others' as of their last tick.
  private func memoryFigures() -> (keys: Int, data: Int, clients: Int, used: Int) {
    let shard = sessions[current].shard
    var clients = 0
    for index in 0..<sessions.indexLimit
    where sessions.contains(index) && (shard < 0 || sessions[index].shard == shard) {
      clients += byteCount(ofClient: index)
    }
    let keys = shard < 0 ? keyspace.keyCount : keyspace.keyCount(ofShard: shard)
    let data =
      shard < 0
      ? max(process.keyspaceByteCount, keyspace.byteCount) : keyspace.byteCount(ofShard: shard)
    if shard < 0 { clients = max(clients, process.clientByteCount) }
    clients +=
      shard < 0
      ? max(process.trackingByteCount, tracking.byteCount) : tracking.counts[shard]?.byteCount ?? 0
    return (keys, data, clients, data + clients)
  }

  private mutating func field(_ name: StaticString, _ value: Int) {
    reply.bulk(name)
    reply.integer(Int64(value))
  }

  private mutating func field(_ name: StaticString, _ value: Double) {
    reply.bulk(name)
    reply.double(value, reply.version)
  }

  private static func ratio(_ a: Int, _ b: Int) -> Double { b > 0 ? Double(a) / Double(b) : 0 }

  /// MEMORY DOCTOR: what looks unusual, and what to do about it.
  mutating func memoryDoctor(_ call: Call) -> Effect {
    let allocator = AllocatorFigures.now()
    var advice: [String] = []
    let waste = allocator.active - allocator.allocated
    if waste > 10 << 20, allocator.fragmentationPercent > 40 {
      advice.append(
        "Fragmentation: pages that hold \(Self.human(allocator.allocated)) take \(Self.human(allocator.active)). "
          + (settings.activeDefrag
            ? "Defragmentation is at work, or its thresholds are higher."
            : "CONFIG SET activedefrag yes gives sparse pages back."))
    }
    if allocator.resident - allocator.active > max(allocator.active / 2, 64 << 20) {
      advice.append(
        "Unused pages: \(Self.human(allocator.resident - allocator.active)) wait to be given back to the system. It happens within seconds; MEMORY PURGE does it now."
      )
    }
    if settings.maxMemory > 0, process.residentByteCount > settings.maxMemory / 4 * 5 {
      advice.append(
        "Resident memory is \(Self.human(process.residentByteCount)), maxmemory \(Self.human(settings.maxMemory)): the limit is on what keys and clients use. Leave room for fragmentation."
      )
    }
    if memory.clientByteCount > 32 << 20, memory.clientByteCount > keyspace.byteCount / 4 {
      advice.append(
        "Clients: their requests and replies take \(Self.human(memory.clientByteCount)). maxmemory-clients closes the largest of them."
      )
    }
    let text =
      advice.isEmpty
      ? "Nothing unusual was found.\n" : advice.map { " * \($0)\n" }.joined(separator: "\n")
    reply.verbatim(text: text)
    return .none
  }

  /// MEMORY PURGE: unused pages go back to the system at once.
  mutating func memoryPurge(_ call: Call) -> Effect {
    Arena.purgeAll()
    reply.ok()
    return .none
  }

  /// MEMORY MALLOC-STATS: the allocator's own report.
  mutating func memoryMallocStats(_ call: Call) -> Effect {
    reply.verbatim(text: AllocatorFigures.report())
    return .none
  }

  /// MEMORY HELP.
  mutating func memoryHelp(_ call: Call) -> Effect {
    help(
      "MEMORY",
      [
        "DOCTOR", "    Return memory problems reports.",
        "MALLOC-STATS", "    Return internal statistics report from the memory allocator.",
        "PURGE", "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS", "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
      ])
  }

  // MARK: INFO

  /// The percentage of a processor that defragmentation may take now.
  var defragmentationShare: Int { defragmentation.pass == nil ? 0 : defragmentation.effort }

  /// How long the worker was over its share, in milliseconds.
  func evictionFields() -> [(String, String)] {
    let exceeded = memory.exceededSince == 0 ? 0 : max(0, now - memory.exceededSince)
    return [
      ("total_eviction_exceeded_time", "\(upkeep.evictionExceeded + UInt64(exceeded))"),
      ("current_eviction_exceeded_time", "\(exceeded)"),
    ]
  }

  /// What defragmentation has done on this worker.
  func defragmentationFields() -> [(String, String)] {
    let running =
      defragmentation.pass == nil ? 0 : max(0, now - defragmentation.runningSince)
    let done = upkeep.defragmentation
    return [
      ("active_defrag_hits", "\(done.moved)"), ("active_defrag_misses", "\(done.left)"),
      ("active_defrag_key_hits", "\(done.movedEntries)"),
      ("active_defrag_key_misses", "\(done.leftEntries)"),
      ("total_active_defrag_time", "\(upkeep.defragmentationTime + UInt64(running))"),
      ("current_active_defrag_time", "\(running)"),
    ]
  }

  /// What slices of housekeeping have cost this worker, by kind, in processor time of its thread.
  func housekeepingFields() -> [(String, String)] {
    func line(_ count: UInt64, _ spent: UInt64, _ largest: UInt64, _ over: UInt64) -> String {
      "count=\(count),usec=\(spent / 1000),largest_usec=\(Self.decimal(Double(largest) / 1000, 1)),over_250_usec=\(over)"
    }
    let growth = keyspace.growthFigures
    var fields = [
      (
        "tern_slices_growth",
        line(growth.count, growth.nanoseconds, growth.largestNanoseconds, growth.overCount)
      )
    ]
    for kind in SliceKind.allCases {
      let figures = upkeep.slices[kind.rawValue]
      fields.append(
        (
          "tern_slices_\(kind.name)",
          line(
            figures.count, figures.nanoseconds, figures.largestNanoseconds, figures.overCount)
        ))
    }
    return fields
  }
}
