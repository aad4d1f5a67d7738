import PredictiveCoding
import Testing

/// `tryApply` serves graphs that come from data: whatever does not fit throws a sentence, and nothing traps.
@Suite struct RefusalTests {
  /// An operation with its operands, and what the refusal must say.
  private static let cases: [(what: String, operation: any Operation, operands: [String], says: String)] = [
    ("too few", Add(), ["x"], "add takes 2 operands, not 1"),
    ("none", Pointwise(.tanh), [], "tanh takes 1 operand, not 0"),
    ("too many", MaxPool(window: 2), ["image", "image"], "max pool takes 1 operand, not 2"),
    ("nothing to join", Concatenate(axis: 0), [], "concatenate takes at least 1 operand, not 0"),
    ("too few of three", Select(), ["x", "x"], "select takes 3 operands, not 2"),
    ("vast padding", Convolve(padding: .max), ["image", "filter"], "make no sense"),
    ("vast stride", Convolve(stride: .max), ["image", "filter"], "make no sense"),
    ("vast window", MaxPool(window: .max), ["image"], "make no sense"),
    ("no elements", Reshape(to: [0, .batch, 16]), ["x"], "every axis needs at least one element"),
    ("too many elements", Reshape(to: [.batch, .fixed(1 << 62), 4]), ["x"], "too many"),
    ("batch twice", Reshape(to: [.batch, .batch, 16]), ["x"], "only one axis can hold the batch"),
    (
      "negative factors", Reshape(to: [.batch(outer: -1, inner: -16)]), ["x"], "every axis needs at least one element"
    ),
    ("labels as numbers", Pointwise(.tanh), ["label"], "tanh takes real numbers"),
    ("labels in a sum", Add(), ["x", "label"], "add takes real numbers"),
    ("numbers as labels", OneHot(classes: 3), ["x"], "one hot takes integers"),
    ("axis", Slice(axis: 5, 0..<1), ["x"], "no axis 5"),
    ("order", Transpose([0, 0]), ["x"], "no order"),
  ]

  @Test(arguments: cases.indices) func refused(index: Int) {
    let (what, operation, names, sentence) = Self.cases[index]
    let graph = GraphBuilder()
    let values: [String: Value] = [
      "x": graph.input("x", [.batch, 16]), "image": graph.input("image", [.batch, 1, 4, 4]),
      "filter": graph.parameter("filter", [2, 1, 3, 3], .zeros), "label": graph.labels("label", classes: 3).value,
    ]
    let operands = names.compactMap { values[$0] }
    #expect {
      _ = try graph.tryApply(operation, to: operands)
    } throws: { error in
      "\(error)".contains(sentence)
    }
    #expect(operands.count == names.count, "\(what)")
  }

  /// Values are numbers in their own builder; another one would read a different value.
  @Test func otherGraphs() async {
    let loss = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let (one, other) = (GraphBuilder(), GraphBuilder())
      one.loss(.squaredError(one.input("x", [.batch, 3]), other.input("t", [.batch, 3])))
    }
    let clamp = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let (one, other) = (GraphBuilder(), GraphBuilder())
      let y = tanh(one.input("x", [.batch, 3]))
      one.clamp(y, to: other.input("t", [.batch, 3]))
    }
    for result in [loss, clamp] {
      let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      let isSaid = text.contains("takes t, which belongs to another graph")
      #expect(isSaid, "\(text.prefix(300))")
    }
  }

  @Test func sequencesNeedAStep() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      GraphBuilder().unroll("time", -1) { _ in }
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    let isSaid = text.contains("the sequence time has -1 steps")
    #expect(isSaid, "\(text.prefix(300))")
  }
}
