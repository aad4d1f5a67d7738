import PredictiveCoding
import Testing

/// The time-reversed schedule on unrolled sequences, against the equations block after block.
@Suite struct ScheduleTests {
  enum Net: String, CaseIterable { case plain, gated, bidirectional, padded, everyStep }

  private static func model(_ net: Net) -> Model {
    Model { graph in
      let x = graph.input("x", [.batch, 4, 3])
      let encoded = Dense("encoder", 3, activation: .tanh)(x)
      let label = graph.labels("label", classes: 2)
      switch net {
      case .plain:
        graph.loss(.crossEntropy(Dense("head", 2)(RNN("rnn", 3)(encoded).last[0]), label))
      case .gated:
        let hidden = Dense("hidden", 3, activation: .tanh)(LSTM("lstm", 2)(GRU("gru", 2)(encoded).stacked()).last[0])
        graph.loss(.crossEntropy(Dense("head", 2)(hidden), label))
      case .bidirectional:
        let forward = RNN("forward", 2)(encoded)
        let backward = RNN("backward", 2)(forward.stacked(), reversed: true)
        graph.loss(.crossEntropy(Dense("head", 2)(concatenate([forward.last[0], backward.last[0]], axis: 1)), label))
      case .padded:
        let mask = graph.input("mask", [.batch, 4])
        graph.loss(.crossEntropy(Dense("head", 2)(GRU("gru", 3)(encoded, mask: mask).last[0]), label))
      case .everyStep:
        let outputs = RNN("rnn", 3)(encoded).stacked()
        graph.loss(.squaredError(Dense("readout", 2)(outputs), graph.input("t", [.batch, 4, 2])), weight: 0.5)
        graph.loss(.crossEntropy(outputs.sliced(axis: 1, 3..<4).reshaped([.batch, 3]).sliced(axis: 1, 0..<2), label))
      }
    }
  }

  private static func feed(_ graph: Graph) -> Feed {
    var random = RandomStream(seed: 5, "sequences")
    var arrays: [String: Feed.Numbers] = ["label": .integers([0, 1])]
    for input in graph.inputs where input.classes == nil {
      let count = 2 * graph.values[input.value].shape.count
      // The second example is two steps shorter.
      arrays[input.name] =
        input.name == "mask"
        ? .doubles([1, 1, 1, 1, 0, 0, 1, 1]) : .doubles((0..<count).map { _ in random.normal() })
    }
    return Feed(count: 2, arrays)
  }

  /// By the definition, without walking in order: a vertex's label is its own; without one the largest among its ancestors
  /// if it lies between labelled vertices; below them all it comes first, else last.
  private static func blocks(_ graph: Graph) -> [[Int]] {
    let children = graph.children()
    func reaches(_ start: Int, _ target: Int) -> Bool {
      children[start].contains { $0 == target || reaches($0, target) }
    }
    let labelled = graph.batchedVertices.filter { graph.vertices[$0].time != nil }
    let first = Graph.Time(sequence: .max, step: 0)
    let last = Graph.Time(sequence: -1, step: 0)
    var byTime: [Graph.Time: [Int]] = [:]
    for vertex in graph.batchedVertices {
      let above = labelled.filter { reaches($0, vertex) }.compactMap { graph.vertices[$0].time }
      let hasBelow = labelled.contains { reaches(vertex, $0) }
      let time = graph.vertices[vertex].time ?? (hasBelow ? above.max() ?? last : above.isEmpty ? last : first)
      byTime[time, default: []].append(vertex)
    }
    return byTime.sorted { $0.key > $1.key }.map(\.value)
  }

  @Test(arguments: Net.allCases, [0, 1, 3, 12]) func timeReversedIsTheEquations(net: Net, steps: Int) throws {
    let model = Self.model(net)
    let graph = model.graph
    let feed = Self.feed(graph)
    let network = try Network(model, on: Reference(), seed: 3)
    let interpreter = try Interpreter(graph, feed: feed, parameters: network.parameters())
    let blocks = Self.blocks(graph)
    #expect(blocks.count >= 4)
    let expected = interpreter.fixedPredictions(blocks: blocks, steps: steps, rate: 0.3)
    for solver in [FixedPredictions.Solver.stepwise, .closedForm] {
      let what = "\(net.rawValue), T = \(steps), \(solver.rawValue)"
      let run = try network.run(
        FixedPredictions(steps: steps, rate: 0.3, solver: solver, order: .timeReversed), on: feed, gradientOf: ["x"])
      run.runAll()
      for (index, vertex) in graph.vertices.enumerated() where vertex.kind != .parametric {
        expectClose(
          run[vertex.name].message.values, expected.messages[index], "\(what), message of \(vertex.name)")
      }
      for (name, gradient) in expected.gradients {
        expectClose(run.gradients()[numbers: name], gradient, "\(what), gradient of \(name)")
      }
      expectClose(run.gradient(ofInput: "x").values, expected.inputGradients["x"] ?? [], "\(what), gradient of x")
    }
  }

  /// Every path from the loss to one step's input crosses each state from there on once, in blocks of their own.
  @Test(arguments: [1, 4, 7, 40]) func timeReversedCertificate(steps: Int) throws {
    let model = Model { graph in
      let last = RNN("rnn", 3)(graph.input("x", [.batch, 4, 3])).last[0]
      graph.loss(.squaredError(Dense("head", 2)(last), graph.input("t", [.batch, 2])))
    }
    let network = try Network(model, on: Reference(), seed: 3)
    let feed = Self.feed(model.graph)
    func gradient(_ rule: any Rule) throws -> [Double] {
      let run = try network.run(rule, on: feed, gradientOf: ["x"])
      run.runAll()
      return run.gradient(ofInput: "x").values
    }
    let exact = try gradient(Backprop())
    let reached = try gradient(FixedPredictions(steps: steps, rate: 0.3, order: .timeReversed))
    let certificate = Certificate(steps: steps, rate: 0.3)
    for index in exact.indices {
      let depths = Array(repeating: 1, count: 4 - index / 3 % 4)
      let expected = certificate.coefficient(timeReversed: depths) * exact[index]
      #expect(
        abs(reached[index] - expected) <= 1e-12 * abs(exact[index]),
        "T = \(steps), element \(index): expected \(expected), observed \(reached[index])")
      let missing = certificate.shortfall(timeReversed: depths)
      #expect(abs(1 - missing - certificate.coefficient(timeReversed: depths)) < 1e-14)
    }
  }

  /// With many steps the schedule is backprop; the synchronous one needs more for a longer sequence.
  @Test(arguments: Net.allCases) func timeReversedTendsToBackprop(net: Net) throws {
    let model = Self.model(net)
    let network = try Network(model, on: Reference(), seed: 3)
    let feed = Self.feed(model.graph)
    let exact = try network.gradients(Backprop(), on: feed)
    let reached = try network.gradients(FixedPredictions(steps: 400, rate: 0.3, order: .timeReversed), on: feed)
    #expect(reached.compared(with: exact).relativeError < 1e-13, "\(net.rawValue)")
  }
}
