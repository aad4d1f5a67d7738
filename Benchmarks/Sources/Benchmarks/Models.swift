import PredictiveCoding

// The networks that the table is about. Those of the library are taken as they are.

/// Numbers and labels of `count` examples.
struct Examples {
  var count: Int
  var inputShape: [Int]
  var inputs: [Float]
  var labels: [Int32]
  var classes = 10

  func feed(_ graph: Graph) -> Feed {
    var arrays: [String: Feed.Numbers] = [:]
    for input in graph.inputs { arrays[input.name] = input.classes == nil ? .floats(inputs) : .integers(labels) }
    return Feed(count: count, arrays)
  }

  /// Images of uniform numbers, with labels in turn.
  static func images(_ shape: [Int], _ count: Int) -> Examples {
    var source = RandomStream(seed: 3, "benchmark")
    return Examples(
      count: count, inputShape: shape,
      inputs: (0..<(count * shape.reduce(1, *))).map { _ in Float(source.uniform() * 2 - 1) },
      labels: (0..<count).map { Int32($0 % 10) })
  }

  /// One-hot letters, and `labels` labels for each sequence.
  static func text(length: Int, letters: Int, labels: Int, classes: Int, _ count: Int) -> Examples {
    var source = RandomStream(seed: 3, "text")
    var inputs = Array(repeating: Float(0), count: count * length * letters)
    for place in 0..<(count * length) { inputs[place * letters + source.integer(below: letters)] = 1 }
    return Examples(
      count: count, inputShape: [length, letters], inputs: inputs,
      labels: (0..<(count * labels)).map { _ in Int32(source.integer(below: classes)) }, classes: classes)
  }
}

/// Dense layers of the widths given on 28 × 28 pixels, and a linear readout of ten.
func multilayer(_ hidden: [Int], _ activation: Activation = .tanh) -> Model {
  Model { graph in
    var x = flatten(graph.input("image", [.batch, 1, 28, 28]))
    for (index, width) in hidden.enumerated() { x = Dense("hidden\(index + 1)", width, activation: activation)(x) }
    graph.loss(.squaredError(Dense("output", 10)(x), graph.labels("label", classes: 10)))
  }
}

/// Three convolutions to 64, 64 and 128 channels, the last two with a stride of 2.
func strided() -> Model {
  Model { graph in
    var x = graph.input("image", [.batch, 3, 32, 32])
    x = Convolution2D("conv1", filters: 64, kernel: 3, padding: 1, activation: .relu)(x)
    x = Convolution2D("conv2", filters: 64, kernel: 3, stride: 2, padding: 1, activation: .relu)(x)
    x = Convolution2D("conv3", filters: 128, kernel: 3, stride: 2, padding: 1, activation: .relu)(x)
    graph.loss(.squaredError(Dense("output", 10)(flatten(x)), graph.labels("label", classes: 10)))
  }
}

/// The paper's names to languages: a readout of the last state.
func nameClassifier() -> Model {
  Model { graph in
    let x = graph.input("letters", [.batch, 10, 57])
    let last = RNN("rnn", 256, initializer: .normal(standardDeviation: 0.05))(x).last[0]
    graph.loss(.squaredError(Dense("output", 18)(last), graph.labels("language", classes: 18)))
  }
}

/// The paper's next character: a readout of each state.
func nextCharacter(hidden: Int = 1056, length: Int = 50, letters: Int = 65) -> Model {
  Model { graph in
    let x = graph.input("letters", [.batch, .fixed(length), .fixed(letters)])
    // As the paper draws them.
    let states = LSTM("lstm", hidden, initializer: .normal(standardDeviation: 0.05))(x).stacked()
    graph.loss(
      .squaredError(
        Dense("output", letters)(states), graph.labels("next", classes: letters, shape: [.batch, .fixed(length)])))
  }
}
