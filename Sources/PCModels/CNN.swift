import PCGraphs
import PCLayers

extension Model {
  /// The paper's CNN: convolution to 6 channels (5×5, relu), max-pool 2, convolution to 16 channels (5×5, relu), dense 200
  /// relu, 150 relu, classes. No biases; all weights normal with standard deviation 0.05.
  ///
  /// On images below 28×28 both convolutions are 3×3 with padding 1 and the first dense layer takes what they leave: 256
  /// inputs for the 8×8 digits.
  public static func cnn(_ task: ImageTask, loss: LossKind = .squaredError) throws(ModelError) -> Model {
    let smallest = min(task.inputShape[1], task.inputShape[2])
    guard smallest >= 2 else {
      throw ModelError("cnn needs images of at least 2×2 pixels, not \(task.inputShape[1])×\(task.inputShape[2])")
    }
    let (kernel, padding) = smallest >= 28 ? (5, 0) : (3, 1)
    let weights = Initializer.normal(standardDeviation: 0.05)
    return classifier(task, loss) { _, image in
      var x = Convolution2D(
        "conv1", filters: 6, kernel: kernel, padding: padding, activation: .relu, bias: false, initializer: weights)(
          image)
      x = MaxPool2D("pool1", window: 2)(x)
      x = Convolution2D(
        "conv2", filters: 16, kernel: kernel, padding: padding, activation: .relu, bias: false, initializer: weights)(
          x)
      x = flatten(x)
      x = Dense("dense1", 200, activation: .relu, bias: false, initializer: weights)(x)
      x = Dense("dense2", 150, activation: .relu, bias: false, initializer: weights)(x)
      return Dense("output", task.classes, bias: false, initializer: weights)(x)
    }
  }
}
