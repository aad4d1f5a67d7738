import PCPrimitives

/// A symbolic value: what inputs, parameters and operations give while a graph is being built.
///
/// Operators and functions on values apply operations; ordinary Swift (branches, loops, functions) shapes the graph.
public struct Value {
  /// The graph under construction that the value belongs to.
  public let graph: GraphBuilder
  let id: Int

  /// Its axes; the batch prints as `B`.
  public var shape: Shape { graph.graph.values[id].shape }
  /// Its path: the vertex's where the value is a vertex's result.
  public var name: String { graph.graph.values[id].name }
}

/// Class labels: an input of integers, one for each example (or position), that losses compare with.
public struct Labels {
  /// The input of integers.
  public let value: Value
  /// Labels are 0 ..< `classes`; a batch with another one is refused.
  public let classes: Int

  /// 1 at the label's place, 0 elsewhere: `shape + [classes]`.
  public func oneHot() -> Value { value.graph.apply(OneHot(classes: classes), to: [value]) }
}

/// Records a graph while Swift code runs.
///
/// ```swift
/// let model = Model { graph in
///   let x = graph.input("x", [.batch, 2])
///   let w = graph.parameter("w", [2, 3], .glorot)
///   let y = graph.vertex("hidden") { tanh(matmul(x, w)) }     // one vertex of two operations
///   graph.loss(.squaredError(y, graph.input("target", [.batch, 3])))
/// }
/// ```
///
/// Misuse (shapes that do not fit, a name used twice, an inner value of a vertex used outside) stops the program with
/// a sentence that names the operands and where they were made.
public final class GraphBuilder {
  var graph = Graph()
  private var scopes: [String] = []
  private var openVertex: Int?
  private var declaredKinds: [Int: Graph.Kind] = [:]
  private var uses: [String: Int] = [:]
  private var vertexNames: Set<String> = []
  private var time: Graph.Time?
  private var sequenceCount = 0
  private var trainingFlags: [Int: Value] = [:]

  /// A graph without inputs. `Model` makes and finishes a builder by itself.
  public init() {}

  // MARK: Names

  /// Prefixes the names of everything made in `body` with `name/`.
  public func scope<R>(_ name: String, _ body: () throws -> R) rethrows -> R {
    scopes.append(name)
    defer { scopes.removeLast() }
    return try body()
  }

  private func path(_ name: String) -> String { (scopes + [name]).joined(separator: "/") }

  /// The path itself the first time, then with `#2`, `#3`, …
  private func uniqueVertexName(_ name: String) -> String {
    let path = path(name)
    var unique: String
    repeat {
      uses[path, default: 0] += 1
      unique = uses[path] == 1 ? path : "\(path)#\(uses[path, default: 1])"
    } while !vertexNames.insert(unique).inserted
    return unique
  }

  private func makeValue(
    _ shape: Shape, element: Element = .real, name: String, origin: String, source: Graph.Source
  ) -> Value {
    graph.values.append(.init(shape: shape, element: element, name: name, origin: origin, source: source))
    return Value(graph: self, id: graph.values.count - 1)
  }

  // MARK: Inputs and parameters

  /// An input that each batch brings, such as `graph.input("image", [.batch, 3, 32, 32])`.
  public func input(
    _ name: String, _ shape: Shape, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    addInput(name, shape, element: .real, classes: nil, origin: "\(file):\(line)")
  }

  /// Class labels, one integer in `0..<classes` for each element of `shape`.
  public func labels(
    _ name: String, classes: Int, shape: Shape = [.batch], file: StaticString = #fileID, line: UInt = #line
  ) -> Labels {
    guard classes > 0 else { stop("labels \(name) need at least one class", at: "\(file):\(line)") }
    return Labels(
      value: addInput(name, shape, element: .index, classes: classes, origin: "\(file):\(line)"), classes: classes)
  }

  /// A state that goes on from batch to batch, such as a recurrent layer's between two windows of a text: zeros at the
  /// start of a stream, and then what `carry(_:into:)` says the batch before ended with.
  ///
  /// To predictive coding it is an input like any other: nothing is learned through it about the batch before.
  public func carried(
    _ name: String, _ shape: Shape, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    addInput(name, shape, element: .real, classes: nil, filledBy: .carried(from: nil), origin: "\(file):\(line)")
  }

  /// Says what a carried input holds in the next batch: the feedforward value of `value` in this one.
  public func carry(_ value: Value, into state: Value, file: StaticString = #fileID, line: UInt = #line) {
    let origin = "\(file):\(line)"
    checkOwner([value, state], of: "carry", at: origin)
    guard case .input(let index) = graph.values[state.id].source,
      case .carried(let source) = graph.inputs[index].origin
    else { stop("\(state.name) is not a carried input, so nothing can be carried into it", at: origin) }
    guard source == nil else { stop("two values are carried into \(state.name)", at: origin) }
    guard value.shape == state.shape, graph.values[value.id].element == .real else {
      stop("\(describe([value])) cannot be carried into \(describe([state]))", at: origin)
    }
    if let owner = graph.vertex(making: value.id), graph.vertices[owner].result != value.id {
      stop("carry reads an inner value of the vertex \(graph.vertices[owner].name)", at: origin)
    }
    graph.inputs[index].origin = .carried(from: value.id)
  }

  /// The input of random factors that `dropout(_:rate:)` multiplies by; a name used again gets `#2`, `#3`, ….
  func dropoutFactors(_ name: String, _ shape: Shape, rate: Double, origin: String) -> Value {
    let others = Set(graph.inputs.map(\.name))
    var unique = name
    var number = 1
    while others.contains(path(unique)) {
      number += 1
      unique = "\(name)#\(number)"
    }
    return addInput(unique, shape, element: .real, classes: nil, filledBy: .dropout(rate: rate), origin: origin)
  }

  /// The input [B, 1, …] that is 1 in training and 0 outside; one for each rank.
  func trainingFlag(rank: Int, origin: String) -> Value {
    let shape = Shape([.batch] + Array(repeating: 1, count: rank - 1))
    if let known = trainingFlags[rank] { return known }
    let flag = addInput(
      "training, rank \(rank)", shape, element: .real, classes: nil, filledBy: .training, origin: origin)
    trainingFlags[rank] = flag
    return flag
  }

  private func addInput(
    _ name: String, _ shape: Shape, element: Element, classes: Int?, filledBy: Graph.Input.Origin = .batch,
    origin: String
  ) -> Value {
    let name = path(name)
    check(shape, of: "input \(name)", at: origin)
    guard shape.axes.filter(\.isBatch).count == 1 else {
      stop("input \(name) has shape \(shape); one of its axes must be .batch", at: origin)
    }
    guard !graph.inputs.contains(where: { $0.name == name }) else {
      stop("there are two inputs named \(name)", at: origin)
    }
    let value = makeValue(shape, element: element, name: name, origin: origin, source: .input(graph.inputs.count))
    graph.inputs.append(.init(name: name, value: value.id, classes: classes, origin: filledBy))
    return value
  }

  /// A trainable parameter, known by its path; use the value that this returns twice to share it.
  public func parameter(
    _ name: String, _ extents: [Int], _ initializer: Initializer, isTrainable: Bool = true,
    file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    let name = path(name)
    let origin = "\(file):\(line)"
    check(Shape(fixed: extents), of: "parameter \(name)", at: origin)
    guard !graph.parameters.contains(where: { $0.name == name }) else {
      stop("there are two parameters named \(name); to share one, use its value twice", at: origin)
    }
    if case .values(let values) = initializer, values.count != extents.reduce(1, *) {
      stop("parameter \(name) has \(extents.reduce(1, *)) elements and \(values.count) initial values", at: origin)
    }
    let value = makeValue(
      Shape(fixed: extents), name: name, origin: origin, source: .parameter(graph.parameters.count))
    graph.parameters.append(
      .init(name: name, extents: extents, initializer: initializer, isTrainable: isTrainable, value: value.id))
    return value
  }

  /// Numbers that are part of the model and never trained.
  public func constant(
    _ name: String, _ extents: [Int], _ values: [Double], file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    parameter(name, extents, .values(values), isTrainable: false, file: file, line: line)
  }

  /// A relaxed root: a value of its own for each example, with `prior` (a parameter of the shape's extents, by default
  /// 0) as its prediction.
  public func latent(
    _ name: String, _ shape: Shape, prior: Value? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    vertex(name, .relaxed) {
      apply(Prior(shape: shape), to: prior.map { [$0] } ?? [], file: file, line: line)
    }
  }

  // MARK: Operations

  /// Applies an operation; outside of `vertex(_:)` it becomes a vertex of its own.
  public func apply(
    _ operation: any Operation, to operands: [Value], file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    apply(operation, to: operands, origin: "\(file):\(line)")
  }

  /// For operators, which have no line of their own.
  func apply(_ operation: any Operation, to operands: [Value], origin: String) -> Value {
    do throws(ShapeError) {
      return try tryApply(operation, to: operands, origin: origin)
    } catch {
      stop(error.description, at: origin)
    }
  }

  /// Applies an operation, and throws where `apply` would stop: for graphs that come from data.
  public func tryApply(
    _ operation: any Operation, to operands: [Value], origin: String = ""
  ) throws(ShapeError) -> Value {
    for operand in operands {
      guard operand.graph === self else {
        throw ShapeError("\(operation.name) takes \(operand.name), which belongs to another graph")
      }
      if let owner = graph.vertex(making: operand.id), owner != openVertex, graph.vertices[owner].result != operand.id
      {
        throw ShapeError(
          "\(operation.name) takes an inner value (\(operand.name)) of the vertex \(graph.vertices[owner].name), "
            + "which shows only its result; return the value from the vertex or make it a vertex of its own")
      }
    }
    guard operation.operandCounts.contains(operands.count) else {
      throw ShapeError(
        "\(operation.name) takes \(Self.text(operation.operandCounts)), not \(operands.count); an operation says how many "
          + "by operandCounts")
    }
    for (position, operand) in operands.enumerated() {
      guard graph.values[operand.id].element == operation.element(ofOperand: position) else {
        let kind = operation.element(ofOperand: position) == .real ? "real numbers" : "integers"
        throw ShapeError("\(operation.name) takes \(kind), which \(describe([operand])) does not hold")
      }
    }
    let shape: Shape
    do throws(ShapeError) {
      shape = try operation.shape(operands.map(\.shape))
      try shape.check()
    } catch {
      throw ShapeError("\(operation.name) of \(describe(operands)): \(error)")
    }
    let isUngrouped = openVertex == nil
    let index: Int
    if let openVertex {
      index = openVertex
    } else {
      index = addVertex(uniqueVertexName(operation.name))
    }
    let name = isUngrouped ? graph.vertices[index].name : "\(graph.vertices[index].name).\(operation.name)"
    let value = makeValue(shape, name: name, origin: origin, source: .node(graph.nodes.count))
    graph.nodes.append(.init(operation: operation, operands: operands.map(\.id), result: value.id, vertex: index))
    graph.vertices[index].nodes.append(graph.nodes.count - 1)
    graph.vertices[index].result = value.id
    graph.vertices[index].operands += operands.map(\.id).filter { graph.vertex(making: $0) != index }
    return value
  }

  private func addVertex(_ name: String) -> Int {
    graph.vertices.append(
      .init(
        name: name, kind: .relaxed, nodes: [], result: -1, operands: [], isTerminal: false, clamp: nil, time: time))
    return graph.vertices.count - 1
  }

  /// Groups the operations of `body` into one vertex, whose value is the one that `body` returns.
  ///
  /// Its kind is by default relaxed; deterministic for structural, terminal and parametric vertices. Inside of another
  /// vertex this is no vertex of its own: the outermost one decides.
  public func vertex(
    _ name: String, _ kind: Graph.Kind? = nil, file: StaticString = #fileID, line: UInt = #line,
    _ body: () throws -> Value
  ) rethrows -> Value {
    guard openVertex == nil else { return try body() }
    let origin = "\(file):\(line)"
    let index = addVertex(uniqueVertexName(name))
    declaredKinds[index] = kind
    openVertex = index
    defer { openVertex = nil }
    var result = try body()
    checkOwner([result], of: "the vertex \(graph.vertices[index].name)", at: origin)
    if graph.vertex(making: result.id) != index {
      // A vertex that computes nothing stands for its one operand.
      guard graph.vertices[index].nodes.isEmpty else {
        stop("the vertex \(graph.vertices[index].name) returns \(result.name), which it did not compute", at: origin)
      }
      result = apply(Identity(), to: [result], origin: origin)
    }
    graph.vertices[index].result = result.id
    graph.values[result.id].name = graph.vertices[index].name
    return result
  }

  /// Runs `body` for the steps 0, 1, …, `count` − 1 of a sequence, and labels the vertices of each step with it.
  ///
  /// The labels are what the time-reversed schedule goes by; the computation is that of a loop. A backward direction
  /// counts its steps in its own order of computation. Names get the prefix `name[step]/`.
  public func unroll(
    _ name: String, _ count: Int, file: StaticString = #fileID, line: UInt = #line, _ body: (Int) throws -> Void
  ) rethrows {
    guard time == nil else { stop("the sequence \(name) is unrolled inside of another one", at: "\(file):\(line)") }
    guard count >= 1 else { stop("the sequence \(name) has \(count) steps; it needs one", at: "\(file):\(line)") }
    let sequence = sequenceCount
    sequenceCount += 1
    defer { time = nil }
    for step in 0..<count {
      time = Graph.Time(sequence: sequence, step: step)
      try scope("\(name)[\(step)]") { try body(step) }
    }
  }

  // MARK: Clamps and losses

  /// Holds elements of a vertex at given values: all, or those where `mask` is not 0.
  ///
  /// The vertex's children see the held value; it ignores their messages and sends its own error.
  public func clamp(
    _ value: Value, to target: Value, where mask: Value? = nil, file: StaticString = #fileID, line: UInt = #line
  ) {
    let origin = "\(file):\(line)"
    checkOwner([value, target, mask], of: "the clamp", at: origin)
    guard let index = graph.vertex(making: value.id), graph.vertices[index].result == value.id else {
      stop("\(value.name) is no vertex's value; only a vertex can be clamped", at: origin)
    }
    guard graph.vertices[index].clamp == nil else { stop("\(value.name) is clamped twice", at: origin) }
    for (role, other) in [("target", target), ("mask", mask)] {
      guard let other else { continue }
      guard case .input = graph.values[other.id].source, other.shape == value.shape else {
        stop("the \(role) of the clamp on \(value.name) must be an input of shape \(value.shape)", at: origin)
      }
    }
    graph.vertices[index].clamp = .init(target: target.id, mask: mask?.id)
  }

  /// Adds a loss to the energy, `weight` times its value.
  public func loss(
    _ term: LossTerm, weight: Double = 1, name: String? = nil, file: StaticString = #fileID, line: UInt = #line
  ) {
    let origin = "\(file):\(line)"
    let name = path(name ?? (graph.losses.isEmpty ? "loss" : "loss#\(graph.losses.count + 1)"))
    guard weight.isFinite else { stop("the weight of \(name) is \(weight)", at: origin) }
    let prediction = term.prediction
    let target = term.target
    checkOwner([prediction, target, term.labels?.value], of: name, at: origin)
    if let owner = graph.vertex(making: prediction.id), graph.vertices[owner].result != prediction.id {
      stop("\(name) reads an inner value of the vertex \(graph.vertices[owner].name)", at: origin)
    }
    guard prediction.shape.isBatched else {
      stop(
        "\(name) of \(describe([prediction])): a loss is each example's own, so its value must hold the batch",
        at: origin)
    }
    do throws(ShapeError) {
      try term.function.check(prediction: prediction.shape, target: target.shape)
    } catch {
      stop("\(name) of \(describe([prediction, target])): \(error)", at: origin)
    }
    graph.losses.append(
      .init(
        name: name, function: term.function, weight: weight, prediction: prediction.id, target: target.id,
        labels: term.labels?.value.id))
  }

  // MARK: The finished graph

  /// The graph, with the kind of every vertex decided.
  ///
  /// - Throws: a `ShapeError` where a loss's target depends on parameters, or a carried input is never given a value.
  public func finish() throws(ShapeError) -> Graph {
    var graph = graph
    for input in graph.inputs where input.origin == .carried(from: nil) {
      throw ShapeError("nothing is carried into \(input.name); say by carry(_:into:) what it holds in the next batch")
    }
    // What depends on a batch, and what on a parameter or a latent value.
    var depends = Array(repeating: false, count: graph.values.count)
    for index in graph.vertices.indices {
      let vertex = graph.vertices[index]
      let isStructural = vertex.nodes.allSatisfy { graph.nodes[$0].operation.isStructural }
      if !graph.values[vertex.result].shape.isBatched {
        graph.vertices[index].kind = .parametric
      } else if let declared = declaredKinds[index] {
        graph.vertices[index].kind = declared == .parametric ? .deterministic : declared
      } else {
        graph.vertices[index].kind = isStructural ? .deterministic : .relaxed
      }
      depends[vertex.result] =
        graph.vertices[index].kind == .relaxed
        || vertex.operands.contains { operand in
          if case .parameter(let p) = graph.values[operand].source { return graph.parameters[p].isTrainable }
          return depends[operand]
        }
    }
    for loss in graph.losses where depends[loss.target] {
      throw ShapeError(
        "the target of \(loss.name), \(graph.values[loss.target].name), depends on a parameter or a relaxed vertex")
    }
    let children = graph.children()
    let fed = graph.lossesFed()
    for index in graph.vertices.indices.reversed() {
      let isTerminal = children[index].allSatisfy { child in
        graph.vertices[child].isTerminal
          && graph.vertices[child].nodes.allSatisfy { graph.nodes[$0].operation.isStructural }
      }
      graph.vertices[index].isTerminal = isTerminal && (!fed[index].isEmpty || !children[index].isEmpty)
      if graph.vertices[index].isTerminal, declaredKinds[index] == nil, graph.vertices[index].kind == .relaxed {
        graph.vertices[index].kind = .deterministic
      }
    }
    return graph
  }

  // MARK: Sentences

  private func check(_ shape: Shape, of what: String, at origin: String) {
    do throws(ShapeError) {
      try shape.check()
    } catch {
      stop("\(what) has shape \(shape); \(error)", at: origin)
    }
  }

  /// Stops where a value was made by another builder: its number means something else here.
  private func checkOwner(_ values: [Value?], of what: String, at origin: String) {
    for value in values.compactMap({ $0 }) where value.graph !== self {
      stop("\(what) takes \(value.name), which belongs to another graph", at: origin)
    }
  }

  private static func text(_ counts: ClosedRange<Int>) -> String {
    let least = counts.lowerBound == 1 ? "1 operand" : "\(counts.lowerBound) operands"
    if counts.count == 1 { return least }
    return counts.upperBound == .max ? "at least \(least)" : "\(counts.lowerBound) to \(counts.upperBound) operands"
  }

  private func describe(_ values: [Value]) -> String {
    values.map { value in
      let origin = graph.values[value.id].origin
      return "\(value.name) \(value.shape)" + (origin.isEmpty ? "" : " (made at \(origin))")
    }.joined(separator: " and ")
  }

  func stop(_ sentence: String, at origin: String) -> Never {
    fatalError(origin.isEmpty ? sentence : "\(origin): \(sentence)")
  }
}

/// A loss with what it compares; make one by `.squaredError(…)` or `.crossEntropy(…)`.
public struct LossTerm {
  /// The loss function that compares them.
  public var function: any LossFunction
  /// What the model says; a vertex's value or an input.
  public var prediction: Value
  /// What it should say; may not depend on trained parameters or relaxed vertices.
  public var target: Value
  /// For classification: where accuracy finds the right classes.
  public var labels: Labels?

  /// A loss of one's own; shapes are checked when `GraphBuilder.loss` receives it.
  public init(_ function: any LossFunction, prediction: Value, target: Value, labels: Labels? = nil) {
    self.function = function
    self.prediction = prediction
    self.target = target
    self.labels = labels
  }
}

/// A graph to train: what `Model { graph in … }` makes.
public struct Model: Sendable {
  /// The recorded graph, with the kind of every vertex decided; that of the usual length where the model is one of
  /// sequences.
  public let graph: Graph
  private let unrolled: (@Sendable (Int) -> Graph)?

  /// A model of a graph that `GraphBuilder.finish()` made.
  public init(_ graph: Graph) {
    self.graph = graph
    unrolled = nil
  }

  /// Runs `build` once and keeps the graph that it recorded.
  public init(file: StaticString = #fileID, line: UInt = #line, _ build: (GraphBuilder) throws -> Void) rethrows {
    try self.init(Self.record("\(file):\(line)", build))
  }

  /// A model of sequences of any length: `build` is run once for each length that a batch has, with the same parameters.
  ///
  /// ```swift
  /// let model = Model(length: 10) { graph, length in
  ///   let x = graph.input("x", [.batch, .fixed(length), 57])
  ///   let label = graph.labels("language", classes: 18)
  ///   graph.loss(.crossEntropy(Dense("readout", 18)(RNN("rnn", 256)(x).last[0]), label))
  /// }
  /// ```
  ///
  /// `length` is the one that `graph` has.
  public init(
    length: Int, file: StaticString = #fileID, line: UInt = #line,
    _ build: @escaping @Sendable (GraphBuilder, Int) -> Void
  ) {
    let origin = "\(file):\(line)"
    unrolled = { length in Self.record(origin) { build($0, length) } }
    graph = Self.record(origin) { build($0, length) }
  }

  /// The graph for sequences of `length` steps; `nil` where the model has no choice of length.
  public func graph(length: Int) -> Graph? {
    guard let graph = unrolled?(length) else { return nil }
    let same = zip(graph.parameters, self.graph.parameters).allSatisfy {
      $0.name == $1.name && $0.extents == $1.extents
    }
    guard same, graph.parameters.count == self.graph.parameters.count else {
      fatalError("a model of sequences has other parameters for the length \(length) than for its usual one")
    }
    return graph
  }

  private static func record(_ origin: String, _ build: (GraphBuilder) throws -> Void) rethrows -> Graph {
    let builder = GraphBuilder()
    try build(builder)
    do throws(ShapeError) {
      return try builder.finish()
    } catch {
      builder.stop(error.description, at: origin)
    }
  }
}
