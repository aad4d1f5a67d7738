#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Adam (Kingma and Ba, ICLR 2015): with g = ∂L/∂θ,
/// m ← β₁m + (1 − β₁)g, s ← β₂s + (1 − β₂)g², θ ← θ − learningRate · m̂ / (√ŝ + ε),
/// where m̂ = m / (1 − β₁ᵗ) and ŝ = s / (1 − β₂ᵗ).
///
/// With a weight decay it is AdamW (Loshchilov and Hutter, ICLR 2019), in which the decay does not pass through the moments:
/// θ ← (1 − learningRate · weightDecay) θ first.
public struct Adam: DecayingOptimizer {
  public var name: String { weightDecay == 0 ? "adam" : "adamw" }
  public var learningRate: Double
  public var weightDecay: Double
  /// Decay of the mean of the gradient, in [0, 1).
  public var beta1: Double
  /// Decay of the mean of its square, in [0, 1).
  public var beta2: Double
  /// Added to √ŝ, so that it bounds the step where gradients are tiny.
  public var epsilon: Double

  /// The defaults are the paper's, and no weight decay.
  public init(
    learningRate: Double = 1e-3, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
    weightDecay: Double = 0
  ) {
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    [
      ("learning rate", learningRate, 0...Double.greatestFiniteMagnitude), ("beta1", beta1, 0...1.0.nextDown),
      ("beta2", beta2, 0...1.0.nextDown), ("epsilon", epsilon, Double.leastNormalMagnitude...1),
      ("weight decay", weightDecay, 0...Double.greatestFiniteMagnitude),
    ]
  }

  public func write(_ update: ParameterUpdate) {
    let emit = update.emit
    let mean = update.state("mean")
    let square = update.state("square")
    emit.blend(
      update.direction, into: mean, alpha: update.coefficient("1 - beta1"), beta: update.coefficient("beta1"),
      stage: .step)
    emit.write(
      .elementwise(.multiply, extents: square.extents), [update.direction.view, update.direction.view],
      to: [square.view], alpha: update.coefficient("1 - beta2"), beta: update.coefficient("beta2"), stage: .step)
    // √ŝ + ε and m̂ share the factor √(1 − β₂ᵗ), which goes into ε and the learning rate.
    let root = emit.map(.sqrt, square)
    emit.write(
      .elementwise(.one, extents: root.extents), [], to: [root.view], alpha: update.coefficient("scaled epsilon"),
      beta: .one, stage: .step)
    emit.write(
      .elementwise(.divide, extents: root.extents), [mean.view, root.view], to: [update.parameter.view],
      alpha: update.coefficient("scaled learning rate"), beta: update.coefficient("kept"), stage: .step)
  }

  public func coefficients(step: Int) -> [String: Double] {
    let correction1 = 1 - pow(beta1, Double(step))
    let correction2 = (1 - pow(beta2, Double(step))).squareRoot()
    return [
      "beta1": beta1, "1 - beta1": 1 - beta1, "beta2": beta2, "1 - beta2": 1 - beta2,
      "scaled epsilon": epsilon * correction2, "scaled learning rate": learningRate * correction2 / correction1,
      "kept": 1 - learningRate * weightDecay,
    ]
  }
}
