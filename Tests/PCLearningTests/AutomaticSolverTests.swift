import PredictiveCoding
import Testing

/// `automatic` chooses by the number of backward passes, and changes no message by it.
@Suite struct AutomaticSolverTests {
  private static let task = ImageTask(inputShape: [1, 8, 8], classes: 10)

  /// Where nothing is saturated and nothing negligible, each depth that T steps reach is a pass.
  @Test(arguments: NamedModel.allCases) func passesAreDistinctDepths(_ name: NamedModel) throws {
    let graph = try name.build(Self.task).graph
    let depths = Set(graph.batchedVertices.flatMap { graph.messageDepths()[$0] })
    for steps in [1, 2, 3, 50] {
      let choice = FixedPredictions(steps: steps, rate: 0.5, solver: .automatic).choice(for: graph, epsilon: 1e-300)
      #expect(choice.passes == depths.count { $0 <= steps }, "\(name), T = \(steps): \(choice)")
      #expect(choice.solver == (choice.passes <= steps ? .closedForm : .stepwise))
    }
    // With one step for each vertex everything has arrived.
    let whole = FixedPredictions(steps: 50, rate: 1, solver: .automatic).choice(for: graph)
    #expect(whole.passes == 1 && whole.solver == .closedForm)
  }

  @Test func gradientsAreThoseOfTheSteps() throws {
    let model = try NamedModel.branching.build(Self.task)
    let feed = Feed(
      count: 3,
      [
        "image": .doubles(Fixture.numbers([3, 64], stream: 1, scale: 1)), "label": .integers([1, 2, 3]),
      ])
    let network = try Network(model, on: Reference(), seed: 5)
    for steps in [1, 4, 30] {
      let automatic = try network.gradients(FixedPredictions(steps: steps, solver: .automatic), on: feed)
      let stepwise = try network.gradients(FixedPredictions(steps: steps), on: feed)
      #expect(automatic.compared(with: stepwise).relativeError < 1e-13, "T = \(steps)")
    }
    let trainer = try Trainer(
      model, rule: FixedPredictions(solver: .automatic), optimizer: Adam(), on: Reference(), seed: 1)
    #expect(trainer.rule.solverName == "closed-form")
  }
}
