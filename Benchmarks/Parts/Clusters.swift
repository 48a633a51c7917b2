import Benchmark
import RESP
import Tern

/// Keys of one shard, drawn at random: as texts, and as a batch takes them.
private struct DrawnKeys: Sendable {
  let names: [String]
  let list: KeyList

  init(_ names: [String]) {
    self.names = names
    list = names.reduce(into: KeyList()) { $0.append($1) }
  }
}

/// A cluster of two shards in this process, filled, without sockets.
private final class ClusterHarness: Sendable {
  private let cluster: Cluster
  /// Keys of each shard.
  private let keys: [DrawnKeys]
  private static let value = "0123456789abcdef"

  init(workers: Int, keyCount: Int) async throws(TernError) {
    var settings = ClusterSettings()
    settings.shards = 2
    settings.workers = workers
    cluster = try await Cluster.start(settings)
    var names = [[String]](repeating: [], count: 2)
    for number in 0..<keyCount {
      let name = "key:\(number)"
      names[cluster.shard(for: name).number - 1].append(name)
    }
    var drawn: [DrawnKeys] = []
    var draws = Draws(seed: 11)
    for (place, names) in names.enumerated() {
      try await cluster.shards[place].run { turn throws(TernError) in
        for name in names { try turn.set(name, Self.value) }
      }
      drawn.append(
        DrawnKeys((0..<operationCount / 2).map { _ in names[draws.next(below: names.count)] }))
    }
    keys = drawn
  }

  /// One turn on each shard at once: half of the operations each.
  func each(
    _ body: @escaping @Sendable (inout ShardTurn, DrawnKeys) throws(TernError) -> Int
  ) async -> Int {
    let (keys, shards) = (keys, cluster.shards)
    async let first = Self.run(shards[0], keys[0], body)
    async let second = Self.run(shards[1], keys[1], body)
    return await first + second
  }

  private static func run(
    _ shard: Shard, _ keys: DrawnKeys,
    _ body: @escaping @Sendable (inout ShardTurn, DrawnKeys) throws(TernError) -> Int
  ) async -> Int {
    do throws(TernError) {
      return try await shard.run { turn throws(TernError) in try body(&turn, keys) }
    } catch { return -1 }
  }
}

/// GET and SET in a whole cluster, by turns on its shards; entering a turn is in the figures, a five-hundredth for each operation.
func clusterBenchmarks() {
  for workers in [1, 2] {
    clusterBenchmark("Cluster, \(workers) workers: GET, 500 a turn", workers) {
      turn, keys throws(TernError) in
      var sum = 0
      try turn.get(keys.list) { _, value in sum &+= value?.byteCount ?? 0 }
      return sum
    }
    clusterBenchmark("Cluster, \(workers) workers: SET, 500 a turn", workers) {
      turn, keys throws(TernError) in
      for name in keys.names { try turn.set(name, "0123456789abcdef") }
      return keys.names.count
    }
  }
}

private func clusterBenchmark(
  _ name: String, _ workers: Int,
  _ body: @escaping @Sendable (inout ShardTurn, DrawnKeys) throws(TernError) -> Int
) {
  Benchmark(spaceless(name)) { (_: Benchmark, harness: ClusterHarness) async in
    blackHole(await harness.each(body))
  } setup: {
    try await ClusterHarness(workers: workers, keyCount: 100_000)
  }
}
