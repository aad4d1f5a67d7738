import PredictiveCoding
import Testing

/// Settings and numbers that cannot be are refused before they reach a parameter.
@Suite struct UpdateSettingsTests {
  private static func model(_ initializer: Initializer = .constant(1)) -> Model {
    Model { graph in
      let x = graph.input("x", [.batch, 3])
      let w = graph.parameter("w", [3, 2], initializer)
      graph.loss(.squaredError(matmul(x, w), graph.input("t", [.batch, 2])))
    }
  }

  @Test func optimizers() throws {
    let refused: [(any Optimizer, Clipping)] = [
      (SGD(learningRate: -1), .none), (SGD(learningRate: .nan), .none), (SGD(learningRate: .infinity), .none),
      (SGD(learningRate: 0.1, momentum: 1), .none), (Adam(beta1: 1), .none), (Adam(beta2: -0.1), .none),
      (Adam(epsilon: 0), .none), (SGD(learningRate: 0.1), .byValue(-1)), (SGD(learningRate: 0.1), .byValue(.nan)),
      (SGD(learningRate: 0.1), .byNorm(0)),
    ]
    for (optimizer, clipping) in refused {
      #expect(throws: TrainingError.self, "\(optimizer), \(clipping)") {
        _ = try Trainer(
          Self.model(), rule: Backprop(), optimizer: optimizer, clipping: clipping, on: Reference(), seed: 1)
      }
    }
    // What Double holds and Float does not.
    #expect(throws: TrainingError.self) {
      _ = try Trainer(Self.model(), rule: Backprop(), optimizer: SGD(learningRate: 1e39), on: CPU(), seed: 1)
    }
    _ = try Trainer(Self.model(), rule: Backprop(), optimizer: SGD(learningRate: 1e39), on: Reference(), seed: 1)
  }

  /// A number that the backend's rounding makes infinite is refused where it comes in.
  @Test func feeds() throws {
    let feed = Feed(count: 1, ["x": .doubles([1e300, 1, 1]), "t": .doubles([0, 0])])
    _ = try Network(Self.model(), on: Reference(), seed: 1).gradients(Backprop(), on: feed)
    let network = try Network(Self.model(), on: CPU(threads: 1), seed: 1)
    #expect {
      _ = try network.gradients(Backprop(), on: feed)
    } throws: { error in
      "\(error)".contains("x of example 0 holds 1e+300")
    }
    #expect(throws: FeedError.self) { try Feed(count: .max, [:]).check(network.graph) }
  }

  @Test func initializers() async {
    let count = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try Network(UpdateSettingsTests.model(.custom { _, _ in [1] }), on: Reference(), seed: 1)
    }
    let number = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try Network(UpdateSettingsTests.model(.constant(.nan)), on: Reference(), seed: 1)
    }
    for (result, sentence) in [
      (count, "the initializer of w returned 1 values for extents [3, 2]"),
      (number, "the initializer of w returned numbers that are not finite"),
    ] {
      let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      let isSaid = text.contains(sentence) && text.contains("UpdateSettingsTests.swift:")
      #expect(isSaid, "expected “\(sentence)”, observed “\(text.prefix(300))”")
    }
  }

  /// An optimiser's state is not the parameter that bears its name.
  @Test func statesAreNotParameters() throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch, 3])
      let w = graph.parameter("w", [3, 2], .constant(1))
      let c = graph.constant("adam:w:mean", [3, 2], Array(repeating: 7, count: 6))
      graph.loss(.squaredError(matmul(x, w) + matmul(x, c), graph.input("t", [.batch, 2])))
    }
    let trainer = try Trainer(model, rule: Backprop(), optimizer: Adam(), on: Reference(), seed: 1)
    try trainer.train(on: Feed(count: 1, ["x": .doubles([1, 2, 3]), "t": .doubles([0, 0])]))
    #expect(trainer.network.parameter("adam:w:mean").values == Array(repeating: 7, count: 6))
    #expect(trainer.network.parameter("w").values != Array(repeating: 1, count: 6))
  }

  /// A pullback of extents that no broadcasting explains would train on wrong gradients.
  @Test func pullbacksOfOtherExtents() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let model = Model { graph in
        let w = graph.parameter("w", [3], .constant(1))
        let y = graph.apply(Halved(), to: [graph.input("x", [.batch, 3]) * w])
        graph.loss(.squaredError(y, graph.input("t", [.batch, 3])))
      }
      let feed = Feed(count: 1, ["x": .doubles([1, 2, 3]), "t": .doubles([0, 0, 0])])
      _ = try Network(model, on: Reference(), seed: 1).gradients(Backprop(), on: feed)
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    let isSaid = text.contains("halved's pullback to operand 0 has extents [1, 1], which do not sum back to")
    #expect(isSaid, "\(text.prefix(300))")
  }

  private struct Halved: PredictiveCoding.Operation {
    let name = "halved"
    func shape(_ operands: [Shape]) -> Shape { operands[0] }
    func forward(_ operands: [Term], _ emit: Emitter) -> Term { emit.scale(operands[0], by: 0.5) }
    func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
      emit.reduce(.sum, point.message, axes: [1])
    }
  }
}
