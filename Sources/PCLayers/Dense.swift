import PCGraphs

/// y = activation(x · weight + bias): [B, in] to [B, units], one vertex.
///
/// Parameters: `NAME.weight` [in, units] and, with `hasBias`, `NAME.bias` [units], zero at first. Calling the same object
/// twice shares them.
///
/// ```swift
/// let hidden = Dense("hidden", 128, activation: .tanh)(x)
/// ```
public final class Dense {
  /// The vertex's name, and the path before `.weight` and `.bias`.
  public let name: String
  /// Elements of the result's last axis.
  public let units: Int
  /// Ends the layer, inside of its vertex.
  public let activation: Activation
  /// Whether a number is added for each unit; so by default.
  public let hasBias: Bool
  /// Draws the weight.
  public let initializer: Initializer
  private var parameters: WeightAndBias?

  /// A layer that makes its parameters when it is first called, for the number of features that it finds there.
  /// `initializer` draws the weight: by default Glorot's, which suits tanh and sigmoid.
  public init(
    _ name: String, _ units: Int, activation: Activation = .identity, bias: Bool = true,
    initializer: Initializer = .glorot
  ) {
    self.name = name
    self.units = units
    self.activation = activation
    hasBias = bias
    self.initializer = initializer
  }

  /// The layer applied to the last axis of [B, …, in], which gives [B, …, units]. Stops where the shape does not fit.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    guard x.shape.rank >= 2, let width = x.shape.axes.last, !width.isBatch else {
      fatalError("\(file):\(line): \(name) takes values [B, …, features], not \(x.name) \(x.shape)")
    }
    let parameters =
      parameters
      ?? WeightAndBias(
        x.graph, name, weight: [width.extent, units], initializer,
        bias: hasBias ? [units] : nil, file, line)
    self.parameters = parameters
    return x.graph.vertex(name, file: file, line: line) {
      let y = matmul(x, parameters.weight, file: file, line: line)
      return activation(parameters.addingBias(to: y))
    }
  }
}
