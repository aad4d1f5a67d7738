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
/// | tan | tan x | 1 + y² |
public struct Pointwise: Operation {
  /// The functions, by the names that printouts use; the table above says their slopes.
  public enum Function: String, Sendable, CaseIterable {
    /// One row of the table of `Pointwise`.
    case relu, tanh, sigmoid, exp, sqrt, sin, tan
  }

  /// Which of the functions it is.
  public var function: Function

  /// The operation of a function, such as `Pointwise(.tanh)`.
  public init(_ function: Function) { self.function = function }

  public var name: String { function.rawValue }

  public func shape(_ operands: [Shape]) -> Shape { operands[0] }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let value: Elementwise =
      switch function {
      case .relu: .relu
      case .tanh: .tanh
      case .sigmoid: .sigmoid
      case .exp: .exp
      case .sqrt: .sqrt
      case .sin: .sin
      case .tan: .tan
      }
    return emit.map(value, operands[0])
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let slope =
      switch function {
      case .relu: emit.map(.step, point.result)
      case .tanh: emit.map(.oneMinusSquare, point.result)
      case .sigmoid: emit.map(.logisticSlope, point.result)
      case .exp: point.result
      case .sqrt: emit.map(.reciprocal, point.result, alpha: .constant(0.5))
      case .sin: emit.map(.cos, point.operands[0])
      case .tan: emit.map(.onePlusSquare, point.result)
      }
    return emit.multiply(point.message, slope)
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
