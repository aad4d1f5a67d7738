import PCPrimitives

/// y = f(x), element by element, for a function whose slope is an elementwise function of x or of y.
///
/// | function | y | ∂y/∂x |
/// |---|---|---|
/// | relu | max(x, 0) | 1 where y > 0, else 0 (0 at 0) |
/// | tanh | tanh x | 1 − y² |
/// | sigmoid | 1 / (1 + e⁻ˣ) | y(1 − y) |
/// | exp | eˣ | y |
/// | sqrt | √x | 1 / 2y |
/// | sin | sin x | cos x |
/// | cos | cos x | −sin x |
/// | tan | tan x | 1 + y² |
/// | log | ln x | 1 / x |
/// | abs | \|x\| | 1 where x > 0, −1 where x < 0, 0 at 0 |
/// | silu | x σ(x) | σ(x) (1 + x (1 − σ(x))) |
/// | gelu | x Φ(x), Φ the standard normal's cumulative probability | Φ(x) + x φ(x) |
/// | geluTanh | x σ(2u), u = √(2/π) (x + 0.044715 x³) | σ(2u) + x σ′(2u) 2u′ |
/// | softplus | ln(1 + eˣ) | σ(x) |
public struct Pointwise: Operation {
  /// The functions, by the names that printouts use; the table above says their slopes.
  public enum Function: String, Sendable, CaseIterable {
    /// One row of the table of `Pointwise`.
    case relu, tanh, sigmoid, exp, log, sqrt, sin, cos, tan, abs, silu, gelu, softplus
    /// Gelu's usual approximation, ½x(1 + tanh u) with u as in the table (Hendrycks and Gimpel, arXiv 1606.08415).
    case geluTanh = "gelu by tanh"
  }

  /// Which of the functions it is.
  public var function: Function

  /// The operation of a function, such as `Pointwise(.tanh)`.
  public init(_ function: Function) { self.function = function }

  public var name: String { function.rawValue }

  public func shape(_ operands: [Shape]) -> Shape { operands[0] }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    switch function {
    case .relu: return emit.map(.relu, x)
    case .tanh: return emit.map(.tanh, x)
    case .sigmoid: return emit.map(.sigmoid, x)
    case .exp: return emit.map(.exp, x)
    case .log: return emit.map(.log, x)
    case .sqrt: return emit.map(.sqrt, x)
    case .sin: return emit.map(.sin, x)
    case .cos: return emit.map(.cos, x)
    case .tan: return emit.map(.tan, x)
    case .abs: return emit.map(.absolute, x)
    case .softplus: return emit.map(.softplus, x)
    case .silu: return emit.multiply(x, emit.map(.sigmoid, x))
    case .gelu: return emit.multiply(x, emit.map(.normalCumulative, x))
    case .geluTanh: return emit.multiply(x, gate(x, emit).value)
    }
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    emit.multiply(point.message, slope(point.operands[0], point.result, emit))
  }

  private func slope(_ x: Term, _ y: Term, _ emit: Emitter) -> Term {
    switch function {
    case .relu: return emit.map(.step, y)
    case .tanh: return emit.map(.oneMinusSquare, y)
    case .sigmoid: return emit.map(.logisticSlope, y)
    case .exp: return y
    case .log: return emit.map(.reciprocal, x)
    case .sqrt: return emit.map(.reciprocal, y, alpha: .constant(0.5))
    case .sin: return emit.map(.cos, x)
    case .cos: return emit.map(.sin, x, alpha: .constant(-1))
    case .tan: return emit.map(.onePlusSquare, y)
    case .abs: return emit.subtract(emit.map(.step, x), emit.map(.step, emit.scale(x, by: -1)))
    case .softplus: return emit.map(.sigmoid, x)
    case .silu:
      let gate = emit.map(.sigmoid, x)
      return emit.add(gate, emit.multiply(x, emit.map(.logisticSlope, gate)))
    case .gelu:
      let halfSquare = emit.combine(.multiply, x, x, alpha: .constant(-0.5))
      // 1/√(2π)
      let density = emit.map(.exp, halfSquare, alpha: .constant(0.398_942_280_401_432_7))
      return emit.add(emit.map(.normalCumulative, x), emit.multiply(x, density))
    case .geluTanh:
      let (gate, square) = gate(x, emit)
      let argument = affine(square, 3 * 0.044715 * Self.twiceRoot, Self.twiceRoot, emit)
      return emit.add(gate, emit.multiply(emit.multiply(x, argument), emit.map(.logisticSlope, gate)))
    }
  }

  /// 2√(2/π)
  private static let twiceRoot = 1.595_769_121_605_730_8

  /// ½(1 + tanh u) = σ(2u), in which nothing cancels, and x².
  private func gate(_ x: Term, _ emit: Emitter) -> (value: Term, square: Term) {
    let square = emit.multiply(x, x)
    let factor = affine(square, 0.044715 * Self.twiceRoot, Self.twiceRoot, emit)
    return (emit.map(.sigmoid, emit.multiply(x, factor)), square)
  }

  private func affine(_ x: Term, _ scale: Double, _ shift: Double, _ emit: Emitter) -> Term {
    emit.add(emit.scale(x, by: scale), emit.constant(shift, [], isBatched: false))
  }
}

/// max(x, 0), element by element.
public func relu(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.relu), to: [x], file: file, line: line)
}

/// tanh x, element by element.
public func tanh(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.tanh), to: [x], file: file, line: line)
}

/// 1 / (1 + e⁻ˣ), element by element.
public func sigmoid(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.sigmoid), to: [x], file: file, line: line)
}

/// eˣ, element by element.
public func exp(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.exp), to: [x], file: file, line: line)
}

/// √x, element by element; NaN for x < 0, and a slope of ∞ at 0.
public func sqrt(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.sqrt), to: [x], file: file, line: line)
}

/// sin x for x in radians, element by element.
public func sin(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.sin), to: [x], file: file, line: line)
}

/// tan x for x in radians, element by element.
public func tan(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.tan), to: [x], file: file, line: line)
}

/// cos x for x in radians, element by element.
public func cos(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.cos), to: [x], file: file, line: line)
}

/// The natural logarithm of x, element by element; −∞ at 0, NaN below.
public func log(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.log), to: [x], file: file, line: line)
}

/// |x|, element by element; the slope is 0 at 0.
public func abs(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.abs), to: [x], file: file, line: line)
}

/// x / (1 + e⁻ˣ), element by element; also called swish.
public func silu(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.silu), to: [x], file: file, line: line)
}

/// log(1 + eˣ), element by element: relu with a round corner.
public func softplus(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Pointwise(.softplus), to: [x], file: file, line: line)
}

/// x Φ(x), element by element, with the standard normal's cumulative probability Φ; `byTanh` takes the usual approximation,
/// which is off by up to 5e-4, as models do that were trained with it.
public func gelu(
  _ x: Value, byTanh: Bool = false, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  x.graph.apply(Pointwise(byTanh ? .geluTanh : .gelu), to: [x], file: file, line: line)
}
