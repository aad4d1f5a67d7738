import PCPrimitives

/// The mean of each window of images [B, c, y, x]; zeros of the padding count.
///
/// y[b, c, y, x] = Σ image[b, c, y·stride + i − padding, x·stride + j − padding] / window². A convolution of each channel
/// with one number.
public struct AveragePool: Operation {
  public let name = "average pool"
  /// Rows, and columns, of a window.
  public var window: Int
  /// Pixels from one window to the next, alike down and to the right.
  public var stride: Int
  /// Zeros around the image, as many on each of the four sides.
  public var padding: Int

  /// The stride is by default the window, so that windows do not overlap.
  public init(window: Int, stride: Int? = nil, padding: Int = 0) {
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
  }

  public var attributes: String { "window \(window), stride \(stride), padding \(padding)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let image = operands[0]
    try image.checkImages()
    let sizes = 1...Shape.largestExtent
    guard sizes.contains(window), sizes.contains(stride), padding >= 0, padding <= window / 2 else {
      throw ShapeError("window \(window), stride \(stride) and padding \(padding) make no sense")
    }
    let output = geometry(image.extents).output
    guard output.count > 0 else { throw ShapeError("the window of \(window) is larger than the image") }
    return [.batch, image.axes[1], .fixed(output.rows), .fixed(output.columns)]
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let geometry = geometry(operands[0].extents)
    return emit.value(
      .convolve(geometry), [operands[0].dropping(axis: 0), filter(geometry, emit)], extents: geometry.messageExtents
    ).inserting(axis: 0)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let geometry = geometry(point.operands[0].extents)
    return emit.value(
      .convolveInputGradient(geometry), [point.message.dropping(axis: 0), filter(geometry, emit)],
      extents: geometry.imageExtents
    ).inserting(axis: 0)
  }

  private func filter(_ geometry: Convolution, _ emit: Emitter) -> Term {
    let share = emit.constant(1 / (Double(window) * Double(window)), [], isBatched: false)
    return share.broadcast(to: geometry.filterExtents)
  }

  private func geometry(_ image: [Int]) -> Convolution {
    Convolution(
      inputChannels: image[1], outputChannels: image[1], input: Extent(image[2], image[3]),
      kernel: Extent(window, window), stride: Extent(stride, stride), padding: Extent(padding, padding),
      groups: image[1])
  }
}

/// The mean of each window of images [B, c, y, x]; zeros of the padding count.
public func averagePool(
  _ x: Value, window: Int, stride: Int? = nil, padding: Int = 0, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  x.graph.apply(AveragePool(window: window, stride: stride, padding: padding), to: [x], file: file, line: line)
}
