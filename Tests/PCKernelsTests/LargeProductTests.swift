import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Products with few examples, which go other ways on the CPU backend than with many: with weights as they lie where these are used
/// once, large ones in pieces of the depth; packed where a section repeats. The oracle is the reference backend.
@Suite struct LargeProductTests {
  /// y ← α W x + β y with the weights' rows or columns as neighbours.
  private func product(
    rows: Int, depth: Int, isRowMajor: Bool, batch: Int, count: Int, dice: inout Dice
  ) -> Experiment {
    var experiment = Experiment(batch: batch)
    let weights = experiment.buffer(
      "weights", count: rows * depth + 3, batched: false, contents: dice.reals(rows * depth + 3, in: -0.1...0.1))
    let x = experiment.buffer("x", count: depth, batched: true, contents: dice.reals(depth * batch))
    let y = experiment.buffer("y", count: rows + 2, batched: true, contents: dice.reals((rows + 2) * batch))
    experiment.append(
      Instruction(
        .contract(extents: [rows, 1, depth]),
        operands: [
          View(buffer: weights, offset: 3, strides: isRowMajor ? [depth, 0, 1] : [1, 0, rows]),
          View(buffer: x, strides: [0, 0, 1]),
        ],
        results: [View(buffer: y, offset: 2, strides: [1, 0, 0])], alpha: .constant(0.5), beta: .constant(0.25)))
    experiment.script = [Passage(section: 0, count: count)]
    return experiment
  }

  @Test(arguments: supportedSets, [1, 2, 5, 8, 9, 17]) func agreesWithReference(set: CPU.InstructionSet, batch: Int)
    throws
  {
    let sizes = [
      (301, 257), (256, 260), (13, 6001), (6001, 13), (10, 96), (97, 10), (5, 3), (84, 70), (20, 300), (45, 3000),
    ]
    for (rows, depth) in sizes {
      for isRowMajor in [true, false] {
        for count in 1...2 {
          var dice = Dice(seed: UInt64(rows + batch))
          let experiment = product(
            rows: rows, depth: depth, isRowMajor: isRowMajor, batch: batch, count: count, dice: &dice)
          let expected = try experiment.run(on: Reference())[2]
          let observed = try (1...5).map { threads in
            try experiment.run(on: CPU(threads: threads, instructionSet: set, leastShared: 0))[2]
          }
          let problem = discrepancy(observed[0], expected) { _ in 1e-5 }
          #expect(problem == nil, "\(rows) × \(depth), row-major: \(isRowMajor), \(count) times: \(problem ?? "")")
          for threads in 2...5 {
            #expect(observed[threads - 1] == observed[0], "\(rows) × \(depth), \(threads) threads")
          }
        }
      }
    }
  }

  /// Weights so large that a repeated section reads each panel once for two tiles, with what follows and without; even and odd numbers
  /// of tiles, full and not.
  @Test(arguments: supportedSets, [33, 70, 128, 129]) func tilesAbreast(set: CPU.InstructionSet, batch: Int) throws {
    // 2¹⁷ weights are enough, a panel is left over, and the depth is no multiple of the unrolled steps.
    var values = Values(batch: batch, width: 365, count: 5, constants: [(365, false)], seed: UInt64(batch))
    values.addWeights(2)
    values.multiply(0, into: 1)
    values.apply(.add, [values.view(1), values.constants[0]], into: 1)
    values.apply(.tanh, [values.view(1)], into: 2)
    values.multiply(2, into: 3, beta: .slot(1), transposed: true, by: 1)
    values.apply(.multiply, [values.view(3), values.view(0)], into: 4)
    values.apply(.tanh, [values.view(4)], into: 0, beta: .slot(0))
    let observed = try values.observed(
      [Passage(section: 0, count: 4)], on: set, tolerance: 1e-5, "batch \(batch)")
    let singly = Array(repeating: Passage(section: 0), count: 4)
    let others = try values.observed(singly, on: set, tolerance: 1e-5, "batch \(batch), one by one")
    // Weights that are used once do not go to a matrix unit.
    #expect(set == .amx || others == observed, "batch \(batch)")
  }

  /// A bias that the product adds, once, after the last of several blocks of its depth.
  @Test(arguments: supportedSets, [9, 20, 40]) func biasOfDeepProducts(set: CPU.InstructionSet, batch: Int) throws {
    for (rows, depth) in [(1, 7), (5, 1601), (20, 3000)] {
      for count in 1...2 {
        var dice = Dice(seed: UInt64(rows + batch))
        var experiment = Experiment(batch: batch)
        let weights = experiment.buffer(
          "weights", count: rows * depth, batched: false, contents: dice.reals(rows * depth, in: -0.1...0.1))
        let bias = experiment.buffer("bias", count: rows, batched: false, contents: dice.reals(rows))
        let x = experiment.buffer("x", count: depth, batched: true, contents: dice.reals(depth * batch))
        let y = experiment.buffer("y", count: rows, batched: true, contents: dice.reals(rows * batch))
        experiment.append(
          Instruction(
            .contract(extents: [rows, 1, depth]),
            operands: [View(buffer: weights, strides: [depth, 0, 1]), View(buffer: x, strides: [0, 0, 1])],
            results: [View(buffer: y, strides: [1, 0, 0])]))
        experiment.append(
          Instruction(
            .elementwise(.add, extents: [rows]),
            operands: [View(buffer: y, strides: [1]), View(buffer: bias, strides: [1])],
            results: [View(buffer: y, strides: [1])]))
        experiment.script = [Passage(section: 0, count: count)]
        let expected = try experiment.run(on: Reference())[y]
        let observed = try experiment.run(on: CPU(threads: 2, instructionSet: set, leastShared: 0))[y]
        let problem = discrepancy(observed, expected) { _ in 1e-5 }
        #expect(problem == nil, "\(rows) × \(depth), \(count) times: \(problem ?? "")")
      }
    }
  }

  /// Weights of which neither rows nor columns are neighbours.
  @Test(arguments: supportedSets, [1, 2, 8]) func weightsWithGaps(set: CPU.InstructionSet, batch: Int) throws {
    let (rows, depth) = (260, 301)
    var dice = Dice(seed: UInt64(batch))
    var experiment = Experiment(batch: batch)
    let weights = experiment.buffer(
      "weights", count: 2 * rows * depth, batched: false, contents: dice.reals(2 * rows * depth, in: -0.1...0.1))
    let x = experiment.buffer("x", count: depth, batched: true, contents: dice.reals(depth * batch))
    let y = experiment.buffer("y", count: rows, batched: true, contents: dice.reals(rows * batch))
    experiment.append(
      Instruction(
        .contract(extents: [rows, 1, depth]),
        operands: [View(buffer: weights, strides: [2 * depth, 0, 2]), View(buffer: x, strides: [0, 0, 1])],
        results: [View(buffer: y, strides: [1, 0, 0])]))
    let expected = try experiment.run(on: Reference())[y]
    let observed = try experiment.run(on: CPU(threads: 2, instructionSet: set, leastShared: 0))[y]
    let problem = discrepancy(observed, expected) { _ in 1e-5 }
    #expect(problem == nil, "\(problem ?? "")")
  }

  /// W ← β W + α Σ y xᵀ over few examples, of sizes that leave blocks unfilled.
  @Test(arguments: supportedSets, [1, 3, 8, 17, 70]) func updates(set: CPU.InstructionSet, batch: Int) throws {
    let sizes = [(301, 257), (64, 260), (5, 37), (512, 10), (7, 1)]
    for ((rows, columns), beta) in sizes.flatMap({ size in [Scalar.one, .zero, .constant(0.5)].map { (size, $0) } }) {
      var dice = Dice(seed: UInt64(columns + batch))
      var experiment = Experiment(batch: batch)
      let y = experiment.buffer("y", count: rows, batched: true, contents: dice.reals(rows * batch))
      let x = experiment.buffer("x", count: columns, batched: true, contents: dice.reals(columns * batch))
      let weights = experiment.buffer(
        "weights", count: rows * columns, batched: false,
        // What is not kept is not read.
        contents: beta == .zero ? Array(repeating: .nan, count: rows * columns) : dice.reals(rows * columns))
      experiment.append(
        Instruction(
          .contract(extents: [rows, columns, 1]),
          operands: [View(buffer: y, strides: [1, 0, 0]), View(buffer: x, strides: [0, 1, 0])],
          results: [View(buffer: weights, strides: [columns, 1, 0])], alpha: .constant(0.1), beta: beta))
      let expected = try experiment.run(on: Reference())[weights]
      let one = try experiment.run(on: CPU(threads: 1, instructionSet: set))[weights]
      let problem = discrepancy(one, expected) { _ in 1e-5 }
      #expect(problem == nil, "\(rows) × \(columns), β \(beta): \(problem ?? "")")
      let three = try experiment.run(on: CPU(threads: 3, instructionSet: set, leastShared: 0))[weights]
      #expect(three == one, "\(rows) × \(columns), β \(beta)")
    }
  }

  /// b ← β b + α Σ y over the examples, by several rows at a time and one by one.
  @Test(arguments: supportedSets, [1, 3, 8, 16, 17, 32, 70])
  func sumsOverExamples(set: CPU.InstructionSet, batch: Int) throws {
    for rows in [1, 10, 37, 4099] {
      var dice = Dice(seed: UInt64(rows + batch))
      var experiment = Experiment(batch: batch)
      let y = experiment.buffer("y", count: rows, batched: true, contents: dice.reals(rows * batch))
      let bias = experiment.buffer("bias", count: rows, batched: false, contents: dice.reals(rows))
      experiment.append(
        Instruction(
          .reduce(.sum, extents: [rows], reduced: [false]), operands: [View(buffer: y, strides: [1])],
          results: [View(buffer: bias, strides: [1])], alpha: .constant(0.1), beta: .constant(0.5)))
      let expected = try experiment.run(on: Reference())[bias]
      let one = try experiment.run(on: CPU(threads: 1, instructionSet: set))[bias]
      let problem = discrepancy(one, expected) { _ in 1e-5 }
      #expect(problem == nil, "\(rows): \(problem ?? "")")
      for threads in 2...5 {
        let several = try experiment.run(on: CPU(threads: threads, instructionSet: set, leastShared: 0))[bias]
        #expect(several == one, "\(rows), \(threads) threads")
      }
    }
  }
}
