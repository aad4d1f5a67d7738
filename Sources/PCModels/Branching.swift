import PCGraphs
import PCLayers

extension Model {
  /// A net that no list of layers can express: branches, a gate, products of activations, and a weight used twice.
  ///
  /// A dense `encoder` feeds a `gate` (sigmoid) and two passes through one shared dense layer; the first pass is gated,
  /// `mixed` = gate · first + (1 − gate) · encoder, the second pass reads what the first left, and a product of the two
  /// goes with the gated mix to the head. A second loss trains an auxiliary head on the encoder.
  public static func branching(_ task: ImageTask, loss: LossKind = .crossEntropy) throws(ModelError) -> Model {
    let width = 64
    return Model { graph in
      let image = graph.input("image", Shape([.batch] + task.inputShape.map(Axis.fixed)))
      let label = graph.labels("label", classes: task.classes)
      let encoder = Dense("encoder", width, activation: .tanh)(flatten(image))
      let gate = Dense("gate", width, activation: .sigmoid)(encoder)
      let shared = Dense("shared", width, activation: .tanh)
      let first = shared(encoder)
      let mixed = graph.vertex("mixed") { gate * first + (1 - gate) * encoder }
      let second = shared(mixed)
      let product = graph.vertex("product") { first * second }
      let output = Dense("output", task.classes)(concatenate([mixed, product], axis: 1))
      let auxiliary = Dense("auxiliary", task.classes)(encoder)
      for (head, weight) in [(output, 1.0), (auxiliary, 0.3)] {
        switch loss {
        case .squaredError: graph.loss(.squaredError(head, label), weight: weight)
        case .crossEntropy: graph.loss(.crossEntropy(head, label), weight: weight)
        }
      }
    }
  }
}
