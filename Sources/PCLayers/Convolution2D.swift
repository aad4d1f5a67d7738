import PCGraphs

/// y = activation(convolve(x, weight) + bias): [B, channels, rows, columns] to [B, filters, …], one vertex.
///
/// Parameters: `NAME.weight` [filters, channels / groups, kernel, kernel] and, with `hasBias`, `NAME.bias` [filters, 1, 1],
/// zero at first. Calling the same object twice shares them.
public final class Convolution2D {
  /// The vertex's name, and the path before `.weight` and `.bias`.
  public let name: String
  /// Channels of the result.
  public let filters: Int
  /// Rows, and columns, of a filter.
  public let kernel: Int
  /// Pixels from one result to the next, alike down and to the right; 1 unless given.
  public let stride: Int
  /// Zeros on each side of the image; 0 unless given.
  public let padding: Int
  /// Pixels from one tap of the kernel to the next; 1 unless given.
  public let dilation: Int
  /// Groups of channels that do not see one another; 1 unless given, and one for each channel makes it depthwise.
  public let groups: Int
  /// Ends the layer, inside of its vertex.
  public let activation: Activation
  /// Whether a number is added for each filter; so by default.
  public let hasBias: Bool
  /// Draws the weight.
  public let initializer: Initializer
  private var parameters: WeightAndBias?

  /// A layer that makes its parameters when it is first called, for the number of channels that it finds there.
  /// `initializer` draws the weight: by default He's, which suits relu.
  public init(
    _ name: String, filters: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, groups: Int = 1,
    activation: Activation = .identity, bias: Bool = true, initializer: Initializer = .he
  ) {
    self.name = name
    self.filters = filters
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
    self.activation = activation
    hasBias = bias
    self.initializer = initializer
  }

  /// The layer applied to images [B, channels, rows, columns]: [B, filters, r′, c′] with
  /// r′ = ⌊(rows + 2 · padding − dilation · (kernel − 1) − 1) / stride⌋ + 1. Stops where the shape does not fit.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    guard x.shape.rank == 4 else {
      fatalError("\(file):\(line): \(name) takes images [B, channels, rows, columns], not \(x.name) \(x.shape)")
    }
    guard groups >= 1, x.shape.extents[1].isMultiple(of: groups) else {
      fatalError(
        "\(file):\(line): \(name) cannot cut the \(x.shape.extents[1]) channels of \(x.name) into \(groups) groups")
    }
    let parameters =
      parameters
      ?? WeightAndBias(
        x.graph, name, weight: [filters, x.shape.extents[1] / groups, kernel, kernel], initializer,
        bias: hasBias ? [filters, 1, 1] : nil, file, line)
    self.parameters = parameters
    return x.graph.vertex(name, file: file, line: line) {
      let y = convolve(
        x, parameters.weight, stride: stride, padding: padding, dilation: dilation, groups: groups, file: file,
        line: line)
      return activation(parameters.addingBias(to: y))
    }
  }
}
