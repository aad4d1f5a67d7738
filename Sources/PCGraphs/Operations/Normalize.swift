import PCPrimitives

/// y = (x − μ) r, r = 1 / √(σ² + ε), with the mean μ and the variance σ² (over n, not n − 1) of each example's elements over
/// some axes; not centred, μ is 0 and σ² the mean square.
///
/// Jᵀm = r (m − mean(m) − y mean(m y)), without mean(m) where it is not centred. Layer, group and RMS normalisation are this
/// with a scale and a shift; see Ba, Kiros and Hinton, arXiv 1607.06450, and Zhang and Sennrich, arXiv 1910.07467.
public struct Normalize: Operation {
  /// The axes over which means are taken; negative ones count from the end, and none may hold the batch.
  public var axes: [Int]
  /// Whether the mean is subtracted.
  public var isCentered: Bool
  /// ε, which keeps a constant operand from a division by 0.
  public var epsilon: Double

  /// By default centred, over the last axis, with ε = 1e-5, as most models have it.
  public init(axes: [Int] = [-1], isCentered: Bool = true, epsilon: Double = 1e-5) {
    self.axes = axes
    self.isCentered = isCentered
    self.epsilon = epsilon
  }

  public var name: String { isCentered ? "normalize" : "rms normalize" }
  public var attributes: String { "axes \(axes), ε \(epsilon)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    guard !axes.isEmpty, epsilon >= 0, epsilon.isFinite else {
      throw ShapeError("normalisation needs an axis, and an ε that is not negative")
    }
    for axis in axes { _ = try operands[0].keeping(axis, "mean") }
    return operands[0]
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let x = operands[0]
    let centered = isCentered ? emit.subtract(x, mean(x, emit)) : x
    let variance = mean(emit.multiply(centered, centered), emit)
    let root = emit.map(.sqrt, emit.add(variance, emit.constant(epsilon, [], isBatched: false)))
    let scale = emit.map(.reciprocal, root)
    let result = emit.multiply(centered, scale)
    emit.remember(scale, for: result)
    return result
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let (y, message) = (point.result, point.message)
    var inner = emit.subtract(message, emit.multiply(y, mean(emit.multiply(message, y), emit)))
    if isCentered { inner = emit.subtract(inner, mean(message, emit)) }
    return emit.multiply(inner, emit.recall(for: y))
  }

  private func mean(_ x: Term, _ emit: Emitter) -> Term {
    let positions = x.positions(of: axes)
    let count = positions.reduce(1) { $0 * x.extents[$1] }
    return emit.scale(emit.reduce(.sum, x, axes: positions), by: 1 / Double(count))
  }
}

extension Value {
  /// Each example's elements over `axes` with mean 0 and variance 1; not centred, with mean square 1.
  public func normalized(
    axes: [Int] = [-1], isCentered: Bool = true, epsilon: Double = 1e-5, file: StaticString = #fileID,
    line: UInt = #line
  ) -> Value {
    graph.apply(
      Normalize(axes: axes, isCentered: isCentered, epsilon: epsilon), to: [self], file: file, line: line)
  }
}
