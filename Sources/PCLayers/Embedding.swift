import PCGraphs

/// A vector for each of a number of things, such as words: labels [B, …] become [B, …, width].
///
/// The parameter `NAME.table` [classes, width] is made when the layer is first called, for the labels' classes.
public final class Embedding {
  /// The vertex's path, and the parameter's before `.table`.
  public let name: String
  /// Numbers in a vector.
  public let width: Int
  /// Whether the vectors learn.
  public let isTrainable: Bool
  /// Draws the vectors.
  public let initializer: Initializer
  private var table: Value?

  /// A layer whose vectors start as independent standard normal numbers, unless `initializer` says otherwise.
  public init(
    _ name: String, width: Int, isTrainable: Bool = true, initializer: Initializer = .normal(standardDeviation: 1)
  ) {
    self.name = name
    self.width = width
    self.isTrainable = isTrainable
    self.initializer = initializer
  }

  /// The labels' vectors, one vertex: by default relaxed, like any layer.
  public func callAsFunction(
    _ labels: Labels, _ kind: Graph.Kind? = nil, file: StaticString = #fileID, line: UInt = #line
  ) -> Value {
    let graph = labels.value.graph
    if let table, table.shape.extents[0] != labels.classes {
      fatalError(
        "\(file):\(line): \(name) has \(table.shape.extents[0]) vectors, and there are \(labels.classes) labels")
    }
    let table =
      table
      ?? graph.parameter(
        "\(name).table", [labels.classes, width], initializer, isTrainable: isTrainable, file: file, line: line)
    self.table = table
    return graph.vertex(name, kind, file: file, line: line) { gather(table, at: labels, file: file, line: line) }
  }
}
