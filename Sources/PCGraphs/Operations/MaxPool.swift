import PCPrimitives

/// The largest element of each window of images [B, c, y, x]; the pullback goes to the winner, the first one of a tie.
public struct MaxPool: Operation {
  public let name = "max pool"
  /// Rows, and columns, of a window.
  public var window: Int
  /// Pixels from one window to the next, alike down and to the right.
  public var stride: Int

  /// The stride is by default the window, so that windows do not overlap.
  public init(window: Int, stride: Int? = nil) {
    self.window = window
    self.stride = stride ?? window
  }

  public var attributes: String { "window \(window), stride \(stride)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let image = operands[0]
    try image.checkImages()
    guard (1...Shape.largestExtent).contains(window), (1...Shape.largestExtent).contains(stride) else {
      throw ShapeError("window \(window) and stride \(stride) make no sense")
    }
    let output = pooling(image.extents).output
    guard output.count > 0 else { throw ShapeError("the window of \(window) is larger than the image") }
    return [.batch, image.axes[1], .fixed(output.rows), .fixed(output.columns)]
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let image = operands[0]
    let pooling = pooling(image.extents)
    let value = emit.makeTerm(
      "\(emit.label).max pool", pooling.messageExtents, isBatched: image.isBatched, stage: image.stage)
    let winners = emit.makeTerm(
      "\(emit.label).winners", pooling.messageExtents, isBatched: image.isBatched, stage: image.stage, element: .index
    )
    emit.write(
      .maxPool(pooling), [image.dropping(axis: 0).view], to: [value.view, winners.view], stage: image.stage)
    emit.remember(winners, for: value)
    return value.inserting(axis: 0)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let pooling = pooling(point.operands[0].extents)
    let winners = emit.recall(for: point.result)
    return emit.value(
      .maxPoolGradient(pooling), [point.message.dropping(axis: 0), winners], extents: pooling.imageExtents
    ).inserting(axis: 0)
  }

  private func pooling(_ image: [Int]) -> Pooling {
    Pooling(
      channels: image[1], input: Extent(image[2], image[3]), window: Extent(window, window),
      stride: Extent(stride, stride))
  }
}

/// The largest element of each window of images [B, c, y, x].
public func maxPool(
  _ x: Value, window: Int, stride: Int? = nil, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  x.graph.apply(MaxPool(window: window, stride: stride), to: [x], file: file, line: line)
}
