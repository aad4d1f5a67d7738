/// Blocks: the order in which the time-reversed schedule relaxes an unrolled graph.
extension Graph {
  /// The batched vertices in blocks, in the order in which the schedule runs them: the last step first.
  ///
  /// Each labelled step is a block. Unlabelled vertices that labelled ones reach and that reach none (a head on the last
  /// state) form the first block, those between labelled vertices join the latest step among their ancestors, and all
  /// others (a shared encoder) form the last.
  ///
  /// - Throws: a `ShapeError` that names an edge along which the label decreases.
  public func timeReversedBlocks() throws(ShapeError) -> [[Int]] {
    var latest: [Time?] = vertices.map(\.time)
    for (index, vertex) in vertices.enumerated() where vertex.time == nil {
      latest[index] = vertex.operands.compactMap(self.vertex(making:)).compactMap { latest[$0] }.max()
    }
    let children = children()
    var reachesLabelled = Array(repeating: false, count: vertices.count)
    for index in vertices.indices.reversed() {
      reachesLabelled[index] = children[index].contains { vertices[$0].time != nil || reachesLabelled[$0] }
    }
    var head: [Int] = []
    var encoder: [Int] = []
    var steps: [Time: [Int]] = [:]
    for (index, vertex) in vertices.enumerated() where vertex.kind != .parametric {
      if let time = vertex.time ?? (reachesLabelled[index] ? latest[index] : nil) {
        steps[time, default: []].append(index)
        for parent in vertex.operands.compactMap(self.vertex(making:)) {
          guard let before = vertices[parent].time, before > time else { continue }
          throw ShapeError(
            "the time-reversed schedule cannot run: \(vertices[parent].name) (\(before)) feeds \(vertex.name) (\(time)), "
              + "but labels must not decrease along an edge")
        }
      } else if latest[index] != nil {
        head.append(index)
      } else {
        encoder.append(index)
      }
    }
    let blocks = [head] + steps.sorted { $0.key > $1.key }.map(\.value) + [encoder]
    return blocks.filter { !$0.isEmpty }
  }
}
