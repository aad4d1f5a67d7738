import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Products of floats in thirds, where this machine has a matrix unit.
@Suite(.enabled(if: CPU.InstructionSet.amx.isSupported, "this machine has no matrix unit"))
struct MatrixUnitTests {
  /// Largest and root-mean-square error of y = W x on a set, each divided by Σ|w x|.
  private func errors(
    on set: CPU.InstructionSet, rows: Int, depth: Int, batch: Int, exponents: ClosedRange<Int>
  ) throws -> (largest: Double, rootMeanSquare: Double) {
    var dice = Dice(seed: UInt64(depth))
    func numbers(_ count: Int) -> [Double] {
      dice.reals(count).map { value in
        Double(Float(value * Double(sign: .plus, exponent: Int.random(in: exponents, using: &dice), significand: 1)))
      }
    }
    let (weights, values) = (numbers(rows * depth), numbers(depth * batch))
    var experiment = Experiment(batch: batch)
    let w = experiment.buffer("w", count: rows * depth, batched: false, contents: weights)
    let x = experiment.buffer("x", count: depth, batched: true, contents: values)
    let y = experiment.buffer(
      "y", count: rows, batched: true, contents: Array(repeating: .nan, count: rows * batch))
    experiment.append(
      Instruction(
        .contract(extents: [rows, 1, depth]),
        operands: [View(buffer: w, strides: [depth, 0, 1]), View(buffer: x, strides: [0, 0, 1])],
        results: [View(buffer: y, strides: [1, 0, 0])]))
    experiment.script = [Passage(section: 0, count: 2)]
    let observed = try experiment.run(
      on: CPU(threads: 2, instructionSet: set, leastShared: 0, prefersMatrixUnit: true))[y]
    var (largest, squares) = (0.0, 0.0)
    for example in 0..<batch {
      for row in 0..<rows {
        let products = (0..<depth).map { weights[row * depth + $0] * values[example * depth + $0] }
        let error =
          abs(observed[example * rows + row] - products.reduce(0, +)) / products.reduce(0) { $0 + abs($1) }
        largest = max(largest, error)
        squares += error * error
      }
    }
    return (largest, (squares / Double(rows * batch)).squareRoot())
  }

  /// Whatever the numbers' sizes: the vector units' float32 is what it is measured by.
  @Test(arguments: [0...0, -3...3, -20...20], [31, 256, 1500])
  func isAsExactAsFloat(exponents: ClosedRange<Int>, depth: Int) throws {
    let thirds = try errors(on: .amx, rows: 40, depth: depth, batch: 33, exponents: exponents)
    let floats = try errors(on: .avx512, rows: 40, depth: depth, batch: 33, exponents: exponents)
    #expect(thirds.largest <= 4 * floats.largest, "\(thirds) in thirds, \(floats) in floats")
    #expect(thirds.rootMeanSquare <= 3 * floats.rootMeanSquare, "\(thirds) in thirds, \(floats) in floats")
  }

  /// One part of a product is enough to tell: a number's last third counts.
  @Test func lastBitsCount() throws {
    for exponent in 8...23 {
      let small = Double(sign: .plus, exponent: -exponent, significand: 1)
      var experiment = Experiment(batch: 16)
      let weights = (0..<(32 * 32)).map { $0 % 33 == 0 ? 1 + small : 0 }
      let w = experiment.buffer("w", count: 32 * 32, batched: false, contents: weights)
      let x = experiment.buffer(
        "x", count: 32, batched: true, contents: (0..<(32 * 16)).map { $0 % 2 == 0 ? 1 : -1 - small })
      let y = experiment.buffer("y", count: 32, batched: true, contents: Array(repeating: .nan, count: 32 * 16))
      experiment.append(
        Instruction(
          .contract(extents: [32, 1, 32]),
          operands: [View(buffer: w, strides: [32, 0, 1]), View(buffer: x, strides: [0, 0, 1])],
          results: [View(buffer: y, strides: [1, 0, 0])]))
      experiment.script = [Passage(section: 0, count: 2)]
      let observed = try experiment.run(
        on: CPU(threads: 1, instructionSet: .amx, leastShared: 0, prefersMatrixUnit: true))[y]
      for (place, value) in observed.enumerated() {
        let expected = place % 2 == 0 ? 1 + small : -(1 + small) * (1 + small)
        #expect(
          abs(value - expected) <= epsilon * abs(expected),
          "2^-\(exponent), element \(place): expected \(expected), observed \(value)")
      }
    }
  }

  /// A number that is none makes none, and infinities, whose later thirds are ∞ − ∞, make none either.
  @Test func notANumberStays() throws {
    for value in [Float.nan, .infinity, -.infinity, Float(bitPattern: 0x7fff_ffff)] {
      var experiment = Experiment(batch: 17)
      let w = experiment.buffer(
        "w", count: 48 * 40, batched: false, contents: Array(repeating: 0.5, count: 48 * 40))
      var values = Array(repeating: 1.0, count: 40 * 17)
      values[5 * 40 + 7] = Double(value)
      let x = experiment.buffer("x", count: 40, batched: true, contents: values)
      let y = experiment.buffer("y", count: 48, batched: true, contents: Array(repeating: 0, count: 48 * 17))
      experiment.append(
        Instruction(
          .contract(extents: [48, 1, 40]),
          operands: [View(buffer: w, strides: [40, 0, 1]), View(buffer: x, strides: [0, 0, 1])],
          results: [View(buffer: y, strides: [1, 0, 0])]))
      experiment.script = [Passage(section: 0, count: 2)]
      let observed = try experiment.run(
        on: CPU(threads: 2, instructionSet: .amx, leastShared: 0, prefersMatrixUnit: true))[y]
      for (place, result) in observed.enumerated() {
        #expect(place / 48 == 5 ? result.isNaN : result == 20, "\(value), element \(place): \(result)")
      }
    }
  }
}
