import PCDatasets
import PCGraphs
import PCKernels
import PCLearning

/// How far the gradients of T steps are from backprop's, parameter by parameter: what is known before the run, what was
/// measured, and what the theory says exactly. All numbers are relative to ‖g‖, g being backprop's gradient.
///
/// With g^(d) the part of g that comes over d relaxed vertices and c_d = P[Binomial(T, h) ≥ d], T steps under fixed
/// predictions give Σ_d c_d g^(d) (see `Certificate`).
public struct GradientTable: Sendable {
  /// One parameter, or all together.
  public struct Row: Sendable {
    /// Its path; `all` for the gradient of all parameters together.
    public var parameter: String
    /// The numbers of relaxed vertices on the paths from it to a loss.
    public var depths: [Int]
    /// For one depth 1 − c_d, known before any run; for several Σ_d (1 − c_d) ‖g^(d)‖ / ‖g‖, which takes a backward pass
    /// for each. nil under other rules than fixed predictions and where ‖g‖ = 0.
    public var bound: Double?
    /// ‖g_T − g‖ / ‖g‖.
    public var measured: Double?
    /// ‖Σ_d (1 − c_d) g^(d)‖ / ‖g‖; nil where `bound` is.
    public var exact: Double?
  }

  /// One for each parameter that is trained, in the order of the graph.
  public var rows: [Row]
  /// The same for all parameters together.
  public var total: Row

  /// Cost: two gradients, and two more for each distinct depth.
  public init(_ network: Network, rule: any Rule, on feed: Feed) throws {
    let graph = network.graph
    let backprop = try network.gradients(Backprop(), on: feed)
    let reached = try network.gradients(rule, on: feed)
    let parameters = graph.parameters.filter(\.isTrainable)
    let depths = parameters.map { graph.gradientDepths(ofValue: $0.value) }

    let certificate = Self.certificate(of: rule)
    var shares: [Int: Gradients] = [:]
    var missing: Gradients?
    if let certificate {
      let all = 0...(depths.joined().max() ?? 0)
      for depth in Set(depths.joined()) {
        shares[depth] = try network.gradients(weightingDepthsBy: all.map { $0 == depth ? 1 : 0 }, on: feed)
      }
      missing = try network.gradients(weightingDepthsBy: all.map(certificate.shortfall), on: feed)
    }

    /// A row about the parameters of these names.
    func row(_ title: String, _ names: [String], _ depths: [Int]) -> Row {
      var row = Row(parameter: title, depths: depths)
      let length = norm(backprop, names)
      if let certificate, depths.count == 1 { row.bound = certificate.shortfall(depths[0]) }
      guard length != 0, !depths.isEmpty else { return row }
      row.measured = norm(reached, minus: backprop, names) / length
      guard let certificate, let missing else { return row }
      if depths.count > 1 {
        row.bound = depths.reduce(0) { sum, depth in
          sum + certificate.shortfall(depth) * (shares[depth].map { norm($0, names) } ?? 0) / length
        }
      }
      row.exact = norm(missing, names) / length
      return row
    }
    rows = zip(parameters, depths).map { row($0.name, [$0.name], $1) }
    total = row("all", parameters.map(\.name), Set(depths.joined()).sorted())
  }

  /// The law of a rule's T steps, where it has one.
  static func certificate(of rule: any Rule) -> Certificate? {
    guard let fixed = rule as? FixedPredictions else { return nil }
    // At equilibrium all has arrived, as it has after one step of size 1 for each depth.
    return fixed.solver == .equilibrium
      ? Certificate(steps: .max, rate: 1) : Certificate(steps: fixed.steps, rate: fixed.rate)
  }
}

/// The length of a gradient, or of a difference of two, over some parameters.
private func norm(_ gradients: Gradients, minus other: Gradients? = nil, _ names: [String]) -> Double {
  names.reduce(0) { sum, name in
    guard let values = gradients[name]?.values else { return sum }
    guard let theirs = other?[name]?.values else { return values.reduce(sum) { $0 + $1 * $1 } }
    return zip(values, theirs).reduce(sum) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }.squareRoot()
}

extension Experiment {
  /// The table for the first rule and seed: at the initial parameters, on the first batch of training.
  ///
  /// - Throws: a `DivergenceError` where a number of it is not finite.
  public func gradientTable() throws -> GradientTable {
    let (rule, seed) = (settings.rules[0], settings.seeds[0])
    let network = try Network(model, on: backend, seed: seed)
    let table = try GradientTable(network, rule: rule.rule, on: firstBatch(seed: seed))
    for row in table.rows + [table.total] {
      let numbers = [row.bound, row.measured, row.exact].compactMap { $0 }
      guard numbers.allSatisfy(\.isFinite) else {
        let what = row.parameter == table.total.parameter ? "the gradient" : "the gradient of \(row.parameter)"
        throw DivergenceError(rule, seed: seed, what, isTrained: false)
      }
    }
    return table
  }
}

// MARK: - JSON and table

extension GradientTable {
  /// One object for each parameter, and last one for all together.
  package var jsonLines: [JSON] { (rows + [total]).map(\.json) }

  /// The rows for people.
  public var table: ResultTable {
    func text(_ value: Double?) -> String { value.map { NumberText.significant($0) } ?? "–" }
    return ResultTable(
      ["parameter", .init("depths", .left), "bound", "measured", "exact"],
      rows: (rows + [total]).map { row in
        let depths = row.depths.isEmpty ? "–" : row.depths.map(String.init).joined(separator: ", ")
        return [row.parameter, depths, text(row.bound), text(row.measured), text(row.exact)]
      })
  }

  /// What the table's columns mean.
  public static let legend = """
    Relative to ‖g‖, g being backprop's gradient and g⁽ᵈ⁾ its part over d relaxed vertices, of which the share c(d) has \
    arrived: bound 1 − c(d), or Σ (1 − c(d)) ‖g⁽ᵈ⁾‖ for several depths; measured ‖g(T) − g‖; exact ‖Σ (1 − c(d)) g⁽ᵈ⁾‖.
    """
}

extension GradientTable.Row {
  package var json: JSON {
    .object([
      ("parameter", .string(parameter)), ("depths", .array(depths.map { .integer($0) })), ("bound", .number(bound)),
      ("measured", .number(measured)), ("exact", .number(exact)),
    ])
  }
}
