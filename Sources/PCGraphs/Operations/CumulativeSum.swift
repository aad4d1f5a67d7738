import PCPrimitives

/// y_k = x_0 + … + x_k along an axis, or, reversed, x_k + … + x_last; Jᵀ is the same sum in the other direction.
///
/// In ⌈log₂ n⌉ rounds, each of which adds to every element what lies twice as far as in the round before (Hillis and
/// Steele, 1986).
public struct CumulativeSum: Operation {
  public let name = "cumulative sum"
  /// The axis that is summed along; negative ones count from the end.
  public var axis: Int
  /// Whether the sum runs from the last element to the first.
  public var isReversed: Bool

  /// By default from the first element to the last.
  public init(axis: Int, isReversed: Bool = false) {
    self.axis = axis
    self.isReversed = isReversed
  }

  public var attributes: String { "axis \(axis)\(isReversed ? ", reversed" : "")" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape { try operands[0].keeping(axis, name) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { sum(operands[0], isReversed, emit) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    sum(point.message, !isReversed, emit)
  }

  private func sum(_ x: Term, _ isReversed: Bool, _ emit: Emitter) -> Term {
    let place = x.position(of: axis)
    let count = x.extents[place]
    var sums = x
    var distance = 1
    repeat {
      let next = emit.makeTerm("\(emit.label).cumulative sum", x.extents, isBatched: x.isBatched, stage: x.stage)
      emit.blend(sums, into: next)
      if distance < count {
        let (early, late) = (0..<(count - distance), distance..<count)
        emit.blend(
          sums.sliced(axis: place, isReversed ? late : early),
          into: next.sliced(axis: place, isReversed ? early : late), beta: .one)
      }
      sums = next
      distance *= 2
    } while distance < count
    return sums
  }
}

extension Value {
  /// The sums of the elements up to each along `axis`; reversed, of those from each on.
  public func cumulativeSum(
    axis: Int, isReversed: Bool = false, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    graph.apply(CumulativeSum(axis: axis, isReversed: isReversed), to: [self], file: file, line: line)
  }
}
