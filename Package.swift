// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with. Warnings are errors where CI says so, and only there:
/// a newer compiler's new warning must not break a package that depends on Tern.
let strict: [SwiftSetting] =
  [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
  ] + (Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// Targets that touch no raw memory at all are held to it by the compiler.
let safe: [SwiftSetting] = strict + [.strictMemorySafety()]

let package = Package(
  name: "tern",
  products: [
    .library(name: "Tern", targets: ["Tern"]),
    .executable(name: "tern", targets: ["TernCommand"]),
    // For the package in `Benchmarks`, which measures these apart; no promise to anyone else.
    .library(name: "TernParts", targets: ["RESP", "Sharding", "Storage", "Engine"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CJemalloc", pkgConfig: "jemalloc", providers: [.apt(["libjemalloc-dev"])]),
    .systemLibrary(name: "CLinux"),
    .target(name: "RESP", swiftSettings: safe),
    .target(name: "Sharding", dependencies: ["RESP"], swiftSettings: safe),
    .target(name: "Storage", dependencies: ["CJemalloc"], swiftSettings: strict),
    .target(name: "Engine", dependencies: ["RESP", "Sharding", "Storage"], swiftSettings: safe),
    .target(name: "Reactor", dependencies: ["CLinux"], swiftSettings: strict),
    .target(
      name: "Server",
      dependencies: [
        "Engine", "RESP", "Sharding", "Storage", "Reactor", "CLinux",
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: safe),
    .target(
      name: "Tern", dependencies: ["Server", "Engine", "RESP", "Sharding", "Storage"],
      swiftSettings: safe),
    .executableTarget(
      name: "TernCommand",
      dependencies: [
        "Tern", "Server", "Engine", "Reactor", "Sharding", "RESP",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: safe),
    .testTarget(
      name: "RESPTests", dependencies: ["RESP"], exclude: ["Corpus"], swiftSettings: strict),
    .testTarget(name: "ShardingTests", dependencies: ["Sharding", "RESP"], swiftSettings: strict),
    .testTarget(
      name: "SimulatorTests", dependencies: ["Sharding", "TestSupport"], exclude: ["README.md"],
      swiftSettings: strict),
    .testTarget(
      name: "StorageTests", dependencies: ["Storage", "CJemalloc", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "EngineTests",
      dependencies: ["Engine", "RESP", "Sharding", "Storage", "CJemalloc", "Transcript"],
      swiftSettings: strict),
    // Random numbers and threads for tests.
    .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
    // Conversations as text, which several targets' tests play.
    .target(
      name: "Transcript", dependencies: ["RESP"], path: "Tests/Transcript", swiftSettings: strict),
    .testTarget(
      name: "ReactorTests", dependencies: ["Reactor", "CLinux", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "TernTests", dependencies: ["Tern", "Engine", "RESP", "CJemalloc", "Transcript"],
      swiftSettings: strict),
    .testTarget(
      name: "ServerTests", dependencies: ["Server", "Engine", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "TernCommandTests", dependencies: ["TernCommand", "RESP", "Sharding"],
      swiftSettings: strict),
    .testTarget(
      name: "ConsistencyTests", dependencies: ["Tern", "RESP", "Sharding", "TestSupport"],
      swiftSettings: strict),
    .testTarget(name: "HouseTests", swiftSettings: strict),
  ]
)
