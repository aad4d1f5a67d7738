import PCPrimitives

/// A computation graph: values, the operations between them, and the vertices that group the operations.
///
/// A graph is a value that is made once, by `Model` or `GraphBuilder`, and never changes. All lists are in topological
/// order, and the identifiers below are positions in them.
public struct Graph: Sendable {
  /// Every tensor: inputs, parameters and results of operations. Everything below refers to them by position here.
  public var values: [Value] = []
  /// Every application of an operation.
  public var nodes: [Node] = []
  /// Every vertex, parents before children.
  public var vertices: [Vertex] = []
  /// Every parameter and constant, in the order in which the builder met them.
  public var parameters: [Parameter] = []
  /// What a batch must bring, labels included.
  public var inputs: [Input] = []
  /// What training lowers; their weighted sum belongs to the energy.
  public var losses: [Loss] = []

  /// A tensor that flows through the graph.
  public struct Value: Sendable {
    /// Its axes, one of which holds the batch unless it follows from parameters alone.
    public var shape: Shape
    /// Real numbers, or indices such as labels.
    public var element: Element
    /// Its path, such as `block1/conv`; inside of a vertex the vertex's, a point and the operation's.
    public var name: String
    /// Where it was made, as `file:line`, or empty.
    public var origin: String
    /// What makes it.
    public var source: Source
  }

  /// What makes a value; each case holds a position.
  public enum Source: Sendable, Hashable {
    /// `inputs[i]`, filled by each batch.
    case input(Int)
    /// `parameters[i]`, kept from batch to batch.
    case parameter(Int)
    /// The result of `nodes[i]`.
    case node(Int)
  }

  /// One application of an operation.
  public struct Node: Sendable {
    /// What is applied.
    public var operation: any Operation
    /// The values that it reads, in the operation's order.
    public var operands: [Int]
    /// The value that it makes.
    public var result: Int
    /// The vertex that it belongs to.
    public var vertex: Int
  }

  /// A group of operations with one value. Predictive coding relaxes it, or passes through it.
  public struct Vertex: Sendable {
    /// Its path; a name used again gets `#2`, `#3`, ….
    public var name: String
    /// Whether inference relaxes it.
    public var kind: Kind
    /// Its operations, in order; the last one makes `result`.
    public var nodes: [Int]
    /// The one value that other vertices may read.
    public var result: Int
    /// Values from outside that its operations read; repeated where they are read repeatedly.
    public var operands: [Int]
    /// Whether every path from it meets only structural vertices and losses.
    public var isTerminal: Bool
    /// What holds it, or some of its elements; mostly `nil`.
    public var clamp: Clamp?
    /// Where it lies in an unrolled sequence, if in one.
    public var time: Time?
  }

  /// A step of an unrolled sequence. Sequences (one for each layer and direction of a stack) are numbered in the order in
  /// which they were unrolled, steps in the order of computation.
  public struct Time: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number of the sequence, from 0.
    public var sequence: Int
    /// The number of the step, from 0; a reversed layer's step 0 reads the last input.
    public var step: Int

    /// The step of this number; `GraphBuilder.unroll` numbers them.
    public init(sequence: Int, step: Int) {
      self.sequence = sequence
      self.step = step
    }

    public static func < (lhs: Time, rhs: Time) -> Bool { (lhs.sequence, lhs.step) < (rhs.sequence, rhs.step) }
    public var description: String { "step \(step) of sequence \(sequence)" }
  }

  /// What predictive coding does with a vertex.
  public enum Kind: String, Sendable, Hashable {
    /// Has a value of its own that inference moves away from its prediction.
    case relaxed
    /// Its value is its prediction; it passes on what its children send.
    case deterministic
    /// Computed from parameters alone: deterministic, without a batch, once for each update.
    case parametric
  }

  /// Elements of a vertex that are held at given values: where `mask` is not 0, the value is that of `target`.
  public struct Clamp: Sendable {
    /// The input that says the values.
    public var target: Int
    /// The input that says where, nonzero; `nil` clamps every element.
    public var mask: Int?
  }

  /// Numbers that belong to the model: drawn once and then trained, or constant.
  public struct Parameter: Sendable {
    /// Its path, such as `block1/conv.weight`.
    public var name: String
    /// Its shape, which never holds the batch.
    public var extents: [Int]
    /// How its first values are drawn; they depend on seed and name alone.
    public var initializer: Initializer
    /// Whether it gets a gradient; constants do not.
    public var isTrainable: Bool
    /// The value that operations read.
    public var value: Int
  }

  /// Numbers that each batch brings, or that come with it.
  public struct Input: Sendable {
    /// Its path, by which a batch names its numbers.
    public var name: String
    /// The value that operations read.
    public var value: Int
    /// For labels: how many classes there are.
    public var classes: Int?
    /// Who brings its numbers.
    public var origin = Origin.batch

    /// Who brings an input's numbers. A batch may bring those of any input; the others have numbers without it.
    public enum Origin: Sendable, Hashable {
      /// The batch.
      case batch
      /// Chance: 1 / (1 − rate) with probability 1 − rate, else 0; and 1 everywhere outside of training.
      case dropout(rate: Double)
      /// 1 in training, 0 outside of it.
      case training
      /// The value that the graph's value of this number had in the batch before; 0 at the start of a stream.
      case carried(from: Int?)
    }
  }

  /// A loss function applied to a prediction: a term of the energy.
  public struct Loss: Sendable {
    /// Its path, by default `loss`, `loss#2`, ….
    public var name: String
    /// Its formula and the message that it sends.
    public var function: any LossFunction
    /// Multiplies its value and its message; 1 by default.
    public var weight: Double
    /// The value that feeds the loss.
    public var prediction: Int
    /// The value that the prediction is compared with; depends on no trained parameter and no relaxed vertex.
    public var target: Int
    /// For classification: the labels that `prediction`'s largest element should name.
    public var labels: Int?
  }
}

// MARK: - Neighbours

extension Graph {
  /// The vertex that makes a value, or `nil` for inputs and parameters.
  public func vertex(making value: Int) -> Int? {
    if case .node(let node) = values[value].source { nodes[node].vertex } else { nil }
  }

  /// All vertices but the parametric ones, in order.
  public var batchedVertices: [Int] { vertices.indices.filter { vertices[$0].kind != .parametric } }

  /// For each vertex, the vertices that read its value, in order and once each.
  public func children() -> [[Int]] {
    var children: [[Int]] = Array(repeating: [], count: vertices.count)
    for (index, vertex) in vertices.enumerated() {
      for parent in Set(vertex.operands.compactMap(vertex(making:))).sorted() { children[parent].append(index) }
    }
    return children
  }

  /// For each vertex, the losses that its value feeds.
  public func lossesFed() -> [[Int]] {
    var fed: [[Int]] = Array(repeating: [], count: vertices.count)
    for (index, loss) in losses.enumerated() {
      if let vertex = vertex(making: loss.prediction) { fed[vertex].append(index) }
    }
    return fed
  }

  /// Vertices from which some loss, or some clamp below, sends a message.
  public func vertexIsReached() -> [Bool] {
    let children = children()
    let fed = lossesFed()
    var reached = Array(repeating: false, count: vertices.count)
    for vertex in vertices.indices.reversed() {
      reached[vertex] =
        !fed[vertex].isEmpty || vertices[vertex].clamp != nil || children[vertex].contains { reached[$0] }
    }
    return reached
  }

  /// Trainable parameters that no loss reaches: they will not change.
  public func unreachedParameters() -> [Parameter] {
    let reached = vertexIsReached()
    var read = Set<Int>()
    for (vertex, isReached) in zip(vertices, reached) where isReached { read.formUnion(vertex.operands) }
    return parameters.filter { $0.isTrainable && !read.contains($0.value) }
  }
}
