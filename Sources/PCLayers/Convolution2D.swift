import PCGraphs

/// y = activation(convolve(x, weight) + bias): [B, channels, rows, columns] to [B, filters, …], one vertex.
///
/// Parameters: `NAME.weight` [filters, channels, kernel, kernel] and, with `hasBias`, `NAME.bias` [filters, 1, 1], zero at
/// first. Calling the same object twice shares them.
public final class Convolution2D {
  public let name: String
  public let filters: Int
  public let kernel: Int
  public let stride: Int
  public let padding: Int
  public let activation: Activation
  public let hasBias: Bool
  public let initializer: Initializer
  private var parameters: (weight: Value, bias: Value?)?

  /// - Parameter initializer: of the weight; by default He's, which suits relu.
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
