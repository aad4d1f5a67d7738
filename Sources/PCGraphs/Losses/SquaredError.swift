/// L = ½ Σ (target − prediction)², summed over the elements of an example; the message is target − prediction.
public struct SquaredError: LossFunction {
  public let name = "squared error"
  /// Without settings; mostly made by `LossTerm.squaredError(_:_:)`.
  public init() {}

  public func check(prediction: Shape, target: Shape) throws(ShapeError) {
    guard prediction == target else { throw ShapeError("the target must have the prediction's shape") }
  }

  public func value(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let error = message(prediction: prediction, target: target, emit)
    let squares = emit.combine(.multiply, error, error, alpha: .constant(0.5))
    return emit.total(squares)
  }

  public func message(prediction: Term, target: Term, _ emit: Emitter) -> Term { emit.subtract(target, prediction) }
}

extension LossTerm {
  /// ½ Σ (target − prediction)².
  public static func squaredError(_ prediction: Value, _ target: Value) -> LossTerm {
    LossTerm(SquaredError(), prediction: prediction, target: target)
  }

  /// ½ Σ (one-hot label − prediction)².
  public static func squaredError(_ prediction: Value, _ labels: Labels) -> LossTerm {
    LossTerm(SquaredError(), prediction: prediction, target: labels.oneHot(), labels: labels)
  }
}
