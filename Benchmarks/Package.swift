// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that whoever depends on Tern does not fetch what its benchmarks need.
let package = Package(
  name: "tern-benchmarks",
  dependencies: [
    .package(name: "tern", path: ".."),
    // Without its interposers: Tern's memory comes from jemalloc and Swift's runtime is to be measured as it is.
    .package(url: "https://github.com/ordo-one/benchmark", exact: "1.38.1", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "Parts",
      dependencies: [
        .product(name: "Tern", package: "tern"),
        .product(name: "TernParts", package: "tern"),
        .product(name: "Benchmark", package: "benchmark"),
      ],
      path: "Parts",
      swiftSettings: [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableExperimentalFeature("Lifetimes"),
      ],
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    .executableTarget(
      name: "LocalShardBench", dependencies: [.product(name: "Tern", package: "tern")],
      path: "LocalShardBench",
      swiftSettings: [.enableExperimentalFeature("Lifetimes")]),
  ]
)
