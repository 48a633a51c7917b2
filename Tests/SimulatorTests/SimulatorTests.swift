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
    let count = setting("SIMULATOR_SEEDS") ?? 240
    var probes = Array(repeating: 0, count: Probe.allCases.count)
    var operationCount = 0
    var stepCount = 0
    for seed in first..<(first + count) {
      // In every other one workers that sleep are helped.
      var simulation = Simulation(seed: UInt64(seed), hasHelp: seed.isMultiple(of: 2))
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

  /// Each rule is needed: without it the seed named here breaks a check named here, or, once seeds
  /// mean something else, one of the first 1000 does. `SIMULATOR_MUTATION=name` tries one of them
  /// on `SIMULATOR_SEEDS` many seeds from `SIMULATOR_SEED` on, and says how often which check finds
  /// it.
  @Test(arguments: knownMutations)
  func everyMutationIsFound(_ known: KnownMutation) {
    if let only = ProcessInfo.processInfo.environment["SIMULATOR_MUTATION"] {
      if only == known.mutation.rawValue || only == "all" { count(known.mutation) }
      return
    }
    for seed in [known.seed] + Array(1...1000) {
      var simulation = Simulation(seed: UInt64(seed), mutation: known.mutation)
      simulation.run()
      guard let broken = simulation.broken else { continue }
      #expect(known.checks.contains(broken.check), "\(broken.check): \(broken.text)")
      let isKnown = seed == known.seed
      print(
        "\(known.mutation): \(broken.check), seed \(seed)\(isKnown ? "" : " (new)"),",
        "step \(simulation.now)")
      return
    }
    Issue.record("\(known.mutation) is not found by 1000 seeds")
  }

  private func count(_ mutation: SimulationMutation) {
    let first = setting("SIMULATOR_SEED") ?? 1
    let seeds = first..<(first + (setting("SIMULATOR_SEEDS") ?? 1000))
    var found: [SimulationCheck: (count: Int, first: Int)] = [:]
    for seed in seeds {
      var simulation = Simulation(seed: UInt64(seed), mutation: mutation)
      simulation.isTraced = setting("SIMULATOR_TRACE") == 1
      simulation.run()
      guard let broken = simulation.broken else { continue }
      found[broken.check, default: (0, seed)].count += 1
    }
    let text = found.sorted { $0.value.first < $1.value.first }
      .map { "\($0.key) \($0.value.count) (first: seed \($0.value.first))" }
    print("\(mutation): \(text.joined(separator: ", ")) of \(seeds.count) seeds")
  }

  /// The list is whole.
  @Test func allMutationsAreTried() {
    #expect(knownMutations.map(\.mutation) == SimulationMutation.allCases)
  }
}
