import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

@Suite struct CPUTests {
  @Test func refusesWhatItCannotHave() {
    #expect { try CPU(threads: 0) } throws: {
      "\($0)" == "The CPU backend was asked for 0 threads; give it at least one."
    }
    for set in CPU.InstructionSet.allCases where !set.isSupported {
      #expect { try CPU(instructionSet: set) } throws: {
        "\($0)".contains("does not have the instruction set \(set.rawValue)")
      }
    }
    #expect(CPU.InstructionSet.portable.isSupported)
    #expect(CPU.InstructionSet.best.isSupported)
  }

  /// Every batch size up to two tiles, for counts around the blocks that transposition works in.
  @Test func numbersComeBackAsTheyWent() throws {
    let cpu = try CPU(threads: 2)
    var dice = Dice(seed: 1)
    for batch in 1...66 {
      for count in [1, 15, 16, 17, 40] {
        let program = Program(
          buffers: [
            Buffer(name: "batched", count: count, isBatched: true),
            Buffer(name: "shared", count: count, isBatched: false),
            Buffer(name: "labels", count: count, isBatched: true, element: .index),
          ], sections: [])
        let executable = try cpu.compile(program, batchSize: batch, bindings: [:])
        let batched = dice.reals(batch * count)
        let shared = dice.reals(count)
        let labels = (0..<batch * count).map { Int32($0) }
        batched.map { Float($0) }.withUnsafeBufferPointer { executable.upload($0, to: 0) }
        shared.withUnsafeBufferPointer { executable.upload($0, to: 1) }
        labels.withUnsafeBufferPointer { executable.upload($0, to: 2) }
        #expect(executable.download(0) == batched)
        #expect(executable.download(1) == shared)
        #expect(executable.download(2) == labels.map { Double($0) })
      }
    }
  }

  /// Programs that bind the same storage share it; uploads between runs are seen although weights are kept packed.
  @Test func storageIsShared() throws {
    let cpu = try CPU(threads: 2)
    let program = Program(
      buffers: [
        Buffer(name: "weights", count: 6, isBatched: false, isPersistent: true),
        Buffer(name: "x", count: 3, isBatched: true), Buffer(name: "y", count: 2, isBatched: true),
      ],
      sections: [
        Section(
          name: "product",
          instructions: [
            Instruction(
              .contract(extents: [2, 1, 3]),
              operands: [View(buffer: 0, strides: [3, 0, 1]), View(buffer: 1, strides: [0, 0, 1])],
              results: [View(buffer: 2, strides: [1, 0, 0])])
          ])
      ])
    let storage = try cpu.makeStorage(for: program.buffers[0])
    #expect(storage.download() == [0, 0, 0, 0, 0, 0])
    let executables = try [1, 20].map { try cpu.compile(program, batchSize: $0, bindings: [0: storage]) }
    for scale in [1.0, 2.0] {
      storage.upload([1, 2, 3, 4, 5, 6].map { scale * $0 })
      for executable in executables {
        let x: [Double] = Array([[Double]](repeating: [1, 10, 100], count: executable.batchSize).joined())
        x.withUnsafeBufferPointer { executable.upload($0, to: 1) }
        executable.run([Passage(section: 0)])
        for k in 0..<executable.batchSize {
          #expect(executable.download(2)[2 * k...2 * k + 1] == [321 * scale, 654 * scale])
        }
      }
    }
    #expect(executables[0].byteCount > 0)
    #expect(executables[1].byteCount > executables[0].byteCount)
    // What is said beforehand is what is then taken.
    for executable in executables {
      #expect(try cpu.byteCount(of: program, batchSize: executable.batchSize) == executable.byteCount)
    }
  }

  /// Denormal numbers are flushed, on every thread, and the caller's mode is as it was afterwards.
  @Test func denormalsAreZero() throws {
    let program = Program(
      buffers: [Buffer(name: "x", count: 4, isBatched: true)],
      sections: [
        Section(
          name: "halve",
          instructions: [
            Instruction(
              .elementwise(.identity, extents: [4]), operands: [View(buffer: 0, strides: [1])],
              results: [View(buffer: 0, strides: [1])], alpha: .constant(0.5))
          ])
      ])
    let executable = try CPU(threads: 2, leastShared: 0).compile(program, batchSize: 64, bindings: [:])
    let smallest = Array(repeating: Double(Float.leastNormalMagnitude), count: 256)
    smallest.withUnsafeBufferPointer { executable.upload($0, to: 0) }
    executable.run([Passage(section: 0)])
    #expect(executable.download(0) == Array(repeating: 0, count: 256))
    let half = try #require([Float(0.5)].randomElement())
    #expect(Float.leastNormalMagnitude * half > 0)
  }

  /// Lanes beyond the batch hold infinities and NaN after 1/x and log x; sums over the examples must not see them.
  @Test(arguments: supportedSets, [1, 5, 17, 40])
  func lanesBeyondTheBatchDoNotCount(set: CPU.InstructionSet, batch: Int) throws {
    var experiment = Experiment(batch: batch)
    let n = 9
    let x = experiment.buffer("x", count: n, batched: true, contents: Array(repeating: 2, count: n * batch))
    let y = experiment.buffer("y", count: n, batched: true, contents: Array(repeating: 1, count: n * batch))
    let sum = experiment.buffer("sum", count: n, batched: false, contents: Array(repeating: 0, count: n))
    let product = experiment.buffer(
      "product", count: n * n, batched: false, contents: Array(repeating: 0, count: n * n))
    let filter = experiment.buffer("filter", count: 1, batched: false, contents: [0])
    let shared = experiment.buffer("shared", count: n, batched: false, contents: Array(repeating: 1, count: n))
    let half = experiment.buffer("half", count: 1, batched: false, contents: [0])
    func all(_ buffer: Int) -> View { View(buffer: buffer, strides: [1]) }
    experiment.append(Instruction(.elementwise(.reciprocal, extents: [n]), operands: [all(x)], results: [all(y)]))
    experiment.append(Instruction(.elementwise(.log, extents: [n]), operands: [all(x)], results: [all(x)]))
    experiment.append(
      Instruction(.reduce(.sum, extents: [n], reduced: [false]), operands: [all(y)], results: [all(sum)]))
    experiment.append(
      Instruction(
        .contract(extents: [n, n, 1]),
        operands: [View(buffer: x, strides: [1, 0, 0]), View(buffer: y, strides: [0, 1, 0])],
        results: [View(buffer: product, strides: [n, 1, 0])]))
    let geometry = Convolution(inputChannels: 1, outputChannels: 1, input: Extent(3, 3), kernel: Extent(1, 1))
    experiment.append(
      Instruction(
        .convolveFilterGradient(geometry),
        operands: [View(buffer: x, strides: [9, 3, 1]), View(buffer: y, strides: [9, 3, 1])],
        results: [View(buffer: filter, strides: [1, 1, 1, 1])]))
    experiment.append(
      Instruction(
        .contract(extents: [1, 1, n]),
        operands: [View(buffer: y, strides: [0, 0, 1]), View(buffer: shared, strides: [0, 0, 1])],
        results: [View(buffer: half, strides: [1, 1, 0])]))
    let observed = try experiment.run(on: CPU(threads: 2, instructionSet: set, leastShared: 0))
    let expected = try experiment.run(on: Reference())
    for buffer in [sum, product, filter, half] {
      let problem = discrepancy(observed[buffer], expected[buffer]) { 1e-5 * abs(expected[buffer][$0]) }
      #expect(problem == nil, "\(experiment.program.buffers[buffer].name): \(problem ?? "")")
    }
  }
}

@Suite struct MisuseTests {
  private static var product: Program {
    Program(
      buffers: [Buffer(name: "x", count: 4, isBatched: true)],
      sections: [Section(name: "empty")])
  }

  /// Whether the process said this before it stopped.
  private func said(_ sentence: String, _ result: ExitTest.Result?) throws -> Bool {
    String(decoding: try #require(result).standardErrorContent, as: UTF8.self).contains(sentence)
  }

  @Test func anUploadOfTheWrongSizeStops() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let executable = try CPU(threads: 1).compile(MisuseTests.product, batchSize: 2, bindings: [:])
      [Float](repeating: 0, count: 7).withUnsafeBufferPointer { executable.upload($0, to: 0) }
    }
    #expect(try said("upload of 7 numbers into x, which holds 8", result))
  }

  @Test func anEmptyBatchStops() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try CPU(threads: 1).compile(MisuseTests.product, batchSize: 0, bindings: [:])
    }
    #expect(try said("a batch of 0 examples", result))
  }

  @Test func aProgramThatIsNotWellFormedStops() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      var program = MisuseTests.product
      program.sections[0].instructions = [
        Instruction(
          .elementwise(.exp, extents: [5]), operands: [View(buffer: 0, strides: [1])],
          results: [View(buffer: 0, strides: [1])])
      ]
      _ = try CPU(threads: 1).compile(program, batchSize: 2, bindings: [:])
    }
    #expect(try said("a program that is not well formed", result))
  }

  @Test func aPersistentBufferWithoutStorageStops() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      var program = MisuseTests.product
      program.buffers[0].isPersistent = true
      program.buffers[0].isBatched = false
      _ = try CPU(threads: 1).compile(program, batchSize: 2, bindings: [:])
    }
    #expect(try said("persistent buffer x is not bound to storage", result))
  }
}
