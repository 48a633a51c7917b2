/// What clients have seen of one register: all that they have written and read, and when.
///
/// Every write has a value of its own, so that a read names the write that it has seen. Such a history can be decided exactly, by zones
/// (Gibbons and Korach): all operations on one value happen in one go, at some time that lies in each of them if they all overlap
/// (a backward zone, which may be anywhere inside), or that spans from the first one's end to the last one's start if they don't
/// (a forward zone, in which the register had that value throughout). It is linearizable if and only if no read ends before its write
/// starts, no two forward zones overlap, and no backward zone lies within a forward one.
struct RegisterHistory {
  /// A write or a read, from before it was sent to after its reply.
  struct Operation {
    let value: UInt64
    let isWrite: Bool
    let start: UInt64
    let end: UInt64
  }

  /// In any order. The register has the value 0 before all of them.
  var operations: [Operation] = []

  /// All operations on one value.
  private struct Zone {
    let value: UInt64
    var write: Operation?
    var firstEnd = UInt64.max
    var lastStart: UInt64 = 0
    var isForward: Bool { firstEnd < lastStart }

    mutating func add(_ operation: Operation) {
      if operation.isWrite { write = operation }
      firstEnd = min(firstEnd, operation.end)
      lastStart = max(lastStart, operation.start)
    }
  }

  /// Why no order of the operations explains what was read; nil if one does. O(n log n).
  func contradiction() -> String? {
    var zones: [UInt64: Zone] = [0: Zone(value: 0)]
    zones[0]?.add(Operation(value: 0, isWrite: true, start: 0, end: 0))
    for operation in operations {
      zones[operation.value, default: Zone(value: operation.value)].add(operation)
    }
    for operation in operations where !operation.isWrite {
      guard let write = zones[operation.value]?.write else {
        return "\(operation.value) was read and never written"
      }
      if operation.end < write.start { return "\(operation.value) was read before it was written" }
    }
    let forward = zones.values.filter(\.isForward).sorted { $0.firstEnd < $1.firstEnd }
    for (one, next) in zip(forward, forward.dropFirst()) where next.firstEnd < one.lastStart {
      return "\(one.value) and \(next.value) were both there at once"
    }
    for zone in zones.values where !zone.isForward {
      // The forward zones are apart from each other: the last one that begins before this one is the only one it can lie in.
      var (low, high) = (0, forward.count)
      while low < high {
        let middle = (low + high) / 2
        if forward[middle].firstEnd < zone.lastStart { low = middle + 1 } else { high = middle }
      }
      if low > 0, forward[low - 1].lastStart > zone.firstEnd {
        return "\(zone.value) came while \(forward[low - 1].value) was there before and after"
      }
    }
    return nil
  }
}
