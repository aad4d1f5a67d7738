/// RMSprop (Tieleman and Hinton, 2012): with g = ∂L/∂θ, s ← decay · s + (1 − decay) g², θ ← θ − learningRate · g / (√s + ε).
public struct RMSprop: Optimizer {
  public let name = "rmsprop"
  public var learningRate: Double
  /// Decay of the mean of the gradient's square, in [0, 1).
  public var decay: Double
  /// Added to √s, so that it bounds the step where gradients are tiny.
  public var epsilon: Double

  /// The defaults are PyTorch's.
  public init(learningRate: Double = 1e-2, decay: Double = 0.99, epsilon: Double = 1e-8) {
    self.learningRate = learningRate
    self.decay = decay
    self.epsilon = epsilon
  }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    [
      ("learning rate", learningRate, 0...Double.greatestFiniteMagnitude), ("decay", decay, 0...1.0.nextDown),
      ("epsilon", epsilon, Double.leastNormalMagnitude...1),
    ]
  }

  public func write(_ update: ParameterUpdate) {
    let emit = update.emit
    let square = update.state("square")
    emit.write(
      .elementwise(.multiply, extents: square.extents), [update.direction.view, update.direction.view],
      to: [square.view], alpha: update.coefficient("1 - decay"), beta: update.coefficient("decay"), stage: .step)
    let root = emit.map(.sqrt, square)
    emit.write(
      .elementwise(.one, extents: root.extents), [], to: [root.view], alpha: update.coefficient("epsilon"),
      beta: .one,
      stage: .step)
    emit.write(
      .elementwise(.divide, extents: root.extents), [update.direction.broadcast(to: root.extents).view, root.view],
      to: [update.parameter.view], alpha: update.coefficient("learning rate"), beta: .one, stage: .step)
  }

  public func coefficients(step: Int) -> [String: Double] {
    ["learning rate": learningRate, "decay": decay, "1 - decay": 1 - decay, "epsilon": epsilon]
  }
}
