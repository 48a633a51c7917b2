// What clients saw of each key, and whether one register could have been behind it.
//
// Every value is written once. The write of a value and the reads of it form a cluster; its zone
// reaches from the earliest end in the cluster to the latest beginning. Where the end comes first
// (a forward zone) the register must have held the value from the one to the other; else (a backward
// zone) it may have held it at any instant in between. The history is linearizable exactly if no
// read ends before its write begins, no two forward zones overlap, and no backward zone lies within
// a forward one.

/// The reads and writes of plain keys, as clients saw them.
struct History {
  /// The operations on one value of one key.
  private struct Cluster {
    var writeBegin: Int?
    var firstEnd = Int.max
    var lastBegin = Int.min
    var firstReadEnd = Int.max

    mutating func insert(_ begin: Int, _ end: Int) {
      firstEnd = min(firstEnd, end)
      lastBegin = max(lastBegin, begin)
    }
  }

  private var clusters: [Int: [Int: Cluster]] = [:]
  /// How many operations there are.
  private(set) var count = 0

  /// A client's write, from its first sending to its acknowledgement.
  mutating func write(_ key: SimulatedKey, _ value: Int, _ begin: Int, _ end: Int) {
    guard key.rank < SimulatedKey.deleted else { return }
    count += 1
    clusters[key.index, default: [:]][value, default: Cluster()].insert(begin, end)
    clusters[key.index]?[value]?.writeBegin = begin
  }

  /// A client's read; 0 is what a key has that was never written.
  mutating func read(_ key: SimulatedKey, _ value: Int, _ begin: Int, _ end: Int) {
    guard key.rank < SimulatedKey.deleted else { return }
    count += 1
    if value == 0, clusters[key.index]?[0] == nil { write(key, 0, -1, -1) }
    clusters[key.index, default: [:]][value, default: Cluster()].insert(begin, end)
    let first = clusters[key.index]?[value]?.firstReadEnd ?? .max
    clusters[key.index]?[value]?.firstReadEnd = min(first, end)
  }

  /// What is wrong with the history of the key at this index, if anything.
  func fault(of key: Int) -> String? {
    guard let values = clusters[key] else { return nil }
    var forward: [(begin: Int, end: Int, value: Int)] = []
    var backward: [(begin: Int, end: Int, value: Int)] = []
    for (value, cluster) in values.sorted(by: { $0.key < $1.key }) {
      guard let writeBegin = cluster.writeBegin else { return "\(value) was never written" }
      if cluster.firstReadEnd < writeBegin { return "\(value) was read before it was written" }
      if cluster.firstEnd < cluster.lastBegin {
        forward.append((cluster.firstEnd, cluster.lastBegin, value))
      } else {
        backward.append((cluster.lastBegin, cluster.firstEnd, value))
      }
    }
    forward.sort { $0.begin < $1.begin }
    for (first, second) in zip(forward, forward.dropFirst()) where second.begin < first.end {
      return "\(first.value) and \(second.value) took turns"
    }
    for zone in backward {
      if let around = forward.first(where: { $0.begin < zone.begin && zone.end < $0.end }) {
        return "\(zone.value) came and went while there was \(around.value)"
      }
    }
    return nil
  }
}
