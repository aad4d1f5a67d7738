// swift-tools-version: 6.1
// A package of its own, so that nobody who uses the library resolves what only its benchmarks need.
import PackageDescription

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "swift-predictive-coding", path: "..")],
  targets: [
    .executableTarget(
      name: "Benchmarks",
      dependencies: [.product(name: "PredictiveCoding", package: "swift-predictive-coding")])
  ]
)
