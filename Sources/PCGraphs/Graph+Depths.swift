/// Depths: how many relaxed vertices a message crosses on its way from a loss.
///
/// Under fixed predictions they are all that T steps of inference depend on (see `Certificate` in PCLearning): the part
/// of a gradient that comes over paths of depth d arrives with the factor P[Binomial(T, h) ≥ d].
extension Graph {
  /// For each vertex, the ascending depths of its message: the numbers of relaxed vertices on the paths from it (itself
  /// included) to a loss or to a clamped element. Empty where no message arrives. Cost: O(edges × depths).
  public func messageDepths() -> [[Int]] {
    let children = children()
    let fed = lossesFed()
    var depths: [Set<Int>] = Array(repeating: [], count: vertices.count)
    for index in vertices.indices.reversed() {
      let vertex = vertices[index]
      let own = vertex.kind == .relaxed ? 1 : 0
      var arriving = Set<Int>()
      if !fed[index].isEmpty { arriving.insert(0) }
      for child in children[index] { arriving.formUnion(depths[child]) }
      let isWhollyClamped = vertex.clamp != nil && vertex.clamp?.mask == nil
      depths[index] = isWhollyClamped ? [] : Set(arriving.map { $0 + own })
      // A clamped element sends its own error from the start, like a loss at this place.
      if vertex.clamp != nil { depths[index].insert(0) }
    }
    return depths.map { $0.sorted() }
  }

  /// For each vertex, the largest number of relaxed vertices on any path from a source to it, itself excluded.
  ///
  /// - Parameter block: counts only these vertices, on paths that stay among them; by default all.
  public func relaxedAncestors(within block: Set<Int>? = nil) -> [Int] {
    var above = Array(repeating: 0, count: vertices.count)
    for (index, vertex) in vertices.enumerated() where block?.contains(index) ?? true {
      for parent in vertex.operands.compactMap(vertex(making:)) where block?.contains(parent) ?? true {
        above[index] = max(above[index], above[parent] + (vertices[parent].kind == .relaxed ? 1 : 0))
      }
    }
    return above
  }

  /// The ascending depths of a value's gradient: those of the messages of the vertices that read it, and 0 where it
  /// feeds a loss itself.
  public func gradientDepths(ofValue value: Int) -> [Int] {
    let depths = messageDepths()
    var found = Set<Int>()
    for (index, vertex) in vertices.enumerated() where vertex.operands.contains(value) {
      // A parametric vertex passes on; its own depths are those of its readers.
      found.formUnion(depths[index])
    }
    if losses.contains(where: { $0.prediction == value }) { found.insert(0) }
    return found.sorted()
  }
}
