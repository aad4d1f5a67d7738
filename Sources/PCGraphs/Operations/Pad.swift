import PCPrimitives

/// Zeros before and after the elements of an axis that does not hold the batch; the pullback drops what lies there.
public struct Pad: Operation {
  public let name = "pad"
  public let isStructural = true
  /// The axis that grows; negative ones count from the end.
  public var axis: Int
  /// How many zeros come first.
  public var before: Int
  /// How many zeros come last.
  public var after: Int

  /// Counts are checked when the operation is applied.
  public init(axis: Int, before: Int, after: Int) {
    self.axis = axis
    self.before = before
    self.after = after
  }

  public var attributes: String { "axis \(axis), \(before) before, \(after) after" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    var shape = operands[0]
    let position = try shape.position(of: axis)
    guard !shape.axes[position].isBatch else { throw ShapeError("the batch cannot be padded") }
    guard (0...Shape.largestExtent).contains(before), (0...Shape.largestExtent).contains(after) else {
      throw ShapeError("\(before) zeros before and \(after) after make no sense")
    }
    shape.axes[position] = .fixed(before + shape.extents[position] + after)
    return shape
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    let position = position(in: x)
    var extents = x.extents
    extents[position] += before + after
    let padded = emit.constant(0, extents, isBatched: x.isBatched)
    emit.blend(x, into: padded.sliced(axis: position, before..<(before + x.extents[position])), stage: x.stage)
    return padded.at(stage: x.stage)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let position = position(in: point.result)
    return point.message.sliced(axis: position, before..<(before + point.operands[0].extents[position]))
  }

  private func position(in term: Term) -> Int { axis < 0 ? axis + term.rank : axis }
}

extension Value {
  /// With `before` zeros before and `after` zeros after the elements of `axis`.
  public func padded(
    axis: Int, before: Int = 0, after: Int = 0, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    graph.apply(Pad(axis: axis, before: before, after: after), to: [self], file: file, line: line)
  }
}
