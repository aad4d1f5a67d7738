import PCGraphs

/// The activation that ends a layer.
public enum Activation: String, Sendable, CaseIterable {
  /// x itself, max(x, 0), tanh x or 1 / (1 + e⁻ˣ), by their usual names.
  case identity, relu, tanh, sigmoid
  /// x Φ(x), x σ(x), x or eˣ − 1 below 0, log(1 + eˣ).
  case gelu, silu, elu, softplus
  /// x, or 0.01 x below 0.
  case leakyRelu = "leaky-relu"

  func callAsFunction(_ x: Value) -> Value {
    switch self {
    case .identity: x
    case .relu: PCGraphs.relu(x)
    case .tanh: PCGraphs.tanh(x)
    case .sigmoid: PCGraphs.sigmoid(x)
    case .gelu: PCGraphs.gelu(x)
    case .silu: PCGraphs.silu(x)
    case .elu: PCGraphs.elu(x)
    case .softplus: PCGraphs.softplus(x)
    case .leakyRelu: PCGraphs.leakyRelu(x)
    }
  }
}
