import PCGraphs

/// h ← activation(x · input + h · recurrent + bias): Elman's recurrent network, one vertex a step.
///
/// Parameters: `NAME.input` [features, hidden], `NAME.recurrent` [hidden, hidden], `NAME.bias` [hidden].
public final class RNN: RecurrentCell {
  public let name: String
  /// Width of the state.
  public let hidden: Int
  /// Ends a step; by default tanh.
  public let activation: Activation
  private let weights: RecurrentWeights

  /// A cell that makes its parameters when it is first unrolled. `initializer` draws both weights, by default the
  /// input's by Glorot's rule and the recurrent ones as an orthogonal matrix; the bias starts at 0.
  public init(_ name: String, _ hidden: Int, activation: Activation = .tanh, initializer: Initializer? = nil) {
    self.name = name
    self.hidden = hidden
    self.activation = activation
    weights = RecurrentWeights(name, hidden: hidden, parts: 1, initializer: initializer)
  }

  public var stateWidths: [Int] { [hidden] }

  public func project(_ inputs: Value) -> Value { weights.project(inputs) }

  public func step(_ projected: Value, _ state: [Value]) -> [Value] {
    [projected.graph.vertex("hidden") { activation(projected + matmul(state[0], weights.recurrent)) }]
  }
}
