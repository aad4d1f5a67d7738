import PCGraphs
import PCLearning

extension Comparison {
  /// The comparison as a page: curves, the closing table, how far inference reaches, the graph, and the facts of the run.
  public func report(_ record: RunRecord, graph: Graph, reach: InferenceReach) -> HTMLReport {
    let title = "\(settings.model.rawValue) on \(settings.dataset.rawValue): predictive coding beside backprop"
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
    let epochs = rules.map(\.testAccuracy.count).max() ?? 0
    let spread = settings.seeds.count > 1 ? " Means of \(settings.seeds.count) seeds." : ""
    return "Test accuracy after \(epochs) epoch\(epochs == 1 ? "" : "s"), from the same initial parameters on the same "
      + "batches: \(results.joined(separator: ", ")).\(spread)"
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
      let bands = settings.seeds.count > 1 ? " Bands are ± one standard deviation over \(settings.seeds.count) seeds." : ""
      blocks.append(.figure(chart.svg, caption: caption + bands))
    }
    blocks.append(.table(table, caption: "After the last epoch. \(Self.legend)"))
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
        .figure(picture.svg, caption: "The vertices of `\(settings.model.rawValue)`, with the shapes of their values; B is the batch."),
        .details(
          summary: "All \(inspection.rows.count) vertices in a table",
          [.table(inspection.table, caption: "Memory is that of value, message and parameters for a batch of \(settings.batchSize).")]),
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
    means(quantity).indices.map { epoch in
      let sample = Statistics(runs.map { $0[keyPath: quantity][epoch] })
      let x = Double(epoch + 1)
      return runs.count > 1 ? .init(x, sample.mean, spread: sample.deviation) : .init(x, sample.mean)
    }
  }
}

// MARK: - Reach

extension InferenceReach {
  /// nil where no rule takes steps.
  fileprivate var section: HTMLReport.Section? {
    guard !curves.isEmpty else { return nil }
    var series: [LineChart.Series] = []
    var blocks: [HTMLReport.Block] = []
    for curve in curves where curve.rule.name == .fixed {
      for (color, index) in representatives(of: curve).enumerated() {
        let row = curve.points[0].table.rows[index]
        let depths = row.depths.map(String.init).joined(separator: ", ")
        let name = "\(row.parameter), depth\(row.depths.count > 1 ? "s" : "") \(depths)"
        // The law as a line, the measurements as marks on it.
        series.append(
          .init("", points: points(curve) { $0.rows[index].bound }, style: .dashed, color: color))
        series.append(.init(name, points: points(curve) { $0.rows[index].measured }, style: .markers, color: color))
      }
      blocks.append(
        .paragraph(
          """
          A message that crosses d relaxed vertices has arrived after T steps with the share c_d = P[Binomial(T, h) ≥ d]. \
          So the error of a gradient is known before the run: exactly 1 − c_d where all paths to the loss have one depth \
          d, and at most Σ(1 − c_d)‖g^(d)‖ where they have several.
          """))
    }
    for curve in curves where curve.rule.name == .standard {
      series.append(
        .init("standard, all parameters", points: points(curve) { $0.total.measured }, style: .line, color: 5))
      blocks.append(
        .paragraph(
          "Standard predictive coding does not tend to backprop's gradient: its error levels off at that of another equilibrium."))
    }
    let chart = LineChart(
      title: "Gradient error against inference steps", x: .init("inference steps T", scale: .logarithmic),
      y: .init("‖g_T − g‖ / ‖g‖", scale: .logarithmic), series: series)
    let rates = curves.compactMap { curve in curve.rule.rate.map { "h = \($0) for \(curve.rule.name.rawValue)" } }
    let caption =
      "Marks are measured, dashed lines are what the certificate says before the run. Initial parameters, \(examples) "
      + "examples, in Double; \(rates.joined(separator: ", ")). Output weights have depth 0 and are exact from the start."
    return HTMLReport.Section("What inference steps buy", blocks + [.figure(chart.svg, caption: caption)])
  }

  private func points(_ curve: Curve, _ value: (GradientTable) -> Double?) -> [LineChart.Point] {
    curve.points.compactMap { point in value(point.table).map { .init(Double(point.steps), $0) } }
  }

  /// One parameter for each set of depths, the largest depth first, at most four; depth 0 alone is exact from the start.
  private func representatives(of curve: Curve) -> [Int] {
    let rows = curve.points[0].table.rows
    var seen: Set<[Int]> = [[], [0]]
    let distinct = rows.indices.filter { rows[$0].measured != nil && seen.insert(rows[$0].depths).inserted }
    let sorted = distinct.sorted { (rows[$0].depths.last ?? 0) > (rows[$1].depths.last ?? 0) }
    guard sorted.count > 4 else { return sorted }
    // Evenly over the depths, both ends included.
    return (0..<4).map { sorted[$0 * (sorted.count - 1) / 3] }
  }
}
