import PCDatasets
import PCKernelsCPU
import PCLearning
import PCModels

/// What a user chooses about an experiment; nil leaves a choice to the model's defaults.
public struct Choices: Sendable {
  public var model = NamedModel.mlp
  /// Widths of `mlp`'s hidden layers.
  public var hidden: [Int]?
  public var loss: LossKind?
  public var dataset = NamedDataset.digits
  public var dataDirectory: String?
  public var rules: [NamedRule]
  public var solver = PerRule<FixedPredictions.Solver>()
  public var steps = PerRule<Int>()
  public var rate = PerRule<Double>()
  public var optimizer: NamedOptimizer?
  public var learningRate = PerRule<Double>()
  public var reduction: GradientReduction?
  public var epochs = 10
  /// Training steps for each rule and seed, after which a run ends early.
  public var maximalSteps: Int?
  public var batchSize = 64
  public var seed: UInt64 = 0
  /// The seeds are seed, seed + 1, …, so many.
  public var seedCount = 1
  public var backend = NamedBackend.cpu
  public var threads: Int?
  public var instructionSet: CPU.InstructionSet?

  public init(rules: [NamedRule] = [.fixed, .backprop]) { self.rules = rules }
}
