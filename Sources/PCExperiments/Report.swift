import PCGraphs
import PCLearning

extension Comparison {
  /// The comparison as a page: curves, the closing table, how far inference reaches, the graph, and the facts of the run.
  package func report(_ record: RunRecord, graph: Graph, reach: InferenceReach) -> HTMLReport {
    let title = "\(settings.model.rawValue) on \(settings.dataName): predictive coding beside backprop"
    return HTMLReport(
      title: title, lead: lead,
      sections: [
        learningSection,
        reach.section,
        graphSection(graph),
        HTMLReport.Section("This run", [.facts(record.facts)]),
      ].compactMap { $0 })
  }

  private var lead: String {
    let results = rules.map { rule in
      "\(rule.settings.name.title) \(percent(rule.testAccuracy.last ?? .nan))"
    }
    let distances = rules.filter { $0.settings.name != .backprop }.map { rule in
      "\(rule.settings.name.title) \(NumberText.significant(rule.gradientShortfall, digits: 2))"
    }
    let gradients =
      distances.isEmpty
      ? ""
      : " Distance of the gradient to backprop's at the end, relative to its length: \(distances.joined(separator: ", "))."
    let epochs = rules.map(\.testAccuracy.count).max() ?? 0
    let spread = settings.seeds.count > 1 ? " Means of \(settings.seeds.count) seeds." : ""
    return
      "Test accuracy after \(epochs) epoch\(epochs == 1 ? "" : "s"), from the same initial parameters on the same "
      + "batches: \(results.joined(separator: ", ")).\(gradients)\(spread)"
  }

  private func percent(_ fraction: Double) -> String { "\(NumberText.fixed(100 * fraction, places: 1)) %" }

  // MARK: Learning

  private var learningSection: HTMLReport.Section {
    var blocks: [HTMLReport.Block] = [.list(rules.map(\.settings.explanation))]
    // Backprop first, so that it lies underneath: the yardstick is the widest line and the others are drawn on it.
    let ordered = rules.filter { $0.settings.name == .backprop } + rules.filter { $0.settings.name != .backprop }
    let charts: [(String, KeyPath<TrainingRun, [Double]>, LineChart.Axis, String)] = [
      (
        "Test accuracy", \.testAccuracy, .init("test accuracy", format: .percent),
        "The share of test images that are classified correctly, after each epoch."
      ),
      (
        "Training loss", \.trainLoss, .init("loss per image", scale: .logarithmic),
        "The mean \(settings.loss.rawValue) loss of the training images in each epoch, each batch before its update."
      ),
    ]
    for (title, quantity, axis, caption) in charts {
      let chart = LineChart(
        title: title, x: .init("epoch"), y: axis,
        series: ordered.map { rule in .init(rule.settings.name.title, points: rule.points(quantity)) })
      let bands =
        settings.seeds.count > 1 ? " Bands are ± one standard deviation over \(settings.seeds.count) seeds." : ""
      blocks.append(.figure(chart.svg, caption: caption + bands))
    }
    blocks.append(.table(table, caption: "After the last epoch. \(legend)"))
    return HTMLReport.Section("Learning", blocks)
  }

  // MARK: Graph

  private func graphSection(_ graph: Graph) -> HTMLReport.Section {
    let picture = GraphPicture(title: "", graph)
    let inspection = Inspection(graph, batchSize: settings.batchSize, scalarSize: settings.backend == .cpu ? 4 : 8)
    let text = """
      Each relaxed vertex has a value of its own and sends messages to its neighbours only; deterministic vertices pass \
      on what they receive. All rules run on this graph, backprop with every vertex deterministic.
      """
    return HTMLReport.Section(
      "The graph",
      [
        .paragraph(text),
        .figure(
          picture.svg,
          caption: "The vertices of `\(settings.model.rawValue)`, with the shapes of their values; B is the batch."),
        .details(
          summary: "All \(inspection.rows.count) vertices in a table",
          [
            .table(
              inspection.table,
              caption: "Memory is that of value, message and parameters for a batch of \(settings.batchSize).")
          ]),
      ])
  }
}

extension RuleSettings {
  /// The rule in two sentences.
  fileprivate var explanation: String {
    let how = [steps.map { "T = \($0)" }, rate.map { "h = \($0)" }].compactMap { $0 }.joined(separator: ", ")
    let setting = how.isEmpty ? "" : " (\(how))"
    switch name {
    case .fixed:
      return """
        Fixed predictions\(setting): local updates of every vertex's error, while predictions stay at their feedforward \
        values. With more steps the gradient tends to backprop's, on any graph.
        """
    case .standard:
      return """
        Standard predictive coding\(setting): local updates of every vertex's value, and predictions that follow. It \
        settles at a minimum of the energy, where its gradient is another than backprop's.
        """
    case .backprop:
      return "Backprop: one backward sweep, in which every vertex waits for those after it. The yardstick."
    }
  }
}

extension RuleResult {
  /// Means over the seeds, with the standard deviation where there are several.
  fileprivate func points(_ quantity: KeyPath<TrainingRun, [Double]>) -> [LineChart.Point] {
    LineChart.Point.means(of: runs.map { $0[keyPath: quantity] })
  }
}

// MARK: - Reach

extension InferenceReach {
  /// nil where no rule takes steps.
  fileprivate var section: HTMLReport.Section? {
    guard !curves.isEmpty else { return nil }
    var blocks: [HTMLReport.Block] = []
    var series: [LineChart.Series] = []
    var captions: [String] = []
    for curve in curves {
      let setting = [curve.rule.rate.map { "h = \($0)" }].compactMap { $0 }.joined()
      switch curve.rule.name {
      case .fixed:
        blocks.append(.paragraph(Self.law))
        series += lawSeries(curve) + markSeries(curve)
        captions.append(
          "Dashed lines: `1 − c(d)`, known before any run (\(setting)). Marks: measured under fixed predictions.")
      case .standard:
        blocks.append(.paragraph(Self.otherEquilibrium))
        series.append(
          .init("standard, all parameters", points: points(curve) { $0.total.measured }, style: .line, color: 3))
        captions.append("Line with marks: measured under standard predictive coding (\(setting)).")
      case .backprop: break
      }
    }
    let chart = LineChart(
      title: "Distance to backprop's gradient", x: .init("inference steps T", scale: .logarithmic),
      y: .init("‖g(T) − g‖ / ‖g‖", scale: .logarithmic), series: series, plotHeight: 360)
    captions.append("Initial parameters, \(examples) examples, in Double.")
    blocks.append(.figure(chart.svg, caption: captions.joined(separator: " ")))
    for curve in curves where curve.rule.name == .fixed {
      blocks.append(
        .details(
          summary: "Every parameter after T = \(curve.final.steps)",
          [.table(curve.final.table.table, caption: GradientTable.legend)]))
    }
    return HTMLReport.Section("What inference steps buy", blocks)
  }

  private static let law = """
    Under fixed predictions a message that crosses d relaxed vertices has arrived after T steps with the share \
    `c(d) = P[Binomial(T, h) ≥ d]`, whatever the graph, the data and the parameters. Where all paths from a parameter to \
    the loss cross the same number d, its gradient lacks exactly the share `1 − c(d)`; where they cross different \
    numbers, each part of the gradient lacks its own.
    """

  private static let otherEquilibrium = """
    Standard predictive coding tends to another gradient than backprop's: more steps bring it to the minimum of its energy, \
    and the distance levels off.
    """

  /// More steps than the rule's own can diverge; such points are left out.
  private func points(_ curve: Curve, _ value: (GradientTable) -> Double?) -> [LineChart.Point] {
    curve.points.compactMap { point in
      value(point.table).flatMap { $0.isFinite ? .init(Double(point.steps), $0) : nil }
    }
  }

  /// 1 − c_d against T for the depths of the graph, at most five of them.
  private func lawSeries(_ curve: Curve) -> [LineChart.Series] {
    guard let rate = curve.rule.rate, let longest = Self.steps.last else { return [] }
    let depths = Set(curve.final.table.rows.flatMap(\.depths)).subtracting([0]).sorted()
    return Self.evenly(depths, limit: 5).map { depth in
      let points = (1...longest).map { steps in
        LineChart.Point(Double(steps), Certificate(steps: steps, rate: rate).shortfall(depth))
      }
      return .init("d = \(depth)", points: points, style: .dashed, color: 5)
    }
  }

  /// The measured distance of one parameter for each set of depths, at most three. Depth 0 alone is exact from the start.
  private func markSeries(_ curve: Curve) -> [LineChart.Series] {
    let rows = curve.final.table.rows
    var seen: Set<[Int]> = [[], [0]]
    let distinct = rows.indices.filter { rows[$0].measured != nil && seen.insert(rows[$0].depths).inserted }
    return Self.evenly(distinct, limit: 3).enumerated().map { color, index in
      return .init(
        "\(rows[index].parameter), d = \(Self.ranges(rows[index].depths))",
        points: points(curve) { $0.rows[index].measured }, style: .markers,
        color: color)
    }
  }

  /// `1–5` for 1, 2, 3, 4, 5 and `2, 4` for 2, 4.
  private static func ranges(_ depths: [Int]) -> String {
    guard let first = depths.first, let last = depths.last, depths.count > 2, last - first == depths.count - 1 else {
      return depths.map(String.init).joined(separator: ", ")
    }
    return "\(first)–\(last)"
  }

  /// At most `limit` of the elements, evenly spread, both ends included.
  private static func evenly<Element>(_ elements: [Element], limit: Int) -> [Element] {
    guard elements.count > limit else { return elements }
    return (0..<limit).map { elements[$0 * (elements.count - 1) / (limit - 1)] }
  }
}
