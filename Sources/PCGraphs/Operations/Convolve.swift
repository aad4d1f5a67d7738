import PCPrimitives

/// Two-dimensional convolution (cross-correlation): images [B, c, y, x] by filters
/// [o, c / groups, rows, columns].
///
/// y[b, o, y, x] = Σ filter[o, c, i, j] · image[b, c, y·stride + i·dilation − padding, …]; outside is 0. With groups, output
/// channel o sees the input channels of its own group alone; with as many groups as channels, one channel.
public struct Convolve: Operation {
  public let name = "convolve"
  public let operandCounts = 2...2
  /// Pixels from one result to the next, alike down and to the right.
  public var stride: Int
  /// Zeros around the image, as many on each of the four sides.
  public var padding: Int
  /// Pixels from one tap of the kernel to the next, alike down and to the right.
  public var dilation: Int
  /// Channels are cut into this many groups that do not see one another.
  public var groups: Int

  /// By default every place where the kernel, without gaps, lies inside of the image.
  public init(stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1) {
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  public var attributes: String {
    "stride \(stride), padding \(padding)" + (dilation == 1 ? "" : ", dilation \(dilation)")
      + (groups == 1 ? "" : ", groups \(groups)")
  }

  /// Far beyond any image, and small enough that products with extents do not overflow.
  static let largestStep = 1 << 20

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let (image, filter) = (operands[0], operands[1])
    try image.checkImages()
    guard filter.rank == 4, !filter.isBatched else {
      throw ShapeError("filters must have shape [out, in, rows, columns], without a batch")
    }
    let steps = 1...Self.largestStep
    guard steps.contains(stride), steps.contains(dilation), (0...Self.largestStep).contains(padding) else {
      throw ShapeError("stride \(stride), padding \(padding) and dilation \(dilation) make no sense")
    }
    guard groups >= 1, filter.extents[0].isMultiple(of: groups), image.extents[1].isMultiple(of: groups) else {
      throw ShapeError(
        "\(groups) groups do not divide \(image.extents[1]) channels and \(filter.extents[0]) filters evenly")
    }
    guard image.extents[1] / groups == filter.extents[1] else {
      throw ShapeError(
        "the image has \(image.extents[1]) channels, the filter takes \(filter.extents[1])"
          + (groups == 1 ? "" : " in each of \(groups) groups"))
    }
    let output = geometry(image.extents, filter.extents).output
    guard output.count > 0 else {
      throw ShapeError("the kernel is larger than the image with its padding of \(padding)")
    }
    return [.batch, .fixed(filter.extents[0]), .fixed(output.rows), .fixed(output.columns)]
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let (image, filter) = (operands[0], operands[1])
    let geometry = geometry(image.extents, filter.extents)
    let result = emit.value(
      .convolve(geometry), [image.dropping(axis: 0), filter], extents: geometry.messageExtents)
    return result.inserting(axis: 0)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let (image, filter) = (point.operands[0], point.operands[1])
    let geometry = geometry(image.extents, filter.extents)
    let message = point.message.dropping(axis: 0)
    guard operand == 0 else {
      return emit.value(
        .convolveFilterGradient(geometry), [image.dropping(axis: 0), message], extents: filter.extents,
        isBatched: false)
    }
    return emit.value(
      .convolveInputGradient(geometry), [message, filter], extents: geometry.imageExtents
    ).inserting(axis: 0)
  }

  private func geometry(_ image: [Int], _ filter: [Int]) -> Convolution {
    Convolution(
      inputChannels: image[1], outputChannels: filter[0], input: Extent(image[2], image[3]),
      kernel: Extent(filter[2], filter[3]), stride: Extent(stride, stride), padding: Extent(padding, padding),
      dilation: Extent(dilation, dilation), groups: groups)
  }
}

/// The convolution of images [B, c, y, x] with filters [o, c / groups, rows, columns]; see ``Convolve``.
public func convolve(
  _ image: Value, _ filter: Value, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
  file: StaticString = #fileID, line: UInt = #line
) -> Value {
  let operation = Convolve(stride: stride, padding: padding, dilation: dilation, groups: groups)
  return image.graph.apply(operation, to: [image, filter], file: file, line: line)
}
