import Models
import PredictiveCoding

let digits = try NamedDataset.digits.load().normalized(.standardised)
let trainer = try Trainer(
  cubic, rule: FixedPredictions(steps: 50, rate: 0.2), optimizer: Adam(learningRate: 3e-3), on: CPU(), seed: 1)
for epoch in 1...5 { print(try trainer.trainEpoch(epoch, on: digits.training, batchSize: 64)) }
print("test accuracy", try trainer.evaluate(digits.test).accuracy)
