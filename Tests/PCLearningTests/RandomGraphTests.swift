import PredictiveCoding
import Testing

/// A thousand graphs that seeds draw; a failing case is its seed.
@Suite struct RandomGraphTests {
  static let seeds = 0..<1000

  /// The thousand graphs hold enough of everything that can go wrong.
  @Test func seedsReachEverything() {
    var found: [String: Int] = [:]
    func note(_ what: String, _ isThere: Bool = true) { if isThere { found[what, default: 0] += 1 } }
    for seed in Self.seeds {
      let graph = RandomGraph(seed: seed).model.graph
      for name in Set(graph.nodes.map(\.operation.name)) { note(name) }
      for kind in Set(graph.vertices.map(\.kind)) { note(kind.rawValue) }
      for loss in Set(graph.losses.map(\.function.name)) { note(loss) }
      note("several losses", graph.losses.count > 1)
      note("weights", graph.losses.contains { $0.weight != 1 })
      note(
        "loss on a value that is read",
        zip(graph.lossesFed(), graph.children()).contains { !$0.isEmpty && !$1.isEmpty })
      note("groups", graph.vertices.contains { $0.nodes.count > 1 })
      note("repeated parents", graph.nodes.contains { Set($0.operands).count < $0.operands.count })
      note(
        "shared parameters",
        graph.parameters.contains { parameter in
          graph.nodes.filter { $0.operands.contains(parameter.value) }.count > 1
        })
      note("whole clamps", graph.vertices.contains { $0.clamp != nil && $0.clamp?.mask == nil })
      note("masked clamps", graph.vertices.contains { $0.clamp?.mask != nil })
      note("clamped deterministic vertices", graph.vertices.contains { $0.clamp != nil && $0.kind == .deterministic })
      note("batch factors", graph.values.contains { $0.shape.axes.contains { $0.isBatch && $0 != .batch } })
      note("batch on another axis", graph.values.contains { ($0.shape.batchAxis ?? 0) > 0 })
      note("several depths", graph.messageDepths().contains { $0.count > 1 })
      note("unreached vertices", graph.vertexIsReached().contains(false))
    }
    let wanted = [
      "add", "subtract", "multiply", "divide", "affine", "matmul", "convolve", "max pool", "relu", "tanh", "sigmoid",
      "exp", "sqrt", "sin", "tan", "reshape", "transpose", "slice", "concatenate", "sum", "mean", "one hot", "prior",
      "select", "gelu", "maximum", "minimum", "average pool",
      "relaxed", "deterministic", "parametric", "squared error", "cross-entropy", "huber", "binary cross-entropy",
      "several losses", "weights",
      "loss on a value that is read", "groups", "repeated parents", "shared parameters", "whole clamps",
      "masked clamps",
      "clamped deterministic vertices", "batch factors", "batch on another axis", "several depths",
      "unreached vertices",
    ]
    for what in wanted { #expect(found[what, default: 0] >= 20, "\(what): \(found[what, default: 0]) of 1000") }
  }

  /// T → ∞ is backprop, and backprop is the slope of the loss, measured by differences of the loss alone.
  @Test(arguments: seeds) func equilibriumIsBackpropIsTheSlope(seed: Int) throws {
    let random = RandomGraph(seed: seed)
    let graph = random.model.graph
    let network = try Network(random.model, on: Reference(), seed: UInt64(seed))
    let run = try network.run(Backprop(), on: random.feed, isMonitored: true, gradientOf: random.sources)
    run.runAll()
    let exact = run.gradients()
    let equilibrium = try network.run(
      FixedPredictions(solver: .equilibrium), on: random.feed, gradientOf: random.sources)
    equilibrium.runAll()
    for (name, gradient) in exact.byParameter {
      expectClose(equilibrium.gradients()[numbers: name], gradient.values, "seed \(seed), equilibrium, \(name)")
    }
    for name in random.sources {
      expectClose(
        equilibrium.gradient(ofInput: name).values, run.gradient(ofInput: name).values,
        "seed \(seed), equilibrium, \(name)")
    }
    let summed = try network.gradients(
      weightingDepthsBy: Array(repeating: 1, count: graph.vertices.count + 1), on: random.feed)
    for (name, gradient) in exact.byParameter {
      expectClose(summed[numbers: name], gradient.values, "seed \(seed), sum over depths, \(name)")
    }

    let interpreter = try Interpreter(graph, feed: random.feed, parameters: network.parameters())
    // Nothing is relaxed: the energy is what the slope is that of.
    expectClose(
      run.measure().energy * Double(random.feed.count), interpreter.objective(along: [:], scale: 0),
      "seed \(seed), backprop, energy")
    var stream = RandomStream(seed: UInt64(seed), "direction")
    for _ in 0..<2 {
      var direction: [Int: [Double]] = [:]
      var expected = 0.0
      func move(_ value: Int, _ gradient: [Double]) {
        let change = gradient.map { _ in 2 * stream.uniform() - 1 }
        direction[value] = change
        expected += zip(change, gradient).reduce(0) { $0 + $1.0 * $1.1 }
      }
      for parameter in graph.parameters { move(parameter.value, exact[numbers: parameter.name]) }
      for input in graph.inputs where random.sources.contains(input.name) {
        move(input.value, run.gradient(ofInput: input.name).values)
      }
      let step = 1e-5
      let slope =
        (interpreter.objective(along: direction, scale: step) - interpreter.objective(along: direction, scale: -step))
        / (2 * step)
      expectClose(expected, slope, within: 1e-7, "seed \(seed), slope of the loss")
    }
  }

  /// Three ways to the same messages: T steps of the plan, the closed form, the equations as they stand.
  @Test(arguments: seeds) func stepwiseIsClosedFormIsTheEquations(seed: Int) throws {
    let random = RandomGraph(seed: seed)
    let rate = [0.1, 0.3, 0.7, 1][seed % 4]
    let steps = [0, 1, 2, 5, 50]
    let network = try Network(random.model, on: Reference(), seed: UInt64(seed))
    let interpreter = try Interpreter(random.model.graph, feed: random.feed, parameters: network.parameters())
    let outcomes = interpreter.fixedPredictions(steps: steps, rate: rate)
    for (count, outcome) in zip(steps, outcomes) {
      for solver in [FixedPredictions.Solver.stepwise, .closedForm] {
        let rule = FixedPredictions(steps: count, rate: rate, solver: solver)
        let run = try network.run(rule, on: random.feed, isMonitored: true, gradientOf: random.sources)
        run.runAll()
        compare(run, outcome, "seed \(seed), \(solver.rawValue), T = \(count), h = \(rate)")
      }
    }
  }

  /// Predictions and Jacobians that follow the values.
  @Test(arguments: seeds) func standardPredictiveCodingIsTheEquations(seed: Int) throws {
    let random = RandomGraph(seed: seed)
    let rate = [0.05, 0.1, 0.2, 0.4][seed % 4]
    let steps = [0, 1, 2, 5]
    let network = try Network(random.model, on: Reference(), seed: UInt64(seed))
    let interpreter = try Interpreter(random.model.graph, feed: random.feed, parameters: network.parameters())
    for (count, outcome) in zip(steps, interpreter.standard(steps: steps, rate: rate)) {
      let run = try network.run(
        StandardPredictiveCoding(steps: count, rate: rate), on: random.feed, isMonitored: true,
        gradientOf: random.sources)
      run.runAll()
      compare(run, outcome, "seed \(seed), standard, T = \(count), h = \(rate)")
    }
  }

  /// Whole plans on the fast backend, in batches of one, some and several tiles: Float within 2e-5 of Double.
  @Test(arguments: 0..<300) func cpuAgreesWithReference(seed: Int) throws {
    let random = RandomGraph(seed: seed, batchSize: [1, 5, 35][seed % 3])
    let sets = CPU.InstructionSet.allCases.filter(\.isSupported)
    let cpu = try CPU(threads: 1 + seed % 2, instructionSet: sets[seed % sets.count])
    let fast = try Network(random.model, on: cpu, seed: UInt64(seed))
    let exact = try Network(random.model, on: Reference(), seed: UInt64(seed))
    let rules: [any Rule] = [
      Backprop(), FixedPredictions(steps: 5, rate: 0.3), FixedPredictions(steps: 5, rate: 0.3, solver: .closedForm),
      StandardPredictiveCoding(steps: 3, rate: 0.1),
    ]
    for rule in rules {
      let what = "seed \(seed), \(rule.name) \(rule.solverName ?? ""), \(cpu.instructionSet.rawValue)"
      let observed = try fast.run(rule, on: random.feed)
      let expected = try exact.run(rule, on: random.feed)
      observed.runAll()
      expected.runAll()
      expectClose(observed.losses(), expected.losses(), within: 2e-5, "\(what), losses")
      for vertex in random.model.graph.vertices {
        expectClose(
          observed[vertex.name].message.values, expected[vertex.name].message.values, within: 2e-5,
          "\(what), message of \(vertex.name)")
      }
      for (name, gradient) in expected.gradients().byParameter {
        expectClose(
          observed.gradients()[numbers: name], gradient.values, within: 2e-5, "\(what), gradient of \(name)")
      }
    }
  }

  private func compare(_ run: InferenceRun, _ expected: Interpreter.Outcome, _ what: String) {
    let graph = run.plan.graph
    for (index, vertex) in graph.vertices.enumerated() {
      expectClose(run[vertex.name].message.values, expected.messages[index], "\(what), message of \(vertex.name)")
    }
    let gradients = run.gradients()
    for (name, gradient) in expected.gradients {
      expectClose(gradients[numbers: name], gradient, "\(what), gradient of \(name)")
    }
    for input in graph.inputs
    where run.plan.inputMessages.keys.contains(graph.inputs.firstIndex { $0.name == input.name } ?? -1) {
      expectClose(
        run.gradient(ofInput: input.name).values, expected.inputGradients[input.name] ?? [],
        "\(what), gradient of \(input.name)")
    }
    let relaxation = run.finish()
    let state = run.measure()
    for (index, vertex) in graph.vertices.enumerated() where vertex.kind != .parametric {
      let errors = expected.errors[index]
      expectClose(run[vertex.name].error.values, errors, "\(what), error of \(vertex.name)")
      let energy = errors.reduce(0) { $0 + $1 * $1 / 2 } / Double(run.batchSize)
      expectClose(state[vertex.name].energy, energy, "\(what), energy of \(vertex.name)")
    }
    expectClose(state.energy, expected.energy, "\(what), energy of the state")
    expectClose(relaxation.energy, expected.energy, "\(what), energy")
    expectClose(relaxation.residual, expected.residual, "\(what), residual")
  }

  /// What T steps miss, ‖g_T − g‖, is ‖Σ (1 − c_d) g⁽ᵈ⁾‖, at most Σ (1 − c_d) ‖g⁽ᵈ⁾‖, and for one depth (1 − c_d) ‖g‖.
  @Test(arguments: seeds) func shortfallIsWhatTheDepthsSay(seed: Int) throws {
    let random = RandomGraph(seed: seed)
    let graph = random.model.graph
    let certificate = Certificate(steps: [1, 3, 5, 20][seed % 4], rate: [0.2, 0.5, 0.9][seed % 3])
    let network = try Network(random.model, on: Reference(), seed: UInt64(seed))
    let exact = try network.gradients(Backprop(), on: random.feed)
    let reached = try network.gradients(
      FixedPredictions(steps: certificate.steps, rate: certificate.rate), on: random.feed)
    let depths = 0...(graph.messageDepths().joined().max() ?? 0)
    let missing = try network.gradients(weightingDepthsBy: depths.map(certificate.shortfall), on: random.feed)
    let parts = try depths.map { depth in
      try network.gradients(weightingDepthsBy: depths.map { $0 == depth ? 1 : 0 }, on: random.feed)
    }
    for parameter in graph.parameters {
      let name = parameter.name
      let measured = zip(exact[numbers: name], reached[numbers: name]).map { $0 - $1 }
      expectClose(measured, missing[numbers: name], "seed \(seed), \(name)")
      let present = graph.gradientDepths(ofValue: parameter.value)
      for depth in depths where !present.contains(depth) {
        expectClose(
          parts[depth][numbers: name].map { _ in 0 }, parts[depth][numbers: name],
          "seed \(seed), \(name) at depth \(depth)")
      }
      let bound = depths.reduce(0) { $0 + certificate.shortfall($1) * norm(parts[$1][numbers: name]) }
      #expect(norm(measured) <= bound * (1 + 1e-9) + 1e-13, "seed \(seed), \(name)")
    }
  }

  private func norm(_ numbers: [Double]) -> Double { numbers.reduce(0) { $0 + $1 * $1 }.squareRoot() }
}
