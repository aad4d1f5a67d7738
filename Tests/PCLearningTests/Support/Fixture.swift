import Foundation
import PredictiveCoding

/// What `Scripts/make-fixtures.py` wrote: a model's loss and gradients by PyTorch's autograd in float64.
struct ModelFixture: Decodable {
  struct Array: Decodable {
    var name: String
    var extents: [Int]
    /// Σ of the numbers themselves, so that a test knows that it has the same ones.
    var sum: Double
    /// ‖gradient‖.
    var norm: Double
    /// Elements of the gradient by their position in row-major order.
    var entries: [String: Double]
  }

  var model: String
  var inputShape: [Int]
  var loss: String
  var batchSize: Int
  var totalLoss: Double
  var labels: [Int32]
  var input: Array
  var parameters: [Array]
}

struct OptimizerFixture: Decodable {
  var optimizer: String
  var clipping: String
  var reduction: String
  /// After each update: w [3, 2] and then b [2].
  var trajectory: [[Double]]
}

enum Fixture {
  static let models = [
    "cnn-digits-squared-error", "cnn-digits-cross-entropy", "cnn-paper-squared-error",
    "branching-digits-cross-entropy",
    "branching-digits-squared-error", "residual-digits-cross-entropy", "mlp-digits-cross-entropy",
  ]

  static func read<T: Decodable>(_ name: String, as type: T.Type = T.self) throws -> T {
    let file = Bundle.module.bundleURL.appendingPathComponent("Fixtures/\(name).json")
    return try JSONDecoder().decode(type, from: Data(contentsOf: file))
  }

  /// The script's `fixture_words`: a multiplicative hash of the position and the number of the array.
  static func words(_ count: Int, stream: Int) -> [UInt32] {
    (0..<count).map { position in
      var x = UInt32(truncatingIfNeeded: position + 1 + 1_000_003 * stream) &* 2_654_435_761
      x ^= x >> 16
      x = x &* 2_246_822_519
      return x ^ (x >> 13)
    }
  }

  /// The script's `fixture_numbers`: uniform on [−scale, scale).
  static func numbers(_ extents: [Int], stream: Int, scale: Double) -> [Double] {
    words(extents.reduce(1, *), stream: stream).map { scale * (Double($0) / 0x1p31 - 1) }
  }

  /// The script's `scale_of`.
  static func scale(of extents: [Int]) -> Double {
    switch extents.count {
    case 2: (3 / Double(extents[0])).squareRoot()
    case 4: (3 / Double(extents[1] * extents[2] * extents[3])).squareRoot()
    default: 0.1
    }
  }
}

extension ModelFixture {
  func network(on backend: any Backend) throws -> Network {
    guard let named = NamedModel(rawValue: model), let kind = LossKind(rawValue: loss) else {
      fatalError("the fixture names the model \(model) with the loss \(loss)")
    }
    let network = try Network(
      named.build(ImageTask(inputShape: inputShape, classes: 10), loss: kind), on: backend, seed: 1)
    for (index, parameter) in parameters.enumerated() {
      let extents = parameter.extents
      let values = Fixture.numbers(extents, stream: 10 + index, scale: Fixture.scale(of: extents))
      network.setParameter(parameter.name, to: Tensor(extents, values))
    }
    return network
  }

  var feed: Feed {
    Feed(
      count: batchSize,
      [
        "image": .doubles(Fixture.numbers([batchSize] + inputShape, stream: 1, scale: 1)), "label": .integers(labels),
      ])
  }
}
