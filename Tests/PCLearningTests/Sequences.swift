import PredictiveCoding
import Testing

@Test func sequencesSmoke() throws {
  let model = Model { graph in
    let x = graph.input("x", [.batch, 6, 5])
    let label = graph.labels("label", classes: 3)
    let out = LSTM("lstm", 4)(x)
    let out2 = GRU("gru", 3)(out.stacked(), reversed: true)
    let head = Dense("head", 3)(concatenate([out.last[0], out2.last[0]], axis: 1))
    graph.loss(.crossEntropy(head, label))
  }
  let net = try Network(model, on: Reference(), seed: 1)
  var source = RandomStream(seed: 1, "x")
  let feed = Feed(count: 2, ["x": .doubles((0..<60).map { _ in source.normal() }), "label": .integers([0, 2])])
  let exact = try net.gradients(Backprop(), on: feed)
  for rule in [
    FixedPredictions(steps: 200, rate: 0.1), FixedPredictions(steps: 30, rate: 0.1),
    FixedPredictions(steps: 30, rate: 0.1, solver: .closedForm),
    FixedPredictions(steps: 200, rate: 0.1, order: .timeReversed),
    FixedPredictions(steps: 30, rate: 0.1, order: .timeReversed),
    FixedPredictions(steps: 30, rate: 0.1, solver: .closedForm, order: .timeReversed),
    FixedPredictions(solver: .equilibrium),
  ] {
    let g = try net.gradients(rule, on: feed)
    print(rule.planKey, rule.steps, g.compared(with: exact), g.norm)
  }
  let a = try net.gradients(FixedPredictions(steps: 30, rate: 0.1, order: .timeReversed), on: feed)
  let b = try net.gradients(
    FixedPredictions(steps: 30, rate: 0.1, solver: .closedForm, order: .timeReversed), on: feed)
  #expect(a.compared(with: b).relativeError < 1e-12)
}
