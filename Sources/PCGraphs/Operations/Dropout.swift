import PCPrimitives

/// y = x · f, where the random factors f are 1 / (1 − rate) with probability 1 − rate, else 0 (Srivastava et al., 2014;
/// scaled in training, so that evaluation takes x as it is).
///
/// The factors are an input that nobody has to bring. They depend on seed, epoch, batch, the input's name and the
/// example's index alone, so all rules that are compared drop the same elements, on any number of threads. They are
/// constant during inference: messages pass through the elements that were kept, times their factor.
public struct Dropout: Operation {
  public let name = "dropout"
  public let operandCounts = 2...2
  public let isStructural = true
  /// The probability of 0, in [0, 1).
  public var rate: Double

  /// Operands: x, and the factors; `dropout(_:rate:name:file:line:)` makes these.
  public init(rate: Double) { self.rate = rate }

  public var attributes: String { "rate \(rate)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let result = try Shape.broadcast(operands[0], operands[1])
    guard result == operands[0] else {
      throw ShapeError("the factors \(operands[1]) do not broadcast to \(operands[0])")
    }
    return result
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { emit.multiply(operands[0], operands[1]) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    operand == 0 ? emit.multiply(point.message, point.operands[1]) : nil
  }
}

/// `x` with each element 0 with probability `rate`, else divided by 1 − `rate`; in evaluation `x` itself.
///
/// `x` must hold the batch, `rate` lies in [0, 1); `name` is that of the input of factors and a key of their randomness: used
/// again it gets `#2`, `#3`, ….
public func dropout(
  _ x: Value, rate: Double, name: String = "dropout", file: StaticString = #fileID, line: UInt = #line
) -> Value {
  let origin = "\(file):\(line)"
  guard rate >= 0, rate < 1 else { x.graph.stop("a dropout rate of \(rate) is outside [0, 1)", at: origin) }
  guard x.shape.axes.filter(\.isBatch).count == 1 else {
    x.graph.stop("dropout of \(x.name) \(x.shape): one of its axes must be the batch", at: origin)
  }
  let factors = x.graph.dropoutFactors(name, x.shape, rate: rate, origin: origin)
  return x.graph.apply(Dropout(rate: rate), to: [x, factors], origin: origin)
}
