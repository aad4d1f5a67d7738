import PCGraphs

/// The parameters `NAME.weight` and, where a layer has one, `NAME.bias`, zero at first: made by a layer's first call, which
/// knows their extents, and kept for all others.
struct WeightAndBias {
  let weight: Value
  private let bias: Value?

  /// - Parameter bias: its extents; nil for none.
  init(
    _ graph: GraphBuilder, _ name: String, weight: [Int], _ initializer: Initializer, bias: [Int]?,
    _ file: StaticString, _ line: UInt
  ) {
    self.weight = graph.parameter("\(name).weight", weight, initializer, file: file, line: line)
    self.bias = bias.map { graph.parameter("\(name).bias", $0, .zeros, file: file, line: line) }
  }

  /// y + bias; y itself where there is none.
  func addingBias(to y: Value) -> Value { bias.map { y + $0 } ?? y }
}
