import PredictiveCoding
import Testing

/// Misuse of the builder stops the program with a sentence on standard error that names the operands and the line.
@Suite struct MisuseTests {
  private func says(
    _ sentences: String..., observed: ExitTest.Result?, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let text = String(decoding: observed?.standardErrorContent ?? [], as: UTF8.self)
    for sentence in sentences {
      let isSaid = text.contains(sentence)
      #expect(isSaid, "expected “\(sentence)”, observed “\(text.prefix(400))”", sourceLocation: sourceLocation)
    }
  }

  // MARK: Shapes

  private static let line = #line
  /// Not in the closure of an exit test, where every line is the macro's.
  private static func buildWhatDoesNotFit() {
    _ = Model { graph in
      let x = graph.input("pixels", [.batch, 4])
      _ = matmul(x, graph.parameter("matrix", [3, 4], .zeros))
    }
  }

  @Test func functionsNameTheirLine() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      MisuseTests.buildWhatDoesNotFit()
    }
    let file = "PCGraphsTests/MisuseTests.swift"
    says(
      "\(file):\(Self.line + 5): matmul of pixels [B, 4] (made at \(file):\(Self.line + 4)) "
        + "and matrix [3, 4] (made at \(file):\(Self.line + 5))",
      "must equal", observed: result)
  }

  @Test func operatorsNameTheirOperands() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch, 4])
        let y = tanh(graph.input("y", [.batch, 3]))
        _ = x + y
      }
    }
    says(
      "add of x [B, 4] (made at", "and tanh [B, 3] (made at PCGraphsTests/MisuseTests.swift:", "4 meets 3",
      observed: result)
  }

  @Test func layersNameTheirLine() async {
    let dense = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = Dense("layer", 3)(graph.input("x", [.batch])) }
    }
    says("PCGraphsTests/MisuseTests.swift:", "layer takes values [B, …, features], not x [B]", observed: dense)
    let convolution = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = Convolution2D("layer", filters: 3, kernel: 3)(graph.input("x", [.batch, 3])) }
    }
    says("layer takes images [B, channels, rows, columns], not x [B, 3]", observed: convolution)
    let shared = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let layer = Dense("layer", 3)
        _ = layer(graph.input("x", [.batch, 5]))
        _ = layer(graph.input("y", [.batch, 4]))
      }
    }
    says("matmul of y [B, 4]", "layer.weight [5, 3]", observed: shared)
  }

  @Test func emptyAxes() async {
    let input = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.input("x", [.batch, 0]) }
    }
    says("input x has shape [B, 0]; every axis needs at least one element", observed: input)
    let parameter = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.parameter("w", [0, 3], .zeros) }
    }
    says("parameter w has shape [0, 3]", observed: parameter)
    let none = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { _ in _ = concatenate([], axis: 1) }
    }
    says("concatenate needs at least one value", observed: none)
  }

  @Test func inputsHoldTheBatch() async {
    let none = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.input("x", [3]) }
    }
    says("input x has shape [3]; one of its axes must be .batch", observed: none)
    let two = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.input("x", [.batch, .batch]) }
    }
    says("input x has shape [B, B]; only one axis can hold the batch", observed: two)
    let labels = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.labels("label", classes: 0) }
    }
    says("labels label need at least one class", observed: labels)
  }

  // MARK: Names

  @Test func twoParametersOfOneName() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        graph.scope("a") {
          _ = graph.parameter("w", [1], .zeros)
          _ = graph.parameter("w", [1], .zeros)
        }
      }
    }
    says("there are two parameters named a/w; to share one, use its value twice", observed: result)
    let layers = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = Dense("layer", 3)(Dense("layer", 3)(graph.input("x", [.batch, 3]))) }
    }
    says("there are two parameters named layer.weight", observed: layers)
    let inputs = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.input("x", [.batch]) + graph.input("x", [.batch]) }
    }
    says("there are two inputs named x", observed: inputs)
  }

  @Test func initialValuesFit() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in _ = graph.constant("w", [2, 2], [1, 2, 3]) }
    }
    says("parameter w has 4 elements and 3 initial values", observed: result)
  }

  // MARK: Groups

  @Test func innerValuesStayInside() async {
    let operation = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch])
        var inner = x
        let y = graph.vertex("group") {
          inner = tanh(x)
          return inner * 2
        }
        _ = y + inner
      }
    }
    says(
      "add takes an inner value (group.tanh) of the vertex group, which shows only its result", observed: operation)
    let loss = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch])
        var inner = x
        _ = graph.vertex("group") {
          inner = tanh(x)
          return inner * 2
        }
        graph.loss(.squaredError(inner, graph.input("t", [.batch])))
      }
    }
    says("loss reads an inner value of the vertex group", observed: loss)
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch])
        let y = tanh(x)
        _ = graph.vertex("group") {
          _ = tanh(x)
          return y
        }
      }
    }
    says("the vertex group returns tanh, which it did not compute", observed: result)
  }

  @Test func graphsDoNotMix() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let other = GraphBuilder()
      let stranger = other.input("stranger", [.batch])
      _ = Model { graph in _ = graph.input("x", [.batch]) + stranger }
    }
    says("add takes stranger, which belongs to another graph", observed: result)
  }

  // MARK: Clamps and losses

  @Test func clamps() async {
    let input = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in graph.clamp(graph.input("x", [.batch]), to: graph.input("c", [.batch])) }
    }
    says("x is no vertex's value; only a vertex can be clamped", observed: input)
    let twice = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let y = tanh(graph.input("x", [.batch]))
        let c = graph.input("c", [.batch])
        graph.clamp(y, to: c)
        graph.clamp(y, to: c)
      }
    }
    says("tanh is clamped twice", observed: twice)
    let target = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch])
        graph.clamp(tanh(x), to: sin(x))
      }
    }
    says("the target of the clamp on tanh must be an input of shape [B]", observed: target)
    let mask = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch, 2])
        graph.clamp(tanh(x), to: x, where: graph.input("mask", [.batch]))
      }
    }
    says("the mask of the clamp on tanh must be an input of shape [B, 2]", observed: mask)
  }

  @Test func losses() async {
    let shapes = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        graph.loss(.squaredError(graph.input("x", [.batch, 2]), graph.input("t", [.batch, 3])))
      }
    }
    says("loss of x [B, 2]", "and t [B, 3]", "the target must have the prediction's shape", observed: shapes)
    let classes = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        graph.loss(.crossEntropy(graph.input("x", [.batch, 2]), graph.labels("t", classes: 3)))
      }
    }
    says("the target must have the logits' shape", observed: classes)
    let axis = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        graph.loss(.crossEntropy(graph.input("x", [3, .batch]), graph.input("t", [3, .batch])))
      }
    }
    says("the last axis must hold the classes", observed: axis)
    let weight = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        graph.loss(.squaredError(graph.input("x", [.batch]), graph.input("t", [.batch])), weight: .nan)
      }
    }
    says("the weight of loss is nan", observed: weight)
    let batch = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        graph.loss(.squaredError(graph.parameter("w", [3], .zeros), graph.constant("zero", [3], [0, 0, 0])))
      }
    }
    says("loss of w [3]", "must hold the batch", observed: batch)
    let trained = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch])
        graph.loss(.squaredError(tanh(x), x * graph.parameter("w", [], .zeros)))
      }
    }
    says(
      "PCGraphsTests/MisuseTests.swift:", "the target of loss, multiply, depends on a parameter", observed: trained)
    let relaxed = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Model { graph in
        let x = graph.input("x", [.batch])
        let hidden = graph.vertex("hidden", .relaxed) { tanh(x) }
        graph.loss(.squaredError(tanh(x), hidden))
      }
    }
    says("the target of loss, hidden, depends on a parameter or a relaxed vertex", observed: relaxed)
  }

  // MARK: Graphs that come from data throw instead

  @Test func sameChecksThrow() throws {
    let graph = GraphBuilder()
    let x = graph.input("x", [.batch, 4])
    let w = graph.parameter("w", [3, 4], .zeros)
    #expect("matmul") { try graph.tryApply(MatrixProduct(), to: [x, w]) } throws: { error in
      "\(error)".contains("matmul of x [B, 4]") && "\(error)".contains("must equal")
    }
    #expect("other graph") { try graph.tryApply(Add(), to: [x, GraphBuilder().input("y", [.batch, 4])]) } throws: {
      error in
      "\(error)".contains("belongs to another graph")
    }
    // A refused operation leaves nothing behind.
    #expect(try graph.finish().vertices.isEmpty)
    graph.loss(.squaredError(tanh(x), x * 2 * graph.parameter("u", [], .zeros)))
    #expect("target") { try graph.finish() } throws: { "\($0)".contains("depends on a parameter") }
  }

  @Test func unknownNamesAreListed() async {
    let parameter = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let model = Model { graph in _ = Dense("layer", 3)(graph.input("x", [.batch, 3])) }
      _ = try Network(model, on: Reference(), seed: 1).parameter("leyer.weight")
    }
    says(
      "there is no parameter leyer.weight (did you mean layer.weight?); there are layer.weight, layer.bias",
      observed: parameter)
    let extents = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let model = Model { graph in _ = Dense("layer", 3)(graph.input("x", [.batch, 3])) }
      try Network(model, on: Reference(), seed: 1).setParameter("layer.bias", to: Tensor([2], [1, 2]))
    }
    says("parameter layer.bias has extents [3], not [2]", observed: extents)
    let tensor = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor([2, 2], [1])
    }
    says("a tensor of extents [2, 2] needs 4 values, not 1", observed: tensor)
  }
}
