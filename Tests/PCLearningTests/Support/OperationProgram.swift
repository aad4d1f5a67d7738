import PredictiveCoding

/// One operation as a program of its own on `Reference`: its value in one section, each of its pullbacks in another.
///
/// Nothing is hoisted, shared or fused, so what a plan does with an operation can be compared with the operation.
final class OperationProgram {
  private let operands: [Term]
  private let result: Term
  private let message: Term
  private let resultOffsets: [Int]
  private let pullbacks: [Pullback?]
  private let executable: any Executable
  private let batchSize: Int

  private struct Pullback {
    var section: Int
    var term: Term
    /// For each element of `term`, where in memory it lies and which element of the operand it belongs to.
    var sources: [Int]
    var targets: [Int]
  }

  init(
    _ operation: any PCGraphs.Operation, operands: [Graph.Value], on backend: any Backend = Reference(),
    batchSize: Int
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
        operand.name, operand.shape.extents, isBatched: operand.shape.isBatched, stage: .step,
        element: operand.element)
    }
    let result = operation.forward(terms, emit)
    let message = emit.makeTerm("message", result.extents, isBatched: result.isBatched, stage: .step)
    pullbacks = terms.indices.map { k in
      guard operands[k].element == .real else { return nil }
      let section = begin("pullback to \(k)")
      let point = Linearization(operands: terms, result: result, message: message)
      return operation.pullback(to: k, point, emit).map { term in
        Pullback(
          section: section, term: term, sources: offsets(term.extents, term.view.strides),
          targets: Self.broadcastOffsets(term.extents, in: terms[k]))
      }
    }
    resultOffsets = offsets(result.extents, result.view.strides)
    (self.operands, self.result, self.message, self.batchSize) = (terms, result, message, batchSize)
    executable = try backend.compile(emit.program, batchSize: batchSize, bindings: [:])
  }

  /// The value, example by example, and the point at which the pullbacks are taken from now on.
  func forward(_ values: [[Double]]) -> [Double] {
    for (term, numbers) in zip(operands, values) {
      numbers.withUnsafeBufferPointer { executable.upload($0, to: term.view.buffer) }
    }
    executable.run([Passage(section: 0)])
    return elements(of: result, at: resultOffsets)
  }

  /// `(∂ result / ∂ operand)ᵀ message`, of the operand's own size; `nil` where the operation says that it is zero.
  func pullback(to operand: Int, of numbers: [Double]) -> [Double]? {
    guard let pullback = pullbacks[operand] else { return nil }
    numbers.withUnsafeBufferPointer { executable.upload($0, to: message.view.buffer) }
    executable.run([Passage(section: pullback.section)])
    // The transpose of broadcasting: all elements that came from one element of the operand add up.
    let (count, isBatched) = (operands[operand].count, operands[operand].isBatched)
    var sums = Array(repeating: 0.0, count: isBatched ? count * batchSize : count)
    let terms = elements(of: pullback.term, at: pullback.sources)
    for (position, number) in terms.enumerated() {
      let (example, place) = position.quotientAndRemainder(dividingBy: pullback.targets.count)
      sums[(isBatched ? example * count : 0) + pullback.targets[place]] += number
    }
    return sums
  }

  private func elements(of term: Term, at offsets: [Int]) -> [Double] {
    let memory = executable.download(term.view.buffer)
    let examples = term.isBatched ? batchSize : 1
    let each = memory.count / examples
    return (0..<examples).flatMap { example in offsets.map { memory[example * each + term.view.offset + $0] } }
  }

  /// For each element of extents that `operand` was stretched to, the operand's element.
  private static func broadcastOffsets(_ extents: [Int], in operand: Term) -> [Int] {
    let strides = zip(operand.extents, Term.rowMajorStrides(operand.extents)).map { $0 == 1 ? 0 : $1 }
    return offsets(extents, Array(repeating: 0, count: extents.count - strides.count) + strides)
  }
}

/// The offset of each element in row-major order.
private func offsets(_ extents: [Int], _ strides: [Int]) -> [Int] {
  zip(extents, strides).reduce([0]) { heads, axis in
    heads.flatMap { head in (0..<axis.0).map { head + $0 * axis.1 } }
  }
}
