internal import RESP
internal import Sharding
internal import Storage

// CLUSTER SLOT-STATS: what the slots of a shard hold and cost, in Valkey's form; `memory-bytes` is by size class.

/// What a shard holds and does.
public struct Holdings: Sendable {
  /// Keys, and their bytes by size class.
  public let keyCount: Int
  public let byteCount: Int
  /// Commands a second, as of the last housekeeping.
  public let commandsPerSecond: UInt64
}

/// What is told of a slot.
private struct SlotFigures {
  let slot: Int
  let keyCount: Int
  let byteCount: Int
  let statistics: SlotStatistics

  /// The figure that slots may be ordered by.
  func value(_ metric: Metric) -> UInt64 {
    switch metric {
    case .keyCount: UInt64(keyCount)
    case .memoryBytes: UInt64(byteCount)
    case .cpuMicroseconds: statistics.cpuNanoseconds / 1000
    case .networkBytesIn: statistics.networkBytesIn
    case .networkBytesOut: statistics.networkBytesOut
    }
  }

  enum Metric: String, CaseIterable {
    case keyCount = "key-count"
    case memoryBytes = "memory-bytes"
    case cpuMicroseconds = "cpu-usec"
    case networkBytesIn = "network-bytes-in"
    case networkBytesOut = "network-bytes-out"
  }
}

extension Engine {
  /// CLUSTER SLOT-STATS SLOTSRANGE s e | ORDERBY metric [LIMIT n] [ASC|DESC]. O(16384).
  mutating func clusterSlotStats(_ call: Call) -> Effect {
    switch Word(call[2]) {
    case "SLOTSRANGE" where call.count == 5: return slotStatsOfRange(call)
    case "ORDERBY" where call.count >= 4: return orderedSlotStats(call)
    default: return syntaxError()
    }
  }

  private mutating func slotStatsOfRange(_ call: Call) -> Effect {
    guard let first = slot(call[3]), let last = slot(call[4]) else {
      return failing("ERR Invalid or out of range slot")
    }
    if first > last {
      return failing(text: "ERR Start slot number \(first) is greater than end slot number \(last)")
    }
    reply(slotFigures(first...last))
    return .none
  }

  private mutating func orderedSlotStats(_ call: Call) -> Effect {
    let name = Self.text(call[3]).lowercased()
    guard let metric = SlotFigures.Metric(rawValue: name) else {
      return failing("ERR Unrecognized sort metric for ORDERBY.")
    }
    var (limit, isAscending): (Int?, Bool?) = (nil, nil)
    var place = 4
    while place < call.count {
      switch Word(call[place]) {
      case "LIMIT" where place + 1 < call.count:
        if limit != nil {
          return failing("ERR Multiple filters of the same type are disallowed.")
        }
        guard let number = call[place + 1].integer(), number >= 1, number <= HashSlot.count else {
          return failing(
            "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).")
        }
        limit = Int(number)
        place += 2
      case let word where word == "ASC" || word == "DESC":
        if isAscending != nil {
          return failing("ERR Multiple filters of the same type are disallowed.")
        }
        isAscending = word == "ASC"
        place += 1
      default: return syntaxError()
      }
    }
    var all = slotFigures(0...HashSlot.count - 1)
    let upwards = isAscending ?? false
    // Of equal ones the lower slot first, in either order.
    all.sort {
      let (left, right) = ($0.value(metric), $1.value(metric))
      if left == right { return $0.slot < $1.slot }
      return upwards ? left < right : left > right
    }
    reply(Array(all.prefix(limit ?? HashSlot.count)))
    return .none
  }

  /// The figures of the session's shard's slots in a range; at the configuration endpoint those of all of this worker's.
  private func slotFigures(_ slots: ClosedRange<Int>) -> [SlotFigures] {
    let shard = sessions[current].shard
    var all: [SlotFigures] = []
    for slot in slots where keyspace.owner(of: slot) == shard && shard >= 0 {
      all.append(
        SlotFigures(
          slot: slot, keyCount: keyspace.keyCount(of: slot),
          byteCount: keyspace.byteCount(of: slot),
          statistics: keyspace.statistics(of: slot)))
    }
    return all
  }

  private mutating func reply(_ slots: [SlotFigures]) {
    reply.arrayHeader(slots.count)
    for slot in slots {
      reply.arrayHeader(2)
      reply.integer(Int64(slot.slot))
      reply.mapHeader(SlotFigures.Metric.allCases.count, reply.version)
      for metric in SlotFigures.Metric.allCases {
        reply.bulk(text: metric.rawValue)
        reply.integer(Int64(clamping: slot.value(metric)))
      }
    }
  }

  /// What each slot of this worker has cost so far, in nanoseconds of processor time; 0 for those of others. O(16384).
  public func slotLoads() -> [UInt64] {
    (0..<HashSlot.count).map {
      keyspace.owner(of: $0) == Keyspace.nobody ? 0 : keyspace.statistics(of: $0).cpuNanoseconds
    }
  }

  /// What a shard of this worker holds and does.
  public func holdings(ofShard shard: Int32) -> Holdings {
    Holdings(
      keyCount: keyspace.keyCount(ofShard: shard), byteCount: keyspace.byteCount(ofShard: shard),
      commandsPerSecond: ledger[Self.page(ofShard: shard)].commandsPerSecond)
  }
}
