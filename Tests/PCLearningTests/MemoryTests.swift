import PredictiveCoding
import Testing

/// Training plans, which share memory between what is needed at different times.
@Suite struct MemoryTests {
  private static let rules: [any Rule] = [
    Backprop(), FixedPredictions(steps: 3, rate: 0.3), FixedPredictions(steps: 3, rate: 0.3, solver: .closedForm),
    StandardPredictiveCoding(steps: 3, rate: 0.1),
  ]

  /// An update moves parameters by the gradient that a run shows whose plan shares nothing.
  @Test(arguments: 0..<20) func updatesAreThoseOfObservedRuns(block: Int) throws {
    for seed in (20 * block)..<(20 * (block + 1)) {
      let random = RandomGraph(seed: seed)
      for rule in Self.rules {
        let trainer = try Trainer(
          random.model, rule: rule, optimizer: SGD(learningRate: 0.5), reduction: .sum, on: Reference(),
          seed: UInt64(seed))
        let before = trainer.network.parameters()
        let gradients = try trainer.network.gradients(rule, on: random.feed)
        // The second update meets what the first one left in memory.
        for update in 1...2 {
          for (name, values) in before { trainer.network.setParameter(name, to: values) }
          try trainer.train(on: random.feed)
          for (name, gradient) in gradients.byParameter {
            let moved = zip(trainer.network.parameter(name).values, before[name]?.values ?? []).map { 2 * ($1 - $0) }
            expectClose(
              moved, gradient.values, "seed \(seed), \(rule.name) \(rule.solverName ?? ""), update \(update), \(name)"
            )
          }
        }
      }
    }
  }

  /// The terms of one time step's pullbacks lie where those of the step before were: an unrolled LSTM takes less than two
  /// thirds of what it takes where all of them can be looked at.
  @Test func unrolledPlansReuseMemory() throws {
    let model = Model { graph in
      let inputs = graph.input("inputs", [.batch, 20, 8])
      let states = LSTM("cell", 32)(inputs).stacked()
      graph.loss(.squaredError(Dense("readout", 4)(states), graph.input("targets", [.batch, 20, 4])))
    }
    for backend in [Reference(), try CPU(threads: 1)] as [any Backend] {
      let trainer = try Trainer(model, rule: Backprop(), optimizer: SGD(learningRate: 0.1), on: backend, seed: 1)
      let shared = try trainer.byteCount(batchSize: 64)
      let observed = try trainer.network.byteCount(Backprop(), batchSize: 64)
      #expect(3 * shared < 2 * observed, "\(backend.name): \(shared) of \(observed) bytes")
    }
  }

  private static func unrolled(_ length: Int) -> Model {
    Model { graph in
      let inputs = graph.input("inputs", [.batch, .fixed(length), 8])
      var states = LSTM("first", 32)(inputs).stacked()
      states = GRU("second", 32)(states).stacked()
      graph.loss(.squaredError(Dense("readout", 4)(states), graph.input("targets", [.batch, .fixed(length), 4])))
    }
  }

  private static func feed(_ length: Int, count: Int) -> Feed {
    var random = RandomStream(seed: 7, "sequences")
    func numbers(_ width: Int) -> [Float] { (0..<(count * length * width)).map { _ in Float(random.uniform()) } }
    return Feed(count: count, ["inputs": .floats(numbers(8)), "targets": .floats(numbers(4))])
  }

  /// Steps that are computed again give the same bits: whole segments and a last one that is shorter, one step at a time,
  /// more steps than there are.
  @Test(arguments: [1, 3, 4, 20]) func recomputationChangesNothing(steps: Int) throws {
    let rules: [any Rule] = [
      Backprop(), FixedPredictions(steps: 3, rate: 0.3, order: .timeReversed),
      FixedPredictions(steps: 3, rate: 0.3, solver: .closedForm, order: .timeReversed),
      FixedPredictions(steps: 3, rate: 0.3), StandardPredictiveCoding(steps: 3, rate: 0.1),
    ]
    let feed = Self.feed(11, count: 5)
    for rule in rules {
      for backend in [Reference(), try CPU(threads: 2)] as [any Backend] {
        let parameters = try [nil, steps].map { recomputed in
          let trainer = try Trainer(
            Self.unrolled(11), rule: rule, optimizer: Adam(), recomputing: recomputed, on: backend, seed: 3)
          for _ in 1...3 { try trainer.train(on: feed) }
          return trainer.network.parameters()
        }
        for (name, expected) in parameters[0] {
          let observed = parameters[1][name]?.values
          #expect(
            observed == expected.values,
            "\(rule.name) \(rule.solverName ?? ""), \(backend.name), \(steps) steps, \(name)")
        }
      }
    }
  }

  /// What remains of a step is what is projected for all steps at once, and what weight gradients read in the end.
  @Test func recomputationSavesMemory() throws {
    let backend = try CPU(threads: 1)
    for rule in [Backprop(), FixedPredictions(steps: 3, rate: 0.3, order: .timeReversed)] as [any Rule] {
      let bytes = try [nil, 10].map { steps in
        try Trainer(
          Self.unrolled(100), rule: rule, optimizer: SGD(learningRate: 0.1), recomputing: steps, on: backend, seed: 3
        ).byteCount(batchSize: 32)
      }
      #expect(10 * bytes[1] < 9 * bytes[0], "\(rule.name): \(bytes[1]) of \(bytes[0]) bytes")
    }
  }
}
