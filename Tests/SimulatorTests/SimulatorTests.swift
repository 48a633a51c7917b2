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

  /// Each rule is needed: without it some seed breaks a check. `SIMULATOR_MUTATION=name` with
  /// `SIMULATOR_SEED` and `SIMULATOR_TRACE` shows how.
  @Test(arguments: SimulationMutation.allCases)
  func everyMutationIsFound(_ mutation: SimulationMutation) {
    if let only = ProcessInfo.processInfo.environment["SIMULATOR_MUTATION"],
      only != mutation.rawValue
    {
      return
    }
    let first = setting("SIMULATOR_SEED") ?? 1
    let count = setting("SIMULATOR_SEEDS") ?? 1000
    var found: [SimulationCheck: Int] = [:]
    var foundFirst = 0
    for seed in first..<(first + count) {
      var simulation = Simulation(seed: UInt64(seed), mutation: mutation)
      simulation.run()
      if let broken = simulation.broken {
        if foundFirst == 0 { foundFirst = seed; print("\(mutation): \(broken.check) by seed \(seed), step \(simulation.now), \(broken.text)") }
        found[broken.check, default: 0] += 1
      }
    }
    print("STAT \(mutation) \(foundFirst) \(found)")
  }
}
