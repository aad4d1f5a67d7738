import PCPrimitives

/// A differentiable operation: its shape rule, its value and its pullbacks, written as primitives.
///
/// This is all that inference, learning, backprop and the certificates need to know of an operation, so adding one is
/// adding one file:
///
/// ```swift
/// /// y = x³, ∂y/∂x = 3x²
/// struct Cube: Operation {
///   let name = "cube"
///   func shape(_ operands: [Shape]) -> Shape { operands[0] }
///   func forward(_ operands: [Term], _ emit: Emitter) -> Term {
///     emit.multiply(operands[0], emit.multiply(operands[0], operands[0]))
///   }
///   func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
///     let x = point.operands[0]
///     return emit.multiply(point.message, emit.scale(emit.multiply(x, x), by: 3))
///   }
/// }
/// let y = x.graph.apply(Cube(), to: [x])
/// ```
///
/// Where a formula cannot be stated so, ``Custom`` takes its value and its pullback as Swift code.
///
/// In a file that imports Foundation, whose `Operation` is another one, write `PredictiveCoding.Operation`.
public protocol Operation: Sendable {
  /// What printouts call it: a word in lower case.
  var name: String { get }

  /// Whether the operation only rearranges elements (reshape, transpose, slice, concatenate, broadcast). Vertices of
  /// structural operations alone are deterministic.
  var isStructural: Bool { get }

  /// The attributes that printouts show, such as `kernel 5×5`; empty by default.
  var attributes: String { get }

  /// How many operands the operation takes; one by default.
  var operandCounts: ClosedRange<Int> { get }

  /// What an operand holds; real numbers by default.
  func element(ofOperand operand: Int) -> Element

  /// The result's shape, or why the operands do not fit, in a sentence.
  func shape(_ operands: [Shape]) throws(ShapeError) -> Shape

  /// The value for operands whose shapes `shape(_:)` accepted. Must not depend on the batch size.
  func forward(_ operands: [Term], _ emit: Emitter) -> Term

  /// `(∂ result / ∂ operand)ᵀ message`, or `nil` where that is zero everywhere.
  ///
  /// The term may have the result's extents where the operand was broadcast: the caller sums it back, over the examples
  /// too if the operand has no batch. Operations with weights sum over the examples themselves
  /// (`emit.contract(…, isBatched: false)`), which saves a gradient for each example.
  func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term?
}

extension Operation {
  public var isStructural: Bool { false }
  public var attributes: String { "" }
  public var operandCounts: ClosedRange<Int> { 1...1 }
  public func element(ofOperand operand: Int) -> Element { .real }
}

/// Where an operation is linearised, and the message that is pulled back.
public struct Linearization {
  /// The terms that `forward` read.
  public var operands: [Term]
  /// What `forward` returned for `operands`.
  public var result: Term
  /// Has the result's extents.
  public var message: Term

  /// A point and a message; `message` has the extents of `result`.
  public init(operands: [Term], result: Term, message: Term) {
    self.operands = operands
    self.result = result
    self.message = message
  }
}

/// A loss: its value for each example and the message it sends.
public protocol LossFunction: Sendable {
  /// What printouts call it: words in lower case.
  var name: String { get }

  /// Throws if prediction and target do not fit.
  func check(prediction: Shape, target: Shape) throws(ShapeError)

  /// L for each example, summed over its elements: a term of extents `[1]`.
  func value(prediction: Term, target: Term, _ emit: Emitter) -> Term

  /// −∂L/∂prediction: the message to the value that feeds the loss.
  func message(prediction: Term, target: Term, _ emit: Emitter) -> Term
}
