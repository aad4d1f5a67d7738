import PCGraphs
import PCPlans

/// A way to find the errors from which parameters learn.
///
/// That is all that training needs: a rule writes a plan, in which every vertex ends with its message, and parameters
/// read those. A new rule is one new file.
public protocol Rule: Sendable {
  /// The name that the command line and reports use.
  var name: String { get }

  /// How the rule's equations are solved, such as `stepwise`; `nil` where there is only one way.
  var solverName: String? { get }

  /// Tells apart plans that differ: two rules with the same key write the same plan for a graph.
  var planKey: String { get }

  /// The rule with what it leaves open decided for a graph; by default the rule itself.
  func resolved(for graph: Graph, epsilon: Double) -> any Rule

  /// Throws a sentence where the rule cannot work on the graph, or with its own settings.
  func check(_ graph: Graph) throws(RuleError)

  /// Writes the feedforward pass, the messages and the gradients.
  func write(_ plan: PlanBuilder)

  /// The phases that one batch runs through, before the update, with the number of inference steps.
  var schedule: (phases: [Phase], steps: Int) { get }

  /// The coefficients that the plan's slots take, by name.
  var coefficients: [String: Double] { get }
}

extension Rule {
  public var solverName: String? { nil }
  public var planKey: String { name }
  public func resolved(for graph: Graph, epsilon: Double) -> any Rule { self }
  public func check(_ graph: Graph) throws(RuleError) {}
  public var schedule: (phases: [Phase], steps: Int) { ([.parameters, .batch, .close], 0) }
  public var coefficients: [String: Double] { [:] }
}

/// A rule whose messages come by repeated steps over visible state, so that a program can drive it by hand:
///
/// ```swift
/// let run = try network.run(rule, on: feed)
/// rule.initialise(run)
/// for _ in 0..<10 { rule.step(run); print(run["conv1"].message.norm) }
/// print(rule.result(run))            // step limit after 10 steps, energy …, residual …
/// ```
public protocol IterativeRule: Rule {
  /// T, the number of updates of the values in one batch.
  var steps: Int { get set }
  /// h, the size of each update.
  var rate: Double { get set }

  /// Runs the feedforward pass and starts from it: v(0) = p(0).
  func initialise(_ run: InferenceRun)
  /// One synchronous update of all relaxed vertices.
  func step(_ run: InferenceRun)
  /// The closing deterministic sweep and the gradients, and how far inference came.
  func result(_ run: InferenceRun) -> Relaxation
}

extension IterativeRule {
  public var schedule: (phases: [Phase], steps: Int) { ([.parameters, .batch, .step, .close], steps) }
  public var coefficients: [String: Double] { ["rate": rate, "minus rate": -rate, "decay": 1 - rate] }
  public func initialise(_ run: InferenceRun) { run.initialise() }
  public func step(_ run: InferenceRun) { run.step() }
  public func result(_ run: InferenceRun) -> Relaxation { run.finish() }
}

/// How inference ended.
public struct Relaxation: Sendable, Hashable, CustomStringConvertible {
  /// Why inference stopped.
  public enum Outcome: Sendable, Hashable {
    /// The residual fell below the tolerance.
    case converged
    /// All steps were taken. With few steps that is the intention, not a failure.
    case stepLimit
    /// A value of this vertex is not finite since this step; a smaller rate may help.
    case diverged(vertex: String, step: Int)
  }

  /// Why it stopped.
  public var outcome: Outcome
  /// Updates made.
  public var steps: Int
  /// F = Σ ½‖v − p‖² + Σ wL, the mean over the examples; NaN unless the run is monitored.
  public var energy: Double
  /// ‖dv/dt‖ over all relaxed vertices, root mean square over the examples; NaN unless the run is monitored.
  public var residual: Double
  /// Under standard predictive coding, an estimate of ‖g(T) − g(∞)‖ / ‖g(∞)‖ for the gradient of all parameters, by
  /// extrapolating its progress over 2T more steps; `nil` where the run does not estimate it. The residual alone
  /// misleads: on a deep net it can be 2 % of its start while the gradient is still far off.
  public var gradientDistance: Double?

  public var description: String {
    let end =
      switch outcome {
      case .converged: "converged after \(steps) steps"
      case .stepLimit: "step limit after \(steps) steps"
      case .diverged(let vertex, let step): "diverged: \(vertex) is not finite since step \(step); lower the rate"
      }
    let distance = gradientDistance.map { ", gradient about \($0) from equilibrium" } ?? ""
    return "\(end), energy \(energy), residual \(residual)\(distance)"
  }
}

/// Why a rule refuses, in a sentence.
public struct RuleError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  /// A sentence that says what is wrong and what the rule needs.
  public init(_ description: String) { self.description = description }
}
