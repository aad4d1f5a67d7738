import PCKernels
import PCKernelsCPU
import PCPrimitives
import Testing

/// Small cases worked out by hand: the reference is the oracle of everything else, so it needs one of its own.
@Suite struct ReferenceTests {
  /// Runs one instruction whose operands and first result are the given numbers, on the reference and on the CPU.
  private func check(
    _ primitive: Primitive, operands: [(view: View, values: [Double], batched: Bool)], result: View, old: [Double],
    batched: Bool, batch: Int, alpha: Double = 1, beta: Double = 0, extraResult: (View, Int)? = nil,
    expected: [Double], extraExpected: [Double]? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for backend in [Reference(), try CPU(threads: 2, leastShared: 0)] as [any Backend] {
      var experiment = Experiment(batch: batch)
      var views: [View] = []
      for (view, values, isBatched) in operands {
        var view = view
        view.buffer = experiment.buffer(
          "operand", count: values.count / (isBatched ? batch : 1), batched: isBatched, contents: values)
        views.append(view)
      }
      var target = result
      target.buffer = experiment.buffer(
        "result", count: old.count / (batched ? batch : 1), batched: batched, contents: old)
      var results = [target]
      if let (view, count) = extraResult {
        var view = view
        view.buffer = experiment.buffer(
          "second", count: count, batched: batched,
          contents: Array(repeating: 0, count: count * (batched ? batch : 1)))
        results.append(view)
      }
      experiment.append(
        Instruction(primitive, operands: views, results: results, alpha: .constant(alpha), beta: .constant(beta)))
      let found = try experiment.run(on: backend)
      #expect(found[target.buffer] == expected, "\(backend.name)", sourceLocation: sourceLocation)
      if let extraExpected {
        #expect(found[results[1].buffer] == extraExpected, "\(backend.name)", sourceLocation: sourceLocation)
      }
    }
  }

  private func view(_ strides: [Int], offset: Int = 0) -> View { View(buffer: 0, offset: offset, strides: strides) }

  /// [1 2; 3 4] (5, 6)ᵀ = (17, 39)ᵀ, and its blend 2 · (17, 39) + 10 · (1, 2).
  @Test func matrixTimesVector() throws {
    try check(
      .contract(extents: [2, 1, 2]),
      operands: [(view([2, 0, 1]), [1, 2, 3, 4], false), (view([0, 0, 1]), [5, 6], true)], result: view([1, 0, 0]),
      old: [1, 2], batched: true, batch: 1, alpha: 2, beta: 10, expected: [44, 98])
  }

  /// Σ over the examples of (1, 2)(3, 4)ᵀ and (5, 6)(7, 8)ᵀ.
  @Test func outerProductsAreSummedOverTheExamples() throws {
    try check(
      .contract(extents: [2, 2, 1]),
      operands: [(view([1, 0, 0]), [1, 2, 5, 6], true), (view([0, 1, 0]), [3, 4, 7, 8], true)],
      result: view([2, 1, 0]), old: [.nan, .nan, .nan, .nan], batched: false, batch: 2, expected: [38, 44, 48, 56])
  }

  /// A transposed view of [1 2 3; 4 5 6], less the bias (1, 1) that every row shares.
  @Test func viewsTransposeAndBroadcast() throws {
    try check(
      .elementwise(.subtract, extents: [3, 2]),
      operands: [(view([1, 3]), [1, 2, 3, 4, 5, 6], true), (view([0, 0]), [1], false)], result: view([2, 1]),
      old: Array(repeating: 0, count: 6), batched: true, batch: 1, expected: [0, 3, 1, 4, 2, 5])
  }

  @Test func reductions() throws {
    let rows: [Double] = [1, 2, 3, 30, 20, 10]
    try check(
      .reduce(.sum, extents: [2, 3], reduced: [false, true]), operands: [(view([3, 1]), rows, true)],
      result: view([1, 0]), old: [0, 0], batched: true, batch: 1, expected: [6, 60])
    try check(
      .reduce(.maximum, extents: [2, 3], reduced: [true, false]), operands: [(view([3, 1]), rows, true)],
      result: view([0, 1]), old: [0, 0, 0], batched: true, batch: 1, expected: [30, 20, 10])
    // log(e⁰ + e⁰) − beyond 1000, where the naive sum overflows.
    try check(
      .reduce(.logSumExp, extents: [1], reduced: [true]), operands: [(view([1]), [1000], true)], result: view([0]),
      old: [0], batched: true, batch: 1, expected: [1000])
    // One number per example, summed over both.
    try check(
      .reduce(.sum, extents: [3], reduced: [false]), operands: [(view([1]), rows, true)], result: view([1]),
      old: [100, 100, 100], batched: false, batch: 2, beta: 1, expected: [131, 122, 113])
  }

  /// The image 1…9 and the filter [1 2; 3 4]; its transpose on the message (1, 10, 100, 1000).
  @Test func convolution() throws {
    let c = Convolution(inputChannels: 1, outputChannels: 1, input: Extent(3, 3), kernel: Extent(2, 2))
    let image: [Double] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    let message: [Double] = [1, 10, 100, 1000]
    let filter: [Double] = [1, 2, 3, 4]
    try check(
      .convolve(c), operands: [(view([9, 3, 1]), image, true), (view([4, 4, 2, 1]), filter, false)],
      result: view([4, 2, 1]), old: Array(repeating: .nan, count: 4), batched: true, batch: 1,
      expected: [37, 47, 67, 77])
    try check(
      .convolveInputGradient(c), operands: [(view([4, 2, 1]), message, true), (view([4, 4, 2, 1]), filter, false)],
      result: view([9, 3, 1]), old: Array(repeating: .nan, count: 9), batched: true, batch: 1,
      expected: [1, 12, 20, 103, 1234, 2040, 300, 3400, 4000])
    try check(
      .convolveFilterGradient(c), operands: [(view([9, 3, 1]), image, true), (view([4, 2, 1]), message, true)],
      result: view([4, 4, 2, 1]), old: Array(repeating: .nan, count: 4), batched: false, batch: 1,
      expected: [5421, 6532, 8754, 9865])
  }

  /// The first of equals wins; an element that wins twice gets both messages.
  @Test func pooling() throws {
    let p = Pooling(channels: 1, input: Extent(1, 4), window: Extent(1, 2), stride: Extent(1, 1))
    try check(
      .maxPool(p), operands: [(view([4, 4, 1]), [3, 3, 5, 1], true)], result: view([3, 3, 1]),
      old: [0, 0, 0], batched: true, batch: 1, extraResult: (view([3, 3, 1]), 3), expected: [3, 5, 5],
      extraExpected: [0, 1, 0])
    try check(
      .maxPoolGradient(p), operands: [(view([3, 3, 1]), [1, 10, 100], true), (view([3, 3, 1]), [0, 1, 0], true)],
      result: view([4, 4, 1]), old: [1, 1, 1, 1], batched: true, batch: 1, beta: 1, expected: [2, 1, 111, 1])
  }

  @Test func oneHotCodes() throws {
    try check(
      .oneHot(extents: [2], classes: 3), operands: [(view([1]), [2, 0, 1, 7], true)], result: view([3, 1]),
      old: Array(repeating: .nan, count: 12), batched: true, batch: 2,
      expected: [0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0])
  }

  @Test func rowsOfATable() throws {
    // Two examples of two indices, the last of which is outside of the table.
    try check(
      .gather(extents: [2], rows: 3, width: 2),
      operands: [(view([1]), [2, 0, 1, 7], true), (view([2, 1]), [10, 11, 20, 21, 30, 31], false)],
      result: view([2, 1]), old: Array(repeating: 1, count: 8), batched: true, batch: 2, beta: 1,
      expected: [31, 32, 11, 12, 21, 22, 1, 1])
    try check(
      .gatherGradient(extents: [2], rows: 3, width: 1),
      operands: [(view([1]), [2, 0, 2, 7], true), (view([1, 1]), [1, 10, 100, 1000], true)],
      result: view([1, 1]), old: [5, 5, 5], batched: false, batch: 2, beta: 1, expected: [15, 5, 106])
  }

  @Test func foreignCode() throws {
    let swap = Foreign(name: "swap", operandCounts: [2], resultCount: 2) { [$0[0][1], $0[0][0]] }
    try check(
      .foreign(swap), operands: [(view([1]), [1, 2, 3, 4], true)], result: view([1]), old: [10, 10, 10, 10],
      batched: true, batch: 2, alpha: -1, beta: 1, expected: [8, 9, 6, 7])
  }
}
