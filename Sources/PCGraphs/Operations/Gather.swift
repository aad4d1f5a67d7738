import PCPrimitives

/// y[…, :] = table[index…, :]: rows of a table, chosen by integers, as an embedding does.
///
/// ∂L/∂table adds each message to the row that it came from; indices have no derivative. The same as the matrix product of
/// one-hot codes with the table, without their zeros.
public struct Gather: Operation {
  public let name = "gather"
  public let operandCounts = 2...2
  public func element(ofOperand operand: Int) -> Element { operand == 0 ? .index : .real }
  /// Without settings; `gather(_:at:file:line:)` applies it. Operands: indices, table.
  public init() {}

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let (indices, table) = (operands[0], operands[1])
    guard table.rank == 2, !table.isBatched else {
      throw ShapeError("the table \(table) must have rows and columns, and no batch")
    }
    return Shape(indices.axes + [table.axes[1]])
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let (indices, table) = (operands[0], operands[1])
    return emit.value(
      .gather(extents: indices.extents, rows: table.extents[0], width: table.extents[1]), operands,
      extents: indices.extents + [table.extents[1]])
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    guard operand == 1 else { return nil }
    let (indices, table) = (point.operands[0], point.operands[1])
    return emit.value(
      .gatherGradient(extents: indices.extents, rows: table.extents[0], width: table.extents[1]),
      [indices, point.message], extents: table.extents, isBatched: false)
  }
}

/// The rows of `table` [rows, width] that the labels name: their shape + [width].
public func gather(
  _ table: Value, at labels: Labels, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  table.graph.apply(Gather(), to: [labels.value, table], file: file, line: line)
}
