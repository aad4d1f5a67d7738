import PCPrimitives

/// When a number is computed, and so how long it holds.
///
/// An instruction belongs to the latest stage among its operands. That is the whole of hoisting: under fixed
/// predictions the slope of an activation is a `prediction` and leaves the loop by itself, under standard predictive
/// coding it follows the values and stays.
public enum Stage: Int, Sendable, Comparable, CaseIterable {
  /// From parameters alone: once for each update.
  case parameters
  /// From the batch: once for each batch.
  case batch
  /// From what inference moves: once for each step.
  case step

  public static func < (lhs: Stage, rhs: Stage) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// A tensor of the program that is being written: a view on a buffer with the extents for one example.
///
/// Reshaping, transposing, slicing and broadcasting make other terms on the same buffer; they cost nothing.
public struct Term: Sendable, Hashable {
  /// Where the elements lie: buffer, offset and a stride for each axis.
  public var view: View
  /// Elements along each axis, for one example; a batch axis counts its fixed factors, mostly 1.
  public var extents: [Int]
  /// Whether every example has elements of its own.
  public var isBatched: Bool
  /// When its elements are known.
  public var stage: Stage

  /// A term on an existing buffer; `Emitter.makeTerm` makes one on a new buffer.
  public init(view: View, extents: [Int], isBatched: Bool, stage: Stage) {
    self.view = view
    self.extents = extents
    self.isBatched = isBatched
    self.stage = stage
  }

  /// The number of axes.
  public var rank: Int { extents.count }
  /// Elements for one example; broadcast ones count as often as they are seen.
  public var count: Int { extents.reduce(1, *) }

  /// Whether the elements lie one after the other in row-major order.
  public var isDense: Bool {
    zip(zip(extents, view.strides), Self.rowMajorStrides(extents)).allSatisfy { $0.0 == 1 || $0.1 == $1 }
  }

  /// Strides of dense elements whose last axis varies fastest.
  public static func rowMajorStrides(_ extents: [Int]) -> [Int] {
    var strides = Array(repeating: 1, count: extents.count)
    for axis in stride(from: extents.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * extents[axis + 1]
    }
    return strides
  }

  /// The axes in another order: axis k of the result is axis `order[k]` of this term.
  public func permuted(_ order: [Int]) -> Term {
    var term = self
    term.extents = order.map { extents[$0] }
    term.view.strides = order.map { view.strides[$0] }
    return term
  }

  /// The position of an axis, where negative ones count from the end.
  func position(of axis: Int) -> Int { axis < 0 ? axis + rank : axis }

  /// The positions of axes, each once and in order.
  func positions(of axes: [Int]) -> [Int] { Set(axes.map(position)).sorted() }

  /// The last two axes exchanged.
  public var transposed: Term {
    permuted(Array(0..<(rank - 2)) + [rank - 1, rank - 2])
  }

  /// Stretched by NumPy's rule, with strides of 0 along the stretched axes.
  public func broadcast(to target: [Int]) -> Term {
    var term = self
    let missing = target.count - rank
    term.extents = target
    term.view.strides = target.indices.map { axis in
      axis < missing || extents[axis - missing] == 1 ? 0 : view.strides[axis - missing]
    }
    return term
  }

  /// Elements `range` of `axis`.
  public func sliced(axis: Int, _ range: Range<Int>) -> Term {
    var term = self
    term.extents[axis] = range.count
    term.view.offset += range.lowerBound * view.strides[axis]
    return term
  }

  /// The same elements under other extents, if strides can express that.
  public func reshaped(_ target: [Int]) -> Term? {
    guard isDense else { return nil }
    var term = self
    term.extents = target
    term.view.strides = Self.rowMajorStrides(target)
    return term
  }

  /// An axis of one element at `position`.
  public func inserting(axis position: Int) -> Term {
    var term = self
    term.extents.insert(1, at: position)
    term.view.strides.insert(0, at: position)
    return term
  }

  /// Without `axis`, which has one element.
  public func dropping(axis: Int) -> Term {
    var term = self
    term.extents.remove(at: axis)
    term.view.strides.remove(at: axis)
    return term
  }

  /// The same term, known to change with `stage`.
  public func at(stage: Stage) -> Term {
    var term = self
    term.stage = max(term.stage, stage)
    return term
  }
}
