import PredictiveCoding
import Testing

enum PredictiveCodingPage {
  static func run() throws {
    let digits = try NamedDataset.digits.load().normalized(.standardised)
    let model = Model { graph in
      let image = graph.input("image", [.batch, 1, 8, 8])
      let hidden = Dense("hidden", 64, activation: .tanh)(flatten(image))
      let gate = Dense("gate", 64, activation: .sigmoid)(hidden)
      let mixed = graph.vertex("mixed") { gate * hidden }
      let output = Dense("output", 10)(mixed)
      graph.loss(.crossEntropy(output, graph.labels("label", classes: 10)))
    }
    let trainer = try Trainer(
      model, rule: FixedPredictions(steps: 100, rate: 0.2),
      optimizer: Adam(learningRate: 1e-3), on: CPU(), seed: 7)
    for epoch in 1...5 {
      print(try trainer.trainEpoch(epoch, on: digits.training, batchSize: 64))
    }
    print(try trainer.evaluate(digits.test).accuracy)
    #expect(try trainer.evaluate(digits.test).accuracy > 0.85)
  }
}
