import PCPrimitives

/// L = Σ ½e² where |e| ≤ delta, else delta · (|e| − ½ delta), with e = target − prediction; the message is e held within
/// ±delta.
public struct Huber: LossFunction {
  public let name = "huber"
  /// The error from which on the loss grows linearly.
  public var delta: Double

  /// A positive threshold, by default 1.
  public init(delta: Double = 1) {
    guard delta > 0, delta.isFinite else { fatalError("Huber's loss has a delta of \(delta); it must be positive") }
    self.delta = delta
  }

  public func check(prediction: Shape, target: Shape) throws(ShapeError) {
    guard prediction == target else { throw ShapeError("the target must have the prediction's shape") }
  }

  /// With the error c that is held within ±delta, both cases are c · (e − ½c).
  public func value(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    let error = emit.subtract(target, prediction)
    let held = emit.map(.clip(limit: delta), error)
    let costs = emit.multiply(held, emit.subtract(error, emit.scale(held, by: 0.5)))
    return emit.total(costs)
  }

  public func message(prediction: Term, target: Term, _ emit: Emitter) -> Term {
    emit.map(.clip(limit: delta), emit.subtract(target, prediction))
  }
}

extension LossTerm {
  /// ½e² where the error is within ±`delta`, linear beyond, summed over the elements.
  public static func huber(_ prediction: Value, _ target: Value, delta: Double = 1) -> LossTerm {
    LossTerm(Huber(delta: delta), prediction: prediction, target: target)
  }
}
