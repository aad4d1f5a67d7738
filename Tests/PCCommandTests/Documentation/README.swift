import PredictiveCoding
import Testing

enum README {
  static func run() throws {
    let digits = try NamedDataset.digits.load().normalized(.standardised)
    let model = Model { graph in
      let image = graph.input("image", [.batch, 1, 8, 8])
      let hidden = Dense("hidden", 64, activation: .tanh)(flatten(image))  // one relaxed vertex
      let gate = Dense("gate", 64, activation: .sigmoid)(hidden)
      let mixed = graph.vertex("mixed") { gate * hidden }  // any operations, grouped as you like
      graph.loss(.crossEntropy(Dense("output", 10)(mixed), graph.labels("label", classes: 10)))
    }
    let trainer = try Trainer(
      model, rule: FixedPredictions(steps: 100, rate: 0.2), optimizer: Adam(learningRate: 1e-3), on: CPU(), seed: 7)
    for epoch in 1...5 { print(try trainer.trainEpoch(epoch, on: digits.training, batchSize: 64)) }
    print(try trainer.evaluate(digits.test).accuracy)

    let feed = try Feed(digits.training.batch(0..<64), for: model.graph)
    print(try trainer.gradientComparison(on: feed))  // relative error and cosine to backprop's gradient
    #expect(try trainer.gradientComparison(on: feed).relativeError < 1e-4)
    #expect(try trainer.evaluate(digits.test).accuracy > 0.85)
  }
}
