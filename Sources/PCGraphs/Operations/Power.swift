import PCPrimitives

/// y = xᵖ, element by element, for a number p; ∂y/∂x = p xᵖ⁻¹.
///
/// Whole powers are products, and so hold for negative x too; the fraction of p is a root or exp(f log x), NaN for x < 0.
public struct Power: Operation {
  public let name = "power"
  /// The number p.
  public var exponent: Double

  /// A finite exponent of magnitude 1024 at most.
  public init(_ exponent: Double) { self.exponent = exponent }

  public var attributes: String { "exponent \(exponent)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    guard abs(exponent) <= 1024 else { throw ShapeError("the exponent \(exponent) is beyond 1024") }
    return operands[0]
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { power(operands[0], exponent, emit) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    guard exponent != 0 else { return nil }
    let slope = emit.scale(power(point.operands[0], exponent - 1, emit), by: exponent)
    return emit.multiply(point.message, slope)
  }

  private func power(_ x: Term, _ exponent: Double, _ emit: Emitter) -> Term {
    guard exponent >= 0 else { return emit.map(.reciprocal, power(x, -exponent, emit)) }
    var whole = Int(exponent)
    let fraction = exponent - Double(whole)
    var result: Term?
    if fraction == 0.5 {
      result = emit.map(.sqrt, x)
    } else if fraction != 0 {
      result = emit.map(.exp, emit.map(.log, x, alpha: .constant(fraction)))
    }
    // By the binary digits of the whole part.
    var square = x
    while whole > 0 {
      if whole & 1 == 1 { result = result.map { emit.multiply($0, square) } ?? square }
      whole >>= 1
      if whole > 0 { square = emit.multiply(square, square) }
    }
    guard let result else { return emit.constant(1, x.extents, isBatched: x.isBatched, stage: x.stage) }
    return result.view.buffer == x.view.buffer ? emit.map(.identity, x) : result
  }
}

/// y = aᵇ = exp(b log a), element by element, with broadcasting, for a > 0; ∂y/∂a = b aᵇ⁻¹, ∂y/∂b = y log a.
///
/// In Float the relative error grows with |b log a|: some 1e-6 where that is 10.
public struct GeneralPower: Operation {
  public let name = "general power"
  public let operandCounts = 2...2
  /// Without settings; `pow(_:_:file:line:)` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try .broadcast(operands[0], operands[1]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    emit.map(.exp, emit.multiply(operands[1], emit.map(.log, operands[0])))
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let (a, b) = (point.operands[0], point.operands[1])
    let slope =
      operand == 0
      ? emit.divide(emit.multiply(b, point.result), a) : emit.multiply(point.result, emit.map(.log, a))
    return emit.multiply(point.message, slope)
  }
}

/// x to the power of a number, element by element; see ``Power``.
public func pow(_ x: Value, _ exponent: Double, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Power(exponent), to: [x], file: file, line: line)
}

/// aᵇ, element by element, for positive `a`; see ``GeneralPower``.
public func pow(_ a: Value, _ b: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  a.graph.apply(GeneralPower(), to: [a, b], file: file, line: line)
}
