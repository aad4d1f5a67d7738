/// y = a where the mask is not 0, else b, with broadcasting; messages go to the operand that was selected.
///
/// The mask has no derivative.
public struct Select: Operation {
  public let name = "select"
  public let operandCounts = 3...3
  public let isStructural = true
  /// Without settings; `select(_:_:_:file:line:)` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    try .broadcast(operands[0], .broadcast(operands[1], operands[2]))
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    emit.select(operands[0], operands[1], operands[2])
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    guard operand > 0 else { return nil }
    let zero = emit.constant(0, [], isBatched: false)
    let mask = point.operands[0]
    return operand == 1 ? emit.select(mask, point.message, zero) : emit.select(mask, zero, point.message)
  }
}

/// `a` where `mask` is not 0, else `b`.
public func select(
  _ mask: Value, _ a: Value, _ b: Value, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  mask.graph.apply(Select(), to: [mask, a, b], file: file, line: line)
}
