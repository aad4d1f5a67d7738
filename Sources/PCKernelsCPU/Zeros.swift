import PCPrimitives

/// What an instruction does to zeros.
///
/// An error that inference has not yet reached is 0, and so is all that is made of it: in the first steps of a deep network most
/// products add nothing to zeros. To leave these out changes no number (as long as weights are finite), and saves L / 2T of
/// the products that T steps make with L layers in a row.
struct Effect {
  /// The buffer that is written, whether all of it is, and whether nothing of what it held is kept.
  var result: Int
  private var isWhole: Bool
  private var isOverwritten: Bool
  /// What is added is 0 by its coefficient; where one of the factors is; and where all of the terms are, if there are any.
  private var isNothing: Bool
  private var factors: Set<Int> = []
  private var terms: Set<Int> = []

  /// Nothing of an instruction that is not linear in an operand, or sums over the examples.
  init?(_ instruction: Instruction, in program: Program) {
    let (operands, alpha) = (instruction.operands.map(\.buffer), instruction.alpha)
    isNothing = alpha == .zero
    switch instruction.primitive {
    case .contract, .convolve, .convolveInputGradient, .convolveFilterGradient, .elementwise(.multiply, _):
      factors = Set(operands)
    case .elementwise(.identity, _), .reduce(.sum, _, _), .maxPoolGradient: factors = [operands[0]]
    case .elementwise(.timesOneMinusSquare, _), .elementwise(.timesLogisticSlope, _), .elementwise(.timesStep, _):
      factors = [operands[1]]
    case .elementwise(.add, _), .elementwise(.subtract, _): terms = Set(operands)
    case .elementwise(.one, _): break
    default: return nil
    }
    let view = instruction.results[0]
    let buffer = program.buffers[view.buffer]
    guard buffer.isBatched || !operands.contains(where: { program.buffers[$0].isBatched }) else { return nil }
    result = view.buffer
    isOverwritten = instruction.beta == .zero
    let written = zip(instruction.primitive.resultExtents[0], view.strides).filter { $1 != 0 }.map(\.0)
    isWhole = written.reduce(1, *) == buffer.count
  }

  fileprivate func addsNothing(_ zeros: Set<Int>) -> Bool {
    isNothing || !factors.isDisjoint(with: zeros) || !terms.isEmpty && terms.isSubset(of: zeros)
  }

  fileprivate func apply(to zeros: inout Set<Int>) {
    if !addsNothing(zeros) {
      zeros.remove(result)
    } else if isOverwritten && isWhole {
      zeros.insert(result)
    }
  }
}

/// Buffers that hold nothing but zeros, as far as a script of calls tells.
struct Zeros: Equatable {
  private var buffers: Set<Int> = []

  /// Follows a call; false where it leaves every zero a zero and may be left out.
  mutating func follow(_ call: Call) -> Bool {
    guard !call.effects.isEmpty else {
      forget(call.writes)
      return true
    }
    if call.effects.allSatisfy({ buffers.contains($0.result) && $0.addsNothing(buffers) }) { return false }
    // What helps another call writes none of its buffers.
    for effect in call.effects where call.writes.contains(effect.result) { effect.apply(to: &buffers) }
    return true
  }

  mutating func forget(_ written: Set<Int>) { buffers.subtract(written) }
}
