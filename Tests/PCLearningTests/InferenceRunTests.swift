import PredictiveCoding
import Testing

@Suite struct InferenceRunTests {
  private static func network(_ model: NamedModel = .branching) throws -> (Network, Feed) {
    let fixture: ModelFixture = try Fixture.read("\(model.rawValue)-digits-cross-entropy")
    return (try fixture.network(on: Reference()), fixture.feed)
  }

  static let rules: [any IterativeRule] = [
    FixedPredictions(steps: 7, rate: 0.3), StandardPredictiveCoding(steps: 7, rate: 0.1),
  ]

  /// Driven by hand, looking at the gradients on the way or not, it is what training runs.
  @Test func handDrivenIsRunAll() throws {
    let (network, feed) = try Self.network()
    for rule in Self.rules {
      let whole = try network.run(rule, on: feed)
      whole.runAll()
      let expected = whole.gradients()
      for looks in [false, true] {
        let run = try network.run(rule, on: feed)
        rule.initialise(run)
        #expect(run.stepCount == 0)
        for step in 1...7 {
          rule.step(run)
          #expect(run.stepCount == step)
          if looks { _ = run.gradients() }
        }
        let relaxation = rule.result(run)
        #expect(relaxation.outcome == .stepLimit)
        #expect(relaxation.steps == 7)
        #expect(run.gradients().byParameter == expected.byParameter, "\(rule.name), looking: \(looks)")
        for vertex in network.graph.vertices {
          #expect(run[vertex.name].message == whole[vertex.name].message, "\(rule.name), \(vertex.name)")
        }
      }
    }
  }

  /// Two runs on one plan do not share their state.
  @Test func runsAreIndependent() throws {
    let (network, feed) = try Self.network()
    for rule in Self.rules {
      let alone = try network.gradients(rule, on: feed)
      let first = try network.run(rule, on: feed)
      rule.initialise(first)
      first.step(3)
      let other = try network.run(
        rule,
        on: Feed(
          count: 4,
          [
            "image": .doubles(Fixture.numbers([4, 64], stream: 77, scale: 2)), "label": .integers([1, 2, 3, 4]),
          ]))
      other.runAll()
      first.step(4)
      #expect(first.gradients().byParameter == alone.byParameter, "\(rule.name)")
      #expect(other.gradients().byParameter != alone.byParameter)
    }
  }

  /// A run starts again, from the same start.
  @Test func initialiseStartsAgain() throws {
    let (network, feed) = try Self.network()
    for rule in Self.rules {
      let run = try network.run(rule, on: feed)
      run.runAll()
      let first = run.gradients()
      run.initialise()
      run.step(7)
      #expect(run.gradients().byParameter == first.byParameter, "\(rule.name)")
    }
  }

  @Test func relaxUntilConverged() throws {
    let (network, feed) = try Self.network()
    for rule in Self.rules {
      let run = try network.run(rule, on: feed, isMonitored: true)
      rule.initialise(run)
      let start = run.finish()
      #expect(start.residual > 1e-3)
      let relaxation = run.relax(until: 1e-6, limit: 10000)
      #expect(relaxation.outcome == .converged, "\(rule.name)")
      #expect(relaxation.residual <= 1e-6)
      #expect(relaxation.steps > 0 && relaxation.steps < 10000)
      // Standard predictive coding descends the energy.
      if rule is StandardPredictiveCoding { #expect(relaxation.energy < start.energy) }
      let short = run.relax(until: 0, limit: relaxation.steps + 3)
      #expect(short.outcome == .stepLimit)
      #expect(short.steps == relaxation.steps + 3)
    }
  }

  @Test func energyFallsInEveryStep() throws {
    let (network, feed) = try Self.network()
    let rule = StandardPredictiveCoding(steps: 30, rate: 0.05)
    let run = try network.run(rule, on: feed, isMonitored: true)
    rule.initialise(run)
    var energy = rule.result(run).energy
    #expect(abs(energy - run.losses().reduce(0, +) / 4) < 1e-12)
    for step in 1...30 {
      rule.step(run)
      let next = rule.result(run).energy
      #expect(next < energy, "step \(step)")
      energy = next
    }
  }

  @Test func divergenceIsReported() throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch])
      let v = graph.vertex("v", .relaxed) { x * graph.parameter("w0", [], .constant(1)) }
      graph.loss(.squaredError(v * graph.parameter("w2", [], .constant(1e5)), graph.input("t", [.batch])))
    }
    let network = try Network(model, on: Reference(), seed: 1)
    let run = try network.run(
      StandardPredictiveCoding(steps: 100, rate: 1), on: Feed(count: 1, ["x": .doubles([1]), "t": .doubles([0])]),
      isMonitored: true)
    run.initialise()
    let relaxation = run.relax(until: 0, limit: 100)
    #expect(relaxation.outcome == .diverged(vertex: "v", step: relaxation.steps))
    #expect(relaxation.steps < 100)
    #expect("\(relaxation)".contains("diverged: v is not finite since step \(relaxation.steps)"))
  }

  // MARK: What a run tells

  /// h = w₁x relaxed, y = w₂h, L = ½(t − y)², for two examples.
  struct Chain {
    var w1 = 0.7
    var w2 = 1.3
    let x = [0.9, -0.5]
    let t = [-0.4, 1.1]
    let feed: Feed

    init() { feed = Feed(count: 2, ["x": .doubles(x), "t": .doubles(t)]) }

    var model: Model {
      Model { graph in
        let input = graph.input("x", [.batch])
        let h = graph.vertex("h", .relaxed) { input * graph.parameter("w1", [], .constant(w1)) }
        graph.loss(.squaredError(h * graph.parameter("w2", [], .constant(w2)), graph.input("t", [.batch])))
      }
    }

    var network: Network { get throws { try Network(model, on: Reference(), seed: 1) } }
    var predictions: [Double] { x.map { w1 * $0 } }
    /// t − y.
    func misses(_ h: [Double]) -> [Double] { zip(t, h).map { $0 - w2 * $1 } }

    /// The two examples' mean of squares.
    static func square(_ numbers: [Double]) -> Double { numbers.reduce(0) { $0 + $1 * $1 } / 2 }
  }

  @Test func stepsOfStandardPredictiveCodingByHand() throws {
    let (chain, rate) = (Chain(), 0.2)
    let run = try chain.network.run(
      StandardPredictiveCoding(steps: 4, rate: rate), on: chain.feed, isMonitored: true)
    var h = chain.predictions
    var count = 0
    run.runAll { step in
      #expect(step.step == count)
      let (errors, misses) = (zip(h, chain.predictions).map(-), chain.misses(h))
      let velocity = zip(errors, misses).map { chain.w2 * $1 - $0 }
      expectClose(step.loss, Chain.square(misses) / 2, "loss, step \(count)")
      expectClose(step["h"].energy, Chain.square(errors) / 2, "energy of h, step \(count)")
      expectClose(step["h"].errorNorm, Chain.square(errors).squareRoot(), "error of h, step \(count)")
      expectClose(step.energy, (Chain.square(errors) + Chain.square(misses)) / 2, "energy, step \(count)")
      expectClose(step.residual, Chain.square(velocity).squareRoot(), "residual, step \(count)")
      expectClose(run["h"].value.values, h, "value, step \(count)")
      expectClose(run["h"].prediction.values, chain.predictions, "prediction, step \(count)")
      expectClose(run["h"].error.values, errors, "error, step \(count)")
      expectClose(run["h"].message.values, errors, "message, step \(count)")
      h = zip(h, velocity).map { $0 + rate * $1 }
      count += 1
    }
    #expect(count == 5)
  }

  @Test func stepsOfFixedPredictionsByHand() throws {
    let (chain, rate) = (Chain(), 0.3)
    let misses = chain.misses(chain.predictions)
    let network = try chain.network
    let run = try network.run(FixedPredictions(steps: 4, rate: rate), on: chain.feed, isMonitored: true)
    var message = [0.0, 0]
    var last: InferenceStep?
    run.runAll { step in
      let count = (last?.step ?? -1) + 1
      #expect(step.step == count)
      expectClose(step.energy, (Chain.square(message) + Chain.square(misses)) / 2, "energy, step \(count)")
      expectClose(step["h"].errorNorm, Chain.square(message).squareRoot(), "error of h, step \(count)")
      expectClose(run["h"].message.values, message, "message, step \(count)")
      expectClose(run["h"].value.values, chain.predictions, "value, step \(count)")
      message = zip(message, misses).map { (1 - rate) * $0 + rate * chain.w2 * $1 }
      last = step
    }
    #expect(last?.step == 4)

    // Rules without steps tell where they end.
    var told: [InferenceStep] = []
    let closed = try network.run(
      FixedPredictions(steps: 4, rate: rate, solver: .closedForm), on: chain.feed, isMonitored: true)
    closed.runAll { told.append($0) }
    #expect(told.count == 1)
    expectClose(told.last?.energy ?? .nan, last?.energy ?? .nan, "energy in closed form")
    expectClose(closed["h"].error.values, run["h"].error.values, "error in closed form")
    let backprop = try network.run(Backprop(), on: chain.feed, isMonitored: true)
    backprop.runAll { told.append($0) }
    #expect(told.count == 2)
    expectClose(told.last?.energy ?? .nan, Chain.square(misses) / 2, "energy under backprop")
    #expect(backprop["h"].error.values == [0, 0])
    expectClose(backprop["h"].message.values, misses.map { chain.w2 * $0 }, "message under backprop")
  }

  /// Being looked at after every step, a run ends where it would.
  @Test func lookingAtEveryStepLeavesNoTrace() throws {
    let fixture: ModelFixture = try Fixture.read("branching-digits-cross-entropy")
    for backend in [Reference(), try CPU()] as [any Backend] {
      let network = try fixture.network(on: backend)
      for rule in Self.rules {
        let whole = try network.run(rule, on: fixture.feed, isMonitored: true)
        whole.runAll()
        let expected = (whole.gradients(), whole.measure())
        let run = try network.run(rule, on: fixture.feed, isMonitored: true)
        var told: [InferenceStep] = []
        run.runAll { told.append($0) }
        #expect(run.gradients().byParameter == expected.0.byParameter, "\(rule.name)")
        #expect(told.last == expected.1, "\(rule.name)")
        #expect(told.map(\.step) == Array(0...7))
      }
    }
  }

  @Test func namesThatAreNotThere() async {
    func says(_ sentence: String, _ result: ExitTest.Result?) {
      let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      #expect(text.contains(sentence), "expected “\(sentence)”, observed “\(text.prefix(400))”")
    }
    let vertex = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let chain = InferenceRunTests.Chain()
      let run = try chain.network.run(Backprop(), on: chain.feed)
      run.runAll()
      _ = run["g"].message
    }
    says("there is no vertex g; there are h, multiply", vertex)
    let parameter = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try InferenceRunTests.Chain().network.parameter("w3")
    }
    says("there is no parameter w3 (did you mean w1?); there are w1, w2", parameter)
    let unmonitored = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let chain = InferenceRunTests.Chain()
      try chain.network.run(Backprop(), on: chain.feed).runAll { _ in }
    }
    says("runAll(each:) needs a run with isMonitored: true", unmonitored)
  }

  // MARK: What training tells

  /// Two steps of SGD by hand, under fixed predictions.
  @Test func trainingStepsByHand() throws {
    var chain = Chain()
    let (rate, learningRate) = (0.25, 0.1)
    let trainer = try Trainer(
      chain.model, rule: FixedPredictions(steps: 2, rate: rate), optimizer: SGD(learningRate: learningRate),
      on: Reference(), seed: 1)
    var inference: [InferenceStep] = []
    var training: [TrainingStep] = []
    var messages: [[Double]] = []
    trainer.onInferenceStep = { step, run in
      inference.append(step)
      messages.append(run["h"].message.values)
    }
    trainer.onTrainingStep = { training.append($0) }
    for step in 1...2 {
      let report = try trainer.train(on: chain.feed)
      let (h, misses) = (chain.predictions, chain.misses(chain.predictions))
      let arrived = [0, rate, 1 - (1 - rate) * (1 - rate)]
      for count in 0...2 {
        let message = misses.map { arrived[count] * chain.w2 * $0 }
        let what = "training step \(step), inference step \(count)"
        expectClose(messages[3 * (step - 1) + count], message, "message, \(what)")
        expectClose(
          inference[3 * (step - 1) + count].energy, (Chain.square(message) + Chain.square(misses)) / 2,
          "energy, \(what)")
        #expect(inference[3 * (step - 1) + count].step == count)
      }
      #expect(inference.count == 3 * step && training.count == step)
      let told = try #require(training.last)
      #expect(told.step == step && told.inference == inference.last)
      #expect(told.loss == report.loss)
      expectClose(told.loss, Chain.square(misses) / 2, "loss, training step \(step)")

      let last = misses.map { arrived[2] * chain.w2 * $0 }
      chain.w1 += learningRate * zip(last, chain.x).reduce(0) { $0 + $1.0 * $1.1 } / 2
      chain.w2 += learningRate * zip(misses, h).reduce(0) { $0 + $1.0 * $1.1 } / 2
      expectClose(trainer.network.parameter("w1").values, [chain.w1], "w1 after step \(step)")
      expectClose(trainer.network.parameter("w2").values, [chain.w2], "w2 after step \(step)")
    }
  }

  /// Dropout draws the same for who watches; parameters are those of a training that nobody watched.
  @Test func watchingChangesNothing() throws {
    let digits = try NamedDataset.digits.load().normalized(.standardised).training
    let model = Model { graph in
      let hidden = Dense("hidden", 16, activation: .tanh)(flatten(graph.input("image", [.batch, 1, 8, 8])))
      graph.loss(
        .crossEntropy(Dense("output", 10)(dropout(hidden, rate: 0.3)), graph.labels("label", classes: 10)))
    }
    for rule in Self.rules {
      var parameters: [[String: Tensor]] = []
      for isWatched in [false, true] {
        let trainer = try Trainer(model, rule: rule, optimizer: Adam(learningRate: 0.01), on: CPU(), seed: 5)
        var steps: [TrainingStep] = []
        var losses: [Double] = []
        if isWatched { trainer.onTrainingStep = { steps.append($0) } }
        _ = try trainer.trainEpoch(1, on: digits, batchSize: 64, maximalUpdates: 5) { losses.append($2.loss) }
        parameters.append(trainer.network.parameters())
        guard isWatched else { continue }
        #expect(steps.map(\.step) == Array(1...5))
        #expect(steps.map(\.loss) == losses)
        // Under fixed predictions the loss stays at the feedforward pass, and what is watched has the same dropout.
        if rule is FixedPredictions {
          for step in steps { expectClose(step.inference.loss, step.loss, within: 1e-6, "\(step.step)") }
        }
      }
      #expect(parameters[0] == parameters[1], "\(rule.name)")
    }
  }

  // MARK: The distance to equilibrium

  /// h = w₁x relaxed, y = w₂h, L = ½(t − y)²: F is quadratic in h, so its equilibrium can be written down.
  @Test(arguments: [5, 10, 20]) func distanceOfALinearChain(steps: Int) throws {
    let (w1, w2, x, t) = (0.7, 1.3, 0.9, -0.4)
    let model = Model { graph in
      let input = graph.input("x", [.batch])
      let h = graph.vertex("h", .relaxed) { input * graph.parameter("w1", [], .constant(w1)) }
      graph.loss(.squaredError(h * graph.parameter("w2", [], .constant(w2)), graph.input("t", [.batch])))
    }
    let network = try Network(model, on: Reference(), seed: 1)
    let run = try network.run(
      StandardPredictiveCoding(steps: steps, rate: 0.05),
      on: Feed(count: 1, ["x": .doubles([x]), "t": .doubles([t])]),
      isMonitored: true)
    run.initialise()
    run.step(steps)
    let reached = run.gradients()
    let relaxation = run.finish(estimatesGradientDistance: true)
    let h = (w1 * x + w2 * t) / (1 + w2 * w2)
    let limit = Gradients(byParameter: [
      "w1": Tensor([], [-(h - w1 * x) * x]), "w2": Tensor([], [-(t - w2 * h) * h]),
    ])
    let exact = reached.distance(to: limit) / limit.norm
    let estimate = try #require(relaxation.gradientDistance)
    #expect(abs(estimate - exact) < 0.35 * exact, "expected \(exact), estimated \(estimate)")
    // The look ahead leaves no trace.
    #expect(run.stepCount == steps)
    #expect(run.gradients().byParameter == reached.byParameter)
    #expect(run.finish().energy == relaxation.energy)
    run.step(3000)
    #expect(run.gradients().distance(to: limit) < 1e-12)
    let settled = try #require(run.finish(estimatesGradientDistance: true).gradientDistance)
    #expect(settled < 1e-12, "at rest the distance is rounding, not infinite")
  }

  /// Fixed predictions have their state in the messages; looking ahead leaves that alone as well.
  @Test func lookingAheadLeavesNoTrace() throws {
    let (network, feed) = try Self.network()
    for rule in Self.rules {
      let run = try network.run(rule, on: feed)
      rule.initialise(run)
      run.step(3)
      let before = run.gradients()
      #expect(run.finish(estimatesGradientDistance: true).gradientDistance != nil)
      #expect(run.gradients().byParameter == before.byParameter, "\(rule.name)")
      run.step(4)
      #expect(run.gradients().byParameter == (try network.gradients(rule, on: feed).byParameter), "\(rule.name)")
    }
  }

  // MARK: Refusals

  /// Settings are checked even where a plan of the same rule is there already.
  @Test func ratesAndStepsAreChecked() throws {
    let (network, feed) = try Self.network()
    _ = try network.gradients(FixedPredictions(steps: 1, rate: 1), on: feed)
    _ = try network.gradients(StandardPredictiveCoding(steps: 1, rate: 1), on: feed)
    for rate in [0, -0.1, 1.0000001, .nan, .infinity] {
      for rule in [
        FixedPredictions(steps: 1, rate: rate), FixedPredictions(steps: 1, rate: rate, solver: .closedForm),
        StandardPredictiveCoding(steps: 1, rate: rate),
      ] as [any Rule] {
        #expect("\(rule.name), \(rate)") { try network.gradients(rule, on: feed) } throws: { error in
          "\(error)".contains("rate h is \(rate)")
        }
      }
    }
    for rule in [FixedPredictions(steps: -1), StandardPredictiveCoding(steps: -1)] as [any Rule] {
      #expect(throws: RuleError.self) { try network.gradients(rule, on: feed) }
    }
  }

  @Test func feedsAreChecked() throws {
    let (network, feed) = try Self.network()
    func refuses(_ sentence: String, _ change: (inout Feed) -> Void) {
      var bad = feed
      change(&bad)
      #expect("\(sentence)") { try network.gradients(Backprop(), on: bad) } throws: { "\($0)".contains(sentence) }
    }
    refuses("no numbers for image") { $0.arrays["image"] = nil }
    refuses("image takes 256 numbers for 4 examples of shape [B, 1, 8, 8], but there are 3") {
      $0.arrays["image"] = .floats([1, 2, 3])
    }
    refuses("label 10 of example 2 is outside 0..<10") { $0.arrays["label"] = .integers([0, 9, 10, 1]) }
    refuses("label -1 of example 0") { $0.arrays["label"] = .integers([-1, 9, 1, 1]) }
    refuses("label takes integer labels") { $0.arrays["label"] = .floats([1, 1, 1, 1]) }
    refuses("image takes real numbers") { $0.arrays["image"] = .integers(Array(repeating: 0, count: 256)) }
    refuses("the batch has no examples") { $0.count = 0 }
    for bad in [Float.nan, .infinity, -.infinity] {
      var numbers = Array(repeating: Float(0.5), count: 256)
      numbers[130] = bad
      refuses("image of example 2 holds \(bad)") { $0.arrays["image"] = .floats(numbers) }
      refuses("image of example 2 holds \(bad)") { $0.arrays["image"] = .doubles(numbers.map(Double.init)) }
    }
    #expect("no such input") { try network.run(Backprop(), on: feed, gradientOf: ["label"]) } throws: { error in
      "\(error)".contains("there is no input label with a gradient")
    }
  }

  /// A gradient that lacks a parameter is zero there.
  @Test func comparison() {
    let ours = Gradients(byParameter: ["a": Tensor([2], [3, 0])])
    let theirs = Gradients(byParameter: ["a": Tensor([2], [3, 0]), "b": Tensor([1], [4])])
    #expect(ours.distance(to: theirs) == 4)
    #expect(theirs.distance(to: ours) == 4)
    #expect(ours.compared(with: theirs).relativeError == 0.8)
    #expect(ours.compared(with: theirs).cosine == 0.6)
    #expect(ours.compared(with: ours).relativeError == 0)
    #expect(Gradients(byParameter: [:]).compared(with: theirs).relativeError == 1)
  }
}
