import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The elementary functions in Float against the C library's in Double.
@Suite struct ElementwiseTests {
  /// Applies a function to numbers that all examples share, so that rows of any length are one call.
  private func apply(_ function: Elementwise, to x: [Float], on cpu: CPU) throws -> [Double] {
    let program = Program(
      buffers: ["x", "y"].map { Buffer(name: $0, count: x.count, isBatched: false) },
      sections: [
        Section(
          name: "apply",
          instructions: [
            Instruction(
              .elementwise(function, extents: [x.count]), operands: [View(buffer: 0, strides: [1])],
              results: [View(buffer: 1, strides: [1])])
          ])
      ])
    let executable = try cpu.compile(program, batchSize: 1, bindings: [:])
    x.withUnsafeBufferPointer { executable.upload($0, to: 0) }
    executable.run([Passage(section: 0)])
    return executable.download(1)
  }

  private static let functions:
    [(function: Elementwise, oracle: @Sendable (Double) -> Double, magnitudes: ClosedRange<Double>, ulps: Double)] = [
      (.exp, { exp($0) }, 1e-6...87, 2),
      (.log, { log($0) }, 1e-37...1e38, 2),
      (.tanh, { tanh($0) }, 1e-20...20, 4),
      (.expMinusOne, { expm1($0) }, 1e-30...88, 3),
      (.softplus, { max($0, 0) + log1p(exp(-abs($0))) }, 1e-20...86, 4),
      (.normalCumulative, { erfc(-$0 / 2.0.squareRoot()) / 2 }, 1e-20...12.5, 8),
      (.sigmoid, { 1 / (1 + exp(-$0)) }, 1e-6...87, 3),
      (.sin, { sin($0) }, 1e-20...1e5, 2),
      (.cos, { cos($0) }, 1e-20...1e5, 2),
      (.tan, { tan($0) }, 1e-20...1e5, 4),
      (.sqrt, { $0.squareRoot() }, 1e-37...1e38, 0.5001),
      (.reciprocal, { 1 / $0 }, 1e-37...1e37, 0.5001),
    ]

  /// Magnitudes are spread evenly over their logarithms, with both signs, so that small arguments count as much as large
  /// ones: errors are relative to the value.
  @Test(arguments: supportedSets, functions.indices)
  func errorIsAFewUnitsInTheLastPlace(set: CPU.InstructionSet, index: Int) throws {
    let (function, oracle, range, ulps) = Self.functions[index]
    var dice = Dice(seed: UInt64(index))
    let isPositive = function == .log || function == .sqrt
    let x = (0..<200_003).map { _ in
      let magnitude = exp(Double.random(in: log(range.lowerBound)...log(range.upperBound), using: &dice))
      return Float(isPositive || Bool.random(using: &dice) ? magnitude : -magnitude)
    }
    let y = try apply(function, to: x, on: CPU(threads: 2, instructionSet: set, leastShared: 0))
    var worst = (error: 0.0, at: 0)
    for i in x.indices {
      let exact = oracle(Double(x[i]))
      guard abs(exact) >= Double(Float.leastNormalMagnitude) else { continue }
      let error = abs(y[i] - exact) / Double(Float(exact).ulp)
      if !(error <= worst.error) { worst = (error, i) }
    }
    #expect(
      worst.error <= ulps,
      "\(function)(\(x[worst.at])): expected \(oracle(Double(x[worst.at]))), observed \(y[worst.at]), \(worst.error) ulp"
    )
  }

  /// Infinities, NaN and zeros, in each position of a vector.
  @Test(arguments: supportedSets)
  func specialValues(set: CPU.InstructionSet) throws {
    let infinity = Double.infinity
    let nan = Double.nan
    let table: [(Elementwise, [(Double, Double)])] = [
      (.exp, [(infinity, infinity), (-infinity, 0), (0, 1), (nan, nan), (89, infinity), (-200, 0), (88, exp(88))]),
      (.log, [(infinity, infinity), (0, -infinity), (-1, nan), (1, 0), (nan, nan), (-infinity, nan)]),
      (.tanh, [(infinity, 1), (-infinity, -1), (0, 0), (nan, nan), (100, 1)]),
      (.sigmoid, [(infinity, 1), (-infinity, 0), (0, 0.5), (nan, nan)]),
      (
        .expMinusOne,
        [(infinity, infinity), (-infinity, -1), (0, 0), (nan, nan), (88.5, expm1(88.5)), (89, infinity)]
      ),
      (.softplus, [(infinity, infinity), (-infinity, 0), (0, log(2)), (nan, nan), (90, 90), (-200, 0)]),
      (.normalCumulative, [(infinity, 1), (-infinity, 0), (0, 0.5), (nan, nan), (20, 1), (-20, 0)]),
      (.sin, [(infinity, nan), (0, 0), (nan, nan), (3e7, sin(3e7))]),
      (.cos, [(infinity, nan), (0, 1), (nan, nan), (3e7, cos(3e7))]),
      (.tan, [(infinity, nan), (0, 0), (nan, nan), (3e7, tan(3e7))]),
      (.sqrt, [(infinity, infinity), (-1, nan), (0, 0), (nan, nan)]),
      (.reciprocal, [(infinity, 0), (0, infinity), (nan, nan)]),
      (.relu, [(infinity, infinity), (-infinity, 0), (nan, nan), (0, 0), (-2, 0), (2, 2)]),
      (.step, [(infinity, 1), (-infinity, 0), (0, 0), (nan, 0), (1e-30, 1)]),
      (.absolute, [(-infinity, infinity), (-2, 2), (nan, nan)]),
      (.clip(limit: 2), [(infinity, 2), (-infinity, -2), (nan, nan), (1, 1)]),
    ]
    let cpu = try CPU(threads: 1, instructionSet: set)
    for (function, cases) in table {
      for (argument, expected) in cases {
        for position in 0..<19 {
          var x = [Float](repeating: 0.5, count: 19)
          x[position] = Float(argument)
          let y = try apply(function, to: x, on: cpu)[position]
          let isRight = expected.isNaN ? y.isNaN : abs(y - expected) <= 2e-7 * abs(expected) || y == expected
          #expect(isRight, "\(function)(\(argument)) at \(position): expected \(expected), observed \(y)")
        }
      }
    }
  }

  /// tan near its poles and sine near multiples of π, where the reduced argument is all cancellation.
  @Test(arguments: supportedSets)
  func anglesNearMultiplesOfHalfPi(set: CPU.InstructionSet) throws {
    let x = (1...60_000).map { Float(Double($0) * Double.pi / 2) }
    let cpu = try CPU(threads: 1, instructionSet: set)
    for (function, oracle) in [(Elementwise.sin, sin), (.cos, cos), (.tan, tan)]
      as [(Elementwise, (Double) -> Double)]
    {
      let y = try apply(function, to: x, on: cpu)
      let problem = discrepancy(y, x.map { oracle(Double($0)) }) { 4 * epsilon * abs(oracle(Double(x[$0]))) }
      #expect(problem == nil, "\(function): \(problem ?? "")")
    }
  }
}
