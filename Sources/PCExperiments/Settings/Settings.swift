import PCDatasets
import PCGraphs
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

/// An experiment in which everything is decided and nothing is loaded yet.
public struct Settings: Sendable {
  /// The network.
  public var model: NamedModel
  /// Widths of `mlp`'s hidden layers; nil for its own.
  public var hidden: [Int]?
  /// The loss.
  public var loss: LossKind
  /// The images.
  public var dataset: NamedDataset
  /// The folder of the data set's files.
  public var dataDirectory: String?
  /// Examples of one's own, in place of the data set; a test part is drawn by the first seed.
  public var ownData: ArrayFiles?
  /// How training images are changed from pass to pass.
  public var augmentation: Augmentation?
  /// What is done to the pixels.
  public var normalization: Normalization
  /// The rules, each with its learning rate, in the order asked for.
  public var rules: [RuleSettings]
  /// The update.
  public var optimizer: NamedOptimizer
  /// Whether an update takes the sum or the mean of the examples' gradients.
  public var reduction: GradientReduction
  /// What limits a gradient.
  public var clipping: Clipping
  /// AdamW's weight decay; nil for other optimisers.
  public var weightDecay: Double?
  /// Parameters that learn otherwise.
  public var groups: [ParameterGroup]
  /// The decay of the moving average of the weights, if there is one.
  public var averageDecay: Double?
  /// How the learning rate goes over the run.
  public var schedule: NamedSchedule
  /// Updates over which the learning rate grows at first.
  public var warmUp: Int
  /// The share of the training images that is held out to choose by, drawn by the first seed.
  public var validation: Double?
  /// Epochs without a better validation loss that end a run.
  public var patience: Int?
  /// Batches whose gradients make one update together.
  public var accumulation: Int
  /// Passes over the training images.
  public var epochs: Int
  /// Training steps for each rule and seed, after which a run ends early.
  public var maximalSteps: Int?
  /// Examples in a batch.
  public var batchSize: Int
  /// Each draws parameters and an order of the examples, which all rules share.
  public var seeds: [UInt64]
  /// Whether training reports what vertices send, after each epoch.
  public var reportsMessages: Bool
  /// Bytes that parameters and plans may take; nil for as many as the machine has.
  public var memoryLimit: Int?
  /// Where to compute.
  public var backend: NamedBackend
  /// Threads of the CPU backend; nil for as many as there are processors.
  public var threads: Int?
  /// Instructions that the CPU backend uses; nil for the widest there are.
  public var instructionSet: CPU.InstructionSet?

  /// Fills in what was not chosen and checks all that can be checked without data.
  ///
  /// | model | pixels | loss | update |
  /// |---|---|---|---|
  /// | `cnn` | (x − ½)/½ | squared error | SGD 0.002, sum over the batch, clipped by value at ±12.5 |
  /// | `cnn` | (x − ½)/½ | cross-entropy | SGD 0.0005, sum over the batch, clipped by value at ±25 |
  /// | `mlp` | standardised | cross-entropy | Adam 0.0003, mean over the batch |
  /// | others | standardised | cross-entropy | Adam 0.001, mean over the batch |
  ///
  /// With another optimiser or reduction than the model's: Adam 0.001; SGD 0.1 for a mean and 0.002 for a sum, a tenth of
  /// these with momentum; not clipped.
  ///
  /// - Throws: a `SettingsError` about the first choice that cannot be.
  public init(_ choices: Choices) throws(SettingsError) {
    model = choices.model
    hidden = choices.hidden
    dataset = choices.dataset
    dataDirectory = choices.dataDirectory
    ownData = choices.ownData
    augmentation = choices.augmentation
    groups = choices.groups
    averageDecay = choices.averageDecay
    schedule = choices.schedule
    warmUp = choices.warmUp
    validation = choices.validation
    accumulation = choices.accumulation
    patience = choices.patience
    epochs = choices.epochs
    maximalSteps = choices.maximalSteps
    batchSize = choices.batchSize
    reportsMessages = choices.reportsMessages
    memoryLimit = choices.memoryLimit
    backend = choices.backend
    threads = choices.threads
    instructionSet = choices.instructionSet

    let recipe = Recipe(choices.model, loss: choices.loss)
    let update = recipe.update(optimizer: choices.optimizer, reduction: choices.reduction)
    loss = recipe.loss
    normalization = recipe.normalization
    optimizer = update.optimizer
    weightDecay = update.optimizer == .adamw ? choices.weightDecay ?? 0.01 : nil
    reduction = update.reduction
    clipping = update.clipping

    rules = []
    for rule in choices.rules {
      rules.append(try RuleSettings(rule, choices, learningRate: choices.learningRate[rule] ?? update.learningRate))
    }
    let (last, overflows) = choices.seed.addingReportingOverflow(UInt64(max(choices.seedCount, 1) - 1))
    guard !overflows else { throw SettingsError("The seeds from \(choices.seed) on exceed 64 bits; start lower.") }
    try Self.check("the number of seeds", choices.seedCount, in: 1...100_000)
    seeds = Array(choices.seed...last)
    try check(choices)
  }

  /// What records of the run call the data.
  public var dataName: String { ownData?.path ?? dataset.rawValue }

  private func check(_ choices: Choices) throws(SettingsError) {
    guard !rules.isEmpty else { throw SettingsError("There is no rule to train with; name at least one.") }
    for (index, rule) in rules.enumerated() where rules[..<index].contains(where: { $0.name == rule.name }) {
      throw SettingsError("The rule \(rule.name.rawValue) is asked for twice.")
    }
    let addressed: [(option: String, rules: [NamedRule], isTaken: (NamedRule) -> Bool)] = [
      ("solver", Array(choices.solver.byRule.keys), { $0 == .fixed }),
      ("number of steps", Array(choices.steps.byRule.keys), \.isIterative),
      ("rate", Array(choices.rate.byRule.keys), \.isIterative),
      ("learning rate", Array(choices.learningRate.byRule.keys), { _ in true }),
    ]
    for (option, names, isTaken) in addressed {
      for name in names.sorted(by: { $0.rawValue < $1.rawValue }) {
        guard isTaken(name) else { throw SettingsError("The rule \(name.rawValue) has no \(option) to choose.") }
        guard choices.rules.contains(name) else {
          throw SettingsError("A \(option) is given for the rule \(name.rawValue), which does not run.")
        }
      }
    }
    if let decay = choices.weightDecay {
      guard optimizer == .adamw else {
        throw SettingsError("The optimizer \(optimizer.rawValue) has no weight decay to choose; adamw has.")
      }
      guard decay >= 0, decay.isFinite else {
        throw SettingsError("The weight decay is \(decay); it must be a number from 0 on.")
      }
    }
    if let averageDecay, !(averageDecay >= 0 && averageDecay < 1) {
      throw SettingsError("The decay of the average is \(averageDecay); it must lie in [0, 1).")
    }
    for group in groups {
      guard optimizer == .adamw || group.weightDecay == nil else {
        throw SettingsError(
          "A weight decay is given for \(group.pattern), but \(optimizer.rawValue) has none; adamw has.")
      }
      guard group.learningRateFactor >= 0, group.learningRateFactor.isFinite,
        group.weightDecay.map({ $0 >= 0 && $0.isFinite }) ?? true
      else { throw SettingsError("The numbers for \(group.pattern) must be from 0 on.") }
    }
    try Self.check("the number of batches of an update", accumulation, in: 1...1_000_000)
    try Self.check("the number of updates to warm up", warmUp, in: 0...1_000_000_000)
    if let validation, !(validation > 0 && validation < 1) {
      throw SettingsError("The share held out for validation is \(validation); it must lie between 0 and 1.")
    }
    if let patience {
      try Self.check("the patience", patience, in: 1...1_000_000)
      guard validation != nil else {
        throw SettingsError("Stopping early needs a validation loss; hold images out with --validation 0.1.")
      }
    }
    if dataDirectory?.isEmpty == true {
      throw SettingsError("The data folder has no name; say with --data-dir which folder the files are in.")
    }
    try Self.check("the number of epochs", epochs, in: 1...1_000_000)
    if let maximalSteps { try Self.check("the largest number of training steps", maximalSteps, in: 1...Int.max) }
    try Self.check("the batch size", batchSize, in: 1...Int.max)
    if let threads { try Self.check("the number of threads", threads, in: 1...1024) }
    if let memoryLimit { try Self.check("the memory limit", memoryLimit, in: 1...Int.max) }
    if let instructionSet {
      guard backend == .cpu else {
        throw SettingsError("The backend \(backend.rawValue) has no instruction sets; --isa goes with --backend cpu.")
      }
      guard instructionSet.isSupported else { throw SettingsError("\(CPUError.instructionSet(instructionSet))") }
    }
    for width in hidden ?? [] { try Self.check("the width of a hidden layer", width, in: 1...1_000_000) }
  }

  package static func check(_ what: String, _ value: Int, in range: ClosedRange<Int>) throws(SettingsError) {
    guard !range.contains(value) else { return }
    let limits =
      range.upperBound == .max ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    throw SettingsError("\(what.asSentence) is \(value); it must be \(limits).")
  }
}

/// A rule with the values that it runs with.
public struct RuleSettings: Sendable {
  /// Its name.
  public var name: NamedRule
  /// The rule, with its steps, rate and solver.
  public var rule: any Rule
  /// The factor of the update.
  public var learningRate: Double
  /// What the solver `automatic` chose for the model, and why; nil where nothing was left to choose.
  public var choice: FixedPredictions.Choice?

  init(_ name: NamedRule, _ choices: Choices, learningRate: Double) throws(SettingsError) {
    let steps = choices.steps[name] ?? name.defaultSteps
    let rate = choices.rate[name] ?? name.defaultRate
    self.name = name
    self.learningRate = learningRate
    switch name {
    case .fixed: rule = FixedPredictions(steps: steps, rate: rate, solver: choices.solver[.fixed] ?? .stepwise)
    case .standard: rule = StandardPredictiveCoding(steps: steps, rate: rate)
    case .backprop: rule = Backprop()
    }
    // A plain value that no rule of this run takes is still wrong if it could not be right for any.
    try Settings.check("the number of inference steps", steps, in: 0...1_000_000)
    guard rate > 0, rate <= 1 else {
      throw SettingsError("The rate h is \(rate); it must lie in (0, 1], since larger steps explode on deep graphs.")
    }
    guard learningRate > 0, learningRate.isFinite else {
      throw SettingsError("The learning rate is \(learningRate); it must be a positive number.")
    }
  }

  /// The same rule with another number of steps.
  func rule(steps: Int) -> any Rule {
    guard var iterative = rule as? any IterativeRule else { return rule }
    iterative.steps = steps
    return iterative
  }

  /// T, where it matters to the result.
  public var steps: Int? { isAtEquilibrium ? nil : (rule as? any IterativeRule)?.steps }
  /// h, where it matters to the result.
  public var rate: Double? { isAtEquilibrium ? nil : (rule as? any IterativeRule)?.rate }

  private var isAtEquilibrium: Bool { (rule as? FixedPredictions)?.solver == .equilibrium }

  /// `fixed, stepwise, T = 100, h = 0.2`.
  public var summary: String {
    let parts: [String?] = [name.rawValue, rule.solverName, steps.map { "T = \($0)" }, rate.map { "h = \($0)" }]
    return parts.compactMap { $0 }.joined(separator: ", ")
  }
}
