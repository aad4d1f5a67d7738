import PCPrimitives

/// An operation whose value and pullback are ordinary Swift code, one example at a time, in Double on every backend.
///
/// ```swift
/// // y = x · log x, for what no operation exists
/// let entropy = Custom("x log x") { x in x[0].map { $0 * log($0) } } pullback: { x, message, _ in
///   zip(x[0], message).map { (log($0) + 1) * $1 }
/// }
/// let y = x.graph.apply(entropy, to: [x])
/// ```
///
/// It costs a call and arrays for each example and step: an ``Operation`` of one's own, stated as primitives, is faster
/// wherever the formula can be stated so.
public struct Custom: Operation {
  public let name: String
  public let operandCounts: ClosedRange<Int>
  private let shapeRule: @Sendable ([Shape]) throws(ShapeError) -> Shape
  private let body: @Sendable ([[Double]]) -> [Double]
  private let transpose: @Sendable ([[Double]], [Double], Int) -> [Double]

  /// An operation by its value and its pullback, one example at a time.
  ///
  /// - Parameters:
  ///   - name: what printouts and errors call it.
  ///   - operandCount: how many operands it takes.
  ///   - shape: the result's shape for those of the operands; by default that of the first.
  ///   - value: the result of one example, in row-major order, from its operands, each in row-major order; operands
  ///     without a batch are the same for all examples. It is called on several threads at once.
  ///   - pullback: `(∂ result / ∂ operand)ᵀ message` of one example, from its operands, its message, and the operand's
  ///     position.
  public init(
    _ name: String, operandCount: Int = 1,
    shape: @escaping @Sendable ([Shape]) throws(ShapeError) -> Shape = { (shapes) throws(ShapeError) in shapes[0] },
    value: @escaping @Sendable (_ operands: [[Double]]) -> [Double],
    pullback: @escaping @Sendable (_ operands: [[Double]], _ message: [Double], _ operand: Int) -> [Double]
  ) {
    self.name = name
    operandCounts = operandCount...operandCount
    shapeRule = shape
    body = value
    transpose = pullback
  }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let result = try shapeRule(operands)
    guard operands.isEmpty || result.isBatched == operands.contains(where: \.isBatched) else {
      throw ShapeError("the result \(result) must hold the batch if, and only if, an operand does")
    }
    return result
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let extents = resultExtents(operands)
    return call(operands, extents: extents, emit, body)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let transpose = transpose
    return call(point.operands + [point.message], extents: point.operands[operand].extents, emit) { arguments in
      transpose(Array(arguments.dropLast()), arguments[arguments.count - 1], operand)
    }
  }

  private func call(
    _ operands: [Term], extents: [Int], _ emit: Emitter, _ body: @escaping @Sendable ([[Double]]) -> [Double]
  ) -> Term {
    let rows = operands.map { emit.reshape($0, to: [$0.count]) }
    let foreign = Foreign(
      name: name, operandCounts: rows.map(\.count), resultCount: extents.reduce(1, *), body: body)
    return emit.reshape(emit.value(.foreign(foreign), rows, extents: [foreign.resultCount]), to: extents)
  }

  /// The shape rule is asked again, on shapes that have the terms' extents.
  private func resultExtents(_ operands: [Term]) -> [Int] {
    let shapes = operands.map { term in
      Shape(term.extents.enumerated().map { $1 == 1 && $0 == 0 && term.isBatched ? .batch : .fixed($1) })
    }
    do throws(ShapeError) {
      return try shapeRule(shapes).extents
    } catch {
      fatalError("\(name) accepted its operands' shapes first and then refused them: \(error)")
    }
  }
}

/// y = f(x), element by element, for a function and its slope in Swift: `map(x, "cube", { $0 * $0 * $0 }, slope: …)`.
///
/// `name` is what printouts call the operation; both functions are called on several threads at once.
public func map(
  _ x: Value, _ name: String, _ function: @escaping @Sendable (Double) -> Double,
  slope: @escaping @Sendable (Double) -> Double, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  let operation = Custom(name) {
    $0[0].map(function)
  } pullback: { operands, message, _ in
    zip(operands[0], message).map { slope($0) * $1 }
  }
  return x.graph.apply(operation, to: [x], file: file, line: line)
}
