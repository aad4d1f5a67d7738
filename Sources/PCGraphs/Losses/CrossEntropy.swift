import PCPrimitives

/// L = −Σ_c target_c · log softmax(logits)_c over the last axis, summed over the axes before it.
///
/// The message is target − softmax(logits); each row of the target sums to 1.
public struct CrossEntropy: LossFunction {
  public let name = "cross-entropy"
  /// Without settings; mostly made by `LossTerm.crossEntropy(_:_:)`.
  public init() {}

  public func check(prediction: Shape, target: Shape) throws(ShapeError) {
    guard prediction == target else { throw ShapeError("the target must have the logits' shape") }
    guard let classes = prediction.axes.last, !classes.isBatch else {
      throw ShapeError("the last axis must hold the classes")
    }
  }

  public func value(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let normaliser = emit.reduce(.logSumExp, prediction, axes: [prediction.rank - 1])
    let costs = emit.multiply(target, emit.subtract(normaliser, prediction))
    return emit.reshape(emit.reduce(.sum, costs, axes: Array(0..<costs.rank)), to: [1])
  }

  public func message(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let normaliser = emit.reduce(.logSumExp, prediction, axes: [prediction.rank - 1])
    let softmax = emit.map(.exp, emit.subtract(prediction, normaliser))
    return emit.subtract(target, softmax)
  }
}

extension LossTerm {
  /// −log softmax(logits) at the label.
  public static func crossEntropy(_ logits: Value, _ labels: Labels) -> LossTerm {
    LossTerm(CrossEntropy(), prediction: logits, target: labels.oneHot(), labels: labels)
  }

  /// −Σ target · log softmax(logits); each row of the target sums to 1.
  public static func crossEntropy(_ logits: Value, _ target: Value) -> LossTerm {
    LossTerm(CrossEntropy(), prediction: logits, target: target)
  }
}
