import PredictiveCoding
import Testing

extension Graph {
  func kind(_ name: String) -> Kind? { vertices.first { $0.name == name }?.kind }
  func depths(_ name: String) -> [Int]? {
    vertices.firstIndex { $0.name == name }.map { messageDepths()[$0] }
  }
  func parameterDepths(_ name: String) -> [Int]? {
    parameters.first { $0.name == name }.map { gradientDepths(ofValue: $0.value) }
  }
}

/// Which vertices there are, of which kind, under which names, and how deep they lie.
@Suite struct VertexTests {
  // MARK: Kinds

  @Test func defaultKinds() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 2, 3])
      let hidden = tanh(x)  // an operation of its own: relaxed
      let flat = hidden.flattened()  // structural
      let layer = Dense("layer", 4, activation: .tanh)(flat)
      let left = layer.sliced(axis: 1, 0..<2)  // structural, between relaxed ones
      let square = graph.vertex("square") { left * left }
      let head = Dense("head", 3)(square)  // meets the loss alone: terminal
      graph.loss(.squaredError(head, graph.labels("label", classes: 3)))
    }.graph
    #expect(graph.kind("tanh") == .relaxed)
    #expect(graph.kind("reshape") == .deterministic)
    #expect(graph.kind("layer") == .relaxed)
    #expect(graph.kind("slice") == .deterministic)
    #expect(graph.kind("square") == .relaxed)
    #expect(graph.kind("head") == .deterministic)
    #expect(graph.kind("one hot") == .deterministic)
    #expect(graph.vertices.filter(\.isTerminal).map(\.name) == ["head"])
    #expect(graph.depths("head") == [0])
    #expect(graph.depths("square") == [1])
    #expect(graph.depths("slice") == [1])
    #expect(graph.depths("layer") == [2])
    #expect(graph.depths("reshape") == [2])
    #expect(graph.depths("tanh") == [3])
    #expect(graph.parameterDepths("head.weight") == [0])
    #expect(graph.parameterDepths("layer.bias") == [2])
    #expect(graph.gradientDepths(ofValue: graph.inputs[0].value) == [3])
  }

  /// Structural vertices between a vertex and its loss leave it terminal; several losses do too.
  @Test func terminalThroughStructure() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 4])
      let y = graph.vertex("y") { tanh(x) * 2 }
      graph.loss(.squaredError(y.sliced(axis: 1, 0..<2), graph.input("t", [.batch, 2])))
      graph.loss(.squaredError(y.reshaped([.batch, 2, 2]), graph.input("u", [.batch, 2, 2])))
      graph.loss(.squaredError(y, graph.input("v", [.batch, 4])))
    }.graph
    #expect(graph.kind("y") == .deterministic)
    #expect(graph.vertices[0].isTerminal)
    #expect(graph.depths("y") == [0])
  }

  /// One that feeds a loss and another vertex is relaxed, and so has two depths further up.
  @Test func lossAndAnotherReader() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 4])
      let first = Dense("first", 4, activation: .tanh)(x)
      let y = Dense("y", 4)(first)
      let z = Dense("z", 2, activation: .tanh)(y)
      let out = Dense("out", 2)(z)
      graph.loss(.squaredError(y, graph.input("t", [.batch, 4])))
      graph.loss(.squaredError(out, graph.input("u", [.batch, 2])))
    }.graph
    #expect(graph.kind("y") == .relaxed)
    #expect(graph.depths("y") == [1, 2])
    #expect(graph.depths("first") == [2, 3])
    #expect(graph.kind("out") == .deterministic)
  }

  /// A terminal vertex may be declared relaxed: one more on every path.
  @Test func declaredKinds() {
    func graph(_ kind: Graph.Kind?) -> Graph {
      Model { graph in
        let x = graph.input("x", [.batch, 4])
        let hidden = graph.vertex("hidden") { tanh(x) }
        let y = graph.vertex("y", kind) { hidden * graph.parameter("w", [4], .zeros) }
        graph.loss(.squaredError(y, graph.input("t", [.batch, 4])))
      }.graph
    }
    #expect(graph(nil).kind("y") == .deterministic)
    #expect(graph(nil).depths("hidden") == [1])
    #expect(graph(.relaxed).kind("y") == .relaxed)
    #expect(graph(.relaxed).depths("y") == [1])
    #expect(graph(.relaxed).depths("hidden") == [2])
    #expect(graph(.relaxed).parameterDepths("w") == [1])
    let structural = Model { graph in
      let x = graph.input("x", [.batch, 4])
      let carried = graph.vertex("carried", .relaxed) { x }
      let through = graph.vertex("through", .deterministic) { tanh(carried) }
      graph.loss(.squaredError(tanh(through), graph.input("t", [.batch, 4])))
    }.graph
    #expect(structural.kind("carried") == .relaxed)
    #expect(structural.kind("through") == .deterministic)
    #expect(structural.depths("carried") == [1])
  }

  @Test func branchesHaveSeveralDepths() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 4])
      var y = Dense("stem", 4, activation: .tanh)(x)
      for index in 1...3 {
        let inner = Dense("inner\(index)", 4, activation: .tanh)(y)
        let stem = y
        y = graph.vertex("sum\(index)") { stem + inner }
      }
      graph.loss(.squaredError(Dense("head", 2)(y), graph.input("t", [.batch, 2])))
    }.graph
    #expect(graph.depths("sum3") == [1])
    #expect(graph.depths("inner3") == [2])
    #expect(graph.depths("sum2") == [2, 3])
    #expect(graph.depths("stem") == [4, 5, 6, 7])
    #expect(graph.parameterDepths("stem.weight") == [4, 5, 6, 7])
    let above = graph.relaxedAncestors()
    #expect(graph.vertices.firstIndex { $0.name == "head" }.map { above[$0] } == 7)
    #expect(graph.vertices.firstIndex { $0.name == "stem" }.map { above[$0] } == 0)
  }

  /// Functions of parameters alone hold no batch, pass gradients on, and add nothing to depths.
  @Test func parametric() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 4])
      let w = graph.parameter("w", [4, 3], .glorot)
      let hidden = graph.vertex("hidden") { tanh(matmul(x, w)) }
      let tied = w.transposed()
      let scaled = graph.vertex("scaled") { tied * 2 }
      graph.loss(.squaredError(matmul(hidden, scaled), graph.input("t", [.batch, 4])))
    }.graph
    #expect(graph.kind("transpose") == .parametric)
    #expect(graph.kind("scaled") == .parametric)
    #expect(graph.parameterDepths("w") == [0, 1])
    #expect(graph.depths("transpose") == [0])
  }

  @Test func clampsStartAtZero() {
    func graph(masked: Bool) -> Graph {
      Model { graph in
        let x = graph.input("x", [.batch, 4])
        let first = graph.vertex("first") { tanh(x) }
        let held = graph.vertex("held") { tanh(first) }
        let after = graph.vertex("after") { tanh(held) }
        graph.loss(.squaredError(after * 2, graph.input("t", [.batch, 4])))
        graph.clamp(
          held, to: graph.input("c", [.batch, 4]), where: masked ? graph.input("mask", [.batch, 4]) : nil)
      }.graph
    }
    // Nothing of the loss passes a wholly clamped vertex.
    #expect(graph(masked: false).depths("held") == [0])
    #expect(graph(masked: false).depths("first") == [1])
    #expect(graph(masked: true).depths("held") == [0, 2])
    #expect(graph(masked: true).depths("first") == [1, 3])
  }

  @Test func unreached() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 4])
      let idle = Dense("idle", 3)(x)
      _ = Dense("idle2", 3)(idle)
      graph.loss(.squaredError(Dense("y", 2)(x), graph.input("t", [.batch, 2])))
    }.graph
    #expect(graph.unreachedParameters().map(\.name) == ["idle.weight", "idle.bias", "idle2.weight", "idle2.bias"])
    #expect(graph.depths("idle") == [])
    #expect(graph.parameterDepths("idle.weight") == [])
  }

  // MARK: Groups and sharing

  @Test func groups() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 3])
      let w = graph.parameter("w", [3], .zeros)
      // v·v and a nested vertex: one vertex of five operations that reads x twice and w once.
      let y = graph.vertex("outer") {
        let inner = graph.vertex("inner") { tanh(x) }
        return inner * inner + x * w
      }
      graph.loss(.squaredError(y, graph.input("t", [.batch, 3])))
    }.graph
    #expect(graph.vertices.map(\.name) == ["outer"])
    #expect(graph.vertices[0].nodes.count == 4)
    #expect(graph.vertices[0].operands.map { graph.values[$0].name } == ["x", "x", "w"])
    #expect(graph.children() == [[]])
    #expect(graph.lossesFed() == [[0]])
  }

  @Test func layersShareTheirParameters() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 3])
      let shared = Dense("shared", 3, activation: .tanh)
      graph.loss(.squaredError(shared(shared(x)), graph.input("t", [.batch, 3])))
    }.graph
    #expect(graph.parameters.map(\.name) == ["shared.weight", "shared.bias"])
    #expect(graph.vertices.map(\.name) == ["shared", "shared#2"])
    #expect(graph.parameterDepths("shared.weight") == [0, 1])
  }

  // MARK: Names

  @Test func names() {
    let graph = Model { graph in
      let x = graph.input("x", [.batch, 3])
      let a = tanh(x)
      let b = tanh(a)
      let c = graph.scope("block") {
        graph.scope("inner") { Dense("layer", 2)(tanh(b)) }
      }
      _ = graph.vertex("named#2") { tanh(x) }
      _ = graph.vertex("named") { tanh(x) }
      _ = graph.vertex("named") { tanh(x) }
      graph.loss(.squaredError(c, graph.input("t", [.batch, 2])))
      graph.scope("aux") { graph.loss(.squaredError(c, graph.input("t", [.batch, 2])), weight: 0.5) }
      graph.loss(.squaredError(c, graph.input("u", [.batch, 2])), name: "third")
    }.graph
    #expect(
      graph.vertices.map(\.name)
        == ["tanh", "tanh#2", "block/inner/tanh", "block/inner/layer", "named#2", "named", "named#3"])
    #expect(Set(graph.vertices.map(\.name)).count == graph.vertices.count)
    #expect(graph.parameters.map(\.name) == ["block/inner/layer.weight", "block/inner/layer.bias"])
    #expect(graph.losses.map(\.name) == ["loss", "aux/loss#2", "third"])
    #expect(graph.losses.map(\.weight) == [1, 0.5, 1])
    #expect(graph.inputs.map(\.name) == ["x", "t", "aux/t", "u"])
  }

  @Test func modelsHaveTheirShapes() throws {
    let paper = try NamedModel.cnn.build(ImageTask(inputShape: [3, 32, 32], classes: 10)).graph
    #expect(
      paper.parameters.map(\.extents) == [
        [6, 3, 5, 5], [16, 6, 5, 5], [1600 / 4 * 4, 200], [200, 150], [150, 10],
      ])
    #expect(paper.parameterDepths("conv1.weight") == [5])
    #expect(paper.parameterDepths("output.weight") == [0])
    let digits = try NamedModel.cnn.build(ImageTask(inputShape: [1, 8, 8], classes: 10)).graph
    #expect(digits.parameters.first { $0.name == "dense1.weight" }?.extents == [256, 200])
    let mlp = try NamedModel.mlp.build(ImageTask(inputShape: [1, 8, 8], classes: 10)).graph
    #expect(mlp.parameters.map(\.extents) == [[64, 512], [512], [512, 512], [512], [512, 10], [10]])
    for model in NamedModel.allCases {
      #expect(throws: ModelError.self) { try model.build(ImageTask(inputShape: [1, 8], classes: 10)) }
      #expect(throws: ModelError.self) { try model.build(ImageTask(inputShape: [1, 0, 8], classes: 10)) }
      #expect(throws: ModelError.self) { try model.build(ImageTask(inputShape: [1, 8, 8], classes: 0)) }
    }
    for model in [NamedModel.cnn, .residual] {
      #expect(throws: ModelError.self) { try model.build(ImageTask(inputShape: [1, 1, 9], classes: 10)) }
    }
    #expect(throws: ModelError.self) {
      try NamedModel.cnn.build(ImageTask(inputShape: [1, 8, 8], classes: 2), hidden: [3])
    }
    #expect(throws: ModelError.self) {
      try NamedModel.mlp.build(ImageTask(inputShape: [1, 8, 8], classes: 2), hidden: [3, 0])
    }
  }
}
