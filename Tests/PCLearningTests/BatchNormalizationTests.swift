import PredictiveCoding
import Testing

/// Batch normalisation in training and outside of it, against its formulas.
@Suite struct BatchNormalizationTests {
  private static let model = Model { graph in
    let x = graph.input("x", [.batch, 2])
    let y = NormalizationLayer("norm", .batch(momentum: 0.25), epsilon: 0.5)(x)
    graph.loss(.squaredError(graph.vertex("y", .relaxed) { y }, graph.input("t", [.batch, 2])))
  }
  /// Channels (1, 3, 8) and (2, 2, 5): means 4 and 3, variances 26/3 and 2, without bias 13 and 3.
  private static let feed = Feed(
    count: 3, ["x": .doubles([1, 2, 3, 2, 8, 5]), "t": .doubles([0, 0, 0, 0, 0, 0])])

  @Test func runningStatisticsMoveOnceAnUpdateAndServeOutside() throws {
    for backend in [Reference(), try CPU(threads: 2)] as [any Backend] {
      let rules: [any Rule] = [
        Backprop(), FixedPredictions(steps: 3, rate: 0.5), StandardPredictiveCoding(steps: 3, rate: 0.1),
      ]
      for rule in rules {
        let trainer = try Trainer(
          Self.model, rule: rule, optimizer: SGD(learningRate: 0), on: backend, seed: 1)
        func expectStatistics(_ mean: [Double], _ variance: [Double], _ update: Int) {
          let what = "\(backend.name), \(rule.name), update \(update)"
          expectClose(trainer.network.parameter("norm.mean").values, mean, within: 1e-6, "\(what), mean")
          expectClose(trainer.network.parameter("norm.variance").values, variance, within: 1e-6, "\(what), variance")
        }
        try trainer.train(on: Self.feed)
        expectStatistics([1, 0.75], [4, 1.5], 1)
        try trainer.train(on: Self.feed)
        let variance = [6.25, 1.875]
        expectStatistics([1.75, 1.3125], variance, 2)

        // Outside of training each example is on its own.
        var stream = FeedforwardStream(trainer.network)
        let outputs = try stream.outputs(of: Self.feed)
        let numbers: [Double] = [1, 2, 3, 2, 8, 5]
        let mean = [1.75, 1.3125]
        let expected = numbers.indices.map { index in
          let channel = index % 2
          return (numbers[index] - mean[channel]) / (variance[channel] + 0.5).squareRoot()
        }
        expectClose(outputs, expected, within: 1e-6, "\(backend.name), \(rule.name), outside")
      }
    }
  }

  private struct Trajectory: Decodable {
    /// After each update: the kernel, scale, shift, running mean and variance.
    var trajectory: [[Double]]
    /// The output on the first batch, outside of training.
    var outside: [Double]
  }

  @Test func threeUpdatesAreThoseOfPyTorch() throws {
    let expected: Trajectory = try Fixture.read("batch-normalisation")
    let model = Model { graph in
      let x = graph.input("x", [.batch, 2, 4, 4])
      let convolved = Convolution2D(
        "conv", filters: 3, kernel: 3, padding: 1, bias: false,
        initializer: .values(Fixture.numbers([3, 2, 3, 3], stream: 1, scale: 0.5)))(x)
      let y = NormalizationLayer("norm", .batch(momentum: 0.3), epsilon: 1e-3, activation: .relu)(convolved)
      graph.loss(.squaredError(y, graph.input("t", [.batch, 3, 4, 4])))
    }
    func feed(_ update: Int) -> Feed {
      Feed(
        count: 4,
        [
          "x": .doubles(Fixture.numbers([4, 2, 4, 4], stream: 10 + update, scale: 2)),
          "t": .doubles(Fixture.numbers([4, 3, 4, 4], stream: 20 + update, scale: 1)),
        ])
    }
    for (backend, tolerance) in [(Reference(), 1e-12), (try CPU(threads: 2), 1e-5)] as [(any Backend, Double)] {
      // With h = 1 the messages have arrived when T is the depth.
      let rules: [any Rule] = [Backprop(), FixedPredictions(steps: 3, rate: 1)]
      for rule in rules {
        let trainer = try Trainer(
          model, rule: rule, optimizer: SGD(learningRate: 0.01), reduction: .sum, on: backend, seed: 1)
        let scale = Fixture.numbers([3], stream: 2, scale: 0.5)
        let shift = Fixture.numbers([3], stream: 3, scale: 0.5)
        trainer.network.setParameter("norm.scale", to: Tensor([3, 1, 1], scale.map { 1 + $0 }))
        trainer.network.setParameter("norm.shift", to: Tensor([3, 1, 1], shift))
        for (update, numbers) in expected.trajectory.enumerated() {
          try trainer.train(on: feed(update))
          let observed = ["conv.weight", "norm.scale", "norm.shift", "norm.mean", "norm.variance"].flatMap {
            trainer.network.parameter($0).values
          }
          expectClose(observed, numbers, within: tolerance, "\(backend.name), \(rule.name), update \(update + 1)")
        }
        var stream = FeedforwardStream(trainer.network)
        expectClose(
          try stream.outputs(of: feed(0)), expected.outside, within: tolerance,
          "\(backend.name), \(rule.name), outside")
      }
    }
  }

  /// In training the loss sees the batch's statistics, and a checkpoint keeps the running ones.
  @Test func trainingLossAndCheckpoint() throws {
    let trainer = try Trainer(
      Self.model, rule: Backprop(), optimizer: SGD(learningRate: 0.1), reduction: .sum, on: Reference(), seed: 1)
    let report = try trainer.train(on: Self.feed)
    // ½ Σ y² = ½ Σ_c n σ² / (σ² + ε)
    let variances: [Double] = [26.0 / 3, 2]
    expectClose(report.totalLoss, variances.reduce(0) { $0 + 1.5 * $1 / ($1 + 0.5) }, "loss")
    let again = try Trainer(
      Self.model, rule: Backprop(), optimizer: SGD(learningRate: 0.1), reduction: .sum, on: Reference(), seed: 1)
    try again.restore(trainer.checkpoint())
    #expect(again.network.parameters() == trainer.network.parameters())
  }
}
