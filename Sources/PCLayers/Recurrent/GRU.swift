import PCGraphs

/// The gated recurrent unit (Cho et al., 2014): r, z = σ(x · input + h · recurrent + bias), h ← (1 − z) · n + z · h.
///
/// | reset | n |
/// |---|---|
/// | `.after` | tanh(x · inputₙ + biasₙ + r · (h · recurrentₙ + `NAME.candidate bias`)), as cuDNN and PyTorch have it |
/// | `.before` | tanh(x · inputₙ + biasₙ + (r · h) · recurrentₙ), as in the paper |
///
/// Parameters: `NAME.input` [features, 3 hidden], `NAME.recurrent` [hidden, 3 hidden], `NAME.bias` [3 hidden], in the order
/// r, z, n.
public final class GRU: RecurrentCell {
  /// Where the reset gate acts: one row of the table above each.
  public enum Reset: String, Sendable, CaseIterable {
    /// After or before the product with the recurrent weights.
    case after, before
  }

  public let name: String
  /// Width of the state.
  public let hidden: Int
  /// By default after: one product serves all gates then.
  public let reset: Reset
  /// Which values of a step are vertices; by default the paper's choice.
  public let granularity: RecurrentGranularity
  private let weights: RecurrentWeights
  private var candidateBias: Value?

  /// A cell that makes its parameters when it is first unrolled. `initializer` draws both weights, by default the
  /// input's by Glorot's rule and the recurrent ones as an orthogonal matrix; biases start at 0.
  public init(
    _ name: String, _ hidden: Int, reset: Reset = .after, granularity: RecurrentGranularity = .gates,
    initializer: Initializer? = nil
  ) {
    self.name = name
    self.hidden = hidden
    self.reset = reset
    self.granularity = granularity
    weights = RecurrentWeights(name, hidden: hidden, parts: 3, initializer: initializer)
  }

  public var stateWidths: [Int] { [hidden] }

  public func project(_ inputs: Value) -> Value {
    if reset == .after, candidateBias == nil {
      candidateBias = inputs.graph.parameter("\(name).candidate bias", [hidden], .zeros)
    }
    return weights.project(inputs)
  }

  public func step(_ projected: Value, _ state: [Value]) -> [Value] {
    let graph = projected.graph
    guard granularity == .gates else { return [graph.vertex("state") { next(projected, state[0]) }] }
    return [next(projected, state[0])]
  }

  private func next(_ projected: Value, _ h: Value) -> Value {
    let graph = projected.graph
    let recurrent = weights.recurrent
    // What all gates read of h is one product; the original candidate has one of its own.
    let sums = graph.vertex("sums", .deterministic) {
      matmul(h, reset == .after ? recurrent : recurrent.sliced(axis: 1, 0..<(2 * hidden)))
    }
    func gate(_ name: String, _ index: Int) -> Value {
      graph.vertex(name) { sigmoid(projected.part(index, width: hidden) + sums.part(index, width: hidden)) }
    }
    let r = gate("reset", 0)
    let z = gate("update", 1)
    let candidate = graph.vertex("candidate") {
      let x = projected.part(2, width: hidden)
      if reset == .after, let candidateBias {
        return tanh(x + r * (sums.part(2, width: hidden) + candidateBias))
      }
      return tanh(x + matmul(r * h, recurrent.part(2, width: hidden)))
    }
    return graph.vertex("hidden") { (1 - z) * candidate + z * h }
  }
}
