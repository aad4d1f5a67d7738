import Foundation
import PredictiveCoding
import Testing

enum ResumingARun {
  static func run() throws {
    let reading = try Reading("ResumingARun")

    try reading.shell()

    try reading.shell()

    try reading.shell()

    let digits = try NamedDataset.digits.load().normalized(.standardised)
    let batches = (digits.training.count + 63) / 64

    /// Trains for four epochs, from the start or from the checkpoint there is.
    func train(keeping file: String, updates: Int = .max) throws -> Trainer {
      let model = Model { graph in
        let image = graph.input("image", [.batch, 1, 8, 8])
        let hidden = Dense("hidden", 32, activation: .tanh)(flatten(image))
        let output = Dense("output", 10)(hidden)
        graph.loss(.crossEntropy(output, graph.labels("label", classes: 10)))
      }
      let trainer = try Trainer(
        model, rule: FixedPredictions(steps: 20, rate: 0.2),
        optimizer: Adam(learningRate: 3e-3), on: CPU(), seed: 7)
      if FileManager.default.fileExists(atPath: file) {
        try trainer.restore(Checkpoint(path: file))
      }
      while trainer.updateCount < min(4 * batches, updates) {
        let epoch = trainer.updateCount / batches + 1
        try trainer.trainEpoch(
          epoch, on: digits.training, batchSize: 64,
          maximalUpdates: updates - trainer.updateCount
        ) { batch, _, _ in
          if batch % 10 == 0 { try trainer.checkpoint().write(to: file) }
        }
      }
      return trainer
    }

    let whole = try train(keeping: "whole.safetensors")
    _ = try train(keeping: "parts.safetensors", updates: 37)
    let kept = try Checkpoint(path: "parts.safetensors")
    print("kept after", kept.state.updateCount, "updates")
    let resumed = try train(keeping: "parts.safetensors")
    print("equal:", resumed.network.parameters() == whole.network.parameters())

    reading.end()
  }
}
