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
  /// How the messages are found; the command line uses the raw values.
  public enum Solver: String, Codable, Sendable, CaseIterable {
    /// T synchronous local updates, as a network of neurons would make them.
    case stepwise
    /// The result of the T updates, from one backward pass for each distinct depth that counts.
    case closedForm = "closed-form"
    /// T → ∞: one backward pass.
    case equilibrium
    /// `closedForm` or `stepwise`, whichever needs fewer backward passes on the graph (see `FixedPredictions.choice(for:)`).
    case automatic
  }

  /// Which vertices are relaxed together.
  public enum Schedule: String, Sendable, CaseIterable {
    /// All at once. On long sequences this is truncated backprop through time in disguise: what lies more relaxed
    /// vertices from the loss than T steps reach hears nothing.
    case synchronous
    /// An unrolled sequence step by step, from the last to the first, T updates each, with the messages of later steps
    /// held: what the paper does for RNN and LSTM.
    case timeReversed = "time-reversed"
  }

  public let name = "fixed"
  public var steps: Int
  public var rate: Double
  /// How the messages are found: stepwise and in closed form alike but for rounding; `equilibrium` ignores T.
  public var solver: Solver
  /// Which vertices are relaxed together; by default all.
  public var order: Schedule

  /// The rule; `check(_:)` says whether the settings are in range.
  ///
  /// - Parameters:
  ///   - steps: T, by default the paper's 100.
  ///   - rate: h in (0, 1]. The default, 0.2, is the paper's CNN (its code doubles the 0.1 of its text). Above 1 deep
  ///     graphs explode on the way.
  ///   - solver: by default stepwise, which shows the state at every step.
  ///   - order: which vertices are relaxed together.
  public init(
    steps: Int = 100, rate: Double = 0.2, solver: Solver = .stepwise, order: Schedule = .synchronous
  ) {
    self.steps = steps
    self.rate = rate
    self.solver = solver
    self.order = order
  }

  public var solverName: String? { solver.rawValue }

  public var planKey: String {
    switch solver {
    case .stepwise, .automatic: "fixed stepwise \(order)"
    case .closedForm: "fixed closed-form \(order) T=\(steps) h=\(rate)"
    case .equilibrium: "fixed equilibrium"
    }
  }

  public func check(_ graph: Graph) throws(RuleError) {
    guard steps >= 0 else { throw RuleError("the number of steps is \(steps); it cannot be negative") }
    guard rate > 0, rate <= 1 else {
      throw RuleError(
        "the rate h is \(rate); fixed predictions need 0 < h ≤ 1, since larger steps explode on deep graphs")
    }
    if order == .timeReversed {
      do throws(ShapeError) {
        _ = try graph.timeReversedBlocks()
      } catch {
        throw RuleError(error.description)
      }
    }
  }

  public var schedule: (phases: [Phase], steps: Int) {
    switch solver {
    case .stepwise, .automatic: ([.parameters, .batch, .step, .close], steps)
    case .closedForm, .equilibrium: ([.parameters, .batch, .close], 0)
    }
  }

  public func write(_ plan: PlanBuilder) {
    switch solver {
    case .stepwise, .automatic: writeStepwise(plan)
    case .closedForm: closedForm(on: plan.graph, epsilon: plan.epsilon).write(plan)
    case .equilibrium:
      ClosedForm(
        blocks: [plan.graph.batchedVertices], part: { _, _ in .pooled }, coefficient: { _ in .one }
      ).write(plan)
    }
  }

  private func closedForm(on graph: Graph, epsilon: Double) -> ClosedForm {
    let certificate = Certificate(steps: steps, rate: rate)
    let blocks = blocks(of: graph)
    // What is left out along a path adds up over its blocks.
    let tolerance = epsilon / Double(max(blocks.count, 1))
    return ClosedForm(
      blocks: blocks,
      part: { depth, ancestors in
        // See `ClosedForm` for both conditions.
        if certificate.coefficient(depth) < tolerance { return .dropped }
        return certificate.shortfall(depth + ancestors) < tolerance ? .pooled : .depth(depth)
      }, coefficient: { .constant(certificate.coefficient($0)) })
  }

  private func blocks(of graph: Graph) -> [[Int]] {
    guard order == .timeReversed else { return [graph.batchedVertices] }
    do throws(ShapeError) {
      return try graph.timeReversedBlocks()
    } catch {
      fatalError("\(error)")
    }
  }
}

// MARK: - Automatic

extension FixedPredictions {
  /// What `automatic` makes of a graph.
  public struct Choice: Sendable, Hashable, CustomStringConvertible {
    /// `closedForm` or `stepwise`.
    public var solver: Solver
    /// Backward passes of the closed form: the distinct depths that are neither dropped nor pooled, and one for those that
    /// are pooled; in a time-reversed schedule the largest number in a block.
    public var passes: Int
    /// T, the backward passes of the steps.
    public var steps: Int

    public var description: String {
      "\(solver.rawValue): the closed form takes \(passes) backward pass\(passes == 1 ? "" : "es"), the steps take \(steps)"
    }
  }

  /// Compares the closed form's backward passes with T; both end in the same messages, but for rounding.
  ///
  /// - Parameters:
  ///   - graph: what inference would run on.
  ///   - epsilon: the relative precision of the numbers, as `Backend.epsilon` has it; by default Float's.
  public func choice(for graph: Graph, epsilon: Double = 0x1p-24) -> Choice {
    let passes = closedForm(on: graph, epsilon: epsilon).passes(on: graph)
    return Choice(solver: passes <= steps ? .closedForm : .stepwise, passes: passes, steps: steps)
  }

  public func resolved(for graph: Graph, epsilon: Double) -> any Rule {
    guard solver == .automatic else { return self }
    var rule = self
    // An order that the graph refuses is `check`'s to tell.
    let isPossible = order == .synchronous || (try? graph.timeReversedBlocks()) != nil
    rule.solver = isPossible ? choice(for: graph, epsilon: epsilon).solver : .stepwise
    return rule
  }
}

// MARK: - Stepwise

extension FixedPredictions {
  /// One step is: deterministic vertices in reverse order, reading m(t); then relaxed vertices in forward order, parents
  /// before children, so that each reads its children's m(t) and the update is exact in place.
  ///
  /// Blocks run one after the other. What a block hears from those before it no longer changes, so it counts as constant
  /// (`Stage.batch`) and leaves the block's steps by itself.
  private func writeStepwise(_ plan: PlanBuilder) {
    let graph = plan.graph
    plan.predictAll()
    plan.writeLosses()
    let lossMessages = graph.losses.indices.map(plan.lossMessage)
    let isReached = graph.vertexIsReached()
    let relaxed = graph.batchedVertices.filter { graph.vertices[$0].kind == .relaxed && isReached[$0] }
    let free = Set(plan.freeVertices)
    var states: [Int: Term] = [:]
    for vertex in relaxed { states[vertex] = makeState(of: vertex, plan) }

    let decay = Scalar.slot(plan.emit.makeSlot("decay"))
    let rate = Scalar.slot(plan.emit.makeSlot("rate"))
    let blocks = blocks(of: graph)
    var held: [Term?] = Array(repeating: nil, count: graph.vertices.count)
    var last: Sweep?
    for (position, block) in blocks.enumerated() {
      let inBlock = block.compactMap { vertex in states[vertex].map { (vertex, $0) } }
      for (vertex, state) in inBlock { held[vertex] = state }

      plan.beginBlock(blocks.count > 1 ? "block \(position)" : nil)
      let sweep = Sweep(
        plan, messages: held, wanted: Set(block.map { graph.vertices[$0].result }), lossMessages: lossMessages)
      let deterministic = block.filter { graph.vertices[$0].kind == .deterministic }
      for vertex in deterministic.reversed() {
        sweep.messages[vertex] = plan.message(of: vertex, from: sweep)
      }
      for (vertex, message) in inBlock where free.contains(vertex) {
        let arriving = sweep.arriving(at: graph.vertices[vertex].result)
        plan.emit.label = graph.vertices[vertex].name
        // Where nothing arrives, the message stays as it started.
        guard !arriving.isEmpty else { continue }
        let terms = plan.summingConstants(arriving, name: plan.name(vertex, "arriving, held"))
        plan.accumulate(terms, into: message, alpha: rate, beta: decay, stage: .step)
        keepClamped(vertex, message, plan)
      }

      plan.beginEpilogue()
      // One block's closing sweep serves the gradients as well.
      let closing = Sweep(
        plan, messages: held,
        wanted: blocks.count > 1 ? Set(deterministic.map { graph.vertices[$0].result }) : plan.closingValues,
        lossMessages: lossMessages)
      if blocks.count == 1 { last = closing }
      for vertex in deterministic.reversed() {
        closing.messages[vertex] = plan.message(of: vertex, from: closing)
      }
      for vertex in block {
        plan.messages[vertex] = closing.messages[vertex]
        held[vertex] = closing.messages[vertex]
        if blocks.count > 1 { held[vertex]?.stage = .batch }
      }
    }

    plan.begin(.close, receiving: blocks.count > 1 ? [.batch, .step] : [.step])
    plan.writeGradients(
      last ?? Sweep(plan, messages: held, wanted: plan.closingValues, lossMessages: lossMessages))
    plan.writeMonitor(moving: plan.freeVertices, lossMessages: lossMessages)
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
