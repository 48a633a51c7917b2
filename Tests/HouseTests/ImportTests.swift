// Who may import whom: the table of the design's section 8, and what its section 7 keeps away from the pure targets.
import Testing

/// The direct imports that each target may have; it may also import whatever these may import.
private let mayImport: [String: Set<String>] = [
  "CJemalloc": [], "CLinux": [],
  "RESP": [],
  "Sharding": ["RESP"],
  "Storage": ["CJemalloc"],
  "Engine": ["RESP", "Sharding", "Storage"],
  "Simulator": ["Engine"],
  "Reactor": ["CLinux"],
  "Server": ["Engine", "Reactor", "Logging"],
  "Tern": ["Server"],
  "TernCommand": ["Tern", "ArgumentParser"],
]

/// What every target may import: Swift's own modules, without Foundation and Dispatch.
private let everyones: Set<String> = ["Swift", "Synchronization", "Glibc", "_Concurrency"]

/// The targets that are functions of their input alone.
private let deterministic: Set<String> = ["RESP", "Sharding", "Storage", "Engine", "Simulator"]

/// All that a target may import by the table.
private func allowed(to target: String) -> Set<String> {
  (mayImport[target] ?? []).reduce(into: []) { all, direct in
    all.insert(direct)
    all.formUnion(allowed(to: direct))
  }
}

@Suite struct ImportTests {
  @Test func everyTargetIsInTheTable() throws {
    #expect(try SourceTree.targets().filter { mayImport[$0] == nil } == [])
  }

  @Test func targetsImportWhatTheTableAllows() throws {
    var wrong: [String] = []
    for file in try SourceTree.sources() {
      let allowed = allowed(to: file.target).union(everyones).union([file.target])
      wrong += file.imports.filter { !allowed.contains($0.module) }.map {
        "\(file.path):\($0.number) imports \($0.module)"
      }
    }
    #expect(wrong == [])
  }

  /// Said apart from the table, because it must hold even where the table is widened.
  @Test func noFoundationDispatchOrNIO() throws {
    var wrong: [String] = []
    for file in try SourceTree.sources()
    where deterministic.contains(file.target) || ["Reactor", "Server"].contains(file.target) {
      wrong += file.imports.filter {
        $0.module.hasPrefix("Foundation") || $0.module == "Dispatch" || $0.module.hasPrefix("NIO")
      }.map { "\(file.path):\($0.number) imports \($0.module)" }
    }
    #expect(wrong == [])
  }

  /// Time, randomness and the environment come in from outside.
  @Test func pureTargetsReadNoClockNoRandomSourceNoEnvironment() throws {
    let sources = [
      "clock_gettime", "gettimeofday", "ContinuousClock", "SuspendingClock", "DispatchTime",
      "Date(",
      "time(nil)", "Task.sleep", "usleep(", "nanosleep(", "SystemRandomNumberGenerator",
      "randomElement()", "shuffled()", "shuffle()", "arc4random", "getrandom", "getentropy",
      "drand48", "/dev/urandom", "/dev/random", "Hasher(", ".hashValue", "getenv", "ProcessInfo",
      "environ[",
    ]
    var wrong: [String] = []
    for file in try SourceTree.sources() where deterministic.contains(file.target) {
      for (number, text) in file.code {
        wrong += sources.filter { text.contains($0) }.map { "\(file.path):\(number) has \($0)" }
        // A draw from a given generator is fine: the generator comes in from outside.
        if text.contains(".random(") && !text.contains("using:") {
          wrong.append("\(file.path):\(number) draws from the system's random source")
        }
      }
    }
    #expect(wrong == [])
  }

  @Test func importsAreRecognised() throws {
    let lines = [
      "import A", "public import B", "@_exported public import C", "@testable import D",
      "import struct E.F", "  internal import G", "@preconcurrency import H // why", "// import I",
      "let important = J", "@_spi(K) package import L",
    ]
    let file = SourceFile(path: "", target: "", lines: lines)
    #expect(file.imports.map(\.module) == ["A", "B", "C", "D", "E", "G", "H", "L"])
    #expect(
      allowed(to: "Server") == [
        "Engine", "RESP", "Sharding", "Storage", "CJemalloc", "Reactor", "CLinux", "Logging",
      ])
  }
}
