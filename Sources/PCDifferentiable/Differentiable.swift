import PCGraphs
import _Differentiation

// Any `@differentiable(reverse)` Swift function as a vertex: control flow, loops and arrays included. The compiler writes
// the pullback; the function runs one example at a time, in Double on every backend, as `Custom` does.

/// y = f(x), element by element, for a differentiable Swift function.
///
/// ```swift
/// let y = differentiable(x, "bump") { x in x > 0 ? x * x / (1 + x * x) : 0 }
/// ```
///
/// `name` is what printouts call the operation; `function` is called on several threads at once.
public func differentiable(
  _ x: Value, _ name: String, file: StaticString = #fileID, line: UInt = #line,
  _ function: @escaping @Sendable @differentiable(reverse) (Double) -> Double
) -> Value {
  let operation = Custom(name) { operands in
    operands[0].map { function($0) }
  } pullback: { operands, message, _ in
    zip(operands[0], message).map { gradient(at: $0, of: function) * $1 }
  }
  return x.graph.apply(operation, to: [x], file: file, line: line)
}

/// The value of `shape` that a differentiable Swift function makes of each example's numbers, in row-major order.
///
/// `name` is what printouts call the operation; `shape` holds the batch if the operand does, and `nil` stands for the operand's.
/// `function` makes as many numbers as `shape` has for each example, and is called on several threads at once.
public func differentiable(
  _ x: Value, _ name: String, shape: Shape?, file: StaticString = #fileID, line: UInt = #line,
  _ function: @escaping @Sendable @differentiable(reverse) ([Double]) -> [Double]
) -> Value {
  let shape = shape ?? x.shape
  let operation = Custom(name, shape: { _ throws(ShapeError) in shape }) { operands in
    function(operands[0])
  } pullback: { operands, message, _ in
    let back = pullback(at: operands[0], of: function)
    return filled(back(.init(message)), count: operands[0].count)
  }
  return x.graph.apply(operation, to: [x], file: file, line: line)
}

/// The value of `shape` that a differentiable Swift function makes of each example's numbers of two operands, of which
/// one may be a parameter.
///
/// `name` is what printouts call the operation; `shape` holds the batch if an operand does, and is by default that of `a`.
/// `function` makes as many numbers as `shape` has for each example, and is called on several threads at once.
public func differentiable(
  _ a: Value, _ b: Value, _ name: String, shape: Shape? = nil, file: StaticString = #fileID, line: UInt = #line,
  _ function: @escaping @Sendable @differentiable(reverse) ([Double], [Double]) -> [Double]
) -> Value {
  let shape = shape ?? a.shape
  let operation = Custom(name, operandCount: 2, shape: { _ throws(ShapeError) in shape }) { operands in
    function(operands[0], operands[1])
  } pullback: { operands, message, operand in
    let back = pullback(at: operands[0], operands[1], of: function)(.init(message))
    return filled(operand == 0 ? back.0 : back.1, count: operands[operand].count)
  }
  return a.graph.apply(operation, to: [a, b], file: file, line: line)
}

/// The compiler's zero is an empty array.
private func filled(_ tangent: [Double].DifferentiableView, count: Int) -> [Double] {
  tangent.base.isEmpty ? Array(repeating: 0, count: count) : tangent.base
}
