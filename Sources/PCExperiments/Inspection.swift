import PCDatasets
import PCGraphs
import PCLearning
import PCModels

/// A graph as a list of vertices, with what inference and learning need to know of each.
public struct Inspection: Sendable {
  /// One vertex.
  public struct Row: Sendable {
    /// Its path.
    public var vertex: String
    /// `relaxed`, `deterministic`, `terminal` (deterministic since only losses follow), `parametric` or `clamped`.
    public var kind: String
    /// The shape of its value.
    public var shape: Shape
    /// The numbers of relaxed vertices that its message crosses on the way from a loss, itself included.
    public var depths: [Int]
    /// Parameters that it reads.
    public var parameters: [String]
    /// Numbers in these.
    public var parameterCount: Int
    /// Bytes of its value and its message for one batch, and of the parameters.
    public var byteCount: Int
  }

  /// One for each vertex, in topological order.
  public var rows: [Row]
  /// Numbers in all parameters, each counted once.
  public var parameterCount: Int
  /// Parameters that no loss reaches: they will not change.
  public var unreachedParameters: [String]
  /// Examples in the batch whose memory is counted.
  public var batchSize: Int
  /// The rule, and the bytes that the backend takes for inference by it on one batch; nil unless measured.
  public var inference: (rule: RuleSettings, byteCount: Int)?

  /// The model of the settings, under their first rule; reads no data but one's own.
  public init(_ settings: Settings) throws { self = try Self.of(settings).inspection }

  /// The same, with the graph.
  package static func of(_ settings: Settings) throws -> (inspection: Inspection, graph: Graph) {
    let (task, count) = try settings.dataTask()
    guard settings.batchSize <= count else {
      throw DataError.batchSize(dataset: settings.dataName, size: settings.batchSize, count: count)
    }
    let model = try settings.makeModel(task)
    try settings.checkMemory(of: model.graph)
    let backend = try settings.makeBackend()
    var inspection = Inspection(
      model.graph, batchSize: settings.batchSize, scalarSize: settings.backend == .cpu ? 4 : 8)
    let rule = settings.rules[0]
    let network = try Network(model, on: backend, seed: settings.seeds[0])
    inspection.inference = (rule, try network.byteCount(rule.rule, batchSize: settings.batchSize))
    return (inspection, model.graph)
  }

  /// The vertices of any graph, without a rule to run.
  ///
  /// - Parameters:
  ///   - graph: the graph to look at.
  ///   - batchSize: examples that memory is counted for.
  ///   - scalarSize: bytes of a number on the backend: 4 on `cpu`, 8 on `reference`.
  public init(_ graph: Graph, batchSize: Int, scalarSize: Int) {
    self.batchSize = batchSize
    let byValue = Dictionary(uniqueKeysWithValues: graph.parameters.map { ($0.value, $0) })
    func count(_ parameter: Graph.Parameter) -> Int { parameter.extents.reduce(1, *) }
    let depths = graph.messageDepths()
    rows = graph.vertices.enumerated().map { index, vertex in
      var seen: Set<Int> = []
      let read = vertex.operands.filter { seen.insert($0).inserted }.compactMap { byValue[$0] }
      let shape = graph.values[vertex.result].shape
      let values = shape.count * (shape.isBatched ? batchSize : 1)
      let parameterCount = read.reduce(0) { $0 + count($1) }
      let kind =
        vertex.clamp != nil
        ? "clamped" : vertex.kind == .deterministic && vertex.isTerminal ? "terminal" : vertex.kind.rawValue
      return Row(
        vertex: vertex.name, kind: kind, shape: shape, depths: depths[index], parameters: read.map(\.name),
        parameterCount: parameterCount,
        byteCount: scalarSize * ((depths[index].isEmpty ? 1 : 2) * values + parameterCount))
    }
    parameterCount = graph.parameters.reduce(0) { $0 + count($1) }
    unreachedParameters = graph.unreachedParameters().map(\.name)
  }
}

// MARK: - Table and JSON

extension Inspection: CustomStringConvertible {
  /// The table and what there is to say about the whole.
  public var description: String {
    var lines = ["\(table)", "", "\(parameterCount) numbers in parameters; memory for batches of \(batchSize)."]
    if let inference {
      lines.append("Inference by \(inference.rule.summary) takes \(Self.bytes(inference.byteCount)) in all.")
    }
    if !unreachedParameters.isEmpty {
      lines.append("No loss reaches \(unreachedParameters.joined(separator: ", ")): they will not change.")
    }
    return lines.joined(separator: "\n")
  }

  /// The rows for people.
  public var table: ResultTable {
    ResultTable(
      ["vertex", "kind", "shape", .init("depths", .left), .init("parameters", .right), .init("memory", .right)],
      rows: rows.map { row in
        [
          row.vertex, row.kind, "\(row.shape)",
          row.depths.isEmpty ? "–" : row.depths.map(String.init).joined(separator: ", "),
          row.parameters.isEmpty ? "–" : "\(row.parameterCount)", Self.bytes(row.byteCount),
        ]
      })
  }

  /// `1.5 MB`.
  public static func bytes(_ count: Int) -> String {
    let (unit, name) = count < 1_000_000 ? (1e3, "kB") : count < 1_000_000_000 ? (1e6, "MB") : (1e9, "GB")
    return "\(NumberText.fixed(Double(count) / unit, places: 1)) \(name)"
  }

  /// One object for each vertex, and last one about the whole.
  package var jsonLines: [JSON] {
    rows.map { row in
      .object([
        ("vertex", .string(row.vertex)), ("kind", .string(row.kind)), ("shape", .string("\(row.shape)")),
        ("depths", .array(row.depths.map { .integer($0) })),
        ("parameters", .array(row.parameters.map(JSON.string))), ("parameterCount", .integer(row.parameterCount)),
        ("bytes", .integer(row.byteCount)),
      ])
    } + [
      .object([
        ("vertices", .integer(rows.count)), ("parameterCount", .integer(parameterCount)),
        ("unreachedParameters", .array(unreachedParameters.map(JSON.string))), ("batchSize", .integer(batchSize)),
        ("rule", inference.map { .string($0.rule.name.rawValue) } ?? .null),
        ("inferenceBytes", inference.map { .integer($0.byteCount) } ?? .null),
      ])
    ]
  }
}

// MARK: - Picture

extension GraphPicture {
  /// The vertices of a graph from inputs to losses. Parameters are drawn only where several vertices share one, and what
  /// is computed from labels alone is left out: losses point to the labels themselves.
  public init(title: String, _ graph: Graph) {
    var nodes: [Node] = []
    var edges: [Edge] = []
    for (index, input) in graph.inputs.enumerated() {
      nodes.append(Node("input\(index)", input.name, "\(graph.values[input.value].shape)", .input))
    }
    let readers = graph.parameters.map { parameter in
      graph.vertices.indices.filter { graph.vertices[$0].operands.contains(parameter.value) }
    }
    let shared = graph.parameters.indices.filter { readers[$0].count > 1 }
    for index in shared {
      nodes.append(
        Node("parameter\(index)", graph.parameters[index].name, "\(graph.parameters[index].extents)", .parameter))
    }

    /// The node that a value comes from; nil for parameters that are not drawn.
    func source(_ value: Int) -> String? {
      switch graph.values[value].source {
      case .input(let index): return "input\(index)"
      case .parameter(let index): return shared.contains(index) ? "parameter\(index)" : nil
      case .node(let node):
        let vertex = graph.nodes[node].vertex
        if isTarget[vertex] { return graph.vertices[vertex].operands.lazy.compactMap(source).first }
        return "vertex\(vertex)"
      }
    }
    // A vertex that reads label inputs only.
    let labels = Set(graph.inputs.filter { $0.classes != nil }.map(\.value))
    let isTarget = graph.vertices.map { !$0.operands.isEmpty && $0.operands.allSatisfy(labels.contains) }

    for (index, vertex) in graph.vertices.enumerated() where !isTarget[index] {
      let kind: Kind = vertex.clamp != nil ? .clamped : vertex.kind == .relaxed ? .relaxed : .deterministic
      nodes.append(Node("vertex\(index)", vertex.name, "\(graph.values[vertex.result].shape)", kind))
      var seen: Set<String> = []
      for operand in vertex.operands.compactMap(source) where seen.insert(operand).inserted {
        edges.append(Edge(operand, "vertex\(index)"))
      }
    }
    for (index, loss) in graph.losses.enumerated() {
      let weight = loss.weight == 1 ? "" : "weight \(NumberText.significant(loss.weight))"
      nodes.append(Node("loss\(index)", loss.function.name, weight, .loss))
      for value in [loss.prediction, loss.target] {
        if let source = source(value) { edges.append(Edge(source, "loss\(index)")) }
      }
    }
    self.init(title: title, nodes: nodes, edges: edges)
  }
}
