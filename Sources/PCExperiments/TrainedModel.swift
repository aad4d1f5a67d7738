import PCDatasets
import PCGraphs
import PCInterchange
import PCKernels
import PCLearning
import PCModels

/// A network with the parameters of a checkpoint, and what its inputs were normalised by: ready to evaluate and to predict.
///
/// ```swift
/// let model = try Model.load(from: "run", on: CPU())      // a run folder, or a checkpoint's file
/// let scores = try model.predict(images)                  // [examples, classes], row by row
/// ```
public struct TrainedModel {
  /// The network, on its backend.
  public let network: Network
  /// What it takes to build the network again.
  public let net: Net

  /// The description of a network in a checkpoint's notes.
  public struct Net: Codable, Sendable, Hashable {
    /// The model's name.
    public var model: String
    /// Widths of `mlp`'s hidden layers; nil for its own.
    public var hidden: [Int]?
    /// The loss's name.
    public var loss: String
    /// The data set's name.
    public var dataset: String
    /// The shape of one example.
    public var inputShape: [Int]
    /// How many labels there are.
    public var classes: Int
    /// A number x of the data set becomes (x − mean) / deviation.
    public var mean: Float
    /// See `mean`.
    public var deviation: Float
    /// The seed that drew the test part of one's own data; nil for a data set.
    public var testSeed: UInt64?
    /// The share of one's own data that this part is; nil for a data set.
    public var testShare: Double?

    init(_ experiment: Experiment) {
      model = experiment.settings.model.rawValue
      hidden = experiment.settings.hidden
      loss = experiment.settings.loss.rawValue
      dataset = experiment.settings.dataName
      inputShape = experiment.data.training.inputShape
      classes = experiment.data.training.classes
      (mean, deviation) = experiment.data.training.scaling
      testSeed = experiment.settings.ownData.map { _ in experiment.settings.seeds[0] }
      testShare = experiment.settings.ownData?.testShare
    }
  }

  /// The network of a checkpoint that `pcgraph train` wrote; with moving averages for parameters, where it holds them.
  ///
  /// - Parameters:
  ///   - path: a checkpoint, or a run folder: the best checkpoint there, or else the newest.
  ///   - backend: where to compute.
  /// - Throws: a `FileError`, `FormatError` or `CheckpointError` where there is none, or it is damaged or another's.
  public init(path: String, on backend: any Backend) throws {
    let folder = "\(path)/checkpoints"
    let found = ["best", "last"].map { "\(folder)/\($0).safetensors" }.first(where: fileExists)
    if found == nil, fileExists(folder) || !isRegularFile(path) && fileExists(path) {
      throw CheckpointError("There is no checkpoint in \(path); name a run folder of pcgraph train, or a file.")
    }
    try self.init(Checkpoint(path: found ?? path), source: found ?? path, on: backend)
  }

  init(_ checkpoint: Checkpoint, source: String, on backend: any Backend) throws {
    struct Notes: Decodable { var net: Net }
    guard let notes: Notes = try? checkpoint.notes() else {
      throw CheckpointError(
        "\(source) does not say which model its parameters belong to; pcgraph train writes what does.")
    }
    net = notes.net
    guard let model = NamedModel(rawValue: net.model), let loss = LossKind(rawValue: net.loss),
      elementCount(net.inputShape) != nil, net.mean.isFinite, net.deviation > 0, net.deviation.isFinite,
      (1...1_000_000).contains(net.classes), (net.hidden ?? []).allSatisfy({ 1...1_000_000 ~= $0 })
    else { throw CheckpointError("\(source) describes a net that cannot be built: \(net).") }
    let task = ImageTask(inputShape: net.inputShape, classes: net.classes)
    network = try Network(model.build(task, hidden: net.hidden, loss: loss), on: backend, seed: 0)
    try network.restoreParameters(of: checkpoint)
    for (name, value) in network.averagedParameters(among: checkpoint.arrays) {
      network.setParameter(name, to: value)
    }
  }

  // MARK: Using it

  /// The outputs for examples as the data set has them, before normalisation: for cross-entropy the logarithms of the classes'
  /// probabilities up to a constant.
  ///
  /// - Parameter inputs: one example after another, each in row-major order.
  /// - Returns: [examples, classes], row by row.
  /// - Throws: a `FeedError` where the numbers make no whole examples or are not finite.
  public func predict(_ inputs: [Float]) throws -> [Double] {
    let size = net.inputShape.reduce(1, *)
    guard !inputs.isEmpty, inputs.count % size == 0 else {
      throw FeedError(
        "The model takes \(size) numbers for an example of shape \(net.inputShape); \(inputs.count) make no whole examples."
      )
    }
    let count = inputs.count / size
    var outputs: [Double] = []
    var stream = FeedforwardStream(network)
    for first in stride(from: 0, to: count, by: 256) {
      let examples = first..<min(first + 256, count)
      let numbers = inputs[(examples.lowerBound * size)..<(examples.upperBound * size)].map {
        ($0 - net.mean) / net.deviation
      }
      outputs += try stream.outputs(
        of: Feed(
          count: examples.count,
          ["image": .floats(numbers), "label": .integers(Array(repeating: 0, count: examples.count))]))
    }
    return outputs
  }

  /// Loss, accuracies and confusions on examples as the data set has them.
  ///
  /// - Throws: a `SettingsError` where the examples are not of the shape or the number of classes that the model takes.
  public func evaluate(_ data: Dataset) throws -> Measurement { try evaluate([data], allowingFewerClasses: false) }

  /// The same on several sets of examples together.
  ///
  /// - Parameter allowingFewerClasses: whether the last classes may be without an example, as in files that do not say how
  ///   many there are.
  package func evaluate(_ parts: [Dataset], allowingFewerClasses: Bool) throws -> Measurement {
    var matrix = ConfusionMatrix(labels: (0..<net.classes).map(String.init))
    var hits = 0
    let k = min(5, net.classes)
    var total = Evaluation(loss: 0, accuracy: 0, lossPerLabel: 0)
    let count = parts.reduce(0) { $0 + $1.count }
    for data in parts {
      guard data.inputShape == net.inputShape,
        data.classes == net.classes || allowingFewerClasses && data.classes < net.classes
      else {
        throw SettingsError(
          "The model takes examples of shape \(net.inputShape) in \(net.classes) classes; \(data.name) has "
            + "\(data.inputShape) in \(data.classes).")
      }
      let feeds = try data.normalized(mean: net.mean, deviation: net.deviation).feeds(
        batchSize: min(256, data.count), for: network.graph)
      let evaluation = try network.evaluate(feeds) { feed, outputs in
        guard case .integers(let labels)? = feed.arrays["label"] else { return }
        matrix.add(scores: outputs.map(Float.init), labels: labels)
        hits += topHits(scores: outputs, labels: labels, k: k)
      }
      let share = Double(data.count) / Double(count)
      total.loss += share * evaluation.loss
      total.accuracy += share * evaluation.accuracy
      total.lossPerLabel += share * evaluation.lossPerLabel
    }
    return Measurement(
      evaluation: total, topAccuracy: Double(hits) / Double(count), k: k, confusion: matrix,
      isProbabilistic: net.loss == LossKind.crossEntropy.rawValue)
  }

  /// What an evaluation found.
  public struct Measurement: Sendable {
    /// Mean loss and accuracy.
    public var evaluation: Evaluation
    /// The fraction of examples whose label is among the `k` highest outputs.
    public var topAccuracy: Double
    /// 5, or the number of classes where there are fewer.
    public var k: Int
    /// How often examples of each class were taken for each class.
    public var confusion: ConfusionMatrix
    var isProbabilistic: Bool

    /// exp of the mean loss; nil where the loss is no cross-entropy.
    public var perplexity: Double? { isProbabilistic ? evaluation.perplexity : nil }

    package var json: JSON {
      .object([
        ("examples", .integer(confusion.total)), ("loss", .number(evaluation.loss)),
        ("accuracy", .number(evaluation.accuracy)), ("top\(k)Accuracy", .number(topAccuracy)),
        ("perplexity", .number(perplexity)),
        ("confusion", .array(confusion.counts.map { .array($0.map { .integer($0) }) })),
      ])
    }

    package var table: ResultTable {
      func percent(_ value: Double) -> String { "\(NumberText.fixed(100 * value, places: 2)) %" }
      return ResultTable(
        [.init("measure"), .init("value", .right)],
        rows: [
          ["examples", "\(confusion.total)"], ["loss", NumberText.significant(evaluation.loss, digits: 4)],
          ["accuracy", percent(evaluation.accuracy)], ["label among the \(k) highest", percent(topAccuracy)],
        ] + (perplexity.map { [["perplexity", NumberText.significant($0, digits: 4)]] } ?? []))
    }
  }
}

extension Model {
  /// The network of a checkpoint or run folder, with its parameters; see `TrainedModel`.
  public static func load(from path: String, on backend: any Backend) throws -> TrainedModel {
    try TrainedModel(path: path, on: backend)
  }
}

extension Settings {
  /// What trains a model by a rule as these settings say.
  ///
  /// - Parameter updates: those of all epochs, over which a schedule goes.
  func makeTrainer(
    _ model: Model, _ rule: RuleSettings, updates: Int, on backend: any Backend, seed: UInt64
  ) throws -> Trainer {
    var optimizer = optimizer.make(learningRate: rule.learningRate, weightDecay: weightDecay)
    if !groups.isEmpty { optimizer = GroupedOptimizer(optimizer, groups) }
    if let averageDecay { optimizer = AveragingOptimizer(optimizer, decay: averageDecay) }
    let trainer = try Trainer(
      model, rule: rule.rule, optimizer: optimizer, clipping: clipping, reduction: reduction,
      accumulation: accumulation, on: backend, seed: seed)
    trainer.schedule = schedule.make(updates: (updates - 1) / accumulation + 1, warmUp: warmUp)
    return trainer
  }
}
