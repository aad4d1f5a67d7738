import PredictiveCoding
import Testing

enum ChoosingRuleAndSolver {
  static func run() throws {
    let reading = try Reading("ChoosingRuleAndSolver")

    let digits = try NamedDataset.digits.load().normalized(.standardised)
    let task = ImageTask(inputShape: [1, 8, 8], classes: 10)
    let model = try Model.branching(task)
    let network = try Network(model, on: Reference(), seed: 1)
    let images = try Feed(digits.training.batch(0..<4), for: model.graph)

    let enough = (1...1000).first { steps in
      Certificate(steps: steps, rate: 0.2).shortfall(5) < 1e-3
    }
    print("\(enough ?? 0) steps")

    let run = try network.run(
      StandardPredictiveCoding(rate: 0.1), on: images, isMonitored: true)
    run.initialise()
    let relaxation = run.relax(until: 1e-2, limit: 1000)
    print(relaxation.outcome, "after \(relaxation.steps) steps")

    let stepwise = try network.gradients(
      FixedPredictions(steps: 20, rate: 0.2, solver: .stepwise), on: images)
    let closedForm = try network.gradients(
      FixedPredictions(steps: 20, rate: 0.2, solver: .closedForm), on: images)
    print(closedForm.compared(with: stepwise).relativeError < 1e-12)

    print(FixedPredictions(steps: 100, rate: 0.2).choice(for: model.graph))
    print(FixedPredictions(steps: 2, rate: 0.2).choice(for: model.graph))

    try reading.shell()

    let sequence = Model(length: 12) { graph, length in
      let x = graph.input("x", [.batch, .fixed(length), 3])
      let last = RNN("rnn", 8)(x).last[0]
      let y = Dense("readout", 2)(last)
      graph.loss(.squaredError(y, graph.input("target", [.batch, 2])))
    }
    let reader = try Network(sequence, on: Reference(), seed: 1)
    var random = RandomStream(seed: 1, "sequences")
    let numbers = (0..<72).map { _ in random.normal() }
    let pair = Feed(
      count: 2, ["x": .doubles(numbers), "target": .doubles([1, 0, 0, 1])])
    let exact = try reader.gradients(Backprop(), on: pair)
    for order in FixedPredictions.Schedule.allCases {
      let rule = FixedPredictions(steps: 50, rate: 0.2, order: order)
      let found = try reader.gradients(rule, on: pair).compared(with: exact)
      let distance = NumberText.significant(found.relativeError, digits: 2)
      print("\(order.rawValue): \(distance)")
    }

    reading.end()
  }
}
