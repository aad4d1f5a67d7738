import PCPrimitives

/// y = x: a vertex that only carries a value. Relaxed, it adds one to the depth of its path.
public struct Identity: Operation {
  public let name = "identity"
  public let isStructural = true
  /// Without settings.
  public init() {}
  public func shape(_ operands: [Shape]) -> Shape { operands[0] }
  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { operands[0] }
  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? { point.message }
}

/// The same elements, in row-major order, under another shape. The batch keeps its place in that order.
public struct Reshape: Operation {
  public let name = "reshape"
  public let isStructural = true
  /// The new axes.
  public var target: [Axis]

  /// The operation for new axes, which are checked when it is applied.
  ///
  /// - Parameter target: the new axes; where one holds the batch, its fixed factors multiply to its extent and are told
  ///   apart (`outer`, `inner`) by the elements before it.
  public init(to target: [Axis]) { self.target = target }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let source = operands[0]
    var axes = target
    try Shape(axes).check()
    if let held = source.batchAxis {
      guard let place = axes.firstIndex(where: \.isBatch) else {
        throw ShapeError("the new shape \(Shape(axes)) does not hold the batch")
      }
      // Elements that vary slower than the batch must stay as many.
      guard case .batch(let outer, _) = source.axes[held] else { return source }
      let slower = source.axes[..<held].reduce(outer) { $0 * $1.extent }
      let before = axes[..<place].reduce(1) { $0 * $1.extent }
      guard slower % before == 0, axes[place].extent % (slower / before) == 0 else {
        throw ShapeError("the batch of \(source) cannot lie on axis \(place) of \(Shape(axes))")
      }
      axes[place] = .batch(outer: slower / before, inner: axes[place].extent / (slower / before))
    }
    let result = Shape(axes)
    guard result.count == source.count, result.isBatched == source.isBatched else {
      throw ShapeError("\(source) has \(source.count) elements for each example, \(result) has \(result.count)")
    }
    return result
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    emit.reshape(operands[0], to: target.map(\.extent))
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    emit.reshape(point.message, to: point.operands[0].extents)
  }
}

/// The axes in another order.
public struct Transpose: Operation {
  public let name = "transpose"
  public let isStructural = true
  /// Axis k of the result is axis `order[k]` of the operand.
  public var order: [Int]

  /// An order that names every axis once; its length is the operand's rank.
  public init(_ order: [Int]) { self.order = order }

  public var attributes: String { "\(order)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    guard order.sorted() == Array(0..<operands[0].rank) else {
      throw ShapeError("\(order) is no order of the axes of \(operands[0])")
    }
    return Shape(order.map { operands[0].axes[$0] })
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term { operands[0].permuted(order) }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    point.message.permuted(order.indices.map { axis in order.firstIndex(of: axis) ?? axis })
  }
}

/// Elements `range` of an axis that does not hold the batch.
public struct Slice: Operation {
  public let name = "slice"
  public let isStructural = true
  /// The axis that is cut; negative ones count from the end.
  public var axis: Int
  /// Positions along the axis, of which at least one.
  public var range: Range<Int>

  /// Bounds are checked when the operation is applied.
  public init(axis: Int, _ range: Range<Int>) {
    self.axis = axis
    self.range = range
  }

  public var attributes: String { "axis \(axis), \(range.lowerBound)..<\(range.upperBound)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    let position = try operands[0].position(of: axis)
    guard !operands[0].axes[position].isBatch else { throw ShapeError("the batch cannot be sliced") }
    guard range.lowerBound >= 0, range.upperBound <= operands[0].extents[position], !range.isEmpty else {
      throw ShapeError("axis \(axis) of \(operands[0]) has no elements \(range)")
    }
    var shape = operands[0]
    shape.axes[position] = .fixed(range.count)
    return shape
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    operands[0].sliced(axis: position(in: operands[0]), range)
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    let x = point.operands[0]
    let padded = emit.constant(0, x.extents, isBatched: point.message.isBatched)
    emit.blend(point.message, into: padded.sliced(axis: position(in: x), range), stage: point.message.stage)
    return padded.at(stage: point.message.stage)
  }

  private func position(in term: Term) -> Int { axis < 0 ? axis + term.rank : axis }
}

/// Operands one after the other along an axis that does not hold the batch.
public struct Concatenate: Operation {
  public let name = "concatenate"
  public let operandCounts = 1...Int.max
  public let isStructural = true
  /// The axis along which they are joined; negative ones count from the end.
  public var axis: Int

  /// Operands must agree in all axes but this one.
  public init(axis: Int) { self.axis = axis }

  public var attributes: String { "axis \(axis)" }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    guard var shape = operands.first else { throw ShapeError("needs at least one operand") }
    let position = try shape.position(of: axis)
    var total = 0
    for operand in operands {
      guard operand.rank == shape.rank, !operand.axes[position].isBatch else {
        throw ShapeError("\(operand) cannot be joined to \(shape) along axis \(axis)")
      }
      for other in shape.axes.indices where other != position {
        guard operand.axes[other] == shape.axes[other] else {
          throw ShapeError("\(operand) and \(operands[0]) differ in axis \(other), not only in axis \(axis)")
        }
      }
      total += operand.axes[position].extent
    }
    shape.axes[position] = .fixed(total)
    return shape
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let position = position(in: operands[0])
    var extents = operands[0].extents
    extents[position] = operands.reduce(0) { $0 + $1.extents[position] }
    let stage = operands.map(\.stage).max() ?? .parameters
    let result = emit.makeTerm(
      "\(emit.label).concatenate", extents, isBatched: operands.contains(where: \.isBatched), stage: stage)
    for (operand, range) in zip(operands, ranges(of: operands)) {
      emit.blend(operand, into: result.sliced(axis: position, range), stage: stage)
    }
    return result
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? {
    point.message.sliced(axis: position(in: point.result), ranges(of: point.operands)[operand])
  }

  private func position(in term: Term) -> Int { axis < 0 ? axis + term.rank : axis }

  private func ranges(of operands: [Term]) -> [Range<Int>] {
    var start = 0
    return operands.map { operand in
      defer { start += operand.extents[position(in: operand)] }
      return start..<(start + operand.extents[position(in: operand)])
    }
  }
}

/// 1 at the place that an index names, 0 elsewhere: shape + [classes]. Has no derivative.
public struct OneHot: Operation {
  public let name = "one hot"
  public func element(ofOperand operand: Int) -> Element { .index }
  public let isStructural = true
  /// Elements of the new last axis; an index outside of 0 ..< `classes` gives zeros alone.
  public var classes: Int

  /// Classes are counted from 0.
  public init(classes: Int) { self.classes = classes }

  public var attributes: String { "\(classes) classes" }

  public func shape(_ operands: [Shape]) -> Shape { Shape(operands[0].axes + [.fixed(classes)]) }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    emit.value(
      .oneHot(extents: operands[0].extents, classes: classes), operands, extents: operands[0].extents + [classes])
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? { nil }
}

/// The prediction of a relaxed root: a parameter repeated for each example, or 0.
public struct Prior: Operation {
  public let name = "prior"
  public let operandCounts = 0...1
  /// The shape of the root, which holds the batch once.
  public var result: Shape

  /// The one operand, if there is any, is the mean; it has no batch and broadcasts to `shape`.
  public init(shape: Shape) { result = shape }

  public func shape(_ operands: [Shape]) throws(ShapeError) -> Shape {
    guard result.axes.filter(\.isBatch).count == 1 else { throw ShapeError("\(result) must hold the batch once") }
    if let mean = operands.first {
      let stretched = try Shape.broadcast(mean, result)
      guard !mean.isBatched, stretched == result else {
        throw ShapeError("the prior mean \(mean) does not broadcast to \(result)")
      }
    }
    return result
  }

  public func forward(_ operands: [Term], _ emit: Emitter) -> Term {
    let term = emit.makeTerm("\(emit.label).prior", result.extents, isBatched: true, stage: .batch)
    if let mean = operands.first {
      emit.blend(mean, into: term)
    } else {
      emit.write(
        .elementwise(.one, extents: term.extents), [], to: [term.view], alpha: .zero, stage: .batch)
    }
    return term
  }

  public func pullback(to operand: Int, _ point: Linearization, _ emit: Emitter) -> Term? { point.message }
}

extension Value {
  /// The same elements, in row-major order, under another shape.
  public func reshaped(_ axes: [Axis], file: StaticString = #fileID, line: UInt = #line) -> Value {
    graph.apply(Reshape(to: axes), to: [self], file: file, line: line)
  }

  /// All axes but the batch as one: [B, n].
  public func flattened(file: StaticString = #fileID, line: UInt = #line) -> Value {
    reshaped([.batch, .fixed(shape.count)], file: file, line: line)
  }

  /// The axes in another order; without an argument, the last two exchanged.
  public func transposed(_ order: [Int]? = nil, file: StaticString = #fileID, line: UInt = #line) -> Value {
    let rank = shape.rank
    let exchanged = rank < 2 ? [] : Array(0..<(rank - 2)) + [rank - 1, rank - 2]
    return graph.apply(Transpose(order ?? exchanged), to: [self], file: file, line: line)
  }

  /// Elements `range` of `axis`.
  public func sliced(axis: Int, _ range: Range<Int>, file: StaticString = #fileID, line: UInt = #line) -> Value {
    graph.apply(Slice(axis: axis, range), to: [self], file: file, line: line)
  }
}

/// The values one after the other along `axis`.
public func concatenate(
  _ values: [Value], axis: Int, file: StaticString = #fileID, line: UInt = #line
) -> Value {
  guard let first = values.first else { fatalError("\(file):\(line): concatenate needs at least one value") }
  return first.graph.apply(Concatenate(axis: axis), to: values, file: file, line: line)
}
