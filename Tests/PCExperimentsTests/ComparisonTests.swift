import Foundation
import PredictiveCoding
import Testing

struct ComparisonTests {
  private func choices(_ rules: [NamedRule]) -> Choices {
    var choices = Choices(rules: rules)
    choices.hidden = [12]
    choices.epochs = 2
    choices.maximalSteps = 40
    choices.seed = 5
    choices.seedCount = 2
    return choices
  }

  @Test func `rules that give the same gradient learn the same`() throws {
    var choices = choices([.fixed, .backprop])
    choices.solver = PerRule(.equilibrium)
    choices.backend = .reference
    choices.maximalSteps = 6
    let rules = try Experiment(Settings(choices)).compare().rules
    for (fixed, backprop) in zip(rules[0].runs, rules[1].runs) {
      #expect(fixed.testAccuracy == backprop.testAccuracy)
      for (a, b) in zip(fixed.trainLoss, backprop.trainLoss) { #expect(abs(a - b) < 1e-12) }
      #expect(fixed.gradientShortfall < 1e-12)
      #expect(abs(fixed.gradientCosine - 1) < 1e-12)
    }
  }

  @Test func `steps are counted over epochs and end the run`() throws {
    var steps: [StepProgress] = []
    var epochs: [EpochProgress] = []
    let comparison = try Experiment(Settings(choices([.backprop]))).compare { progress in
      switch progress {
      case .step(let step): steps.append(step)
      case .epoch(let epoch): epochs.append(epoch)
      case .messages, .sample: break
      }
    }
    // 1437 images in batches of 64 make 23 steps an epoch; 17 are left for the second.
    #expect(steps.map(\.step) == Array(1...40) + Array(1...40))
    #expect(steps.map(\.epoch).count { $0 == 2 } == 2 * 17)
    #expect(epochs.map(\.isLast) == [false, true, false, true])
    #expect(epochs.map(\.epochs) == [2, 2, 2, 2])
    var single = choices([.backprop])
    single.maximalSteps = 23
    _ = try Experiment(Settings(single)).train { progress in
      if case .epoch(let epoch) = progress { #expect(epoch.epochs == 1 && epoch.isLast) }
    }
    #expect(comparison.rules[0].runs.map(\.stepSeconds.count) == [40, 40])
    #expect(comparison.rules[0].runs.map(\.seed) == [5, 6])
  }

  @Test func `the last batch is the one that was trained on last`() throws {
    var choices = choices([.standard])
    choices.seedCount = 1
    choices.backend = .reference
    choices.maximalSteps = 24
    let experiment = try Experiment(Settings(choices))
    let (result, network) = try experiment.train()
    let batches = try BatchSequence(
      experiment.data.training, batchSize: 64, order: .shuffled(seed: 5, epoch: 2))
    let feed = try Feed(batches[0], for: experiment.model.graph)
    let expected = try network.gradients(StandardPredictiveCoding(), on: feed)
      .compared(with: network.gradients(Backprop(), on: feed))
    #expect(result.runs[0].gradientShortfall == expected.relativeError)
    #expect(result.runs[0].gradientCosine == expected.cosine)
  }

  @Test func `accuracies are the network's own on the test images`() throws {
    var choices = choices([.backprop])
    choices.seedCount = 1
    let experiment = try Experiment(Settings(choices))
    let (result, network) = try experiment.train()
    #expect(result.testAccuracy.last == (try network.evaluate(experiment.data.test).accuracy))
    #expect(result.testAccuracy.allSatisfy { (0...1).contains($0) })
  }

  @Test(
    arguments: [(NamedOptimizer?.none, 0.002), (.momentum, 0.0002)], [GradientReduction?.none, .meanOverExamples])
  func `a step is the recipe's`(
    _ optimizer: (name: NamedOptimizer?, rateOfSum: Double), _ reduction: GradientReduction?
  ) throws {
    var choices = Choices(rules: [.backprop])
    choices.model = .cnn
    choices.backend = .reference
    choices.batchSize = 8
    choices.maximalSteps = 1
    choices.optimizer = optimizer.name
    choices.reduction = reduction
    let experiment = try Experiment(Settings(choices))
    let (_, network) = try experiment.train()

    let start = try Network(experiment.model, on: Reference(), seed: 0)
    let batches = try BatchSequence(experiment.data.training, batchSize: 8, order: .shuffled(seed: 0, epoch: 1))
    let gradients = try start.gradients(Backprop(), on: Feed(batches[0], for: experiment.model.graph))
    // θ − η Σ g, or θ − 50 η · mean g: the documented 0.1 of means is 50 × the 0.002 of sums.
    let factor = reduction == nil ? optimizer.rateOfSum : 50 * optimizer.rateOfSum / 8
    for parameter in experiment.model.graph.parameters {
      let before = start.parameter(parameter.name).values
      let after = network.parameter(parameter.name).values
      let gradient = try #require(gradients[parameter.name]).values
      let largest = zip(zip(before, after), gradient).map { abs($0.1 - ($0.0 - factor * $1)) }.max() ?? .nan
      #expect(largest < 1e-14, "\(parameter.name) is \(largest) off")
      #expect(before != after)
    }
  }

  @Test(arguments: [(NamedModel.cnn, -1.0, 1.0), (.mlp, nil, nil)] as [(NamedModel, Double?, Double?)])
  func `pixels are normalised as the model wants`(_ model: NamedModel, _ low: Double?, _ high: Double?) throws {
    var choices = Choices()
    choices.model = model
    let data = try Experiment(Settings(choices)).data
    let pixels = data.training.batch(0..<data.training.count).inputs.map(Double.init)
    if let low, let high {
      #expect(pixels.min() == low && pixels.max() == high)
    } else {
      let mean = pixels.reduce(0, +) / Double(pixels.count)
      let variance = pixels.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(pixels.count)
      #expect(abs(mean) < 1e-5 && abs(variance - 1) < 1e-5)
    }
  }

  @Test func `JSON has the documented keys, means over the seeds`() throws {
    let comparison = try Experiment(Settings(choices([.fixed, .backprop]))).compare()
    let line = comparison.json.description
    #expect(!line.contains("\n"))
    let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    let rules = try #require(object["rules"] as? [String: [String: Any]])
    #expect(Set(rules.keys) == ["fixed", "backprop"])
    let fixed = try #require(rules["fixed"])
    #expect(fixed["solver"] as? String == "stepwise")
    #expect(fixed["steps"] as? Int == 100)
    #expect(fixed["rate"] as? Double == 0.2)
    let means = try #require(fixed["testAccuracy"] as? [Double])
    let seeds = try #require(fixed["seeds"] as? [[String: Any]])
    #expect(seeds.compactMap { $0["seed"] as? Int } == [5, 6])
    for epoch in 0..<2 {
      let each = seeds.compactMap { ($0["testAccuracy"] as? [Double])?[epoch] }
      #expect(abs(means[epoch] - (each[0] + each[1]) / 2) < 1e-15)
    }
    #expect((fixed["trainLoss"] as? [Double])?.count == 2)
    #expect(((fixed["stepMilliseconds"] as? [String: Any])?["median"] as? Double ?? 0) > 0)
    #expect((fixed["gradientShortfall"] as? Double ?? 1) < 1e-5)
    #expect(abs((fixed["gradientCosine"] as? Double ?? 0) - 1) < 1e-6)
    let backprop = try #require(rules["backprop"])
    #expect(Set(backprop.keys) == Set(fixed.keys))
    #expect(backprop["steps"] is NSNull)
  }

  @Test func `a run that diverges names vertex, step and remedy`() throws {
    var choices = choices([.fixed])
    choices.model = .cnn
    choices.hidden = nil
    choices.learningRate = PerRule(1e10)
    let experiment = try Experiment(Settings(choices))
    let error = #expect(throws: TrainingError.self) { try experiment.train() }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.contains("not finite") && message.contains("lower the learning rate"), "\(message)")
  }

  @Test(arguments: [
    // The last update leaves Float's range.
    (NamedModel.mlp, NamedRule.fixed, 3e38, "hidden1.bias", "the rate (0.2) or the learning rate"),
    (.mlp, .backprop, 3e38, "hidden1.bias", "; lower the learning rate"),
    // Parameters of 1e25 are finite; squares of outputs are not.
    (.mlp, .backprop, 1e25, "the loss on the test images", "; lower the learning rate"),
    // With weights of 1e3 standard inference no longer settles.
    (.branching, .standard, 1e3, "the gradient", "the rate (0.1) or the learning rate"),
  ])
  func `what is not finite after the last update is an error`(
    _ model: NamedModel, _ rule: NamedRule, _ learningRate: Double, _ what: String, _ remedy: String
  ) throws {
    var choices = Choices(rules: [rule])
    choices.model = model
    choices.hidden = model == .mlp ? [8] : nil
    choices.loss = learningRate == 1e25 ? .squaredError : nil
    // The sum over so many examples times the largest rate that Float holds is more than it holds.
    choices.batchSize = model == .mlp ? 256 : 8
    choices.reduction = model == .mlp ? .sum : nil
    choices.maximalSteps = 1
    choices.optimizer = .sgd
    choices.learningRate = PerRule(learningRate)
    choices.seed = 3
    let experiment = try Experiment(Settings(choices))
    var epochs = 0
    let error = #expect(throws: DivergenceError.self) {
      try experiment.train { if case .epoch = $0 { epochs += 1 } }
    }
    let message = error?.description ?? ""
    #expect(epochs == 0, "a result was announced")
    for part in ["rule \(rule.rawValue) and seed 3", what, "after update 1", remedy] {
      #expect(message.contains(part), "\(message)")
    }
  }

  @Test func `statistics of a known sample`() {
    let sample = Statistics([4, 1, 3, 8])
    #expect(sample.mean == 4)
    #expect(sample.median == 3.5)
    // Squares of −3, −1, 0, 4 sum to 26.
    #expect(abs(sample.deviation - (26.0 / 3).squareRoot()) < 1e-15)
    #expect((sample.minimum, sample.maximum, sample.count) == (1, 8, 4))
    #expect(Statistics([2]).deviation == 0)
    #expect(Statistics([]).median.isNaN)
  }

  @Test func `the report is one well-formed page that needs nothing else`() throws {
    var choices = choices([.fixed, .standard, .backprop])
    choices.maximalSteps = 25
    let experiment = try Experiment(Settings(choices))
    let comparison = try experiment.compare()
    let record = RunRecord(experiment, command: ["pcgraph", "compare", "<&>"], commit: "abc", started: 0, seconds: 1)
    let page = comparison.report(record, graph: experiment.model.graph, reach: try experiment.inferenceReach())
      .document
    let root = try #require(XMLElementTree.parse(page.replacingOccurrences(of: "<!DOCTYPE html>", with: "")))
    #expect(root.all("svg").count == 4)
    #expect(root.all("script").isEmpty && root.all("img").isEmpty)
    let links = (root.all("link") + root.all("a")).compactMap { $0.attributes["href"] }
    #expect(links.allSatisfy { $0.hasPrefix("#") || $0.hasPrefix("data:") }, "\(links)")
    #expect(!page.contains("url("))
    for words in ["fixed predictions", "standard predictive coding", "backprop", "1970-01-01T00:00:00Z", "d = 1"] {
      #expect(root.text.contains(words), "\(words)")
    }
  }
}
