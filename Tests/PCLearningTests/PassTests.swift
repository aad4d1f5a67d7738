import PredictiveCoding
import Testing

/// Passes keep what a program computes: on random straight-line programs, run twice over, before and after.
@Suite struct PassTests {
  private static let extents = [2, 3]

  /// Blends, products, and sums over the examples, through whole, transposed and broadcast views of a few buffers.
  private static func program(_ random: inout RandomStream) -> Program {
    var program = Program(sections: [Section(name: "a"), Section(name: "b")])
    for index in 0..<7 {
      program.buffers.append(Buffer(name: "\(index)", count: 6, isBatched: index < 5))
    }
    func view(_ buffer: Int) -> View {
      let strides = [[3, 1], [3, 1], [3, 1], [1, 2], [0, 1]][random.integer(below: 5)]
      return View(buffer: buffer, strides: strides)
    }
    for section in 0...1 {
      for _ in 0..<6 {
        let target = random.integer(below: 7)
        let others = (0..<7).filter { $0 != target }
        let alpha = Scalar.constant([1, 1, 0.5][random.integer(below: 3)])
        let beta = Scalar.constant([0, 0, 1, 0.5][random.integer(below: 4)])
        let whole = View(buffer: target, strides: random.integer(below: 4) == 0 ? [1, 2] : [3, 1])
        func operand() -> View { view(others[random.integer(below: others.count)]) }
        let instruction: Instruction
        if target >= 5 {
          // Not batched: a sum over the examples.
          instruction = Instruction(
            .reduce(.sum, extents: extents, reduced: [false, false]), operands: [operand()], results: [whole],
            alpha: alpha,
            beta: beta)
        } else if random.integer(below: 2) == 0 {
          instruction = Instruction(
            .elementwise(.identity, extents: extents), operands: [operand()], results: [whole], alpha: alpha,
            beta: beta)
        } else {
          instruction = Instruction(
            .elementwise(.multiply, extents: extents), operands: [operand(), operand()], results: [whole],
            alpha: alpha,
            beta: beta)
        }
        program.sections[section].instructions.append(instruction)
      }
    }
    return program
  }

  private static func contents(_ program: Program, seed: Int, kept: Set<Int>) throws -> [[Double]] {
    let executable = try Reference().compile(program, batchSize: 2, bindings: [:])
    for (index, buffer) in program.buffers.enumerated() where buffer.count > 0 {
      var random = RandomStream(seed: UInt64(seed), "contents", index)
      let numbers = (0..<(buffer.isBatched ? 12 : 6)).map { _ in 2 * random.uniform() - 1 }
      numbers.withUnsafeBufferPointer { executable.upload($0, to: index) }
    }
    executable.run([Passage(section: 0), Passage(section: 1, count: 2), Passage(section: 0)])
    return kept.sorted().map(executable.download)
  }

  @Test(arguments: 0..<20) func meaningIsKept(block: Int) throws {
    for seed in (200 * block)..<(200 * (block + 1)) {
      var random = RandomStream(seed: UInt64(seed), "program")
      let program = Self.program(&random)
      let kept = Set((0..<7).filter { _ in random.integer(below: 3) == 0 } + [0])
      let expected = try Self.contents(program, seed: seed, kept: kept)
      var fused = program
      fused.fuseBlends(keeping: kept)
      var gathered = program
      gathered.gatherSumsOverExamples()
      var both = fused
      both.gatherSumsOverExamples()
      for (name, changed) in [("fuseBlends", fused), ("gatherSumsOverExamples", gathered), ("both", both)] {
        let observed = try Self.contents(changed, seed: seed, kept: kept)
        for (index, pair) in zip(observed, expected).enumerated() {
          expectClose(pair.0, pair.1, "seed \(seed), \(name), buffer \(kept.sorted()[index])")
        }
      }
    }
  }

  /// The pass does what it is for.
  @Test func blendsAreFused() {
    var program = Program(
      buffers: ["x", "y", "z"].map { Buffer(name: $0, count: 6, isBatched: true) }, sections: [Section(name: "only")])
    let views = (0..<3).map { View(buffer: $0, strides: [3, 1]) }
    program.sections[0].instructions = [
      Instruction(.elementwise(.tanh, extents: Self.extents), operands: [views[0]], results: [views[1]]),
      Instruction(
        .elementwise(.identity, extents: Self.extents), operands: [views[1]], results: [views[2]],
        alpha: .constant(0.2),
        beta: .constant(0.8)),
    ]
    program.fuseBlends(keeping: [2])
    #expect(program.sections[0].instructions.count == 1)
    #expect(program.sections[0].instructions[0].results == [views[2]])
    #expect(program.sections[0].instructions[0].beta == .constant(0.8))
    #expect(program.buffers[1].count == 0)
  }
}
