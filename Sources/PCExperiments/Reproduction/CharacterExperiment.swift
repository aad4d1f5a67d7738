import PCDatasets
import PCGraphs
import PCInterchange
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

/// The paper's LSTM, which learns to predict Shakespeare's next character, by predictive coding and by backprop; in the
/// paper's setting and in one of today.
package struct CharacterExperiment: PaperExperiment {
  package static let name = NamedPaperExperiment.lstm
  package static let title = "An LSTM that writes Shakespeare"
  package static let claim = """
    An LSTM, whose gates are products of vertices, learns by predictive coding as it does by backprop: the training loss \
    follows the same curve.
    """

  /// One rule in one setting; the defaults are the full experiment's.
  package struct Work: PaperWork {
    package var setting: CharacterSetting
    package var rule: NamedRule
    package var number: UInt64
    package var hidden = 1056
    package var window = 50
    package var streams = 64
    /// After so many windows the streams start again from the initial state. A state that is carried through a whole epoch
    /// drifts to where no fresh start leads: held-out loss was 0.5 nats behind training after the first epoch.
    package var restart = 40
    /// Characters of the text, from its beginning; nil for all.
    package var length: Int?
    package var epochs: Int
    package var learningRate: Double
    /// The learning rate's factor from one epoch to the next.
    package var decay: Double
    package var dropout: Double
    package var steps = 200
    package var rate = 0.1
    package var solver = FixedPredictions.Solver.closedForm

    package init(_ setting: CharacterSetting, _ rule: NamedRule, seed number: UInt64) {
      self.setting = setting
      self.rule = rule
      self.number = number
      switch setting {
      case .modern: (epochs, learningRate, decay, dropout) = (4, 0.002, 0.5, 0.3)
      case .paper: (epochs, learningRate, decay, dropout) = (2, 1e-5, 1, 0)
      }
    }

    package var name: String { "\(setting.rawValue)-\(rule.rawValue)-seed\(number)" }
    package var seed: UInt64? { number }
  }

  /// What a rule learned, epoch by epoch.
  package struct Result: Codable, Sendable {
    /// Mean losses of a character: nats in the modern setting, ½Σ(t − p)² in the paper's.
    package var trainLoss: [Double] = []
    package var heldOutLoss: [Double] = []
    /// The share of characters that were the net's first guess.
    package var trainAccuracy: [Double] = []
    package var heldOutAccuracy: [Double] = []
    /// What the net wrote after each epoch.
    package var samples: [String] = []
    /// ‖g′ − g‖ / ‖g‖ on one batch after each epoch, where g is backprop's gradient: of the rule as it trained, and of it
    /// stepwise.
    package var gradientErrors: [Double] = []
    package var stepwiseErrors: [Double] = []
    /// Milliseconds of a training step, the median of this process, and of the one stepwise gradient.
    package var stepMilliseconds = Double.nan
    package var stepwiseMilliseconds = Double.nan
  }

  /// What a checkpoint keeps.
  struct Notes: Codable {
    var net: CharacterNet
    var result = Result()
  }

  private let settings: Reproduction
  private let backend: CPU

  package init(_ settings: Reproduction) throws {
    self.settings = settings
    backend = try CPU(threads: settings.threads)
  }

  package func plan() throws -> (works: [Work], omissions: [String]) {
    do throws(DataError) {
      _ = try CharacterText.shakespeare(directory: settings.dataDirectory)
    } catch {
      return ([], ["\(error)"])
    }
    let works = (0..<(settings.seedCount ?? 1)).flatMap { seed in
      CharacterSetting.allCases.reversed().flatMap { setting in
        [NamedRule.backprop, .fixed].map { rule in
          var work = Work(setting, rule, seed: UInt64(seed))
          if settings.isQuick {
            (work.hidden, work.streams, work.length) = (256, 32, 400_000)
            (work.epochs, work.learningRate) = setting == .modern ? (3, 0.002) : (1, 1e-4)
          }
          return work
        }
      }
    }
    return (works, [])
  }

  // MARK: Work

  package func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) throws -> Result {
    let text = try CharacterText.shakespeare(directory: settings.dataDirectory)
    return try perform(work, on: text, checkpoint: checkpoint, progress: progress)
  }

  package func perform(
    _ work: Work, on whole: CharacterText, checkpoint: String, progress: (TrainingProgress) -> Void
  ) throws -> Result {
    let text =
      try work.length.map { try CharacterText(name: whole.name, text: whole.decode(whole.codes.prefix($0))) } ?? whole
    let net = CharacterNet(
      vocabulary: text.decode((0..<Int32(text.vocabulary.count)).map { $0 }), hidden: work.hidden,
      setting: work.setting, dropout: work.dropout, window: work.window)
    let rule: any Rule =
      work.rule == .backprop
      ? Backprop()
      : FixedPredictions(steps: work.steps, rate: work.rate, solver: work.solver, order: .timeReversed)
    let isModern = work.setting == .modern
    let trainer = try Trainer(
      net.model(), rule: rule,
      optimizer: isModern ? Adam(learningRate: work.learningRate) : SGD(learningRate: work.learningRate),
      clipping: isModern ? .byNorm(1) : .byValue(50), reduction: isModern ? .meanOverTokens : .sum, on: backend,
      seed: work.number)
    try trainer.checkMemory(batchSize: work.streams, length: work.window, limit: settings.memoryLimit)
    let heldOut = try Self.feeds(text.heldOut, work, epoch: nil)

    var training = try ResumableTraining(
      trainer, keeping: settings.keeping(checkpoint), notes: Notes(net: net))
    try training.run(passes: work.epochs) { epoch in
      trainer.optimizer.learningRate = (1..<epoch).reduce(work.learningRate) { rate, _ in rate * work.decay }
      return try Self.feeds(text.training, work, epoch: epoch)
    } progress: { epoch, index, feeds, batch, _ in
      progress(
        .step(
          StepProgress(
            rule: work.rule, seed: work.number, epoch: epoch, epochs: work.epochs, run: 1, runs: 1,
            step: (epoch - 1) * feeds.count + index, steps: work.epochs * feeds.count,
            loss: batch.totalLoss / Double(max(batch.labelled, 1)))))
    } note: { report, notes in
      let evaluation = try trainer.network.evaluate(heldOut)
      notes.result.trainLoss.append(report.lossPerLabel)
      notes.result.trainAccuracy.append(report.accuracy)
      notes.result.heldOutLoss.append(evaluation.lossPerLabel)
      notes.result.heldOutAccuracy.append(evaluation.accuracy)
      notes.result.samples.append(
        try TextGenerator(trainer.network, net).text(
          after: text.vocabulary.contains("\n") ? "\n" : text.decode(text.codes.prefix(1)),
          count: settings.isQuick ? 200 : 400, temperature: 0.8, seed: work.number))
      notes.result.stepMilliseconds = Statistics(report.stepSeconds).median * 1000
      if let sample = notes.result.samples.last {
        progress(.sample(SampleProgress(rule: work.rule, seed: work.number, epoch: report.epoch, text: sample)))
      }
      if settings.logsEvents {
        let feed = try Self.feeds(text.training, work, epoch: 1).feed(0)
        let messages = try trainer.network.messagesByVertex(rule, on: feed)
        progress(
          .messages(MessageProgress(rule: work.rule, seed: work.number, epoch: report.epoch, byVertex: messages)))
      }
      if work.rule == .fixed { try Self.measure(work, trainer, Self.feeds(text.training, work, epoch: 1), &notes) }
      progress(
        .epoch(
          EpochProgress(
            rule: work.rule, seed: work.number, epoch: report.epoch, epochs: work.epochs,
            trainLoss: report.lossPerLabel, testAccuracy: evaluation.accuracy, isLast: report.epoch == work.epochs)))
    }
    try Self.keepNet(trainer, training.notes, beside: checkpoint)
    return training.notes.result
  }

  /// One pass over a part of the text: parallel streams whose state is carried, or windows on their own; shuffled in the
  /// epochs of training.
  private static func feeds(_ part: CharacterText.Part, _ work: Work, epoch: Int?) throws -> FeedSequence {
    let isCarried = work.setting == .modern
    let batches =
      isCarried
      ? try part.streams(count: work.streams, window: work.window)
      : try part.windows(
        work.window, batchSize: work.streams,
        order: epoch.map { .shuffled(seed: work.number, epoch: $0) } ?? .stored)
    return FeedSequence(count: batches.count) { index in
      let batch = batches[index]
      var feed = Feed(
        count: batch.rowCount, ["characters": .integers(batch.inputs), "next": .integers(batch.targets)])
      feed.continuesStream = isCarried && index % work.restart > 0
      return feed
    }
  }

  /// The rule's gradient, as it trains and stepwise, beside backprop's.
  private static func measure(_ work: Work, _ trainer: Trainer, _ feeds: FeedSequence, _ notes: inout Notes) throws {
    let feed = try feeds.feed(0)
    let network = trainer.network
    let exact = try network.gradients(Backprop(), on: feed)
    notes.result.gradientErrors.append(
      try network.gradients(trainer.rule, on: feed).compared(with: exact).relativeError)
    let stepwise = FixedPredictions(steps: work.steps, rate: work.rate, order: .timeReversed)
    let run = try network.run(stepwise, on: feed)
    let clock = ContinuousClock()
    let start = clock.now
    run.runAll()
    notes.result.stepwiseMilliseconds = (clock.now - start).seconds * 1000
    notes.result.stepwiseErrors.append(run.gradients().compared(with: exact).relativeError)
  }

  /// The net, for `pcgraph generate`: `WORK.safetensors` beside the checkpoint, which is removed.
  private static func keepNet(_ trainer: Trainer, _ notes: Notes, beside checkpoint: String) throws {
    var kept = try trainer.checkpoint(noting: notes)
    kept.arrays.removeAll { !$0.name.hasPrefix("parameter/") }
    let stem = checkpoint.hasSuffix(".checkpoint") ? String(checkpoint.dropLast(".checkpoint".count)) : checkpoint
    try kept.write(to: stem + ".safetensors")
  }
}
