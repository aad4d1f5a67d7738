import PCDatasets
import PCGraphs
import PCInterchange
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

/// Settings with their data, model and backend: ready to run.
///
/// ```swift
/// var choices = Choices(rules: [.fixed, .backprop])
/// choices.hidden = [64]
/// let comparison = try Experiment(Settings(choices)).compare()
/// print(comparison.table)
/// ```
public struct Experiment: Sendable {
  /// What is to be run.
  public let settings: Settings
  /// The data set, normalised as the settings say; the training part without what is held out.
  public let data: DataSplit
  /// What is held out from the training images, where that was asked for: to choose the best epoch by.
  public let validation: Dataset?
  /// The network.
  public let model: Model
  /// Where to compute.
  public let backend: any Backend

  /// Loads the data, builds the model and checks that they, the rules and the machine go together.
  ///
  /// - Throws: a `DataError`, `ModelError`, `RuleError`, `CPUError` or `SettingsError`.
  public init(_ settings: Settings) throws {
    // What is cheap to check comes before the data are read; of one's own data nothing is known before.
    let own = try settings.ownData?.load(seed: settings.seeds[0])
    var model = try settings.makeModel(own.map(ImageTask.init))
    for rule in settings.rules { try rule.rule.check(model.graph) }
    backend = try settings.makeBackend()
    let data = try own ?? settings.dataset.load(directory: settings.dataDirectory)
    guard settings.batchSize <= data.training.count else {
      throw DataError.batchSize(dataset: data.name, size: settings.batchSize, count: data.training.count)
    }
    let shape = data.training.inputShape
    if settings.augmentation != nil, shape.count != 3 || shape[1] == 1 || shape[2] == 1 {
      throw SettingsError(
        "The examples of \(data.name) have the shape \(shape) and are no images, which alone can be moved and mirrored; leave --augment out."
      )
    }
    // Files in a data set's format may hold images of another size than the published ones.
    let task = ImageTask(data)
    if own == nil, task != settings.task { model = try settings.makeModel(task) }
    try settings.checkMemory(of: model.graph)
    self.model = model
    var parts = data
    var heldOut: Dataset?
    if let fraction = settings.validation {
      guard let split = data.training.split(holdingOut: fraction, seed: settings.seeds[0]),
        settings.batchSize <= split.rest.count
      else {
        throw SettingsError(
          "Without the \(fraction) held out for validation, \(data.name) has fewer training images than a batch; hold out less or choose a smaller batch."
        )
      }
      parts.training = split.rest
      heldOut = split.heldOut
    }
    // By the statistics of what is learned from alone.
    self.data = parts.normalized(settings.normalization)
    validation = try heldOut.map {
      try DataSplit(training: parts.training, test: $0).normalized(settings.normalization).test
    }
    for group in settings.groups where !model.graph.parameters.contains(where: { group.contains($0.name) }) {
      let names = model.graph.parameters.map(\.name)
      throw SettingsError(
        "No parameter matches \(group.pattern); the parameters are \(names.joined(separator: ", ")).")
    }
    var decided = settings
    for (index, rule) in settings.rules.enumerated() {
      guard let fixed = rule.rule as? FixedPredictions, fixed.solver == .automatic else { continue }
      decided.rules[index].choice = fixed.choice(for: model.graph, epsilon: backend.epsilon)
      decided.rules[index].rule = fixed.resolved(for: model.graph, epsilon: backend.epsilon)
    }
    self.settings = decided
  }

  /// The first batch that training sees for a seed.
  func firstBatch(seed: UInt64, batchSize: Int? = nil) throws -> Feed {
    let order = BatchSequence.Order.shuffled(seed: seed, epoch: 1)
    let batches = try BatchSequence(
      data.training, batchSize: batchSize ?? settings.batchSize, order: order, augmentation: settings.augmentation)
    return try Feed(batches[0], for: model.graph)
  }
}

extension ImageTask {
  /// The data set's.
  init(_ data: DataSplit) { self.init(inputShape: data.training.inputShape, classes: data.training.classes) }
}

extension Settings {
  /// The images of the data set as it was published.
  var task: ImageTask { ImageTask(inputShape: dataset.inputShape, classes: dataset.classes) }

  /// The task and how many examples there are to learn from, as the data set was published; one's own data are read for it.
  func dataTask() throws -> (task: ImageTask, trainingCount: Int) {
    guard let ownData else { return (task, dataset.trainingCount) }
    let own = try ownData.load(seed: seeds[0])
    return (ImageTask(own), own.training.count)
  }

  /// The model for a task, by default the data set's as it was published; reads no data.
  ///
  /// - Throws: a `ModelError` where the model does not fit the images.
  public func makeModel(_ task: ImageTask? = nil) throws(ModelError) -> Model {
    try model.build(task ?? self.task, hidden: hidden, loss: loss)
  }

  /// The backend with the threads and instructions asked for.
  ///
  /// - Throws: a `CPUError` where this machine cannot have it.
  public func makeBackend() throws -> any Backend {
    switch backend {
    case .cpu: try CPU(threads: threads, instructionSet: instructionSet)
    case .reference: Reference()
    }
  }

  /// Parameters that do not fit into memory are an error here and not a crash later.
  func checkMemory(of graph: Graph) throws(SettingsError) {
    let parameters = graph.parameters.reduce(0.0) { $0 + $1.extents.reduce(1) { $0 * Double($1) } }
    let values = graph.values.reduce(0.0) { $0 + ($1.shape.isBatched ? Double($1.shape.count) : 0) }
    // Parameter, gradient and two moments, and while they are drawn a copy in Double; a value and its message.
    let bytes = 24 * parameters + 8 * values * Double(batchSize)
    guard bytes < 0x1p62, canAllocate(Int(bytes)) else {
      throw SettingsError(
        "\(model.rawValue) with batches of \(batchSize) needs about \(NumberText.significant(bytes / 1e9)) GB, which is "
          + "more than this machine or its limits allow; choose \(model == .mlp ? "fewer hidden units or " : "")a "
          + "smaller batch.")
    }
  }
}

extension Trainer {
  /// Stops a training that would take more memory than it may, before it takes any.
  ///
  /// - Throws: a `SettingsError` that says how much it would take.
  package func checkMemory(batchSize: Int, length: Int? = nil, limit: Int?) throws {
    guard let limit else { return }
    let needed = try byteCount(batchSize: batchSize, length: length)
    guard needed > limit else { return }
    func text(_ bytes: Int) -> String { "\(NumberText.significant(Double(bytes) / 1e6)) MB" }
    throw SettingsError(
      "Training by \(rule.name) with batches of \(batchSize) takes \(text(needed)), more than the memory limit of "
        + "\(text(limit)); choose a smaller batch, a smaller model or a larger limit.")
  }
}
