import PCGraphs

/// The activation that ends a layer.
public enum Activation: String, Sendable, CaseIterable {
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
