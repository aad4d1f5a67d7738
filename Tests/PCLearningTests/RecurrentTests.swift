import Foundation
import PredictiveCoding
import Testing

struct RecurrentFixture: Decodable, CustomStringConvertible {
  var kind: String
  var layers: Int
  var isBidirectional: Bool
  var lengths: [Int]
  var labels: [Int32]
  var totalLoss: Double
  /// ∂L/∂θ by our names, in row-major order.
  var gradients: [String: [Double]]

  var description: String {
    "\(kind), \(layers) layers\(isBidirectional ? ", both directions" : ""), lengths \(lengths)"
  }
}

/// RNN, GRU and LSTM against PyTorch's own modules in float64. PyTorch runs each sequence alone; ours are one batch with
/// padding in front, so that a shorter example must equal its own run.
@Suite struct RecurrentTests {
  static let features = 3
  static let hidden = 4
  static let classes = 3

  static func cell(_ kind: String, _ name: String) -> any RecurrentCell {
    switch kind {
    case "rnn": RNN(name, hidden)
    case "relu": RNN(name, hidden, activation: .relu)
    case "projected": LSTM(name, hidden, projection: 3)
    case "gru": GRU(name, hidden)
    default: LSTM(name, hidden)
    }
  }

  static func model(_ fixture: RecurrentFixture) -> Model {
    let length = fixture.lengths.max() ?? 1
    return Model { graph in
      var inputs = graph.input("x", [.batch, .fixed(length), .fixed(features)])
      let mask = graph.input("mask", [.batch, .fixed(length)])
      var last: [Value] = []
      for layer in 0..<fixture.layers {
        var directions = [cell(fixture.kind, "layer\(layer)").callAsFunction(inputs, mask: mask)]
        if fixture.isBidirectional {
          directions.append(
            cell(fixture.kind, "layer\(layer)_reverse").callAsFunction(inputs, mask: mask, reversed: true))
        }
        last = directions.map { $0.last[0] }
        inputs = concatenate(directions.map { $0.stacked() }, axis: 2)
      }
      let width = last.reduce(0) { $0 + $1.shape.extents[1] }
      let head = graph.parameter("head.weight", [width, classes], .zeros)
      graph.loss(.crossEntropy(matmul(concatenate(last, axis: 1), head), graph.labels("label", classes: classes)))
    }
  }

  static func network(_ fixture: RecurrentFixture, on backend: any Backend) throws -> Network {
    let network = try Network(model(fixture), on: backend, seed: 1)
    var stream = 10
    for layer in 0..<fixture.layers {
      for direction in fixture.isBidirectional ? ["", "_reverse"] : [""] {
        let roles = [("input", 0.8), ("recurrent", 0.8), ("bias", 0.3), ("candidate bias", 0.3), ("projection", 0.8)]
        for (offset, (role, scale)) in roles.enumerated() {
          // The fourth stream of a layer is the GRU's or the projection's.
          let offset = min(offset, 3)
          let name = "layer\(layer)\(direction).\(role)"
          guard let parameter = network.graph.parameters.first(where: { $0.name == name }) else { continue }
          let values = Fixture.numbers(parameter.extents, stream: stream + offset, scale: scale)
          network.setParameter(name, to: Tensor(parameter.extents, values))
        }
        stream += 4
      }
    }
    let head = network.parameter("head.weight").extents
    network.setParameter("head.weight", to: Tensor(head, Fixture.numbers(head, stream: 5, scale: 0.8)))
    return network
  }

  static func feed(_ fixture: RecurrentFixture) -> Feed {
    let length = fixture.lengths.max() ?? 1
    let count = fixture.lengths.count
    return Feed(
      count: count,
      [
        "x": .doubles(Fixture.numbers([count, length, features], stream: 1, scale: 1)),
        "mask": .doubles(fixture.lengths.flatMap { own in (0..<length).map { $0 < length - own ? 0 : 1 } }),
        "label": .integers(fixture.labels),
      ])
  }

  @Test(arguments: try Fixture.read("recurrent", as: [RecurrentFixture].self))
  func agreesWithPyTorch(fixture: RecurrentFixture) throws {
    var table: [String: [String]] = [:]
    let backends: [(any Backend, Double)] = [(Reference(), 1e-10), (try CPU(threads: 1), 1e-5)]
    for (backend, tolerance) in backends {
      let network = try Self.network(fixture, on: backend)
      let rules: [any Rule] = [Backprop(), FixedPredictions(steps: 600, rate: 0.2, order: .timeReversed)]
      for rule in rules {
        let what = "\(fixture), \(backend.name), \(rule.name)"
        let run = try network.run(rule, on: Self.feed(fixture))
        run.runAll()
        expectClose(run.losses().reduce(0, +), fixture.totalLoss, within: tolerance, "\(what), loss")
        let gradients = run.gradients()
        #expect(gradients.byParameter.keys.sorted() == fixture.gradients.keys.sorted(), "\(what)")
        for (name, expected) in fixture.gradients {
          let difference = zip(gradients[numbers: name], expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
          let norm = expected.reduce(0) { $0 + $1 * $1 }.squareRoot()
          let off = difference.squareRoot() / norm
          #expect(difference.squareRoot() <= tolerance * norm, "\(what), \(name): off by \(off)")
          table[name, default: []].append(NumberText.significant(off, digits: 2))
        }
      }
    }
    guard ProcessInfo.processInfo.environment["PC_GRADIENT_TABLE"] != nil else { return }
    let rows = table.sorted { $0.key < $1.key }.map { "| \(fixture) | \($0) | \($1.joined(separator: " | ")) |" }
    print(rows.joined(separator: "\n"))
  }

  /// Peepholes and the GRU whose reset comes first, which PyTorch does not have, against differences of the loss.
  @Test(arguments: [0, 1, 2]) func othersAgreeWithDifferences(option: Int) throws {
    let model = Model { graph in
      let x = graph.input("x", [.batch, 4, 3])
      let cell: any RecurrentCell =
        switch option {
        case 0: LSTM("cell", 3, peepholes: true)
        case 1: GRU("cell", 3, reset: .before)
        default: LSTM("cell", 3, peepholes: true, granularity: .step)
        }
      graph.loss(.crossEntropy(Dense("head", 2)(cell(x).last[0]), graph.labels("label", classes: 2)))
    }
    let network = try Network(model, on: Reference(), seed: 4)
    var random = RandomStream(seed: 6, "recurrent")
    let feed = Feed(count: 2, ["x": .doubles((0..<24).map { _ in random.normal() }), "label": .integers([0, 1])])
    for parameter in model.graph.parameters {
      let count = parameter.extents.reduce(1, *)
      network.setParameter(
        parameter.name, to: Tensor(parameter.extents, (0..<count).map { _ in 0.5 * random.normal() }))
    }
    let gradients = try network.gradients(FixedPredictions(solver: .equilibrium), on: feed)
    let start = network.parameters()
    for parameter in model.graph.parameters where parameter.isTrainable {
      let direction = (0..<parameter.extents.reduce(1, *)).map { _ in random.normal() }
      func loss(_ step: Double) throws -> Double {
        let values = zip(start[parameter.name]?.values ?? [], direction).map { $0 + step * $1 }
        network.setParameter(parameter.name, to: Tensor(parameter.extents, values))
        return try 2 * network.meanLoss(on: feed)
      }
      let slope = try (loss(1e-5) - loss(-1e-5)) / 2e-5
      _ = try loss(0)
      let expected = zip(gradients[numbers: parameter.name], direction).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(
        abs(slope - expected) < 1e-8 * max(1, abs(expected)),
        "option \(option), \(parameter.name): \(slope), \(expected)")
    }
  }
}
