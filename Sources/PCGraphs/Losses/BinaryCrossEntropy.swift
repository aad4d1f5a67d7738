import PCPrimitives

/// L = −Σ (t log σ(x) + (1 − t) log(1 − σ(x))) for logits x and targets t in [0, 1], each element a yes or no of its own;
/// the message is t − σ(x).
public struct BinaryCrossEntropy: LossFunction {
  public let name = "binary cross-entropy"
  /// Without settings; mostly made by `LossTerm.binaryCrossEntropy(_:_:)`.
  public init() {}

  public func check(prediction: Shape, target: Shape) throws(ShapeError) {
    guard prediction == target else { throw ShapeError("the target must have the logits' shape") }
  }

  /// −log σ(x) = softplus(−x) and −log(1 − σ(x)) = softplus(x), in which nothing cancels.
  public func value(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let one = emit.constant(1, [], isBatched: false)
    let yes = emit.multiply(target, emit.map(.softplus, emit.scale(prediction, by: -1)))
    let no = emit.multiply(emit.subtract(one, target), emit.map(.softplus, prediction))
    let costs = emit.add(yes, no)
    return emit.total(costs)
  }

  public func message(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    emit.subtract(target, emit.map(.sigmoid, prediction))
  }
}

extension LossTerm {
  /// −log of the probability that the logits give to the targets, each element of which is a yes (1), a no (0) or a
  /// probability.
  public static func binaryCrossEntropy(_ logits: Value, _ target: Value) -> LossTerm {
    LossTerm(BinaryCrossEntropy(), prediction: logits, target: target)
  }
}
