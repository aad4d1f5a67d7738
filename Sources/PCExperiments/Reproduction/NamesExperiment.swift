import PCDatasets
import PCGraphs
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

/// The paper's recurrent network, which learns one name at a time to tell its language, by predictive coding and by
/// backprop.
package struct NamesExperiment: PaperExperiment {
  package static let name = NamedPaperExperiment.rnn
  package static let title = "An RNN that tells a name's language"
  package static let claim = """
    A recurrent network whose weights are shared by all time steps learns by predictive coding as it does by backprop: \
    the training accuracy follows the same curve.
    """

  /// One rule from one seed; the defaults are the paper's.
  package struct Work: PaperWork {
    package var rule: NamedRule
    package var number: UInt64
    package var hidden = 256
    /// Names drawn in all, and between two points of the curves.
    package var draws = 150_000
    package var drawsPerPoint = 5000
    package var learningRate = 1e-4
    package var clipping = 50.0
    package var steps = 100
    package var rate = 0.1

    package init(_ rule: NamedRule, seed number: UInt64) {
      self.rule = rule
      self.number = number
    }

    package var name: String { "\(rule.rawValue)-seed\(number)" }
    package var seed: UInt64? { number }
  }

  /// What a rule learned.
  package struct Result: Codable, Sendable {
    /// Names drawn before each point.
    package var draws: [Int] = []
    /// The share of the names drawn since the point before whose language was met before the update: the paper's curve.
    package var runningAccuracy: [Double] = []
    /// The mean loss of these names.
    package var runningLoss: [Double] = []
    /// The share of the held-out names whose language is met, and the mean of that share over the languages.
    package var heldOutAccuracy: [Double] = []
    package var balancedAccuracy: [Double] = []
    /// Of the held-out names, at the end: `confusion[language][prediction]`.
    package var confusion: [[Int]] = []
    package var languages: [String] = []
    package var examples: [Example] = []
    /// The largest ‖g′ − g‖ / ‖g‖ and the smallest cosine among 64 drawn names at the end, where g is backprop's gradient.
    package var gradientError = Double.nan
    package var gradientCosine = Double.nan
    /// Milliseconds of a training step, the median of this process.
    package var stepMilliseconds = Double.nan

    /// A held-out name with the languages that the net finds likeliest.
    package struct Example: Codable, Sendable {
      package var name: String
      package var language: String
      package var guesses: [String]
    }
  }

  private let settings: Reproduction
  private let backend: CPU

  package init(_ settings: Reproduction) throws {
    self.settings = settings
    backend = try CPU(threads: settings.threads)
  }

  package func plan() -> (works: [Work], omissions: [String]) {
    let seeds = settings.seedCount ?? (settings.isQuick ? 2 : 5)
    let works = (0..<seeds).flatMap { seed in
      [NamedRule.backprop, .fixed].map { rule in
        var work = Work(rule, seed: UInt64(seed))
        if settings.isQuick {
          (work.hidden, work.draws, work.drawsPerPoint, work.learningRate) = (64, 20_000, 1000, 0.01)
        }
        return work
      }
    }
    return (works, [])
  }

  // MARK: Work

  package func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) throws -> Result {
    let names = Names().split(seed: work.number)
    let languages = names.training.languages
    let rule: any Rule =
      work.rule == .backprop
      ? Backprop() : FixedPredictions(steps: work.steps, rate: work.rate, order: .timeReversed)
    let trainer = try Trainer(
      .nameClassifier(letters: Names.alphabet.count, languages: languages.count, hidden: work.hidden), rule: rule,
      optimizer: SGD(learningRate: work.learningRate), clipping: .byValue(work.clipping), reduction: .sum,
      on: backend, seed: work.number)
    let longest = names.training.names.joined().map { Names.encode($0).count }.max()
    try trainer.checkMemory(batchSize: 1, length: longest, limit: settings.memoryLimit)
    let heldOut = try Self.heldOutFeeds(names.heldOut)
    let points = work.draws / work.drawsPerPoint

    var training = try ResumableTraining(
      trainer, keeping: settings.keeping(checkpoint), notes: Result(languages: languages))
    try training.run(passes: points) { point in
      FeedSequence(count: work.drawsPerPoint) { index in
        let draw = names.training.draw((point - 1) * work.drawsPerPoint + index, seed: work.number)
        return Self.feed([draw.name], draw.language)
      }
    } progress: { point, index, feeds, batch, _ in
      progress(
        .step(
          StepProgress(
            rule: work.rule, seed: work.number, epoch: point, epochs: points, run: 1, runs: 1,
            step: (point - 1) * feeds.count + index, steps: points * feeds.count, loss: batch.loss)))
    } note: { report, notes in
      var matrix = ConfusionMatrix(labels: languages)
      _ = try trainer.network.evaluate(heldOut) { feed, outputs in
        guard case .integers(let labels)? = feed.arrays["language"] else { return }
        matrix.add(scores: outputs.map(Float.init), labels: labels)
      }
      notes.draws.append(report.epoch * work.drawsPerPoint)
      notes.runningAccuracy.append(report.accuracy)
      notes.runningLoss.append(report.loss)
      notes.heldOutAccuracy.append(matrix.accuracy ?? .nan)
      notes.balancedAccuracy.append(matrix.balancedAccuracy ?? .nan)
      notes.confusion = matrix.counts
      notes.stepMilliseconds = Statistics(report.stepSeconds).median * 1000
      if settings.logsEvents {
        let draw = names.training.draw(report.epoch * work.drawsPerPoint, seed: work.number)
        let messages = try trainer.network.messagesByVertex(rule, on: Self.feed([draw.name], draw.language))
        progress(
          .messages(
            MessageProgress(rule: work.rule, seed: work.number, epoch: report.epoch, byVertex: messages)))
      }
      progress(
        .epoch(
          EpochProgress(
            rule: work.rule, seed: work.number, epoch: report.epoch, epochs: points, trainLoss: report.loss,
            testAccuracy: matrix.accuracy ?? .nan, isLast: report.epoch == points)))
    }

    var result = training.notes
    result.examples = try Self.examples(names.heldOut, trainer.network)
    // One name at a time, as the net learned.
    let comparisons = try (0..<64).map { index in
      let draw = names.training.draw(work.draws + index, seed: work.number)
      return try trainer.gradientComparison(on: Self.feed([draw.name], draw.language))
    }
    result.gradientError = comparisons.map(\.relativeError).max() ?? .nan
    result.gradientCosine = comparisons.map(\.cosine).min() ?? .nan
    return result
  }

  /// Names of one length, all of one language.
  private static func feed(_ names: [String], _ language: Int) -> Feed {
    let codes = names.map(Names.encode)
    var feed = Feed(
      count: names.count,
      [
        "letters": .integers(codes.flatMap { $0 }),
        "language": .integers(Array(repeating: Int32(language), count: names.count)),
      ])
    feed.length = codes.first?.count
    return feed
  }

  /// All names, those of one length and language together, at most 256.
  private static func heldOutFeeds(_ names: Names) throws -> FeedSequence {
    var feeds: [Feed] = []
    for (language, list) in names.names.enumerated() {
      let byLength = Dictionary(grouping: list, by: \.unicodeScalars.count).sorted { $0.key < $1.key }
      for (_, group) in byLength {
        for start in stride(from: 0, to: group.count, by: 256) {
          feeds.append(feed(Array(group[start..<min(start + 256, group.count)]), language))
        }
      }
    }
    return FeedSequence(count: feeds.count) { [feeds] in feeds[$0] }
  }

  /// The first held-out name of each language.
  private static func examples(_ names: Names, _ network: Network) throws -> [Result.Example] {
    try names.names.enumerated().compactMap { language, list in
      guard let name = list.first else { return nil }
      var stream = FeedforwardStream(network)
      let scores = try stream.outputs(of: feed([name], language))
      let ranked = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(3)
      return Result.Example(
        name: name, language: names.languages[language], guesses: ranked.map { names.languages[$0] })
    }
  }
}

// MARK: - Findings

extension NamesExperiment {
  package typealias Finished = FinishedWork<Work, Result>

  package static func findings(_ finished: [Finished]) -> Findings {
    let rules = [NamedRule.backprop, .fixed].filter { rule in finished.contains { $0.work.rule == rule } }
    func runs(_ rule: NamedRule) -> [Finished] { finished.filter { $0.work.rule == rule } }

    var parts: [Findings.Part] = [.block(.paragraph(explanation(finished)))]
    let quantities: [(String, String, KeyPath<Result, [Double]>)] = [
      ("running-accuracy", "accuracy on the names drawn, before each update", \.runningAccuracy),
      ("held-out-accuracy", "accuracy on held-out names", \.heldOutAccuracy),
      ("balanced-accuracy", "accuracy on held-out names, languages alike", \.balancedAccuracy),
      ("running-loss", "loss on the names drawn", \.runningLoss),
    ]
    for (name, title, quantity) in quantities {
      parts.append(.figure(curves(name, title, quantity, rules.map { ($0, runs($0)) })))
    }
    parts.append(.figure(finalTable(finished)))
    let pair = pair(finished, \.heldOutAccuracy)
    parts.append(
      .figure(
        Figure(
          "held-out-final", pair.data, table: pair.table,
          caption: "Accuracy on held-out names at the end, seed by seed. "
            + (pair.test?.sentence(scale: 100, unit: " points") ?? "One seed tells no difference from chance."))))
    for rule in rules {
      if let figure = confusion(rule, runs(rule)) { parts.append(.figure(figure)) }
    }
    if let first = runs(.fixed).first { parts.append(.figure(examples(first))) }
    return Findings(outcome: outcome(finished), parts: parts, numbers: numbers(finished))
  }

  private static func explanation(_ finished: [Finished]) -> String {
    guard let work = finished.first?.work else { return "" }
    return """
      One name at a time: a language is drawn uniformly, then one of its names. Hidden width \(work.hidden), tanh, squared \
      error, SGD with learning rate \(NumberText.significant(work.learningRate)), gradients clipped at ±\(NumberText.significant(work.clipping)); \
      predictive coding by the time-reversed schedule, T = \(work.steps) updates a time step with h = \(NumberText.significant(work.rate)), \
      stepwise. Both rules see the same start and the same draws. The paper plots the running accuracy on the names drawn; \
      a tenth of each language's different names is held out here besides.
      """
  }

  private static func last(_ runs: [Finished], _ quantity: KeyPath<Result, [Double]>) -> Statistics {
    Statistics(runs.compactMap { $0.result[keyPath: quantity].last })
  }

  private static func pair(_ finished: [Finished], _ quantity: KeyPath<Result, [Double]>) -> RulePair {
    RulePair(
      finished.map { ($0.work.rule, $0.work.number, $0.result[keyPath: quantity].last ?? .nan) })
  }

  private static func outcome(_ finished: [Finished]) -> String {
    pair(finished, \.heldOutAccuracy).sentence(of: "Accuracy on held-out names") + " On the last names drawn: "
      + pair(finished, \.runningAccuracy).sentence(of: "running accuracy")
  }

  private static func curves(
    _ name: String, _ title: String, _ quantity: KeyPath<Result, [Double]>, _ rules: [(NamedRule, [Finished])]
  ) -> Figure {
    var rows: [[JSON]] = []
    let series = rules.map { rule, runs in
      let draws = runs.first?.result.draws ?? []
      let points = LineChart.Point.means(
        of: runs.map { $0.result[keyPath: quantity] }, at: draws.map(Double.init))
      for piece in runs {
        for (count, value) in zip(piece.result.draws, piece.result[keyPath: quantity]) {
          rows.append([.string(rule.rawValue), .integer(piece.work.number), .integer(count), .number(value)])
        }
      }
      return LineChart.Series(rule.title, points: points)
    }
    let isShare = quantity != \Result.runningLoss
    let chart = LineChart(
      title: title.asSentence, x: .init("names drawn"),
      y: isShare ? .init(title, format: .percent) : .init(title), series: series)
    return Figure(
      name, DataTable(["rule", "seed", "names drawn", title], rows: rows), picture: chart.svg,
      caption:
        "\(title.asSentence); mean of the seeds, bands ± one standard deviation.")
  }

  private static func finalTable(_ finished: [Finished]) -> Figure {
    Figure(
      "final",
      DataTable(
        [
          "rule", "seed", "running accuracy", "held-out accuracy", "balanced accuracy", "gradient error", "cosine",
          "ms/step",
        ],
        rows: finished.map { piece in
          [
            .string(piece.work.rule.rawValue), .integer(piece.work.number),
            .number(piece.result.runningAccuracy.last), .number(piece.result.heldOutAccuracy.last),
            .number(piece.result.balancedAccuracy.last), .number(piece.result.gradientError),
            .number(piece.result.gradientCosine), .number(piece.result.stepMilliseconds),
          ]
        }),
      table: ResultTable(
        [
          .init("rule", .left), .init("seed", .right), .init("running", .right), .init("held-out", .right),
          .init("languages alike", .right), .init("gradient error", .right), .init("cosine", .right),
          .init("ms/step", .decimal),
        ],
        rows: finished.map { piece in
          let result = piece.result
          func percent(_ value: Double?) -> String { NumberText.fixed(100 * (value ?? .nan), places: 1) + " %" }
          return [
            piece.work.rule.title, "\(piece.work.number)", percent(result.runningAccuracy.last),
            percent(result.heldOutAccuracy.last), percent(result.balancedAccuracy.last),
            NumberText.significant(result.gradientError, digits: 2),
            NumberText.fixed(result.gradientCosine, places: 6),
            NumberText.significant(result.stepMilliseconds, digits: 2),
          ]
        }),
      caption:
        "At the end, seed by seed. Gradient error is the largest ‖g′ − g‖ / ‖g‖ among 64 names, where g is backprop's gradient; cosine the smallest."
    )
  }

  private static func confusion(_ rule: NamedRule, _ runs: [Finished]) -> Figure? {
    guard let languages = runs.first?.result.languages, !languages.isEmpty else { return nil }
    var matrix = ConfusionMatrix(labels: languages)
    for piece in runs {
      for (label, row) in piece.result.confusion.enumerated() {
        for (prediction, count) in row.enumerated() { matrix.add(label: label, prediction: prediction, count: count) }
      }
    }
    return Figure(
      "confusion-\(rule.rawValue)",
      DataTable(
        ["language"] + languages,
        rows: zip(languages, matrix.counts).map { [.string($0)] + $1.map { .integer($0) } }),
      picture: matrix.picture(title: "Held-out names by \(rule.title)").svg,
      caption: "Which language held-out names were taken for, all seeds together, by \(rule.title).")
  }

  private static func examples(_ piece: Finished) -> Figure {
    Figure(
      "examples",
      DataTable(
        ["name", "language", "first guess", "second guess", "third guess"],
        rows: piece.result.examples.map { example in
          [.string(example.name), .string(example.language)]
            + (0..<3).map { $0 < example.guesses.count ? .string(example.guesses[$0]) : .null }
        }),
      table: ResultTable(
        ["name", "language", "guesses"],
        rows: piece.result.examples.map { [$0.name, $0.language, $0.guesses.joined(separator: ", ")] }),
      caption: "The first held-out name of each language, and what the net learned by predictive coding makes of it.")
  }

  private static func numbers(_ finished: [Finished]) -> [(key: String, value: JSON)] {
    let rules = [NamedRule.fixed, .backprop].compactMap { rule -> (key: String, value: JSON)? in
      let runs = finished.filter { $0.work.rule == rule }
      guard !runs.isEmpty else { return nil }
      func both(_ quantity: KeyPath<Result, [Double]>) -> JSON {
        let sample = last(runs, quantity)
        return .object([
          ("mean", .number(sample.mean)), ("deviation", .number(sample.deviation)),
          ("seeds", .array(runs.map { .number($0.result[keyPath: quantity].last) })),
        ])
      }
      return (
        rule.rawValue,
        .object([
          ("runningAccuracy", both(\.runningAccuracy)), ("heldOutAccuracy", both(\.heldOutAccuracy)),
          ("balancedAccuracy", both(\.balancedAccuracy)),
          ("gradientError", .number(runs.map(\.result.gradientError).max())),
        ])
      )
    }
    return [
      ("rules", .object(rules)), ("pairedTest", pair(finished, \.heldOutAccuracy).test?.json ?? .null),
      ("pairedTestRunning", pair(finished, \.runningAccuracy).test?.json ?? .null),
    ]
  }
}
