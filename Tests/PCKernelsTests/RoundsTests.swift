import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Repeated sections of small batches, whose rounds the CPU backend runs beside one another where states hear of one another
/// in one direction only. The oracle is the reference backend, which knows nothing but one round after the other.
@Suite struct RoundsTests {
  /// A section that moves `states` states: each hears of the next through a mask and weights, and perhaps of the one after that.
  ///
  /// - Parameter takesTurns: whether what the masks leave takes turns in one buffer.
  private func chain(
    states: Int, batch: Int, rounds: Int, order: [Int], closes: Bool = false, takesTurns: Bool = false,
    dice: inout Dice
  ) -> Experiment {
    var experiment = Experiment(batch: batch)
    experiment.program.slots = ["rate", "rest"]
    var widths = (0..<states).map { _ in Int.random(in: 1...40, using: &dice) }
    if takesTurns { widths = widths.map { _ in widths[0] } }
    let turns = experiment.buffer(
      "turns", count: widths[0], batched: true, contents: dice.reals(widths[0] * batch))
    let state = widths.enumerated().map { index, width in
      experiment.buffer("state \(index)", count: width, batched: true, contents: dice.reals(width * batch))
    }
    func all(_ buffer: Int) -> View { View(buffer: buffer, strides: [1]) }
    /// `state[target] ← rate · W (mask ⊙ state[source]) + beta · state[target]`.
    func hear(_ target: Int, _ source: Int, beta: Scalar) {
      let (m, k) = (widths[target], widths[source])
      let mask = experiment.buffer("mask", count: k, batched: true, contents: dice.reals(k * batch))
      let masked =
        takesTurns ? turns : experiment.buffer("masked", count: k, batched: true, contents: dice.reals(k * batch))
      let bound = 1 / Float(k)
      let weights = experiment.buffer(
        "weights", count: m * k, batched: false, contents: dice.reals(m * k, in: -bound...bound))
      experiment.append(
        Instruction(
          .elementwise(.multiply, extents: [k]), operands: [all(mask), all(state[source])], results: [all(masked)]))
      experiment.append(
        Instruction(
          .contract(extents: [m, 1, k]),
          operands: [View(buffer: weights, strides: [1, 0, m]), View(buffer: masked, strides: [0, 0, 1])],
          results: [View(buffer: state[target], strides: [1, 0, 0])], alpha: .slot(0), beta: beta))
    }
    for target in order {
      if target + 1 < states {
        hear(target, target + 1, beta: .slot(1))
      } else {
        let drive = experiment.buffer(
          "drive", count: widths[target], batched: true, contents: dice.reals(widths[target] * batch))
        experiment.append(
          Instruction(
            .elementwise(.identity, extents: [widths[target]]), operands: [all(drive)], results: [all(state[target])],
            alpha: .slot(0), beta: .slot(1)))
        if closes { hear(target, 0, beta: .one) }
      }
      if target + 2 < states, Bool.random(using: &dice) { hear(target, target + 2, beta: .one) }
    }
    experiment.script = [Passage(section: 0, count: rounds)]
    return experiment
  }

  private func difference(_ experiment: Experiment, on cpu: CPU) throws -> String? {
    let slots = [0.2, 0.8]
    let observed = try experiment.run(on: cpu, slots: slots)
    let expected = try experiment.run(on: Reference(), slots: slots)
    let scale = 1 + (expected.joined().map(abs).max() ?? 0)
    for buffer in observed.indices {
      if let found = discrepancy(observed[buffer], expected[buffer], tolerance: { _ in 1e-5 * scale }) {
        return "\(experiment.program.buffers[buffer].name): \(found)"
      }
    }
    return nil
  }

  /// Every state read before its update (as rules write it), after it, and both; rounds that fill the lanes and that don't.
  @Test(arguments: supportedSets, 1...9) func randomChains(set: CPU.InstructionSet, batch: Int) throws {
    for seed in 0..<20 {
      var dice = Dice(seed: UInt64(1000 * batch + seed))
      let states = Int.random(in: 1...4, using: &dice)
      let forward = Array(0..<states)
      let order = [forward, forward.reversed(), forward.shuffled(using: &dice)][seed % 3]
      let rounds = [2, 3, 4, 5, 15, 16, 17, 33, 100].randomElement(using: &dice) ?? 1
      let experiment = chain(
        states: states, batch: batch, rounds: rounds, order: order, closes: seed % 5 == 4 && states > 1,
        takesTurns: seed % 4 == 3, dice: &dice)
      let problem = try difference(experiment, on: CPU(threads: 2, instructionSet: set, leastShared: 0))
      #expect(problem == nil, "seed \(seed), \(rounds) rounds, \(states) states, order \(order): \(problem ?? "")")
    }
  }

  /// Which sections qualify shows in the calls.
  @Test(arguments: [1, 2, 8]) func oneWayOnly(batch: Int) throws {
    var dice = Dice(seed: 5)
    for (order, closes, takesTurns, isExpected) in [
      ([0, 1, 2], false, false, true), ([2, 1, 0], false, false, true), ([0, 1, 2], true, false, false),
      ([0, 1, 2], false, true, true), ([2, 1, 0], false, true, true), ([0, 1, 2], true, true, false),
    ] {
      let experiment = chain(
        states: 3, batch: batch, rounds: 50, order: order, closes: closes, takesTurns: takesTurns, dice: &dice)
      let executable = try CPU(threads: 1).compile(experiment.program, batchSize: batch, bindings: [:])
      let profile = try #require(executable.profile(experiment.script))
      let courses = profile.calls.filter { $0.operation == "course" }
      #expect(courses.isEmpty != isExpected, "order \(order), closes: \(closes), takes turns: \(takesTurns)")
    }
  }

  /// Rounds in several passages, single ones between them: states go on where they were, to the last bit.
  @Test func passagesFollowOneAnother() throws {
    for batch in [1, 3, 8] {
      var dice = Dice(seed: UInt64(batch))
      var experiment = chain(states: 3, batch: batch, rounds: 94, order: [0, 1, 2], dice: &dice)
      let atOnce = try experiment.run(on: CPU(threads: 2), slots: [0.2, 0.8])
      experiment.script = [37, 1, 20, 1, 35].map { Passage(section: 0, count: $0) }
      #expect(try experiment.run(on: CPU(threads: 2), slots: [0.2, 0.8]) == atOnce, "batch \(batch)")
      let problem = try difference(experiment, on: CPU(threads: 2))
      #expect(problem == nil, "batch \(batch): \(problem ?? "")")
    }
  }

  /// One bit pattern for all numbers of threads.
  @Test(arguments: [1, 4, 7]) func threadsDoNotMatter(batch: Int) throws {
    var dice = Dice(seed: UInt64(batch))
    let experiment = chain(states: 4, batch: batch, rounds: 45, order: [0, 1, 2, 3], dice: &dice)
    let one = try experiment.run(on: CPU(threads: 1), slots: [0.2, 0.8])
    for threads in 2...3 {
      let several = try experiment.run(on: CPU(threads: threads, leastShared: 0), slots: [0.2, 0.8])
      #expect(several == one, "\(threads) threads")
    }
  }
}
