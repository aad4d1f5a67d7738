import PCGraphs
import PCPlans
import PCPrimitives

/// Predictive coding with fixed predictions: the rule of Millidge, Tschantz and Buckley ("Predictive Coding Approximates
/// Backprop along Arbitrary Computation Graphs", 2022).
///
/// Predictions, Jacobians and the losses' messages stay at their feedforward values, so inference is linear in the
/// messages: one step of size h is m_i ← (1 − h) m_i + h Σ_j J_jiᵀ m_j for every relaxed vertex, from m = 0. Its fixed
/// point is backprop's gradient, on any graph. What that gives up is the reading of the energy as a variational bound:
/// `StandardPredictiveCoding` keeps it.
///
/// After T steps the part of the gradient that comes over d relaxed vertices has arrived with the factor
/// P[Binomial(T, h) ≥ d] (`Certificate`), which is also how the closed form works.
public struct FixedPredictions: IterativeRule {
  public enum Solver: String, Sendable, CaseIterable {
    /// T synchronous local updates, as a network of neurons would make them.
    case stepwise
    /// The result of the T updates, from one backward pass for each distinct depth that counts.
    case closedForm = "closed-form"
    /// T → ∞: one backward pass.
    case equilibrium
  }

  public let name = "fixed"
  public var steps: Int
  public var rate: Double
  public var solver: Solver

  /// - Parameters:
  ///   - steps: T, by default the paper's 100.
  ///   - rate: h in (0, 1]. The default, 0.2, is the paper's CNN (its code doubles the 0.1 of its text). Above 1 deep
  ///     graphs explode on the way.
  public init(steps: Int = 100, rate: Double = 0.2, solver: Solver = .stepwise) {
    self.steps = steps
    self.rate = rate
    self.solver = solver
  }

  public var solverName: String? { solver.rawValue }

  public var planKey: String {
    switch solver {
    case .stepwise: "fixed stepwise"
    case .closedForm: "fixed closed-form T=\(steps) h=\(rate)"
    case .equilibrium: "fixed equilibrium"
    }
  }

  public func check(_ graph: Graph) throws(RuleError) {
    guard steps >= 0 else { throw RuleError("the number of steps is \(steps); it cannot be negative") }
    guard rate > 0, rate <= 1 else {
      throw RuleError(
        "the rate h is \(rate); fixed predictions need 0 < h ≤ 1, since larger steps explode on deep graphs")
    }
  }

  public var schedule: (phases: [Phase], steps: Int) {
    solver == .stepwise ? ([.parameters, .batch, .step, .close], steps) : ([.parameters, .batch, .close], 0)
  }

  public func write(_ plan: PlanBuilder) {
    switch solver {
    case .stepwise: writeStepwise(plan)
    case .closedForm:
      let certificate = Certificate(steps: steps, rate: rate)
      let ancestors = plan.graph.relaxedAncestors()
      // See `ClosedForm` for both conditions.
      let part = { (vertex: Int, depth: Int) -> ClosedForm.Part in
        if certificate.coefficient(depth) < plan.epsilon { return .dropped }
        return certificate.shortfall(depth + ancestors[vertex]) < plan.epsilon ? .pooled : .depth(depth)
      }
      ClosedForm(part: part, coefficient: { .constant(certificate.coefficient($0)) }).write(plan)
    case .equilibrium:
      ClosedForm(part: { _, _ in .pooled }, coefficient: { _ in .one }).write(plan)
    }
  }
}

// MARK: - Stepwise

extension FixedPredictions {
  /// One step is: deterministic vertices in reverse order, reading m(t); then relaxed vertices in forward order, parents
  /// before children, so that each reads its children's m(t) and the update is exact in place.
  private func writeStepwise(_ plan: PlanBuilder) {
    let graph = plan.graph
    plan.predictAll()
    plan.writeLosses()
    let lossMessages = graph.losses.indices.map(plan.lossMessage)
    let isReached = graph.vertexIsReached()
    let batched = graph.vertices.indices.filter { graph.vertices[$0].kind != .parametric }

    for vertex in batched where graph.vertices[vertex].kind == .relaxed && isReached[vertex] {
      plan.messages[vertex] = makeState(of: vertex, plan)
    }
    let relaxed = batched.filter { plan.messages[$0] != nil }

    plan.begin(.step)
    let decay = Scalar.slot(plan.emit.makeSlot("decay"))
    let rate = Scalar.slot(plan.emit.makeSlot("rate"))
    let sweep = Sweep(
      plan, messages: plan.messages, wanted: Set(batched.map { graph.vertices[$0].result }),
      lossMessages: lossMessages)
    for vertex in batched.reversed() where plan.messages[vertex] == nil {
      sweep.messages[vertex] = plan.message(of: vertex, from: sweep)
    }
    for vertex in relaxed {
      guard let message = plan.messages[vertex], !isWhollyClamped(graph.vertices[vertex]) else { continue }
      let arriving = sweep.arriving(at: graph.vertices[vertex].result)
      plan.emit.label = graph.vertices[vertex].name
      if arriving.isEmpty {
        plan.emit.blend(message, into: message, alpha: decay)
      } else {
        plan.accumulate(arriving, into: message, alpha: rate, beta: decay, stage: .step)
      }
      keepClamped(vertex, message, plan)
    }

    plan.begin(.close)
    let closing = Sweep(plan, messages: plan.messages, wanted: plan.closingValues, lossMessages: lossMessages)
    for vertex in batched.reversed() where plan.messages[vertex] == nil {
      closing.messages[vertex] = plan.message(of: vertex, from: closing)
    }
    for vertex in batched { plan.messages[vertex] = closing.messages[vertex] }
    plan.writeGradients(closing)

    guard plan.isMonitored else { return }
    plan.begin(.monitor)
    let final = Sweep(
      plan, messages: closing.messages, wanted: Set(relaxed.map { graph.vertices[$0].result }),
      lossMessages: lossMessages)
    var errors: [Int: Term] = [:]
    var residuals: [Int: Term] = [:]
    for vertex in relaxed {
      guard let message = closing.messages[vertex] else { continue }
      errors[vertex] = message
      guard !isWhollyClamped(graph.vertices[vertex]) else { continue }
      let sum = plan.sum(final.arriving(at: graph.vertices[vertex].result), name: plan.name(vertex, "arriving"))
      let residual = sum.map { plan.emit.subtract($0, message) } ?? message
      residuals[vertex] = plan.clamping(vertex, residual) { _ in plan.zero(like: vertex) }
    }
    plan.writeMonitor(errors: errors, residuals: residuals)
  }

  /// The message that steps move: 0 at first, and at clamped elements their error.
  private func makeState(of vertex: Int, _ plan: PlanBuilder) -> Term {
    let prediction = plan.prediction(of: vertex)
    plan.emit.label = plan.graph.vertices[vertex].name
    let message = plan.emit.makeTerm(
      plan.name(vertex, "message"), prediction.extents, isBatched: true, stage: .step)
    plan.emit.write(
      .elementwise(.one, extents: message.extents), [], to: [message.view], alpha: .zero, stage: .batch)
    keepClamped(vertex, message, plan, stage: .batch)
    return message
  }

  private func isWhollyClamped(_ vertex: Graph.Vertex) -> Bool { vertex.clamp != nil && vertex.clamp?.mask == nil }

  /// Writes the clamped elements' constant error into a message.
  private func keepClamped(_ vertex: Int, _ message: Term, _ plan: PlanBuilder, stage: Stage = .step) {
    guard let clamp = plan.graph.vertices[vertex].clamp else { return }
    let error = plan.clampedError(vertex)(plan.term(clamp.target))
    guard let mask = clamp.mask else { return plan.emit.blend(error, into: message, stage: stage) }
    plan.emit.write(
      .elementwise(.select, extents: message.extents), [plan.term(mask).view, error.view, message.view],
      to: [message.view], stage: stage)
  }
}
