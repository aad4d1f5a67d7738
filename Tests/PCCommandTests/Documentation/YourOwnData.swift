import Foundation
import PredictiveCoding
import Testing

enum YourOwnData {
  static func run() throws {
    let reading = try Reading("YourOwnData")

    try reading.write("flowers.csv")

    try reading.shell()
    #expect(reading.has("flowers/checkpoints/last.safetensors"))

    #expect(try reading.shell().contains("accuracy"))

    try reading.write("new.csv")

    try reading.shell()
    let answers = try String(contentsOfFile: "answers.csv", encoding: .utf8)
    #expect(answers.split(separator: "\n").map { $0.split(separator: ",").count } == [3, 3, 3])

    let flowers = try Model.load(from: "flowers", on: CPU())
    for example: [Float] in [[1.5, 0.3], [4.2, 1.2], [6.0, 2.2]] {
      let scores = try flowers.predict(example)
      print("species", scores.indices.max { scores[$0] < scores[$1] } ?? 0)
    }

    let table = try ArrayFiles("flowers.csv", labelColumn: "species")
      .load(seed: 0)
    print("kept apart:", try flowers.evaluate(table.test).evaluation.accuracy)

    var pixels: [Float] = []
    var labels: [Int32] = []
    var noise = RandomStream(seed: 1, "stripes")
    for example in 0..<200 {
      let isUpright = example % 2 == 0
      for row in 0..<8 {
        for column in 0..<8 {
          let place = (isUpright ? column : row) + example / 2
          pixels.append((place % 4 < 2 ? 1 : 0) + 0.3 * Float(noise.normal()))
        }
      }
      labels.append(isUpright ? 1 : 0)
    }
    try NamedArray(name: "images", shape: [200, 8, 8], values: .float32(pixels))
      .writeNPY(to: "images.npy")
    try NamedArray(name: "labels", shape: [200], values: .int32(labels))
      .writeNPY(to: "labels.npy")

    try reading.shell()
    #expect(reading.has("stripes/results.json") && reading.has("scores.npy"))

    let data = try ArrayFiles("images.npy", labels: "labels.npy").load(seed: 7)
      .normalized(.standardised)
    let classes = data.training.classes
    let model = Model { graph in
      let image = graph.input("image", [.batch, 1, 8, 8])
      let layer = Convolution2D("layer", filters: 4, kernel: 3, activation: .relu)
      let output = Dense("output", classes)(flatten(layer(image)))
      graph.loss(.crossEntropy(output, graph.labels("label", classes: classes)))
    }
    let trainer = try Trainer(
      model, rule: FixedPredictions(solver: .automatic),
      optimizer: Adam(learningRate: 1e-2), on: CPU(), seed: 7)
    for epoch in 1...20 {
      try trainer.trainEpoch(epoch, on: data.training, batchSize: 32)
    }
    print("stripes told apart:", try trainer.evaluate(data.test).accuracy)
    #expect(try trainer.evaluate(data.test).accuracy > 0.9)

    let inMemory = try Dataset(
      name: "stripes", inputs: pixels, labels: labels, inputShape: [1, 8, 8],
      classes: 2)
    print(inMemory.count, "images of shape", inMemory.inputShape)

    let curve = Model { graph in
      let x = graph.input("x", [.batch, 1])
      let hidden = Dense("hidden", 32, activation: .tanh)(x)
      let y = Dense("output", 1)(hidden)
      graph.loss(.squaredError(y, graph.input("sine", [.batch, 1])))
    }
    let batches = FeedSequence(count: 100) { number in
      let x = (0..<16).map { -3 + 6 * Double(number + 100 * $0) / 1600 }
      let y = x.map { sin($0) }
      return Feed(count: 16, ["x": .doubles(x), "sine": .doubles(y)])
    }
    let fitter = try Trainer(
      curve, rule: FixedPredictions(solver: .automatic),
      optimizer: Adam(learningRate: 1e-2), on: CPU(), seed: 1)
    for epoch in 1...20 { try fitter.trainEpoch(epoch, on: batches) }
    let loss = try fitter.network.meanLoss(on: batches.feed(0))
    print("mean of ½ (y − sin x)²:", loss)
    #expect(loss < 0.01)

    reading.end()
  }
}
