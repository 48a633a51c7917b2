// swift-tools-version: 6.2
import PackageDescription

// A load for clusters whose slots move; it depends on nothing, so that it is built in seconds.
let package = Package(
  name: "load",
  targets: [
    .systemLibrary(name: "CEpoll"),
    .executableTarget(
      name: "Load", dependencies: ["CEpoll"],
      swiftSettings: [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ])
  ]
)
