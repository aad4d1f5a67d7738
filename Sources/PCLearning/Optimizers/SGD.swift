/// Stochastic gradient descent: u ← momentum · u − ∂L/∂θ, θ ← θ + learningRate · u.
///
/// Nesterov's way looks one step of the velocity ahead: θ ← θ + learningRate · (momentum · u − ∂L/∂θ), with the new u
/// (Sutskever, Martens, Dahl and Hinton, ICML 2013, in the form that is usual today).
public struct SGD: Optimizer {
  public var learningRate: Double
  /// The factor of the previous update, in [0, 1).
  public var momentum: Double
  /// Whether the step looks ahead; means nothing without momentum.
  public let isNesterov: Bool

  /// Plain descent unless `momentum` is given; whether it is 0 is fixed when the plan is made.
  public init(learningRate: Double, momentum: Double = 0, isNesterov: Bool = false) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.isNesterov = isNesterov
  }

  public var name: String { momentum == 0 ? "sgd" : isNesterov ? "nesterov" : "sgd with momentum" }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    [("learning rate", learningRate, 0...Double.greatestFiniteMagnitude), ("momentum", momentum, 0...1.0.nextDown)]
  }

  public func write(_ update: ParameterUpdate) {
    var steps = [(update.direction, "learning rate")]
    if momentum != 0 {
      let velocity = update.state("velocity")
      update.emit.blend(update.direction, into: velocity, beta: update.coefficient("momentum"), stage: .step)
      steps = isNesterov ? steps + [(velocity, "learning rate · momentum")] : [(velocity, "learning rate")]
    }
    for (step, factor) in steps {
      update.emit.blend(step, into: update.parameter, alpha: update.coefficient(factor), beta: .one, stage: .step)
    }
  }

  public func coefficients(step: Int) -> [String: Double] {
    [
      "learning rate": learningRate, "momentum": momentum, "learning rate · momentum": learningRate * momentum,
    ]
  }
}
