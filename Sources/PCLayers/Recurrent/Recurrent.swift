import PCGraphs

/// A cell: what one step of a recurrent layer computes. A user's own is a type with these members.
public protocol RecurrentCell {
  /// The path before `.input`, `.recurrent` and `.bias`, and the scope `name[step]/` of the vertices.
  var name: String { get }
  /// Width of each part of the state, the output first: [hidden], or [hidden, hidden] for an LSTM.
  var stateWidths: [Int] { get }

  /// What all steps need of the inputs, at once: [B, length, features] to [B, length, n].
  func project(_ inputs: Value) -> Value

  /// The next state, from a step's part [B, n] of the projection and the state before it. Makes vertices.
  func step(_ projected: Value, _ state: [Value]) -> [Value]
}

/// Which values of a recurrent step are vertices of their own.
public enum RecurrentGranularity: String, Sendable, CaseIterable {
  /// Each gate, candidate, cell and hidden state: the paper's choice.
  case gates
  /// The whole state of a step is one vertex.
  case step
}

/// What unrolling a cell gives.
public struct RecurrentOutput {
  /// The output of each step, [B, hidden], in the order of time.
  public var outputs: [Value]
  /// The state after the last step of the computation.
  public var last: [Value]

  /// All outputs as [B, length, hidden].
  public func stacked() -> Value {
    concatenate(outputs.map { $0.reshaped([.batch, 1, .fixed($0.shape.count)]) }, axis: 1)
  }
}

extension RecurrentCell {
  /// Unrolls the cell over `inputs` [B, length, features].
  ///
  /// - `initial` is the state before the first step, each part [B, width] or [1, width]; by default zeros.
  /// - `isCarried` starts from the state that the batch before ended with, instead, where a feed `continuesStream`:
  ///   inputs `NAME.carried0`, … hold it.
  /// - `mask`, [B, length], is 0 at the padding of a shorter sequence: there the state stays as it was and no message
  ///   reaches the weights, so that each example equals its own unpadded run, in both directions.
  /// - `reversed` runs from the last input to the first.
  public func callAsFunction(
    _ inputs: Value, initial: [Value]? = nil, isCarried: Bool = false, mask: Value? = nil, reversed: Bool = false,
    file: StaticString = #fileID, line: UInt = #line
  ) -> RecurrentOutput {
    let graph = inputs.graph
    guard inputs.shape.rank == 3, inputs.shape.axes[0] == .batch else {
      fatalError("\(file):\(line): \(name) takes sequences [B, length, features], not \(inputs.name) \(inputs.shape)")
    }
    let length = inputs.shape.extents[1]
    guard initial == nil || !isCarried else {
      fatalError("\(file):\(line): \(name) starts from a given state or from a carried one, not from both")
    }
    let start =
      initial
      ?? stateWidths.enumerated().map { index, width in
        isCarried
          ? graph.carried("\(name).carried\(index)", [.batch, .fixed(width)], file: file, line: line)
          : graph.constant(
            "\(name).initial\(index)", [1, width], Array(repeating: 0, count: width), file: file, line: line)
      }
    let projected = project(inputs)
    var outputs: [Value?] = Array(repeating: nil, count: length)
    var state = start
    graph.unroll(name, length, file: file, line: line) { step in
      let time = reversed ? length - 1 - step : step
      let part = projected.sliced(axis: 1, time..<(time + 1)).reshaped([.batch, .fixed(projected.shape.extents[2])])
      let next = self.step(part, state)
      if let mask {
        let isPresent = mask.sliced(axis: 1, time..<(time + 1))
        state = zip(next, state).map { select(isPresent, $0, $1) }
      } else {
        state = next
      }
      outputs[time] = state[0]
    }
    if isCarried {
      for (value, input) in zip(state, start) { graph.carry(value, into: input, file: file, line: line) }
    }
    return RecurrentOutput(outputs: outputs.compactMap { $0 }, last: state)
  }
}

/// The weights that recurrent cells share: an input projection, a recurrent matrix and a bias, by path.
final class RecurrentWeights {
  let name: String
  let hidden: Int
  let parts: Int
  /// Width of the state that `recurrent` reads.
  let stateWidth: Int
  let initializer: Initializer?
  let bias: Initializer
  private var values: (input: Value, recurrent: Value, bias: Value)?

  init(
    _ name: String, hidden: Int, parts: Int, stateWidth: Int? = nil, initializer: Initializer?,
    bias: Initializer = .zeros
  ) {
    self.name = name
    self.hidden = hidden
    self.parts = parts
    self.stateWidth = stateWidth ?? hidden
    self.initializer = initializer
    self.bias = bias
  }

  /// The input weights [features, parts · hidden] are Glorot's, the recurrent ones [state, parts · hidden] orthogonal,
  /// unless an initializer is given for both weights.
  func project(_ inputs: Value) -> Value {
    let graph = inputs.graph
    let width = parts * hidden
    if values == nil {
      values = (
        graph.parameter("\(name).input", [inputs.shape.extents[2], width], initializer ?? .glorot),
        graph.parameter("\(name).recurrent", [stateWidth, width], initializer ?? .orthogonal()),
        graph.parameter("\(name).bias", [width], bias)
      )
    }
    guard let values else { fatalError("\(name) has no weights") }
    return graph.vertex("\(name).projection", .deterministic) { matmul(inputs, values.input) + values.bias }
  }

  var recurrent: Value {
    guard let values else { fatalError("\(name) steps before it has projected its inputs") }
    return values.recurrent
  }
}

extension Value {
  /// Part `index` of the last axis, cut into parts of `width`.
  func part(_ index: Int, width: Int) -> Value { sliced(axis: -1, (index * width)..<((index + 1) * width)) }
}
