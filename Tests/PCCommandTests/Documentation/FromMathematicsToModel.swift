import PredictiveCoding
import Testing

enum FromMathematicsToModel {
  static func run() throws {
    let reading = try Reading("FromMathematicsToModel")

    let chain = Model { graph in
      let x = graph.input("x", [.batch, 1])
      let w = graph.parameter("w", [1], .values([0.5]))
      let u = graph.parameter("u", [1], .values([2]))
      let hidden = graph.vertex("hidden") { tanh(w * x) }
      let y = graph.vertex("y") { u * hidden }
      graph.loss(.squaredError(y, graph.input("target", [.batch, 1])))
    }
    print(chain.graph)

    let network = try Network(chain, on: Reference(), seed: 0)
    let example = Feed(count: 1, ["x": .doubles([1]), "target": .doubles([2])])
    let inference = try network.run(FixedPredictions(rate: 0.5), on: example)
    inference.initialise()
    for step in 0...6 {
      let error = inference["hidden"].message.values[0]
      print("after \(step) steps:", NumberText.significant(error, digits: 4))
      inference.step()
    }

    let certificate = Certificate(steps: 100, rate: 0.2)
    for depth in [1, 2, 5, 10] {
      let missing = NumberText.significant(certificate.shortfall(depth))
      print("d = \(depth): \(missing) is missing")
    }

    let backprop = try network.gradients(Backprop(), on: example)
    let rules: [any Rule] = [
      FixedPredictions(steps: 100, rate: 0.2),
      StandardPredictiveCoding(steps: 100, rate: 0.2),
    ]
    for rule in rules {
      let gradients = try network.gradients(rule, on: example)
      let distance = gradients.compared(with: backprop).relativeError
      print(rule.name, NumberText.significant(distance))
    }
    // What the page works out by hand.
    let settled = try network.run(StandardPredictiveCoding(steps: 100, rate: 0.2), on: example)
    settled.runAll()
    #expect(abs(settled["hidden"].value.values[0] - 0.892) < 5e-4)
    #expect(abs(settled["hidden"].message.values[0] - 0.430) < 5e-4)

    let digits = try NamedDataset.digits.load().normalized(.standardised)
    let model = Model { graph in
      let image = graph.input("image", [.batch, 1, 8, 8])
      let hidden = Dense("hidden", 64, activation: .tanh)(flatten(image))
      let gate = Dense("gate", 64, activation: .sigmoid)(hidden)
      let mixed = graph.vertex("mixed") { gate * hidden }
      let output = Dense("output", 10)(mixed)
      graph.loss(.crossEntropy(output, graph.labels("label", classes: 10)))
    }

    let fourImages = try Feed(digits.training.batch(0..<4), for: model.graph)
    let untrained = try Network(model, on: Reference(), seed: 7)
    let table = try GradientTable(
      untrained, rule: FixedPredictions(steps: 20, rate: 0.2), on: fourImages)
    print(table.table)

    let trainer = try Trainer(
      model, rule: FixedPredictions(steps: 100, rate: 0.2),
      optimizer: Adam(learningRate: 3e-3), on: CPU(), seed: 7)
    for epoch in 1...10 {
      print(try trainer.trainEpoch(epoch, on: digits.training, batchSize: 64))
    }
    let accuracy = try trainer.evaluate(digits.test).accuracy
    print("test accuracy", accuracy)
    #expect(abs(accuracy - 0.91) < 0.03)

    let yardstick = try Trainer(
      model, rule: Backprop(),
      optimizer: Adam(learningRate: 3e-3), on: CPU(), seed: 7)
    for epoch in 1...10 {
      try yardstick.trainEpoch(epoch, on: digits.training, batchSize: 64)
    }
    print("by backprop", try yardstick.evaluate(digits.test).accuracy)
    #expect(try abs(yardstick.evaluate(digits.test).accuracy - accuracy) * Double(digits.test.count) < 2.5)

    try trainer.checkpoint().write(to: "digits.safetensors")
    #expect(reading.has("digits.safetensors"))

    let loaded = try Network(model, on: CPU(), seed: 0)
    try loaded.restoreParameters(of: Checkpoint(path: "digits.safetensors"))
    #expect(loaded.parameters() == trainer.network.parameters())

    let image = digits.test.batch(0..<1)
    var stream = FeedforwardStream(loaded)
    let scores = try stream.outputs(of: Feed(image, for: model.graph))
    let answer = scores.indices.max { scores[$0] < scores[$1] }
    print("this is a \(answer ?? 0); the label says \(image.labels[0])")
    #expect(answer == Int(image.labels[0]))

    reading.end()
  }
}
