import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Products with elementwise functions around them, in random order: some may follow a product row by row, others must wait.
private struct Layers {
  var experiment: Experiment
  let width: Int
  private(set) var values: [Int] = []
  private var constants: [View] = []
  private var weights: [Int] = []
  private var dice: Dice

  init(batch: Int, width: Int, values count: Int, seed: UInt64) {
    experiment = Experiment(batch: batch)
    experiment.program.slots = ["rate", "decay"]
    self.width = width
    dice = Dice(seed: seed)
    for value in 0..<count {
      values.append(
        experiment.buffer("value \(value)", count: width, batched: true, contents: dice.reals(width * batch)))
    }
    // For each row, for all rows.
    for count in [width, 1] {
      let buffer = experiment.buffer("constant \(count)", count: count, batched: false, contents: dice.reals(count))
      constants.append(View(buffer: buffer, strides: [count == 1 ? 0 : 1]))
    }
    let bound = 1 / Float(width)
    for layer in 0..<2 {
      weights.append(
        experiment.buffer(
          "weights \(layer)", count: width * width, batched: false,
          contents: dice.reals(width * width, in: -bound...bound)))
    }
  }

  mutating func pick<T>(_ values: [T]) -> T { values[Int.random(in: values.indices, using: &dice)] }

  func view(_ value: Int) -> View { View(buffer: values[value], strides: [1]) }

  /// `value[target] ← alpha · W value[source] + beta · value[target]`, with the weights as they lie or transposed.
  mutating func multiply(_ source: Int, into target: Int, beta: Scalar = .zero, transposed: Bool = false) {
    experiment.append(
      Instruction(
        .contract(extents: [width, 1, width]),
        operands: [
          View(buffer: pick(weights), strides: transposed ? [1, 0, width] : [width, 0, 1]),
          View(buffer: values[source], strides: [0, 0, 1]),
        ],
        results: [View(buffer: values[target], strides: [1, 0, 0])], alpha: .slot(0), beta: beta))
  }

  mutating func apply(_ function: Elementwise, _ operands: [View], into target: Int, beta: Scalar = .zero) {
    experiment.append(
      Instruction(
        .elementwise(function, extents: [width]), operands: operands, results: [view(target)], alpha: .slot(1),
        beta: beta))
  }

  /// The second half of a value from the first half of another.
  mutating func shift(_ source: Int, into target: Int) {
    let half = width / 2
    guard half > 0 else { return }
    experiment.append(
      Instruction(
        .elementwise(.tanh, extents: [half]), operands: [View(buffer: values[source], strides: [1])],
        results: [View(buffer: values[target], offset: width - half, strides: [1])], alpha: .one, beta: .one))
  }

  mutating func addRandom(_ count: Int) {
    for _ in 0..<count {
      let target = pick(Array(values.indices))
      let beta = pick([Scalar.zero, .slot(1), .one])
      switch Int.random(in: 0..<8, using: &dice) {
      case 0, 1, 2:
        let source = pick(values.indices.filter { $0 != target })
        multiply(source, into: target, beta: beta, transposed: pick([true, false]))
      case 3: shift(pick(values.indices.filter { $0 != target }), into: target)
      case 4: apply(.tanh, [view(pick(Array(values.indices)))], into: target, beta: beta)
      default:
        let function = pick([Elementwise.add, .subtract, .multiply, .timesOneMinusSquare])
        let others = values.indices.map(view) + constants
        apply(function, [view(pick(Array(values.indices))), pick(others)], into: target, beta: beta)
      }
    }
  }

  /// Operations of the calls that the section became.
  func operations() throws -> [String] {
    let executable = try CPU(threads: 1).compile(experiment.program, batchSize: experiment.batch, bindings: [:])
    return try #require(executable.profile(experiment.script)).calls.map(\.operation).filter { !$0.hasSuffix("pack") }
  }
}

/// What follows a product row by row. The oracle is the reference backend, which makes one instruction after the other.
@Suite struct RowsTests {
  @Test(arguments: supportedSets, [2, 9, 16, 17, 33, 64]) func randomLayers(set: CPU.InstructionSet, batch: Int)
    throws
  {
    for seed in 0..<24 {
      // Rows that fill one panel or less, several, and several groups of panels.
      let width = [1, 5, 6, 7, 13, 24, 25, 50, 51, 97, 130][seed % 11]
      var layers = Layers(batch: batch, width: width, values: 2 + seed % 5, seed: UInt64(100 * batch + seed))
      layers.addRandom(12)
      var experiment = layers.experiment
      experiment.script = [Passage(section: 0, count: [1, 3][seed % 2])]
      let slots = [0.3, 0.6]
      let what = "seed \(seed), batch \(batch), width \(width)"
      let observed = try experiment.run(on: CPU(threads: 2, instructionSet: set, leastShared: 0), slots: slots)
      for threads in [1, 3] {
        let other = try experiment.run(on: CPU(threads: threads, instructionSet: set, leastShared: 0), slots: slots)
        #expect(other == observed, "\(what), \(threads) threads")
      }
      let expected = try experiment.run(on: Reference(), slots: slots)
      for value in layers.values {
        let largest = expected[value].reduce(1) { max($0, abs($1)) }
        let problem = discrepancy(observed[value], expected[value]) { _ in 1e-4 * largest }
        #expect(problem == nil, "\(what), value \(value): \(problem ?? "")")
      }
    }
  }

  /// Large weights that are used once are packed by parts, for all tiles; used again, they are packed before. The bits are the same.
  @Test(arguments: supportedSets, [9, 17, 33, 70]) func largeWeightsUsedOnce(set: CPU.InstructionSet, batch: Int)
    throws
  {
    // Weights as they lie that fill the packed part several times, and a rest of rows.
    var layers = Layers(batch: batch, width: 371, values: 5, seed: UInt64(batch))
    let bias = View(buffer: layers.values.count, strides: [1])
    layers.multiply(0, into: 1)
    layers.apply(.add, [layers.view(1), bias], into: 1)
    layers.apply(.tanh, [layers.view(1)], into: 2)
    layers.multiply(2, into: 3, transposed: true)
    layers.apply(.multiply, [layers.view(3), layers.view(0)], into: 4)
    let once = layers.experiment
    var twice = once
    twice.script = [Passage(section: 0, count: 2)]
    let slots = [0.3, 0.6]
    let observed = try once.run(on: CPU(threads: 2, instructionSet: set), slots: slots)
    for threads in [1, 3] {
      let other = try once.run(on: CPU(threads: threads, instructionSet: set), slots: slots)
      #expect(other == observed, "batch \(batch), \(threads) threads")
    }
    #expect(try twice.run(on: CPU(threads: 2, instructionSet: set), slots: slots) == observed, "batch \(batch)")
    let expected = try once.run(on: Reference(), slots: slots)
    for value in layers.values {
      let largest = expected[value].reduce(1) { max($0, abs($1)) }
      let problem = discrepancy(observed[value], expected[value]) { _ in 1e-5 * largest }
      #expect(problem == nil, "batch \(batch), value \(value): \(problem ?? "")")
    }
    for (experiment, packs) in [(once, 0), (twice, 2)] {
      let executable = try CPU(threads: 2, instructionSet: set).compile(
        experiment.program, batchSize: batch, bindings: [:])
      let profile = try #require(executable.profile(experiment.script))
      #expect(profile.calls.filter { $0.operation.hasSuffix("pack") }.count == packs, "batch \(batch)")
    }
  }

  /// A layer of standard predictive coding: bias, activation, error and slope in the product's visit.
  @Test func aLayerIsOneCall() throws {
    var layers = Layers(batch: 64, width: 40, values: 5, seed: 1)
    let bias = View(buffer: layers.values.count, strides: [1])
    layers.multiply(0, into: 1)
    layers.apply(.add, [layers.view(1), bias], into: 1)
    layers.apply(.tanh, [layers.view(1)], into: 2)
    layers.apply(.subtract, [layers.view(4), layers.view(2)], into: 3)
    layers.apply(.timesOneMinusSquare, [layers.view(2), layers.view(3)], into: 3)
    #expect(try layers.operations() == ["contract + add + tanh + subtract + timesOneMinusSquare"])
  }

  @Test func whatMustWaitDoes() throws {
    func operations(_ build: (inout Layers) -> Void) throws -> [String] {
      var layers = Layers(batch: 64, width: 40, values: 5, seed: 1)
      build(&layers)
      return try layers.operations()
    }
    // The product reads what the function overwrites: other rows still need it.
    #expect(
      try operations {
        $0.multiply(0, into: 1)
        $0.apply(.add, [$0.view(1), $0.view(0)], into: 0)
      } == ["contract", "add"])
    // Between the two, another product makes what the function reads: it follows that one.
    #expect(
      try operations {
        $0.multiply(0, into: 1)
        $0.multiply(0, into: 2)
        $0.apply(.add, [$0.view(1), $0.view(2)], into: 3)
      } == ["contract", "contract + add"])
    // Between the two, another product reads what the function overwrites.
    #expect(
      try operations {
        $0.multiply(0, into: 1)
        $0.multiply(1, into: 2)
        $0.apply(.tanh, [$0.view(1)], into: 1)
      } == ["contract", "contract", "tanh"])
    // Elements of one row depend on another row's.
    #expect(
      try operations {
        $0.multiply(0, into: 1)
        $0.shift(1, into: 2)
        $0.apply(.tanh, [$0.view(1)], into: 3)
      } == ["contract + tanh", "tanh"])
    // Nothing of it is the product's.
    #expect(
      try operations {
        $0.multiply(0, into: 1)
        $0.apply(.tanh, [$0.view(2)], into: 3)
      } == ["contract", "tanh"])
  }
}
