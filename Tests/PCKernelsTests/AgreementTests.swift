import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Every primitive, on every instruction set of this machine, against the reference backend: sizes, batches, layouts,
/// coefficients and what is batched are drawn at random from a seed that a failure names.
@Suite struct AgreementTests {
  static let batches = [1, 3, 8, 9, 16, 17, 33, 64]

  /// An error may be ε (slack + √terms) times the sum of the magnitudes of the terms, which the reference computes.
  struct Case {
    var primitive: Primitive
    /// Terms of the longest sum.
    var terms: Int
    var slack = 4.0
    /// False for functions: their magnitude is that of the value, and of 2 at least.
    var isSumOfProducts = true
    /// Where operands are drawn from.
    var range: ClosedRange<Float> = -1...1
  }

  static func randomCase(_ kind: Int, using dice: inout Dice) -> Case {
    func size(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &dice) }
    func extents(_ rank: ClosedRange<Int>, _ range: ClosedRange<Int> = 1...6) -> [Int] {
      (0..<size(rank)).map { _ in size(range) }
    }
    func geometry() -> Convolution {
      while true {
        let groups = [1, 1, 1, 2, 3][size(0...4)]
        let c = Convolution(
          inputChannels: groups * size(1...5), outputChannels: groups * size(1...7),
          input: Extent(size(1...9), size(1...9)),
          kernel: Extent(size(1...5), size(1...5)), stride: Extent(size(1...3), size(1...3)),
          padding: Extent(size(0...2), size(0...2)), dilation: Extent(size(1...2), size(1...2)), groups: groups,
          isScaled: kind != 5 && Bool.random(using: &dice))
        if c.output.count > 0 { return c }
      }
    }
    switch kind {
    case 0:
      let functions: [Elementwise] = [
        .one, .identity, .reciprocal, .exp, .log, .sqrt, .sin, .cos, .tan, .tanh, .sigmoid, .absolute, .expMinusOne,
        .softplus,
        .normalCumulative, .relu, .step,
        .oneMinusSquare, .onePlusSquare, .logisticSlope, .timesOneMinusSquare, .timesLogisticSlope, .timesStep,
        .clip(limit: 0.5),
        .add, .subtract, .multiply, .divide,
        .maximum, .minimum, .greater, .select,
      ]
      let function = functions[size(0...functions.count - 1)]
      return Case(
        primitive: .elementwise(function, extents: extents(0...4, 1...9)), terms: 1, slack: 32,
        isSumOfProducts: false,
        range: 0.25...1.25)
    case 1:
      let all = extents(1...4)
      let reduction: Reduction = [.sum, .maximum, .logSumExp][size(0...2)]
      let reduced = all.map { _ in Bool.random(using: &dice) }
      return Case(
        primitive: .reduce(reduction, extents: all, reduced: reduced), terms: all.reduce(1, *),
        isSumOfProducts: reduction == .sum)
    case 2:
      // Now and then a depth that is worked through in blocks.
      let depth = size(0...4) == 0 ? size(385...700) : size(1...40)
      let all = extents(0...2, 1...3) + [size(1...40), size(1...20), depth]
      // Broadcast operands make equal terms, whose rounding errors all point one way: over a long sum that shows.
      return Case(primitive: .contract(extents: all), terms: depth, slack: depth > 40 ? 32 : 4)
    case 3:
      let c = geometry()
      return Case(primitive: .convolve(c), terms: c.inputChannels * c.kernel.count)
    case 4:
      let c = geometry()
      return Case(primitive: .convolveInputGradient(c), terms: c.outputChannels * c.kernel.count)
    case 5:
      let c = geometry()
      return Case(primitive: .convolveFilterGradient(c), terms: c.output.count)
    case 6:
      return Case(primitive: .oneHot(extents: extents(0...2), classes: size(1...7)), terms: 1)
    case 7:
      return Case(primitive: .gather(extents: extents(0...2), rows: size(1...9), width: size(1...40)), terms: 1)
    case 8:
      let all = extents(0...2)
      return Case(
        primitive: .gatherGradient(extents: all, rows: size(1...9), width: size(1...40)), terms: all.reduce(1, *))
    default:
      let counts = extents(1...2, 1...5)
      let foreign = Foreign(name: "mixture", operandCounts: counts, resultCount: 4) { arguments in
        let total = arguments.joined().reduce(0, +)
        return (0..<4).map { Double($0) + total }
      }
      return Case(primitive: .foreign(foreign), terms: counts.reduce(0, +))
    }
  }

  @Test(arguments: supportedSets, 0..<10)
  func agreesWithReference(set: CPU.InstructionSet, kind: Int) throws {
    let cpu = try CPU(threads: 2, instructionSet: set, leastShared: 0, prefersMatrixUnit: true)
    for round in 0..<220 {
      let seed = UInt64(kind * 1000 + round)
      var dice = Dice(seed: seed)
      let batch = Self.batches[Int.random(in: 0..<Self.batches.count, using: &dice)]
      let sample = Self.randomCase(kind, using: &dice)
      let primitive = sample.primitive
      let isPlain = Bool.random(using: &dice)
      var experiment = Experiment(batch: batch)

      var zero: [Bool]?
      var operandZero: [[Bool]?] = [nil, nil, nil]
      if case .reduce(_, _, let reduced) = primitive { zero = reduced }
      if case .contract(let extents) = primitive {
        let rank = extents.count
        func only(_ axis: Int) -> [Bool] { (0..<rank).map { $0 == axis } }
        zero = only(rank - 1)
        operandZero = [only(rank - 2), only(rank - 3), nil]
      }

      var operands: [View] = []
      let isScaled = (kind == 3 || kind == 4) && primitive.operandExtents.count == 3
      for (k, extents) in primitive.operandExtents.enumerated() where k < 2 || !isScaled {
        let layout = randomLayout(
          extents, zero: operandZero[k], mayBroadcast: true, isPlain: isPlain, using: &dice)
        let batched = Int.random(in: 0..<3, using: &dice) != 0
        let count = layout.count * (batched ? batch : 1)
        var values = dice.reals(count, in: sample.range)
        // One index too small and one too large are among them.
        let indices: Int? =
          switch primitive {
          case .oneHot(_, let classes): classes
          case .gather(_, let rows, _), .gatherGradient(_, let rows, _): k == 0 ? rows : nil
          default: nil
          }
        if let indices { values = (0..<count).map { _ in Double(Int.random(in: -1...indices, using: &dice)) } }
        let buffer = experiment.buffer("operand \(k)", count: layout.count, batched: batched, contents: values)
        operands.append(View(buffer: buffer, offset: layout.offset, strides: layout.strides))
      }
      let anyBatched = operands.contains { experiment.program.buffers[$0.buffer].isBatched }
      let batched = anyBatched && !primitive.canSumOverExamples ? true : Bool.random(using: &dice)
      let alpha = [1, 0.25, -1.5][Int.random(in: 0..<3, using: &dice)]
      let beta = [0, 1, 0.75][Int.random(in: 0..<3, using: &dice)]
      let layout = randomLayout(
        primitive.resultExtents[0], zero: zero, mayBroadcast: false, isPlain: isPlain, using: &dice)
      let count = layout.count * (batched ? batch : 1)
      let old = beta == 0 ? Array(repeating: Double.nan, count: count) : dice.reals(count)
      if isScaled {
        // A factor lies as the result does.
        let factor = experiment.buffer("factor", count: layout.count, batched: batched, contents: dice.reals(count))
        operands.append(View(buffer: factor, offset: layout.offset, strides: layout.strides))
      }
      let result = experiment.buffer("result", count: layout.count, batched: batched, contents: old)
      experiment.append(
        Instruction(
          primitive, operands: operands,
          results: [View(buffer: result, offset: layout.offset, strides: layout.strides)], alpha: .constant(alpha),
          beta: .constant(beta)))

      let expected = try experiment.run(on: Reference())[result]
      let observed = try experiment.run(on: cpu)[result]
      let bounds = sample.isSumOfProducts ? try experiment.magnitudes.run(on: Reference())[result] : expected
      let terms = sample.terms * (batched ? 1 : batch)
      let problem = discrepancy(observed, expected) { i in
        let magnitude = bounds[i].isNaN ? 0 : abs(bounds[i])
        return epsilon * (sample.slack + Double(terms).squareRoot()) * (magnitude + (sample.isSumOfProducts ? 0 : 2))
      }
      #expect(
        problem == nil,
        "\(problem ?? ""): \(primitive.name), seed \(seed), batch \(batch), plain \(isPlain), alpha \(alpha), beta \(beta)"
      )
      if problem != nil { return }
    }
  }

  /// Max pooling and its transpose; values are drawn from few numbers so that there are ties.
  @Test(arguments: supportedSets)
  func poolingAgreesWithReference(set: CPU.InstructionSet) throws {
    let cpu = try CPU(threads: 2, instructionSet: set, leastShared: 0, prefersMatrixUnit: true)
    for round in 0..<150 {
      var dice = Dice(seed: UInt64(round))
      func size(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &dice) }
      let batch = Self.batches[size(0...Self.batches.count - 1)]
      let window = Extent(size(1...3), size(1...3))
      let pooling = Pooling(
        channels: size(1...4), input: Extent(size(3...9), size(3...9)), window: window,
        stride: Extent(size(1...3), size(1...3)),
        padding: Extent(size(0...(window.rows - 1)), size(0...(window.columns - 1))))
      let isPlain = Bool.random(using: &dice)
      let batched = size(0...3) != 0
      var experiment = Experiment(batch: batch)
      func view(_ name: String, _ extents: [Int]) -> View {
        let layout = randomLayout(extents, mayBroadcast: false, isPlain: isPlain, using: &dice)
        let values = (0..<layout.count * (batched ? batch : 1)).map { _ in Double(size(-3...3)) / 4 }
        let buffer = experiment.buffer(name, count: layout.count, batched: batched, contents: values)
        return View(buffer: buffer, offset: layout.offset, strides: layout.strides)
      }
      let image = view("image", pooling.imageExtents)
      let values = view("values", pooling.messageExtents)
      let winners = view("winners", pooling.messageExtents)
      let message = view("message", pooling.messageExtents)
      let gradient = view("gradient", pooling.imageExtents)
      experiment.append(
        Instruction(
          .maxPool(pooling), operands: [image], results: [values, winners], alpha: .constant(0.5), beta: .one))
      experiment.append(
        Instruction(
          .maxPoolGradient(pooling), operands: [message, winners], results: [gradient], alpha: .constant(2),
          beta: .constant(round.isMultiple(of: 2) ? 0 : 0.5)))
      let expected = try experiment.run(on: Reference())
      let observed = try experiment.run(on: cpu)
      // Quarters, halves and small sums of them are exact in Float.
      #expect(observed == expected, "round \(round): \(pooling), batch \(batch)")
    }
  }
}
