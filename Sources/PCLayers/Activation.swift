import PCGraphs

/// The activation that ends a layer.
public enum Activation: String, Sendable, CaseIterable {
  /// x itself, max(x, 0), tanh x or 1 / (1 + e⁻ˣ), by their usual names.
  case identity, relu, tanh, sigmoid

  func callAsFunction(_ x: Value) -> Value {
    switch self {
    case .identity: x
    case .relu: PCGraphs.relu(x)
    case .tanh: PCGraphs.tanh(x)
    case .sigmoid: PCGraphs.sigmoid(x)
    }
  }
}
