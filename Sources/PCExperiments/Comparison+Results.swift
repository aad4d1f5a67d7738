import PCLearning

// MARK: Means over seeds

extension RuleResult {
  /// The mean over the seeds of a quantity of each epoch.
  func means(_ quantity: KeyPath<TrainingRun, [Double]>) -> [Double] {
    let epochs = runs.map { $0[keyPath: quantity].count }.min() ?? 0
    return (0..<epochs).map { epoch in Statistics(runs.map { $0[keyPath: quantity][epoch] }).mean }
  }

  /// Fractions, after each epoch, means over the seeds.
  public var testAccuracy: [Double] { means(\.testAccuracy) }
  /// Mean losses of a training image in each epoch, means over the seeds.
  public var trainLoss: [Double] { means(\.trainLoss) }
  /// Mean losses of an image that is held out after each epoch, means over the seeds; empty where none is.
  public var validationLoss: [Double] { means(\.validationLoss) }
  /// Fractions of the images held out, after each epoch, means over the seeds; empty where none is.
  public var validationAccuracy: [Double] { means(\.validationAccuracy) }
  /// The mean over the seeds.
  public var gradientShortfall: Double { Statistics(runs.map(\.gradientShortfall)).mean }
  /// The mean over the seeds.
  public var gradientCosine: Double { Statistics(runs.map(\.gradientCosine)).mean }
  /// Of all training steps of all seeds.
  public var stepMilliseconds: Statistics { Statistics(runs.flatMap(\.stepSeconds).map { $0 * 1000 }) }
}

/// A sample in a few numbers; NaN where it is empty.
public struct Statistics: Sendable, Hashable {
  /// The size of the sample.
  public var count: Int
  /// The arithmetic mean.
  public var mean: Double
  /// The standard deviation with divisor n − 1, of one number 0.
  public var deviation: Double
  /// The middle number, or the mean of the two in the middle.
  public var median: Double
  /// The smallest number.
  public var minimum: Double
  /// The largest number.
  public var maximum: Double

  /// Cost: O(n log n).
  public init(_ sample: [Double]) {
    let sorted = sample.sorted()
    let n = sorted.count
    let mean = sorted.reduce(0, +) / Double(n)
    count = n
    self.mean = mean
    deviation = n > 1 ? (sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n - 1)).squareRoot() : 0
    median = n == 0 ? .nan : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2
    minimum = sorted.first ?? .nan
    maximum = sorted.last ?? .nan
  }
}

// MARK: - JSON

extension Comparison {
  /// `{"rules": {"fixed": {…}, "backprop": {…}}}`, as the command line documents it.
  package var json: JSON {
    .object([("rules", .object(rules.map { ($0.settings.name.rawValue, .object($0.members)) }))])
  }
}

extension RuleResult {
  /// What `train` prints: the rule's name and the same members as in a comparison.
  package var json: JSON { .object([("rule", .string(settings.name.rawValue))] + members) }

  fileprivate var members: [(key: String, value: JSON)] {
    let milliseconds = stepMilliseconds
    return [
      ("solver", settings.rule.solverName.map(JSON.string) ?? .null),
      ("solverChoice", settings.choice.map { .string("\($0)") } ?? .null),
      ("steps", settings.steps.map { .integer($0) } ?? .null),
      ("rate", .number(settings.rate)),
      ("learningRate", .number(settings.learningRate)),
      ("testAccuracy", .array(testAccuracy.map { .number($0) })),
      ("trainLoss", .array(trainLoss.map { .number($0) })),
      ("validationLoss", validationLoss.isEmpty ? .null : .array(validationLoss.map { .number($0) })),
      ("validationAccuracy", validationLoss.isEmpty ? .null : .array(validationAccuracy.map { .number($0) })),
      ("gradientShortfall", .number(gradientShortfall)),
      ("gradientCosine", .number(gradientCosine)),
      (
        "stepMilliseconds",
        .object([
          ("median", .number(milliseconds.median)), ("minimum", .number(milliseconds.minimum)),
          ("mean", .number(milliseconds.mean)), ("count", .integer(milliseconds.count)),
        ])
      ),
      (
        "seeds",
        .array(
          runs.map { run in
            .object([
              ("seed", .integer(run.seed)), ("testAccuracy", .array(run.testAccuracy.map { .number($0) })),
              ("trainLoss", .array(run.trainLoss.map { .number($0) })),
              ("gradientShortfall", .number(run.gradientShortfall)), ("gradientCosine", .number(run.gradientCosine)),
            ])
          })
      ),
    ]
  }
}

// MARK: - Tables

extension Comparison {
  /// A row for each rule, for people.
  public var table: ResultTable { ResultTable(RuleResult.columns, rows: rules.map(\.cells)) }

  /// What the table's columns mean.
  public var legend: String {
    let seeds = settings.seeds.count
    return (seeds > 1 ? "Means of \(seeds) seeds, accuracy ± one standard deviation. " : "") + RuleResult.legend
  }
}

extension RuleResult {
  /// The same table with one row.
  public var table: ResultTable { ResultTable(Self.columns, rows: [cells]) }

  /// What the table's columns mean.
  public static let legend = """
    T steps of size h; ms/step is the median time of a training step. Gradient error is ‖g′ − g‖ / ‖g‖ on the last \
    batch, where g′ is the rule's gradient and g backprop's at the same parameters; cosine is that of their angle.
    """

  fileprivate static let columns: [ResultTable.Column] = [
    "rule", .init("T", .right), .init("h", .right), .init("test accuracy", .right), .init("training loss", .right),
    .init("ms/step", .decimal), .init("gradient error", .right), .init("cosine", .right),
  ]

  fileprivate var cells: [String] {
    let last = Statistics(runs.compactMap(\.testAccuracy.last))
    let spread = runs.count > 1 ? " ± \(NumberText.fixed(100 * last.deviation, places: 1))" : ""
    return [
      [settings.name.rawValue, settings.rule.solverName].compactMap { $0 }.joined(separator: ", "),
      settings.steps.map(String.init) ?? "–",
      settings.rate.map { NumberText.significant($0) } ?? "–",
      "\(NumberText.fixed(100 * last.mean, places: 1))\(spread) %",
      NumberText.significant(trainLoss.last ?? .nan),
      // Of runs that had ended before this process there is no time.
      stepMilliseconds.count == 0 ? "–" : NumberText.significant(stepMilliseconds.median, digits: 2),
      NumberText.significant(gradientShortfall, digits: 2),
      NumberText.fixed(gradientCosine, places: 4),
    ]
  }
}

// MARK: - Curves

extension LineChart.Point {
  /// The mean of several curves, as far as all of them reach, ± one standard deviation where there are several.
  ///
  /// - Parameter xs: where the curves' values stand; by default at 1, 2, ….
  static func means(of curves: [[Double]], at xs: [Double]? = nil) -> [LineChart.Point] {
    (0..<(curves.map(\.count).min() ?? 0)).map { index in
      let sample = Statistics(curves.map { $0[index] })
      let x = xs?[index] ?? Double(index + 1)
      return curves.count > 1 ? .init(x, sample.mean, spread: sample.deviation) : .init(x, sample.mean)
    }
  }
}
