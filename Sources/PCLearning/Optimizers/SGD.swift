/// Stochastic gradient descent: u ← momentum · u − ∂L/∂θ, θ ← θ + learningRate · u.
public struct SGD: Optimizer {
  public var learningRate: Double
  /// The factor of the previous update, in [0, 1).
  public var momentum: Double

  /// Plain descent unless `momentum` is given; whether it is 0 is fixed when the plan is made.
  public init(learningRate: Double, momentum: Double = 0) {
    self.learningRate = learningRate
    self.momentum = momentum
  }

  public var name: String { momentum == 0 ? "sgd" : "sgd with momentum" }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    [("learning rate", learningRate, 0...Double.greatestFiniteMagnitude), ("momentum", momentum, 0...1.0.nextDown)]
  }

  public func write(_ update: ParameterUpdate) {
    var step = update.direction
    if momentum != 0 {
      let velocity = update.state("velocity")
      update.emit.blend(update.direction, into: velocity, beta: update.coefficient("momentum"), stage: .step)
      step = velocity
    }
    update.emit.blend(
      step, into: update.parameter, alpha: update.coefficient("learning rate"), beta: .one, stage: .step)
  }

  public func coefficients(step: Int) -> [String: Double] {
    ["learning rate": learningRate, "momentum": momentum]
  }
}
