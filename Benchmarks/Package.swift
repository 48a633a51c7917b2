// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "tern-benchmarks",
  dependencies: [.package(name: "tern", path: "..")],
  targets: [
    .executableTarget(
      name: "LocalShardBench", dependencies: [.product(name: "Tern", package: "tern")],
      path: "LocalShardBench",
      swiftSettings: [.enableExperimentalFeature("Lifetimes")])
  ]
)
