import PCPrimitives

/// L = −Σ_c t_c · log softmax(logits)_c over the last axis, summed over the axes before it.
///
/// t is the target, or, with smoothing s and C classes, (1 − s) · target + s / C (Szegedy et al., arXiv 1512.00567). The message
/// is t − (Σ_c t_c) · softmax(logits): targets are one-hot codes, probabilities, or those times a weight for the row.
public struct CrossEntropy: LossFunction {
  public let name = "cross-entropy"
  /// The share of the target that is spread evenly over all classes, in 0 ..< 1.
  public var smoothing: Double

  /// By default without smoothing; mostly made by `LossTerm.crossEntropy(_:_:)`.
  public init(smoothing: Double = 0) {
    guard smoothing >= 0, smoothing < 1 else {
      fatalError("cross-entropy has a smoothing of \(smoothing); it must be at least 0 and less than 1")
    }
    self.smoothing = smoothing
  }

  public func check(prediction: Shape, target: Shape) throws(ShapeError) {
    guard prediction == target else { throw ShapeError("the target must have the logits' shape") }
    guard let classes = prediction.axes.last, !classes.isBatch else {
      throw ShapeError("the last axis must hold the classes")
    }
  }

  public func value(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let normaliser = emit.reduce(.logSumExp, prediction, axes: [prediction.rank - 1])
    let costs = emit.multiply(smoothed(target, emit), emit.subtract(normaliser, prediction))
    return emit.total(costs)
  }

  public func message(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let softmax = emit.map(.exp, logSoftmax(prediction, axis: -1, emit))
    let target = smoothed(target, emit)
    let total = emit.reduce(.sum, target, axes: [target.rank - 1])
    return emit.subtract(target, emit.multiply(softmax, total))
  }

  private func smoothed(_ target: Term, _ emit: Emitter) -> Term {
    guard smoothing > 0 else { return target }
    let share = smoothing / Double(target.extents[target.rank - 1])
    return emit.add(emit.scale(target, by: 1 - smoothing), emit.constant(share, [], isBatched: false))
  }
}

extension LossTerm {
  /// −log softmax(logits) at the label; with smoothing, the label counts 1 − s and all classes together s.
  public static func crossEntropy(_ logits: Value, _ labels: Labels, smoothing: Double = 0) -> LossTerm {
    LossTerm(CrossEntropy(smoothing: smoothing), prediction: logits, target: labels.oneHot(), labels: labels)
  }

  /// −Σ target · log softmax(logits), for targets that are probabilities.
  public static func crossEntropy(_ logits: Value, _ target: Value, smoothing: Double = 0) -> LossTerm {
    LossTerm(CrossEntropy(smoothing: smoothing), prediction: logits, target: target)
  }
}
