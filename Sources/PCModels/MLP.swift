import PCGraphs
import PCLayers

extension Model {
  /// A multilayer perceptron: flatten, dense tanh layers `hidden1`, `hidden2`, …, dense `output`. Glorot weights, biases 0.
  public static func mlp(_ task: ImageTask, hidden: [Int] = [512, 512], loss: LossKind = .crossEntropy)
    throws(ModelError) -> Model
  {
    if let width = hidden.first(where: { $0 < 1 }) { throw ModelError("a hidden layer cannot have \(width) units") }
    return classifier(task, loss) { _, image in
      var x = flatten(image)
      for (index, width) in hidden.enumerated() {
        x = Dense("hidden\(index + 1)", width, activation: .tanh)(x)
      }
      return Dense("output", task.classes)(x)
    }
  }
}
