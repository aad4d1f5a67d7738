import PCDatasets
import PCGraphs
import PCKernels
import PCPlans
import PCPrimitives

/// How the gradients of a batch's examples make one gradient. Alike for every rule, so that one learning rate means one
/// thing.
public enum GradientReduction: String, Sendable, CaseIterable {
  /// Σ over the examples, so that a learning rate depends on the batch size.
  case sum
  /// The sum divided by the number of examples.
  case meanOverExamples = "mean"
  /// The sum divided by the number of labels of the first loss that has some: for a readout at every step, of tokens.
  case meanOverTokens = "token-mean"

  func scale(_ feed: Feed, _ graph: Graph) -> Double {
    switch self {
    case .sum: return 1
    case .meanOverExamples: return 1 / Double(feed.count)
    case .meanOverTokens:
      let labels = graph.losses.lazy.compactMap(\.labels).first
      return 1 / Double(feed.count * (labels.map { graph.values[$0].shape.count } ?? 1))
    }
  }
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
  /// The parameters, and what runs on them.
  public let network: Network
  /// Finds the errors from which parameters learn.
  public let rule: any Rule
  /// Turns gradients into updates; change its learning rate between batches, not its type.
  public var optimizer: any Optimizer
  /// Multiplies the optimiser's learning rate, update by update; nil leaves it as it is.
  public var schedule: (any LearningRateSchedule)?
  /// Limits the gradient after the reduction.
  public let clipping: Clipping
  /// Scales the gradient, alike for every rule.
  public let reduction: GradientReduction
  /// How many steps of an unrolled sequence are computed again at a time rather than kept; nil where all are kept.
  public let recomputedSteps: Int?
  /// How many batches one update takes the gradients of together: their mean, or with the reduction `sum` their sum. Clipping
  /// limits what they make together. Batches that are left at the end of a run wait for the next.
  public let accumulation: Int
  /// Told of each step of inference on a batch, before its update, with the run to look at.
  ///
  /// Watching changes no result to the last bit: the batch is inferred once more beside training, in memory of its own that
  /// holds all that can be looked at. So a step of training takes more than twice as long while this or `onTrainingStep` is set.
  ///
  /// ```swift
  /// trainer.onInferenceStep = { step, run in print(step.step, step.energy, run["conv1"].message.norm) }
  /// ```
  public var onInferenceStep: ((InferenceStep, InferenceRun) -> Void)?
  /// Told of each training step once it is made.
  public var onTrainingStep: ((TrainingStep) -> Void)?
  /// Batches learned from so far, each of which is an update unless gradients are accumulated.
  public private(set) var updateCount = 0
  /// The pass that is under way, or the last one where it is complete.
  public private(set) var pass = EpochReport(epoch: 0)
  /// What carried inputs hold in the next batch of their stream.
  private var carried = CarriedState()

  /// Draws the parameters and writes the rule's plan; nothing is compiled before the first batch says its size.
  ///
  /// - Parameters:
  ///   - model: the graph, and how its parameters start.
  ///   - rule: finds the errors from which parameters learn.
  ///   - optimizer: its type and settings other than the learning rate stay as they are here.
  ///   - clipping: limits the gradient after the reduction; by default not at all.
  ///   - reduction: by default the mean over the examples of a batch.
  ///   - accumulation: how many batches make an update; by default each is one.
  ///   - recomputedSteps: trades time for memory on long unrolled sequences: the values of so many steps at a time are
  ///     computed again when messages come to them, from the state before them, instead of being kept since the
  ///     feedforward pass. Results are the same to the last bit. It costs a second feedforward pass of the recurrent cells
  ///     and saves a fifth of an LSTM's plan: what is computed for all steps at once, and what the gradients of weights
  ///     read in the end, is kept as before. About √length steps take the least memory. Stepwise synchronous inference
  ///     needs all values at once and saves nothing. By default all are kept.
  ///   - backend: where the parameters live and the plan runs.
  ///   - seed: draws the parameters and shuffles the examples.
  /// - Throws: a `RuleError` where rule and graph do not go together.
  public init(
    _ model: Model, rule: any Rule, optimizer: any Optimizer, clipping: Clipping = .none,
    reduction: GradientReduction = .meanOverExamples, accumulation: Int = 1, recomputing recomputedSteps: Int? = nil,
    on backend: any Backend, seed: UInt64
  ) throws {
    if let recomputedSteps, recomputedSteps < 1 {
      fatalError("Trainer cannot compute \(recomputedSteps) steps again at a time; give a positive number.")
    }
    self.recomputedSteps = recomputedSteps
    warnIfUnoptimized()
    guard accumulation >= 1 else {
      throw TrainingError.setting("gradients of \(accumulation) batches cannot be accumulated; 1 or more can")
    }
    self.accumulation = accumulation
    network = try Network(model, on: backend, seed: seed)
    self.rule = rule.resolved(for: model.graph, epsilon: backend.epsilon)
    self.optimizer = optimizer
    self.clipping = clipping
    self.reduction = reduction
    try checkSettings()
    _ = try trainingPlan()
  }

  private func checkSettings() throws(TrainingError) {
    for setting in optimizer.settings where !setting.range.contains(setting.value) {
      throw .setting(
        "the \(setting.name) of \(optimizer.name) is \(setting.value); it must lie in \(setting.range.lowerBound)...\(setting.range.upperBound)"
      )
    }
    guard optimizer.learningRate <= network.backend.largestNumber else {
      throw .setting("the learning rate \(optimizer.learningRate) is more than the backend's numbers hold")
    }
    switch clipping {
    case .none: break
    case .byValue(let limit), .byNorm(let limit):
      guard limit > 0, limit <= network.backend.largestNumber else {
        throw .setting("the gradient cannot be clipped at \(limit); the limit must be positive and finite")
      }
    }
  }

  // MARK: One batch

  /// One update from one batch.
  ///
  /// - Throws: `TrainingError.diverged` where a loss or the gradient is not finite; the parameters then are as before.
  ///   (An update that overflows shows in the loss of the next batch.)
  @discardableResult
  public func train(on feed: Feed) throws -> BatchReport {
    try train(on: feed) { executable, script in executable.run(script) }
  }

  /// One update from one batch, as `train(on:)` makes it, and how long each of its calls took; nil from a backend that does
  /// not tell. The first step on batches of a size also prepares what later ones find ready: profile the second.
  public func profile(on feed: Feed) throws -> Profile? {
    var profile: Profile?
    try train(on: feed) { executable, script in
      guard let next = executable.profile(script) else { return }
      profile = profile?.followed(by: next) ?? next
    }
    return profile
  }

  @discardableResult
  private func train(on feed: Feed, run: (any Executable, [Passage]) -> Void) throws -> BatchReport {
    try checkSettings()
    var feed = feed
    let graph = try network.graph(for: feed)
    try carried.fill(&feed, for: graph)
    if feed.noise == nil { feed.noise = .init(seed: network.seed, epoch: 0, batch: updateCount) }
    try feed.check(graph, largest: network.backend.largestNumber)
    let watched = onInferenceStep == nil && onTrainingStep == nil ? nil : try watchInference(on: feed)
    let (key, plan) = try trainingPlan(for: feed)
    let executable = try network.executable(key, plan, batchSize: feed.count)
    var scheduled = optimizer
    let (updates, waiting) = updateCount.quotientAndRemainder(dividingBy: accumulation)
    if let schedule { scheduled.learningRate *= schedule.factor(after: updates) }
    var coefficients = rule.coefficients.merging(scheduled.coefficients(step: updates + 1)) { $1 }
    coefficients["accumulated share"] = reduction == .sum ? 1 : 1 / Double(accumulation)
    coefficients["accumulated before"] = waiting == 0 ? 0 : 1
    coefficients["gradient scale"] = reduction.scale(feed, graph)
    for product in plan.slotProducts {
      let (first, second) = (plan.program.slots[product.first], plan.program.slots[product.second])
      coefficients[plan.program.slots[product.slot]] = (coefficients[first] ?? 0) * (coefficients[second] ?? 0)
    }
    for (name, value) in coefficients {
      if let slot = plan.slot(name) { executable.setSlot(slot, to: value) }
    }
    plan.load(feed, into: executable)
    run(executable, plan.script(rule.schedule.phases, steps: rule.schedule.steps))
    let report = BatchReport(plan, executable, feed)
    let squaredNorm = plan.squaredGradientNorm.map { executable.download($0.view.buffer)[0] } ?? 0
    guard report.totalLoss.isFinite, squaredNorm.isFinite else { throw divergence(on: feed) }
    carried.read(plan, executable)
    run(executable, plan.script(waiting + 1 == accumulation ? [.accumulate, .update] : [.accumulate]))
    updateCount += 1
    if let watched {
      onTrainingStep?(TrainingStep(step: updateCount, loss: report.loss, inference: watched))
    }
    return report
  }

  /// Where inference on a batch ends at the present parameters, each step told on the way.
  private func watchInference(on feed: Feed) throws -> InferenceStep {
    let run = try network.run(rule, on: feed, isMonitored: true)
    if let onInferenceStep {
      run.runAll { onInferenceStep($0, run) }
    } else {
      run.runAll()
    }
    return run.measure()
  }

  /// The plan of a training step on a feed, by default on one of the usual length.
  func trainingPlan(for feed: Feed? = nil) throws -> (key: String, plan: Plan) {
    try network.plan(
      rule, for: feed, optimizer: optimizer, clipping: clipping, accumulates: accumulation > 1, isObserved: false,
      recomputing: recomputedSteps)
  }

  /// What a checkpoint keeps of carried state, by the inputs' names in order.
  var carriedValues: [(name: String, values: [Double])] {
    carried.values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  func resume(updateCount: Int, pass: EpochReport, carried: [String: [Double]]) {
    self.updateCount = updateCount
    self.pass = pass
    self.carried = CarriedState(values: carried)
  }

  private func divergence(on feed: Feed) -> any Error {
    do {
      let found = try network.run(rule, on: feed).locateDivergence()
      return TrainingError.diverged(
        vertex: found.vertex, inferenceStep: found.step, update: updateCount + 1,
        learningRate: optimizer.learningRate, rate: found.step > 0 ? (rule as? any IterativeRule)?.rate : nil)
    } catch {
      return error
    }
  }

  // MARK: Many batches

  /// One pass over a data set in an order drawn from the seed and the epoch; the last batch may be smaller.
  ///
  /// - Parameters:
  ///   - epoch: the number of the pass, which with the seed decides its order.
  ///   - data: the examples to learn from.
  ///   - batchSize: examples for each update.
  ///   - maximalUpdates: ends the pass early.
  ///   - progress: called after each batch with its number, the number of batches and its report.
  /// - Throws: `TrainingError.diverged` as soon as a batch does.
  @discardableResult
  public func trainEpoch(
    _ epoch: Int, on data: Dataset, batchSize: Int, maximalUpdates: Int = .max,
    progress: (Int, Int, BatchReport) throws -> Void = { _, _, _ in }
  ) throws -> EpochReport {
    let feeds = try data.feeds(
      batchSize: batchSize, order: .shuffled(seed: network.seed, epoch: epoch), for: network.graph)
    return try trainEpoch(epoch, on: feeds, maximalUpdates: maximalUpdates, progress: progress)
  }

  /// One pass over the batches of anything.
  ///
  /// A pass of the same number that ended early, or that a checkpoint was taken from, goes on where it was; its report is
  /// that of the whole pass.
  ///
  /// - Parameters:
  ///   - epoch: the number of the pass, a key of the batches' random numbers.
  ///   - feeds: the batches.
  ///   - maximalUpdates: ends the pass after so many more updates.
  ///   - progress: called after each batch with its number, the number of batches and its report; `checkpoint(notes:)`
  ///     may be taken there. What it throws ends the pass.
  /// - Throws: `TrainingError.diverged` as soon as a batch does.
  @discardableResult
  public func trainEpoch(
    _ epoch: Int, on feeds: FeedSequence, maximalUpdates: Int = .max,
    progress: (Int, Int, BatchReport) throws -> Void = { _, _, _ in }
  ) throws -> EpochReport {
    if pass.epoch != epoch || pass.batches >= feeds.count { pass = EpochReport(epoch: epoch) }
    let clock = ContinuousClock()
    let first = pass.batches
    for index in first..<feeds.count {
      guard index - first < maximalUpdates else { break }
      var feed = try feeds.feed(index)
      if feed.noise == nil { feed.noise = .init(seed: network.seed, epoch: epoch, batch: index) }
      let start = clock.now
      let result = try train(on: feed)
      pass.add(result, seconds: (clock.now - start).seconds)
      try progress(index + 1, feeds.count, result)
    }
    return pass
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
  /// Σ wL divided by the number of labels, for a text in nats per character; NaN where there are no labels.
  public var lossPerLabel: Double

  /// These measures.
  public init(loss: Double, accuracy: Double, lossPerLabel: Double) {
    self.loss = loss
    self.accuracy = accuracy
    self.lossPerLabel = lossPerLabel
  }
}

/// Feedforward passes one after the other, each going on with the state that the one before left where its feed
/// `continuesStream`: how a recurrent net reads a text, or writes one.
public struct FeedforwardStream {
  private let network: Network
  private var carried = CarriedState()

  /// At the start of a stream.
  public init(_ network: Network) { self.network = network }

  /// The outputs for a batch: for the first loss, what it compares with its target, example by example in row-major
  /// order. Nothing is dropped.
  public mutating func outputs(of feed: Feed) throws -> [Double] { try run(feed).outputs }

  mutating func run(_ feed: Feed) throws -> (outputs: [Double], report: BatchReport) {
    var feed = feed
    feed.noise = nil
    let graph = try network.graph(for: feed)
    try carried.fill(&feed, for: graph)
    try feed.check(graph, largest: network.backend.largestNumber)
    let (key, plan) = try network.plan(Feedforward(), for: feed, isObserved: false)
    let executable = try network.executable(key, plan, batchSize: feed.count)
    plan.load(feed, into: executable)
    executable.run(plan.script([.parameters, .batch]))
    carried.read(plan, executable)
    let outputs = plan.outputs.first.map { executable.download($0) } ?? []
    return (outputs, BatchReport(plan, executable, feed))
  }
}

extension Network {
  /// Loss and accuracy on a data set, by the feedforward pass.
  public func evaluate(_ data: Dataset, batchSize: Int = 256) throws -> Evaluation {
    try evaluate(data.feeds(batchSize: min(batchSize, data.count), for: graph))
  }

  /// Loss and accuracy over batches, by the feedforward pass; state is carried from batch to batch where they say so, and
  /// nothing is dropped.
  ///
  /// `each` receives each batch with its outputs: for the first loss, what it compares with its target, example by example.
  public func evaluate(
    _ feeds: FeedSequence, each: (Feed, [Double]) throws -> Void = { _, _ in }
  ) throws -> Evaluation {
    var total = EpochReport(epoch: 0)
    var stream = FeedforwardStream(self)
    for index in 0..<feeds.count {
      let feed = try feeds.feed(index)
      let (outputs, report) = try stream.run(feed)
      total.add(report, seconds: 0)
      try each(feed, outputs)
    }
    return Evaluation(loss: total.loss, accuracy: total.accuracy, lossPerLabel: total.lossPerLabel)
  }
}

// MARK: - Reports

/// What one batch gave, at the parameters before its update.
public struct BatchReport: Sendable {
  /// Examples in the batch.
  public var examples: Int
  /// Σ wL over the examples, at the feedforward values.
  public var totalLoss: Double
  /// Labels met by the largest output.
  public var correct: Int
  /// Labels in all; 0 where the graph has none.
  public var labelled: Int

  /// Mean of Σ wL over the examples.
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
public struct EpochReport: Sendable, Codable, CustomStringConvertible {
  /// The number of the pass, which decides its order.
  public var epoch: Int
  /// Examples so far.
  public var examples = 0
  /// Σ wL over the examples so far.
  public var totalLoss = 0.0
  /// Labels met by the largest output, so far.
  public var correct = 0
  /// Labels so far; 0 where the graph has none.
  public var labelled = 0
  /// Batches so far.
  public var batches = 0
  /// Seconds of each training step, from the batch in memory to updated parameters; those of this process.
  public var stepSeconds: [Double] = []

  private enum CodingKeys: String, CodingKey { case epoch, examples, totalLoss, correct, labelled, batches }

  /// A report of no batches yet.
  public init(epoch: Int) { self.epoch = epoch }

  /// Mean loss of an example.
  public var loss: Double { totalLoss / Double(examples) }
  /// The fraction of labels met by the largest output; NaN where there are no labels.
  public var accuracy: Double { labelled > 0 ? Double(correct) / Double(labelled) : .nan }
  /// Loss divided by the number of labels, for a text in nats per character; NaN where there are no labels.
  public var lossPerLabel: Double { labelled > 0 ? totalLoss / Double(labelled) : .nan }

  mutating func add(_ batch: BatchReport, seconds: Double) {
    batches += 1
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

  /// An optimiser or a clipping that cannot be; the text says which and why.
  case setting(String)

  public var description: String {
    switch self {
    case .setting(let sentence): return sentence
    case .diverged(let vertex, let step, let update, let learningRate, let rate):
      let place = step == 0 ? "in the feedforward pass" : "in step \(step) of inference"
      // Before the first update nothing is the learning rate's fault.
      let advice =
        switch (rate, update) {
        case (let rate?, 1): "lower the rate (\(rate))"
        case (let rate?, _): "lower the rate (\(rate)) or the learning rate (\(learningRate))"
        case (nil, 1): "look at the model's initial values and its inputs"
        case (nil, _): "lower the learning rate (\(learningRate))"
        }
      return "training diverged: \(vertex) is not finite \(place) of update \(update); \(advice)"
    }
  }
}

extension Duration {
  /// The duration in seconds.
  public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension Trainer {
  /// The bytes of parameters, the optimiser's state and the training plan for batches of this size and, for sequences of
  /// the usual length or `length` steps. Computed; nothing is allocated.
  public func byteCount(batchSize: Int, length: Int? = nil) throws -> Int {
    var feed = Feed(count: batchSize, [:])
    feed.length = length
    let plan = try trainingPlan(for: feed).plan
    let number = network.backend.epsilon < 0x1p-23 ? 8 : 4
    let kept = plan.program.buffers.filter(\.isPersistent).reduce(0) { $0 + $1.count }
    return try network.backend.byteCount(of: plan.program, batchSize: batchSize) + number * kept
  }

  /// Multiply-adds of the matrix and convolution work that one training step cannot do without: what its time can be
  /// measured against. For a rule with steps those of its T steps alone, for any other those of the whole step.
  public func floorMultiplyAdds(batchSize: Int) throws -> Int {
    let plan = try trainingPlan().plan
    let (phases, steps) = rule.schedule
    return batchSize * plan.multiplyAdds(in: plan.script(steps > 0 ? [.step] : phases + [.update], steps: steps))
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
