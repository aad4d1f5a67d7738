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
    + binary(GeneralPower(), in: 0.5...2) + apart(Extremum(.maximum)) + apart(Extremum(.minimum))
    + Pointwise.Function.allCases.flatMap { function -> [OperationRow] in
      // relu and |x| away from their kinks, roots and logarithms away from 0, tangents away from their poles.
      let isHalf = [.sqrt, .relu, .log, .abs].contains(function)
      let range: ClosedRange<Float> = isHalf ? 0.1...2 : -1.2...1.2
      let rows = [
        OperationRow(Pointwise(function), [.batch, 3], in: range),
        OperationRow(Pointwise(function), [2, .batch], in: range),
        OperationRow(Pointwise(function), Shape(fixed: [2, 3]), in: range),
      ]
      let isBent = function == .relu || function == .abs
      return isBent ? rows + [OperationRow(Pointwise(function), [.batch, 3], in: -2...(-0.1))] : rows
    }
    + [
      OperationRow(Pointwise(.gelu), [.batch, 5], in: -9...9),
      OperationRow(Pointwise(.geluTanh), [.batch, 5], in: -9...9),
      OperationRow(Pointwise(.softplus), [.batch, 5], in: -40...40),
      OperationRow(LeakyReLU(), [.batch, 3], in: 0.1...2),
      OperationRow(LeakyReLU(slope: 0.2), [.batch, 3], in: -2...(-0.1)),
      OperationRow(ELU(), [.batch, 3], in: 0.1...2),
      OperationRow(ELU(scale: 0.7), [2, .batch], in: -3...(-0.1)),
      OperationRow(Power(3), [.batch, 3]),
      OperationRow(Power(2), Shape(fixed: [2, 3])),
      OperationRow(Power(1), [.batch, 3]),
      OperationRow(Power(0), [2, .batch]),
      OperationRow(Power(-2), [.batch, 3], in: -2...(-0.5)),
      OperationRow(Power(0.5), [.batch, 3], in: 0.2...2),
      OperationRow(Power(-2.3), [2, .batch], in: 0.5...2),
      OperationRow(Clip(to: -2...2), [.batch, 3]),
      OperationRow(Clip(to: -0.5...0.25), [.batch, 3], in: 0.3...2),
      OperationRow(Clip(to: -0.5...0.25), [2, .batch], in: -2...(-0.6)),
      OperationRow(Softmax(), [.batch, 4]),
      OperationRow(Softmax(axis: 1), [.batch, 3, 2], in: -30...30),
      OperationRow(Softmax(axis: 0), [3, .batch]),
      OperationRow(Softmax(), Shape(fixed: [2, 3])),
      OperationRow(LogSoftmax(), [.batch, 4]),
      OperationRow(LogSoftmax(axis: 1), [.batch, 3, 2], in: -20...20),
      OperationRow(LogSoftmax(axis: 0), [3, .batch]),
      OperationRow(CumulativeSum(axis: 1), [.batch, 7]),
      OperationRow(CumulativeSum(axis: -2, isReversed: true), [.batch, 4, 3]),
      OperationRow(CumulativeSum(axis: 0), [5, .batch]),
      OperationRow(CumulativeSum(axis: 1), [.batch, 1]),
      OperationRow(CumulativeSum(axis: 0), Shape(fixed: [3, 2])),
      OperationRow(Pad(axis: 1, before: 2, after: 1), [.batch, 3]),
      OperationRow(Pad(axis: -1, before: 0, after: 2), [.batch, 2, 3]),
      OperationRow(Pad(axis: 0, before: 1, after: 0), [2, .batch]),
      OperationRow(Pad(axis: 0, before: 1, after: 1), Shape(fixed: [2, 3])),
      OperationRow(Largest(axes: [1]), [.batch, 5]),
      OperationRow(Largest(axes: [1, 3], keepsAxes: true), [.batch, 3, 2, 4]),
      OperationRow(Largest(axes: [0]), [4, .batch]),
      OperationRow(Largest(axes: [-1]), Shape(fixed: [2, 3])),
      OperationRow(Normalize(), [.batch, 5]),
      OperationRow(Normalize(axes: [1, 2], epsilon: 0.1), [.batch, 3, 2, 2]),
      OperationRow(Normalize(isCentered: false), [.batch, 2, 4]),
      OperationRow(Normalize(axes: [0]), [4, .batch]),
      // The flag says training; what is outside of it is in BatchNormalizationTests.
      OperationRow(
        BatchNormalize(), Operand(shape: [.batch, 3, 2, 2]), Operand(shape: [.batch, 1, 1, 1], range: 1...1),
        Operand(shape: [3, 1, 1]), Operand(shape: [3, 1, 1], range: 0.5...2)),
      OperationRow(
        BatchNormalize(epsilon: 0.1), Operand(shape: [.batch, 4]), Operand(shape: [.batch, 1], range: 1...1),
        Operand(shape: [4]), Operand(shape: [4], range: 0.5...2)),
      OperationRow(
        Custom("product", operandCount: 2) { x in
          zip(x[0], x[1]).map { $0 * $1 * $1 }
        } pullback: { x, message, operand in
          message.indices.map {
            operand == 0 ? message[$0] * x[1][$0] * x[1][$0] : 2 * message[$0] * x[0][$0] * x[1][$0]
          }
        }, [.batch, 2, 3], [2, 3]),
      OperationRow(
        Custom("first", shape: { _ throws(ShapeError) in [.batch, 1] }) {
          [$0[0][0]]
        } pullback: { x, message, _ in
          [message[0]] + Array(repeating: 0, count: x[0].count - 1)
        }, [.batch, 4]),
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

      OperationRow(Convolve(padding: 2, dilation: 2), [.batch, 2, 6, 5], [3, 2, 3, 3]),
      OperationRow(Convolve(stride: 2, padding: 1, groups: 2), [.batch, 4, 5, 5], [6, 2, 3, 3]),
      OperationRow(Convolve(padding: 1, groups: 3), [.batch, 3, 4, 5], [3, 1, 3, 3]),

      OperationRow(ConvolveTransposed(), [.batch, 2, 3, 4], [2, 3, 3, 3]),
      OperationRow(ConvolveTransposed(stride: 2, padding: 1, extra: 1), [.batch, 3, 4, 3], [3, 2, 3, 3]),
      OperationRow(ConvolveTransposed(stride: 2, dilation: 2, groups: 2), [.batch, 4, 3, 3], [4, 3, 2, 2]),
      OperationRow(ConvolveTransposed(stride: 3, extra: 2), [.batch, 1, 2, 2], [1, 2, 1, 1]),

      OperationRow(AveragePool(window: 2), [.batch, 3, 4, 6]),
      OperationRow(AveragePool(window: 3, stride: 2, padding: 1), [.batch, 2, 5, 4]),
      OperationRow(AveragePool(window: 3, stride: 1), [.batch, 2, 4, 4]),

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

  /// One operand above the other everywhere, either way.
  private static func apart(_ operation: any PCGraphs.Operation) -> [OperationRow] {
    let pairs: [(Shape, Shape)] = [([.batch, 3], [.batch, 3]), ([2, .batch], [2, 1]), ([3], [.batch, 2, 3])]
    return pairs.flatMap { first, second in
      [
        OperationRow(operation, .init(shape: first, range: 0...1), .init(shape: second, range: 1.1...2)),
        OperationRow(operation, .init(shape: first, range: 1.1...2), .init(shape: second, range: 0...1)),
      ]
    }
  }

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
