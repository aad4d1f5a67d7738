import PCPrimitives

/// y = the larger (or the smaller) of a and b, element by element, with broadcasting; messages go to the operand that was
/// taken, and to the first where both are equal.
public struct Extremum: Operation {
  /// Which of the two is taken.
  public enum Kind: String, Sendable, CaseIterable {
    /// The larger, or the smaller.
    case maximum, minimum
  }

  /// Which of the two is taken.
  public var kind: Kind
  public let operandCounts = 2...2

  /// Applied by `max(_:_:file:line:)` and `min(_:_:file:line:)`.
  public init(_ kind: Kind) { self.kind = kind }

  public var name: String { kind.rawValue }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try .broadcast(operands[0], operands[1]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    emit.combine(kind == .maximum ? .maximum : .minimum, operands[0], operands[1])
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let (a, b) = (point.operands[0], point.operands[1])
    let takesSecond = kind == .maximum ? emit.combine(.greater, b, a) : emit.combine(.greater, a, b)
    let zero = emit.constant(0, [], isBatched: false)
    return operand == 0
      ? emit.select(takesSecond, zero, point.message) : emit.select(takesSecond, point.message, zero)
  }
}

/// x held within a range, element by element; ∂y/∂x = 1 within it, its ends included, else 0.
public struct Clip: Operation {
  public let name = "clip"
  /// Where the values of the result lie.
  public var range: ClosedRange<Double>

  /// Applied by `clip(_:to:file:line:)`.
  public init(to range: ClosedRange<Double>) { self.range = range }

  public var attributes: String { "to \(range)" }

  public func shape(_ operands: [Shape]) -> Shape { operands[0] }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let (low, high) = bounds(emit)
    return emit.combine(.minimum, emit.combine(.maximum, operands[0], low), high)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let x = point.operands[0]
    let (low, high) = bounds(emit)
    let isOutside = emit.add(emit.combine(.greater, low, x), emit.combine(.greater, x, high))
    return emit.select(isOutside, emit.constant(0, [], isBatched: false), point.message)
  }

  private func bounds(_ emit: Emitter) -> (low: Term, high: Term) {
    (
      emit.constant(range.lowerBound, [], isBatched: false), emit.constant(range.upperBound, [], isBatched: false)
    )
  }
}

/// The larger of `a` and `b`, element by element; the first where both are equal.
public func max(_ a: Value, _ b: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  a.graph.apply(Extremum(.maximum), to: [a, b], file: file, line: line)
}

/// The smaller of `a` and `b`, element by element; the first where both are equal.
public func min(_ a: Value, _ b: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
  a.graph.apply(Extremum(.minimum), to: [a, b], file: file, line: line)
}

/// `x` held within `range`, element by element.
public func clip(
  _ x: Value, to range: ClosedRange<Double>, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  x.graph.apply(Clip(to: range), to: [x], file: file, line: line)
}
