// swift-tools-version: 6.1
// A package that uses the library and nothing else of it: with the trait `CommandLine` off, no other package resolves.
import PackageDescription

let predictiveCoding = Target.Dependency.product(name: "PredictiveCoding", package: "swift-predictive-coding")

let package = Package(
  name: "Dependent",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "swift-predictive-coding", path: "../..", traits: [])],
  targets: [
    .target(name: "Graphs", dependencies: [predictiveCoding]),
    .target(name: "Models", dependencies: ["Graphs", predictiveCoding]),
    .executableTarget(name: "Train", dependencies: ["Models", predictiveCoding]),
  ]
)
