// Steps of ours and of PyTorch in turn, on the same data from the same weights, beside the machine's floor.
//
//   swift run -c release --package-path Benchmarks Benchmarks [cnn|mlp|steps] [--python PYTHON] [--rounds N]
//
// Every figure is a whole training step: batch in memory to updated parameters. The floor is the multiply-adds of the
// step (of stepwise rules, those of the T inference steps alone: 7.55 GFLOP for the CNN at T = 100) over the float32 FMA
// peak of two cores, measured before and after the timings. Quote ratios, not milliseconds.

import Foundation
import PredictiveCoding

struct Options {
  var work = "cnn"
  var python = "python3"
  var rounds = 20
  var isa: CPU.InstructionSet?
  var threads = 2

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      switch word {
      case "cnn", "mlp", "steps": work = word
      case "--python": python = rest.popFirst() ?? python
      case "--rounds": rounds = rest.popFirst().flatMap(Int.init) ?? rounds
      case "--threads": threads = rest.popFirst().flatMap(Int.init) ?? threads
      case "--isa": isa = rest.popFirst().flatMap(CPU.InstructionSet.init(rawValue:))
      default:
        throw BenchmarkError("unknown argument \(word); give cnn, mlp or steps, --python, --rounds, --threads, --isa")
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
  var timing = Timing()

  init(_ name: String, _ model: Model, _ rule: any Rule, _ backend: CPU, _ batch: Batch) throws {
    self.name = name
    trainer = try Trainer(
      model, rule: rule, optimizer: SGD(learningRate: 1e-4), reduction: .sum, on: backend, seed: 1)
    feed = try Feed(batch, for: model.graph)
    multiplyAdds = try trainer.floorMultiplyAdds(batchSize: batch.count)
  }

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

func randomBatch(_ shape: [Int], _ count: Int) -> Batch {
  var source = RandomStream(seed: 3, "benchmark")
  return Batch(
    inputs: (0..<(count * shape.reduce(1, *))).map { _ in Float(source.uniform() * 2 - 1) },
    labels: (0..<count).map { Int32($0 % 10) }, exampleIndices: Array(0..<count), inputShape: shape)
}

func compare(
  _ model: Model, named name: String, batch: Batch, rules: [(String, any Rule)], inBothFormats: Bool,
  _ options: Options, _ backend: CPU
) throws {
  let peakBefore = backend.peakGigaflops()
  let ours = try rules.map { try Contestant($0.0, model, $0.1, backend, batch) }
  var peers: [(name: String, peer: Peer, timing: Timing)] = []
  for channelsLast in inBothFormats ? [false, true] : [false] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pc-benchmark-\(UUID().uuidString)")
    try ours[0].trainer.network.hand(
      over: batch, model: name, learningRate: 1e-4, channelsLast: channelsLast, threads: options.threads,
      to: folder)
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
  for contestant in ours { try contestant.step(20, isCounted: false) }
  for peer in peers { _ = try peer.peer.steps(20) }
  // Five steps of each in turn, so that all see the same moods of the machine.
  for round in 0..<options.rounds {
    for contestant in ours { try contestant.step(5) }
    for index in peers.indices { peers[index].timing.seconds += try peers[index].peer.steps(5) }
    FileHandle.standardError.write(Data("\rround \(round + 1) of \(options.rounds)".utf8))
  }
  FileHandle.standardError.write(Data("\n".utf8))
  let yardstick = peers.map(\.timing.median).min() ?? .nan
  let onePeak = max(peakBefore, backend.peakGigaflops())
  let peak = Double(options.threads) * onePeak
  print(
    "\(name), batch \(batch.count), \(backend.instructionSet.rawValue), peak \(format(onePeak, 0)) GFLOP/s a core, \(options.threads) threads"
  )
  print("| step | median ms | min ms | × floor (median) | × PyTorch |")
  print("|---|---|---|---|---|")
  for contestant in ours {
    let floor = Double(2 * contestant.multiplyAdds) / (peak * 1e9)
    print(
      "| \(contestant.name) | \(format(contestant.timing.median * 1e3)) | \(format(contestant.timing.least * 1e3)) "
        + "| \(format(contestant.timing.median / floor)) (\(format(2e-9 * Double(contestant.multiplyAdds), 3)) GFLOP) "
        + "| \(format(contestant.timing.median / yardstick)) |")
  }
  for peer in peers {
    print("| \(peer.name) | \(format(peer.timing.median * 1e3)) | \(format(peer.timing.least * 1e3)) | | |")
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
        ], inBothFormats: false, options, backend)
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
