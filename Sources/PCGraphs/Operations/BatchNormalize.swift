import PCPrimitives

/// y = (x − μ) r, r = 1 / √(σ² + ε), with the mean μ and the variance σ² of each channel over the examples of the batch and all
/// axes but axis 1; outside of training with running statistics instead (Ioffe and Szegedy, arXiv 1502.03167).
///
/// It is the one operation that couples examples: in training Jᵀm = r (m − mean(m) − y mean(m y)), the means over the batch,
/// so that messages of an example depend on those of the others. Under fixed predictions that Jacobian is constant, as all
/// others are. Rules that predict again in each step take the statistics of the values as they are then; the running ones
/// move once for each batch, by those of the feedforward pass: μ, and σ² n / (n − 1), which is not biased.
public struct BatchNormalize: Operation {
  public let name = "batch normalize"
  public let operandCounts = 4...4
  /// The share of the batch in the running statistics, in (0, 1].
  public var momentum: Double
  /// ε, which keeps a constant channel from a division by 0.
  public var epsilon: Double

  /// Operands: x [B, channels, …]; 1 in training, 0 outside; the running mean and variance, as `Value.batchNormalized` makes
  /// them. By default as PyTorch has them.
  public init(momentum: Double = 0.1, epsilon: Double = 1e-5) {
    self.momentum = momentum
    self.epsilon = epsilon
  }

  public var attributes: String { "momentum \(momentum), ε \(epsilon)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let x = operands[0]
    guard x.rank >= 2, x.axes[0] == .batch, momentum > 0, momentum <= 1, epsilon >= 0, epsilon.isFinite else {
      throw ShapeError(
        "batch normalisation takes [B, channels, …], a momentum in (0, 1] and an ε that is not negative; \(x) or one of "
          + "\(momentum) and \(epsilon) does not fit")
    }
    for statistic in operands[2...] where statistic.isBatched || statistic.count != x.extents[1] {
      throw ShapeError("the running statistics \(statistic) are not one number for each channel of \(x)")
    }
    return x
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    let count = count(x, emit)
    let mean = mean(x, count, emit)
    let centered = emit.subtract(x, mean)
    let variance = self.mean(emit.multiply(centered, centered), count, emit)

    let others = emit.combine(.maximum, emit.subtract(count, one(emit)), one(emit))
    let unbiased = emit.divide(emit.multiply(variance, count), others)
    emit.moveAfterBatch(operands[2], towards: mean, share: momentum)
    emit.moveAfterBatch(operands[3], towards: unbiased, share: momentum)

    let isTraining = operands[1]
    func chosen(_ batch: Term, _ running: Term) -> Term {
      emit.select(isTraining, batch, emit.reshape(running, to: batch.extents))
    }
    let root = emit.map(.sqrt, emit.add(chosen(variance, operands[3]), emit.constant(epsilon, [], isBatched: false)))
    let scale = emit.map(.reciprocal, root)
    let result = emit.multiply(emit.subtract(x, chosen(mean, operands[2])), scale)
    emit.remember(scale, for: result)
    return result
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    guard operand == 0 else { return nil }
    let (y, message) = (point.result, point.message)
    let count = count(y, emit)
    let along = emit.multiply(y, mean(emit.multiply(message, y), count, emit))
    let shared = emit.add(mean(message, count, emit), along)
    let inner = emit.subtract(message, emit.multiply(point.operands[1], shared))
    return emit.multiply(inner, emit.recall(for: y))
  }

  private func one(_ emit: Emitter) -> Term { emit.constant(1, [], isBatched: false) }

  /// How many numbers a channel has in the batch.
  private func count(_ x: Term, _ emit: Emitter) -> Term {
    let places = x.count / x.extents[1]
    let examples = emit.reduce(.sum, emit.constant(1, [1], isBatched: true), axes: [0], isBatched: false)
    return emit.scale(examples, by: Double(places))
  }

  /// The mean of each channel over the batch.
  private func mean(_ x: Term, _ count: Term, _ emit: Emitter) -> Term {
    emit.divide(emit.reduce(.sum, x, axes: x.extents.indices.filter { $0 != 1 }, isBatched: false), count)
  }
}

extension Value {
  /// Each channel of [B, channels, …] with mean 0 and variance 1 over the batch; outside of training by the running statistics
  /// `mean` and `variance`, parameters that are not trained, of one number for each channel.
  public func batchNormalized(
    mean: Value, variance: Value, momentum: Double = 0.1, epsilon: Double = 1e-5, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Value {
    let isTraining = graph.trainingFlag(rank: shape.rank, origin: "\(file):\(line)")
    return graph.apply(
      BatchNormalize(momentum: momentum, epsilon: epsilon), to: [self, isTraining, mean, variance], file: file,
      line: line)
  }
}
