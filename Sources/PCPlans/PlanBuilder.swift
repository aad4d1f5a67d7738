import PCGraphs
import PCPrimitives

/// Writes a plan: the building blocks that rules put together.
///
/// A rule predicts vertices in forward order, states what their values are, and collects messages with `Sweep`s in the
/// order that it needs. Where an instruction ends up (once for a batch, or in each step) follows from its operands.
public final class PlanBuilder {
  /// The graph under the rule; vertices, values and parameters are named by their positions in it.
  public let graph: Graph
  /// Receives all instructions.
  public let emit = Emitter()

  /// For each value of the graph, the term that its readers see.
  public private(set) var terms: [Term?]
  /// For each vertex, its latest prediction.
  public private(set) var predictions: [Term?]
  /// For each vertex, the message that the plan ends with: rules set it.
  public var messages: [Term?]
  /// For each parameter, the direction −∂L/∂θ that `writeGradients(_:)` wrote.
  public private(set) var gradients: [Term?]
  /// For each loss, its weighted value for each example, once `writeLosses()` was called.
  public private(set) var losses: [Term?]
  private var outputs: [Term?]
  private var carried: [Int: Term] = [:]
  /// Σg² over all parameters, where an optimiser asked for it.
  public var squaredGradientNorm: Term?

  /// The inputs whose gradient is wanted as well, by index.
  public let wantedInputs: Set<Int>
  /// The relative rounding of the numbers that the plan will run with.
  public let epsilon: Double
  /// Whether energy and residual are to be written.
  public let isMonitored: Bool

  private var points: [Int: (operands: [Term], result: Term)] = [:]
  private var phases: [Phase: Int] = [:]
  private var blocks: [Plan.Block] = []
  private var inputMessages: [Int: Term] = [:]
  private var monitor: Plan.Monitor?
  /// The instructions of the feedforward pass that belong to each step of an unrolled sequence, and how many there are in
  /// all: positions in the section of the phase `batch`.
  private var unrolled: [Graph.Time: [Int]] = [:]
  private var forwardCount = 0
  let children: [[Int]]

  /// Declares the terms of inputs and parameters, and begins the phases `parameters` and `batch`.
  ///
  /// - Parameters:
  ///   - graph: the graph under the rule.
  ///   - epsilon: the relative rounding of the numbers that the plan will run with; what changes a result by less may
  ///     be left out.
  ///   - wantedInputs: the inputs whose gradient is wanted as well, by index.
  ///   - isMonitored: whether energy and residual are to be written.
  public init(_ graph: Graph, epsilon: Double = 0x1p-52, wantedInputs: Set<Int> = [], isMonitored: Bool = false) {
    self.graph = graph
    self.epsilon = epsilon
    self.wantedInputs = wantedInputs
    self.isMonitored = isMonitored
    terms = Array(repeating: nil, count: graph.values.count)
    predictions = Array(repeating: nil, count: graph.vertices.count)
    messages = Array(repeating: nil, count: graph.vertices.count)
    gradients = Array(repeating: nil, count: graph.parameters.count)
    losses = Array(repeating: nil, count: graph.losses.count)
    outputs = losses
    children = graph.children()
    begin(.parameters, receiving: [.parameters])
    begin(.batch, receiving: [.batch, .step])
    for input in graph.inputs {
      let value = graph.values[input.value]
      terms[input.value] = emit.makeTerm(
        input.name, value.shape.extents, isBatched: true, stage: .batch, element: value.element)
    }
    for parameter in graph.parameters {
      terms[parameter.value] = emit.makeTerm(
        parameter.name, parameter.extents, isBatched: false, stage: .parameters, isPersistent: true)
    }
  }

  /// Starts a phase, to which instructions of `stages` go from now on.
  public func begin(_ phase: Phase, receiving stages: [Stage] = [.step]) {
    let section = phases[phase] ?? emit.makeSection(phase.rawValue)
    phases[phase] = section
    for stage in stages { emit.sections[stage] = section }
  }

  /// Starts the steps of a block.
  ///
  /// - Parameter name: of a block among others, which gets a prologue and an epilogue of its own. The only block of a
  ///   plan needs none: what is constant for it is constant for the batch, and what follows it is the closing phase.
  public func beginBlock(_ name: String? = nil) {
    let prologue = name.map { emit.makeSection("\($0), before") }
    let step = emit.makeSection(name ?? Phase.step.rawValue)
    let epilogue = name.map { emit.makeSection("\($0), after") }
    blocks.append(Plan.Block(prologue: prologue, step: step, epilogue: epilogue))
    if let prologue { emit.sections[.batch] = prologue }
    emit.sections[.step] = step
  }

  /// Starts what follows the steps of the open block.
  public func beginEpilogue() {
    if let epilogue = blocks.last?.epilogue { emit.sections[.step] = epilogue } else { begin(.close) }
  }

  // MARK: Forward

  /// The term that readers of a value see.
  public func term(_ value: Int) -> Term {
    guard let term = terms[value] else {
      fatalError("the value \(graph.values[value].name) is read before it is made")
    }
    return term
  }

  /// Writes the operations of a vertex, from its operands' present terms.
  @discardableResult
  public func predict(_ vertex: Int) -> Term {
    emit.label = graph.vertices[vertex].name
    for index in graph.vertices[vertex].nodes {
      let node = graph.nodes[index]
      let operands = node.operands.map(term)
      let result = node.operation.forward(operands, emit)
      points[index] = (operands, result)
      terms[node.result] = result
    }
    let prediction = term(graph.vertices[vertex].result)
    predictions[vertex] = prediction
    return prediction
  }

  /// States what readers of a vertex see from now on.
  public func setValue(of vertex: Int, to term: Term) { terms[graph.vertices[vertex].result] = term }

  /// What readers of the vertex see at present; stops where it has no value yet.
  public func value(of vertex: Int) -> Term { term(graph.vertices[vertex].result) }

  /// The vertex's latest prediction; stops where there is none yet.
  public func prediction(of vertex: Int) -> Term {
    guard let term = predictions[vertex] else { fatalError("\(graph.vertices[vertex].name) is not predicted yet") }
    return term
  }

  /// `x` with the clamped elements of the vertex replaced by those of `held`; `x` itself where nothing is clamped.
  public func clamping(_ vertex: Int, _ x: Term, to held: (Term) -> Term) -> Term {
    guard let clamp = graph.vertices[vertex].clamp else { return x }
    let replacement = held(term(clamp.target))
    guard let mask = clamp.mask else { return replacement }
    return emit.select(term(mask), replacement, x)
  }

  /// The feedforward pass: every vertex predicted, its value its prediction, clamped elements held.
  public func predictAll() {
    for vertex in graph.vertices.indices {
      let start = batchCount
      let prediction = predict(vertex)
      setValue(of: vertex, to: clamping(vertex, prediction) { $0 })
      if let time = graph.vertices[vertex].time { unrolled[time, default: []] += start..<batchCount }
    }
    forwardCount = batchCount
  }

  /// How many instructions the phase `batch` has so far.
  private var batchCount: Int { phases[.batch].map { emit.program.sections[$0].instructions.count } ?? 0 }

  /// The error target − prediction that a clamped vertex sends at its clamped elements.
  public func clampedError(_ vertex: Int) -> (Term) -> Term {
    { target in self.emit.subtract(target, self.prediction(of: vertex)) }
  }

  // MARK: Losses

  /// Writes the weighted losses from the present values, which become the plan's outputs and what it carries on.
  public func writeLosses() {
    for (index, input) in graph.inputs.enumerated() {
      if case .carried(let source?) = input.origin { carried[index] = term(source) }
    }
    for (index, loss) in graph.losses.enumerated() {
      outputs[index] = term(loss.prediction)
      losses[index] = lossValue(loss)
    }
  }

  private func lossValue(_ loss: Graph.Loss) -> Term {
    emit.label = loss.name
    let value = loss.function.value(prediction: term(loss.prediction), target: term(loss.target), emit)
    return loss.weight == 1 ? value : emit.scale(value, by: loss.weight)
  }

  /// Writes, for the monitor phase, the weighted losses at the values that inference ended with.
  public func writeFinalLosses() {
    monitor?.losses = graph.losses.map(lossValue)
  }

  /// The weighted message of a loss, from the present values.
  public func lossMessage(_ index: Int) -> Term {
    let loss = graph.losses[index]
    emit.label = loss.name
    let message = loss.function.message(prediction: term(loss.prediction), target: term(loss.target), emit)
    return loss.weight == 1 ? message : emit.scale(message, by: loss.weight)
  }

  func point(_ node: Int) -> (operands: [Term], result: Term) {
    guard let point = points[node] else { fatalError("\(graph.nodes[node].operation.name) is linearised too early") }
    return point
  }

  // MARK: Sums

  /// `target ← alpha · Σ terms + beta · target`.
  public func accumulate(
    _ terms: [Term], into target: Term, alpha: Scalar = .one, beta: Scalar = .zero, stage: Stage? = nil
  ) {
    for (position, term) in terms.enumerated() {
      emit.blend(term, into: target, alpha: alpha, beta: position == 0 ? beta : .one, stage: stage)
    }
  }

  /// Σ terms: the term itself where there is one, `nil` where there is none.
  public func sum(_ terms: [Term], name: String) -> Term? {
    guard let first = terms.first else { return nil }
    guard terms.count > 1 else { return first }
    let stage = terms.map(\.stage).max() ?? .step
    let target = emit.makeTerm(name, first.extents, isBatched: first.isBatched, stage: stage)
    accumulate(terms, into: target, stage: stage)
    return target
  }

  /// The terms with those that hold through all steps summed into one, so that a step adds them at once.
  public func summingConstants(_ terms: [Term], name: String) -> [Term] {
    let moving = terms.filter { $0.stage == .step }
    return moving + [sum(terms.filter { $0.stage < .step }, name: name)].compactMap { $0 }
  }

  // MARK: Messages and gradients

  /// Relaxed vertices, but for those of which every element is held.
  public var freeVertices: [Int] {
    graph.batchedVertices.filter { vertex in
      let clamp = graph.vertices[vertex].clamp
      return graph.vertices[vertex].kind == .relaxed && (clamp == nil || clamp?.mask != nil)
    }
  }

  /// Values through which deterministic vertices and parameters are reached, rather than relaxed vertices.
  public var closingValues: Set<Int> {
    var wanted = Set(graph.vertices.filter { $0.kind != .relaxed }.map(\.result))
    wanted.formUnion(graph.parameters.filter(\.isTrainable).map(\.value))
    wanted.formUnion(wantedInputs.map { graph.inputs[$0].value })
    return wanted
  }

  /// Writes the gradients of the parameters (and the wanted inputs) from the messages of a sweep whose batched vertices
  /// have theirs.
  public func writeGradients(_ sweep: Sweep) {
    for vertex in graph.vertices.indices.reversed() where graph.vertices[vertex].kind == .parametric {
      sweep.messages[vertex] = sum(sweep.arriving(at: graph.vertices[vertex].result), name: name(vertex, "message"))
      messages[vertex] = sweep.messages[vertex]
    }
    let scale = Scalar.slot(emit.makeSlot("gradient scale"))
    for (index, parameter) in graph.parameters.enumerated() where parameter.isTrainable {
      let terms = sweep.arriving(at: parameter.value)
      guard let stage = terms.map(\.stage).max() else { continue }
      emit.label = parameter.name
      let gradient =
        gradients[index]
        ?? emit.makeTerm("\(parameter.name).gradient", parameter.extents, isBatched: false, stage: .step)
      accumulate(terms, into: gradient, alpha: scale, stage: stage)
      gradients[index] = gradient
    }
    for index in wantedInputs.sorted() {
      let terms = sweep.arriving(at: graph.inputs[index].value)
      let input = graph.inputs[index]
      inputMessages[index] =
        sum(terms, name: "\(input.name).message")
        ?? emit.constant(0, graph.values[input.value].shape.extents, isBatched: true)
    }
  }

  /// The name `vertex.role` for a term that belongs to a vertex.
  public func name(_ vertex: Int, _ role: String) -> String { "\(graph.vertices[vertex].name).\(role)" }

  /// Writes, for the monitor phase, what energy and residual are summed from, at the messages that the plan ends with;
  /// nothing where the plan is not monitored.
  ///
  /// - Parameters:
  ///   - moving: the vertices whose values the rule moves, so that their messages are errors of their own; what they hear
  ///     beyond their message is their residual.
  ///   - lossMessages: those of all losses, at the values that inference ends with.
  public func writeMonitor(moving: [Int], lossMessages: [Term]) {
    guard isMonitored else { return }
    begin(.monitor)
    let final = Sweep(
      self, messages: messages, wanted: Set(moving.map { graph.vertices[$0].result }), lossMessages: lossMessages)
    var errors: [Int: Term] = [:]
    var residuals: [Int: Term] = [:]
    for vertex in graph.batchedVertices {
      let message = messages[vertex]
      guard moving.contains(vertex) else {
        errors[vertex] = message.flatMap { clampedError(of: vertex, message: $0) }
        continue
      }
      errors[vertex] = message
      let sum = sum(final.arriving(at: graph.vertices[vertex].result), name: name(vertex, "arriving"))
      // Of a vertex without a message yet, all that arrives is still to come.
      let residual = message.map { message in sum.map { emit.subtract($0, message) } ?? message } ?? sum
      residuals[vertex] = residual.map { clamping(vertex, $0) { _ in self.zero(like: vertex) } }
    }
    func squares(_ terms: [Int: Term], factor: Double) -> [Int: Term] {
      var sums: [Int: Term] = [:]
      for (vertex, term) in terms.sorted(by: { $0.key < $1.key }) {
        emit.label = graph.vertices[vertex].name
        let product = emit.combine(.multiply, term, term, alpha: .constant(factor))
        sums[vertex] = emit.reduce(.sum, product, axes: Array(0..<product.rank))
      }
      return sums
    }
    monitor = .init(
      squaredErrors: squares(errors, factor: 0.5), squaredResiduals: squares(residuals, factor: 1),
      losses: losses.compactMap { $0 })
  }

  // MARK: The finished plan

  /// The plan; simplified by the passes that keep its meaning.
  ///
  /// - Parameters:
  ///   - isObserved: whether values, predictions and messages can be looked at, and phases run again, as somebody who drives
  ///     inference by hand wants. Otherwise the phases run once each in their order, for the sake of what training reads
  ///     (losses, outputs, carried state), the plan lists neither vertices' terms nor gradients, what is needed at
  ///     different times shares memory, and updates take large gradients as they are made.
  ///   - segment: in a plan that is not observed, the feedforward pass of an unrolled sequence is computed again, so many
  ///     steps at a time, where inference comes to them, rather than kept until then; by default it is kept.
  public func finish(isObserved: Bool = true, recomputing segment: Int? = nil) -> Plan {
    var plan = Plan(
      graph: graph, program: Program(), phases: phases, blocks: blocks, inputs: graph.inputs.map { term($0.value) },
      parameters: graph.parameters.map { term($0.value) }, gradients: gradients,
      values: graph.vertices.indices.map(value(of:)), predictions: graph.vertices.indices.map(prediction(of:)),
      messages: messages, inputMessages: inputMessages, losses: losses.compactMap { $0 },
      outputs: outputs.compactMap { $0 }, carried: carried, monitor: monitor,
      squaredGradientNorm: squaredGradientNorm)
    if !isObserved { (plan.values, plan.predictions, plan.messages, plan.gradients) = ([], [], [], []) }
    let script = plan.script(Phase.allCases, steps: 2)
    emit.rewrite { program in
      if let segment, !isObserved, let batch = phases[.batch] {
        let segments = Dictionary(grouping: unrolled) { time, _ in
          Graph.Time(sequence: time.sequence, step: time.step / segment)
        }
        program.recompute(
          segments.values.map { $0.flatMap(\.value).sorted() }, of: batch, before: forwardCount, in: script,
          keeping: plan.visibleBuffers)
      }
      program.addPartsInPlace(keeping: plan.visibleBuffers)
      program.dropUnread(keeping: plan.visibleBuffers)
      program.fuseSlopes(keeping: plan.visibleBuffers)
      if !isObserved { program.averageBehindSlopes(in: script, keeping: plan.visibleBuffers) }
      program.fuseBlends(keeping: plan.visibleBuffers)
      if !isObserved, let update = phases[.update], let norm = squaredGradientNorm {
        plan.slotProducts = program.fuseUpdates(
          in: script, norm: norm.view.buffer, update: update, keeping: plan.visibleBuffers)
      }
      program.gatherSumsOverExamples()
      guard !isObserved else { return }
      program.bringProductsToReaders(in: script, keeping: plan.visibleBuffers)
      program.averageBeforeUnpooling(in: script, keeping: plan.visibleBuffers)
      program.putChannelsLast(in: script, keeping: plan.visibleBuffers)
      program.shareMemory(in: script, keeping: plan.visibleBuffers)
    }
    plan.program = emit.program
    return plan
  }
}

extension PlanBuilder {
  /// What a vertex passes on that has no value of its own: the sum of what arrives, but at clamped elements their error;
  /// `nil` where nothing arrives and nothing is clamped.
  public func message(of vertex: Int, from sweep: Sweep) -> Term? {
    let clamp = graph.vertices[vertex].clamp
    emit.label = graph.vertices[vertex].name
    // A wholly clamped vertex reads nothing of what arrives.
    if let clamp, clamp.mask == nil { return clampedError(vertex)(term(clamp.target)) }
    let sum = sum(sweep.arriving(at: graph.vertices[vertex].result), name: name(vertex, "message"))
    guard clamp != nil else { return sum }
    return clamping(vertex, sum ?? zero(like: vertex), to: clampedError(vertex))
  }

  /// The part of a message that is the error of clamped elements; `nil` where none are.
  private func clampedError(of vertex: Int, message: Term) -> Term? {
    guard let clamp = graph.vertices[vertex].clamp else { return nil }
    return clamp.mask.map { emit.select(term($0), message, zero(like: vertex)) } ?? message
  }

  /// Zeros of the vertex's extents.
  public func zero(like vertex: Int) -> Term {
    emit.constant(0, value(of: vertex).extents, isBatched: value(of: vertex).isBatched)
  }
}
