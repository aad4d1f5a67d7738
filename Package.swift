// swift-tools-version: 6.1
// Reading order: PCPrimitives → PCGraphs → PCLayers → PCModels, then PCKernels → PCPlans → PCLearning,
// then the umbrella and the command. Every target name carries the prefix `PC`, because target names must be
// unique in a dependent's whole package graph.
import PackageDescription

let package = Package(
  name: "swift-predictive-coding",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "PredictiveCoding", targets: ["PredictiveCoding"]),
    .executable(name: "pcgraph", targets: ["pcgraph"]),
    .library(name: "PCDifferentiable", targets: ["PCDifferentiable"]),
  ],
  traits: [
    .trait(name: "CommandLine", description: "The command `pcgraph` and the packages that only it needs."),
    .default(enabledTraits: ["CommandLine"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    // MARK: Graphs: what is computed
    .target(name: "PCPrimitives", exclude: ["README.md"]),
    .target(name: "PCGraphs", dependencies: ["PCPrimitives"], exclude: ["README.md"]),
    .target(name: "PCLayers", dependencies: ["PCGraphs"], exclude: ["README.md"]),
    // The compiler's `_Differentiation`, for who asks for it alone.
    .target(name: "PCDifferentiable", dependencies: ["PCGraphs"], exclude: ["README.md"]),
    .target(name: "PCModels", dependencies: ["PCLayers"], exclude: ["README.md"]),

    // MARK: Kernels: where it is computed
    .target(name: "PCRandomness", exclude: ["README.md"]),
    .target(name: "PCKernels", dependencies: ["PCPrimitives", "PCRandomness"], exclude: ["README.md"]),
    .target(name: "PCKernelsC"),
    .target(name: "PCKernelsCPU", dependencies: ["PCKernels", "PCKernelsC"], exclude: ["README.md"]),

    // MARK: Data in and out
    .target(name: "PCInterchange", exclude: ["README.md"]),
    .systemLibrary(name: "PCZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "PCDigits", exclude: ["README.md"]),
    .target(name: "PCNames", exclude: ["README.md", "LICENSE"]),
    .target(
      name: "PCDatasets", dependencies: ["PCRandomness", "PCInterchange", "PCDigits", "PCNames", "PCZlib"],
      exclude: ["README.md"]),

    // MARK: Learning: rules, training, experiments
    .target(name: "PCPlans", dependencies: ["PCGraphs", "PCKernels"], exclude: ["README.md"]),
    .target(
      name: "PCLearning", dependencies: ["PCPlans", "PCDatasets", "PCInterchange", "PCRandomness"],
      exclude: ["README.md"]),
    .target(
      name: "PCExperiments", dependencies: ["PCLearning", "PCModels", "PCDatasets", "PCKernelsCPU"],
      exclude: ["README.md"]),

    // MARK: What a user imports or runs
    .target(
      name: "PredictiveCoding",
      dependencies: [
        "PCPrimitives", "PCGraphs", "PCLayers", "PCModels", "PCRandomness", "PCKernels", "PCKernelsCPU", "PCPlans",
        "PCDatasets", "PCInterchange",
        "PCLearning", "PCExperiments",
      ]),
    .executableTarget(
      name: "pcgraph",
      dependencies: [
        "PredictiveCoding",
        .product(
          name: "ArgumentParser", package: "swift-argument-parser", condition: .when(traits: ["CommandLine"])),
        .product(name: "Yams", package: "Yams", condition: .when(traits: ["CommandLine"])),
      ]),

    // MARK: Tests
    .testTarget(name: "PCGraphsTests", dependencies: ["PredictiveCoding"]),
    .testTarget(name: "PCDifferentiableTests", dependencies: ["PCDifferentiable", "PredictiveCoding"]),
    .testTarget(name: "PCKernelsTests", dependencies: ["PredictiveCoding"]),
    .testTarget(
      name: "PCLearningTests", dependencies: ["PredictiveCoding"], resources: [.copy("Fixtures")]),
    .testTarget(name: "PCDatasetsTests", dependencies: ["PredictiveCoding"]),
    .testTarget(name: "PCExperimentsTests", dependencies: ["PredictiveCoding"]),
    .testTarget(name: "PCCommandTests", dependencies: ["PredictiveCoding", "PCDifferentiable", "pcgraph"]),
  ]
)

// Only whoever builds the documentation resolves its plugin: PC_DOCS=1 (see Scripts/docs.sh).
if Context.environment["PC_DOCS"] != nil {
  package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"))
}

// Only Scripts/fuzz.sh builds the fuzzing of the parsers.
if Context.environment["PC_FUZZ"] != nil {
  package.products.append(.library(name: "PCFuzzing", type: .static, targets: ["PCFuzzing"]))
  package.targets.append(
    .target(
      name: "PCFuzzing", dependencies: ["PCInterchange", "PCDatasets", "PCLearning"],
      exclude: ["README.md"]))
}
