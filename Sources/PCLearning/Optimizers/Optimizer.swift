import PCGraphs
import PCPlans
import PCPrimitives

/// Turns gradients into updates of the parameters, as instructions of the plan.
public protocol Optimizer: Sendable {
  /// The name that the command line and reports use.
  var name: String { get }
  /// The factor of the update; may change between updates without a new plan.
  var learningRate: Double { get set }

  /// Writes the update of one parameter. `direction` is the way down, −∂L/∂θ.
  func write(_ update: ParameterUpdate)

  /// Its numbers with the ranges in which they make sense; by default the learning rate alone, from 0 on.
  var settings: [(name: String, value: Double, range: ClosedRange<Double>)] { get }

  /// The coefficients for update number `step`, which counts from 1.
  func coefficients(step: Int) -> [String: Double]

  /// Tells apart optimisers that write different updates; by default the name.
  var planKey: String { get }

  /// Whether the parameter of this path is trained; by default every one is.
  func trains(_ parameter: String) -> Bool
}

/// An optimiser that can draw parameters towards 0, apart from their gradient: θ ← (1 − learningRate · weightDecay) θ in
/// every update.
public protocol DecayingOptimizer: Optimizer {
  /// How strongly; 0 not at all.
  var weightDecay: Double { get set }
}

extension Optimizer {
  public var planKey: String { name }
  public func trains(_ parameter: String) -> Bool { true }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    [("learning rate", learningRate, 0...Double.greatestFiniteMagnitude)]
  }
}

/// What an optimiser has at hand for one parameter.
public struct ParameterUpdate {
  /// Receives the update's instructions, at stage `.step`.
  public let emit: Emitter
  /// θ, to be overwritten.
  public let parameter: Term
  /// −∂L/∂θ, scaled by the reduction and clipped.
  public let direction: Term
  /// The parameter's path.
  public let path: String
  /// What its states are called.
  let name: String
  /// Set before the names of coefficients, where parameters have different ones.
  var prefix = ""

  /// A state that lives as long as the parameter, zero at first.
  public func state(_ role: String) -> Term {
    emit.makeTerm(
      "\(name):\(role)", parameter.extents, isBatched: false, stage: .step, isPersistent: true)
  }

  /// The coefficient that `coefficients(step:)` names.
  public func coefficient(_ name: String) -> Scalar { .slot(emit.makeSlot(prefix + name)) }
}

/// Limits on the gradient before the optimiser sees it.
public enum Clipping: Sendable, Hashable {
  /// The gradient as it is.
  case none
  /// Each element within ±limit.
  case byValue(Double)
  /// The gradient of all parameters scaled down to this norm where it is longer.
  case byNorm(Double)
}

extension Optimizer {
  /// Writes the norm of the gradient into the closing phase, and the update of every trained parameter as its own.
  ///
  /// - Parameter accumulates: whether the update reads the sum of several batches' gradients, which a phase of its own forms.
  func writeUpdate(_ plan: PlanBuilder, clipping: Clipping, accumulates: Bool = false) {
    let emit = plan.emit
    plan.begin(.close)
    emit.label = "optimizer"
    let trained = plan.graph.parameters.indices.filter {
      plan.gradients[$0] != nil && trains(plan.graph.parameters[$0].name)
    }
    var gradients = trained.compactMap { index in plan.gradients[index].map { (index, $0) } }
    var norm = writeSquaredNorm(gradients.map(\.1), plan)
    plan.squaredGradientNorm = norm

    if accumulates {
      plan.begin(.accumulate)
      writeMoves(emit)
      gradients = gradients.map { index, gradient in
        let sum = emit.makeTerm(
          "\(name):\(plan.graph.parameters[index].name):accumulated", gradient.extents, isBatched: false,
          stage: .step,
          isPersistent: true)
        emit.blend(
          gradient, into: sum, alpha: .slot(emit.makeSlot("accumulated share")),
          beta: .slot(emit.makeSlot("accumulated before")), stage: .step)
        return (index, sum)
      }
    }

    plan.begin(.update)
    if !accumulates { writeMoves(emit) }
    var scale: Term?
    if case .byNorm(let limit) = clipping {
      if accumulates { norm = writeSquaredNorm(gradients.map(\.1), plan) }
      let length = emit.map(.sqrt, norm)
      let ratio = emit.map(.reciprocal, length, alpha: .constant(limit))
      // Without axes it broadcasts to every parameter, scalars included.
      scale = emit.combine(.minimum, ratio, emit.constant(1, [1], isBatched: false, stage: .step)).reshaped([])
    }
    for (index, gradient) in gradients {
      let parameter = plan.graph.parameters[index]
      emit.label = parameter.name
      var direction = gradient
      if case .byValue(let limit) = clipping { direction = emit.map(.clip(limit: limit), gradient) }
      if let scale { direction = emit.multiply(gradient, scale) }
      write(
        ParameterUpdate(
          emit: emit, parameter: plan.term(parameter.value), direction: direction, path: parameter.name,
          name: "\(name):\(parameter.name)"))
    }
  }

  /// Once for each batch, what moves with the batch: running statistics.
  private func writeMoves(_ emit: Emitter) {
    for move in emit.moves {
      emit.label = "running statistics"
      emit.blend(
        emit.reshape(move.source, to: move.target.extents), into: move.target, alpha: .constant(move.share),
        beta: .constant(1 - move.share), stage: .step)
    }
  }

  /// Σg² over all of them.
  private func writeSquaredNorm(_ gradients: [Term], _ plan: PlanBuilder) -> Term {
    let norm = plan.emit.makeTerm("squared gradient norm", [1], isBatched: false, stage: .step)
    for (position, gradient) in gradients.compactMap({ $0.reshaped([1, $0.count]) }).enumerated() {
      let row = View(buffer: gradient.view.buffer, offset: gradient.view.offset, strides: [0, 0, 1])
      plan.emit.write(
        .contract(extents: [1, 1, gradient.count]), [row, row],
        to: [View(buffer: norm.view.buffer, strides: [0, 0, 0])], beta: position == 0 ? .zero : .one, stage: .step)
    }
    return norm
  }
}
