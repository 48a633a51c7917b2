// The parts of Tern, each measured alone and without a socket.
//
// A figure is the time of one iteration, and an iteration is `operationCount` operations (the maps excepted, where
// it is one): read µs as ns an operation. Every loop runs inside the type that owns what it works on, so that the
// benchmark's closure costs once a thousand operations. Allocation counts are left out: they are counted by
// replacing `malloc`, and Tern's own bytes do not come from there.

import Benchmark
import Glibc

/// How many operations one iteration is.
let operationCount = 1000

/// A benchmark's name without spaces: its threshold is written to a file that has none, and read from one of its very name.
func spaceless(_ name: String) -> String {
  String(name.map { $0 == " " ? "_" : $0 })
}

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock], warmupIterations: 20, scalingFactor: .one,
    maxDuration: .milliseconds(600), maxIterations: 20_000,
    // The machines that this runs on are shared: less than a third more is no news.
    thresholds: [.wallClock: .init(relative: [.p25: 33, .p50: 33])])
  protocolBenchmarks()
  mapBenchmarks()
  tableBenchmarks(keyCounts: [("1 k", 1000), ("1 M", 1_000_000)])
  // A gigabyte, and a minute to fill it.
  if getenv("TERN_BENCHMARK_HUGE") != nil {
    tableBenchmarks(keyCounts: [("10 M", 10_000_000)])
  }
  localShardBenchmarks()
  clusterBenchmarks()
}
