import PCKernels

/// ∂L/∂θ for each parameter, summed over the examples of a batch.
public struct Gradients: Sendable {
  /// ∂L/∂θ by the parameter's path, in the parameter's extents; parameters that no loss reaches are missing.
  public var byParameter: [String: Tensor]

  /// Gradients from elsewhere, to be compared with a rule's.
  public init(byParameter: [String: Tensor]) { self.byParameter = byParameter }

  /// The gradient of one parameter, by path.
  public subscript(parameter: String) -> Tensor? { byParameter[parameter] }

  /// √Σg² over all parameters.
  public var norm: Double { sum { $0 * $0 }.squareRoot() }

  /// ‖self − other‖ over all parameters.
  public func distance(to other: Gradients) -> Double {
    sum(with: other) { ($0 - $1) * ($0 - $1) }.squareRoot()
  }

  /// How this gradient differs from another one, usually backprop's.
  public func compared(with other: Gradients) -> GradientComparison {
    let product = sum(with: other) { $0 * $1 }
    let norms = norm * other.norm
    return GradientComparison(
      relativeError: other.norm > 0 ? distance(to: other) / other.norm : (norm > 0 ? .infinity : 0),
      cosine: norms > 0 ? product / norms : (norm == other.norm ? 1 : 0))
  }

  private func sum(_ term: (Double) -> Double) -> Double {
    byParameter.sorted { $0.key < $1.key }.reduce(0) { $1.value.values.reduce($0) { $0 + term($1) } }
  }

  /// A parameter that only one of the two has counts as zeros in the other.
  private func sum(with other: Gradients, _ term: (Double, Double) -> Double) -> Double {
    Set(byParameter.keys).union(other.byParameter.keys).sorted().reduce(0) { total, name in
      let (ours, theirs) = (self[name]?.values ?? [], other[name]?.values ?? [])
      return (0..<max(ours.count, theirs.count)).reduce(total) { sum, k in
        sum + term(k < ours.count ? ours[k] : 0, k < theirs.count ? theirs[k] : 0)
      }
    }
  }
}

/// The distance between two gradients.
public struct GradientComparison: Sendable, Hashable {
  /// ‖g − g*‖ / ‖g*‖ over all parameters.
  public var relativeError: Double
  /// g·g* / ‖g‖‖g*‖.
  public var cosine: Double
}
