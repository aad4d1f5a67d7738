import PCDatasets
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

/// What rules make of the same start and the same batches.
public struct Comparison: Sendable {
  /// What was compared.
  public var settings: Settings
  /// One for each rule, in the order asked for.
  public var rules: [RuleResult]
}

/// What a rule learned, with every seed.
public struct RuleResult: Sendable {
  /// The rule.
  public var settings: RuleSettings
  /// One for each seed, in order.
  public var runs: [TrainingRun]
}

/// What a rule learned with one seed.
public struct TrainingRun: Sendable, Codable {
  /// What drew the parameters and the order of the examples.
  public var seed: UInt64
  /// The fraction of test images classified correctly after each epoch.
  public var testAccuracy: [Double] = []
  /// The mean loss of a training image in each epoch, each batch before its update.
  public var trainLoss: [Double] = []
  /// The mean loss of an image that is held out after each epoch; empty where none is.
  public var validationLoss: [Double] = []
  /// The fraction of the images held out that is classified correctly after each epoch.
  public var validationAccuracy: [Double] = []
  /// ‖g_rule − g‖ / ‖g‖, where g is backprop's gradient, on the last batch at the final parameters.
  public var gradientShortfall = Double.nan
  /// The cosine of the angle between g_rule and g.
  public var gradientCosine = Double.nan
  /// Seconds of each training step, from the batch in memory to updated parameters; those of this process.
  public var stepSeconds: [Double] = []

  private enum CodingKeys: String, CodingKey {
    case seed, testAccuracy, trainLoss, validationLoss, validationAccuracy, gradientShortfall, gradientCosine
  }

  /// A run without results yet.
  public init(seed: UInt64) { self.seed = seed }

  /// The epoch of the lowest validation loss, from 1; nil where nothing is held out.
  public var bestEpoch: Int? {
    validationLoss.indices.min { validationLoss[$0] < validationLoss[$1] }.map { $0 + 1 }
  }
}

// MARK: - Running

extension Experiment {
  /// Trains by every rule and seed. Parameters and the order of examples depend on the seed alone, so all rules have the
  /// same start and the same batches.
  ///
  /// - Throws: `TrainingError.diverged` or a `DivergenceError` as soon as one run does.
  public func compare(progress: (TrainingProgress) -> Void = { _ in }) throws -> Comparison {
    try compare(keeping: nil, progress: progress)
  }

  /// The same, every run kept in checkpoints of its own: each goes on from its newest one, where there is one, and those
  /// that had ended are not trained again.
  ///
  /// - Parameters:
  ///   - keeping: where the run of this name is kept, such as `fixed-seed0`.
  ///   - progress: told about training.
  /// - Throws: as `train(keeping:progress:)` does.
  package func compare(
    keeping: ((String) throws -> CheckpointKeeping)?, progress: (TrainingProgress) -> Void = { _ in }
  ) throws -> Comparison {
    let digest = keeping.map { _ in data.checksum() }
    var results = settings.rules.map { RuleResult(settings: $0, runs: []) }
    let count = settings.rules.count * settings.seeds.count
    for (round, seed) in settings.seeds.enumerated() {
      for (index, rule) in settings.rules.enumerated() {
        let position = round * settings.rules.count + index + 1
        let kept = try keeping?(rule.name.runName(seed: seed))
        do {
          let (run, _) = try train(
            rule, seed: seed, run: position, of: count, keeping: kept, digest: digest, progress)
          results[index].runs.append(run)
        } catch let stop as TrainingInterrupted {
          throw TrainingInterrupted(place: "\(stop.place) of \(rule.name.rawValue), seed \(seed)")
        }
        if position < count, kept?.shouldStop() == true {
          throw TrainingInterrupted(place: "run \(position) of \(count)")
        }
      }
    }
    return Comparison(settings: settings, rules: results)
  }

  /// Trains by the first rule with the first seed.
  ///
  /// - Returns: the result, and the network with its final parameters: their moving averages, where those are kept.
  /// - Throws: `TrainingError.diverged`, or a `DivergenceError` where a result or a final parameter is not finite.
  public func train(progress: (TrainingProgress) -> Void = { _ in }) throws -> (result: RuleResult, network: Network)
  {
    try train(keeping: nil, progress: progress)
  }

  /// The same, kept in checkpoints: goes on from the newest one, where there is one.
  ///
  /// - Throws: `TrainingInterrupted` where the keeping asks to stop; a `CheckpointError` that lists all differences, where
  ///   the checkpoint is of a run with other settings.
  package func train(
    keeping: CheckpointKeeping?, progress: (TrainingProgress) -> Void = { _ in }
  ) throws -> (result: RuleResult, network: Network) {
    let (run, network) = try train(
      settings.rules[0], seed: settings.seeds[0], run: 1, of: 1, keeping: keeping,
      digest: keeping.map { _ in data.checksum() }, progress)
    return (RuleResult(settings: settings.rules[0], runs: [run]), network)
  }

  /// What a training keeps beside its parameters.
  struct Notes: Codable {
    /// All that decides how the run goes on, in words.
    var settings: [String: String]
    /// What the parameters belong to.
    var net: TrainedModel.Net
    /// Results after the epochs that are complete.
    var run: TrainingRun
    var plateau: Plateau?

    /// Epochs since the best one; nil where nothing is held out.
    var epochsSinceBest: Int? { run.bestEpoch.map { run.validationLoss.count - $0 } }
  }

  /// - Parameter digest: that of all data, which only a checkpoint needs.
  private func train(
    _ rule: RuleSettings, seed: UInt64, run position: Int, of runs: Int, keeping: CheckpointKeeping?,
    digest: String?, _ progress: (TrainingProgress) -> Void
  ) throws -> (TrainingRun, Network) {
    let batches = (data.training.count - 1) / settings.batchSize + 1
    let (all, overflows) = settings.epochs.multipliedReportingOverflow(by: batches)
    let steps = min(settings.maximalSteps ?? .max, overflows ? .max : all)
    // The last of them may end early.
    let epochs = (steps - 1) / batches + 1
    let trainer = try settings.makeTrainer(
      model, rule, updates: overflows ? .max : all, on: backend, seed: seed)
    try trainer.checkMemory(batchSize: settings.batchSize, limit: settings.memoryLimit)
    let learningRate = trainer.optimizer.learningRate

    /// Stops unless the numbers are finite.
    func check(_ what: String, _ numbers: [Double]) throws {
      guard numbers.allSatisfy(\.isFinite) else {
        throw DivergenceError(rule, seed: seed, "\(what) after update \(trainer.updateCount)")
      }
    }
    func checkParameters() throws {
      for (name, values) in trainer.network.parameters().sorted(by: { $0.key < $1.key }) {
        try check("the parameter \(name)", values.values)
      }
    }
    /// Adds the results of an epoch, or of the part of it that was run.
    func evaluate(_ report: EpochReport, into run: inout TrainingRun) throws {
      try check("the loss on the training images", [report.loss])
      try checkParameters()
      let (test, heldOut) = try trainer.withAveragedParameters {
        (try trainer.evaluate(data.test), try validation.map { try trainer.evaluate($0) })
      }
      try check("the loss on the test images", [test.loss, test.accuracy])
      run.trainLoss.append(report.loss)
      run.testAccuracy.append(test.accuracy)
      guard let heldOut else { return }
      try check("the loss on the images held out", [heldOut.loss])
      run.validationLoss.append(heldOut.loss)
      run.validationAccuracy.append(heldOut.accuracy)
    }
    var stepSeconds: [Double] = []
    var measured: GradientComparison?
    /// The gradient at the final parameters, measured before any final result is told.
    func finalGradient() throws -> GradientComparison {
      if let measured { return measured }
      let comparison = try trainer.gradientComparison(on: lastBatch(of: trainer.updateCount, seed: seed))
      try check("the gradient", [comparison.relativeError, comparison.cosine])
      measured = comparison
      return comparison
    }
    func tell(_ run: TrainingRun, epoch: Int, isLast: Bool) throws {
      if isLast { _ = try finalGradient() }
      if settings.reportsMessages {
        let feed = try lastBatch(of: trainer.updateCount, seed: seed)
        let messages = try trainer.network.messagesByVertex(rule.rule, on: feed)
        progress(.messages(MessageProgress(rule: rule.name, seed: seed, epoch: epoch, byVertex: messages)))
      }
      progress(
        .epoch(
          EpochProgress(
            rule: rule.name, seed: seed, epoch: epoch, epochs: epochs, trainLoss: run.trainLoss.last ?? .nan,
            testAccuracy: run.testAccuracy.last ?? .nan, validationLoss: run.validationLoss.last,
            validationAccuracy: run.validationAccuracy.last, isLast: isLast)))
    }
    func isStopped(_ notes: Notes) -> Bool {
      guard let patience = settings.patience, let waited = notes.epochsSinceBest else { return false }
      return waited >= patience
    }

    let words = digest.map { settingsInWords(rule, trainer, seed: seed, digest: $0) } ?? [:]
    var notes = Notes(settings: words, net: TrainedModel.Net(self), run: TrainingRun(seed: seed))
    if settings.schedule == .plateau { notes.plateau = Plateau(patience: 2) }
    var training = try ResumableTraining(trainer, keeping: keeping, notes: notes) { found in
      let names = Set(words.keys).union(found.settings.keys).sorted()
      let differences = names.filter { words[$0] != found.settings[$0] }.map {
        "\($0) is \(found.settings[$0] ?? "not set") there and \(words[$0] ?? "not set") here"
      }
      guard differences.isEmpty else {
        throw CheckpointError(
          "The run was started with other settings: \(differences.joined(separator: "; ")). Give the same ones to go on "
            + "with it (only --epochs and --max-steps may change, and --epochs not under a schedule that runs over all of "
            + "them), or choose another output folder.")
      }
    }
    training.check = checkParameters
    if let factor = training.notes.plateau?.factor { trainer.optimizer.learningRate = learningRate * factor }
    try training.run(passes: settings.epochs, updates: steps) { epoch in
      try data.training.feeds(
        batchSize: settings.batchSize, order: .shuffled(seed: seed, epoch: epoch),
        augmentation: settings.augmentation,
        for: model.graph)
    } progress: { epoch, _, _, batch, _ in
      progress(
        .step(
          StepProgress(
            rule: rule.name, seed: seed, epoch: epoch, epochs: epochs, run: position, runs: runs,
            step: trainer.updateCount, steps: steps, loss: batch.loss)))
    } note: { report, notes in
      try evaluate(report, into: &notes.run)
      stepSeconds += report.stepSeconds
      notes.plateau?.observe(notes.run.validationLoss.last ?? report.loss)
      if let factor = notes.plateau?.factor { trainer.optimizer.learningRate = learningRate * factor }
      try tell(notes.run, epoch: report.epoch, isLast: report.epoch == epochs || isStopped(notes))
    } isDone: {
      isStopped($0)
    } isBest: {
      $0.epochsSinceBest == 0
    }

    var run = training.notes.run
    if trainer.pass.batches < batches {
      try evaluate(trainer.pass, into: &run)
      stepSeconds += trainer.pass.stepSeconds
      try tell(run, epoch: trainer.pass.epoch, isLast: true)
    }
    run.stepSeconds = stepSeconds
    let comparison = try finalGradient()
    run.gradientShortfall = comparison.relativeError
    run.gradientCosine = comparison.cosine
    let averages = settings.averageDecay == nil ? [:] : try trainer.averagedParameters()
    for (name, value) in averages { trainer.network.setParameter(name, to: value) }
    return (run, trainer.network)
  }

  /// All that decides how a training goes on, but how long it lasts.
  private func settingsInWords(
    _ rule: RuleSettings, _ trainer: Trainer, seed: UInt64, digest: String
  ) -> [String: String] {
    var words: [String: String] = [:]
    if case .object(let members) = settings.json {
      for (key, value) in members where !["epochs", "maxSteps", "rules"].contains(key) {
        if case .null = value { continue }
        if case .string(let text) = value { words[key] = text } else { words[key] = "\(value)" }
      }
    }
    words["rule"] = rule.summary
    words["learningRate"] = "\(rule.learningRate)"
    words["seed"] = "\(seed)"
    words["dataset"] = settings.dataName
    words["data"] = String(digest.prefix(12))
    words["backend"] = settings.backend.rawValue
    if let cpu = backend as? CPU { words["isa"] = cpu.instructionSet.rawValue }
    if let schedule = trainer.schedule { words["schedule"] = schedule.summary }
    return words
  }

  /// The batch of training step `count`, which counts from 1.
  private func lastBatch(of count: Int, seed: UInt64) throws -> Feed {
    let perEpoch = (data.training.count + settings.batchSize - 1) / settings.batchSize
    let (epoch, index) = (count - 1).quotientAndRemainder(dividingBy: perEpoch)
    let order = BatchSequence.Order.shuffled(seed: seed, epoch: epoch + 1)
    return try Feed(
      BatchSequence(
        data.training, batchSize: settings.batchSize, order: order, augmentation: settings.augmentation)[index],
      for: model.graph)
  }
}
