/// y[g…, m, n] = Σ_k a[g…, m, k] · b[g…, k, n]; the groups broadcast.
///
/// ∂L/∂a = message · bᵀ, ∂L/∂b = aᵀ · message. The batch may lie on the rows of `a` (the usual [B, k] by [k, n]), on the
/// columns of `b`, or on a group axis, but not on k.
public struct MatrixProduct: Operation {
  public let name = "matmul"
  public let operandCounts = 2...2
  /// Without settings; `matmul(_:_:file:line:)` applies it.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let (a, b) = (operands[0], operands[1])
    guard a.rank >= 2, b.rank >= 2 else { throw ShapeError("both must have at least two axes") }
    let (m, k) = (a.axes[a.rank - 2], a.axes[a.rank - 1])
    let (k2, n) = (b.axes[b.rank - 2], b.axes[b.rank - 1])
    guard k == k2, !k.isBatch else {
      throw ShapeError("the last axis of the first, \(k), must equal the second to last of the second, \(k2)")
    }
    let groups = try Shape.broadcast(Shape(Array(a.axes.dropLast(2))), Shape(Array(b.axes.dropLast(2))))
    let result = Shape(groups.axes + [m, n])
    let holders = [a, b].filter(\.isBatched).count
    guard result.axes.filter(\.isBatch).count == min(holders, 1), holders < 2 || groups.isBatched else {
      throw ShapeError("both hold the batch, but not on the same group axis")
    }
    return result
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let (a, b) = (operands[0], operands[1])
    let extents = Array(a.extents.dropLast()) + [b.extents[b.rank - 1]]
    guard b.rank == 2 else { return emit.contract(a, b.transposed) }
    return emit.reshape(emit.contract(rows(of: a, emit), b.transposed), to: extents)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let (a, b) = (point.operands[0], point.operands[1])
    let message = point.message
    if b.rank == 2 {
      if operand == 0 {
        guard a.isBatched || !message.isBatched else { return emit.contract(message, b, isBatched: false) }
        return emit.reshape(emit.contract(rows(of: message, emit), b), to: a.extents)
      }
      return emit.contract(
        rows(of: a, emit).transposed, rows(of: message, emit).transposed, isBatched: b.isBatched)
    }
    if operand == 0 { return emit.contract(message, b, isBatched: a.isBatched) }
    return emit.contract(a.transposed, message.transposed, isBatched: b.isBatched)
  }

  /// All groups' rows under one another.
  private func rows(of x: Term, _ emit: Emitter) -> Term {
    guard x.rank > 2 else { return x }
    return emit.reshape(x, to: [x.extents.dropLast().reduce(1, *), x.extents[x.rank - 1]])
  }
}

/// The matrix product of the last two axes; the axes before them broadcast.
public func matmul(_ a: Value, _ b: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  a.graph.apply(MatrixProduct(), to: [a, b], file: file, line: line)
}
