import PredictiveCoding
import Testing

struct InspectionTests {
  @Test func `the paper's CNN in numbers`() throws {
    var choices = Choices(rules: [.fixed])
    choices.model = .cnn
    choices.dataset = .cifar10
    choices.batchSize = 2
    let inspection = try Inspection(Settings(choices))
    // 3·6·5·5, 6·16·5·5, 1600·200, 200·150, 150·10
    #expect(
      inspection.rows.filter { $0.parameterCount > 0 }.map(\.parameterCount) == [450, 2400, 320_000, 30_000, 1500])
    #expect(inspection.parameterCount == 354_350)
    let rows = Dictionary(uniqueKeysWithValues: inspection.rows.map { ($0.vertex, $0) })
    #expect(
      ["conv1", "pool1", "conv2", "dense1", "dense2", "output"].map { rows[$0]?.depths } == [
        [5], [4], [3], [2], [1], [0],
      ])
    #expect(["conv1", "output", "reshape"].map { rows[$0]?.kind } == ["relaxed", "terminal", "deterministic"])
    #expect(rows["conv1"].map { "\($0.shape)" } == "[B, 6, 28, 28]")
    // Value and message of two examples, and the weights, in Float.
    #expect(rows["conv1"]?.byteCount == 4 * (2 * 2 * 6 * 28 * 28 + 450))
    #expect((inspection.inference?.byteCount ?? 0) > 0)
  }

  @Test func `a batch larger than the published set is refused`() throws {
    var choices = Choices(rules: [.fixed])
    choices.hidden = [2]
    choices.batchSize = 1437
    #expect(try Inspection(Settings(choices)).batchSize == 1437)
    choices.batchSize = 1438
    #expect(throws: DataError.batchSize(dataset: "digits", size: 1438, count: 1437)) {
      try Inspection(Settings(choices))
    }
  }

  @Test func `parameters that no loss reaches are listed`() {
    let model = Model { graph in
      let x = graph.input("x", [.batch, 3])
      _ = Dense("lost", 2)(x)
      graph.loss(.squaredError(Dense("used", 2)(x), graph.input("target", [.batch, 2])))
    }
    let inspection = Inspection(model.graph, batchSize: 1, scalarSize: 8)
    #expect(inspection.unreachedParameters == ["lost.weight", "lost.bias"])
    #expect(inspection.description.contains("No loss reaches lost.weight, lost.bias"))
  }

  @Test func `pictures show shared parameters and losses at their labels`() throws {
    let model = try NamedModel.branching.build(ImageTask(inputShape: [1, 8, 8], classes: 10))
    let picture = GraphPicture(title: "", model.graph)
    #expect(picture.nodes.filter { $0.kind == .parameter }.map(\.label) == ["shared.weight", "shared.bias"])
    #expect(picture.nodes.count { $0.kind == .loss } == 2)
    #expect(!picture.nodes.contains { $0.label.hasPrefix("one hot") })
    let label = try #require(picture.nodes.first { $0.label == "label" })
    #expect(picture.edges.count { $0.source == label.id } == 2)
    // A vertex for each of the model's own, and 64·64 + 64 shared numbers read by two of them.
    let shared = picture.nodes.filter { $0.kind == .parameter }.map(\.id)
    #expect(shared.allSatisfy { id in picture.edges.count { $0.source == id } == 2 })
  }
}
