extension ConvergenceExperiment {
  package typealias Finished = FinishedWork<Work, Result>

  /// One axis along which graphs differ, all else held.
  private struct Sweep {
    var name: String
    var axis: LineChart.Axis
    var caption: String
    var pieces: [Finished]
    var x: (Work) -> Double
  }

  package static func findings(_ finished: [Finished]) -> Findings {
    func pieces(_ isWanted: (Work) -> Bool) -> [Finished] {
      finished.filter { !$0.work.isTimed && isWanted($0.work) }
    }
    let sweeps = [
      Sweep(
        name: "depth", axis: .init("relaxed vertices in the chain", scale: .logarithmic),
        caption: "Chains of 1 to 64 vertices of width 16, h = 0.2: the first layer's gradient.",
        pieces: pieces { $0.shape == .chain && $0.width == 16 && $0.rate == 0.2 && depths.contains($0.size) },
        x: { Double($0.size) }),
      Sweep(
        name: "width", axis: .init("elements of each vertex", scale: .logarithmic),
        caption: "Chains of 8 vertices of different widths, h = 0.2: width does not matter.",
        pieces: pieces { $0.shape == .chain && $0.size == 8 && $0.rate == 0.2 }, x: { Double($0.width) }),
      Sweep(
        name: "rate", axis: .init("step size h", scale: .logarithmic),
        caption: "A chain of 8 vertices of width 16 with different step sizes. At h = 1, depth d takes d steps.",
        pieces: pieces { $0.shape == .chain && $0.size == 8 && $0.width == 16 }, x: \.rate),
    ].map { sweep in
      var sweep = sweep
      sweep.pieces.sort { sweep.x($0.work) < sweep.x($1.work) }
      return sweep
    }
    let sequences = pieces { $0.shape == .sequence }
    let shapes = pieces { work in work.size == 13 && work.shape != .sequence }
    var parts: [Findings.Part] = [.block(.paragraph(explanation))]
    parts += sweeps.filter { !$0.pieces.isEmpty }.map { .figure(figure($0)) }
    if !shapes.isEmpty { parts.append(.figure(shapesFigure(shapes))) }
    if !sequences.isEmpty { parts.append(.figure(lengthFigure(sequences))) }
    let updates = crossover(finished.filter(\.work.isTimed)) { Double($0.size * ($1.time?.steps ?? 0)) }
    let seconds = crossover(finished.filter(\.work.isTimed)) { $1.time?.seconds ?? .nan }
    if !updates.rows.isEmpty {
      parts.append(.block(.paragraph(scheduleText)))
      parts.append(
        .figure(
          crossoverFigure(
            "crossover-updates", updates, "updates of vertices", "Updates of vertices",
            "Updates of vertices in one inference, T for each vertex, until the first state's gradient has arrived but for "
              + "0.1 %. \(updates.sentence)")))
      parts.append(
        .figure(
          crossoverFigure(
            "crossover-time", seconds, "seconds", "Time",
            "Seconds of one inference with these numbers of steps, on the CPU backend: width \(timedWidth), batches of "
              + "\(finished.compactMap(\.result.time?.batchSize).first ?? 0), median of several. \(seconds.sentence)")
        ))
    }
    parts.append(.details(summary: "All numbers of steps", [allFigure(pieces { _ in true })]))
    return Findings(
      outcome: outcome(pieces { _ in true }, updates.sentence, seconds.sentence), parts: parts,
      numbers: numbers(finished, updates, seconds))
  }

  private static let explanation = """
    A gradient that reaches a parameter over d relaxed vertices has arrived after T steps with the share \
    `P[Binomial(T, h) ≥ d]`: the law, known before any run. Where all paths have one depth, the law's number of steps is \
    exact. Elsewhere the parts of different depths add up, and `Σ (1 − c(d)) ‖g⁽ᵈ⁾‖ / ‖g‖` bounds what is missing. The \
    number that is measured is the smallest T from which on the gradient stays within 1 % or 0.1 % of backprop's; stepwise \
    runs of T and of T − 1 steps lie on either side of it.
    """

  private static let scheduleText = """
    The time-reversed schedule relaxes the vertices of one time step after the other, each with T updates, so a path over d \
    steps has the share `P[Binomial(T, h) ≥ 1]ᵈ`. Synchronous inference has to wait until T updates have carried the message \
    through all steps, and updates all vertices in each.
    """

  private static func outcome(_ pieces: [Finished], _ updates: String, _ seconds: String) -> String {
    let reaches = pieces.flatMap(\.result.reaches)
    let single = reaches.filter { $0.depths.count == 1 }.flatMap(\.arrivals)
    let several = reaches.filter { $0.depths.count > 1 }.flatMap(\.arrivals)
    let exact = single.count { $0.law == $0.measured }
    let below = several.count { $0.measured <= $0.bound }
    let confirmed = (single + several).count(where: \.isConfirmed)
    return
      "Where all paths have one depth, the law gave the number of steps exactly in \(exact) of \(single.count) cases; over "
      + "paths of several depths, \(below) of \(several.count) gradients arrived no later than the bound says. Stepwise runs "
      + "confirm \(confirmed) of \(single.count + several.count) numbers. \(updates) \(seconds)"
  }

  // MARK: Sweeps

  private static func percent(_ tolerance: Double) -> String { "\(NumberText.significant(100 * tolerance)) %" }

  /// Law and measurement of the farthest parameter.
  private static func figure(_ sweep: Sweep) -> Figure {
    var series: [LineChart.Series] = []
    for (color, tolerance) in tolerances.enumerated() {
      func points(_ value: (Arrival) -> Int) -> [LineChart.Point] {
        sweep.pieces.compactMap { piece in
          piece.result.reaches.first?.arrivals.first { $0.tolerance == tolerance }.map {
            .init(sweep.x(piece.work), Double(value($0)))
          }
        }
      }
      series.append(
        .init("law, \(percent(tolerance))", points: points(\.law), style: .dashed, color: color))
      series.append(
        .init("measured, \(percent(tolerance))", points: points(\.measured), style: .markers, color: color))
    }
    let chart = LineChart(
      title: "Steps against \(sweep.name)", x: sweep.axis, y: .init("steps T", scale: .logarithmic), series: series,
      plotHeight: 260)
    return Figure(sweep.name, data(sweep.pieces), picture: chart.svg, caption: sweep.caption)
  }

  /// Both schedules.
  private static func lengthFigure(_ pieces: [Finished]) -> Figure {
    let tolerance = tolerances.last ?? 0
    var series: [LineChart.Series] = []
    for isTimeReversed in [false, true] {
      let runs = pieces.filter { $0.work.isTimeReversed == isTimeReversed }
      let name = isTimeReversed ? "time-reversed" : "synchronous"
      func points(_ reach: Int, _ value: (Arrival) -> Int) -> [LineChart.Point] {
        runs.compactMap { piece in
          guard reach < piece.result.reaches.count else { return nil }
          return piece.result.reaches[reach].arrivals.first { $0.tolerance == tolerance }.map {
            .init(Double(piece.work.size), Double(value($0)))
          }
        }
      }
      let color = isTimeReversed ? 1 : 0
      series.append(.init("\(name), law", points: points(0, \.law), style: .dashed, color: color))
      series.append(
        .init("\(name), first state", points: points(0, \.measured), style: .markers, color: color))
      series.append(
        .init("\(name), all", points: points(1, \.measured), style: .markers, color: isTimeReversed ? 3 : 2))
    }
    let chart = LineChart(
      title: "Steps against the length of a sequence", x: .init("length", scale: .logarithmic),
      y: .init("steps T for each vertex", scale: .logarithmic), series: series)
    return Figure(
      "length", data(pieces), picture: chart.svg,
      caption:
        "A recurrent net of width 16, h = \(NumberText.significant(sequenceRate)), a loss on the last state; steps "
        + "until the gradient of the trained first state, and that of all parameters, is within \(percent(tolerance)). "
        + "The first state is as far away as the sequence is long; most of the gradient of all parameters comes from the "
        + "last steps, since older ones fade.")
  }

  private static func shapesFigure(_ pieces: [Finished]) -> Figure {
    Figure(
      "shape", data(pieces),
      table: table(pieces) { $0.shape.title },
      caption:
        "Graphs of 13 relaxed vertices of width 16, h = 0.2: the parameter that is farthest from the loss, and all "
        + "together. Steps by the law for the largest depth, by the bound, and measured.")
  }

  private static func allFigure(_ pieces: [Finished]) -> Figure {
    Figure(
      "steps", data(pieces), table: table(pieces, title: \.name),
      caption: "Steps until a gradient is within 1 % and 0.1 % of backprop's for good.")
  }

  private static func table(_ pieces: [Finished], title: (Work) -> String) -> ResultTable {
    ResultTable(
      [
        .init("graph", .left), .init("gradient", .left), .init("depths", .left), .init("within", .right),
        .init("law", .right), .init("bound", .right), .init("measured", .right),
      ],
      rows: pieces.flatMap { piece in
        piece.result.reaches.flatMap { reach in
          reach.arrivals.map { arrival in
            [
              title(piece.work), reach.parameter, ranges(reach.depths), percent(arrival.tolerance), "\(arrival.law)",
              "\(arrival.bound)", "\(arrival.measured)",
            ]
          }
        }
      })
  }

  private static func data(_ pieces: [Finished]) -> DataTable {
    DataTable(
      [
        "shape", "size", "width", "h", "schedule", "gradient", "depths", "tolerance", "law", "bound", "measured",
        "error",
        "error one step before",
      ],
      rows: pieces.flatMap { piece in
        let work = piece.work
        let head: [JSON] = [
          .string(work.shape.rawValue), .integer(work.size), .integer(work.width), .number(work.rate),
          .string(work.isTimeReversed ? "time-reversed" : "synchronous"),
        ]
        return piece.result.reaches.flatMap { reach in
          reach.arrivals.map { arrival -> [JSON] in
            head + [
              .string(reach.parameter), .string(ranges(reach.depths)), .number(arrival.tolerance),
              .integer(arrival.law),
              .integer(arrival.bound), .integer(arrival.measured), .number(arrival.error),
              .number(arrival.errorBefore),
            ]
          }
        }
      })
  }

  // MARK: Schedules

  /// A quantity of both schedules by length.
  private struct Crossover {
    var rows: [(length: Int, synchronous: Double, timeReversed: Double)]
    var unit = ""

    /// The smallest length from which on the time-reversed schedule takes less, by more than a clock's whims.
    var length: Int? {
      let firstAfter = rows.lastIndex { $0.timeReversed > 0.95 * $0.synchronous }.map { $0 + 1 } ?? 0
      return firstAfter < rows.count ? rows[firstAfter].length : nil
    }
    var sentence = ""
  }

  private static func crossover(_ pieces: [Finished], _ value: (Work, Result) -> Double) -> Crossover {
    let lengths = Set(pieces.map(\.work.size)).sorted()
    var crossover = Crossover(
      rows: lengths.compactMap { length in
        func find(_ isTimeReversed: Bool) -> Double? {
          pieces.first { $0.work.size == length && $0.work.isTimeReversed == isTimeReversed }.map {
            value($0.work, $0.result)
          }
        }
        guard let synchronous = find(false), let reversed = find(true) else { return nil }
        return (length, synchronous, reversed)
      })
    guard let last = crossover.rows.last else { return crossover }
    let isTime = last.synchronous.rounded() != last.synchronous
    let what = isTime ? "less time" : "fewer updates"
    let factor = NumberText.significant(last.synchronous / last.timeReversed, digits: 2)
    crossover.sentence =
      crossover.length.map {
        "Of the lengths tried, the time-reversed schedule takes \(what) from \($0) on, \(factor) times at \(last.length)."
      } ?? "The time-reversed schedule does not take \(what) at any length tried."
    return crossover
  }

  private static func crossoverFigure(
    _ name: String, _ crossover: Crossover, _ unit: String, _ title: String, _ caption: String
  ) -> Figure {
    let chart = LineChart(
      title: "\(title) of both schedules", x: .init("length", scale: .logarithmic),
      y: .init(unit, scale: .logarithmic),
      series: [
        .init("synchronous", points: crossover.rows.map { .init(Double($0.length), $0.synchronous) }),
        .init("time-reversed", points: crossover.rows.map { .init(Double($0.length), $0.timeReversed) }),
      ], plotHeight: 260)
    return Figure(
      name,
      DataTable(
        ["length", "synchronous", "time-reversed"],
        rows: crossover.rows.map { [.integer($0.length), .number($0.synchronous), .number($0.timeReversed)] }),
      picture: chart.svg, caption: caption)
  }

  // MARK: JSON

  private static func numbers(_ finished: [Finished], _ updates: Crossover, _ seconds: Crossover) -> [(
    key: String, value: JSON
  )] {
    [
      ("steps", data(finished.filter { !$0.work.isTimed }).json),
      (
        "schedules",
        .array(
          finished.compactMap { piece in
            piece.result.time.map { time in
              .object([
                ("length", .integer(piece.work.size)),
                ("schedule", .string(piece.work.isTimeReversed ? "time-reversed" : "synchronous")),
                ("steps", .integer(time.steps)), ("vertexUpdates", .integer(time.steps * piece.work.size)),
                ("seconds", .number(time.seconds)),
              ])
            }
          })
      ),
      (
        "timeReversedWinsFrom",
        .object([
          ("updates", updates.length.map { .integer($0) } ?? .null),
          ("seconds", seconds.length.map { .integer($0) } ?? .null),
        ])
      ),
    ]
  }

  /// `1–5` for 1, 2, 3, 4, 5 and `2, 4` for 2, 4.
  private static func ranges(_ depths: [Int]) -> String {
    guard let first = depths.first, let last = depths.last, depths.count > 2, last - first == depths.count - 1 else {
      return depths.map(String.init).joined(separator: ", ")
    }
    return "\(first)–\(last)"
  }
}
