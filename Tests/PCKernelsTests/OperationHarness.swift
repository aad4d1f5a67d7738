import PredictiveCoding

/// One application of an operation, as a row of the table that all operations are tested by.
struct OperationRow: Sendable, CustomStringConvertible {
  struct Operand: Sendable {
    var shape: Shape
    /// Where its numbers lie; indices are 0..<classes.
    var range: ClosedRange<Float> = -1...1
    var classes: Int?
    /// Zeros and ones, without a derivative.
    var isMask = false
  }

  /// The type's name.
  var type: String
  var operation: any PCGraphs.Operation
  var operands: [Operand]

  init(_ operation: any PCGraphs.Operation, _ operands: Operand...) {
    type = String(describing: Swift.type(of: operation))
    self.operation = operation
    self.operands = operands
  }

  init(_ operation: any PCGraphs.Operation, _ shapes: Shape..., in range: ClosedRange<Float> = -1...1) {
    type = String(describing: Swift.type(of: operation))
    self.operation = operation
    operands = shapes.map { Operand(shape: $0, range: range) }
  }

  var description: String {
    "\(operation.name) \(operation.attributes) of " + operands.map { "\($0.shape)" }.joined(separator: ", ")
  }

  /// At least one row for each operation; shapes with and without a batch, on its usual axis and elsewhere, broadcast
  /// both ways.
  static let table: [OperationRow] =
    binary(Add()) + binary(Subtract()) + binary(Multiply()) + binary(Divide(), in: 0.5...2)
    + Pointwise.Function.allCases.flatMap { function -> [OperationRow] in
      // relu away from its kink, roots away from 0, tangents away from their poles.
      let range: ClosedRange<Float> = function == .sqrt || function == .relu ? 0.1...2 : -1.2...1.2
      let rows = [
        OperationRow(Pointwise(function), [.batch, 3], in: range),
        OperationRow(Pointwise(function), [2, .batch], in: range),
        OperationRow(Pointwise(function), Shape(fixed: [2, 3]), in: range),
      ]
      return function == .relu ? rows + [OperationRow(Pointwise(.relu), [.batch, 3], in: -2...(-0.1))] : rows
    }
    + [
      OperationRow(Affine(scale: -1.5, shift: 0.25), [.batch, 3]),
      OperationRow(Affine(scale: 2), [2, .batch]),
      OperationRow(Affine(scale: 0, shift: 1), [.batch]),

      OperationRow(MatrixProduct(), [.batch, 4], [4, 3]),
      OperationRow(MatrixProduct(), [.batch, 1], [1, 1]),
      OperationRow(MatrixProduct(), [.batch, 2, 4], [4, 3]),
      OperationRow(MatrixProduct(), [2, .batch, 4], [4, 3]),
      OperationRow(MatrixProduct(), [.batch(outer: 1, inner: 2), 4], [4, 3]),
      OperationRow(MatrixProduct(), [2, 4], [4, .batch]),
      OperationRow(MatrixProduct(), [5, 2, 4], [4, .batch]),
      OperationRow(MatrixProduct(), [.batch, 2, 4], [.batch, 4, 3]),
      OperationRow(MatrixProduct(), [.batch, 2, 4], [1, 4, 3]),
      OperationRow(MatrixProduct(), [2, .batch, 4], [2, 4, 3]),
      OperationRow(MatrixProduct(), [2, 4], [.batch, 4, 3]),
      OperationRow(MatrixProduct(), [.batch, 3, 2, 4], [.batch, 1, 4, 2]),
      OperationRow(MatrixProduct(), [2, 4], [4, 3]),
      OperationRow(MatrixProduct(), [.batch, 70], [70, 35]),

      OperationRow(Dropout(rate: 0.5), Operand(shape: [.batch, 3]), Operand(shape: [.batch, 3], isMask: true)),
      OperationRow(Dropout(rate: 0.5), Operand(shape: [2, .batch, 3]), Operand(shape: [.batch, 1], isMask: true)),

      OperationRow(Convolve(), [.batch, 2, 5, 6], [3, 2, 3, 3]),
      OperationRow(Convolve(padding: 1), [.batch, 2, 4, 4], [3, 2, 3, 3]),
      OperationRow(Convolve(stride: 2, padding: 1), [.batch, 3, 5, 4], [2, 3, 3, 2]),
      OperationRow(Convolve(stride: 3), [.batch, 1, 8, 8], [1, 1, 2, 2]),
      OperationRow(Convolve(), [.batch, 4, 3, 3], [5, 4, 1, 1]),
      OperationRow(Convolve(), [.batch, 2, 4, 4], [3, 2, 4, 4]),
      OperationRow(Convolve(padding: 2), [.batch, 6, 7, 7], [16, 6, 5, 5]),

      OperationRow(MaxPool(window: 2), [.batch, 3, 4, 6]),
      OperationRow(MaxPool(window: 2), [.batch, 2, 5, 5]),
      OperationRow(MaxPool(window: 3, stride: 1), [.batch, 2, 5, 4]),
      OperationRow(MaxPool(window: 1, stride: 2), [.batch, 1, 3, 3]),

      OperationRow(Identity(), [.batch, 3]),
      OperationRow(Reshape(to: [.batch, 6]), [.batch, 2, 3]),
      OperationRow(Reshape(to: [.batch(outer: 1, inner: 2), 3]), [.batch, 2, 3]),
      OperationRow(Reshape(to: [.batch(outer: 2, inner: 3)]), [2, .batch, 3]),
      OperationRow(Reshape(to: [3, 2]), Shape(fixed: [2, 3])),
      OperationRow(Transpose([1, 0]), [.batch, 3]),
      OperationRow(Transpose([2, 0, 1]), [.batch, 2, 3]),
      OperationRow(Transpose([1, 0]), Shape(fixed: [2, 3])),
      OperationRow(Slice(axis: 1, 1..<3), [.batch, 4]),
      OperationRow(Slice(axis: -1, 0..<1), [.batch, 2, 3]),
      OperationRow(Slice(axis: 0, 1..<2), [2, .batch]),
      OperationRow(Slice(axis: 1, 0..<2), Shape(fixed: [2, 3])),
      OperationRow(Concatenate(axis: 1), [.batch, 2], [.batch, 3], [.batch, 1]),
      OperationRow(Concatenate(axis: -1), [.batch, 2, 2], [.batch, 2, 1]),
      OperationRow(Concatenate(axis: 0), [2, .batch], [1, .batch]),
      OperationRow(Concatenate(axis: 0), [2, 3], [1, 3]),
      OperationRow(Gather(), .init(shape: [.batch], classes: 4), .init(shape: [4, 3])),
      OperationRow(Gather(), .init(shape: [.batch, 5], classes: 4), .init(shape: [4, 3])),
      OperationRow(Gather(), .init(shape: [.batch, 2, 3], classes: 7), .init(shape: [7, 1])),
      OperationRow(Gather(), .init(shape: [2, .batch], classes: 40), .init(shape: [40, 33])),

      OperationRow(OneHot(classes: 4), .init(shape: [.batch], classes: 4)),
      OperationRow(OneHot(classes: 3), .init(shape: [.batch, 2], classes: 3)),
      OperationRow(
        Select(), .init(shape: [.batch, 3], isMask: true), .init(shape: [.batch, 3]), .init(shape: [.batch, 3])),
      OperationRow(Select(), .init(shape: [.batch, 1], isMask: true), .init(shape: [3]), .init(shape: [.batch, 3])),
      OperationRow(
        Select(), .init(shape: [2, 3], isMask: true), .init(shape: [.batch, 1, 3]), .init(shape: [2, 1])),
      OperationRow(Prior(shape: [.batch, 2, 3])),
      OperationRow(Prior(shape: [.batch, 2, 3]), [3]),
      OperationRow(Prior(shape: [2, .batch]), [2, 1]),

      OperationRow(Sum(axes: [1]), [.batch, 3]),
      OperationRow(Sum(axes: [-1, 1], keepsAxes: true), [.batch, 2, 3]),
      OperationRow(Sum(axes: [2], isMean: true), [.batch, 2, 3]),
      OperationRow(Sum(axes: [1, 2], isMean: true, keepsAxes: true), [.batch, 2, 3, 2]),
      OperationRow(Sum(axes: [0]), [2, .batch]),
      OperationRow(Sum(axes: []), [.batch, 3]),
      OperationRow(Sum(axes: [0], isMean: true), Shape(fixed: [2, 3])),
    ]

  private static func binary(
    _ operation: any PCGraphs.Operation, in range: ClosedRange<Float> = -1...1
  ) -> [OperationRow] {
    let pairs: [(Shape, Shape)] = [
      ([.batch, 3], [.batch, 3]), ([.batch, 3], [3]), ([2, 3], [.batch, 1, 3]), ([.batch, 2, 1], [.batch, 1, 3]),
      ([.batch, 2, 3], [2, 1]), ([.batch], []), ([2, .batch], [2, 1]), ([1, 3], [.batch, 3]), ([2, 3], [3]),
      ([.batch, 3, 2, 2], [3, 1, 1]), ([.batch(outer: 1, inner: 2), 3], [.batch(outer: 1, inner: 2), 1]),
    ]
    return pairs.map { OperationRow(operation, $0, $1, in: range) }
  }
}

/// An operation's value and pullbacks, compiled for a backend; the rows' own arithmetic, with the emitter's `sumBack`.
final class OperationTrial {
  private let terms: [Term]
  private let result: Term
  private let message: Term
  private let pullbacks: [Term?]
  private let executable: any Executable
  let batchSize: Int

  init(_ row: OperationRow, on backend: any Backend, batchSize: Int) throws {
    let emit = Emitter()
    func begin() {
      let section = emit.makeSection("trial")
      for stage in Stage.allCases { emit.sections[stage] = section }
    }
    begin()
    terms = row.operands.map {
      emit.makeTerm(
        "operand", $0.shape.extents, isBatched: $0.shape.isBatched, stage: .step,
        element: $0.classes == nil ? .real : .index)
    }
    let term = row.operation.forward(terms, emit)
    result = emit.dense(term)
    message = emit.makeTerm("message", term.extents, isBatched: term.isBatched, stage: .step)
    begin()
    let point = Linearization(operands: terms, result: term, message: message)
    pullbacks = row.operands.indices.map { [terms] k in
      guard row.operands[k].classes == nil, let back = row.operation.pullback(to: k, point, emit) else { return nil }
      return emit.dense(emit.sumBack(back, to: terms[k].extents, isBatched: terms[k].isBatched))
    }
    executable = try backend.compile(emit.program, batchSize: batchSize, bindings: [:])
    self.batchSize = batchSize
  }

  var resultCount: Int { result.count * (result.isBatched ? batchSize : 1) }
  var resultExtents: [Int] { result.extents }
  var resultIsBatched: Bool { result.isBatched }

  func value(_ operands: [[Double]]) -> [Double] {
    for (term, numbers) in zip(terms, operands) { upload(numbers, to: term) }
    executable.run([Passage(section: 0)])
    return download(result)
  }

  /// Jᵀmessage for each operand at the point of the last `value`; `nil` where the operation says that it is zero.
  func pullBack(_ numbers: [Double]) -> [[Double]?] {
    upload(numbers, to: message)
    executable.run([Passage(section: 1)])
    return pullbacks.map { $0.map(download) }
  }

  private func upload(_ numbers: [Double], to term: Term) {
    numbers.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
  }

  private func download(_ term: Term) -> [Double] {
    let memory = executable.download(term.view.buffer)
    guard term.view.offset != 0 || memory.count != term.count * (term.isBatched ? batchSize : 1) else {
      return memory
    }
    let each = term.isBatched ? memory.count / batchSize : memory.count
    return stride(from: 0, to: memory.count, by: each).flatMap {
      memory[($0 + term.view.offset)..<($0 + term.view.offset + term.count)]
    }
  }
}

extension OperationRow {
  /// Numbers for the operands. All of one operand differ by more than the step of a finite difference, so that no
  /// maximum changes its place.
  func numbers(batchSize: Int, using dice: inout Dice) -> [[Double]] {
    operands.map { operand in
      let count = operand.shape.count * (operand.shape.isBatched ? batchSize : 1)
      if let classes = operand.classes {
        return (0..<count).map { _ in Double(Int.random(in: 0..<classes, using: &dice)) }
      }
      if operand.isMask { return (0..<count).map { _ in Double(Int.random(in: 0...1, using: &dice)) } }
      let (low, high) = (operand.range.lowerBound, operand.range.upperBound)
      let places = (0..<count).shuffled(using: &dice)
      return places.map { place in
        let jitter = Float.random(in: 0.25...0.75, using: &dice)
        return Double(low + (high - low) * (Float(place) + jitter) / Float(count))
      }
    }
  }
}
