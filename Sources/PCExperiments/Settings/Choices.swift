import PCDatasets
import PCKernelsCPU
import PCLearning
import PCModels

/// What a user chooses about an experiment; nil leaves a choice to the model's defaults (see the table at
/// `Settings.init(_:)`).
///
/// ```swift
/// var choices = Choices(rules: [.fixed, .standard, .backprop])
/// choices.model = .branching
/// choices.steps = PerRule(byRule: [.fixed: 50])
/// let comparison = try Experiment(Settings(choices)).compare()
/// ```
public struct Choices: Sendable {
  /// The network.
  public var model = NamedModel.mlp
  /// Widths of `mlp`'s hidden layers; 512, 512 by default.
  public var hidden: [Int]?
  /// The loss.
  public var loss: LossKind?
  /// The images.
  public var dataset = NamedDataset.digits
  /// The folder of the data set's files; `digits` needs none.
  public var dataDirectory: String?
  /// Examples of one's own, in place of the data set.
  public var ownData: ArrayFiles?
  /// How training images are changed from pass to pass; not at all by default.
  public var augmentation: Augmentation?
  /// The rules, in the order of results.
  public var rules: [NamedRule]
  /// How fixed predictions are solved; `stepwise` by default.
  public var solver = PerRule<FixedPredictions.Solver>()
  /// T; 100 for fixed predictions, 20 for standard predictive coding by default.
  public var steps = PerRule<Int>()
  /// h, in (0, 1]; 0.2 for fixed predictions, 0.1 for standard predictive coding by default.
  public var rate = PerRule<Double>()
  /// The update.
  public var optimizer: NamedOptimizer?
  /// The factor of the update.
  public var learningRate = PerRule<Double>()
  /// Whether an update takes the sum or the mean of the examples' gradients.
  public var reduction: GradientReduction?
  /// AdamW's weight decay; 0.01 by default.
  public var weightDecay: Double?
  /// Parameters that learn otherwise.
  public var groups: [ParameterGroup] = []
  /// The decay of the moving average of the weights, by which results are measured then; none by default.
  public var averageDecay: Double?
  /// How the learning rate goes over the run.
  public var schedule = NamedSchedule.constant
  /// Updates over which the learning rate grows at first.
  public var warmUp = 0
  /// The share of the training images that is held out to choose by; none by default.
  public var validation: Double?
  /// Ends a run after so many epochs in a row whose validation loss is no better than the best.
  public var patience: Int?
  /// Batches whose gradients make one update together.
  public var accumulation = 1
  /// Passes over the training images.
  public var epochs = 10
  /// Training steps for each rule and seed, after which a run ends early.
  public var maximalSteps: Int?
  /// Examples in a batch.
  public var batchSize = 64
  /// Draws the parameters and the order of the examples.
  public var seed: UInt64 = 0
  /// The seeds are `seed`, `seed` + 1, …, so many.
  public var seedCount = 1
  /// Whether training reports what vertices send, after each epoch; costs one more batch of inference.
  public var reportsMessages = false
  /// Bytes that parameters and plans may take; by default as many as the machine has.
  public var memoryLimit: Int?
  /// Where to compute.
  public var backend = NamedBackend.cpu
  /// Threads of the CPU backend; by default as many as there are processors. Results do not depend on them.
  public var threads: Int?
  /// Instructions that the CPU backend uses; by default the widest there are.
  public var instructionSet: CPU.InstructionSet?

  /// All defaults, with these rules.
  public init(rules: [NamedRule] = [.fixed, .backprop]) { self.rules = rules }
}
