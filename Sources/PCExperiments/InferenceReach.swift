import PCKernels
import PCLearning

/// How near the gradients come to backprop's as inference takes more steps: measured on a few examples in Double, so
/// that nothing but the rule stands between the two.
package struct InferenceReach: Sendable {
  package struct Point: Sendable {
    package var steps: Int
    package var table: GradientTable
  }

  package struct Curve: Sendable {
    package var rule: RuleSettings
    /// In the order of their steps.
    package var points: [Point]
    /// The gradients after the rule's own number of steps.
    package var final: Point
  }

  /// One for each rule that takes steps.
  package var curves: [Curve]
  package var examples: Int

  static let steps = [1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100]
}

extension Experiment {
  /// The gradients after 1 … 100 steps beside backprop's, for every rule that takes steps; at the initial parameters of
  /// the first seed, on the first examples that training sees.
  ///
  /// Cost: two thousand feedforward passes of 4 examples on the reference backend: under a second on small nets, a minute
  /// on the paper's CNN.
  package func inferenceReach() throws -> InferenceReach {
    let seed = settings.seeds[0]
    let examples = min(4, settings.batchSize)
    let feed = try firstBatch(seed: seed, batchSize: examples)
    let network = try Network(model, on: Reference(), seed: seed)
    let iterative = settings.rules.filter { $0.name.isIterative && $0.steps != nil }
    return InferenceReach(
      curves: try iterative.map { rule in
        func point(_ steps: Int) throws -> InferenceReach.Point {
          .init(steps: steps, table: try GradientTable(network, rule: rule.rule(steps: steps), on: feed))
        }
        return InferenceReach.Curve(
          rule: rule, points: try InferenceReach.steps.map(point), final: try point(rule.steps ?? 0))
      }, examples: examples)
  }
}
