import PCDatasets
import PCGraphs
import PCLearning

/// The paper's convolutional network by predictive coding and by backprop, from the same starts on the same batches.
package struct CNNExperiment: PaperExperiment {
  package static let name = NamedPaperExperiment.cnn
  package static let title = "A convolutional network"
  package static let claim = """
    A CNN on CIFAR-10, CIFAR-100 and SVHN learns by predictive coding as well as by backprop: the curves of both lie on each \
    other. (The paper shows curves and gives no table of accuracies.)
    """

  /// One data set, rule and seed.
  package struct Work: PaperWork {
    package var dataset: NamedDataset
    /// `fixed` is the paper's, stepwise, T = 100 and h = 0.2.
    package var rule: NamedRule
    package var seed: UInt64?
    package var epochs: Int
    /// How many of the training images it learns from, the first ones; nil for all.
    package var trainingCount: Int?
    package var name: String { "\(dataset.rawValue)-\(rule.rawValue)-seed\(seed ?? 0)" }
  }

  /// One pass over the training images.
  package struct Epoch: Codable, Sendable {
    package var trainLoss: Double
    package var trainAccuracy: Double
    package var testLoss: Double
    package var testAccuracy: Double
    /// The largest |Jᵀm| that a layer sent to the one before it, in the sampled batches.
    package var largestPullback: Double
    /// Milliseconds of a training step, the median of the process that ended the pass.
    package var stepMilliseconds: Double
  }

  package struct Result: Codable, Sendable {
    package var epochs: [Epoch] = []
    package var updates = 0
    /// SHA-256 of the data set.
    package var dataChecksum: String
  }

  /// The data sets that the paper used.
  package static let datasets: [(dataset: NamedDataset, title: String)] = [
    (.cifar10, "CIFAR-10"), (.cifar100, "CIFAR-100"), (.svhn, "SVHN"),
  ]
  static let rules: [NamedRule] = [.fixed, .backprop]
  /// One batch in so many is looked at.
  private static let sampling = 25

  private let settings: Reproduction
  private let epochs: Int
  private let trainingCount: Int?
  private let seeds: [UInt64]

  package init(_ settings: Reproduction) {
    self.settings = settings
    epochs = settings.isQuick ? 3 : 10
    trainingCount = settings.isQuick ? 80 * 64 : nil
    seeds = (0..<(settings.seedCount ?? (settings.isQuick ? 2 : 5))).map(UInt64.init)
  }

  package func plan() throws -> (works: [Work], omissions: [String]) {
    var works: [Work] = []
    var omissions: [String] = []
    for (dataset, _) in Self.datasets {
      do {
        _ = try dataset.load(directory: settings.dataDirectory)
      } catch {
        switch error {
        case .missingDirectory, .missingFile: omissions.append("\(error)")
        default: throw error
        }
        continue
      }
      // Both rules of a seed side by side, so that a run which is cut short can already compare.
      for seed in seeds {
        for rule in Self.rules {
          works.append(
            Work(dataset: dataset, rule: rule, seed: seed, epochs: epochs, trainingCount: trainingCount))
        }
      }
    }
    return (works, omissions)
  }

  package func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) throws -> Result {
    var choices = Choices(rules: [work.rule])
    choices.model = .cnn
    choices.dataset = work.dataset
    choices.dataDirectory = settings.dataDirectory
    choices.seed = work.seed ?? 0
    choices.epochs = work.epochs
    choices.threads = settings.threads
    let experiment = try Experiment(Settings(choices))
    let (chosen, data) = (experiment.settings, experiment.data)
    let rule = chosen.rules[0]
    let trainer = try Trainer(
      experiment.model, rule: rule.rule, optimizer: chosen.optimizer.make(learningRate: rule.learningRate),
      clipping: chosen.clipping, reduction: chosen.reduction, on: experiment.backend, seed: chosen.seeds[0])
    try trainer.checkMemory(batchSize: chosen.batchSize, limit: settings.memoryLimit)

    struct Notes: Codable {
      var result: Result
      /// Of the pass that is under way.
      var largestPullback = 0.0
    }
    let notes = Notes(result: Result(dataChecksum: data.checksum()))
    let images = data.training.subset(0..<min(work.trainingCount ?? .max, data.training.count))
    let steps = work.epochs * ((images.count - 1) / chosen.batchSize + 1)
    func feeds(_ epoch: Int) throws -> FeedSequence {
      try images.feeds(
        batchSize: chosen.batchSize, order: .shuffled(seed: chosen.seeds[0], epoch: epoch),
        for: experiment.model.graph)
    }
    var training = try ResumableTraining(trainer, keeping: settings.keeping(checkpoint), notes: notes)
    try training.run(passes: work.epochs, feeds: feeds) { epoch, index, feeds, batch, notes in
      progress(
        .step(
          StepProgress(
            rule: rule.name, seed: chosen.seeds[0], epoch: epoch, epochs: work.epochs, run: 1, runs: 1,
            step: trainer.updateCount, steps: steps, loss: batch.loss)))
      guard index % Self.sampling == 1 else { return }
      let pullback = try trainer.network.largestPullback(rule.rule, on: feeds.feed(index - 1))
      notes.largestPullback = max(notes.largestPullback, pullback)
    } note: { report, notes in
      let evaluation = try trainer.evaluate(data.test)
      guard report.loss.isFinite, evaluation.loss.isFinite else {
        throw DivergenceError(rule, seed: chosen.seeds[0], "the loss after update \(trainer.updateCount)")
      }
      notes.result.epochs.append(
        Epoch(
          trainLoss: report.loss, trainAccuracy: report.accuracy, testLoss: evaluation.loss,
          testAccuracy: evaluation.accuracy, largestPullback: notes.largestPullback,
          stepMilliseconds: Statistics(report.stepSeconds).median * 1000))
      notes.result.updates = trainer.updateCount
      notes.largestPullback = 0
      if settings.logsEvents {
        let messages = try trainer.network.messagesByVertex(rule.rule, on: feeds(report.epoch).feed(0))
        progress(
          .messages(
            MessageProgress(rule: rule.name, seed: chosen.seeds[0], epoch: report.epoch, byVertex: messages)))
      }
      progress(
        .epoch(
          EpochProgress(
            rule: rule.name, seed: chosen.seeds[0], epoch: report.epoch, epochs: work.epochs, trainLoss: report.loss,
            testAccuracy: evaluation.accuracy, isLast: report.epoch == work.epochs)))
    }
    return training.notes.result
  }
}

extension Network {
  /// The largest element of any message that arrived at a vertex from its children.
  ///
  /// In a chain of layers each relaxed vertex's message goes from 0 monotonically to the one pullback that it receives, and
  /// a deterministic vertex's is its pullback, so the final messages are the largest. Only the output has no child: its
  /// message comes from the loss and is left out.
  fileprivate func largestPullback(_ rule: any Rule, on feed: Feed) throws -> Double {
    let run = try run(rule, on: feed)
    run.runAll()
    let fed = Set(graph.losses.map(\.prediction))
    return graph.vertices.filter { !fed.contains($0.result) && $0.kind != .parametric }.reduce(0) { largest, vertex in
      run[vertex.name].message.values.reduce(largest) { max($0, $1.magnitude) }
    }
  }
}

// MARK: - Findings

extension CNNExperiment {
  package typealias Finished = FinishedWork<Work, Result>

  package static func findings(_ finished: [Finished]) -> Findings {
    var parts: [Findings.Part] = []
    var outcomes: [String] = []
    var numbers: [(key: String, value: JSON)] = []
    for (dataset, title) in datasets {
      let pieces = finished.filter { $0.work.dataset == dataset }
      guard let first = pieces.first else { continue }
      let comparison = RulePair(
        pieces.map { ($0.work.rule, $0.work.seed ?? 0, $0.result.epochs.last?.testAccuracy ?? .nan) })
      outcomes.append("\(title): \(comparison.sentence(of: "test accuracy"))")
      parts.append(.block(.paragraph(setting(title, pieces))))
      parts.append(.figure(accuracyFigure(dataset.rawValue, title, pieces)))
      parts.append(.figure(lossFigure(dataset.rawValue, title, pieces)))
      parts.append(.figure(finalFigure(dataset.rawValue, title, comparison)))
      numbers.append((dataset.rawValue, json(pieces, comparison, checksum: first.result.dataChecksum)))
    }
    let largest = finished.flatMap(\.result.epochs).map(\.largestPullback).max() ?? .nan
    outcomes.append(
      "The largest pullback in the sampled batches was \(NumberText.significant(largest)), far from the ±50 at which the "
        + "paper's code clamps.")
    numbers.append(("largestPullback", .number(largest)))
    return Findings(outcome: outcomes.joined(separator: " "), parts: parts, numbers: numbers)
  }

  private static func setting(_ title: String, _ pieces: [Finished]) -> String {
    let seeds = Set(pieces.compactMap(\.work.seed)).count
    let updates = pieces.map(\.result.updates).max() ?? 0
    let epochs = pieces.map(\.result.epochs.count).max() ?? 0
    let part = pieces.compactMap(\.work.trainingCount).max().map { " of the first \($0) images" } ?? ""
    return
      "\(title): \(epochs) epoch\(epochs == 1 ? "" : "s")\(part), \(updates) updates, \(seeds) seed\(seeds == 1 ? "" : "s"). "
      + "Fixed predictions stepwise, T = 100, h = 0.2; squared error; batches of 64, pixels (x − ½)/½; SGD 0.002 on the sum "
      + "over the batch, clipped by value at ±12.5, which is the paper's update in our units."
  }

  private static func runs(_ pieces: [Finished], _ rule: NamedRule) -> [Finished] {
    pieces.filter { $0.work.rule == rule }
  }

  private static func series(_ pieces: [Finished], _ name: String, _ quantity: KeyPath<Epoch, Double>)
    -> [LineChart.Series]
  {
    // Backprop first: the yardstick lies underneath.
    rules.reversed().enumerated().map { color, rule in
      let runs = runs(pieces, rule)
      return .init(
        "\(rule.title), \(name)",
        points: LineChart.Point.means(of: runs.map { $0.result.epochs.map { $0[keyPath: quantity] } }),
        color: name == "test" ? color : color + 2)
    }
  }

  private static func data(_ pieces: [Finished]) -> DataTable {
    DataTable(
      [
        "rule", "seed", "epoch", "training loss", "training accuracy", "test loss", "test accuracy",
        "largest pullback", "ms/step",
      ],
      rows: pieces.flatMap { piece in
        piece.result.epochs.enumerated().map { index, epoch in
          [
            .string(piece.work.rule.rawValue), .integer(piece.work.seed ?? 0), .integer(index + 1),
            .number(epoch.trainLoss),
            .number(epoch.trainAccuracy), .number(epoch.testLoss), .number(epoch.testAccuracy),
            .number(epoch.largestPullback), .number(epoch.stepMilliseconds),
          ]
        }
      })
  }

  private static func accuracyFigure(_ name: String, _ title: String, _ pieces: [Finished]) -> Figure {
    let chart = LineChart(
      title: "Accuracy on \(title)", x: .init("epoch"), y: .init("accuracy", format: .percent),
      series: series(pieces, "test", \.testAccuracy) + series(pieces, "training", \.trainAccuracy))
    return Figure(
      "\(name)-accuracy", data(pieces), picture: chart.svg,
      caption:
        "The share of images classified correctly: of the test images after each epoch, of the training images "
        + "within it, each batch before its update. Means over the seeds, ± one standard deviation.")
  }

  private static func lossFigure(_ name: String, _ title: String, _ pieces: [Finished]) -> Figure {
    let chart = LineChart(
      title: "Loss on \(title)", x: .init("epoch"), y: .init("½Σ(t − p)² per image"),
      series: series(pieces, "test", \.testLoss) + series(pieces, "training", \.trainLoss))
    return Figure(
      "\(name)-loss", data(pieces), picture: chart.svg,
      caption: "The mean loss of an image. Means over the seeds, ± one standard deviation.")
  }

  private static func finalFigure(_ name: String, _ title: String, _ pair: RulePair) -> Figure {
    let test = pair.test?.sentence(scale: 100, unit: " points") ?? "One seed tells no difference from chance."
    return Figure(
      "\(name)-final", pair.data, table: pair.table,
      caption: "Test accuracy on \(title) after the last epoch, seed by seed. \(test)")
  }

  private static func json(_ pieces: [Finished], _ pair: RulePair, checksum: String) -> JSON {
    let members: [(key: String, value: JSON)] = rules.map { rule in
      let runs = runs(pieces, rule)
      let last = Statistics(runs.compactMap(\.result.epochs.last?.testAccuracy))
      let each = runs.map { piece in
        JSON.object([
          ("seed", .integer(piece.work.seed ?? 0)),
          ("testAccuracy", .array(piece.result.epochs.map { .number($0.testAccuracy) })),
          ("trainAccuracy", .array(piece.result.epochs.map { .number($0.trainAccuracy) })),
          ("trainLoss", .array(piece.result.epochs.map { .number($0.trainLoss) })),
          ("testLoss", .array(piece.result.epochs.map { .number($0.testLoss) })),
          ("largestPullback", .number(piece.result.epochs.map(\.largestPullback).max())),
          ("updates", .integer(piece.result.updates)),
        ])
      }
      return (
        rule.rawValue,
        .object([
          ("testAccuracy", .object([("mean", .number(last.mean)), ("deviation", .number(last.deviation))])),
          ("seeds", .array(each)),
        ])
      )
    }
    return .object(
      [("sha256", .string(checksum)), ("rules", .object(members)), ("pairedTest", pair.test?.json ?? .null)])
  }
}
