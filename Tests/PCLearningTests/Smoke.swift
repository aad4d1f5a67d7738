import PredictiveCoding
import Testing

@Test func scalarGraph() throws {
  for grouped in [true, false] {
    let model = Model { graph in
      let v0 = graph.input("v0", [.batch])
      let theta = graph.input("theta", [.batch])
      let a = theta * v0
      let b = sqrt(a)
      let c = graph.vertex("square") { v0 * v0 }
      let y = grouped ? graph.vertex("y") { tan(b) + sin(c) } : tan(b) + sin(c)
      graph.loss(.squaredError(y, graph.input("target", [.batch])))
    }
    for v in model.graph.vertices { print(v.name, v.kind, v.operands) }
    print(model.graph.messageDepths())
    let net = try Network(model, on: Reference(), seed: 1)
    let feed = Feed(count: 1, ["v0": .doubles([5]), "theta": .doubles([2]), "target": .doubles([1])])
    for rule: any Rule in [
      Backprop(), FixedPredictions(steps: 100, rate: 0.1),
      FixedPredictions(steps: 100, rate: 0.1, solver: .closedForm), FixedPredictions(solver: .equilibrium),
      StandardPredictiveCoding(steps: 10),
    ] {
      let run = try net.run(rule, on: feed, gradientOf: ["v0", "theta"])
      run.runAll()
      print(
        rule.name, rule.solverName ?? "", run.gradient(ofInput: "v0").values, run.gradient(ofInput: "theta").values,
        run.losses(), run.plan.program.buffers.count)
    }
  }
}

@Test func digits() throws {
  let digits = try NamedDataset.digits.load().normalized(.standardised)
  let model = try Model.mlp(ImageTask(inputShape: [1, 8, 8], classes: 10), hidden: [32])
  for rule: any Rule in [
    Backprop(), FixedPredictions(steps: 20, rate: 0.2), FixedPredictions(steps: 20, solver: .closedForm),
    StandardPredictiveCoding(),
  ] {
    let trainer = try Trainer(model, rule: rule, optimizer: Adam(learningRate: 1e-3), on: CPU(), seed: 7)
    let clock = ContinuousClock()
    let s = clock.now
    print(try trainer.trainEpoch(1, on: digits.training, batchSize: 64))
    print(rule.name, try trainer.evaluate(digits.test), clock.now - s)
    let feed = try Feed(digits.training.batch(0..<8), for: model.graph)
    print(try trainer.gradientComparison(on: feed))
  }
}
