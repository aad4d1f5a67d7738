import PredictiveCoding
import Testing

/// Passes keep what a program computes: on random straight-line programs, run twice over, before and after.
@Suite struct PassTests {
  private static let extents = [2, 3]

  /// Blends, slopes, products, and sums over the examples, through whole, transposed, broadcast and partial views of a few buffers, the
  /// last four of which only one section touches.
  private static func program(_ random: inout RandomStream) -> Program {
    var program = Program(sections: [Section(name: "a"), Section(name: "b")])
    for index in 0..<11 {
      program.buffers.append(Buffer(name: "\(index)", count: 6, isBatched: index < 5 || index >= 7))
    }
    func view(_ buffer: Int) -> View {
      let strides = [[3, 1], [3, 1], [3, 1], [1, 2], [0, 1]][random.integer(below: 5)]
      return View(buffer: buffer, strides: strides)
    }
    for section in 0...1 {
      let reached = section == 0 ? 7 : 11
      for _ in 0..<(section == 0 ? 6 : 10) {
        let target = random.integer(below: reached)
        let others = (0..<reached).filter { $0 != target }
        let alpha = Scalar.constant([1, 1, 0.5][random.integer(below: 3)])
        let beta = Scalar.constant([0, 0, 1, 0.5][random.integer(below: 4)])
        // Now and then only one of the two rows.
        let extents = random.integer(below: 4) == 0 ? [1, 3] : Self.extents
        let whole = View(buffer: target, strides: random.integer(below: 4) == 0 ? [1, 2] : [3, 1])
        func operand() -> View { view(others[random.integer(below: others.count)]) }
        let instruction: Instruction
        if target == 5 || target == 6 {
          // Not batched: a sum over the examples.
          instruction = Instruction(
            .reduce(.sum, extents: extents, reduced: [false, false]), operands: [operand()], results: [whole],
            alpha: alpha,
            beta: beta)
        } else if random.integer(below: 2) == 0 {
          let function = [Elementwise.identity, .oneMinusSquare, .logisticSlope, .step][random.integer(below: 4)]
          instruction = Instruction(
            .elementwise(function, extents: extents), operands: [operand()], results: [whole], alpha: alpha,
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

  private static let script = [Passage(section: 0), Passage(section: 1, count: 2), Passage(section: 0)]

  private static func contents(_ program: Program, seed: Int, kept: Set<Int>) throws -> [[Double]] {
    let executable = try Reference().compile(program, batchSize: 2, bindings: [:])
    for (index, buffer) in program.buffers.enumerated() where buffer.count > 0 {
      var random = RandomStream(seed: UInt64(seed), "contents", index)
      let numbers = (0..<(buffer.isBatched ? 12 : 6)).map { _ in 2 * random.uniform() - 1 }
      numbers.withUnsafeBufferPointer { executable.upload($0, to: index) }
    }
    executable.run(script)
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
      var sloped = program
      sloped.fuseSlopes(keeping: kept)
      var gathered = program
      gathered.gatherSumsOverExamples()
      var brought = program
      brought.bringProductsToReaders(in: Self.script, keeping: kept)
      var both = sloped
      both.fuseBlends(keeping: kept)
      both.gatherSumsOverExamples()
      var dropped = program
      dropped.dropUnread(keeping: kept)
      var shared = program
      shared.shareMemory(in: Self.script, keeping: kept)
      both.shareMemory(in: Self.script, keeping: kept)
      for (name, changed) in [
        ("fuseBlends", fused), ("fuseSlopes", sloped), ("gatherSumsOverExamples", gathered), ("dropUnread", dropped),
        ("shareMemory", shared), ("bringProductsToReaders", brought),
        ("all", both),
      ] {
        let observed = try Self.contents(changed, seed: seed, kept: kept)
        for (index, pair) in zip(observed, expected).enumerated() {
          expectClose(pair.0, pair.1, "seed \(seed), \(name), buffer \(kept.sorted()[index])")
        }
      }
    }
  }

  /// What every round makes anew shares memory; what a round finds as the one before left it does not.
  @Test func roundsShareMemory() {
    func shared(rereads: Bool) -> Int {
      var program = Program(
        buffers: (0..<4).map { Buffer(name: "\($0)", count: 6, isBatched: true) }, sections: [Section(name: "round")])
      let views = (0..<4).map { View(buffer: $0, strides: [3, 1]) }
      func apply(_ function: Elementwise, _ operands: [Int], into result: Int, beta: Scalar = .zero) {
        program.sections[0].instructions.append(
          Instruction(
            .elementwise(function, extents: Self.extents), operands: operands.map { views[$0] },
            results: [views[result]], beta: beta))
      }
      if rereads { apply(.identity, [2], into: 3, beta: .one) }
      apply(.tanh, [0], into: 1)
      apply(.multiply, [0, 1], into: 2)
      apply(.identity, [2], into: 3, beta: .constant(0.5))
      program.shareMemory(in: [Passage(section: 0, count: 3)], keeping: [0, 3])
      return program.buffers.filter { $0.count == 0 }.count
    }
    #expect(shared(rereads: false) == 1)
    #expect(shared(rereads: true) == 0)
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

  /// Where somebody still wants what the blend changes, the blend waits, and what is blended is made then.
  @Test func blendsWaitForReaders() {
    var program = Program(
      buffers: ["x", "y", "z", "old z"].map { Buffer(name: $0, count: 6, isBatched: true) },
      sections: [Section(name: "only")])
    let views = (0..<4).map { View(buffer: $0, strides: [3, 1]) }
    func apply(_ function: Elementwise, _ source: Int, _ target: Int, beta: Scalar = .zero) -> Instruction {
      Instruction(
        .elementwise(function, extents: Self.extents), operands: [views[source]], results: [views[target]], beta: beta
      )
    }
    program.sections[0].instructions = [
      apply(.tanh, 0, 1), apply(.identity, 2, 3), apply(.identity, 1, 2, beta: .constant(0.8)),
    ]
    var changed = program
    // What is made of x must be made before x changes.
    changed.sections[0].instructions.insert(apply(.sin, 3, 0), at: 2)
    changed.fuseBlends(keeping: [0, 2, 3])
    #expect(changed.sections[0].instructions.count == 4)
    program.fuseBlends(keeping: [0, 2, 3])
    let instructions = program.sections[0].instructions
    #expect(instructions.map { $0.results[0] } == [views[3], views[2]])
    #expect(instructions.last?.primitive == .elementwise(.tanh, extents: Self.extents))
    #expect(instructions.last?.beta == .constant(0.8))
  }

  @Test(arguments: [
    (Elementwise.oneMinusSquare, Elementwise.timesOneMinusSquare), (.logisticSlope, .timesLogisticSlope),
    (.step, .timesStep),
  ]) func slopesAreFused(slope: Elementwise, fused: Elementwise) {
    var program = Program(
      buffers: ["value", "slope", "message", "result"].map { Buffer(name: $0, count: 6, isBatched: true) },
      sections: [Section(name: "only")])
    let views = (0..<4).map { View(buffer: $0, strides: [3, 1]) }
    program.sections[0].instructions = [
      Instruction(.elementwise(slope, extents: Self.extents), operands: [views[0]], results: [views[1]]),
      Instruction(
        .elementwise(.multiply, extents: Self.extents), operands: [views[2], views[1]], results: [views[3]],
        beta: .one),
    ]
    // Where somebody looks at the slope, it is made.
    var watched = program
    watched.fuseSlopes(keeping: [1, 3])
    #expect(watched.sections[0].instructions.count == 2)
    program.fuseSlopes(keeping: [3])
    #expect(program.sections[0].instructions.count == 1)
    #expect(program.sections[0].instructions[0].primitive == .elementwise(fused, extents: Self.extents))
    #expect(program.sections[0].instructions[0].operands == [views[0], views[2]])
    #expect(program.sections[0].instructions[0].beta == .one)
    #expect(program.buffers[1].count == 0)
  }

  /// Boxes of a [4, 6] tensor, padded with zeros to the whole and added up: whole or transposed, once or in each round of a
  /// section, with coefficients and with readers in between.
  private static func paddedProgram(_ random: inout RandomStream) -> Program {
    var program = Program(sections: ["before", "rounds"].map { Section(name: $0) })
    func buffer(_ name: String) -> Int {
      program.buffers.append(Buffer(name: name, count: 24, isBatched: true))
      return program.buffers.count - 1
    }
    let (sum, copy) = (buffer("sum"), buffer("copy"))
    for _ in 0..<4 {
      let (source, padded) = (buffer("part"), buffer("padded"))
      let lows = [random.integer(below: 4), random.integer(below: 6)]
      let extents = [1 + random.integer(below: 4 - lows[0]), 1 + random.integer(below: 6 - lows[1])]
      let early = random.integer(below: 2)
      // The part may be computed before, in this section or another, or change before the whole is added.
      let change = Instruction(
        .elementwise(.identity, extents: [24]), operands: [View(buffer: copy, strides: [1])],
        results: [View(buffer: source, strides: [1])], alpha: .constant(0.5), beta: .constant(0.5))
      if random.integer(below: 3) == 0 {
        program.sections[random.integer(below: early + 1)].instructions.append(change)
      }
      program.sections[early].instructions += [
        Instruction(
          .elementwise(.one, extents: [4, 6]), operands: [], results: [View(buffer: padded, strides: [6, 1])],
          alpha: .zero),
        Instruction(
          .elementwise(.identity, extents: extents), operands: [View(buffer: source, strides: [6, 1])],
          results: [View(buffer: padded, offset: 6 * lows[0] + lows[1], strides: [6, 1])]),
      ]
      if random.integer(below: 4) == 0 { program.sections[early].instructions.append(change) }
      program.sections[max(early, random.integer(below: 2))].instructions.append(
        Instruction(
          .elementwise(.identity, extents: [4, 6]), operands: [View(buffer: padded, strides: [6, 1])],
          results: [View(buffer: sum, strides: random.integer(below: 3) == 0 ? [1, 4] : [6, 1])],
          alpha: .constant([1, 0.5][random.integer(below: 2)]),
          beta: .constant([0, 1, 1, 0.5][random.integer(below: 4)])))
      if random.integer(below: 4) == 0 {
        program.sections[1].instructions.append(
          Instruction(
            .elementwise(.identity, extents: [24]), operands: [View(buffer: sum, strides: [1])],
            results: [View(buffer: copy, strides: [1])], beta: .one))
      }
    }
    return program
  }

  private static func contentsOfPadded(_ program: Program, seed: Int) throws -> [[Double]] {
    let executable = try Reference().compile(program, batchSize: 2, bindings: [:])
    for (index, buffer) in program.buffers.enumerated() where buffer.count > 0 {
      var random = RandomStream(seed: UInt64(seed), "contents", index)
      let numbers = (0..<48).map { _ in 2 * random.uniform() - 1 }
      numbers.withUnsafeBufferPointer { executable.upload($0, to: index) }
    }
    executable.run([Passage(section: 0), Passage(section: 1, count: 2), Passage(section: 0), Passage(section: 1)])
    return [0, 1].map(executable.download)
  }

  @Test(arguments: 0..<10) func partsAreAddedInPlace(block: Int) throws {
    var rewritten = 0
    for seed in (100 * block)..<(100 * (block + 1)) {
      var random = RandomStream(seed: UInt64(seed), "padded")
      let program = Self.paddedProgram(&random)
      var changed = program
      changed.addPartsInPlace(keeping: [0, 1])
      rewritten += zip(changed.buffers, program.buffers).filter { $0.count < $1.count }.count
      let (observed, expected) = (
        try Self.contentsOfPadded(changed, seed: seed), try Self.contentsOfPadded(program, seed: seed)
      )
      for (index, pair) in zip(observed, expected).enumerated() {
        expectClose(pair.0, pair.1, "seed \(seed), buffer \(index)")
      }
    }
    #expect(rewritten > 200, "most padded buffers should be gone, but only \(rewritten) of 400 are")
  }

  /// Parts that cover a tensor overwrite it, and nothing fills it with zeros before.
  @Test func partsThatCoverNeedNoZeros() {
    var program = Program(
      buffers: ["a", "b", "padded a", "padded b", "sum"].map { Buffer(name: $0, count: 6, isBatched: true) },
      sections: [Section(name: "only")])
    for (source, padded, offset) in [(0, 2, 0), (1, 3, 3)] {
      program.sections[0].instructions += [
        Instruction(
          .elementwise(.one, extents: [2, 3]), operands: [], results: [View(buffer: padded, strides: [3, 1])],
          alpha: .zero),
        Instruction(
          .elementwise(.identity, extents: [1, 3]), operands: [View(buffer: source, strides: [3, 1])],
          results: [View(buffer: padded, offset: offset, strides: [3, 1])]),
      ]
    }
    for (padded, beta) in [(2, Scalar.zero), (3, .one)] {
      program.sections[0].instructions.append(
        Instruction(
          .elementwise(.identity, extents: [2, 3]), operands: [View(buffer: padded, strides: [3, 1])],
          results: [View(buffer: 4, strides: [3, 1])], beta: beta))
    }
    program.addPartsInPlace(keeping: [4])
    let results = program.sections[0].instructions.map(\.results)
    #expect(results == [0, 3].map { [View(buffer: 4, offset: $0, strides: [3, 1])] })
    #expect(program.sections[0].instructions.allSatisfy { $0.beta == .zero })
    #expect(program.buffers.map(\.count) == [6, 6, 0, 0, 6])
  }

  /// The first convolution's message is averaged in the pooled image, for windows side by side and overlapping ones.
  @Test(arguments: [2, 3], [0, 1, 6]) func averagesAreKeptPooled(window: Int, steps: Int) throws {
    let model = Model { graph in
      var x = graph.input("x", [.batch, 1, 7, 7])
      x = MaxPool2D("pool", window: window, stride: 2)(
        Convolution2D("conv", filters: 3, kernel: 2, activation: .tanh)(x))
      graph.loss(.squaredError(Dense("output", 2)(flatten(x)), graph.input("t", [.batch, 2])))
    }
    var random = RandomStream(seed: 8, "pooled")
    let feed = Feed(
      count: 5,
      [
        "x": .doubles((0..<5 * 49).map { _ in random.normal() }),
        "t": .doubles((0..<10).map { _ in random.normal() }),
      ])
    let rule = FixedPredictions(steps: steps, rate: 0.3)
    for (backend, tolerance) in [(Reference(), 1e-14), (try CPU(threads: 2), 1e-6)] as [(any Backend, Double)] {
      let trainer = try Trainer(
        model, rule: rule, optimizer: SGD(learningRate: 1), reduction: .sum, on: backend, seed: 1)
      let start = trainer.network.parameters()
      // Runs that are observed do without this pass.
      let gradients = try trainer.network.gradients(rule, on: feed)
      if backend is CPU {
        let profile = try #require(try trainer.profile(on: feed))
        let unpooling = profile.calls.filter { $0.operation == "max pool, gradient" }
        #expect(unpooling.map(\.repetitions) == [1], "window \(window), T = \(steps): \(unpooling)")
      } else {
        try trainer.train(on: feed)
      }
      for (name, before) in start {
        let expected = zip(before.values, gradients[numbers: name]).map(-)
        expectClose(
          trainer.network.parameter(name).values, expected, within: tolerance,
          "\(backend.name), window \(window), T = \(steps), \(name)")
      }
    }
  }

  /// States (0 to 2) that start as zeros, are blended in rounds and read through slopes (3, 4); products of them (5 to 7);
  /// what is made of these (8, 9); and what stays as it is (10). Now and then somebody does otherwise.
  private static func slopedProgram(_ random: inout RandomStream) -> Program {
    var program = Program(sections: ["before", "round", "after"].map { Section(name: $0) })
    for index in 0..<11 { program.buffers.append(Buffer(name: "\(index)", count: 6, isBatched: true)) }
    func isRare() -> Bool { random.integer(below: 60) == 0 }
    func pick(_ range: Range<Int>) -> Int { range.lowerBound + random.integer(below: range.count) }
    func append(
      _ section: Int, _ function: Elementwise, _ operands: [Int], _ target: Int, alpha: Double = 1, beta: Double = 0
    ) {
      let strides = isRare() ? [1, 2] : [3, 1]
      program.sections[section].instructions.append(
        Instruction(
          .elementwise(function, extents: isRare() ? [1, 3] : Self.extents),
          operands: operands.map { View(buffer: $0, strides: strides) },
          results: [View(buffer: target, strides: isRare() ? [1, 2] : strides)], alpha: .constant(alpha),
          beta: .constant(beta)))
    }
    for state in 0..<3 { append(0, .one, [], state, alpha: isRare() ? 1 : 0) }
    var made: Set<[Int]> = []
    /// Mostly one that this section has made.
    func product(_ section: Int) -> Int? {
      let known = isRare() ? Array(5..<8) : (0..<3).filter { made.contains([section, $0]) }.map { 5 + $0 }
      return known.isEmpty || random.integer(below: 2) == 0 ? nil : known[random.integer(below: known.count)]
    }
    for section in 1...2 {
      for _ in 0..<(section == 1 ? 4 + random.integer(below: 7) : 3) {
        let state = pick(0..<3)
        let slope = isRare() ? pick(3..<5) : 3 + state / 2
        switch random.integer(below: 4) {
        case 0 where made.insert([section, state]).inserted || isRare():
          let operands = random.integer(below: 2) == 0 ? [slope, state] : [state, slope]
          append(section, .multiply, operands, 5 + state, alpha: isRare() ? 0.5 : 1, beta: isRare() ? 0.5 : 0)
        case 1 where section == 1 || isRare():
          let source = isRare() ? (state + 1) % 3 : product(section) ?? pick(8..<11)
          append(section, .identity, [source], state, alpha: 0.25, beta: isRare() ? 0 : 0.75)
        case 2: append(section, .tanh, [product(section) ?? 10], pick(8..<10), beta: 0.5)
        default:
          let target = isRare() ? pick(3..<11) : pick(8..<10)
          append(section, .sin, [isRare() && target > 2 ? state : target == 10 ? 8 : 10], target)
        }
      }
      if random.integer(below: 4) == 0 { append(section, .sin, [10], pick(3..<5)) }
    }
    return program
  }

  @Test(arguments: 0..<20) func statesBehindSlopesMeanTheSame(block: Int) throws {
    var changes = 0
    for seed in (200 * block)..<(200 * (block + 1)) {
      var random = RandomStream(seed: UInt64(seed), "slopes")
      let program = Self.slopedProgram(&random)
      let script = [
        Passage(section: 0), Passage(section: 1, count: 2 + random.integer(below: 3)), Passage(section: 2),
      ]
      let kept = Set([8, 9] + (random.integer(below: 6) == 0 ? [random.integer(below: 8)] : []))
      func contents(_ program: Program) throws -> [[Double]] {
        let executable = try Reference().compile(program, batchSize: 2, bindings: [:])
        for index in 3..<11 where program.buffers[index].count > 0 {
          var random = RandomStream(seed: UInt64(seed), "contents", index)
          let numbers = (0..<12).map { _ in 2 * random.uniform() - 1 }
          numbers.withUnsafeBufferPointer { executable.upload($0, to: index) }
        }
        executable.run(script)
        return kept.sorted().map(executable.download)
      }
      var changed = program
      changed.averageBehindSlopes(in: script, keeping: kept)
      #expect(changed.violations() == [], "seed \(seed)")
      func products(_ program: Program) -> Int {
        program.sections.flatMap(\.instructions).filter {
          $0.primitive == .elementwise(.multiply, extents: Self.extents)
        }
        .count
      }
      changes += products(changed) == products(program) ? 0 : 1
      for (index, pair) in zip(try contents(changed), try contents(program)).enumerated() {
        expectClose(pair.0, pair.1, "seed \(seed), buffer \(kept.sorted()[index])")
      }
    }
    #expect(changes > 0)
  }

  /// What convolutions read is laid out as they read it, and so is what elementwise functions make of it or from it; what
  /// somebody takes for a row of features stays as it is. The numbers stay the same.
  @Test func imagesForConvolutionsHaveChannelsLast() throws {
    let first = Convolution(inputChannels: 3, outputChannels: 2, input: Extent(4, 5), kernel: Extent(2, 2))
    let second = Convolution(inputChannels: 2, outputChannels: 4, input: Extent(3, 4), kernel: Extent(2, 3))
    let pool = Pooling(channels: 2, input: Extent(3, 4), window: Extent(2, 2), stride: Extent(1, 2))
    let (whole, made, made2, pooled) = ([3, 4, 5], [2, 3, 4], [4, 2, 2], [2, 2, 2])
    var program = Program(sections: [Section(name: "all")])
    func buffer(_ name: String, _ extents: [Int], isBatched: Bool = true, _ element: Element = .real) -> View {
      program.buffers.append(
        Buffer(name: name, count: extents.reduce(1, *), isBatched: isBatched, element: element))
      return View(buffer: program.buffers.count - 1, strides: Term.rowMajorStrides(extents))
    }
    let given = [
      buffer("x", whole), buffer("y", whole), buffer("filter", [2, 3, 2, 2], isBatched: false),
      buffer("filter 2", [4, 2, 2, 3], isBatched: false), buffer("bias", [2], isBatched: false),
      buffer("weights", [7, 60], isBatched: false),
    ]
    let (x, y, filter, filter2) = (given[0], given[1], given[2], given[3])
    let (product, sum, feature) = (buffer("product", whole), buffer("sum", whole), buffer("feature", [7]))
    let (image, other) = (buffer("image", made), buffer("other", made))
    let (rectified, slope) = (buffer("rectified", made), buffer("slope", made))
    let (result, back, pulled) = (buffer("result", made2), buffer("back", made), buffer("pulled", whole))
    let (values, winners) = (buffer("values", pooled), buffer("winners", pooled, .index))
    let unpooled = buffer("unpooled", made)
    let gradient = buffer("filter 2, gradient", [4, 2, 2, 3], isBatched: false)
    let biasGradient = buffer("bias, gradient", [1, 2, 1, 1], isBatched: false)
    let copy = buffer("copy", made)
    func row(_ view: View, _ strides: [Int]) -> View { View(buffer: view.buffer, strides: strides) }
    func elementwise(_ function: Elementwise, _ extents: [Int], _ operands: [View], _ result: View) -> Instruction {
      func withBatch(_ view: View) -> View { row(view, [extents.reduce(1, *)] + view.strides) }
      return Instruction(
        .elementwise(function, extents: [1] + extents), operands: operands.map(withBatch),
        results: [withBatch(result)])
    }
    program.sections[0].instructions = [
      elementwise(.multiply, whole, [x, y], product), elementwise(.add, whole, [x, y], sum),
      Instruction(
        .contract(extents: [1, 7, 60]), operands: [row(sum, [60, 0, 1]), row(given[5], [0, 60, 1])],
        results: [row(feature, [7, 1, 0])]),
      Instruction(.convolve(first), operands: [product, filter], results: [image]),
      Instruction(.convolve(first), operands: [sum, filter], results: [other]),
      elementwise(.add, made, [image, row(given[4], [1, 0, 0])], image),
      elementwise(.relu, made, [image], rectified), elementwise(.step, made, [image], slope),
      Instruction(.convolve(second), operands: [rectified, filter2], results: [result]),
      Instruction(.convolveInputGradient(second), operands: [result, filter2], results: [back]),
      elementwise(.multiply, made, [back, slope], back),
      Instruction(.convolveInputGradient(first), operands: [back, filter], results: [pulled]),
      Instruction(.convolveFilterGradient(second), operands: [rectified, result], results: [gradient]),
      Instruction(
        .reduce(.sum, extents: [1] + made, reduced: [true, false, true, true]),
        operands: [row(back, [24] + back.strides)], results: [row(biasGradient, [0, 1, 0, 0])]),
      Instruction(.maxPool(pool), operands: [rectified], results: [values, winners]),
      Instruction(.maxPoolGradient(pool), operands: [values, winners], results: [unpooled]),
      elementwise(.add, made, [unpooled, rectified], copy),
    ]
    #expect(program.violations() == [])
    let kept = [x, y, feature, other, pulled, gradient, biasGradient, values, copy]
    func contents(_ program: Program, _ backend: any Backend) throws -> [[Double]] {
      let executable = try backend.compile(program, batchSize: 3, bindings: [:])
      for view in given {
        let buffer = program.buffers[view.buffer]
        var random = RandomStream(seed: 4, buffer.name)
        let numbers = (0..<(buffer.isBatched ? 3 * buffer.count : buffer.count)).map { _ in random.normal() }
        numbers.withUnsafeBufferPointer { executable.upload($0, to: view.buffer) }
      }
      executable.run([Passage(section: 0)])
      return kept.map { executable.download($0.buffer) }
    }
    let before = try contents(program, Reference())
    program.putChannelsLast(in: [Passage(section: 0)], keeping: Set((given + kept).map(\.buffer)))
    #expect(program.violations() == [])
    let views = program.sections[0].instructions.flatMap { $0.operands + $0.results }
    for (view, extents) in [
      (product, whole), (image, made), (rectified, made), (slope, made), (result, made2), (back, made),
      (unpooled, made),
    ] {
      for moved in views where moved.buffer == view.buffer {
        #expect(
          moved.strides.suffix(3) == [1, extents[2] * extents[0], extents[0]], "\(program.buffers[view.buffer].name)")
      }
    }
    for view in [x, sum, other, pulled, values, winners, copy] {
      #expect(
        views.contains { $0.buffer == view.buffer && $0.strides.suffix(3) == view.strides[...] },
        "\(program.buffers[view.buffer].name)")
    }
    for (observed, expected) in zip(try contents(program, Reference()), before) {
      expectClose(observed, expected, within: 1e-12, "on the reference backend")
    }
    for (observed, expected) in zip(try contents(program, CPU(threads: 2)), before) {
      expectClose(observed, expected, within: 1e-5, "on the CPU backend")
    }
  }

  /// Where a dense layer makes an image in every round, its weights are brought into the image's order, once; a layer that
  /// works once is not worth it.
  @Test(arguments: [1, 3], [false, true]) func rowsForConvolutionsHaveChannelsLast(count: Int, isTurned: Bool) throws
  {
    let geometry = Convolution(inputChannels: 3, outputChannels: 2, input: Extent(4, 5), kernel: Extent(2, 2))
    let buffers = [("features", 7), ("weights", 168), ("filter", 24), ("row", 24), ("message", 60)]
    var program = Program(sections: [Section(name: "before"), Section(name: "round"), Section(name: "after")])
    for (index, (name, count)) in buffers.enumerated() {
      program.buffers.append(
        Buffer(name: name, count: count, isBatched: index != 1 && index != 2, isPersistent: index == 1))
    }
    let row = View(buffer: 3, strides: [24, 1, 0])
    let image = View(buffer: 3, strides: [24, 12, 4, 1])
    program.sections[0].instructions = [
      Instruction(.elementwise(.one, extents: [1, 2, 3, 4]), operands: [], results: [image], alpha: .zero)
    ]
    program.sections[1].instructions = [
      Instruction(
        .contract(extents: [1, 24, 7]),
        operands: [
          View(buffer: 0, strides: [7, 0, 1]), View(buffer: 1, strides: isTurned ? [0, 1, 24] : [0, 7, 1]),
        ], results: [row], alpha: .constant(0.25), beta: .constant(0.75)),
      Instruction(
        .convolveInputGradient(geometry),
        operands: [View(buffer: 3, strides: [12, 4, 1]), View(buffer: 2, strides: [12, 4, 2, 1])],
        results: [View(buffer: 4, strides: [20, 5, 1])]),
      Instruction(
        .elementwise(.multiply, extents: [1, 2, 3, 4]), operands: [image, image], results: [image]),
    ]
    // Weights may change when they are no longer needed.
    program.sections[2].instructions = [
      Instruction(.elementwise(.one, extents: [168]), operands: [], results: [View(buffer: 1, strides: [1])])
    ]
    #expect(program.violations() == [])
    let script = [Passage(section: 0), Passage(section: 1, count: count), Passage(section: 2)]
    func contents(_ program: Program, _ backend: any Backend) throws -> [Double] {
      let executable = try backend.compile(
        program, batchSize: 5, bindings: [1: try backend.makeStorage(for: program.buffers[1])])
      for (index, (name, count)) in buffers.enumerated().prefix(3) {
        var random = RandomStream(seed: 6, name)
        let numbers = (0..<(index == 0 ? 5 * count : count)).map { _ in random.normal() }
        numbers.withUnsafeBufferPointer { executable.upload($0, to: index) }
      }
      executable.run(script)
      return executable.download(4)
    }
    let before = try contents(program, Reference())
    program.putChannelsLast(in: script, keeping: [0, 1, 2, 4])
    #expect(program.violations() == [])
    #expect(program.sections[0].instructions.count == (count > 1 ? 2 : 1))
    #expect(program.sections[1].instructions[1].operands[0].strides == (count > 1 ? [1, 8, 2] : [12, 4, 1]))
    expectClose(try contents(program, Reference()), before, within: 1e-12, "on the reference backend")
    expectClose(try contents(program, CPU(threads: 2)), before, within: 1e-5, "on the CPU backend")
  }

  /// What only feeds itself, or what nothing reads, goes; what is kept, and what that needs, stays.
  @Test func unreadResultsGo() {
    var program = Program(
      buffers: ["x", "y", "z", "loop"].map { Buffer(name: $0, count: 1, isBatched: true) },
      sections: [Section(name: "only")])
    func copy(_ source: Int, _ target: Int, beta: Scalar = .zero) -> Instruction {
      Instruction(
        .elementwise(.identity, extents: [1]), operands: [View(buffer: source, strides: [1])],
        results: [View(buffer: target, strides: [1])], beta: beta)
    }
    program.sections[0].instructions = [copy(0, 1), copy(1, 2), copy(1, 3, beta: .one)]
    var kept = program
    kept.dropUnread(keeping: [2])
    #expect(kept.sections[0].instructions.map { $0.results[0].buffer } == [1, 2])
    #expect(kept.buffers.map(\.count) == [1, 1, 1, 0])
    program.dropUnread(keeping: [3])
    #expect(program.sections[0].instructions.map { $0.results[0].buffer } == [1, 3])
  }
}
