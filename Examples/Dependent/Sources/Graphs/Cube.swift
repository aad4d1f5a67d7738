import PredictiveCoding

/// y = x³, ∂y/∂x = 3x²: an operation from outside of the library.
public struct Cube: Operation {
  public let name = "cube"
  public init() {}
  public func shape(_ operands: [Shape]) -> Shape { operands[0] }
  public func forward(_ x: [Term], _ emit: Emitter) -> Term { emit.multiply(x[0], emit.multiply(x[0], x[0])) }
  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    emit.multiply(point.message, emit.scale(emit.multiply(point.operands[0], point.operands[0]), by: 3))
  }
}
