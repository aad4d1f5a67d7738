import PCGraphs

/// y = activation(normalised x · scale + shift), one vertex: each example's elements over the last axis
/// (``Kind/layer``), those of a group of channels (``Kind/group(_:)``), or the last axis without subtracting the mean
/// (``Kind/rms``).
///
/// Parameters: `NAME.scale`, ones at first, and `NAME.shift`, zeros at first (none for `.rms`), one number for each element of
/// the last axis, or for each channel; for ``Kind/batch(momentum:)`` also `NAME.mean` and `NAME.variance`, which are not
/// trained. Calling the same object twice shares them. But for that kind, no example sees another one.
public final class NormalizationLayer {
  /// Which numbers are normalised together.
  public enum Kind: Sendable {
    /// The elements of the last axis (layer normalisation).
    case layer
    /// The elements of the last axis, by their root mean square alone.
    case rms
    /// Axis 1 of [B, channels, …] in so many groups, each with all that follows the channels (group normalisation).
    case group(Int)
    /// Axis 1 of [B, channels, …] over the batch, by running statistics outside of training (batch normalisation); they take
    /// a share `momentum` of each batch's. This one couples the examples.
    case batch(momentum: Double = 0.1)
  }

  /// The vertex's name, and the path before `.scale` and `.shift`.
  public let name: String
  /// Which numbers are normalised together.
  public let kind: Kind
  /// What is added to the variance.
  public let epsilon: Double
  /// Applied last, within the same vertex.
  public let activation: Activation
  private var parameters: (scale: Value, shift: Value?)?
  private var running: (mean: Value, variance: Value)?

  /// A layer that makes its parameters when it is first called; `epsilon` is 1e-5 by default, as most models have it.
  public init(
    _ name: String, _ kind: Kind = .layer, epsilon: Double = 1e-5, activation: Activation = .identity
  ) {
    self.name = name
    self.kind = kind
    self.epsilon = epsilon
    self.activation = activation
  }

  /// The layer applied to [B, …, features], or to [B, channels, …] for groups: the same shape. Stops where the shape does
  /// not fit.
  public func callAsFunction(_ x: Value, file: StaticString = #fileID, line: UInt = #line) -> Value {
    guard x.shape.rank >= 2, x.shape.axes[0] == .batch else {
      fatalError("\(file):\(line): \(name) takes values [B, …], not \(x.name) \(x.shape)")
    }
    if case .group(let groups) = kind, groups < 1 || !x.shape.extents[1].isMultiple(of: groups) {
      fatalError(
        "\(file):\(line): \(name) cannot cut the \(x.shape.extents[1]) channels of \(x.name) into \(groups) groups")
    }
    let extents =
      switch kind {
      case .layer, .rms: [x.shape.extents[x.shape.rank - 1]]
      case .batch, .group: [x.shape.extents[1]] + Array(repeating: 1, count: x.shape.rank - 2)
      }
    let (scale, shift) = parameters ?? makeParameters(x.graph, extents, file, line)
    parameters = (scale, shift)
    if case .batch = kind, running == nil {
      running = (
        x.graph.parameter("\(name).mean", extents, .zeros, isTrainable: false, file: file, line: line),
        x.graph.parameter("\(name).variance", extents, .constant(1), isTrainable: false, file: file, line: line)
      )
    }
    return x.graph.vertex(name, file: file, line: line) {
      let scaled = normalized(x, file, line) * scale
      return activation(shift.map { scaled + $0 } ?? scaled)
    }
  }

  private func makeParameters(
    _ graph: GraphBuilder, _ extents: [Int], _ file: StaticString, _ line: UInt
  ) -> (scale: Value, shift: Value?) {
    let scale = graph.parameter("\(name).scale", extents, .constant(1), file: file, line: line)
    if case .rms = kind { return (scale, nil) }
    return (scale, graph.parameter("\(name).shift", extents, .zeros, file: file, line: line))
  }

  private func normalized(_ x: Value, _ file: StaticString, _ line: UInt) -> Value {
    switch kind {
    case .layer: return x.normalized(epsilon: epsilon, file: file, line: line)
    case .rms: return x.normalized(isCentered: false, epsilon: epsilon, file: file, line: line)
    case .batch(let momentum):
      guard let running else { return x }
      return x.batchNormalized(
        mean: running.mean, variance: running.variance, momentum: momentum, epsilon: epsilon, file: file, line: line)
    case .group(let groups):
      let each = x.shape.count / groups
      return x.reshaped([.batch, .fixed(groups), .fixed(each)], file: file, line: line)
        .normalized(epsilon: epsilon, file: file, line: line)
        .reshaped(x.shape.axes, file: file, line: line)
    }
  }
}
