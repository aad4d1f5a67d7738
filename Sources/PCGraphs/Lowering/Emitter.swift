import PCPrimitives

/// Writes programs: the language in which operations and rules state their formulas.
///
/// Every function returns a new term and places its instruction by the operands' `Stage`. Whatever does not depend on
/// inference is written once however often it is asked for.
///
/// ```swift
/// // tanh'(a) = 1 − tanh(a)²
/// emit.multiply(message, emit.map(.oneMinusSquare, result))
/// ```
public final class Emitter {
  /// What has been written so far.
  public private(set) var program = Program()

  /// The section that receives each stage's instructions. Rules move `.step` from one section to the next.
  public var sections: [Stage: Int] = [:]

  /// Names what is being written, for profiles and messages.
  public var label = ""

  private var known: [Key: Term] = [:]
  private var companions: [Int: Term] = [:]

  private struct Key: Hashable {
    var primitive: Primitive
    var operands: [View]
    var isBatched: Bool
    var alpha: Scalar
  }

  /// An empty program without sections: set `sections` before anything is written.
  public init() {}

  // MARK: Structure

  /// Appends an empty section and returns its position.
  public func makeSection(_ name: String) -> Int {
    program.sections.append(Section(name: name))
    return program.sections.count - 1
  }

  /// The position of the coefficient of this name, made when it is first asked for.
  public func makeSlot(_ name: String) -> Int {
    if let slot = program.slots.firstIndex(of: name) { return slot }
    program.slots.append(name)
    return program.slots.count - 1
  }

  /// A dense term on a buffer of its own.
  public func makeTerm(
    _ name: String, _ extents: [Int], isBatched: Bool, stage: Stage, element: Element = .real,
    isPersistent: Bool = false
  ) -> Term {
    program.buffers.append(
      Buffer(
        name: name, count: extents.reduce(1, *), isBatched: isBatched, element: element, isPersistent: isPersistent))
    let view = View(buffer: program.buffers.count - 1, strides: Term.rowMajorStrides(extents))
    return Term(view: view, extents: extents, isBatched: isBatched, stage: stage)
  }

  /// Replaces the program: what passes over the finished program end with.
  public func rewrite(_ pass: (inout Program) -> Void) { pass(&program) }

  // MARK: Instructions

  /// Appends `target ← alpha · primitive(operands) + beta · target` to the section of `stage`.
  public func write(
    _ primitive: Primitive, _ operands: [View], to targets: [View], alpha: Scalar = .one, beta: Scalar = .zero,
    stage: Stage
  ) {
    guard let section = sections[stage] else { fatalError("no section receives instructions of stage \(stage)") }
    program.sections[section].instructions.append(
      Instruction(primitive, operands: operands, results: targets, alpha: alpha, beta: beta, label: label))
  }

  /// A primitive's value as a new dense term of extents `extents`, with `resultView` as the primitive sees it.
  public func value(
    _ primitive: Primitive, _ operands: [Term], extents: [Int], isBatched: Bool? = nil, alpha: Scalar = .one,
    viewedAs resultStrides: [Int]? = nil
  ) -> Term {
    let stage = operands.map(\.stage).max() ?? .parameters
    let isBatched = isBatched ?? operands.contains(where: \.isBatched)
    let key = Key(primitive: primitive, operands: operands.map(\.view), isBatched: isBatched, alpha: alpha)
    if stage < .step, let term = known[key] { return term }
    let term = makeTerm(
      "\(label).\(primitive.name)", extents, isBatched: isBatched, stage: stage)
    var target = term.view
    if let resultStrides { target.strides = resultStrides }
    write(primitive, operands.map(\.view), to: [target], alpha: alpha, stage: stage)
    if stage < .step { known[key] = term }
    return term
  }

  /// What each batch of training moves besides the parameters that are trained: `target ← (1 − share) target + share · source`.
  public private(set) var moves: [(target: Term, source: Term, share: Double)] = []

  /// Moves a persistent term towards another once for each batch of training: running statistics. Of several
  /// calls for one target the first counts, that of the feedforward pass.
  public func moveAfterBatch(_ target: Term, towards source: Term, share: Double) {
    guard !moves.contains(where: { $0.target.view.buffer == target.view.buffer }) else { return }
    moves.append((target, source, share))
  }

  /// Keeps what `forward` computed beside its result, for the pullback to `recall`.
  public func remember(_ companion: Term, for result: Term) { companions[result.view.buffer] = companion }

  /// What `remember` kept; stops where it kept nothing.
  public func recall(for result: Term) -> Term {
    guard let companion = companions[result.view.buffer] else {
      fatalError("forward remembered nothing for its result")
    }
    return companion
  }

  // MARK: Element by element

  /// `alpha · function(x)`, element by element; for functions of one argument.
  public func map(_ function: Elementwise, _ x: Term, alpha: Scalar = .one) -> Term {
    value(.elementwise(function, extents: x.extents), [x], extents: x.extents, alpha: alpha)
  }

  /// `function(x, y)` with broadcasting.
  public func combine(_ function: Elementwise, _ x: Term, _ y: Term, alpha: Scalar = .one) -> Term {
    let extents = Self.broadcastExtents(x.extents, y.extents)
    return value(
      .elementwise(function, extents: extents), [x.broadcast(to: extents), y.broadcast(to: extents)],
      extents: extents, alpha: alpha)
  }

  /// x + y, with broadcasting.
  public func add(_ x: Term, _ y: Term) -> Term { combine(.add, x, y) }
  /// x − y, with broadcasting.
  public func subtract(_ x: Term, _ y: Term) -> Term { combine(.subtract, x, y) }
  /// x · y element by element, with broadcasting.
  public func multiply(_ x: Term, _ y: Term) -> Term { combine(.multiply, x, y) }
  /// x / y element by element, with broadcasting.
  public func divide(_ x: Term, _ y: Term) -> Term { combine(.divide, x, y) }
  /// factor · x.
  public func scale(_ x: Term, by factor: Double) -> Term { map(.identity, x, alpha: .constant(factor)) }

  /// `y` where `mask` is not 0, else `z`.
  public func select(_ mask: Term, _ y: Term, _ z: Term) -> Term {
    let extents = Self.broadcastExtents(mask.extents, Self.broadcastExtents(y.extents, z.extents))
    let operands = [mask, y, z].map { $0.broadcast(to: extents) }
    return value(.elementwise(.select, extents: extents), operands, extents: extents)
  }

  /// A constant everywhere.
  public func constant(_ number: Double, _ extents: [Int], isBatched: Bool, stage: Stage = .parameters) -> Term {
    let stage = isBatched ? max(stage, .batch) : stage
    let term = makeTerm("\(label).constant", extents, isBatched: isBatched, stage: stage)
    write(.elementwise(.one, extents: extents), [], to: [term.view], alpha: .constant(number), stage: stage)
    return term
  }

  /// The elements in row-major order on a buffer of their own; the term itself where it is dense already.
  public func dense(_ x: Term) -> Term { x.isDense ? x : map(.identity, x) }

  /// The same elements under other extents; copies only what strides cannot express.
  public func reshape(_ x: Term, to extents: [Int]) -> Term {
    let source = dense(x)
    guard let term = source.reshaped(extents) else { fatalError("a dense term that cannot be reshaped") }
    return term
  }

  /// `target ← alpha · x + beta · target`, in the section of `stage`: by default the latest of `x` and `target`.
  public func blend(
    _ x: Term, into target: Term, alpha: Scalar = .one, beta: Scalar = .zero, stage: Stage? = nil
  ) {
    write(
      .elementwise(.identity, extents: target.extents), [x.broadcast(to: target.extents).view], to: [target.view],
      alpha: alpha, beta: beta, stage: stage ?? max(x.stage, target.stage))
  }

  // MARK: Sums and products

  /// Reduces over `axes`, which remain with one element each.
  public func reduce(_ reduction: Reduction, _ x: Term, axes: [Int], isBatched: Bool? = nil) -> Term {
    let reduced = x.extents.indices.map(axes.contains)
    let extents = zip(x.extents, reduced).map { $1 ? 1 : $0 }
    let strides = zip(Term.rowMajorStrides(extents), reduced).map { $1 ? 0 : $0 }
    return value(
      .reduce(reduction, extents: x.extents, reduced: reduced), [x], extents: extents, isBatched: isBatched,
      viewedAs: strides)
  }

  /// The sum of all elements of an example, with extents `[1]`: what a loss returns.
  public func total(_ x: Term) -> Term { reshape(reduce(.sum, x, axes: Array(0..<x.rank)), to: [1]) }

  /// `result[g…, m, n] = Σ_k lhs[g…, m, k] · rhs[g…, n, k]`; the groups broadcast. With `isBatched`
  /// false, it sums over the examples as well.
  public func contract(_ lhs: Term, _ rhs: Term, isBatched: Bool? = nil) -> Term {
    let groups = Self.broadcastExtents(Array(lhs.extents.dropLast(2)), Array(rhs.extents.dropLast(2)))
    let m = lhs.extents[lhs.rank - 2]
    let n = rhs.extents[rhs.rank - 2]
    let k = lhs.extents[lhs.rank - 1]
    let extents = groups + [m, n, k]
    var left = lhs.broadcast(to: groups + [m, k])
    var right = rhs.broadcast(to: groups + [n, k])
    left = left.inserting(axis: groups.count + 1)
    right = right.inserting(axis: groups.count)
    let strides = Term.rowMajorStrides(groups + [m, n]) + [0]
    return value(
      .contract(extents: extents), [left, right], extents: groups + [m, n], isBatched: isBatched,
      viewedAs: strides)
  }

  /// Sums a term of broadcast extents back to those of `target`, over the examples too where `target` has no batch:
  /// the transpose of broadcasting.
  public func sumBack(_ x: Term, to extents: [Int], isBatched: Bool) -> Term {
    let missing = x.rank - extents.count
    let axes = x.extents.indices.filter { $0 < missing || (extents[$0 - missing] == 1 && x.extents[$0] != 1) }
    guard !axes.isEmpty || (x.isBatched && !isBatched) else { return x }
    return reshape(reduce(.sum, x, axes: axes, isBatched: x.isBatched && isBatched), to: extents)
  }

  static func broadcastExtents(_ lhs: [Int], _ rhs: [Int]) -> [Int] {
    let rank = max(lhs.count, rhs.count)
    return (0..<rank).map { axis in
      let left = axis < rank - lhs.count ? 1 : lhs[axis - (rank - lhs.count)]
      let right = axis < rank - rhs.count ? 1 : rhs[axis - (rank - rhs.count)]
      return left == 1 ? right : left
    }
  }
}
