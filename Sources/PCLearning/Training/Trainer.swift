import PCDatasets
import PCGraphs
import PCKernels
import PCPlans

/// How the gradients of a batch's examples make one gradient. Alike for every rule, so that one learning rate means one
/// thing.
public enum GradientReduction: String, Sendable, CaseIterable {
  case sum
  case meanOverExamples = "mean"

  func scale(batchSize: Int) -> Double { self == .sum ? 1 : 1 / Double(batchSize) }
}

/// Trains a model by a rule.
///
/// ```swift
/// let digits = try NamedDataset.digits.load().normalized(.standardised)
/// let model = try Model.mlp(ImageTask(inputShape: [1, 8, 8], classes: 10), hidden: [64])
/// let trainer = try Trainer(
///   model, rule: FixedPredictions(steps: 100, rate: 0.2), optimizer: Adam(learningRate: 1e-3), on: CPU(), seed: 7)
/// for epoch in 1...5 {
///   print(try trainer.trainEpoch(epoch, on: digits.training, batchSize: 64))
/// }
/// print(try trainer.evaluate(digits.test).accuracy)
/// ```
public final class Trainer {
  public let network: Network
  public let rule: any Rule
  public var optimizer: any Optimizer
  public let clipping: Clipping
  public let reduction: GradientReduction
  /// Updates made so far.
  public private(set) var updateCount = 0

  /// - Parameters:
  ///   - optimizer: its type and settings other than the learning rate stay as they are here.
  ///   - reduction: by default the mean over the examples of a batch.
  ///   - seed: draws the parameters and shuffles the examples.
  /// - Throws: a `RuleError` where rule and graph do not go together.
  public init(
    _ model: Model, rule: any Rule, optimizer: any Optimizer, clipping: Clipping = .none,
    reduction: GradientReduction = .meanOverExamples, on backend: any Backend, seed: UInt64
  ) throws {
    warnIfUnoptimized()
    network = try Network(model, on: backend, seed: seed)
    self.rule = rule
    self.optimizer = optimizer
    self.clipping = clipping
    self.reduction = reduction
    _ = try network.plan(rule, optimizer: optimizer, clipping: clipping)
  }

  // MARK: One batch

  /// One update from one batch.
  ///
  /// - Throws: `TrainingError.diverged` where a loss or the gradient is not finite; the parameters then are as before.
  @discardableResult
  public func train(on feed: Feed) throws -> BatchReport {
    try feed.check(network.graph)
    let (key, plan) = try network.plan(rule, optimizer: optimizer, clipping: clipping)
    let executable = try network.executable(key, plan, batchSize: feed.count)
    let coefficients = rule.coefficients.merging(optimizer.coefficients(step: updateCount + 1)) { $1 }
    for (name, value) in coefficients {
      if let slot = plan.slot(name) { executable.setSlot(slot, to: value) }
    }
    if let slot = plan.slot("gradient scale") {
      executable.setSlot(slot, to: reduction.scale(batchSize: feed.count))
    }
    plan.load(feed, into: executable)
    executable.run(plan.script(rule.schedule.phases, steps: rule.schedule.steps))
    let report = BatchReport(plan, executable, feed)
    let squaredNorm = plan.squaredGradientNorm.map { executable.download($0.view.buffer)[0] } ?? 0
    guard report.totalLoss.isFinite, squaredNorm.isFinite else { throw divergence(on: feed) }
    executable.run(plan.script([.update]))
    updateCount += 1
    return report
  }

  private func divergence(on feed: Feed) -> any Error {
    do {
      let found = try network.run(rule, on: feed).locateDivergence()
      return TrainingError.diverged(
        vertex: found?.vertex ?? "the gradient", inferenceStep: found?.step ?? rule.schedule.steps,
        update: updateCount + 1, learningRate: optimizer.learningRate,
        rate: found.map { $0.step > 0 } == true ? (rule as? any IterativeRule)?.rate : nil)
    } catch {
      return error
    }
  }

  // MARK: Many batches

  /// One pass over a data set in an order drawn from the seed and the epoch; the last batch may be smaller.
  ///
  /// - Parameters:
  ///   - maximalUpdates: ends the pass early.
  ///   - progress: called after each batch with its number, the number of batches and its report.
  public func trainEpoch(
    _ epoch: Int, on data: Dataset, batchSize: Int, maximalUpdates: Int = .max,
    progress: (Int, Int, BatchReport) -> Void = { _, _, _ in }
  ) throws -> EpochReport {
    let batches = try BatchSequence(data, batchSize: batchSize, order: .shuffled(seed: network.seed, epoch: epoch))
    var report = EpochReport(epoch: epoch)
    let clock = ContinuousClock()
    for (index, batch) in batches.enumerated() {
      guard index < maximalUpdates else { break }
      let feed = try Feed(batch, for: network.graph)
      let start = clock.now
      let result = try train(on: feed)
      report.add(result, seconds: (clock.now - start).seconds)
      progress(index + 1, batches.count, result)
    }
    return report
  }

  /// Loss and accuracy on a data set, by the feedforward pass: without a target it is where inference rests.
  public func evaluate(_ data: Dataset, batchSize: Int = 256) throws -> Evaluation {
    try network.evaluate(data, batchSize: batchSize)
  }

  /// The rule's gradient on a batch beside backprop's, at the present parameters.
  public func gradientComparison(on feed: Feed) throws -> GradientComparison {
    try network.gradients(rule, on: feed).compared(with: network.gradients(Backprop(), on: feed))
  }
}

// MARK: - Evaluation

/// The feedforward pass and the losses, for evaluation.
struct Feedforward: Rule {
  let name = "feedforward"
  var schedule: (phases: [Phase], steps: Int) { ([.parameters, .batch], 0) }

  func write(_ plan: PlanBuilder) {
    plan.predictAll()
    plan.writeLosses()
  }
}

/// Loss and accuracy over a data set.
public struct Evaluation: Sendable, Hashable {
  /// Mean over the examples of Σ wL.
  public var loss: Double
  /// The fraction of examples (or positions) whose largest output is the label; NaN where there are no labels.
  public var accuracy: Double
}

extension Network {
  /// Loss and accuracy on a data set, by the feedforward pass.
  public func evaluate(_ data: Dataset, batchSize: Int = 256) throws -> Evaluation {
    let (key, plan) = try plan(Feedforward())
    var total = EpochReport(epoch: 0)
    for batch in try BatchSequence(data, batchSize: min(batchSize, data.count)) {
      let feed = try Feed(batch, for: graph)
      try feed.check(graph)
      let executable = try executable(key, plan, batchSize: feed.count)
      plan.load(feed, into: executable)
      executable.run(plan.script([.parameters, .batch]))
      total.add(BatchReport(plan, executable, feed), seconds: 0)
    }
    return Evaluation(loss: total.loss, accuracy: total.accuracy)
  }
}

// MARK: - Reports

/// What one batch gave, at the parameters before its update.
public struct BatchReport: Sendable {
  public var examples: Int
  /// Σ wL over the examples, at the feedforward values.
  public var totalLoss: Double
  /// Labels met by the largest output, and labels in all.
  public var correct: Int
  public var labelled: Int

  public var loss: Double { totalLoss / Double(examples) }

  init(_ plan: Plan, _ executable: any Executable, _ feed: Feed) {
    examples = feed.count
    totalLoss = plan.losses.reduce(0) { executable.download($1.view.buffer).reduce($0, +) }
    correct = 0
    labelled = 0
    // The first loss with labels is the one that classifies.
    guard let index = plan.graph.losses.firstIndex(where: { $0.labels != nil }),
      let input = plan.graph.inputs.first(where: { $0.value == plan.graph.losses[index].labels }),
      case .integers(let labels)? = feed.arrays[input.name]
    else { return }
    let term = plan.outputs[index]
    guard term.isDense, term.view.offset == 0, let classes = term.extents.last else { return }
    let outputs = executable.download(term.view.buffer)
    labelled = labels.count
    for (row, label) in labels.enumerated() {
      let scores = outputs[(row * classes)..<((row + 1) * classes)]
      if let best = scores.indices.max(by: { scores[$0] < scores[$1] }), best - row * classes == Int(label) {
        correct += 1
      }
    }
  }
}

/// What one pass over a data set gave; figures are running ones, each batch before its update.
public struct EpochReport: Sendable, CustomStringConvertible {
  public var epoch: Int
  public var examples = 0
  public var totalLoss = 0.0
  public var correct = 0
  public var labelled = 0
  /// Seconds of each training step, from the batch in memory to updated parameters.
  public var stepSeconds: [Double] = []

  public init(epoch: Int) { self.epoch = epoch }

  /// Mean loss of an example.
  public var loss: Double { totalLoss / Double(examples) }
  public var accuracy: Double { labelled > 0 ? Double(correct) / Double(labelled) : .nan }

  mutating func add(_ batch: BatchReport, seconds: Double) {
    examples += batch.examples
    totalLoss += batch.totalLoss
    correct += batch.correct
    labelled += batch.labelled
    stepSeconds.append(seconds)
  }

  public var description: String { "epoch \(epoch): loss \(loss), accuracy \(accuracy)" }
}

/// Why training stopped, in a sentence.
public enum TrainingError: Error, Sendable, Hashable, CustomStringConvertible {
  /// `inferenceStep` is 0 for the feedforward pass. `rate` is set where lowering it could help.
  case diverged(vertex: String, inferenceStep: Int, update: Int, learningRate: Double, rate: Double?)

  public var description: String {
    switch self {
    case .diverged(let vertex, let step, let update, let learningRate, let rate):
      let place = step == 0 ? "in the feedforward pass" : "in step \(step) of inference"
      let advice =
        rate.map { "the rate (\($0)) or the learning rate (\(learningRate))" }
        ?? "the learning rate (\(learningRate))"
      return "training diverged: \(vertex) is not finite \(place) of update \(update); lower \(advice)"
    }
  }
}

extension Duration {
  /// The duration in seconds.
  public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension Trainer {
  /// Multiply-adds of the matrix and convolution work of one training step: what its time can be measured against.
  public func multiplyAdds(batchSize: Int) throws -> Int {
    let (_, plan) = try network.plan(rule, optimizer: optimizer, clipping: clipping)
    let schedule = rule.schedule
    return schedule.phases.reduce(0) { sum, phase in
      sum + plan.multiplyAdds(in: phase) * batchSize * (phase == .step ? schedule.steps : 1)
    }
  }
}

extension Network {
  /// The mean over the examples of a batch of Σ wL, by the feedforward pass.
  public func meanLoss(on feed: Feed) throws -> Double {
    let run = try run(Feedforward(), on: feed)
    run.runAll()
    return run.losses().reduce(0, +) / Double(feed.count)
  }
}
