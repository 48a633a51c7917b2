import Foundation
import Sharding
import Testing

/// A number from the environment.
private func setting(_ name: String) -> Int? {
  ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
}

@Suite(.serialized) struct SimulatorTests {
  /// `SIMULATOR_SEEDS` many seeds from `SIMULATOR_SEED` on. A seed that fails is printed;
  /// `SIMULATOR_SEED=n SIMULATOR_SEEDS=1 SIMULATOR_TRACE=1` shows what happens in it.
  @Test func everySeedHolds() {
    let first = setting("SIMULATOR_SEED") ?? 1
    let count = setting("SIMULATOR_SEEDS") ?? 60
    var probes = Array(repeating: 0, count: Probe.allCases.count)
    var operationCount = 0
    var stepCount = 0
    for seed in first..<(first + count) {
      var simulation = Simulation(seed: UInt64(seed))
      simulation.isTraced = setting("SIMULATOR_TRACE") == 1
      simulation.run()
      if let broken = simulation.broken {
        Issue.record(
          "seed \(seed), step \(simulation.now): \(broken.check), \(broken.text); SIMULATOR_SEED=\(seed) replays it"
        )
      }
      operationCount += simulation.history.count
      stepCount += simulation.now
      for index in probes.indices { probes[index] += simulation.probes[index] }
    }
    print("\(count) seeds, \(stepCount) steps, \(operationCount) reads and writes")
    for probe in Probe.allCases {
      print("  \(probe): \(probes[probe.rawValue])")
      if setting("SIMULATOR_SEEDS") == nil { #expect(probes[probe.rawValue] >= 10, "\(probe)") }
    }
  }
}
