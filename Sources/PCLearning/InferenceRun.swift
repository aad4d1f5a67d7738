import PCGraphs
import PCKernels
import PCPlans

/// One batch under one rule: inference as a state that can be looked at and driven step by step.
public final class InferenceRun {
  /// What finds the messages.
  public let rule: any Rule
  /// The graph under the rule; runs of one rule and graph share it.
  public let plan: Plan
  /// Examples in the batch.
  public let batchSize: Int
  /// Updates made since `initialise`.
  public private(set) var stepCount = 0
  let executable: any Executable
  private let epsilon: Double
  private var isClosed = false
  private var isInitialised = false

  init(rule: any Rule, plan: Plan, executable: any Executable, batchSize: Int, epsilon: Double) {
    self.epsilon = epsilon
    self.rule = rule
    self.plan = plan
    self.executable = executable
    self.batchSize = batchSize
    setCoefficients()
  }

  /// Several rules may share a plan, and so an executable; each sets its own coefficients.
  private func setCoefficients() {
    for (name, value) in rule.coefficients {
      if let slot = plan.slot(name) { executable.setSlot(slot, to: value) }
    }
    if let slot = plan.slot("gradient scale") { executable.setSlot(slot, to: 1) }
  }

  func load(_ feed: Feed) { plan.load(feed, into: executable) }

  // MARK: Driving

  /// The feedforward pass: v(0) = p(0), no steps taken. Call it before the first `step(_:)`.
  public func initialise() {
    setCoefficients()
    executable.run(plan.script([.parameters, .batch]))
    isInitialised = true
    stepCount = 0
    isClosed = false
  }

  /// `count` updates of all relaxed vertices.
  public func step(_ count: Int = 1) {
    guard plan.blocks.count == 1 else {
      fatalError(
        plan.blocks.isEmpty
          ? "\(rule.name) has no steps to drive" : "a time-reversed run goes block by block; use runAll()")
    }
    guard count >= 0 else { fatalError("a run cannot take \(count) steps") }
    guard isInitialised else { fatalError("a run steps from its feedforward values; call initialise() first") }
    executable.run(plan.script([.step], steps: count))
    stepCount += count
    isClosed = false
  }

  /// Runs all phases that training runs.
  public func runAll() {
    setCoefficients()
    let schedule = rule.schedule
    executable.run(plan.script(schedule.phases, steps: schedule.steps))
    isInitialised = true
    stepCount = schedule.steps
    isClosed = true
  }

  /// The closing sweep, after which deterministic messages and gradients belong to the present state.
  private func close() {
    guard !isClosed else { return }
    executable.run(plan.script([.close]))
    isClosed = true
  }

  /// Closes the run and says how far inference came.
  ///
  /// - Parameters:
  ///   - tolerance: the residual below which the run counts as converged.
  ///   - estimatesGradientDistance: whether to take 2T more steps to extrapolate where the gradient is going; the state
  ///     is put back afterwards.
  public func finish(tolerance: Double = 0, estimatesGradientDistance: Bool = false) -> Relaxation {
    close()
    var relaxation = Relaxation(outcome: .stepLimit, steps: stepCount, energy: .nan, residual: .nan)
    if let vertex = firstNonFiniteVertex() {
      relaxation.outcome = .diverged(vertex: vertex, step: stepCount)
      return relaxation
    }
    if plan.monitor != nil {
      let state = measure()
      relaxation.energy = state.energy
      relaxation.residual = state.residual
      if relaxation.residual <= tolerance { relaxation.outcome = .converged }
    }
    if estimatesGradientDistance { relaxation.gradientDistance = gradientDistance() }
    return relaxation
  }

  /// Closes the run and measures it, vertex by vertex. Needs a monitored run.
  public func measure() -> InferenceStep {
    guard let monitor = plan.monitor else {
      fatalError("measure() needs a run with isMonitored: true")
    }
    close()
    executable.run(plan.script([.monitor]))
    func mean(_ term: Term?) -> Double { term.map { download($0).reduce(0, +) / Double(batchSize) } ?? 0 }
    let graph = plan.graph
    return InferenceStep(
      step: stepCount, loss: monitor.losses.reduce(0) { $0 + mean($1) },
      residual: graph.vertices.indices.reduce(0) { $0 + mean(monitor.squaredResiduals[$1]) }.squareRoot(),
      vertices: graph.batchedVertices.map { vertex in
        .init(name: graph.vertices[vertex].name, energy: mean(monitor.squaredErrors[vertex]))
      })
  }

  /// Runs inference as training does, and tells how far it has come: after the feedforward pass and after each step, each
  /// closed as if it were the last. Needs a monitored run.
  ///
  /// Where there are no single steps to look at, under backprop, in a closed form, in a time-reversed schedule, it is told
  /// once, at the end. The result is the same to the last bit; each call costs a closing sweep.
  public func runAll(each: (InferenceStep) throws -> Void) rethrows {
    guard plan.monitor != nil else { fatalError("runAll(each:) needs a run with isMonitored: true") }
    guard plan.blocks.count == 1 else {
      runAll()
      return try each(measure())
    }
    initialise()
    try each(measure())
    for _ in 0..<rule.schedule.steps {
      step()
      try each(measure())
    }
  }

  /// Steps until the residual is at most `tolerance`, or `limit` steps are taken, or a value is no longer finite; looks
  /// at the residual every `interval` steps. Needs a monitored run.
  public func relax(until tolerance: Double, limit: Int, interval: Int = 10) -> Relaxation {
    guard plan.monitor != nil else { fatalError("relax(until:limit:) needs a run with isMonitored: true") }
    while true {
      let relaxation = finish(tolerance: tolerance)
      guard case .stepLimit = relaxation.outcome, stepCount < limit else { return relaxation }
      step(min(interval, limit - stepCount))
    }
  }

  /// ‖g(T) − g(∞)‖ / ‖g(∞)‖, where g(∞) is extrapolated from g(T), g(T + n), g(T + 2n) as a geometric sequence (Aitken);
  /// infinite where the differences do not shrink.
  private func gradientDistance() -> Double? {
    guard plan.blocks.count == 1, rule is any IterativeRule, stepCount > 0 else { return nil }
    let count = stepCount
    // What steps move: values under standard predictive coding, messages under fixed predictions.
    let moving = Set((plan.values + plan.messages.compactMap { $0 }).filter { $0.stage == .step }.map(\.view.buffer))
    let saved = moving.map { ($0, executable.download($0)) }
    let g0 = gradients()
    step(count)
    close()
    let g1 = gradients()
    step(count)
    close()
    let g2 = gradients()
    for (buffer, values) in saved { values.withUnsafeBufferPointer { executable.upload($0, to: buffer) } }
    stepCount = count
    isClosed = false
    close()
    let first = g1.distance(to: g0)
    let second = g2.distance(to: g1)
    // Differences of rounding do not shrink.
    guard first > 100 * epsilon * g2.norm else { return g2.norm > 0 ? first / g2.norm : 0 }
    guard second < first else { return .infinity }
    return first / (1 - second / first) / g2.norm
  }

  // MARK: State

  /// A vertex of the run by its path, such as `conv1`; stops where there is none of that name.
  public subscript(vertex: String) -> Vertex {
    let vertices = plan.graph.vertices
    guard let index = vertices.firstIndex(where: { $0.name == vertex }) else {
      fatalError(absence(of: vertex, "vertex", among: vertices.map(\.name)))
    }
    return Vertex(run: self, index: index)
  }

  /// What a vertex holds, read from the backend when it is asked for.
  ///
  /// ```swift
  /// let run = try network.run(StandardPredictiveCoding(), on: feed)
  /// run.runAll()
  /// print(run["conv1"].message.extents, run["conv1"].error.norm)
  /// ```
  ///
  /// Tensors hold one example after the other: their extents are the batch size and then the shape's other axes.
  public struct Vertex {
    let run: InferenceRun
    let index: Int

    private var vertex: Graph.Vertex { run.plan.graph.vertices[index] }

    /// What the vertex's children see; under fixed predictions it stays at the feedforward pass.
    public var value: Tensor { run.download(run.plan.values[index], shapedAs: vertex.result) }

    /// What the vertex's parents make of it.
    public var prediction: Tensor { run.download(run.plan.predictions[index], shapedAs: vertex.result) }

    /// −∂F/∂ its value, for a relaxed one its error; zeros where none arrives. Deterministic vertices have theirs after
    /// `finish`.
    public var message: Tensor {
      run.plan.messages[index].map { run.download($0, shapedAs: vertex.result) } ?? zeros
    }

    /// The vertex's own error v − p, of which the energy has ½‖v − p‖²: the message of one that the rule relaxes, at
    /// clamped elements what they miss, 0 elsewhere.
    public var error: Tensor {
      if vertex.kind == .relaxed, run.rule is any IterativeRule { return message }
      guard let clamp = vertex.clamp else { return zeros }
      guard let mask = clamp.mask else { return message }
      let inputs = run.plan.graph.inputs
      let isHeld = inputs.firstIndex { $0.value == mask }.map { run.download(run.plan.inputs[$0], shapedAs: mask) }
      var error = message
      for (position, held) in (isHeld?.values ?? []).enumerated() where held == 0 { error.values[position] = 0 }
      return error
    }

    private var zeros: Tensor {
      let value = value
      return Tensor(value.extents, value.values.map { _ in 0 })
    }
  }

  /// ∂L/∂input, for the inputs that the run was asked for.
  public func gradient(ofInput input: String) -> Tensor {
    guard let index = plan.graph.inputs.firstIndex(where: { $0.name == input }), let term = plan.inputMessages[index]
    else { fatalError("the run was not asked for the gradient of \(input)") }
    close()
    let message = download(term, shapedAs: plan.graph.inputs[index].value)
    return Tensor(message.extents, message.values.map { -$0 })
  }

  /// The gradients ∂L/∂θ that the messages give for all trainable parameters, summed over the examples; zeros where no
  /// message arrives.
  public func gradients() -> Gradients {
    close()
    var gradients: [String: Tensor] = [:]
    for (parameter, term) in zip(plan.graph.parameters, plan.gradients) where parameter.isTrainable {
      let values = term.map { executable.download($0.view.buffer) }
      gradients[parameter.name] = Tensor(
        parameter.extents, values?.map { -$0 } ?? Array(repeating: 0, count: parameter.extents.reduce(1, *)))
    }
    return Gradients(byParameter: gradients)
  }

  /// Σ wL of each example, at the feedforward values.
  public func losses() -> [Double] {
    plan.losses.reduce(Array(repeating: 0, count: batchSize)) { sums, term in
      zip(sums, download(term)).map(+)
    }
  }

  private func firstNonFiniteVertex() -> String? {
    // Values flow forward and messages back, so the first in that order is where it began.
    let vertices = plan.graph.vertices
    func isFinite(_ term: Term) -> Bool { download(term).allSatisfy(\.isFinite) }
    let place =
      vertices.indices.first { !isFinite(plan.values[$0]) }
      ?? vertices.indices.last { !(plan.messages[$0].map(isFinite) ?? true) }
    return place.map { vertices[$0].name }
  }

  /// Steps from the start and names the first vertex and step with a number that is not finite; where all are finite, a
  /// parameter whose gradient is not, or is too long for its square to be held.
  func locateDivergence() -> (vertex: String, step: Int) {
    locateVertex() ?? ("the gradient of \(longestGradient())", rule.schedule.steps)
  }

  private func longestGradient() -> String {
    gradients().byParameter.max { a, b in
      let (x, y) = (a.value.norm, b.value.norm)
      return y.isNaN || x < y
    }?.key ?? "the parameters"
  }

  private func locateVertex() -> (vertex: String, step: Int)? {
    initialise()
    close()
    if let vertex = firstNonFiniteVertex() { return (vertex, 0) }
    guard let iterative = rule as? any IterativeRule else { return nil }
    // A time-reversed run cannot stop between its blocks.
    guard plan.blocks.count == 1 else {
      runAll()
      return firstNonFiniteVertex().map { ($0, iterative.steps) }
    }
    for _ in 0..<iterative.steps {
      step()
      close()
      if let vertex = firstNonFiniteVertex() { return (vertex, stepCount) }
    }
    return nil
  }

  private func download(_ term: Term) -> [Double] { executable.download(term) }

  private func download(_ term: Term, shapedAs value: Int) -> Tensor {
    let shape = plan.graph.values[value].shape
    guard shape.isBatched else { return Tensor(term.extents, download(term)) }
    let others = shape.axes.filter { $0 != .batch }.map(\.extent)
    return Tensor([batchSize] + others, download(term))
  }
}

extension Executable {
  /// The elements of a term, example by example.
  func download(_ term: Term) -> [Double] {
    let flat = download(term.view.buffer)
    let examples = term.isBatched ? batchSize : 1
    if term.isDense, term.view.offset == 0, flat.count == examples * term.count { return flat }
    let each = flat.count / max(examples, 1)
    var values: [Double] = []
    values.reserveCapacity(examples * term.count)
    for example in 0..<examples {
      term.forEachOffset { values.append(flat[example * each + $0]) }
    }
    return values
  }
}

extension Term {
  /// The offsets of the elements in the buffer, in row-major order.
  func forEachOffset(_ body: (Int) -> Void) {
    var index = Array(repeating: 0, count: rank)
    var offset = view.offset
    while true {
      body(offset)
      var axis = rank - 1
      while axis >= 0 {
        index[axis] += 1
        offset += view.strides[axis]
        if index[axis] < extents[axis] { break }
        offset -= view.strides[axis] * extents[axis]
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}

extension Plan {
  func load(_ feed: Feed, into executable: any Executable) {
    for (input, term) in zip(graph.inputs, inputs) {
      guard let numbers = feed.numbers(of: input, in: graph) else { continue }
      switch numbers {
      case .floats(let values): values.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
      case .doubles(let values): values.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
      case .integers(let values): values.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
      }
    }
  }
}
