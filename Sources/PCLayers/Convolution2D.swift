import PCGraphs

/// y = activation(convolve(x, weight) + bias): [B, channels, rows, columns] to [B, filters, …], one vertex.
///
/// Parameters: `NAME.weight` [filters, channels, kernel, kernel] and, with `hasBias`, `NAME.bias` [filters, 1, 1], zero at
/// first. Calling the same object twice shares them.
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
  /// Ends the layer, inside of its vertex.
  public let activation: Activation
  /// Whether a number is added for each filter; so by default.
  public let hasBias: Bool
  /// Draws the weight.
  public let initializer: Initializer
  private var parameters: (weight: Value, bias: Value?)?

  /// A layer that makes its parameters when it is first called, for the number of channels that it finds there.
  /// `initializer` draws the weight: by default He's, which suits relu.
  public init(
    _ name: String, filters: Int, kernel: Int, stride: Int = 1, padding: Int = 0, activation: Activation = .identity,
    bias: Bool = true, initializer: Initializer = .he
  ) {
    self.name = name
    self.filters = filters
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.activation = activation
    hasBias = bias
    self.initializer = initializer
  }

  /// The layer applied to images [B, channels, rows, columns]: [B, filters, r′, c′] with
  /// r′ = ⌊(rows + 2 · padding − kernel) / stride⌋ + 1. Stops where the shape does not fit.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    guard x.shape.rank == 4 else {
      fatalError("\(file):\(line): \(name) takes images [B, channels, rows, columns], not \(x.name) \(x.shape)")
    }
    let graph = x.graph
    let weight: Value
    let bias: Value?
    if let parameters {
      (weight, bias) = parameters
    } else {
      weight = graph.parameter(
        "\(name).weight", [filters, x.shape.extents[1], kernel, kernel], initializer, file: file, line: line)
      bias = hasBias ? graph.parameter("\(name).bias", [filters, 1, 1], .zeros, file: file, line: line) : nil
      parameters = (weight, bias)
    }
    return graph.vertex(name, file: file, line: line) {
      var y = convolve(x, weight, stride: stride, padding: padding, file: file, line: line)
      if let bias { y = y + bias }
      return activation(y)
    }
  }
}
