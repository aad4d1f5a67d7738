import PCGraphs
import PCKernels
import PCLearning
import PCModels

/// y = tan √(θ v0) + sin v0² at v0 = 5, θ = 2, with the target 1: the paper's smallest graph, in Double, every message
/// followed step by step.
package struct ScalarExperiment: PaperExperiment {
  package static let name = NamedPaperExperiment.scalar
  package static let title = "A scalar graph"
  package static let claim = """
    On `y = tan √(θ·v0) + sin v0²`, the errors of predictive coding converge to backprop's gradients at every vertex, \
    exponentially in the number of steps.
    """

  /// What makes a vertex.
  package enum Grouping: String, Codable, CaseIterable, Sendable {
    /// The paper's: θ v0, √, v0² and the output.
    case vertices
    /// One for each operation.
    case operations
  }

  /// One grouping with one step size.
  package struct Work: PaperWork {
    package var grouping: Grouping
    package var rate: Double
    package var name: String { "\(grouping.rawValue)-h\(rate)" }
  }

  /// What a message has come to.
  package struct Trajectory: Codable, Sendable {
    /// A vertex, or an input, whose message is −∂L/∂input.
    package var vertex: String
    /// −∂L/∂v by backprop.
    package var exact: Double
    /// The message after each of the result's `steps`.
    package var messages: [Double]
    /// Updates until the message is within 0.1 % of `exact` for good.
    package var updates: Int
  }

  package struct Result: Codable, Sendable {
    /// y.
    package var value: Double
    /// Numbers of updates after which messages were noted.
    package var steps: [Int]
    /// In the order of the graph, after the inputs.
    package var trajectories: [Trajectory]
  }

  package static let rates = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
  /// How near counts as there.
  static let tolerance = 1e-3

  package init(_ settings: Reproduction) {}

  package func plan() -> (works: [Work], omissions: [String]) {
    (Grouping.allCases.flatMap { grouping in Self.rates.map { Work(grouping: grouping, rate: $0) } }, [])
  }

  /// The graph, in Double.
  static func network(isGrouped: Bool) throws -> Network {
    try Network(.scalar(isGrouped: isGrouped), on: Reference(), seed: 0)
  }

  /// v0 = 5, θ = 2, with the target 1.
  static let feed = Feed(count: 1, ["v0": .doubles([5]), "theta": .doubles([2]), "target": .doubles([1])])

  package func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) throws -> Result {
    let network = try Self.network(isGrouped: work.grouping == .vertices)
    let feed = Self.feed
    let inputs = ["v0", "theta"]
    let vertices = network.graph.vertices.map(\.name)

    func messages(_ run: InferenceRun) -> [Double] {
      // Deterministic messages belong to the present state only once a gradient has been asked for.
      let ofInputs = inputs.map { -run.gradient(ofInput: $0).values[0] }
      return ofInputs + vertices.map { run[$0].message.values[0] }
    }
    let backprop = try network.run(Backprop(), on: feed, gradientOf: inputs)
    backprop.runAll()
    let exact = messages(backprop)

    let rule = FixedPredictions(steps: 1, rate: work.rate)
    let run = try network.run(rule, on: feed, gradientOf: inputs)
    rule.initialise(run)
    // Past the last step at which any message could still be out of tolerance: all that is missing is far smaller.
    let deepest = network.graph.messageDepths().joined().max() ?? 0
    func isSettled(_ steps: Int) -> Bool { Certificate(steps: steps, rate: work.rate).shortfall(deepest) < 1e-9 }
    var updates = exact.map { _ in 0 }
    var (steps, noted): ([Int], [[Double]]) = ([], [])
    var step = 0
    while true {
      let current = messages(run)
      if Self.isNoted(step) {
        steps.append(step)
        noted.append(current)
      }
      for (index, message) in current.enumerated()
      where abs(message - exact[index]) > Self.tolerance * abs(exact[index]) {
        updates[index] = step + 1
      }
      if isSettled(step) { break }
      rule.step(run)
      step += 1
    }
    return Result(
      value: run["y"].value.values[0], steps: steps,
      trajectories: (inputs + vertices).enumerated().map { index, vertex in
        Trajectory(
          vertex: vertex, exact: exact[index], messages: noted.map { $0[index] }, updates: updates[index])
      })
  }

  /// All steps up to 20, then about 16 in each doubling.
  private static func isNoted(_ step: Int) -> Bool {
    guard step > 20 else { return true }
    let spacing = 1 << max(0, Int.bitWidth - step.leadingZeroBitCount - 5)
    return step % spacing == 0
  }
}

// MARK: - Findings

extension ScalarExperiment {
  package typealias Finished = FinishedWork<Work, Result>

  package static func findings(_ finished: [Finished]) -> Findings {
    let groupings = Grouping.allCases.filter { grouping in finished.contains { $0.work.grouping == grouping } }
    var parts: [Findings.Part] = [.block(.paragraph(explanation))]
    if !finished.isEmpty { parts.append(.figure(gradientsFigure(finished))) }
    parts.append(.figure(updatesFigure(finished)))
    for grouping in groupings {
      let runs = finished.filter { $0.work.grouping == grouping }
      parts.append(.figure(ratesFigure(grouping, runs)))
      let shown = runs.first { $0.work.rate == 0.1 }
      if let shown {
        parts.append(.figure(messagesFigure(shown)))
        parts.append(.figure(errorsFigure(shown)))
      }
      let others = runs.filter { $0.work.rate != shown?.work.rate }
      parts.append(
        .details(
          summary: "Every message at the other step sizes: \(grouping.phrase)",
          others.flatMap { [messagesFigure($0), errorsFigure($0)] }))
    }
    return Findings(outcome: outcome(finished), parts: parts, numbers: numbers(finished))
  }

  private static let explanation = """
    v0 = 5, θ = 2, target 1, loss ½(1 − y)². A message is −∂L/∂v. It arrives over paths that cross d relaxed vertices with \
    the share `P[Binomial(T, h) ≥ d]`, which tends to 1 exponentially, the slower the deeper. `v0` is reached over two \
    paths of different depth, `θ` over the deeper one alone.
    """

  private static func updates(_ finished: [Finished], _ grouping: Grouping, _ vertex: String) -> [(Double, Int)] {
    finished.filter { $0.work.grouping == grouping }.compactMap { piece in
      piece.result.trajectories.first { $0.vertex == vertex }.map { (piece.work.rate, $0.updates) }
    }
  }

  private static func outcome(_ finished: [Finished]) -> String {
    let worst =
      finished.flatMap { piece in
        piece.result.trajectories.filter { $0.exact != 0 }.map { abs(($0.messages.last ?? .nan) / $0.exact - 1) }
      }.max() ?? .nan
    let counts = updates(finished, .vertices, "v0").first { $0.0 == 0.1 }.map {
      " With h = 0.1 the gradient of v0 is within 0.1 % after \($0.1) updates, and stays there."
    }
    return
      "Every message, at all \(rates.count) step sizes and in both groupings, ends within \(NumberText.significant(worst, digits: 1)) of "
      + "backprop's gradient, relative to it.\(counts ?? "")"
  }

  /// Backprop's gradients, and when messages reach them.
  private static func gradientsFigure(_ finished: [Finished]) -> Figure {
    let trajectories = finished[0].result.trajectories
    let columns = Grouping.allCases.map { grouping in
      finished.first { $0.work.grouping == grouping && $0.work.rate == 0.1 }?.result.trajectories ?? []
    }
    func updates(_ vertex: String) -> [Int?] { columns.map { $0.first { $0.vertex == vertex }?.updates } }
    return Figure(
      "gradients",
      DataTable(
        ["vertex", "gradient"] + Grouping.allCases.map { "updates \($0.rawValue)" },
        rows: trajectories.map { trajectory in
          [.string(trajectory.vertex), .number(-trajectory.exact)]
            + updates(trajectory.vertex).map { $0.map { .integer($0) } ?? .null }
        }),
      table: ResultTable(
        [.init("vertex", .left), .init("∂L/∂v", .decimal)]
          + Grouping.allCases.map { .init("updates, \($0.rawValue)", .right) },
        rows: trajectories.map { trajectory in
          [label(trajectory.vertex), NumberText.fixed(-trajectory.exact, places: 10)]
            + updates(trajectory.vertex).map { $0.map(String.init) ?? "–" }
        }),
      caption:
        "Backprop's gradients, at y = \(NumberText.fixed(finished[0].result.value, places: 10)), and the updates "
        + "that bring the message within 0.1 % of them for good, h = 0.1.")
  }

  /// Updates until v0 and θ are there.
  private static func updatesFigure(_ finished: [Finished]) -> Figure {
    let inputs = ["v0", "theta"]
    let columns = Grouping.allCases.flatMap { grouping in inputs.map { (grouping, $0) } }
    func count(_ rate: Double, _ column: (Grouping, String)) -> Int? {
      updates(finished, column.0, column.1).first { $0.0 == rate }?.1
    }
    return Figure(
      "updates",
      DataTable(
        ["h"] + columns.map { "\($0.0.rawValue) \($0.1)" },
        rows: rates.map { rate in [.number(rate)] + columns.map { count(rate, $0).map { .integer($0) } ?? .null } }),
      table: ResultTable(
        [.init("h", .decimal)] + columns.map { .init("\(label($0.1)), \($0.0.rawValue)", .right) },
        rows: rates.map { rate in
          ["\(NumberText.significant(rate))"] + columns.map { count(rate, $0).map(String.init) ?? "–" }
        }),
      caption:
        "Updates until the gradient is within 0.1 % of backprop's for good, with the paper's vertices and with one "
        + "operation a vertex.")
  }

  /// v0's error at every step size.
  private static func ratesFigure(_ grouping: Grouping, _ runs: [Finished]) -> Figure {
    let name = "v0-error-\(grouping.rawValue)"
    var rows: [[JSON]] = []
    var series: [LineChart.Series] = []
    for piece in runs {
      guard let v0 = piece.result.trajectories.first(where: { $0.vertex == "v0" }) else { continue }
      let errors = zip(piece.result.steps, v0.messages).map { ($0, abs($1 / v0.exact - 1)) }
      rows += errors.map { [.number(piece.work.rate), .integer($0), .number($1)] }
      series.append(
        .init(
          "h = \(NumberText.significant(piece.work.rate))",
          points: errors.filter { $0.0 > 0 && $0.1 > 1e-9 }.map { .init(Double($0.0), $0.1) }))
    }
    let chart = LineChart(
      title: "Distance of v0's gradient to backprop's, \(grouping.phrase)",
      x: .init("updates T", scale: .logarithmic), y: .init("relative error", scale: .logarithmic), series: series)
    return Figure(
      name, DataTable(["h", "step", "relative error"], rows: rows), picture: chart.svg,
      caption: "How far the gradient of v0 is from backprop's, for the seven step sizes; \(grouping.phrase). Errors "
        + "below 10⁻⁹ are not drawn.")
  }

  /// Every message beside backprop's.
  private static func messagesFigure(_ piece: Finished) -> Figure {
    let (result, work) = (piece.result, piece.work)
    let moving = result.trajectories.filter { $0.updates > 0 }
    // As long as there is something to see.
    let longest = moving.map(\.updates).max() ?? 1
    let last = Double(max(longest, 2))
    var series = moving.map { trajectory in
      LineChart.Series(
        label(trajectory.vertex),
        points: zip(result.steps, trajectory.messages).filter { Double($0.0) <= last }.map {
          .init(Double($0), $1 / trajectory.exact)
        })
    }
    series.append(.init("backprop", points: [.init(0, 1), .init(last, 1)], style: .dashed, color: 6))
    let chart = LineChart(
      title:
        "Messages beside backprop's gradients, \(work.grouping.phrase), h = \(NumberText.significant(work.rate))",
      x: .init("updates T"), y: .init("message / backprop's", including: [0]), series: series)
    let milestones = [1, 2, 5, 10, 20, 48, 192].filter { result.steps.contains($0) }
    let table = ResultTable(
      [.init("vertex", .left), .init("−∂L/∂v", .decimal)] + milestones.map { .init("T = \($0)", .decimal) },
      rows: result.trajectories.map { trajectory in
        [label(trajectory.vertex), NumberText.fixed(trajectory.exact, places: 4)]
          + milestones.map { milestone in
            let place = result.steps.firstIndex(of: milestone)
            return place.map { NumberText.fixed(trajectory.messages[$0], places: 4) } ?? "–"
          }
      })
    return Figure(
      "messages-\(work.name)",
      DataTable(
        ["step"] + result.trajectories.map(\.vertex),
        rows: [[.string("backprop")] + result.trajectories.map { .number($0.exact) }]
          + result.steps.indices.map { place in
            [.integer(result.steps[place])] + result.trajectories.map { .number($0.messages[place]) }
          }),
      picture: chart.svg, table: table,
      caption:
        "Every vertex's message after T updates; \(work.grouping.phrase), h = \(NumberText.significant(work.rate)).")
  }

  /// The logarithm of what every message misses.
  private static func errorsFigure(_ piece: Finished) -> Figure {
    let (result, work) = (piece.result, piece.work)
    let moving = result.trajectories.filter { $0.updates > 0 }
    func error(_ trajectory: Trajectory, _ place: Int) -> Double {
      abs(trajectory.messages[place] / trajectory.exact - 1)
    }
    let chart = LineChart(
      title: "What the messages miss, \(work.grouping.phrase), h = \(NumberText.significant(work.rate))",
      x: .init("updates T"), y: .init("relative error", scale: .logarithmic),
      series: moving.map { trajectory in
        .init(
          label(trajectory.vertex),
          points: result.steps.indices.filter { error(trajectory, $0) > 1e-12 }.map {
            .init(Double(result.steps[$0]), error(trajectory, $0))
          })
      })
    return Figure(
      "errors-\(work.name)",
      DataTable(
        ["step"] + moving.map(\.vertex),
        rows: result.steps.indices.map { place in
          [.integer(result.steps[place])] + moving.map { .number(error($0, place)) }
        }),
      picture: chart.svg,
      caption: "The relative distance of every message to backprop's gradient; \(work.grouping.phrase), "
        + "h = \(NumberText.significant(work.rate)).")
  }

  private static func numbers(_ finished: [Finished]) -> [(key: String, value: JSON)] {
    // Both groupings compute the same function; the second one's names add to the first one's.
    var gradients: [(key: String, value: JSON)] = []
    for grouping in Grouping.allCases {
      for trajectory in finished.first(where: { $0.work.grouping == grouping })?.result.trajectories ?? []
      where !gradients.contains(where: { $0.key == trajectory.vertex }) {
        gradients.append((trajectory.vertex, .number(-trajectory.exact)))
      }
    }
    func counts(_ vertex: String) -> JSON {
      .object(
        Grouping.allCases.map { grouping in
          (
            grouping.rawValue,
            .object(updates(finished, grouping, vertex).map { (NumberText.significant($0.0), .integer($0.1)) })
          )
        })
    }
    return [
      ("value", .number(finished.first?.result.value)), ("gradients", .object(gradients)), ("updates", counts("v0")),
      ("thetaUpdates", counts("theta")),
    ]
  }

  private static func label(_ vertex: String) -> String {
    ["theta": "θ", "product": "θ·v0", "root": "√(θ·v0)", "square": "v0²"][vertex] ?? vertex
  }
}

extension ScalarExperiment.Grouping {
  fileprivate var phrase: String { self == .vertices ? "the paper's vertices" : "one operation a vertex" }
}
