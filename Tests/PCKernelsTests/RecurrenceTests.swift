import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Updates of states by one another and by constants, made in one repeated section.
extension Values {
  fileprivate static func states(batch: Int, width: Int, count: Int, seed: UInt64) -> Values {
    // For each element, for each element of all examples alike, for all.
    Values(
      batch: batch, width: width, count: count,
      constants: [(width, true), (width, false), (1, false), (width, true)], seed: seed)
  }

  /// Adds an update of a state by a multiple of a constant, or of another state, or of their product.
  fileprivate mutating func add(_ state: Int, from source: Int?, beta: Scalar) {
    let constant = pick(constants)
    var operands = [constant]
    if let source { operands = pick([[view(source)], [view(source), constant], [constant, view(source)]]) }
    experiment.append(
      Instruction(
        .elementwise(operands.count == 1 ? .identity : .multiply, extents: [width]), operands: operands,
        results: [view(state)], alpha: pick([.slot(0), .constant(-0.3), .one]), beta: beta))
  }

  /// Each state is updated once or twice, in any order, by constants and those of a lower number.
  fileprivate mutating func addAll() {
    for state in buffers.indices.shuffled(using: &dice) {
      let sources = [nil] + (0..<state).map(Optional.some)
      add(state, from: pick(sources), beta: pick([.slot(1), .zero, .slot(1)]))
      if pick([true, false]) { add(state, from: pick(sources), beta: pick([.one, .one, .zero])) }
    }
  }

  fileprivate static let slots = [0.1, 0.9]

  /// That so many steps in one go leave the bits of steps one by one, and the reference's numbers.
  fileprivate func check(steps: Int, on set: CPU.InstructionSet, isRecurrence: Bool, _ what: String) throws {
    var together = experiment
    together.script = [Passage(section: 0, count: steps)]
    var apart = experiment
    apart.script = Array(repeating: Passage(section: 0), count: steps)
    let cpu = try CPU(threads: 2, instructionSet: set, leastShared: 0)
    let observed = try together.run(on: cpu, slots: Self.slots)
    #expect(try observed == apart.run(on: cpu, slots: Self.slots), "\(what)")
    // Two threads would share a single tile, call by call.
    let alone = try CPU(threads: 1, instructionSet: set)
    #expect(try observed == together.run(on: alone, slots: Self.slots), "\(what)")
    let expected = try together.run(on: Reference(), slots: Self.slots)
    for state in buffers {
      let largest = expected[state].reduce(0) { max($0, abs($1)) }
      let problem = discrepancy(observed[state], expected[state]) { _ in 1e-5 * largest }
      #expect(problem == nil, "\(what), state \(state): \(problem ?? "")")
    }
    let executable = try alone.compile(together.program, batchSize: together.batch, bindings: [:])
    let profile = try #require(executable.profile(together.script))
    #expect(profile.calls.contains { $0.operation == "recurrence" } == isRecurrence, "\(what)")
  }
}

/// Repeated elementwise updates against the same ones step by step.
@Suite struct RecurrenceTests {
  @Test(arguments: supportedSets)
  func stepsInRegistersLeaveTheSameBits(set: CPU.InstructionSet) throws {
    for seed in 0..<24 {
      let batch = [1, 5, 33, 64][seed % 4]
      // Elements that fill whole strips, and some that leave a rest of vectors.
      let width = [16, 49, 83, 272][seed / 4 % 4]
      var updates = Values.states(batch: batch, width: width, count: 1 + seed % 7, seed: UInt64(seed))
      updates.addAll()
      let steps = [2, 15, 16, 17, 40][seed % 5]
      // A single example's numbers count as shared by all, whose updates threads meet after.
      try updates.check(
        steps: steps, on: set, isRecurrence: batch > 1, "seed \(seed), batch \(batch), width \(width), \(steps) steps"
      )
    }
  }

  @Test(arguments: supportedSets)
  func whatIsNoRecurrenceGoesStepByStep(set: CPU.InstructionSet) throws {
    let cases: [(name: String, updates: [(state: Int, source: Int?)])] = [
      ("two that read each other", [(0, 1), (1, 0)]),
      ("one that reads itself", [(0, 0)]),
      ("three updates", [(0, nil), (0, nil), (0, nil)]),
      ("one that reads between two updates", [(0, nil), (1, 0), (0, nil)]),
    ]
    for (name, list) in cases {
      var updates = Values.states(batch: 33, width: 48, count: 2, seed: 7)
      for (state, source) in list { updates.add(state, from: source, beta: .slot(1)) }
      try updates.check(steps: 20, on: set, isRecurrence: false, name)
    }
  }

  /// A step of the whole rate keeps nothing of the messages: not even what is no number.
  @Test(arguments: supportedSets)
  func whatIsNotKeptIsNotRead(set: CPU.InstructionSet) throws {
    var updates = Values.states(batch: 32, width: 16, count: 2, seed: 9)
    updates.add(1, from: 0, beta: .slot(1))
    updates.add(1, from: nil, beta: .one)
    updates.add(0, from: nil, beta: .slot(1))
    for state in updates.buffers { updates.experiment.contents[state] = Array(repeating: .nan, count: 16 * 32) }
    updates.experiment.script = [Passage(section: 0, count: 3)]
    let observed = try updates.experiment.run(on: CPU(instructionSet: set), slots: [1, 0])
    for state in updates.buffers {
      let isFinite = observed[state].allSatisfy { $0.isFinite }
      #expect(isFinite, "state \(state)")
    }
  }
}
