import PCGraphs

/// Long short-term memory (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers et al., 2000):
///
///     i, f, o = σ(x · input + h · recurrent + bias)     g = tanh(…)
///     c ← f · c + i · g                                  h ← o · tanh(c)
///
/// Parameters: `NAME.input` [features, 4 hidden], `NAME.recurrent` [hidden, 4 hidden], `NAME.bias` [4 hidden], in the order
/// i, f, g, o; with peepholes `NAME.peephole` [3, hidden] for i, f (from the old cell) and o (from the new one). With a
/// projection (Sak et al., 2014) h ← (o · tanh(c)) · projection, of a width of its own, and `NAME.projection`
/// [hidden, width].
public final class LSTM: RecurrentCell {
  public let name: String
  /// Width of the cell, and of the hidden state unless that is projected.
  public let hidden: Int
  /// Width of the projected hidden state; by default it is not projected.
  public let projection: Int?
  /// Whether gates read the cell as well; not by default.
  public let hasPeepholes: Bool
  /// Which values of a step are vertices; by default the paper's choice.
  public let granularity: RecurrentGranularity
  private let weights: RecurrentWeights
  private let initializer: Initializer?
  private var peepholes: Value?
  private var projectionWeights: Value?

  /// A cell that makes its parameters when it is first unrolled.
  ///
  /// `initializer` draws the weights; by default those of the input and of the projection by Glorot's rule, the recurrent
  /// ones as an orthogonal matrix. Biases and peepholes start at 0, but the forget gate's bias at `forgetBias`: 1 keeps
  /// memories from the start (Jozefowicz et al., 2015).
  public init(
    _ name: String, _ hidden: Int, projection: Int? = nil, peepholes: Bool = false,
    granularity: RecurrentGranularity = .gates, initializer: Initializer? = nil, forgetBias: Double = 0
  ) {
    self.name = name
    self.hidden = hidden
    hasPeepholes = peepholes
    self.granularity = granularity
    self.projection = projection
    self.initializer = initializer
    let bias = (0..<4).flatMap { Array(repeating: $0 == 1 ? forgetBias : 0, count: hidden) }
    weights = RecurrentWeights(
      name, hidden: hidden, parts: 4, stateWidth: projection ?? hidden, initializer: initializer, bias: .values(bias))
  }

  public var stateWidths: [Int] { [projection ?? hidden, hidden] }

  public func project(_ inputs: Value) -> Value {
    if hasPeepholes, peepholes == nil {
      peepholes = inputs.graph.parameter("\(name).peephole", [3, hidden], .zeros)
    }
    if let projection, projectionWeights == nil {
      projectionWeights = inputs.graph.parameter(
        "\(name).projection", [hidden, projection], initializer ?? .glorot)
    }
    return weights.project(inputs)
  }

  public func step(_ projected: Value, _ state: [Value]) -> [Value] {
    let graph = projected.graph
    let (h, c) = (state[0], state[1])
    guard granularity == .gates else {
      let joined = graph.vertex("state") {
        let (next, memory) = cell(projected + matmul(h, weights.recurrent), c)
        return concatenate([next, memory], axis: 1)
      }
      let width = stateWidths[0]
      return [joined.sliced(axis: 1, 0..<width), joined.sliced(axis: 1, width..<(width + hidden))]
    }
    let sums = graph.vertex("sums", .deterministic) { projected + matmul(h, weights.recurrent) }
    let (next, memory) = cell(sums, c)
    return [next, memory]
  }

  /// The new hidden state and cell from the gates' sums [B, 4 hidden] and the old cell.
  private func cell(_ sums: Value, _ c: Value) -> (h: Value, c: Value) {
    let graph = sums.graph
    func gate(_ gate: String, _ index: Int, peephole: Int? = nil, from cell: Value? = nil) -> Value {
      graph.vertex(gate) {
        var sum = sums.part(index, width: hidden)
        if let peephole, let peepholes, let cell {
          sum = sum + cell * peepholes.sliced(axis: 0, peephole..<(peephole + 1))
        }
        return index == 2 ? tanh(sum) : sigmoid(sum)
      }
    }
    let input = gate("input", 0, peephole: 0, from: c)
    let forget = gate("forget", 1, peephole: 1, from: c)
    let candidate = gate("candidate", 2)
    let memory = graph.vertex("cell") { forget * c + input * candidate }
    let output = gate("output", 3, peephole: 2, from: memory)
    let next = graph.vertex("hidden") {
      let next = output * tanh(memory)
      return projectionWeights.map { matmul(next, $0) } ?? next
    }
    return (next, memory)
  }
}
