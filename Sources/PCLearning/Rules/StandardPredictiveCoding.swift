import PCGraphs
import PCPlans
import PCPrimitives

/// Standard predictive coding: predictions and Jacobians follow the values.
///
/// Inference descends the energy F = Σ ½‖v − p(v)‖² + Σ wL by synchronous Euler steps: v ← v − h ∂F/∂v, all relaxed
/// vertices at once, from the feedforward values. Then parameters descend F at the final values (Whittington and
/// Bogacz, Neural Computation 2017). Its equilibrium is not backprop's gradient; its stability needs h < 2/λmax(∇²F).
public struct StandardPredictiveCoding: IterativeRule {
  public let name = "standard"
  public var steps: Int
  public var rate: Double

  /// The rule; `check(_:)` says whether the settings are in range.
  ///
  /// - Parameters:
  ///   - steps: T; 20 steps at the default rate bring shallow nets near equilibrium.
  ///   - rate: h; 0.1 is stable on common nets.
  public init(steps: Int = 20, rate: Double = 0.1) {
    self.steps = steps
    self.rate = rate
  }

  public func check(_ graph: Graph) throws(RuleError) {
    guard steps >= 0 else { throw RuleError("the number of steps is \(steps); it cannot be negative") }
    guard rate > 0, rate <= 1 else {
      throw RuleError("the rate h is \(rate); it must lie in (0, 1]")
    }
  }

  public func write(_ plan: PlanBuilder) {
    let graph = plan.graph
    let batched = graph.batchedVertices
    let relaxed = plan.freeVertices

    // Feedforward: v(0) = p(0), in memory of its own that the steps move.
    for vertex in graph.vertices.indices {
      let prediction = plan.predict(vertex)
      if relaxed.contains(vertex) {
        let value = plan.emit.makeTerm(
          plan.name(vertex, "value"), prediction.extents, isBatched: true, stage: .step)
        plan.emit.blend(plan.clamping(vertex, prediction) { $0 }, into: value, stage: .step)
        plan.setValue(of: vertex, to: value)
      } else {
        plan.setValue(of: vertex, to: plan.clamping(vertex, prediction) { $0 })
      }
    }
    plan.writeLosses()

    /// (a) predictions and deterministic values, (b) all messages, from the present values.
    func evaluate(wanted: Set<Int>) -> Sweep {
      for vertex in graph.vertices.indices {
        let value = plan.value(of: vertex)
        let prediction = plan.predict(vertex)
        let hasOwnValue = relaxed.contains(vertex)
        plan.setValue(of: vertex, to: hasOwnValue ? value : plan.clamping(vertex, prediction) { $0 })
      }
      let sweep = Sweep(
        plan, messages: Array(repeating: nil, count: graph.vertices.count), wanted: wanted,
        lossMessages: graph.losses.indices.map(plan.lossMessage))
      for vertex in batched.reversed() {
        plan.emit.label = graph.vertices[vertex].name
        sweep.messages[vertex] =
          relaxed.contains(vertex)
          ? plan.emit.subtract(plan.value(of: vertex), plan.prediction(of: vertex))
          : plan.message(of: vertex, from: sweep)
      }
      return sweep
    }

    plan.beginBlock()
    let rate = Scalar.slot(plan.emit.makeSlot("rate"))
    let minusRate = Scalar.slot(plan.emit.makeSlot("minus rate"))
    let sweep = evaluate(wanted: Set(batched.map { graph.vertices[$0].result }))
    // (c) All sums are taken before any value moves.
    let arriving = relaxed.map { sweep.arriving(at: graph.vertices[$0].result) }
    for (vertex, terms) in zip(relaxed, arriving) {
      let value = plan.value(of: vertex)
      plan.emit.label = graph.vertices[vertex].name
      plan.accumulate(terms, into: value, alpha: rate, beta: .one, stage: .step)
      if let message = sweep.messages[vertex] {
        plan.emit.blend(message, into: value, alpha: minusRate, beta: .one, stage: .step)
      }
      if let clamp = graph.vertices[vertex].clamp, let mask = clamp.mask {
        plan.emit.write(
          .elementwise(.select, extents: value.extents),
          [plan.term(mask).view, plan.term(clamp.target).view, value.view], to: [value.view], stage: .step)
      }
    }

    plan.begin(.close)
    let closing = evaluate(wanted: plan.closingValues)
    for vertex in batched { plan.messages[vertex] = closing.messages[vertex] }
    plan.writeGradients(closing)
    guard plan.isMonitored else { return }
    plan.begin(.monitor)
    plan.writeMonitor(moving: relaxed, lossMessages: graph.losses.indices.map(plan.lossMessage))
    plan.writeFinalLosses()
  }
}
