import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// SplitMix64: a seeded stream of numbers for the tests (Steele, Lea, Flood, OOPSLA 2014).
struct Dice: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number that Float holds exactly, so that both backends see the same.
  mutating func real(in range: ClosedRange<Float> = -1...1) -> Double {
    Double(Float.random(in: range, using: &self))
  }

  mutating func reals(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Double] {
    (0..<count).map { _ in real(in: range) }
  }
}

/// What runs on two backends side by side: buffers with their contents, and sections.
struct Experiment {
  var program = Program()
  var contents: [[Double]] = []
  var script = [Passage(section: 0)]
  let batch: Int

  init(batch: Int) {
    self.batch = batch
    program.sections = [Section(name: "test")]
  }

  /// Adds a buffer; `contents` has `count` numbers, times the batch where it is batched.
  mutating func buffer(
    _ name: String, count: Int, batched: Bool, element: Element = .real, contents fill: [Double]
  ) -> Int {
    program.buffers.append(Buffer(name: name, count: count, isBatched: batched, element: element))
    contents.append(fill)
    return program.buffers.count - 1
  }

  mutating func append(_ instruction: Instruction, section: Int = 0) {
    program.sections[section].instructions.append(instruction)
  }

  func examples(_ buffer: Int) -> Int { program.buffers[buffer].isBatched ? batch : 1 }

  /// Everything that the buffers hold after the script.
  func run(on backend: any Backend, slots: [Double] = []) throws -> [[Double]] {
    let executable = try backend.compile(program, batchSize: batch, bindings: [:])
    for (slot, value) in slots.enumerated() { executable.setSlot(slot, to: value) }
    for (index, values) in contents.enumerated() {
      values.withUnsafeBufferPointer { executable.upload($0, to: index) }
    }
    executable.run(script)
    return program.buffers.indices.map { executable.download($0) }
  }

  /// The same with the magnitude of every number: bounds the sums that rounding errors scale with.
  var magnitudes: Experiment {
    var copy = self
    copy.contents = contents.map { $0.map { $0.isNaN ? 0 : abs($0) } }
    func magnitude(_ scalar: Scalar) -> Scalar {
      if case .constant(let value) = scalar { .constant(abs(value)) } else { scalar }
    }
    for s in copy.program.sections.indices {
      for i in copy.program.sections[s].instructions.indices {
        copy.program.sections[s].instructions[i].alpha = magnitude(copy.program.sections[s].instructions[i].alpha)
        copy.program.sections[s].instructions[i].beta = magnitude(copy.program.sections[s].instructions[i].beta)
      }
    }
    return copy
  }
}

/// A view over `extents` in a buffer of its own: axes in any order, gaps between them, an offset, and, if allowed, axes
/// that broadcast. `zero` axes have stride 0.
func randomLayout(
  _ extents: [Int], zero: [Bool]? = nil, mayBroadcast: Bool, isPlain: Bool, using dice: inout Dice
) -> (offset: Int, strides: [Int], count: Int) {
  var strides = Array(repeating: 0, count: extents.count)
  var step = 1
  let axes = isPlain ? Array(extents.indices.reversed()) : Array(extents.indices).shuffled(using: &dice)
  if !isPlain { step = Int.random(in: 1...2, using: &dice) }
  for axis in axes {
    if let zero, zero[axis] { continue }
    if !isPlain && mayBroadcast && Int.random(in: 0..<5, using: &dice) == 0 { continue }
    strides[axis] = step
    step *= extents[axis]
    if !isPlain && Int.random(in: 0..<4, using: &dice) == 0 { step += Int.random(in: 1...3, using: &dice) }
  }
  let offset = isPlain ? 0 : Int.random(in: 0...3, using: &dice)
  let reach = zip(extents, strides).reduce(0) { $0 + max($1.0 - 1, 0) * $1.1 }
  return (offset, strides, offset + reach + 1 + (isPlain ? 0 : Int.random(in: 0...3, using: &dice)))
}

let supportedSets = CPU.InstructionSet.allCases.filter(\.isSupported)

/// Largest excess of |observed − expected| over the tolerance, as a sentence; nil if there is none.
func discrepancy(
  _ observed: [Double], _ expected: [Double], tolerance: (Int) -> Double
) -> String? {
  guard observed.count == expected.count else { return "\(observed.count) numbers, not \(expected.count)" }
  for i in observed.indices {
    if observed[i].isNaN && expected[i].isNaN { continue }
    if observed[i] == expected[i] { continue }
    if !(abs(observed[i] - expected[i]) <= tolerance(i)) {
      return "element \(i): expected \(expected[i]), observed \(observed[i]), tolerance \(tolerance(i))"
    }
  }
  return nil
}

let epsilon = 0x1p-23

/// Batched values of one width beside constants, filled at random, for sections of random instructions on them.
struct Values {
  var experiment: Experiment
  let width: Int
  private(set) var buffers: [Int] = []
  private(set) var constants: [View] = []
  private var weights: [Int] = []
  /// Where instructions go.
  var section = 0
  var dice: Dice

  /// - Parameter constants: how many numbers each has, as many as a value or one, and whether each example has its own.
  init(batch: Int, width: Int, count: Int, constants kinds: [(count: Int, isBatched: Bool)], seed: UInt64) {
    experiment = Experiment(batch: batch)
    experiment.program.slots = ["rate", "decay"]
    self.width = width
    dice = Dice(seed: seed)
    for value in 0..<count {
      buffers.append(
        experiment.buffer("value \(value)", count: width, batched: true, contents: dice.reals(width * batch)))
    }
    for (index, kind) in kinds.enumerated() {
      let buffer = experiment.buffer(
        "constant \(index)", count: kind.count, batched: kind.isBatched,
        contents: dice.reals(kind.count * (kind.isBatched ? batch : 1)))
      constants.append(View(buffer: buffer, strides: [kind.count == 1 ? 0 : 1]))
    }
  }

  func view(_ value: Int) -> View { View(buffer: buffers[value], strides: [1]) }

  mutating func pick<T>(_ values: [T]) -> T { values[Int.random(in: values.indices, using: &dice)] }

  /// Square matrices for `multiply`.
  mutating func addWeights(_ count: Int) {
    let bound = 1 / Float(width)
    for matrix in 0..<count {
      weights.append(
        experiment.buffer(
          "weights \(matrix)", count: width * width, batched: false,
          contents: dice.reals(width * width, in: -bound...bound)))
    }
  }

  /// `value[target] ← alpha · W value[source] + beta · value[target]`, with a matrix as it lies or transposed.
  mutating func multiply(
    _ source: Int, into target: Int, beta: Scalar = .zero, transposed: Bool = false, by matrix: Int = 0
  ) {
    experiment.append(
      Instruction(
        .contract(extents: [width, 1, width]),
        operands: [
          View(buffer: weights[matrix], strides: transposed ? [1, 0, width] : [width, 0, 1]),
          View(buffer: buffers[source], strides: [0, 0, 1]),
        ],
        results: [View(buffer: buffers[target], strides: [1, 0, 0])], alpha: .slot(0), beta: beta), section: section)
  }

  mutating func apply(
    _ function: Elementwise, _ operands: [View], into target: Int, alpha: Scalar = .slot(1), beta: Scalar = .zero
  ) {
    experiment.append(
      Instruction(
        .elementwise(function, extents: [width]), operands: operands, results: [view(target)], alpha: alpha,
        beta: beta
      ), section: section)
  }

  /// What two threads leave, which must be to the bit what one and three do, and to the tolerance, of the largest number, what
  /// the reference backend does.
  func observed(
    _ script: [Passage], on set: CPU.InstructionSet, tolerance: Double, _ what: String
  ) throws -> [[Double]] {
    var experiment = experiment
    experiment.script = script
    let slots = [0.3, 0.6]
    let observed = try experiment.run(on: CPU(threads: 2, instructionSet: set, leastShared: 0), slots: slots)
    for threads in [1, 3] {
      let other = try experiment.run(on: CPU(threads: threads, instructionSet: set, leastShared: 0), slots: slots)
      #expect(other == observed, "\(what), \(threads) threads")
    }
    let expected = try experiment.run(on: Reference(), slots: slots)
    for value in buffers {
      let largest = expected[value].reduce(1) { max($0, abs($1)) }
      let problem = discrepancy(observed[value], expected[value]) { _ in tolerance * largest }
      #expect(problem == nil, "\(what), value \(value): \(problem ?? "")")
    }
    return observed
  }
}
