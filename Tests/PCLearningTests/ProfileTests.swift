import PredictiveCoding
import Testing

/// What a profiled training step says, against what the step is known to consist of.
@Suite struct ProfileTests {
  private static let model = Model { graph in
    let first = Dense("first", 24, activation: .tanh)(graph.input("x", [.batch, 12]))
    let second = Dense("second", 10, activation: .tanh)(first)
    graph.loss(.squaredError(Dense("output", 5)(second), graph.input("t", [.batch, 5])))
  }
  /// Two tiles, the second one of 8 examples.
  private static let batch = 40
  private static let steps = 7

  private static func feed() -> Feed {
    var random = RandomStream(seed: 4, "profile")
    return Feed(
      count: batch,
      [
        "x": .doubles((0..<batch * 12).map { _ in random.normal() }),
        "t": .doubles((0..<batch * 5).map { _ in random.normal() }),
      ])
  }

  private static func trainer(_ rule: any Rule, on backend: any Backend) throws -> Trainer {
    try Trainer(model, rule: rule, optimizer: SGD(learningRate: 0.1), on: backend, seed: 1)
  }

  @Test(arguments: [1, 2, 3]) func countsWorkAndTime(threads: Int) throws {
    let backend = try CPU(threads: threads, leastShared: 0)
    // Forward, weight gradients, the output's message to the second layer, which never changes, and what goes from there to
    // the first layer, once a step but the first, which finds no error there yet; and of the optimiser the length of the gradient.
    let (forward, back, numbers) = (12 * 24 + 24 * 10 + 10 * 5, 24 * 10, 13 * 24 + 25 * 10 + 11 * 5)
    let rules: [(any Rule, Int)] = [
      (Backprop(), 2 * forward + 50 + back),
      (FixedPredictions(steps: Self.steps, rate: 0.2), 2 * forward + 50 + (Self.steps - 1) * back),
    ]
    for (rule, multiplyAdds) in rules {
      let what = "\(rule.name), \(threads) threads"
      let trainer = try Self.trainer(rule, on: backend)
      let profile = try #require(try trainer.profile(on: Self.feed()))
      let observed = profile.calls.reduce(0) { $0 + $1.repetitions * $1.multiplyAdds }
      let expected = multiplyAdds * Self.batch + numbers
      #expect(observed == expected, "\(what): expected \(expected), observed \(observed)")
      #expect(profile.omitted == 0 && profile.threads == threads)
      let names = Set(profile.calls.map(\.vertex))
      #expect(names.isSuperset(of: ["first", "second", "output"]), "\(what): \(names.sorted())")

      // Each thread does one thing at a time, within the run.
      for thread in 0..<threads {
        var end = 0.0
        for event in profile.events where event.thread == thread {
          #expect(event.start >= end && event.seconds >= 0, "\(what), thread \(thread)")
          end = event.start + event.seconds
        }
        #expect(end <= profile.seconds, "\(what), thread \(thread)")
      }
      let total = profile.events.reduce(0) { $0 + $1.seconds }
      #expect(abs(profile.threadSeconds.reduce(0, +) - total) < 1e-9 * max(total, 1))
      // A tile's calls run once on each tile, in parts of its elements or on several tiles from the first one on; shared ones on every
      // thread.
      for (index, call) in profile.calls.enumerated() {
        let events = profile.events.filter { $0.call == index }
        for tile in Set(events.compactMap(\.tile)) {
          let count = events.count { $0.tile == tile }
          #expect(count > 0 && count % call.repetitions == 0, "\(what), \(call): \(count) on tile \(tile)")
        }
        let tiles = Set(events.map { $0.tile ?? -1 })
        #expect(
          tiles == [0, 1] || tiles == [-1] || tiles == [0] && threads == 1 && call.operation.hasPrefix("contract"),
          "\(what), \(call): tiles \(tiles.sorted())")
      }
    }
  }

  @Test func leavesTheSameBits() throws {
    let backend = try CPU(threads: 2)
    for rule in [
      Backprop(), FixedPredictions(steps: Self.steps, rate: 0.2), StandardPredictiveCoding(steps: 3, rate: 0.1),
    ]
      as [any Rule]
    {
      let (plain, profiled) = (try Self.trainer(rule, on: backend), try Self.trainer(rule, on: backend))
      for _ in 0..<3 {
        try plain.train(on: Self.feed())
        _ = try profiled.profile(on: Self.feed())
      }
      #expect(plain.network.parameters() == profiled.network.parameters(), "\(rule.name)")
    }
  }

  @Test func theReferenceDoesNotTell() throws {
    let (plain, profiled) = (
      try Self.trainer(Backprop(), on: Reference()), try Self.trainer(Backprop(), on: Reference())
    )
    try plain.train(on: Self.feed())
    #expect(try profiled.profile(on: Self.feed()) == nil)
    #expect(plain.network.parameters() == profiled.network.parameters())
  }
}
