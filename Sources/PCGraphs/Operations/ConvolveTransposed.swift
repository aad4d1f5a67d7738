import PCPrimitives

/// The transpose of ``Convolve`` in the image: images [B, i, y, x] and filters [i, o / groups, rows, columns] give
/// [B, o, y′, x′], y′ = (y − 1) · stride − 2 · padding + dilation · (rows − 1) + 1 + extra.
///
/// result[b, o, y·stride + k·dilation − padding, …] collects Σ image[b, i, y, …] · filter[i, o, k, …]. Its pullbacks are the
/// convolution itself, and the convolution's filter gradient with image and message exchanged.
public struct ConvolveTransposed: Operation {
  public let name = "convolve transposed"
  public let operandCounts = 2...2
  /// Pixels of the result from one pixel of the image to the next.
  public var stride: Int
  /// Rows and columns that are cut off of the result on each of the four sides.
  public var padding: Int
  /// Rows and columns that the result has more at its end, fewer than the stride: sizes that one convolution maps to
  /// one size.
  public var extra: Int
  /// Pixels from one tap of the kernel to the next.
  public var dilation: Int
  /// Channels are cut into this many groups that do not see one another.
  public var groups: Int

  /// By default the transpose of the plain convolution.
  public init(stride: Int = 1, padding: Int = 0, extra: Int = 0, dilation: Int = 1, groups: Int = 1) {
    self.stride = stride
    self.padding = padding
    self.extra = extra
    self.dilation = dilation
    self.groups = groups
  }

  public var attributes: String {
    "stride \(stride), padding \(padding)" + (extra == 0 ? "" : ", extra \(extra)")
      + (dilation == 1 ? "" : ", dilation \(dilation)") + (groups == 1 ? "" : ", groups \(groups)")
  }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let (image, filter) = (operands[0], operands[1])
    try image.checkImages()
    guard filter.rank == 4, !filter.isBatched else {
      throw ShapeError("filters must have shape [in, out, rows, columns], without a batch")
    }
    guard image.extents[1] == filter.extents[0] else {
      throw ShapeError("the image has \(image.extents[1]) channels, the filter takes \(filter.extents[0])")
    }
    let sizes = 1...Convolve.largestStep
    guard sizes.contains(stride), sizes.contains(dilation), (0...Convolve.largestStep).contains(padding),
      (0..<stride).contains(extra), groups >= 1, image.extents[1].isMultiple(of: groups)
    else {
      throw ShapeError(
        "stride \(stride), padding \(padding), extra \(extra), dilation \(dilation) and groups \(groups) make no sense"
      )
    }
    let result = geometry(image.extents, filter.extents)
    guard result.input.rows > 0, result.input.columns > 0 else {
      throw ShapeError("the padding of \(padding) cuts everything off")
    }
    return [.batch, .fixed(result.inputChannels), .fixed(result.input.rows), .fixed(result.input.columns)]
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let (image, filter) = (operands[0], operands[1])
    let geometry = geometry(image.extents, filter.extents)
    return emit.value(
      .convolveInputGradient(geometry), [image.dropping(axis: 0), filter], extents: geometry.imageExtents
    ).inserting(axis: 0)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let (image, filter) = (point.operands[0], point.operands[1])
    let geometry = geometry(image.extents, filter.extents)
    let message = point.message.dropping(axis: 0)
    guard operand == 0 else {
      return emit.value(
        .convolveFilterGradient(geometry), [message, image.dropping(axis: 0)], extents: filter.extents,
        isBatched: false)
    }
    return emit.value(.convolve(geometry), [message, filter], extents: geometry.messageExtents).inserting(axis: 0)
  }

  /// Of the convolution that leads from the result back to the image.
  private func geometry(_ image: [Int], _ filter: [Int]) -> Convolution {
    func size(_ count: Int, _ taps: Int) -> Int {
      (count - 1) * stride - 2 * padding + dilation * (taps - 1) + 1 + extra
    }
    return Convolution(
      inputChannels: filter[1] * groups, outputChannels: image[1],
      input: Extent(size(image[2], filter[2]), size(image[3], filter[3])), kernel: Extent(filter[2], filter[3]),
      stride: Extent(stride, stride), padding: Extent(padding, padding), dilation: Extent(dilation, dilation),
      groups: groups)
  }
}

/// The transposed convolution of images [B, i, y, x] with filters [i, o / groups, rows, columns]; see
/// ``ConvolveTransposed``.
public func convolveTransposed(
  _ image: Value, _ filter: Value, stride: Int = 1, padding: Int = 0, extra: Int = 0, dilation: Int = 1,
  groups: Int = 1, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  let operation = ConvolveTransposed(
    stride: stride, padding: padding, extra: extra, dilation: dilation, groups: groups)
  return image.graph.apply(operation, to: [image, filter], file: file, line: line)
}
