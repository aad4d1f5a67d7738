import PredictiveCoding

/// Predictive coding as its equations stand, without a plan: the oracle of all rules.
///
/// It walks the vertices of a graph, keeps what a step reads apart from what it writes, stores whole arrays for every
/// value, and knows nothing of sections, stages, passes or depths. With v the values, p the predictions, J = ∂p/∂v:
///
///     relaxed or clamped   m = v − p
///     deterministic        v = p, m = Σ_children Jᵀm
///     loss                 m = −w ∂L/∂v
///     energy               F = Σ ½‖v − p‖² + Σ wL
///
/// Numbers lie example by example, as in a `Feed`.
final class Interpreter {
  struct Outcome {
    /// By vertex; zeros where nothing arrives.
    var messages: [[Double]]
    /// v − p by vertex, where it is relaxed or held; 0 elsewhere.
    var errors: [[Double]]
    /// ∂F/∂θ, by path.
    var gradients: [String: [Double]]
    /// ∂F/∂input, by name.
    var inputGradients: [String: [Double]]
    /// The mean over the examples.
    var energy: Double
    /// Root of the mean over the examples of Σ (dv/dt)².
    var residual: Double
  }

  let graph: Graph
  private let batchSize: Int
  private let operations: [OperationProgram]
  private let losses: [LossProgram]
  /// What the readers of each value see.
  private var values: [[Double]]
  private var predictions: [[Double]]

  init(_ graph: Graph, feed: Feed, parameters: [String: Tensor]) throws {
    self.graph = graph
    batchSize = feed.count
    operations = try graph.nodes.map { node in
      try OperationProgram(node.operation, operands: node.operands.map { graph.values[$0] }, batchSize: feed.count)
    }
    losses = try graph.losses.map { loss in
      try LossProgram(loss.function, graph.values[loss.prediction], graph.values[loss.target], batchSize: feed.count)
    }
    values = Array(repeating: [], count: graph.values.count)
    predictions = Array(repeating: [], count: graph.vertices.count)
    for input in graph.inputs {
      switch feed.arrays[input.name] {
      case .doubles(let numbers): values[input.value] = numbers
      case .floats(let numbers): values[input.value] = numbers.map(Double.init)
      case .integers(let numbers): values[input.value] = numbers.map(Double.init)
      case nil: break
      }
    }
    for parameter in graph.parameters { values[parameter.value] = parameters[parameter.name]?.values ?? [] }
    evaluate()
  }

  // MARK: Pieces

  private func isHeld(_ vertex: Int, _ element: Int) -> Bool {
    guard let clamp = graph.vertices[vertex].clamp else { return false }
    return clamp.mask.map { values[$0][element] != 0 } ?? true
  }

  /// Predictions of all vertices in order, each from the values of its parents. Vertices in `own` keep their values,
  /// the others take their predictions; held elements are held.
  private func evaluate(own: [Int: [Double]] = [:]) {
    for (index, vertex) in graph.vertices.enumerated() {
      for node in vertex.nodes {
        values[graph.nodes[node].result] = operations[node].forward(graph.nodes[node].operands.map { values[$0] })
      }
      predictions[index] = values[vertex.result]
      if let value = own[index] { values[vertex.result] = value }
      guard let clamp = vertex.clamp else { continue }
      for k in predictions[index].indices where isHeld(index, k) {
        values[vertex.result][k] = values[clamp.target][k]
      }
    }
  }

  /// Everything that is sent, children first, where the vertices in `given` have those messages.
  private func send(_ given: [Int: [Double]]) -> (messages: [[Double]], arriving: [[Double]]) {
    var arriving = values.map { Array(repeating: 0.0, count: $0.count) }
    func add(_ term: [Double], _ factor: Double, to value: Int) {
      for k in term.indices { arriving[value][k] += factor * term[k] }
    }
    for (loss, program) in zip(graph.losses, losses) {
      add(program.message(values[loss.prediction], values[loss.target]), loss.weight, to: loss.prediction)
    }
    var messages = predictions
    for (index, vertex) in graph.vertices.enumerated().reversed() {
      var message = given[index] ?? arriving[vertex.result]
      for k in message.indices where isHeld(index, k) {
        message[k] = values[vertex.result][k] - predictions[index][k]
      }
      messages[index] = message
      // The vertex's own result has been read; from here on its inner values collect.
      var inner = [vertex.result: message]
      for node in vertex.nodes.reversed() {
        guard let total = inner[graph.nodes[node].result] else { continue }
        for (position, operand) in graph.nodes[node].operands.enumerated() {
          guard let term = operations[node].pullback(to: position, of: total) else { continue }
          if graph.vertex(making: operand) == index {
            inner[operand] = zip(inner[operand] ?? term.map { _ in 0 }, term).map(+)
          } else {
            add(term, 1, to: operand)
          }
        }
      }
    }
    return (messages, arriving)
  }

  private func outcome(_ given: [Int: [Double]], relaxed: [Int]) -> Outcome {
    let (messages, arriving) = send(given)
    var energy = zip(graph.losses, losses).reduce(0) { total, entry in
      total + entry.0.weight * entry.1.value(values[entry.0.prediction], values[entry.0.target])
    }
    var residual = 0.0
    var errors = messages.map { $0.map { _ in 0.0 } }
    for (index, vertex) in graph.vertices.enumerated() {
      for k in messages[index].indices where relaxed.contains(index) || isHeld(index, k) {
        let error = messages[index][k]
        energy += error * error / 2
        errors[index][k] = error
        if !isHeld(index, k) {
          residual += (arriving[vertex.result][k] - error) * (arriving[vertex.result][k] - error)
        }
      }
    }
    func gradients(_ entries: [(String, Int)]) -> [String: [Double]] {
      Dictionary(uniqueKeysWithValues: entries.map { ($0.0, arriving[$0.1].map { -$0 }) })
    }
    return Outcome(
      messages: messages, errors: errors,
      gradients: gradients(graph.parameters.filter(\.isTrainable).map { ($0.name, $0.value) }),
      inputGradients: gradients(graph.inputs.map { ($0.name, $0.value) }), energy: energy / Double(batchSize),
      residual: (residual / Double(batchSize)).squareRoot())
  }

  private var relaxed: [Int] { graph.vertices.indices.filter { graph.vertices[$0].kind == .relaxed } }

  // MARK: Rules

  /// What m ← (1 − h) m + h Σ Jᵀm gives after each of the numbers of steps, from m = 0, everything else as in the
  /// feedforward pass.
  func fixedPredictions(steps: [Int], rate: Double) -> [Outcome] {
    evaluate()
    var present = silence
    var outcomes: [Outcome] = []
    for step in 0...(steps.max() ?? 0) {
      if steps.contains(step) { outcomes.append(outcome(present, relaxed: relaxed)) }
      present = updated(present, relaxed, rate: rate)
    }
    return outcomes
  }

  /// The same for one block of vertices after the other, all other messages held: T steps each.
  func fixedPredictions(blocks: [[Int]], steps: Int, rate: Double) -> Outcome {
    evaluate()
    var present = silence
    for block in blocks {
      for _ in 0..<steps { present = updated(present, relaxed.filter(block.contains), rate: rate) }
    }
    return outcome(present, relaxed: relaxed)
  }

  private var silence: [Int: [Double]] {
    Dictionary(uniqueKeysWithValues: relaxed.map { ($0, predictions[$0].map { _ in 0 }) })
  }

  private func updated(_ present: [Int: [Double]], _ moving: [Int], rate: Double) -> [Int: [Double]] {
    let (messages, arriving) = send(present)
    var next = present
    for index in moving {
      next[index] = zip(messages[index], arriving[graph.vertices[index].result]).map { (1 - rate) * $0 + rate * $1 }
    }
    return next
  }

  /// What v ← v − h ∂F/∂v gives after each of the numbers of steps, from the feedforward pass, everything else
  /// evaluated anew in every step.
  func standard(steps: [Int], rate: Double) -> [Outcome] {
    evaluate()
    var own: [Int: [Double]] = [:]
    for index in relaxed { own[index] = values[graph.vertices[index].result] }
    var outcomes: [Outcome] = []
    for step in 0...(steps.max() ?? 0) {
      evaluate(own: own)
      var errors: [Int: [Double]] = [:]
      for index in relaxed {
        errors[index] = zip(values[graph.vertices[index].result], predictions[index]).map { $0 - $1 }
      }
      if steps.contains(step) { outcomes.append(outcome(errors, relaxed: relaxed)) }
      let (messages, arriving) = send(errors)
      for index in relaxed {
        let value = graph.vertices[index].result
        own[index] = values[value].indices.map { k in
          isHeld(index, k) ? values[value][k] : values[value][k] + rate * (arriving[value][k] - messages[index][k])
        }
      }
    }
    return outcomes
  }

  // MARK: The function whose gradient backprop is

  /// Σ wL + Σ_held ½(c − p)² over all examples, with the given numbers moved by `scale` times a direction (by value of
  /// the graph). Readers of a held element see the constant c, so no derivative passes it.
  func objective(along direction: [Int: [Double]], scale: Double) -> Double {
    let saved = values
    defer {
      values = saved
      evaluate()
    }
    for (value, change) in direction { values[value] = zip(saved[value], change).map { $0 + scale * $1 } }
    evaluate()
    var total = zip(graph.losses, losses).reduce(0) { total, entry in
      total + entry.0.weight * entry.1.value(values[entry.0.prediction], values[entry.0.target])
    }
    for (index, vertex) in graph.vertices.enumerated() {
      for k in predictions[index].indices where isHeld(index, k) {
        let error = values[vertex.result][k] - predictions[index][k]
        total += error * error / 2
      }
    }
    return total
  }
}

/// A loss as a program of its own.
final class LossProgram {
  private let prediction: Term
  private let target: Term
  private let cost: Term
  private let sent: Term
  private let executable: any Executable

  init(_ function: any LossFunction, _ prediction: Graph.Value, _ target: Graph.Value, batchSize: Int) throws {
    let emit = Emitter()
    let section = emit.makeSection("loss")
    for stage in Stage.allCases { emit.sections[stage] = section }
    self.prediction = emit.makeTerm("prediction", prediction.shape.extents, isBatched: true, stage: .step)
    self.target = emit.makeTerm(
      "target", target.shape.extents, isBatched: target.shape.isBatched, stage: .step)
    cost = function.value(prediction: self.prediction, target: self.target, emit)
    sent = emit.dense(function.message(prediction: self.prediction, target: self.target, emit))
    executable = try Reference().compile(emit.program, batchSize: batchSize, bindings: [:])
  }

  private func run(_ prediction: [Double], _ target: [Double]) {
    prediction.withUnsafeBufferPointer { executable.upload($0, to: self.prediction.view.buffer) }
    target.withUnsafeBufferPointer { executable.upload($0, to: self.target.view.buffer) }
    executable.run([Passage(section: 0)])
  }

  /// Summed over the examples.
  func value(_ prediction: [Double], _ target: [Double]) -> Double {
    run(prediction, target)
    return executable.download(cost.view.buffer).reduce(0, +)
  }

  func message(_ prediction: [Double], _ target: [Double]) -> [Double] {
    run(prediction, target)
    return executable.download(sent.view.buffer)
  }
}
