/// One fraction, such as an accuracy, by predictive coding with fixed predictions and by backprop, seed by seed.
package struct RulePair: Sendable {
  /// Seeds that both rules ran with, ascending.
  package var seeds: [(seed: UInt64, fixed: Double, backprop: Double)]
  /// Of fixed predictions less backprop; nil for fewer than two seeds.
  package var test: PairedTest?

  /// - Parameter values: in any order.
  package init(_ values: [(rule: NamedRule, seed: UInt64, value: Double)]) {
    seeds = Set(values.map(\.seed)).sorted().compactMap { seed in
      func value(_ rule: NamedRule) -> Double? {
        values.first { $0.seed == seed && $0.rule == rule }?.value
      }
      guard let fixed = value(.fixed), let backprop = value(.backprop) else { return nil }
      return (seed, fixed, backprop)
    }
    test = PairedTest(seeds.map { $0.fixed - $0.backprop })
  }

  /// Means in percent with their spread, and whether they differ.
  package func sentence(of quantity: String) -> String {
    func summary(_ sample: [Double]) -> String {
      let statistics = Statistics(sample)
      let spread = sample.count > 1 ? " ± \(NumberText.fixed(100 * statistics.deviation, places: 2))" : ""
      return "\(NumberText.fixed(100 * statistics.mean, places: 2))\(spread) %"
    }
    let means =
      "\(quantity) \(summary(seeds.map(\.fixed))) by fixed predictions and \(summary(seeds.map(\.backprop))) by backprop."
    return means + (test.map { " \($0.sentence(scale: 100, unit: " points"))" } ?? "")
  }

  /// A row for each seed, then mean and standard deviation, in percent.
  package var table: ResultTable {
    func percent(_ value: Double) -> String { NumberText.fixed(100 * value, places: 2) }
    var rows = seeds.map { ["\($0.seed)", percent($0.fixed), percent($0.backprop), percent($0.fixed - $0.backprop)] }
    let samples = [seeds.map(\.fixed), seeds.map(\.backprop), seeds.map { $0.fixed - $0.backprop }].map(
      Statistics.init)
    rows.append(["mean"] + samples.map { percent($0.mean) })
    if seeds.count > 1 { rows.append(["standard deviation"] + samples.map { percent($0.deviation) }) }
    return ResultTable(
      [
        .init("seed", .left), .init("fixed predictions, %", .decimal), .init("backprop, %", .decimal),
        .init("difference", .decimal),
      ], rows: rows)
  }

  /// The same as fractions, without the summary.
  package var data: DataTable {
    DataTable(
      ["seed", "fixed", "backprop"],
      rows: seeds.map { [.integer($0.seed), .number($0.fixed), .number($0.backprop)] })
  }
}
