import PCDatasets
import PCGraphs
import PCKernels
import PCLearning
import PCModels

/// Inference on one example, step by step: what every vertex holds, expects and sends.
///
/// ```swift
/// let trace = try Trace.scalar(Settings(Choices()).rules[0])
/// print(trace.table)
/// ```
package struct Trace: Sendable {
  /// What stands for a tensor.
  package enum Reading: Sendable {
    /// √Σx².
    case norm
    /// The element with this number, in row-major order.
    case element(Int)
  }

  /// One vertex after one number of steps; a number where it is a scalar, else as the reading says.
  package struct State: Sendable {
    package var value: Double
    package var prediction: Double
    /// −∂F/∂v; under fixed predictions it tends to `exact`.
    package var message: Double
  }

  package struct Row: Sendable {
    /// The vertex, or a real input, whose message is −∂L/∂input.
    package var vertex: String
    /// `relaxed`, `deterministic`, `input` …
    package var kind: String
    /// Backprop's −∂L/∂v.
    package var exact: Double
    /// After 0, 1, … steps.
    package var states: [State]
  }

  /// What was traced: "scalar, fixed, stepwise, T = 20, h = 0.1".
  package var title: String
  /// Inputs, then vertices in topological order.
  package var rows: [Row]

  /// The number of steps.
  package var steps: Int { max(0, (rows.first?.states.count ?? 1) - 1) }

  /// Cost: T steps and as many closing sweeps.
  ///
  /// - Throws: a `RuleError` or `FeedError` where rule, graph and example do not go together; a `SettingsError` where a
  ///   vertex has no element of that number.
  package init(
    _ title: String, _ network: Network, rule: any Rule, on feed: Feed, reading: Reading = .norm
  ) throws {
    let graph = network.graph
    let inputs = graph.inputs.filter { $0.classes == nil }.map(\.name)
    if let fixed = rule as? FixedPredictions, fixed.solver != .stepwise {
      throw SettingsError(
        "A trace follows steps, and the solver \(fixed.solver.rawValue) takes none; choose stepwise.")
    }
    // A vertex that reads labels alone makes a target, and no message goes there.
    let labels = Set(graph.inputs.filter { $0.classes != nil }.map(\.value))
    let vertices = graph.vertices.filter { $0.kind != .parametric && !labels.isSuperset(of: $0.operands) }
      .map { ($0.name, $0.kind.rawValue) }
    if case .element(let index) = reading, index < 0 { throw SettingsError("Elements count from 0, not \(index).") }

    func read(_ tensor: Tensor, of name: String) throws(SettingsError) -> Double {
      if tensor.values.count == 1 { return tensor.values[0] }
      switch reading {
      case .norm: return tensor.norm
      case .element(let index):
        guard index < tensor.values.count else {
          throw SettingsError("\(name) has \(tensor.values.count) elements; there is none with the number \(index).")
        }
        return tensor.values[index]
      }
    }
    func fed(_ input: String) -> Tensor {
      switch feed.arrays[input] {
      case .floats(let values)?: Tensor([values.count], values.map(Double.init))
      case .doubles(let values)?: Tensor([values.count], values)
      default: Tensor([0], [])
      }
    }
    func states(_ run: InferenceRun) throws -> [State] {
      let ofInputs = try inputs.map { input in
        let value = try read(fed(input), of: input)
        let gradient = try read(run.gradient(ofInput: input), of: input)
        // A norm has no sign to turn.
        let isNorm = if case .norm = reading { fed(input).values.count > 1 } else { false }
        return State(value: value, prediction: value, message: isNorm ? gradient : 0 - gradient)
      }
      let ofVertices = try vertices.map { name, _ in
        State(
          value: try read(run[name].value, of: name), prediction: try read(run[name].prediction, of: name),
          message: try read(run[name].message, of: name))
      }
      return ofInputs + ofVertices
    }

    let backprop = try network.run(Backprop(), on: feed, gradientOf: inputs)
    backprop.runAll()
    let exact = try states(backprop)
    var history: [[State]] = []
    let run = try network.run(rule, on: feed, isMonitored: true, gradientOf: inputs)
    try run.runAll { _ in history.append(try states(run)) }
    self.title = title
    let names = inputs.map { ($0, "input") } + vertices
    rows = names.indices.map { index in
      Row(
        vertex: names[index].0, kind: names[index].1, exact: exact[index].message,
        states: history.map { $0[index] })
    }
  }

  /// The paper's scalar graph at v0 = 5, θ = 2, with the target 1, in Double.
  package static func scalar(_ rule: RuleSettings, isGrouped: Bool = true) throws -> Trace {
    try Trace(
      "scalar, \(rule.summary)", ScalarExperiment.network(isGrouped: isGrouped), rule: rule.rule,
      on: ScalarExperiment.feed)
  }
}

extension Experiment {
  /// The trace of the first rule at the initial parameters of the first seed.
  ///
  /// - Parameter example: its number among the training examples, as they are stored.
  package func trace(example: Int, reading: Trace.Reading) throws -> Trace {
    guard 0..<data.training.count ~= example else {
      throw SettingsError(
        "\(settings.dataName) has training examples from 0 to \(data.training.count - 1), not \(example).")
    }
    let network = try Network(model, on: backend, seed: settings.seeds[0])
    let feed = try Feed(data.training.batch([example]), for: model.graph)
    let title = "\(settings.model.rawValue) on example \(example), \(settings.rules[0].summary)"
    return try Trace(title, network, rule: settings.rules[0].rule, on: feed, reading: reading)
  }
}

// MARK: - Table, CSV, JSON, picture

extension Trace {
  /// Every step up to 10, then those that a reader would ask for, and the last.
  private var milestones: [Int] {
    let chosen = Array(0...10) + [15, 20, 30, 50, 70] + (1...).lazy.map { 100 * $0 }.prefix { $0 < steps }
    return chosen.filter { $0 < steps } + [steps]
  }

  /// A row for each of some steps and each vertex.
  package var table: ResultTable {
    func text(_ value: Double) -> String { NumberText.significant(value, digits: 5) }
    return ResultTable(
      [
        .init("T", .right), .init("vertex", .left), .init("kind", .left), .init("value", .decimal),
        .init("prediction", .decimal), .init("message", .decimal), .init("backprop's", .decimal),
      ],
      rows: milestones.flatMap { step in
        rows.enumerated().map { index, row in
          let state = row.states[step]
          return [
            index == 0 ? "\(step)" : "", row.vertex, row.kind, text(state.value), text(state.prediction),
            text(state.message), text(row.exact),
          ]
        }
      })
  }

  /// What the table's columns mean.
  package static let legend = """
    Tensors by their length √Σx² unless an element is asked for. A message is −∂F/∂v, for a relaxed vertex its own error; \
    backprop's is −∂L/∂v.
    """

  /// Every step and vertex.
  package var data: DataTable {
    DataTable(
      ["step", "vertex", "kind", "value", "prediction", "message", "backprop"],
      rows: (0...steps).flatMap { step in
        rows.map { row in
          [
            .integer(step), .string(row.vertex), .string(row.kind), .number(row.states[step].value),
            .number(row.states[step].prediction), .number(row.states[step].message), .number(row.exact),
          ]
        }
      })
  }

  /// The messages of at most seven vertices as shares of backprop's, which is 1.
  package var picture: SVG {
    let drawn = rows.filter { $0.exact != 0 && ($0.kind == "relaxed" || $0.kind == "input") }
    let limit = 6
    let chosen =
      drawn.count <= limit ? drawn : (0..<limit).map { drawn[$0 * (drawn.count - 1) / (limit - 1)] }
    let series = chosen.map { row in
      LineChart.Series(
        row.vertex, points: row.states.enumerated().map { .init(Double($0), $1.message / row.exact) })
    }
    let last = Double(max(steps, 1))
    return LineChart(
      title: title, x: .init("updates T"), y: .init("message / backprop's", including: [0]),
      series: series + [.init("backprop", points: [.init(0, 1), .init(last, 1)], style: .dashed, color: 6)]
    ).svg
  }
}
