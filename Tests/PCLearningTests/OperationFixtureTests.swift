import PredictiveCoding
import Testing

/// Single operations and losses against PyTorch in float64: the loss, and the gradients of the input and the parameter.
@Suite struct OperationFixtureTests {
  struct Result: Decodable {
    var name: String
    var loss: Double
    var x: [Double]
    var w: [Double]
  }

  struct Case: Sendable {
    var name: String
    /// Of the input, without the batch, and of the parameter.
    var input: [Int]
    var parameter: [Int]?
    var build: @Sendable (_ x: Value, _ w: [Value]) -> Value

    init(
      _ name: String, _ input: [Int], _ parameter: [Int]? = nil,
      _ build: @escaping @Sendable (_ x: Value, _ w: [Value]) -> Value
    ) {
      (self.name, self.input, self.parameter, self.build) = (name, input, parameter, build)
    }
  }

  static let operations = [
    Case("log", [3]) { x, _ in log(x + 3) },
    Case("cos", [3]) { x, _ in cos(x) },
    Case("abs", [3]) { x, _ in abs(x) },
    Case("leaky relu", [3]) { x, _ in leakyRelu(x, slope: 0.2) },
    Case("elu", [3]) { x, _ in elu(x, scale: 0.7) },
    Case("gelu", [3]) { x, _ in gelu(x) },
    Case("gelu by tanh", [3]) { x, _ in gelu(x, byTanh: true) },
    Case("silu", [3]) { x, _ in silu(x) },
    Case("softplus", [3]) { x, _ in softplus(x) },
    Case("power", [3]) { x, _ in pow(x + 3, 1.7) },
    Case("general power", [3], [3]) { x, w in pow(x + 3, w[0]) },
    Case("maximum", [3], [3]) { x, w in max(x, w[0]) },
    Case("minimum", [3], [3]) { x, w in min(x, w[0]) },
    Case("clip", [5]) { x, _ in clip(x, to: -0.5...0.75) },
    Case("softmax", [2, 4]) { x, _ in softmax(x, axis: 1) },
    Case("log softmax", [2, 4]) { x, _ in logSoftmax(x) },
    Case("cumulative sum", [5, 2]) { x, _ in x.cumulativeSum(axis: 1) },
    Case("pad", [2, 3]) { x, _ in x.padded(axis: -1, before: 1, after: 2) },
    Case("largest", [2, 4]) { x, _ in x.max(axes: [2]) },
    Case("batched matmul", [3, 2, 4]) { x, _ in matmul(x, x.transposed()) },
    Case("dilated convolution", [2, 6, 5], [3, 2, 3, 2]) { x, w in convolve(x, w[0], padding: 2, dilation: 2) },
    Case("grouped convolution", [4, 5, 5], [6, 2, 3, 3]) { x, w in
      convolve(x, w[0], stride: 2, padding: 1, groups: 2)
    },
    Case("transposed convolution", [4, 3, 4], [4, 3, 3, 3]) { x, w in
      convolveTransposed(x, w[0], stride: 2, padding: 1, extra: 1, dilation: 2, groups: 2)
    },
    Case("average pool", [2, 5, 4]) { x, _ in AveragePool2D("pool", window: 3, stride: 2, padding: 1)(x) },
    Case("global average pool", [2, 3, 4]) { x, _ in GlobalAveragePool2D("pool")(x) },
    Case("layer norm", [5], [5]) { x, w in x.normalized() * w[0] },
    Case("group norm", [4, 3, 2], [4, 1, 1]) { x, w in NormalizationLayer("norm", .group(2))(x) * w[0] },
    Case("rms norm", [2, 5], [5]) { x, w in x.normalized(isCentered: false) * w[0] },
  ]

  private func compare(_ model: Model, _ feed: Feed, _ expected: Result) throws {
    let backends: [any Backend] = [Reference(), try CPU(threads: 2)]
    for backend in backends {
      let network = try Network(model, on: backend, seed: 1)
      let run = try network.run(Backprop(), on: feed, gradientOf: ["x"])
      run.runAll()
      let tolerance = backend.epsilon < 1e-10 ? 1e-12 : 2e-5
      let what = "\(expected.name), \(backend.name)"
      expectClose(run.losses().reduce(0, +), expected.loss, within: tolerance, "\(what), loss")
      let input = run.gradient(ofInput: "x").values
      let weight = expected.w.isEmpty ? [] : run.gradients()[numbers: "w"]
      for (name, observed, wanted) in [("x", input, expected.x), ("w", weight, expected.w)] {
        let size = 1 + wanted.reduce(0) { max($0, abs($1)) }
        #expect(observed.count == wanted.count, "\(what), \(name)")
        for (k, (a, b)) in zip(observed, wanted).enumerated() {
          #expect(abs(a - b) <= tolerance * size, "\(what), \(name)[\(k)]: expected \(b), observed \(a)")
        }
      }
    }
  }

  @Test func everyFixtureHasItsTest() throws {
    let results: [Result] = try Fixture.read("operations")
    #expect(results.map(\.name) == Self.operations.map(\.name) + Self.losses.map(\.name))
  }

  @Test(arguments: operations.map(\.name)) func operationsAgreeWithPyTorch(name: String) throws {
    let results: [Result] = try Fixture.read("operations")
    let expected = try #require(results.first { $0.name == name })
    let test = try #require(Self.operations.first { $0.name == name })
    let model = Model { graph in
      let x = graph.input("x", Shape([.batch] + test.input.map(Axis.fixed)))
      let w = test.parameter.map {
        [graph.parameter("w", $0, .values(Fixture.numbers($0, stream: 2, scale: 1)))]
      }
      let y = test.build(x, w ?? [])
      graph.loss(.squaredError(y, graph.input("target", y.shape)))
    }
    let target = model.graph.values[model.graph.losses[0].target].shape.extents
    let feed = Feed(
      count: 2,
      [
        "x": .doubles(Fixture.numbers([2] + test.input, stream: 1, scale: 2)),
        "target": .doubles(Fixture.numbers([2] + target.dropFirst(), stream: 3, scale: 1)),
      ])
    try compare(model, feed, expected)
  }

  static let losses: [(name: String, build: @Sendable (GraphBuilder, Value) -> LossTerm)] = [
    ("huber", { .huber($1, $0.input("target", [.batch, 4]), delta: 0.6) }),
    ("binary cross-entropy", { .binaryCrossEntropy($1, $0.input("probability", [.batch, 4])) }),
    ("label smoothing", { .crossEntropy($1, $0.labels("label", classes: 4), smoothing: 0.1) }),
    ("soft labels", { .crossEntropy($1, $0.input("soft", [.batch, 4])) }),
  ]

  @Test(arguments: losses.map(\.name)) func lossesAgreeWithPyTorch(name: String) throws {
    let results: [Result] = try Fixture.read("operations")
    let expected = try #require(results.first { $0.name == name })
    let test = try #require(Self.losses.first { $0.name == name })
    let model = Model { graph in graph.loss(test.build(graph, graph.input("x", [.batch, 4]))) }
    let target = Fixture.numbers([2, 4], stream: 3, scale: 1)
    let soft = target.enumerated().map { k, number in
      abs(number) / target[(k / 4 * 4)..<(k / 4 * 4 + 4)].reduce(0) { $0 + abs($1) }
    }
    var arrays: [String: Feed.Numbers] = [
      "target": .doubles(target), "probability": .doubles(target.map { (1 + $0) / 2 }), "soft": .doubles(soft),
      "label": .integers([2, 0]),
    ]
    let names = Set(model.graph.inputs.map(\.name))
    arrays = arrays.filter { names.contains($0.key) }
    arrays["x"] = .doubles(Fixture.numbers([2, 4], stream: 1, scale: 2))
    try compare(model, Feed(count: 2, arrays), expected)
  }
}
