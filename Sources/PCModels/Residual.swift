import PCGraphs
import PCLayers

extension Model {
  /// A residual net: a 3×3 convolution to 16 channels, three blocks x + conv(relu(conv(x))) with a relu between blocks,
  /// max-pool 2 after the stem, and a dense head. Messages reach the stem over paths of different depths.
  public static func residual(_ task: ImageTask, loss: LossKind = .crossEntropy) throws(ModelError) -> Model {
    guard min(task.inputShape[1], task.inputShape[2]) >= 2 else {
      throw ModelError(
        "residual needs images of at least 2×2 pixels, not \(task.inputShape[1])×\(task.inputShape[2])")
    }
    return classifier(task, loss) { graph, image in
      var x = Convolution2D("stem", filters: 16, kernel: 3, padding: 1, activation: .relu)(image)
      x = MaxPool2D("pool", window: 2)(x)
      for index in 1...3 {
        x = graph.scope("block\(index)") {
          let inner = Convolution2D("conv1", filters: 16, kernel: 3, padding: 1, activation: .relu)(x)
          // A small second convolution keeps the sum's variance near its input's.
          let outer = Convolution2D(
            "conv2", filters: 16, kernel: 3, padding: 1, initializer: .normal(standardDeviation: 0.03))(inner)
          return graph.vertex("sum") { relu(x + outer) }
        }
      }
      return Dense("output", task.classes)(flatten(x))
    }
  }
}
