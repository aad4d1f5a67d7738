import PredictiveCoding

/// One operation as a program of its own on `Reference`: its value in one section, each of its pullbacks in another.
///
/// Nothing is hoisted, shared or fused, so what a plan does with an operation can be compared with the operation.
final class OperationProgram {
  private let operands: [Term]
  private let result: Term
  private let message: Term
  private let pullbacks: [(section: Int, term: Term)?]
  private let executable: any Executable
  private let batchSize: Int

  init(
    _ operation: any PCGraphs.Operation, operands: [Graph.Value], on backend: any Backend = Reference(), batchSize: Int
  ) throws {
    let emit = Emitter()
    func begin(_ name: String) -> Int {
      let section = emit.makeSection(name)
      for stage in Stage.allCases { emit.sections[stage] = section }
      return section
    }
    _ = begin("forward")
    let terms = operands.map { operand in
      emit.makeTerm(
        operand.name, operand.shape.extents, isBatched: operand.shape.isBatched, stage: .step, element: operand.element)
    }
    let result = operation.forward(terms, emit)
    let message = emit.makeTerm("message", result.extents, isBatched: result.isBatched, stage: .step)
    pullbacks = terms.indices.map { k in
      guard operands[k].element == .real else { return nil }
      let section = begin("pullback to \(k)")
      let point = Linearization(operands: terms, result: result, message: message)
      return operation.pullback(to: k, point, emit).map { (section, $0) }
    }
    (self.operands, self.result, self.message, self.batchSize) = (terms, result, message, batchSize)
    executable = try backend.compile(emit.program, batchSize: batchSize, bindings: [:])
  }

  /// The value, example by example, and the point at which the pullbacks are taken from now on.
  func forward(_ values: [[Double]]) -> [Double] {
    for (term, numbers) in zip(operands, values) {
      numbers.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
    }
    executable.run([Passage(section: 0)])
    return elements(of: result)
  }

  /// `(∂ result / ∂ operand)ᵀ message`, of the operand's own size; `nil` where the operation says that it is zero.
  func pullback(to operand: Int, of numbers: [Double]) -> [Double]? {
    guard let (section, term) = pullbacks[operand] else { return nil }
    numbers.withUnsafeBufferPointer { executable.upload($0, to: message.view.buffer) }
    executable.run([Passage(section: section)])
    return summedBack(elements(of: term), of: term, to: operands[operand])
  }

  private func elements(of term: Term) -> [Double] {
    let memory = executable.download(term.view.buffer)
    let examples = term.isBatched ? batchSize : 1
    let offsets = indices(of: term.extents).map { zip($0, term.view.strides).reduce(term.view.offset) { $0 + $1.0 * $1.1 } }
    return (0..<examples).flatMap { example in offsets.map { memory[example * memory.count / examples + $0] } }
  }

  /// The transpose of broadcasting: adds up all elements that came from one element of the operand.
  private func summedBack(_ numbers: [Double], of term: Term, to operand: Term) -> [Double] {
    let strides = zip(operand.extents, Term.rowMajorStrides(operand.extents)).map { $0 == 1 ? 0 : $1 }
    var sums = Array(repeating: 0.0, count: operand.count * (operand.isBatched ? batchSize : 1))
    let places = indices(of: term.extents).map { index in
      zip(index.suffix(operand.rank), strides).reduce(0) { $0 + $1.0 * $1.1 }
    }
    for (position, number) in numbers.enumerated() {
      let example = operand.isBatched ? position / places.count : 0
      sums[example * operand.count + places[position % places.count]] += number
    }
    return sums
  }
}

/// All indices of a tensor of these extents, in row-major order.
func indices(of extents: [Int]) -> [[Int]] {
  extents.reduce([[]]) { heads, extent in heads.flatMap { head in (0..<extent).map { head + [$0] } } }
}
