import PCPrimitives

/// The largest element over axes that do not hold the batch; they vanish, or stay with one element.
///
/// The pullback goes to the winner, the first in row-major order where several are equal.
public struct Largest: Operation {
  public let name = "largest"
  /// The axes that are searched; negative ones count from the end, and none may hold the batch.
  public var axes: [Int]
  /// Whether the axes stay with one element, so that the result broadcasts against the operand.
  public var keepsAxes: Bool

  /// By default axes vanish.
  public init(axes: [Int], keepsAxes: Bool = false) {
    self.axes = axes
    self.keepsAxes = keepsAxes
  }

  public var attributes: String { "axes \(axes)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    for axis in axes { _ = try operands[0].keeping(axis, "maximum") }
    return try Sum(axes: axes, keepsAxes: keepsAxes).shape(operands)
  }

  /// Pooling with one window for each result: what is kept as the channels, what is searched as a row.
  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    let (order, pooling) = geometry(x)
    let rows = emit.reshape(x.permuted(order), to: pooling.imageExtents)
    let value = emit.makeTerm(
      "\(emit.label).largest", pooling.messageExtents, isBatched: x.isBatched, stage: x.stage)
    let winners = emit.makeTerm(
      "\(emit.label).winners", pooling.messageExtents, isBatched: x.isBatched, stage: x.stage, element: .index)
    emit.write(.maxPool(pooling), [rows.view], to: [value.view, winners.view], stage: x.stage)
    emit.remember(winners, for: value)
    let searched = positions(in: x)
    let extents = x.extents.indices.compactMap { axis -> Int? in
      searched.contains(axis) ? (keepsAxes ? 1 : nil) : x.extents[axis]
    }
    return emit.reshape(value, to: extents)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let x = point.operands[0]
    let (order, pooling) = geometry(x)
    let message = emit.reshape(point.message, to: pooling.messageExtents)
    let rows = emit.value(
      .maxPoolGradient(pooling), [message, emit.recall(for: point.result)], extents: pooling.imageExtents)
    let back = x.extents.indices.map { order.firstIndex(of: $0) ?? $0 }
    return emit.reshape(rows, to: order.map { x.extents[$0] }).permuted(back)
  }

  private func positions(in x: Term) -> [Int] { x.positions(of: axes) }

  private func geometry(_ x: Term) -> (order: [Int], pooling: Pooling) {
    let searched = positions(in: x)
    let order = x.extents.indices.filter { !searched.contains($0) } + searched
    let width = searched.reduce(1) { $0 * x.extents[$1] }
    let window = Extent(1, width)
    return (order, Pooling(channels: x.count / width, input: window, window: window, stride: window))
  }
}

extension Value {
  /// The largest element over `axes`, by default over all that do not hold the batch.
  public func max(
    axes: [Int]? = nil, keepsAxes: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    let axes = axes ?? shape.axes.indices.filter { !shape.axes[$0].isBatch }
    return graph.apply(Largest(axes: axes, keepsAxes: keepsAxes), to: [self], file: file, line: line)
  }
}
