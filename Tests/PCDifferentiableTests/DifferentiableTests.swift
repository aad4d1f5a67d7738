import PCDifferentiable
import PredictiveCoding
import Testing
import _Differentiation

/// Functions that the compiler differentiated, as vertices, against the same formulas stated by operations.
@Suite struct DifferentiableTests {
  private func gradients(
    _ rule: any Rule, on backend: any Backend, _ build: (Value, Value) -> Value
  ) throws -> (loss: Double, weight: [Double], input: [Double]) {
    let model = Model { graph in
      let x = graph.input("x", [.batch, 3])
      let w = graph.parameter("w", [3], .values([0.5, -0.25, 1.5]))
      let y = build(x, w)
      graph.loss(.squaredError(y, graph.input("target", y.shape)))
    }
    let network = try Network(model, on: backend, seed: 1)
    let width = model.graph.values[model.graph.losses[0].prediction].shape.count
    let feed = Feed(
      count: 2,
      [
        "x": .doubles([0.5, -1, 2, -0.25, 1.25, 0.75]),
        "target": .doubles((0..<(2 * width)).map { 0.1 * Double($0) }),
      ])
    let run = try network.run(rule, on: feed, gradientOf: ["x"])
    run.runAll()
    return (
      run.losses().reduce(0, +), run.gradients().byParameter["w"]?.values ?? [],
      run.gradient(ofInput: "x").values
    )
  }

  /// Branches, loops over arrays, a parameter as second operand; by backprop and by fixed predictions.
  @Test func agreesWithOperations() throws {
    let backends: [any Backend] = [Reference(), try CPU(threads: 2)]
    let rules: [any Rule] = [Backprop(), FixedPredictions(steps: 5, rate: 0.3)]
    for backend in backends {
      let tolerance = backend.epsilon < 1e-10 ? 1e-12 : 1e-5
      for rule in rules {
        let expected = try gradients(rule, on: backend) { x, w in
          let bent = leakyRelu(x, slope: 0.5)
          let scaled = x.graph.vertex("scaled") { bent * w }
          return x.graph.vertex("sums") { scaled.cumulativeSum(axis: 1) }
        }
        let observed = try gradients(rule, on: backend) { x, w in
          let bent = differentiable(x, "bent") { x in x > 0 ? x : 0.5 * x }
          let scaled = differentiable(bent, w, "scaled") { a, b in
            var result: [Double] = []
            for i in 0..<withoutDerivative(at: a.count) { result = result + [a[i] * b[i]] }
            return result
          }
          return differentiable(scaled, "sums", shape: nil) { a in
            var total = 0.0
            var result: [Double] = []
            for i in 0..<withoutDerivative(at: a.count) {
              total = total + a[i]
              result = result + [total]
            }
            return result
          }
        }
        let what = "\(backend.name), \(rule.name)"
        #expect(abs(observed.loss - expected.loss) <= tolerance * (1 + expected.loss), "\(what), loss")
        for (a, b) in zip(observed.weight + observed.input, expected.weight + expected.input) {
          #expect(abs(a - b) <= tolerance * (1 + abs(b)), "\(what): expected \(b), observed \(a)")
        }
        #expect(observed.weight.count == 3)
        #expect(observed.input.count == 6)
        #expect(expected.weight.contains { abs($0) > 0.01 })
      }
    }
  }
}
