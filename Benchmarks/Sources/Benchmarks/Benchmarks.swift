// Steps of ours and of PyTorch in turn, on the same data from the same weights, beside the machine's floor.
//
//   swift run -c release --package-path Benchmarks Benchmarks [cnn|mlp|rnn|lstm|steps] [--python PYTHON] [--rounds N]
//
// Every figure is a whole training step: batch in memory to updated parameters. The floor is the multiply-adds of the
// step (of stepwise rules, those of the T inference steps alone: 7.55 GFLOP for the CNN at T = 100) over the float32 FMA
// peak of two cores, measured before and after the timings. Quote ratios, not milliseconds.

import Foundation
import PredictiveCoding

struct Options {
  var work = "cnn"
  var python = "python3"
  /// As many as the work states, unless given.
  var rounds: Int?
  var isa: CPU.InstructionSet?
  var threads = 2
  /// Steps of the `lstm` sequence.
  var length = 50
  /// Measures only the rules whose name holds this.
  var only = ""

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      switch word {
      case "cnn", "mlp", "rnn", "lstm", "steps": work = word
      case "--python": python = rest.popFirst() ?? python
      case "--rounds": rounds = rest.popFirst().flatMap(Int.init)
      case "--threads": threads = rest.popFirst().flatMap(Int.init) ?? threads
      case "--length": length = rest.popFirst().flatMap(Int.init) ?? length
      case "--only": only = rest.popFirst() ?? only
      case "--isa": isa = rest.popFirst().flatMap(CPU.InstructionSet.init(rawValue:))
      default:
        throw BenchmarkError(
          "unknown argument \(word); give cnn, mlp, rnn, lstm or steps, --python, --rounds, --threads, --isa, "
            + "--length, --only")
      }
    }
  }
}

struct Timing {
  var seconds: [Double] = []
  var median: Double { seconds.sorted()[seconds.count / 2] }
  var least: Double { seconds.min() ?? .nan }
}

/// One of our ways to make the step.
final class Contestant {
  let name: String
  let trainer: Trainer
  let feed: Feed
  let multiplyAdds: Int
  let batchSize: Int
  var timing = Timing()

  init(_ name: String, _ model: Model, _ rule: any Rule, _ backend: CPU, _ batch: Examples) throws {
    self.name = name
    trainer = try Trainer(
      model, rule: rule, optimizer: SGD(learningRate: 1e-4), reduction: .sum, on: backend, seed: 1)
    feed = batch.feed(model.graph)
    batchSize = batch.count
    multiplyAdds = try trainer.floorMultiplyAdds(batchSize: batch.count)
  }

  /// Of the rule's plan without the optimiser.
  func byteCount() throws -> Int { try trainer.byteCount(batchSize: batchSize) }

  func step(_ count: Int, isCounted: Bool = true) throws {
    let clock = ContinuousClock()
    for _ in 0..<count {
      let start = clock.now
      try trainer.train(on: feed)
      if isCounted { timing.seconds.append((clock.now - start).seconds) }
    }
  }
}

func format(_ x: Double, _ digits: Int = 2) -> String { String(format: "%.\(digits)f", x) }

/// Numbers and labels of `count` examples.
struct Examples {
  var count: Int
  var inputShape: [Int]
  var inputs: [Float]
  var labels: [Int32]

  func feed(_ graph: Graph) -> Feed {
    var arrays: [String: Feed.Numbers] = [:]
    for input in graph.inputs { arrays[input.name] = input.classes == nil ? .floats(inputs) : .integers(labels) }
    return Feed(count: count, arrays)
  }
}

func randomBatch(_ shape: [Int], _ count: Int) -> Examples {
  var source = RandomStream(seed: 3, "benchmark")
  return Examples(
    count: count, inputShape: shape,
    inputs: (0..<(count * shape.reduce(1, *))).map { _ in Float(source.uniform() * 2 - 1) },
    labels: (0..<count).map { Int32($0 % 10) })
}

/// One-hot letters, and `labels` labels for each sequence.
func randomText(length: Int, letters: Int, labels: Int, classes: Int, _ count: Int) -> Examples {
  var source = RandomStream(seed: 3, "text")
  var inputs = Array(repeating: Float(0), count: count * length * letters)
  for place in 0..<(count * length) { inputs[place * letters + source.integer(below: letters)] = 1 }
  return Examples(
    count: count, inputShape: [length, letters], inputs: inputs,
    labels: (0..<(count * labels)).map { _ in Int32(source.integer(below: classes)) })
}

/// The paper's names to languages: a readout of the last state.
func nameClassifier() throws -> Model {
  Model { graph in
    let x = graph.input("letters", [.batch, 10, 57])
    let last = RNN("rnn", 256, initializer: .normal(standardDeviation: 0.05))(x).last[0]
    graph.loss(.squaredError(Dense("output", 18)(last), graph.labels("language", classes: 18)))
  }
}

/// The paper's next character: a readout of each state.
func nextCharacter(hidden: Int = 1056, length: Int = 50, letters: Int = 65) throws -> Model {
  Model { graph in
    let x = graph.input("letters", [.batch, .fixed(length), .fixed(letters)])
    // As the paper draws them.
    let states = LSTM("lstm", hidden, initializer: .normal(standardDeviation: 0.05))(x).stacked()
    graph.loss(
      .squaredError(
        Dense("output", letters)(states), graph.labels("next", classes: letters, shape: [.batch, .fixed(length)])))
  }
}

/// How much is measured: all contestants take `steps` steps in turn, `rounds` times, after `warmUp` steps of each.
struct Measurement {
  var rounds = 20
  var steps = 5
  var warmUp = 20
}

func compare(
  _ model: Model, named name: String, batch: Examples, rules: [(String, any Rule)], inBothFormats: Bool = false,
  classes: Int = 10, measuring measurement: Measurement = Measurement(), _ options: Options, _ backend: CPU
) throws {
  let rounds = options.rounds ?? measurement.rounds
  let peakBefore = backend.peakGigaflops()
  let ours = try rules.filter { options.only.isEmpty || $0.0.contains(options.only) }.map {
    try Contestant($0.0, model, $0.1, backend, batch)
  }
  var peers: [(name: String, peer: Peer, timing: Timing)] = []
  for channelsLast in inBothFormats ? [false, true] : [false] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pc-benchmark-\(UUID().uuidString)")
    try ours[0].trainer.network.hand(
      over: batch, model: name, learningRate: 1e-4, channelsLast: channelsLast, threads: options.threads,
      classes: classes, to: folder)
    let peer = try Peer(python: options.python, script: Peer.script, folder: folder.path)
    // Same start, same step: the losses after one step must agree.
    _ = try peer.steps(1)
    let theirs = try peer.loss()
    let check = try Contestant("check", model, Backprop(), backend, batch)
    try check.step(1)
    let mine = try check.trainer.network.meanLoss(on: check.feed) * Double(batch.count)
    guard abs(mine - theirs) < 1e-4 * abs(theirs) else {
      throw BenchmarkError("after one step our loss is \(mine), PyTorch's \(theirs)")
    }
    peers.append((channelsLast ? "PyTorch, channels last" : "PyTorch", peer, Timing()))
  }
  for contestant in ours { try contestant.step(measurement.warmUp, isCounted: false) }
  for peer in peers { _ = try peer.peer.steps(measurement.warmUp) }
  // A few steps of each in turn, so that all see the same moods of the machine.
  for round in 0..<rounds {
    for contestant in ours { try contestant.step(measurement.steps) }
    for index in peers.indices { peers[index].timing.seconds += try peers[index].peer.steps(measurement.steps) }
    FileHandle.standardError.write(Data("\rround \(round + 1) of \(rounds)".utf8))
  }
  FileHandle.standardError.write(Data("\n".utf8))
  let yardstick = peers.map(\.timing.median).min() ?? .nan
  let onePeak = max(peakBefore, backend.peakGigaflops())
  let peak = Double(options.threads) * onePeak
  print(
    "\(name), batch \(batch.count), \(backend.instructionSet.rawValue), peak \(format(onePeak, 0)) GFLOP/s a core, \(options.threads) threads"
  )
  let leastYardstick = peers.map(\.timing.least).min() ?? .nan
  print("| step | median ms | min ms | × floor (median) | × PyTorch (median) | × PyTorch (min) | MB |")
  print("|---|---|---|---|---|---|---|")
  for contestant in ours {
    let floor = Double(2 * contestant.multiplyAdds) / (peak * 1e9)
    print(
      "| \(contestant.name) | \(format(contestant.timing.median * 1e3)) | \(format(contestant.timing.least * 1e3)) "
        + "| \(format(contestant.timing.median / floor)) (\(format(2e-9 * Double(contestant.multiplyAdds), 3)) GFLOP) "
        + "| \(format(contestant.timing.median / yardstick)) | \(format(contestant.timing.least / leastYardstick)) "
        + "| \(format(try Double(contestant.byteCount()) * 1e-6, 1)) |")
  }
  for peer in peers {
    print("| \(peer.name) | \(format(peer.timing.median * 1e3)) | \(format(peer.timing.least * 1e3)) | | | | |")
  }
}

@main
struct Benchmarks {
  static func main() {
    do {
      try run()
    } catch {
      FileHandle.standardError.write(Data("error: \(error)\n".utf8))
      exit(1)
    }
  }

  static func run() throws {
    let options = try Options(Array(CommandLine.arguments.dropFirst()))
    let backend = try CPU(threads: options.threads, instructionSet: options.isa)
    switch options.work {
    case "cnn":
      try compare(
        try Model.cnn(ImageTask(inputShape: [3, 32, 32], classes: 10)), named: "cnn",
        batch: randomBatch([3, 32, 32], 64),
        rules: [
          ("fixed predictions, stepwise, T = 100", FixedPredictions(steps: 100, rate: 0.2)),
          ("fixed predictions, closed form, T = 100", FixedPredictions(steps: 100, rate: 0.2, solver: .closedForm)),
          ("fixed predictions, equilibrium", FixedPredictions(solver: .equilibrium)), ("backprop", Backprop()),
        ], inBothFormats: true, options, backend)
    case "mlp":
      try compare(
        try Model.mlp(
          ImageTask(inputShape: [1, 28, 28], classes: 10), hidden: Array(repeating: 512, count: 8),
          loss: .squaredError),
        named: "mlp", batch: randomBatch([1, 28, 28], 128),
        rules: [
          ("fixed predictions, stepwise, T = 100", FixedPredictions(steps: 100, rate: 0.1)),
          ("standard predictive coding, T = 100", StandardPredictiveCoding(steps: 100, rate: 0.1)),
          ("fixed predictions, closed form, T = 100", FixedPredictions(steps: 100, rate: 0.1, solver: .closedForm)),
          ("backprop", Backprop()),
        ], options, backend)
    case "rnn":
      let rules: [(String, any Rule)] = [
        ("time-reversed, stepwise, T = 100", FixedPredictions(steps: 100, rate: 0.1, order: .timeReversed)),
        (
          "time-reversed, closed form, T = 100",
          FixedPredictions(steps: 100, rate: 0.1, solver: .closedForm, order: .timeReversed)
        ), ("backprop", Backprop()),
      ]
      for count in [64, 1] {
        try compare(
          nameClassifier(), named: "rnn",
          batch: randomText(length: 10, letters: 57, labels: 1, classes: 18, count), rules: rules, classes: 18,
          options, backend)
      }
    case "lstm":
      try compare(
        nextCharacter(length: options.length), named: "lstm",
        batch: randomText(length: options.length, letters: 65, labels: options.length, classes: 65, 64),
        rules: [
          ("time-reversed, stepwise, T = 200", FixedPredictions(steps: 200, rate: 0.1, order: .timeReversed)),
          (
            "time-reversed, closed form, T = 200",
            FixedPredictions(steps: 200, rate: 0.1, solver: .closedForm, order: .timeReversed)
          ), ("backprop", Backprop()),
        ], classes: 65, measuring: Measurement(rounds: 5, steps: 1, warmUp: 1), options, backend)
    default:
      // Cost against T: linear for the steps, flat for the closed form.
      let batch = randomBatch([3, 32, 32], 64)
      let model = try Model.cnn(ImageTask(inputShape: [3, 32, 32], classes: 10))
      print("| T | stepwise ms (median of 5) | ms a step | closed form ms |")
      print("|---|---|---|---|")
      for steps in [1, 3, 10, 30, 100, 300, 1000] {
        let stepwise = try Contestant("", model, FixedPredictions(steps: steps, rate: 0.2), backend, batch)
        let closed = try Contestant(
          "", model, FixedPredictions(steps: steps, rate: 0.2, solver: .closedForm), backend, batch)
        for contestant in [stepwise, closed] {
          try contestant.step(2, isCounted: false)
          try contestant.step(5)
        }
        print(
          "| \(steps) | \(format(stepwise.timing.median * 1e3)) | \(format(stepwise.timing.median * 1e3 / Double(steps), 3)) "
            + "| \(format(closed.timing.median * 1e3)) |")
      }
    }
  }
}
