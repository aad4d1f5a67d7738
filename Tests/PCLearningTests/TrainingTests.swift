import PredictiveCoding
import Testing

/// A dense layer that both the fixtures and these tests can write down: y = tanh(x·w + b), squared error.
private func fixtureModel() -> Model {
  Model { graph in
    let x = graph.input("x", [.batch, 3])
    let w = graph.parameter("w", [3, 2], .values(Fixture.numbers([3, 2], stream: 3, scale: 1)))
    let b = graph.parameter("b", [2], .values(Fixture.numbers([2], stream: 4, scale: 1)))
    let y = graph.vertex("y") { tanh(matmul(x, w) + b) }
    graph.loss(.squaredError(y, graph.input("t", [.batch, 2])))
  }
}

private let fixtureFeed = Feed(
  count: 4,
  [
    "x": .doubles(Fixture.numbers([4, 3], stream: 1, scale: 1)),
    "t": .doubles(Fixture.numbers([4, 2], stream: 2, scale: 3)),
  ])

@Suite struct OptimizerTests {
  static let optimizers: [String: any Optimizer] = [
    "sgd": SGD(learningRate: 0.1), "momentum": SGD(learningRate: 0.05, momentum: 0.9),
    "adam": Adam(learningRate: 0.03, beta1: 0.8, beta2: 0.95, epsilon: 1e-3),
    "nesterov": SGD(learningRate: 0.05, momentum: 0.9, isNesterov: true),
    "rmsprop": RMSprop(learningRate: 0.02, decay: 0.9, epsilon: 1e-3),
    "adamw": Adam(learningRate: 0.03, beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.2),
  ]
  static let clippings: [String: Clipping] = ["none": .none, "value": .byValue(0.4), "norm": .byNorm(0.5)]

  /// Six updates by every optimiser, clipping and reduction, as PyTorch makes them.
  @Test func trajectoriesAgreeWithPyTorch() throws {
    let fixtures: [OptimizerFixture] = try Fixture.read("optimizers")
    #expect(fixtures.count == 36)
    for fixture in fixtures {
      let what = "\(fixture.optimizer), clipping \(fixture.clipping), \(fixture.reduction)"
      let optimizer = try #require(Self.optimizers[fixture.optimizer], "\(what)")
      let clipping = try #require(Self.clippings[fixture.clipping], "\(what)")
      let reduction = try #require(GradientReduction(rawValue: fixture.reduction), "\(what)")
      let backends: [(any Backend, Double)] = [(Reference(), 1e-12), (try CPU(threads: 1), 2e-6)]
      for (backend, tolerance) in backends {
        let trainer = try Trainer(
          fixtureModel(), rule: Backprop(), optimizer: optimizer, clipping: clipping, reduction: reduction,
          on: backend,
          seed: 1)
        for (update, expected) in fixture.trajectory.enumerated() {
          try trainer.train(on: fixtureFeed)
          let observed = trainer.network.parameter("w").values + trainer.network.parameter("b").values
          expectClose(observed, expected, within: tolerance, "\(what), \(backend.name), update \(update + 1)")
        }
        #expect(trainer.updateCount == 6)
      }
    }
  }

  /// The learning rate may change between updates; a gradient of length 0 is not scaled.
  @Test func learningRateMayChange() throws {
    let trainer = try Trainer(
      fixtureModel(), rule: Backprop(), optimizer: SGD(learningRate: 1), clipping: .byNorm(1), on: Reference(),
      seed: 1)
    let before = trainer.network.parameter("w").values
    trainer.optimizer.learningRate = 0
    try trainer.train(on: fixtureFeed)
    #expect(trainer.network.parameter("w").values == before)
    trainer.optimizer.learningRate = 1
    try trainer.train(on: fixtureFeed)
    let moved = zip(trainer.network.parameter("w").values, before).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    #expect(moved > 0 && moved <= 1 + 1e-12)
  }

  /// Groups, schedule, decay and average together, as PyTorch makes them; a frozen parameter stays, bit for bit.
  @Test func groupsScheduleAndAverageAgreeWithPyTorch() throws {
    struct TrainingFixture: Decodable {
      var trajectory: [[Double]]
      var averages: [[Double]]
    }
    let fixture: TrainingFixture = try Fixture.read("grouped-training")
    let base = Adam(learningRate: 0.03, beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.2)
    let bias = ParameterGroup("b", learningRateFactor: 0.1, weightDecay: 0)
    let backends: [(any Backend, Double)] = [(Reference(), 1e-12), (try CPU(threads: 1), 2e-6)]
    for (backend, tolerance) in backends {
      func trainer(_ groups: [ParameterGroup]) throws -> Trainer {
        let trainer = try Trainer(
          fixtureModel(), rule: Backprop(),
          optimizer: AveragingOptimizer(GroupedOptimizer(base, groups), decay: 0.7), reduction: .sum, on: backend,
          seed: 1)
        trainer.schedule = WarmUp(updates: 2, then: CosineDecay(updates: 4))
        return trainer
      }
      func numbers(_ parameters: [String: Tensor]) -> [Double] {
        (parameters["w"]?.values ?? []) + (parameters["b"]?.values ?? [])
      }
      let whole = try trainer([bias])
      for update in fixture.trajectory.indices {
        try whole.train(on: fixtureFeed)
        let what = "\(backend.name), update \(update + 1)"
        expectClose(numbers(whole.network.parameters()), fixture.trajectory[update], within: tolerance, what)
        expectClose(numbers(try whole.averagedParameters()), fixture.averages[update], within: tolerance, what)
      }
      // From a checkpoint, the same bits; inside, the averages stand in.
      let first = try trainer([bias])
      for _ in 0..<3 { try first.train(on: fixtureFeed) }
      let second = try trainer([bias])
      try second.restore(first.checkpoint())
      for _ in 0..<3 { try second.train(on: fixtureFeed) }
      #expect(second.network.parameters() == whole.network.parameters())
      #expect(try second.averagedParameters() == whole.averagedParameters())
      let averages = try second.averagedParameters()
      // What evaluates and predicts takes them from the file: matrices as well as vectors.
      #expect(try second.network.averagedParameters(among: second.checkpoint().arrays) == averages)
      #expect(averages.values.contains { $0.extents.count > 1 })
      #expect(try second.withAveragedParameters { second.network.parameters() } == averages)
      #expect(second.network.parameters() == whole.network.parameters())
      let other = try trainer([])
      #expect(throws: CheckpointError.self) { try other.restore(first.checkpoint()) }

      let frozen = try trainer([ParameterGroup("b*", learningRateFactor: 0)])
      let before = frozen.network.parameters()
      try frozen.train(on: fixtureFeed)
      #expect(frozen.network.parameter("b") == before["b"])
      #expect(frozen.network.parameter("w") != before["w"])
    }
  }

  /// The gradients of two halves together are the gradient of the whole batch, clipped or not, stopped in between or not.
  @Test func accumulatedHalvesAreTheWhole() throws {
    let (x, t) = (Fixture.numbers([4, 3], stream: 1, scale: 1), Fixture.numbers([4, 2], stream: 2, scale: 3))
    let halves = [0, 1].map { half in
      Feed(
        count: 2,
        ["x": .doubles(Array(x[(half * 6)..<(half * 6 + 6)])), "t": .doubles(Array(t[(half * 4)..<(half * 4 + 4)]))])
    }
    for clipping in Self.clippings.values {
      for reduction in [GradientReduction.sum, .meanOverExamples] {
        func trainer(_ accumulation: Int) throws -> Trainer {
          try Trainer(
            fixtureModel(), rule: Backprop(), optimizer: Adam(learningRate: 0.03), clipping: clipping,
            reduction: reduction, accumulation: accumulation, on: Reference(), seed: 1)
        }
        let whole = try trainer(1)
        var halved = try trainer(2)
        for update in 1...5 {
          try whole.train(on: fixtureFeed)
          try halved.train(on: halves[0])
          let checkpoint = try halved.checkpoint()
          halved = try trainer(2)
          try halved.restore(checkpoint)
          try halved.train(on: halves[1])
          for name in ["w", "b"] {
            expectClose(
              halved.network.parameter(name).values, whole.network.parameter(name).values, within: 1e-12,
              "\(name), \(clipping), \(reduction), update \(update)")
          }
        }
      }
    }
    #expect(throws: TrainingError.self) {
      try Trainer(
        fixtureModel(), rule: Backprop(), optimizer: Adam(), accumulation: 0, on: Reference(), seed: 1)
    }
  }

  @Test func schedulesAgreeWithPyTorch() throws {
    let fixture: [String: [Double]] = try Fixture.read("schedules")
    let schedules: [String: any LearningRateSchedule] = [
      "step": StepDecay(interval: 7, factor: 0.3), "cosine": CosineDecay(updates: 23, floor: 0.05),
      "one-cycle": OneCycle(updates: 24), "warm-up": WarmUp(updates: 5, then: StepDecay(interval: 7, factor: 0.3)),
    ]
    for (name, schedule) in schedules {
      let expected = try #require(fixture[name], "\(name)")
      #expect(expected.count >= 23)
      for (update, factor) in expected.enumerated() {
        let observed = schedule.factor(after: update)
        #expect(abs(observed - factor) < 1e-12, "\(name), update \(update): \(observed), not \(factor)")
      }
    }
    var plateau = Plateau(decay: 0.5, patience: 2)
    for (loss, factor) in zip(try #require(fixture["losses"]), try #require(fixture["plateau"])) {
      plateau.observe(loss)
      #expect(plateau.factor == factor, "after \(loss)")
    }
    // Where a run ends its schedule stays.
    #expect(CosineDecay(updates: 5, floor: 0.25).factor(after: 99) == 0.25)
    #expect(abs(OneCycle(updates: 5).factor(after: 99) - 4e-6) < 1e-15)
  }

  @Test func patterns() {
    for (pattern, name, isMatch) in [
      ("*.bias", "conv1.bias", true), ("*.bias", "conv1.weight", false), ("conv*", "conv1.bias", true),
      ("block*/conv*.weight", "block1/conv2.weight", true), ("block*/conv*.weight", "block1/norm.weight", false),
      ("*", "anything", true), ("output.bias", "output.bias", true), ("output", "output.bias", false),
      ("ab*ba", "aba", false), ("a*b*a", "aba", true),
    ] {
      #expect(ParameterGroup(pattern).contains(name) == isMatch, "\(pattern), \(name)")
    }
  }

  @Test func topHitsCountWhatIsAbove() {
    // Row 1: label 2 is second; row 2: three equal scores, the label is the last of them.
    let scores = [0.1, 0.7, 0.5, 0.0, 1, 1, 1, 0]
    #expect((1...4).map { topHits(scores: scores, labels: [2, 2], k: $0) } == [0, 1, 2, 2])
    let uniform = Evaluation(loss: 2, accuracy: 0, lossPerLabel: 1.9459101490553132)
    #expect(abs(uniform.perplexity - 7) < 1e-12)
  }

  @Test func aFlatLossMovesNothing() throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch])
      graph.loss(.squaredError(x * graph.parameter("w", [], .constant(1)), graph.input("t", [.batch])))
    }
    // A weight decay moves on its own.
    for (name, optimizer) in Self.optimizers where name != "adamw" {
      let trainer = try Trainer(
        model, rule: Backprop(), optimizer: optimizer, clipping: .byNorm(1), on: Reference(), seed: 1)
      try trainer.train(on: Feed(count: 1, ["x": .doubles([2]), "t": .doubles([2])]))
      #expect(trainer.network.parameter("w").values == [1], "\(optimizer.name)")
    }
  }
}

@Suite struct TrainerTests {
  private static let task = ImageTask(inputShape: [1, 2, 2], classes: 3)

  private static func data(_ count: Int) throws -> Dataset {
    let inputs = (0..<count).map { k in Fixture.numbers([4], stream: 50 + k, scale: 1).map(Float.init) }
    return try Dataset(
      name: "made up", inputs: inputs.flatMap { $0 }, labels: (0..<count).map { Int32($0 % 3) },
      inputShape: [1, 2, 2],
      classes: 3)
  }

  static let rules: [any Rule] = [
    Backprop(), FixedPredictions(steps: 10, rate: 0.3), FixedPredictions(steps: 10, solver: .closedForm),
    FixedPredictions(solver: .equilibrium), StandardPredictiveCoding(steps: 5),
  ]

  /// Ten examples in batches of four are three updates; the smaller last one counts its own examples.
  @Test func partialLastBatch() throws {
    let data = try Self.data(10)
    for rule in Self.rules {
      let trainer = try Trainer(
        Model.mlp(Self.task, hidden: [5]), rule: rule, optimizer: SGD(learningRate: 0.1), on: Reference(), seed: 3)
      var sizes: [Int] = []
      let report = try trainer.trainEpoch(1, on: data, batchSize: 4) { number, count, batch in
        #expect(count == 3)
        #expect(number == sizes.count + 1)
        sizes.append(batch.examples)
      }
      #expect(sizes == [4, 4, 2])
      #expect(report.examples == 10)
      #expect(report.labelled == 10)
      #expect(report.stepSeconds.count == 3)
      #expect(trainer.updateCount == 3)
    }
  }

  /// A partial batch gives the gradient of its examples: that of the whole is the sum of both parts'.
  @Test func gradientsOfPartsAddUp() throws {
    let data = try Self.data(7)
    for rule in Self.rules {
      let network = try Network(Model.mlp(Self.task, hidden: [5]), on: Reference(), seed: 3)
      let parts = try [0..<7, 0..<4, 4..<7].map { range in
        try network.gradients(rule, on: Feed(data.batch(range), for: network.graph))
      }
      for name in parts[0].byParameter.keys {
        let sum = zip(parts[1][numbers: name], parts[2][numbers: name]).map(+)
        expectClose(sum, parts[0][numbers: name], "\(rule.name), \(name)")
      }
    }
  }

  @Test func maximalUpdatesEndThePass() throws {
    let trainer = try Trainer(
      Model.mlp(Self.task, hidden: [5]), rule: Backprop(), optimizer: SGD(learningRate: 0.1), on: Reference(), seed: 3
    )
    #expect(try trainer.trainEpoch(1, on: Self.data(10), batchSize: 3, maximalUpdates: 2).examples == 6)
  }

  /// The same seed gives the same bits, on every backend and number of threads; another seed does not.
  @Test func seedsDecideEverything() throws {
    let data = try Self.data(40)
    func parameters(seed: UInt64, on backend: any Backend, _ rule: any Rule) throws -> [String: Tensor] {
      let trainer = try Trainer(
        Model.mlp(Self.task, hidden: [9]), rule: rule, optimizer: Adam(learningRate: 0.01), on: backend, seed: seed)
      for epoch in 1...2 { _ = try trainer.trainEpoch(epoch, on: data, batchSize: 18) }
      return trainer.network.parameters()
    }
    for rule in Self.rules {
      let reference = try parameters(seed: 5, on: Reference(), rule)
      #expect(try parameters(seed: 5, on: Reference(), rule) == reference, "\(rule.name)")
      #expect(try parameters(seed: 6, on: Reference(), rule) != reference, "\(rule.name)")
      let one = try parameters(seed: 5, on: CPU(threads: 1), rule)
      for threads in 1...3 {
        #expect(try parameters(seed: 5, on: CPU(threads: threads), rule) == one, "\(rule.name), \(threads) threads")
      }
    }
  }

  /// Loss and accuracy by hand: logits are the pixels themselves.
  @Test func evaluation() throws {
    let model = Model { graph in
      let image = graph.input("image", [.batch, 3, 1, 1])
      let label = graph.labels("label", classes: 3)
      let scale = graph.parameter("scale", [], .constant(1))
      graph.loss(.squaredError(image.flattened() * scale, label), weight: 2)
    }
    let network = try Network(model, on: Reference(), seed: 1)
    let data = try Dataset(
      name: "made up", inputs: [1, 0, 0, 0, 0.5, 1, 0, 0, 2], labels: [0, 1, 2], inputShape: [3, 1, 1], classes: 3)
    for batchSize in 1...4 {
      let evaluation = try network.evaluate(data, batchSize: batchSize)
      #expect(evaluation.accuracy == 2.0 / 3)
      // 2 · ½ · (0 + (0.25 + 1) + 1), over three.
      #expect(abs(evaluation.loss - 2.25 / 3) < 1e-15)
    }
  }

  /// Plain descent lets large weights take their gradient as it is made; they move as far as a plan that keeps it says.
  @Test(arguments: [1, 3, 20]) func updatesWithoutKeptGradients(batch: Int) throws {
    let model = try Model.mlp(ImageTask(inputShape: [1, 12, 12], classes: 5), hidden: [150, 160])
    let feed = Feed(
      count: batch,
      [
        "image": .doubles(Fixture.numbers([batch, 144], stream: 7, scale: 1)),
        "label": .integers((0..<batch).map { Int32($0 % 5) }),
      ])
    let backends: [(any Backend, Double)] = [(Reference(), 1e-12), (try CPU(threads: 2, leastShared: 0), 1e-5)]
    for (backend, tolerance) in backends {
      for rule in Self.rules {
        let trainer = try Trainer(model, rule: rule, optimizer: SGD(learningRate: 0.5), on: backend, seed: 3)
        let before = trainer.network.parameters()
        let gradients = try trainer.network.gradients(rule, on: feed)
        let profile = try trainer.profile(on: feed)
        let after = trainer.network.parameters()
        for (name, gradient) in gradients.byParameter {
          let moved = zip(after[name]?.values ?? [], before[name]?.values ?? []).map { $0 - $1 }
          expectClose(
            moved, gradient.values.map { -0.5 / Double(batch) * $0 }, within: tolerance, "\(rule.name), \(name)")
        }
        let updates = profile?.calls.filter { $0.section == "update" && $0.operation == "identity" } ?? []
        #expect(!updates.contains { $0.vertex == "hidden1.weight" }, "\(rule.name)")
      }
    }
  }

  // MARK: Divergence

  /// A gradient that overflows, though loss and messages do not: the parameters stay.
  @Test func divergenceOfAGradientThatIsNotKept() throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch, 128])
      let y = graph.vertex("y") { matmul(x, graph.parameter("w", [128, 128], .constant(0))) }
      graph.loss(.squaredError(y, graph.input("t", [.batch, 128])))
    }
    let trainer = try Trainer(
      model, rule: Backprop(), optimizer: SGD(learningRate: 0.1), on: CPU(threads: 1), seed: 1)
    func feed(_ x: Double, _ t: Double) -> Feed {
      Feed(
        count: 2,
        ["x": .doubles(Array(repeating: x, count: 256)), "t": .doubles(Array(repeating: t, count: 256))])
    }
    let report = try trainer.train(on: feed(1, 0))
    #expect(report.totalLoss == 0)
    #expect { try trainer.train(on: feed(1e30, 1e15)) } throws: { error in
      if case .diverged? = error as? TrainingError { true } else { false }
    }
    #expect(trainer.network.parameter("w").values.allSatisfy { $0 == 0 })
  }

  /// A value that overflows in the feedforward pass: the vertex is named and the parameters stay.
  @Test func divergenceInTheFeedforwardPass() throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch])
      let hidden = graph.vertex("hidden") { x * graph.parameter("w", [], .constant(1)) }
      let big = graph.vertex("big", .relaxed) { exp(hidden) }
      graph.loss(.squaredError(big * graph.parameter("u", [], .constant(1)), graph.input("t", [.batch])))
    }
    let backends: [any Backend] = [Reference(), try CPU(threads: 1)]
    for backend in backends {
      for rule in [Backprop(), FixedPredictions(steps: 3)] as [any Rule] {
        let trainer = try Trainer(model, rule: rule, optimizer: Adam(), on: backend, seed: 1)
        try trainer.train(on: Feed(count: 2, ["x": .doubles([1, 1]), "t": .doubles([0, 0])]))
        let before = trainer.network.parameters()
        #expect {
          try trainer.train(on: Feed(count: 2, ["x": .doubles([1, 1000]), "t": .doubles([0, 0])]))
        } throws: { error in
          guard case .diverged("big", 0, 2, 0.001, nil)? = error as? TrainingError else { return false }
          return "\(error)".contains("big is not finite in the feedforward pass of update 2; lower the learning rate")
        }
        #expect(trainer.network.parameters() == before)
        #expect(trainer.updateCount == 1)
      }
    }
  }

  /// Inference that overflows: vertex, step and rate are named.
  @Test func divergenceInInference() throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch])
      var v = graph.vertex("first", .relaxed) { x * graph.parameter("w0", [], .constant(1)) }
      v = graph.vertex("second", .relaxed) { v * graph.parameter("w1", [], .constant(100)) }
      graph.loss(.squaredError(v * graph.parameter("w2", [], .constant(100)), graph.input("t", [.batch])))
    }
    let trainer = try Trainer(
      model, rule: StandardPredictiveCoding(steps: 400, rate: 1), optimizer: SGD(learningRate: 0.1), on: Reference(),
      seed: 1)
    let before = trainer.network.parameters()
    #expect {
      try trainer.train(on: Feed(count: 1, ["x": .doubles([1]), "t": .doubles([0])]))
    } throws: { error in
      guard case .diverged(let vertex, let step, 1, 0.1, 1)? = error as? TrainingError else { return false }
      return ["first", "second"].contains(vertex) && (2..<400).contains(step)
        && "\(error)".contains("in step \(step) of inference of update 1; lower the rate (1.0)")
    }
    #expect(trainer.network.parameters() == before)
  }
}

@Suite struct DrawingTests {
  /// A parameter's first values depend on its path and the seed, not on what else there is.
  @Test func pathsDecide() throws {
    func parameters(_ seed: UInt64, _ build: (GraphBuilder, Value) -> Void) throws -> [String: Tensor] {
      let model = Model { graph in build(graph, graph.input("x", [.batch, 3])) }
      return try Network(model, on: Reference(), seed: seed).parameters()
    }
    let one = try parameters(7) { graph, x in _ = Dense("a", 4)(x) }
    let two = try parameters(7) { graph, x in
      _ = Dense("b", 4)(x)
      _ = graph.scope("inner") { Dense("a", 4)(Dense("a2", 3)(x)) }
      _ = Dense("a", 4)(x)
    }
    #expect(one["a.weight"] == two["a.weight"])
    #expect(two["b.weight"] != two["a.weight"])
    #expect(two["inner/a.weight"] != two["a.weight"])
    #expect(try parameters(8) { _, x in _ = Dense("a", 4)(x) }["a.weight"] != one["a.weight"])
  }

  @Test(arguments: [[6, 6], [3, 8], [8, 3], [4, 2, 3, 3], [30, 2, 3, 3], [5, 1]])
  func orthogonal(extents: [Int]) {
    let gain = 1.5
    let values = Initializer.orthogonal(gain: gain).draw(extents, from: RandomStream(seed: 3, "test"))
    let (rows, columns) = (extents[0], values.count / extents[0])
    // Rows or columns, whichever are fewer, are orthogonal and of length `gain`.
    let vectors =
      rows <= columns
      ? (0..<rows).map { r in (0..<columns).map { values[r * columns + $0] } }
      : (0..<columns).map { c in (0..<rows).map { values[$0 * columns + c] } }
    for (i, a) in vectors.enumerated() {
      for (j, b) in vectors.enumerated() {
        let product = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(product - (i == j ? gain * gain : 0)) < 1e-13, "\(extents), rows \(i) and \(j)")
      }
    }
  }

  /// Moments of 60,000 numbers, within five standard errors.
  struct Moments: Sendable {
    var initializer: Initializer
    var extents: [Int] = [200, 300]
    var mean = 0.0
    var variance: Double
  }

  @Test(arguments: [
    Moments(initializer: .normal(mean: 0.5, standardDeviation: 0.05), mean: 0.5, variance: 0.0025),
    Moments(initializer: .uniform(-1...3), mean: 1, variance: 16.0 / 12),
    Moments(initializer: .glorot, variance: 2.0 / 500),
    Moments(initializer: .he, variance: 2.0 / 200),
    Moments(initializer: .he, extents: [80, 30, 5, 5], variance: 2.0 / 750),
    Moments(initializer: .glorot, extents: [80, 30, 5, 5], variance: 2.0 / 2750),
  ])
  func moments(expected: Moments) {
    let values = expected.initializer.draw(expected.extents, from: RandomStream(seed: 4, "test"))
    let count = Double(values.count)
    let deviation = expected.variance.squareRoot()
    #expect(values.count == 60000)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
    #expect(abs(mean - expected.mean) < 5 * deviation / count.squareRoot(), "\(expected)")
    // The standard error of a normal sample's deviation is σ/√2n, a uniform one's is smaller.
    #expect(abs(variance.squareRoot() - deviation) < 5 * deviation / (2 * count).squareRoot(), "\(expected)")
  }

  @Test func givenValues() {
    let stream = RandomStream(seed: 1, "test")
    #expect(Initializer.zeros.draw([2, 2], from: stream) == [0, 0, 0, 0])
    #expect(Initializer.constant(3).draw([2], from: stream) == [3, 3])
    #expect(Initializer.values([1, 2]).draw([2], from: stream) == [1, 2])
    let custom = Initializer.custom { extents, uniform in (0..<extents[0]).map { _ in 1 + uniform() } }
    #expect(custom.draw([3], from: stream).allSatisfy { (1..<2).contains($0) })
  }
}
