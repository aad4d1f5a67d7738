import PCPrimitives

/// y = eˣ / Σ eˣ over one axis, computed as exp(x − log Σ eˣ), so that nothing overflows.
///
/// Jᵀm = y ⊙ (m − Σ m y), the sum over the axis.
public struct Softmax: Operation {
  public let name = "softmax"
  /// The axis whose elements sum to 1; negative ones count from the end.
  public var axis: Int

  /// By default over the last axis.
  public init(axis: Int = -1) { self.axis = axis }

  public var attributes: String { "axis \(axis)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try operands[0].keeping(axis, name) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    emit.map(.exp, logSoftmax(operands[0], axis: axis, emit))
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let y = point.result
    let mean = emit.reduce(.sum, emit.multiply(point.message, y), axes: [y.position(of: axis)])
    return emit.multiply(y, emit.subtract(point.message, mean))
  }
}

/// y = x − log Σ eˣ over one axis; Jᵀm = m − eʸ Σ m.
public struct LogSoftmax: Operation {
  public let name = "log softmax"
  /// The axis whose elements are the logarithms of numbers that sum to 1; negative ones count from the end.
  public var axis: Int

  /// By default over the last axis.
  public init(axis: Int = -1) { self.axis = axis }

  public var attributes: String { "axis \(axis)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try operands[0].keeping(axis, name) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { logSoftmax(operands[0], axis: axis, emit) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let total = emit.reduce(.sum, point.message, axes: [point.result.position(of: axis)])
    return emit.subtract(point.message, emit.multiply(emit.map(.exp, point.result), total))
  }
}

/// x − log Σ eˣ over one axis, as instructions.
func logSoftmax(_ x: Term, axis: Int, _ emit: Emitter) -> Term {
  emit.subtract(x, emit.reduce(.logSumExp, x, axes: [x.position(of: axis)]))
}

extension Shape {
  /// The shape itself, if `axis` exists and does not hold the batch.
  func keeping(_ axis: Int, _ name: String) throws(ShapeError) -> Shape {
    guard !axes[try position(of: axis)].isBatch else {
      throw ShapeError("a \(name) over the batch would couple the examples")
    }
    return self
  }
}

/// eˣ / Σ eˣ over an axis, the last one unless given.
public func softmax(_ x: Value, axis: Int = -1, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(Softmax(axis: axis), to: [x], file: file, line: line)
}

/// x − log Σ eˣ over an axis, the last one unless given.
public func logSoftmax(_ x: Value, axis: Int = -1, file: StaticString = #fileID, line: UInt = #line) -> Value {
  x.graph.apply(LogSoftmax(axis: axis), to: [x], file: file, line: line)
}
