import PredictiveCoding
import Testing

/// State carried from window to window, sequences of any length, and dropout.
@Suite struct SequenceTests {
  static func cell(_ kind: String) -> any RecurrentCell {
    switch kind {
    case "rnn": RNN("cell", 4)
    case "gru": GRU("cell", 4)
    case "projected": LSTM("cell", 4, projection: 3)
    default: LSTM("cell", 4, granularity: kind == "lstm by step" ? .step : .gates)
    }
  }

  static func model(_ kind: String, isCarried: Bool) -> Model {
    Model(length: 6) { graph, length in
      let x = graph.input("x", [.batch, .fixed(length), 2])
      let target = graph.input("target", [.batch, .fixed(length), 3])
      let outputs = cell(kind).callAsFunction(x, isCarried: isCarried).stacked()
      graph.loss(.squaredError(Dense("readout", 3)(outputs), target))
    }
  }

  /// Steps `range` of two sequences of six.
  static func feed(_ range: Range<Int>, continues: Bool = false) -> Feed {
    func part(_ width: Int, _ stream: Int) -> Feed.Numbers {
      let all = Fixture.numbers([2, 6, width], stream: stream, scale: 1)
      return .doubles(
        (0..<2).flatMap { all[(($0 * 6 + range.lowerBound) * width)..<(($0 * 6 + range.upperBound) * width)] })
    }
    var feed = Feed(count: 2, ["x": part(2, 1), "target": part(3, 2)])
    feed.length = range.count
    feed.continuesStream = continues
    return feed
  }

  @Test(arguments: ["rnn", "gru", "lstm", "lstm by step", "projected"])
  func carriedStateEqualsOneLongSequence(_ kind: String) throws {
    let network = try Network(Self.model(kind, isCarried: true), on: Reference(), seed: 5)
    let plain = try Network(Self.model(kind, isCarried: false), on: Reference(), seed: 5)
    var whole = FeedforwardStream(plain)
    let expected = try whole.outputs(of: Self.feed(0..<6))
    var stream = FeedforwardStream(network)
    var observed: [[Double]] = [[], []]
    for (start, end) in [(0, 2), (2, 3), (3, 6)] {
      let outputs = try stream.outputs(of: Self.feed(start..<end, continues: start > 0))
      let each = outputs.count / 2
      for example in 0..<2 { observed[example] += outputs[(example * each)..<((example + 1) * each)] }
    }
    expectClose(observed.flatMap { $0 }, expected, within: 1e-14, kind)
    // A stream that starts anew forgets.
    let again = try stream.outputs(of: Self.feed(0..<2))
    expectClose(again[0..<3] + [], expected[0..<3] + [], within: 1e-14, "\(kind), a new stream")
    let loss = try network.evaluate(
      FeedSequence(count: 3) { Self.feed(($0 * 2)..<($0 * 2 + 2), continues: $0 > 0) }
    ).loss
    expectClose([loss * 3], [try plain.meanLoss(on: Self.feed(0..<6))], within: 1e-13, "\(kind), loss")
  }

  /// A window that carries on has the gradient of its own loss alone, with the state before it held: by finite
  /// differences of the feedforward loss, and alike by every rule that should give backprop's.
  @Test(arguments: ["rnn", "lstm", "projected"]) func carriedStateIsHeld(_ kind: String) throws {
    let trainer = try Trainer(
      Self.model(kind, isCarried: true), rule: Backprop(), optimizer: SGD(learningRate: 0.1), reduction: .sum,
      on: Reference(), seed: 5)
    try trainer.train(on: Self.feed(0..<2))
    let network = trainer.network
    let before = network.parameters()
    let states = try trainer.checkpoint().arrays.filter { $0.name.hasPrefix("carried/") }
    #expect(states.count == network.graph.inputs.count { $0.name.contains("carried") })
    try trainer.train(on: Self.feed(2..<5, continues: true))
    var held = Self.feed(2..<5)
    for state in states {
      held.arrays[String(state.name.dropFirst("carried/".count))] = .doubles(state.values.doubles)
    }
    let after = network.parameters()
    for (name, value) in before { network.setParameter(name, to: value) }
    for (name, value) in before {
      for element in [0, value.values.count - 1] {
        func loss(_ shift: Double) throws -> Double {
          var moved = value
          moved.values[element] += shift
          network.setParameter(name, to: moved)
          defer { network.setParameter(name, to: value) }
          return try network.meanLoss(on: held) * 2
        }
        let slope = try (loss(1e-5) - loss(-1e-5)) / 2e-5
        let update = ((after[name]?.values[element] ?? .nan) - value.values[element]) / -0.1
        expectClose([update], [slope], within: 1e-8, "\(kind), \(name)[\(element)]")
      }
    }
    let exact = try network.gradients(Backprop(), on: held)
    let equilibrium = try network.gradients(
      FixedPredictions(steps: 200, rate: 0.5, order: .timeReversed), on: held)
    #expect(equilibrium.compared(with: exact).relativeError < 1e-12)
  }

  @Test func lengthsAreChecked() throws {
    let network = try Network(Self.model("rnn", isCarried: false), on: Reference(), seed: 5)
    var feed = Self.feed(0..<3)
    feed.length = 4
    #expect(throws: FeedError.self) { try network.gradients(Backprop(), on: feed) }
    feed.length = 0
    #expect(throws: FeedError.self) { try network.gradients(Backprop(), on: feed) }
    let fixed = try Network(Model(network.graph), on: Reference(), seed: 5)
    #expect(throws: FeedError.self) { try fixed.gradients(Backprop(), on: Self.feed(0..<3)) }
  }

  // MARK: Dropout

  static func dropoutModel() -> Model {
    Model { graph in
      let x = graph.input("x", [.batch, 1000])
      let dropped = dropout(x, rate: 0.25)
      let twice = dropout(dropped, rate: 0.5)
      let w = graph.parameter("w", [1000], .constant(1))
      graph.loss(.squaredError(graph.vertex("y", .relaxed) { twice * w }, graph.input("t", [.batch, 1000])))
    }
  }

  static func dropoutFeed(_ indices: [Int], _ noise: Feed.Noise?) -> Feed {
    let count = indices.count * 1000
    var feed = Feed(
      count: indices.count,
      ["x": .floats(Array(repeating: 1, count: count)), "t": .floats(Array(repeating: 0, count: count))])
    feed.exampleIndices = indices
    feed.noise = noise
    return feed
  }

  @Test func dropoutKeepsTheMean() throws {
    let network = try Network(Self.dropoutModel(), on: Reference(), seed: 1)
    func outputs(_ indices: [Int], _ noise: Feed.Noise?) throws -> [Double] {
      let run = try network.run(Backprop(), on: Self.dropoutFeed(indices, noise))
      run.runAll()
      return run["y"].value.values
    }
    let noise = Feed.Noise(seed: 7, epoch: 1, batch: 3)
    let y = try outputs(Array(0..<50), noise)
    // Each factor is 0 or 4/3 · 2; kept with probability 3/8: a mean of 1, of 50,000 with deviation √(5/3).
    #expect(Set(y.map { Float($0) }) == [0, Float(4.0 / 3) * 2])
    let mean = y.reduce(0, +) / Double(y.count)
    #expect(abs(mean - 1) < 4 * (5.0 / 3 / 50_000).squareRoot(), "mean \(mean)")
    // An example's factors are its own, wherever it stands in whichever batch of that number.
    #expect(try outputs([41, 3], noise)[1000...].elementsEqual(y[3000..<4000]))
    // Another batch, epoch or seed: others. No noise: none.
    for other in [
      Feed.Noise(seed: 7, epoch: 1, batch: 4), Feed.Noise(seed: 7, epoch: 2, batch: 3),
      Feed.Noise(seed: 8, epoch: 1, batch: 3),
    ] {
      let changed = try zip(outputs(Array(0..<50), other), y).count { $0 != $1 }
      // Two independent draws differ with probability 2 · 3/8 · 5/8.
      #expect(abs(Double(changed) / 50_000 - 15.0 / 32) < 0.02, "\(changed) of 50000 differ")
    }
    #expect(try outputs([0], nil) == Array(repeating: 1, count: 1000))
  }

  @Test func droppedElementsSendNoMessage() throws {
    let feed = Self.dropoutFeed([0, 1], .init(seed: 7, epoch: 0, batch: 0))
    let network = try Network(Self.dropoutModel(), on: Reference(), seed: 1)
    let run = try network.run(FixedPredictions(steps: 50, rate: 0.5), on: feed, gradientOf: ["x"])
    run.runAll()
    let values = run["y"].value.values
    // y = f x and ∂L/∂x = f y, with x = 1 and so f = y.
    expectClose(run.gradient(ofInput: "x").values, values.map { $0 * $0 }, within: 1e-12, "gradient of the input")
  }
}
