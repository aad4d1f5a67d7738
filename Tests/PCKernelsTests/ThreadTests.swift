import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// A small network with everything that a training step has: convolution, pooling, dense layers, a loop of inference
/// steps, gradients summed over the examples and an update of shared weights that later passages read again.
private func trainingStep(batch: Int, dice: inout Dice) -> Experiment {
  var experiment = Experiment(batch: batch)
  let geometry = Convolution(inputChannels: 2, outputChannels: 7, input: Extent(8, 8), kernel: Extent(3, 3))
  let pooling = Pooling(channels: 7, input: Extent(6, 6), window: Extent(2, 2), stride: Extent(2, 2))
  // Small weights keep the network well conditioned, so that rounding errors stay rounding errors.
  func add(_ name: String, _ count: Int, batched: Bool = true) -> Int {
    experiment.buffer(
      name, count: count, batched: batched,
      contents: dice.reals(count * (batched ? batch : 1), in: batched ? -1...1 : -0.1...0.1))
  }
  let image = add("image", 128)
  let convolved = add("convolved", 252)
  let pooled = add("pooled", 63)
  let winners = add("winners", 63)
  let hidden = add("hidden", 19)
  let pooledMessage = add("pooled message", 63)
  let hiddenMessage = add("hidden message", 19)
  let convolvedMessage = add("convolved message", 252)
  let filter = add("filter", 126, batched: false)
  let weights = add("weights", 19 * 63, batched: false)
  let bias = add("bias", 19, batched: false)
  let filterGradient = add("filter gradient", 126, batched: false)

  func dense(_ buffer: Int, _ extents: [Int]) -> View {
    var strides: [Int] = []
    var step = extents.reduce(1, *)
    for extent in extents {
      step /= extent
      strides.append(step)
    }
    return View(buffer: buffer, strides: strides)
  }
  func elements(_ buffer: Int) -> View { View(buffer: buffer, strides: [1]) }

  experiment.program.slots = ["step", "rest"]
  experiment.program.sections = ["forward", "inference", "learning"].map { Section(name: $0) }
  let forward = View(buffer: weights, strides: [63, 0, 1])
  let backward = View(buffer: weights, strides: [1, 0, 63])
  experiment.append(
    Instruction(
      .convolve(geometry), operands: [dense(image, geometry.imageExtents), dense(filter, geometry.filterExtents)],
      results: [dense(convolved, geometry.messageExtents)]), section: 0)
  experiment.append(
    Instruction(
      .maxPool(pooling), operands: [dense(convolved, pooling.imageExtents)],
      results: [dense(pooled, pooling.messageExtents), dense(winners, pooling.messageExtents)]), section: 0)
  experiment.append(
    Instruction(
      .contract(extents: [19, 1, 63]), operands: [forward, View(buffer: pooled, strides: [0, 0, 1])],
      results: [View(buffer: hidden, strides: [1, 0, 0])]), section: 0)
  experiment.append(
    Instruction(
      .elementwise(.add, extents: [19]), operands: [elements(hidden), elements(bias)], results: [elements(hidden)]),
    section: 0)
  experiment.append(
    Instruction(.elementwise(.tanh, extents: [19]), operands: [elements(hidden)], results: [elements(hiddenMessage)]),
    section: 0)

  experiment.append(
    Instruction(
      .maxPoolGradient(pooling),
      operands: [dense(pooledMessage, pooling.messageExtents), dense(winners, pooling.messageExtents)],
      results: [dense(convolvedMessage, pooling.imageExtents)], alpha: .slot(0), beta: .slot(1)), section: 1)
  experiment.append(
    Instruction(
      .contract(extents: [63, 1, 19]), operands: [backward, View(buffer: hiddenMessage, strides: [0, 0, 1])],
      results: [View(buffer: pooledMessage, strides: [1, 0, 0])], alpha: .slot(0), beta: .slot(1)), section: 1)

  experiment.append(
    Instruction(
      .convolveFilterGradient(geometry),
      operands: [dense(image, geometry.imageExtents), dense(convolvedMessage, geometry.messageExtents)],
      results: [dense(filterGradient, geometry.filterExtents)]), section: 2)
  experiment.append(
    Instruction(
      .contract(extents: [19, 63, 1]),
      operands: [View(buffer: hiddenMessage, strides: [1, 0, 0]), View(buffer: pooled, strides: [0, 1, 0])],
      results: [View(buffer: weights, strides: [63, 1, 0])], alpha: .constant(0.01), beta: .one), section: 2)
  experiment.append(
    Instruction(
      .reduce(.sum, extents: [19], reduced: [false]), operands: [elements(hiddenMessage)],
      results: [elements(bias)], alpha: .constant(0.01), beta: .one), section: 2)
  experiment.append(
    Instruction(
      .elementwise(.identity, extents: [126]), operands: [elements(filterGradient)], results: [elements(filter)],
      alpha: .constant(0.001), beta: .one), section: 2)
  // Learning is repeated on its own and the forward pass must see its weights.
  experiment.script = [
    Passage(section: 0), Passage(section: 1, count: 5), Passage(section: 2, count: 3), Passage(section: 0),
    Passage(section: 1), Passage(section: 2),
  ]
  return experiment
}

/// What an unrolled sequence has: steps of elementwise updates of several widths beside a matrix product, whole and in parts
/// of a buffer; and gradients of one weight from many steps, with an operand that changes among them.
private func sequence(batch: Int, length: Int, dice: inout Dice) -> Experiment {
  var experiment = Experiment(batch: batch)
  let (width, inner) = (37, 300)
  func add(_ name: String, _ count: Int, batched: Bool = true) -> Int {
    experiment.buffer(
      name, count: count, batched: batched,
      contents: dice.reals(count * (batched ? batch : 1), in: batched ? -1...1 : -0.1...0.1))
  }
  func run(_ buffer: Int, _ count: Int, from offset: Int = 0, stride: Int = 1) -> View {
    View(buffer: buffer, offset: offset, strides: [stride])
  }
  experiment.program.slots = ["step", "rest"]
  experiment.program.sections = ["steps", "learning"].map { Section(name: $0) }
  let scale = add("scale", 1, batched: false)
  let joined = add("joined", 2 * inner)
  let (a, b, slope) = (add("a", inner), add("b", inner), add("slope", inner))
  let (x, y, weights) = (add("x", width), add("y", width), add("weights", width * width, batched: false))
  // One chain of updates, each reading the one before.
  let inChain: [(Elementwise, [View], View)] = [
    (.multiply, [run(a, inner), run(slope, inner)], run(b, inner)),
    (.tanh, [run(b, inner)], run(joined, inner)),
    (.subtract, [run(b, inner), run(slope, inner)], run(joined, inner, from: inner)),
    (.multiply, [run(joined, inner, from: inner), run(scale, inner, stride: 0)], run(a, inner)),
  ]
  for (function, operands, result) in inChain {
    experiment.append(
      Instruction(
        .elementwise(function, extents: [inner]), operands: operands, results: [result], alpha: .slot(0),
        beta: .slot(1)), section: 0)
  }
  // Another that holds a product, and one of another width on the same numbers as it.
  experiment.append(
    Instruction(
      .contract(extents: [width, 1, width]),
      operands: [View(buffer: weights, strides: [width, 0, 1]), View(buffer: x, strides: [0, 0, 1])],
      results: [View(buffer: y, strides: [1, 0, 0])], alpha: .slot(0), beta: .slot(1)), section: 0)
  experiment.append(
    Instruction(
      .elementwise(.tanh, extents: [width]), operands: [run(y, width)], results: [run(x, width)], alpha: .slot(0),
      beta: .slot(1)), section: 0)

  let gradient = add("gradient", width * inner, batched: false)
  let states = (0..<length).map { add("state \($0)", width) }
  for step in 0..<length {
    // Every seventh state changes after it was read.
    experiment.append(
      Instruction(
        .contract(extents: [width, inner, 1]),
        operands: [View(buffer: states[step], strides: [1, 0, 0]), View(buffer: joined, strides: [0, 1, 0])],
        results: [View(buffer: gradient, strides: [inner, 1, 0])], alpha: .constant(0.5),
        beta: step == 0 ? .zero : .one), section: 1)
    guard step % 7 == 3 else { continue }
    experiment.append(
      Instruction(
        .elementwise(.tanh, extents: [width]), operands: [run(x, width)], results: [run(states[step], width)]),
      section: 1)
  }
  experiment.script = [Passage(section: 0, count: 6), Passage(section: 1), Passage(section: 0), Passage(section: 1)]
  return experiment
}

/// Updates of large and small parameters by running means of a gradient and its square, as several optimizers have them. The gradient
/// of the large ones is long enough for threads to help one another.
private func updates(batch: Int, dice: inout Dice) -> Experiment {
  var experiment = Experiment(batch: batch)
  experiment.program.slots = ["kept", "new"]
  experiment.program.sections = [Section(name: "learning")]
  let (rows, columns) = (301, 307)
  func add(_ name: String, _ count: Int, batched: Bool = false, in range: ClosedRange<Float> = -1...1) -> Int {
    experiment.buffer(
      name, count: count, batched: batched, contents: dice.reals(count * (batched ? batch : 1), in: range))
  }
  let (x, y) = (add("x", columns, batched: true), add("y", rows, batched: true))
  for (name, count) in [("weights", rows * columns), ("bias", rows), ("other", 20_011), ("gain", 3)] {
    let parameter = add(name, count)
    let gradient = add("\(name) gradient", count)
    let mean = add("\(name) mean", count)
    let square = add("\(name) square", count, in: 1...2)
    let scale = add("\(name) scale", count)
    func all(_ buffer: Int) -> View { View(buffer: buffer, strides: [1]) }
    if name == "weights" {
      experiment.append(
        Instruction(
          .contract(extents: [rows, columns, 1]),
          operands: [View(buffer: y, strides: [1, 0, 0]), View(buffer: x, strides: [0, 1, 0])],
          results: [View(buffer: gradient, strides: [columns, 1, 0])]), section: 0)
    }
    let steps: [(Elementwise, [View], Int, Scalar, Scalar)] = [
      (.identity, [all(gradient)], mean, .slot(1), .slot(0)),
      (.multiply, [all(gradient), all(gradient)], square, .slot(1), .slot(0)),
      (.sqrt, [all(square)], scale, .one, .zero),
      (.one, [], scale, .constant(0.01), .one),
      (.divide, [all(mean), all(scale)], parameter, .constant(-0.1), .one),
    ]
    for (function, operands, result, alpha, beta) in steps {
      experiment.append(
        Instruction(
          .elementwise(function, extents: [count]), operands: operands, results: [all(result)], alpha: alpha,
          beta: beta),
        section: 0)
    }
  }
  experiment.script = Array(repeating: Passage(section: 0), count: 5)
  return experiment
}

extension Experiment {
  /// What all buffers hold, up to the rounding of Float beside the largest number of each.
  fileprivate func expectAgreement(_ observed: [[Double]], _ expected: [[Double]]) {
    for (index, buffer) in program.buffers.enumerated() {
      let largest = expected[index].reduce(0) { max($0, abs($1)) }
      let problem = discrepancy(observed[index], expected[index]) { _ in 5e-6 * largest }
      #expect(problem == nil, "\(buffer.name), batch \(batch): \(problem ?? "")")
    }
  }
}

@Suite struct ThreadTests {
  /// However many phases without shares to take have gone by, the next share counts as new: what it says has few bits.
  @Test func sharesOutliveOtherPhases() throws {
    var dice = Dice(seed: 3)
    let experiment = trainingStep(batch: 64, dice: &dice)
    var others = Experiment(batch: 1)
    let numbers = others.buffer("numbers", count: 300, batched: false, contents: dice.reals(300, in: -1...1))
    let all = View(buffer: numbers, strides: [1])
    others.program.sections = [Section(name: "others")]
    others.append(Instruction(.elementwise(.tanh, extents: [300]), operands: [all], results: [all]), section: 0)
    let cpu = try CPU(threads: 2, leastShared: 0)
    let expected = try experiment.run(on: CPU(threads: 1), slots: [0.2, 0.8])
    for count in 0...256 {
      others.script = [Passage(section: 0, count: count)]
      _ = try others.run(on: cpu, slots: [])
      #expect(try experiment.run(on: cpu, slots: [0.2, 0.8]) == expected, "after \(count) other phases")
    }
  }

  /// Updates go part by part of the elements, whoever comes first; small ones stay in order.
  @Test(arguments: supportedSets)
  func updatesAgree(set: CPU.InstructionSet) throws {
    var dice = Dice(seed: 64)
    let experiment = updates(batch: 64, dice: &dice)
    let expected = try experiment.run(on: Reference(), slots: [0.9, 0.1])
    let one = try experiment.run(on: CPU(threads: 1, instructionSet: set), slots: [0.9, 0.1])
    experiment.expectAgreement(one, expected)
    for threads in [2, 3, 5] {
      let cpu = try CPU(threads: threads, instructionSet: set)
      for turn in 0..<20 {
        let several = try experiment.run(on: cpu, slots: [0.9, 0.1])
        let different = experiment.program.buffers.indices.filter { several[$0] != one[$0] }
        #expect(
          different.isEmpty,
          "\(threads) threads, turn \(turn): \(different.map { experiment.program.buffers[$0].name })")
      }
    }
  }

  @Test(arguments: supportedSets)
  func sequencesAgree(set: CPU.InstructionSet) throws {
    for (batch, length) in [(1, 3), (8, 20), (33, 40), (64, 20)] {
      var dice = Dice(seed: UInt64(batch))
      let experiment = sequence(batch: batch, length: length, dice: &dice)
      let expected = try experiment.run(on: Reference(), slots: [0.2, 0.8])
      let one = try experiment.run(on: CPU(threads: 1, instructionSet: set), slots: [0.2, 0.8])
      experiment.expectAgreement(one, expected)
      for threads in [2, 3] {
        let several = try experiment.run(
          on: CPU(threads: threads, instructionSet: set, leastShared: 0), slots: [0.2, 0.8])
        #expect(several == one, "\(threads) threads, batch \(batch)")
      }
    }
  }

  @Test(arguments: supportedSets)
  func bitsDoNotDependOnThreads(set: CPU.InstructionSet) throws {
    for batch in [1, 8, 17, 33, 64, 100] {
      var dice = Dice(seed: UInt64(batch))
      let experiment = trainingStep(batch: batch, dice: &dice)
      let one = try experiment.run(on: CPU(threads: 1, instructionSet: set), slots: [0.2, 0.8])
      for threads in [2, 3, 5] {
        let several = try experiment.run(
          on: CPU(threads: threads, instructionSet: set, leastShared: 0), slots: [0.2, 0.8])
        #expect(several == one, "\(threads) threads, batch \(batch)")
      }
    }
  }

  /// The script as a whole: phases, repetitions, weights packed anew after each update.
  @Test(arguments: supportedSets)
  func scriptsAgreeWithReference(set: CPU.InstructionSet) throws {
    for batch in [1, 17, 64] {
      var dice = Dice(seed: UInt64(batch))
      let experiment = trainingStep(batch: batch, dice: &dice)
      let expected = try experiment.run(on: Reference(), slots: [0.2, 0.8])
      let observed = try experiment.run(on: CPU(threads: 2, instructionSet: set, leastShared: 0), slots: [0.2, 0.8])
      experiment.expectAgreement(observed, expected)
    }
  }

  /// A run leaves nothing behind that changes the next.
  @Test func runsRepeat() throws {
    var dice = Dice(seed: 1)
    let experiment = trainingStep(batch: 33, dice: &dice)
    let cpu = try CPU(threads: 2, leastShared: 0)
    let first = try experiment.run(on: cpu, slots: [0.2, 0.8])
    for _ in 0..<20 { #expect(try experiment.run(on: cpu, slots: [0.2, 0.8]) == first) }
  }

  /// Two executables of one backend, from two threads at once.
  @Test func executablesTakeTurns() async throws {
    var dice = Dice(seed: 2)
    let experiment = trainingStep(batch: 40, dice: &dice)
    let cpu = try CPU(threads: 2, leastShared: 0)
    let expected = try experiment.run(on: cpu, slots: [0.2, 0.8])
    let work = experiment
    let results = try await withThrowingTaskGroup(of: [[Double]].self) { group in
      for _ in 0..<6 { group.addTask { try work.run(on: cpu, slots: [0.2, 0.8]) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    for result in results { #expect(result == expected) }
  }
}
