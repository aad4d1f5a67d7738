/// y = x where x > 0, else scale · (eˣ − 1); ∂y/∂x = 1 where x > 0, else scale · eˣ = y + scale (that at 0 too).
///
/// Clevert, Unterthiner and Hochreiter, arXiv 1511.07289.
public struct ELU: Operation {
  public let name = "elu"
  /// Minus the limit at −∞.
  public var scale: Double

  /// By default the scale 1, with which the slope has no jump.
  public init(scale: Double = 1) { self.scale = scale }

  public var attributes: String { "scale \(scale)" }

  public func shape(_ operands: [Shape]) -> Shape { operands[0] }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    return emit.select(emit.map(.step, x), x, emit.map(.expMinusOne, x, alpha: .constant(scale)))
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let x = point.operands[0]
    let slopes = emit.select(
      emit.map(.step, x), emit.constant(1, [], isBatched: false), emit.map(.exp, x, alpha: .constant(scale)))
    return emit.multiply(point.message, slopes)
  }
}

/// x where x > 0, else `scale` · (eˣ − 1).
public func elu(_ x: Value, scale: Double = 1, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(ELU(scale: scale), to: [x], file: file, line: line)
}
