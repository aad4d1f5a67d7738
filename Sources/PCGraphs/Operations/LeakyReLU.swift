/// y = x where x > 0, else slope · x; ∂y/∂x = 1 where x > 0, else slope (that at 0 too).
public struct LeakyReLU: Operation {
  public let name = "leaky relu"
  /// The slope below 0.
  public var slope: Double

  /// By default a slope of 0.01 below 0.
  public init(slope: Double = 0.01) { self.slope = slope }

  public var attributes: String { "slope \(slope)" }

  public func shape(_ operands: [Shape]) -> Shape { operands[0] }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    return emit.select(emit.map(.step, x), x, emit.scale(x, by: slope))
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let isPositive = emit.map(.step, point.operands[0])
    let slopes = emit.select(
      isPositive, emit.constant(1, [], isBatched: false), emit.constant(slope, [], isBatched: false))
    return emit.multiply(point.message, slopes)
  }
}

/// x where x > 0, else `slope` · x.
public func leakyRelu(
  _ x: Value, slope: Double = 0.01, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  x.graph.apply(LeakyReLU(slope: slope), to: [x], file: file, line: line)
}
