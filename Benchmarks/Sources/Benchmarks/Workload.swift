import PredictiveCoding

/// One of our ways to make a training step, and how fast it should be.
struct Entry {
  var name: String
  var rule: any Rule
  /// Largest multiple of the floor that will do.
  var mostFloors: Double?
  /// Largest multiple of PyTorch's autograd step that will do.
  var mostOfPyTorch: Double?
  /// For each peer library, the least that it should be slower by.
  var leastFasterThan: [Peer.Library: Double] = [:]
}

/// How much is measured: all take `steps` steps in turn, `rounds` times, after `warmUp` steps of each.
struct Measurement {
  var rounds = 20
  var steps = 5
  var warmUp = 10
}

/// One row of the table: a model, a batch, our ways to train it, and who else does.
struct Workload {
  var name: String
  var title: String
  var model: Model
  var batch: Examples
  var optimizer: any Optimizer = SGD(learningRate: 1e-4)
  var entries: [Entry]
  var peers: [Peer.Library] = [.pytorch]
  /// Whether vertices hear over several depths, so that the closed form takes a backward pass for each that remains.
  var hasSeveralDepths = false
  /// Whether PyTorch is measured in both memory formats.
  var hasImages = false
  var activation = "tanh"
  var measurement = Measurement()

  static let names = [
    "cnn", "mlp", "deep", "strided", "residual", "branching", "rnn", "lstm", "standard", "sigmoid", "online",
  ]

  /// The workloads of a name, of which some have several batch sizes.
  static func named(_ name: String) throws -> [Workload]? {
    switch name {
    case "cnn":
      let task = ImageTask(inputShape: [3, 32, 32], classes: 10)
      return [
        Workload(
          name: name, title: "the paper's CNN, batch 64", model: try .cnn(task), batch: .images([3, 32, 32], 64),
          entries: fixed(100, 0.2, most: 1.25, others: 0.4), hasImages: true)
      ]
    case "mlp":
      return [
        Workload(
          name: name, title: "MLP 784-512×8-10 tanh, batch 128",
          model: multilayer(Array(repeating: 512, count: 8)), batch: .images([1, 28, 28], 128),
          entries: fixed(100, 0.1, most: 1.2, others: 0.8))
      ]
    case "deep":
      return [
        Workload(
          name: "mlp", title: "MLP of width 256, 64 layers, batch 128",
          model: multilayer(Array(repeating: 256, count: 64)), batch: .images([1, 28, 28], 128),
          entries: fixed(100, 0.1, most: 1.3, others: 0.8))
      ]
    case "strided":
      return [
        Workload(
          name: name, title: "CNN of 64, 64 and 128 channels, stride 2, batch 32", model: strided(),
          batch: .images([3, 32, 32], 32), entries: fixed(50, 0.2, most: 1.3, others: 1), hasImages: true,
          measurement: Measurement(rounds: 7, steps: 1, warmUp: 1))
      ]
    case "residual", "branching":
      let task = ImageTask(inputShape: [3, 32, 32], classes: 10)
      let isResidual = name == "residual"
      return [
        Workload(
          name: name, title: "\(name) of the model zoo, batch 32",
          model: isResidual
            ? try .residual(task, loss: .squaredError) : try .branching(task, loss: .squaredError),
          batch: .images([3, 32, 32], 32), entries: fixed(100, 0.2, most: 1.5, others: 0.6), hasSeveralDepths: true,
          hasImages: isResidual,
          measurement: Measurement(rounds: 10, steps: isResidual ? 2 : 5))
      ]
    case "rnn":
      return [64, 1].map { count in
        Workload(
          name: name, title: "RNN of 256, length 10, batch \(count)", model: nameClassifier(),
          batch: .text(length: 10, letters: 57, labels: 1, classes: 18, count),
          entries: timeReversed(100, most: 3, others: count == 1 ? 0.5 : 0.8))
      }
    case "lstm":
      return [
        Workload(
          name: name, title: "LSTM of 1056, length 50, batch 64", model: nextCharacter(),
          batch: .text(length: 50, letters: 65, labels: 50, classes: 65, 64),
          entries: timeReversed(200, most: 1.05, others: 0.8),
          measurement: Measurement(rounds: 5, steps: 1, warmUp: 1))
      ]
    case "standard":
      return [
        Workload(
          name: "mlp", title: "standard predictive coding, MLP 784-512×8-10 tanh, batch 128",
          model: multilayer(Array(repeating: 512, count: 8)), batch: .images([1, 28, 28], 128),
          entries: [
            Entry(
              name: "standard predictive coding, T = 100",
              rule: StandardPredictiveCoding(steps: 100, rate: 0.1), mostFloors: 1.15,
              leastFasterThan: [.pcx: 1, .fabricpc: 1.7, .ngclearn: 1.7])
          ], peers: [.pcx, .fabricpc, .ngclearn], measurement: Measurement(rounds: 5, steps: 1, warmUp: 1))
      ]
    case "sigmoid":
      return [
        Workload(
          name: "mlp", title: "standard predictive coding, MLP 784-512-512-10 sigmoid, batch 250, AdamW",
          model: multilayer([512, 512], .sigmoid), batch: .images([1, 28, 28], 250),
          optimizer: Adam(learningRate: 1e-4, weightDecay: 0.01),
          entries: [
            Entry(
              name: "standard predictive coding, T = 20", rule: StandardPredictiveCoding(steps: 20, rate: 0.1),
              leastFasterThan: [.deepity: 1.8])
          ], peers: [.deepity], activation: "sigmoid", measurement: Measurement(rounds: 10, steps: 2, warmUp: 3))
      ]
    case "online":
      let most: [Int: (Double, Double)] = [1: (3, 0.15), 8: (2, 0.2), 1000: (1.25, 0.8)]
      return most.sorted { $0.key < $1.key }.map { count, limits in
        Workload(
          name: "mlp", title: "MLP 784-512-512-10 tanh, batch \(count)", model: multilayer([512, 512]),
          batch: .images([1, 28, 28], count), entries: fixed(100, 0.1, most: limits.0, others: limits.1),
          measurement: count == 1000 ? Measurement(rounds: 5, steps: 1, warmUp: 2) : Measurement())
      }
    default: return nil
    }
  }

  private static func fixed(_ steps: Int, _ rate: Double, most: Double, others: Double) -> [Entry] {
    [
      Entry(
        name: "stepwise, T = \(steps)", rule: FixedPredictions(steps: steps, rate: rate), mostFloors: most),
      Entry(
        name: "closed form", rule: FixedPredictions(steps: steps, rate: rate, solver: .closedForm),
        mostOfPyTorch: others),
      Entry(name: "equilibrium", rule: FixedPredictions(solver: .equilibrium), mostOfPyTorch: others),
      Entry(name: "backprop", rule: Backprop(), mostOfPyTorch: others),
    ]
  }

  private static func timeReversed(_ steps: Int, most: Double, others: Double) -> [Entry] {
    [
      Entry(
        name: "time-reversed, T = \(steps)", rule: FixedPredictions(steps: steps, rate: 0.1, order: .timeReversed),
        mostOfPyTorch: most),
      Entry(
        name: "closed form",
        rule: FixedPredictions(steps: steps, rate: 0.1, solver: .closedForm, order: .timeReversed),
        mostOfPyTorch: others),
      Entry(name: "backprop", rule: Backprop(), mostOfPyTorch: others),
    ]
  }
}
