import PredictiveCoding
import Testing

/// The graph of Millidge, Tschantz and Buckley's first experiment, y = tan √(θ v0) + sin v0² at v0 = 5, θ = 2 with the
/// target 1. The numbers come from computations outside of this project, one of them by hand calculus.
@Suite struct ScalarGraphTests {
  static let rates = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
  let feed = Feed(count: 1, ["v0": .doubles([5]), "theta": .doubles([2]), "target": .doubles([1])])

  @Test(arguments: [true, false]) func gradients(grouped: Bool) throws {
    let network = try Network(.scalar(isGrouped: grouped), on: Reference(), seed: 1)
    let rules: [any Rule] = [Backprop(), FixedPredictions(solver: .equilibrium)]
    for rule in rules {
      let run = try network.run(rule, on: feed, gradientOf: ["v0", "theta"])
      run.runAll()
      let y = run["y"].value.values[0]
      #expect(rounded(y) == -0.1116637929)
      #expect(rounded(run.losses()[0]) == rounded(0.5 * (1 - y) * (1 - y)))
      #expect(rounded(run.gradient(ofInput: "v0").values[0]) == -11.3705321867)
      #expect(rounded(run.gradient(ofInput: "theta").values[0]) == -0.8792235337)
      // Messages are −∂L/∂v.
      #expect(rounded(-run["product"].message.values[0]) == -0.1758447067)
      #expect(rounded(-run["root"].message.values[0]) == -1.1121395756)
      #expect(rounded(-run["square"].message.values[0]) == -1.1018842773)
    }
  }

  @Test func kinds() {
    let grouped = Model.scalar(isGrouped: true).graph
    #expect(grouped.vertices.map(\.kind) == [.relaxed, .relaxed, .relaxed, .deterministic])
    let single = Model.scalar(isGrouped: false).graph
    #expect(single.vertices.map(\.kind) == [.relaxed, .relaxed, .relaxed, .relaxed, .relaxed, .deterministic])
  }

  /// Updates until the gradient is within 0.1 % for good.
  @Test(arguments: [
    (true, "v0", [708, 352, 139, 68, 32, 11, 2]), (true, "theta", [920, 458, 181, 89, 42, 14, 2]),
    (false, "v0", [933, 465, 184, 90, 43, 15, 3]), (false, "theta", [1119, 557, 220, 108, 52, 18, 3]),
  ]) func updates(grouped: Bool, input: String, expected: [Int]) throws {
    let network = try Network(.scalar(isGrouped: grouped), on: Reference(), seed: 1)
    let backprop = try network.run(Backprop(), on: feed, gradientOf: [input])
    backprop.runAll()
    let exact = backprop.gradient(ofInput: input).values[0]
    for (rate, count) in zip(Self.rates, expected) {
      let rule = FixedPredictions(steps: 1, rate: rate)
      let run = try network.run(rule, on: feed, gradientOf: [input])
      rule.initialise(run)
      var needed = 0
      // 1,500 updates are past the last crossing for every rate.
      for step in 1...1500 {
        rule.step(run)
        if abs(run.gradient(ofInput: input).values[0] - exact) > 1e-3 * abs(exact) { needed = step + 1 }
      }
      #expect(needed == count, "rate \(rate), \(input)")
    }
  }

  /// To ten decimals, as the table has them.
  private func rounded(_ x: Double) -> Double { (x * 1e10).rounded() / 1e10 }
}
