import PCDatasets
import PCLearning

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
public struct TrainingRun: Sendable {
  /// What drew the parameters and the order of the examples.
  public var seed: UInt64
  /// The fraction of test images classified correctly after each epoch.
  public var testAccuracy: [Double] = []
  /// The mean loss of a training image in each epoch, each batch before its update.
  public var trainLoss: [Double] = []
  /// ‖g_rule − g‖ / ‖g‖, where g is backprop's gradient, on the last batch at the final parameters.
  public var gradientShortfall = Double.nan
  /// The cosine of the angle between g_rule and g.
  public var gradientCosine = Double.nan
  /// Seconds of each training step, from the batch in memory to updated parameters.
  public var stepSeconds: [Double] = []
}

// MARK: - Running

extension Experiment {
  /// Trains by every rule and seed. Parameters and the order of examples depend on the seed alone, so all rules have the
  /// same start and the same batches.
  ///
  /// - Throws: `TrainingError.diverged` or a `DivergenceError` as soon as one run does.
  public func compare(progress: (TrainingProgress) -> Void = { _ in }) throws -> Comparison {
    var results = settings.rules.map { RuleResult(settings: $0, runs: []) }
    for (round, seed) in settings.seeds.enumerated() {
      for (index, rule) in settings.rules.enumerated() {
        let position = round * results.count + index + 1
        let (run, _) = try train(rule, seed: seed, run: position, of: results.count * settings.seeds.count, progress)
        results[index].runs.append(run)
      }
    }
    return Comparison(settings: settings, rules: results)
  }

  /// Trains by the first rule with the first seed.
  ///
  /// - Returns: the result, and the network with its final parameters.
  /// - Throws: `TrainingError.diverged`, or a `DivergenceError` where a result or a final parameter is not finite.
  public func train(progress: (TrainingProgress) -> Void = { _ in }) throws -> (result: RuleResult, network: Network)
  {
    let (run, network) = try train(settings.rules[0], seed: settings.seeds[0], run: 1, of: 1, progress)
    return (RuleResult(settings: settings.rules[0], runs: [run]), network)
  }

  private func train(
    _ rule: RuleSettings, seed: UInt64, run position: Int, of runs: Int, _ progress: (TrainingProgress) -> Void
  ) throws -> (TrainingRun, Network) {
    let trainer = try Trainer(
      model, rule: rule.rule, optimizer: settings.optimizer.make(learningRate: rule.learningRate),
      clipping: settings.clipping, reduction: settings.reduction, on: backend, seed: seed)
    try trainer.checkMemory(batchSize: settings.batchSize, limit: settings.memoryLimit)
    let batches = (data.training.count - 1) / settings.batchSize + 1
    let (all, overflows) = settings.epochs.multipliedReportingOverflow(by: batches)
    let steps = min(settings.maximalSteps ?? .max, overflows ? .max : all)
    // The last of them may end early.
    let epochs = (steps - 1) / batches + 1

    /// Stops unless the numbers are finite.
    func check(_ what: String, _ numbers: [Double]) throws {
      guard numbers.allSatisfy(\.isFinite) else {
        throw DivergenceError(rule, seed: seed, "\(what) after update \(trainer.updateCount)")
      }
    }

    var run = TrainingRun(seed: seed)
    for epoch in 1...epochs {
      let done = trainer.updateCount
      let report = try trainer.trainEpoch(
        epoch, on: data.training, batchSize: settings.batchSize, maximalUpdates: steps - done
      ) { index, _, batch in
        progress(
          .step(
            StepProgress(
              rule: rule.name, seed: seed, epoch: epoch, epochs: epochs, run: position, runs: runs,
              step: done + index, steps: steps, loss: batch.loss)))
      }
      try check("the loss on the training images", [report.loss])
      for (name, values) in trainer.network.parameters().sorted(by: { $0.key < $1.key }) {
        try check("the parameter \(name)", values.values)
      }
      let evaluation = try trainer.evaluate(data.test)
      try check("the loss on the test images", [evaluation.loss, evaluation.accuracy])
      if epoch == epochs {
        let comparison = try trainer.gradientComparison(on: lastBatch(of: trainer.updateCount, seed: seed))
        run.gradientShortfall = comparison.relativeError
        run.gradientCosine = comparison.cosine
        try check("the gradient", [comparison.relativeError, comparison.cosine])
      }
      run.trainLoss.append(report.loss)
      run.testAccuracy.append(evaluation.accuracy)
      run.stepSeconds += report.stepSeconds
      if settings.reportsMessages {
        let feed = try lastBatch(of: trainer.updateCount, seed: seed)
        let messages = try trainer.network.messagesByVertex(rule.rule, on: feed)
        progress(.messages(MessageProgress(rule: rule.name, seed: seed, epoch: epoch, byVertex: messages)))
      }
      progress(
        .epoch(
          EpochProgress(
            rule: rule.name, seed: seed, epoch: epoch, epochs: epochs, trainLoss: report.loss,
            testAccuracy: evaluation.accuracy, isLast: epoch == epochs)))
    }
    return (run, trainer.network)
  }

  /// The batch of training step `count`, which counts from 1.
  private func lastBatch(of count: Int, seed: UInt64) throws -> Feed {
    let perEpoch = (data.training.count + settings.batchSize - 1) / settings.batchSize
    let (epoch, index) = (count - 1).quotientAndRemainder(dividingBy: perEpoch)
    let order = BatchSequence.Order.shuffled(seed: seed, epoch: epoch + 1)
    return try Feed(
      BatchSequence(data.training, batchSize: settings.batchSize, order: order)[index], for: model.graph)
  }
}
