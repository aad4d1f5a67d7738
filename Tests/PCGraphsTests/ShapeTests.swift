import PredictiveCoding
import Testing

/// What each operation makes of its operands' shapes, and what it says of those that do not fit.
@Suite struct ShapeTests {
  static let doubleBatch = Axis.batch(outer: 1, inner: 2)

  struct Rule: Sendable, CustomStringConvertible {
    var operation: any PCGraphs.Operation
    var operands: [Shape]
    var result: Shape
    var description: String { "\(operation.name) \(operation.attributes) of \(operands)" }

    init(_ operation: any PCGraphs.Operation, _ operands: Shape..., gives result: Shape) {
      (self.operation, self.operands, self.result) = (operation, operands, result)
    }
  }

  @Test(arguments: [
    Rule(Add(), [.batch, 3], [3], gives: [.batch, 3]),
    Rule(Add(), [2, 1], [.batch, 1, 3], gives: [.batch, 2, 3]),
    Rule(Multiply(), [1, 3], [.batch, 3], gives: [.batch, 3]),
    Rule(Multiply(), [doubleBatch, 1], [doubleBatch, 3], gives: [doubleBatch, 3]),
    Rule(Subtract(), [2, .batch], [2, 1], gives: [2, .batch]),
    Rule(Divide(), [], [.batch], gives: [.batch]),
    Rule(MatrixProduct(), [.batch, 4], [4, 3], gives: [.batch, 3]),
    Rule(MatrixProduct(), [doubleBatch, 4], [4, 3], gives: [doubleBatch, 3]),
    Rule(MatrixProduct(), [.batch, 2, 4], [4, 3], gives: [.batch, 2, 3]),
    Rule(MatrixProduct(), [.batch, 2, 4], [.batch, 4, 3], gives: [.batch, 2, 3]),
    Rule(MatrixProduct(), [5, 4], [4, .batch], gives: [5, .batch]),
    Rule(Convolve(stride: 2, padding: 1), [.batch, 3, 5, 6], [4, 3, 3, 3], gives: [.batch, 4, 3, 3]),
    Rule(Convolve(), [.batch, 3, 32, 32], [6, 3, 5, 5], gives: [.batch, 6, 28, 28]),
    Rule(MaxPool(window: 2), [.batch, 6, 5, 4], gives: [.batch, 6, 2, 2]),
    Rule(MaxPool(window: 3, stride: 1), [.batch, 6, 5, 4], gives: [.batch, 6, 3, 2]),
    Rule(Sum(axes: [-1]), [.batch, 2, 3], gives: [.batch, 2]),
    Rule(Sum(axes: [1, 2], keepsAxes: true), [.batch, 2, 3], gives: [.batch, 1, 1]),
    Rule(Concatenate(axis: -1), [.batch, 2], [.batch, 3], gives: [.batch, 5]),
    Rule(Slice(axis: -1, 1..<3), [2, .batch, 4], gives: [2, .batch, 2]),
    Rule(Transpose([2, 0, 1]), [.batch, 2, 3], gives: [3, .batch, 2]),
    Rule(OneHot(classes: 5), [.batch, 2], gives: [.batch, 2, 5]),
    Rule(Gather(), [.batch, 2], [7, 3], gives: [.batch, 2, 3]),
    Rule(Dropout(rate: 0.5), [.batch, 2], [.batch, 1], gives: [.batch, 2]),
    Rule(Prior(shape: [.batch, 3]), [3], gives: [.batch, 3]),

    // The batch keeps its place among the elements, with the factors that it meets.
    Rule(Reshape(to: [.batch, 6]), [.batch, 2, 3], gives: [.batch, 6]),
    Rule(Reshape(to: [.batch(outer: 1, inner: 2), 3]), [.batch, 2, 3], gives: [doubleBatch, 3]),
    Rule(Reshape(to: [.batch, 2, 3]), [doubleBatch, 3], gives: [.batch, 2, 3]),
    Rule(Reshape(to: [2, .batch, 3]), [.batch(outer: 2, inner: 3)], gives: [2, .batch, 3]),
    Rule(Reshape(to: [.batch(outer: 1, inner: 6)]), [2, .batch, 3], gives: [.batch(outer: 2, inner: 3)]),
    Rule(Reshape(to: [3, .batch(outer: 1, inner: 4)]), [6, .batch, 2], gives: [3, .batch(outer: 2, inner: 2)]),
    Rule(Reshape(to: [3, 2]), [2, 3], gives: [3, 2]),
  ]) func result(rule: Rule) throws {
    #expect(try rule.operation.shape(rule.operands) == rule.result, "\(rule)")
  }

  struct Refusal: Sendable, CustomStringConvertible {
    var operation: any PCGraphs.Operation
    var operands: [Shape]
    var sentence: String
    var description: String { "\(operation.name) \(operation.attributes) of \(operands)" }

    init(_ operation: any PCGraphs.Operation, _ operands: Shape..., says sentence: String) {
      (self.operation, self.operands, self.sentence) = (operation, operands, sentence)
    }
  }

  @Test(arguments: [
    Refusal(Add(), [.batch, 3], [.batch, 4], says: "do not broadcast: 3 meets 4"),
    Refusal(Add(), [.batch, 3], [2, 3], says: "do not broadcast: B meets 2"),
    Refusal(Multiply(), [.batch, 1], [1, .batch], says: "hold the batch on different axes"),
    Refusal(Multiply(), [doubleBatch, 3], [.batch, 3], says: "do not broadcast: B·2 meets B"),
    Refusal(MatrixProduct(), [.batch, 4], [3, 4], says: "the last axis of the first, 4, must equal"),
    Refusal(MatrixProduct(), [.batch], [4, 3], says: "at least two axes"),
    Refusal(MatrixProduct(), [3, .batch], [.batch, 3], says: "must equal"),
    Refusal(MatrixProduct(), [.batch, 4], [4, .batch], says: "both hold the batch"),
    Refusal(Convolve(), [.batch, 3, 8, 8], [4, 2, 3, 3], says: "the image has 3 channels, the filter takes 2"),
    Refusal(Convolve(), [.batch, 3, 2, 2], [4, 3, 3, 3], says: "the kernel is larger than the image"),
    Refusal(
      Convolve(), [3, .batch, 8, 8], [4, 3, 3, 3], says: "images must have shape [B, channels, rows, columns]"),
    Refusal(Convolve(), [.batch, 3, 8, 8], [.batch, 3, 3, 3], says: "without a batch"),
    Refusal(Convolve(stride: 0), [.batch, 3, 8, 8], [4, 3, 3, 3], says: "stride 0"),
    Refusal(Convolve(padding: -1), [.batch, 3, 8, 8], [4, 3, 3, 3], says: "padding -1"),
    Refusal(MaxPool(window: 9), [.batch, 3, 8, 8], says: "the window of 9 is larger than the image"),
    Refusal(MaxPool(window: 0), [.batch, 3, 8, 8], says: "window 0"),
    Refusal(MaxPool(window: 2), [.batch, 3], says: "images must have shape"),
    Refusal(Sum(axes: [0]), [.batch, 3], says: "the sum over the batch would couple the examples"),
    Refusal(Sum(axes: [-2], isMean: true), [.batch, 3], says: "the mean over the batch"),
    Refusal(Sum(axes: [2]), [.batch, 3], says: "has no axis 2"),
    Refusal(Slice(axis: 0, 0..<1), [.batch, 3], says: "the batch cannot be sliced"),
    Refusal(Slice(axis: 1, 2..<4), [.batch, 3], says: "axis 1 of [B, 3] has no elements 2..<4"),
    Refusal(Slice(axis: 1, 1..<1), [.batch, 3], says: "has no elements"),
    Refusal(Concatenate(axis: 0), [.batch, 3], [.batch, 3], says: "cannot be joined"),
    Refusal(Concatenate(axis: 1), [.batch, 3], [3, .batch], says: "cannot be joined"),
    Refusal(Concatenate(axis: 2), [.batch, 2, 3], [.batch, 1, 3], says: "differ in axis 1"),
    Refusal(Concatenate(axis: 1), says: "at least one operand"),
    Refusal(Transpose([0, 0]), [.batch, 3], says: "is no order of the axes"),
    Refusal(Transpose([0]), [.batch, 3], says: "is no order of the axes"),
    Refusal(Reshape(to: [.batch, 5]), [.batch, 2, 3], says: "has 6 elements for each example"),
    Refusal(Reshape(to: [6]), [.batch, 2, 3], says: "does not hold the batch"),
    Refusal(Reshape(to: [2, .batch, 3]), [.batch, 2, 3], says: "the batch of [B, 2, 3] cannot lie on axis 1"),
    Refusal(Reshape(to: [.batch, 6]), [6], says: "elements"),
    Refusal(Prior(shape: [3]), says: "must hold the batch once"),
    Refusal(Prior(shape: [.batch, 3]), [4], says: "do not broadcast"),
    Refusal(Prior(shape: [.batch, 1]), [3], says: "does not broadcast to [B, 1]"),
  ]) func refusal(refusal: Refusal) {
    #expect("\(refusal)") { try refusal.operation.shape(refusal.operands) } throws: { error in
      "\(error)".contains(refusal.sentence)
    }
  }

  /// Reshaping and transposing move elements as they do in memory, whatever axis holds the batch: against nested loops
  /// over the whole array, the batch among its axes.
  @Test(arguments: 1...3) func batchFactorsMoveElements(batchSize: Int) throws {
    let model = Model { graph in
      let x = graph.input("x", [2, .batch, 3])
      let swallowed = x.reshaped([.batch(outer: 2, inner: 3)])
      let back = graph.vertex("back", .relaxed) { swallowed.reshaped([2, .batch, 3]) * 1 }
      let turned = graph.vertex("turned", .relaxed) { x.transposed([1, 2, 0]).reshaped([.batch, 6]) * 1 }
      let doubled = graph.vertex("doubled", .relaxed) {
        x.transposed([1, 0, 2]).reshaped([.batch(outer: 1, inner: 2), 3]) * 1
      }
      let sum = back.sum() + turned.sum() + doubled.reshaped([.batch, 6]).sum()
      graph.loss(.squaredError(sum, graph.input("t", [.batch])))
    }
    let network = try Network(model, on: Reference(), seed: 1)
    // Number (i, b, k) of the whole array [2, B, 3] is 100 i + 10 b + k; feeds are example by example.
    var numbers: [Double] = []
    var turned: [Double] = []
    for b in 0..<batchSize {
      for i in 0..<2 { for k in 0..<3 { numbers.append(Double(100 * i + 10 * b + k)) } }
      for k in 0..<3 { for i in 0..<2 { turned.append(Double(100 * i + 10 * b + k)) } }
    }
    let feed = Feed(
      count: batchSize, ["x": .doubles(numbers), "t": .doubles(Array(repeating: 0, count: batchSize))])
    let run = try network.run(Backprop(), on: feed)
    run.runAll()
    #expect(run["back"].value.values == numbers)
    #expect(run["turned"].value.values == turned)
    #expect(run["doubled"].value.values == numbers)
  }
}
