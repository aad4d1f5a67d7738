// Layered drawing after Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11, 1981): break cycles, assign layers, split long
// edges by invisible vertices, order the layers for few crossings, place the vertices.
//
// Inside this file the layers follow one another along the *depth* and the vertices of a layer lie along the *breadth*;
// what that is on the page is decided by `direction` at the very end.

extension GraphPicture {
  package struct Frame: Sendable {
    package var x: Double
    package var y: Double
    package var width: Double
    package var height: Double
    package var maxX: Double { x + width }
    package var maxY: Double { y + height }
  }

  package struct Route: Sendable {
    /// The `d` of an SVG path: M, then L and C with absolute coordinates.
    package var path: String
    /// The corners of the arrowhead.
    package var arrow: String
    /// Where a label goes.
    package var middle: (x: Double, y: Double)
    /// Whether the edge closes a cycle and so runs against the layers.
    package var isFeedback: Bool
  }

  package struct Layout: Sendable {
    package var width: Double
    package var height: Double
    /// For each node, in order, its layer, from 0.
    package var layers: [Int]
    package var frames: [Frame]
    package var routes: [Route]
  }

  /// Where everything goes; the same for the same graph, always.
  package func layout() -> Layout {
    let feedback = feedbackEdges()
    // All edges point forward from here on, and loops are left to the routing.
    let forward = ends.indices.map { feedback.contains($0) ? (ends[$0].target, ends[$0].source) : ends[$0] }
    let layers = layers(forward)

    var places = Places(self, layers: layers, forward: forward)
    places.order(sweeps: 12)
    places.placeAcross()
    places.straighten()
    places.placeAlong()
    return places.layout(of: self, layers: layers, feedback: feedback)
  }

  /// The edges that a depth-first search, started at nodes in their given order, finds to lead back; loops are not counted.
  private func feedbackEdges() -> Set<Int> {
    enum State { case new, open, done }
    let outgoing = Dictionary(grouping: ends.indices, by: { ends[$0].source })
    var state = Array(repeating: State.new, count: nodes.count)
    var feedback: Set<Int> = []
    for root in nodes.indices where state[root] == .new {
      // A stack of our own, since chains can be longer than the machine's stack is deep.
      var stack = [(node: root, next: 0)]
      state[root] = .open
      while let top = stack.last {
        let edges = outgoing[top.node] ?? []
        guard top.next < edges.count else {
          state[top.node] = .done
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].next += 1
        let target = ends[edges[top.next]].target
        switch state[target] {
        case .new:
          state[target] = .open
          stack.append((target, 0))
        case .open where target != top.node: feedback.insert(edges[top.next])
        case .open, .done: break
        }
      }
    }
    return feedback
  }

  /// Longest distances from the sources; then nodes with more consumers than parents move up to their first consumer.
  private func layers(_ edges: [(source: Int, target: Int)]) -> [Int] {
    let edges = edges.filter { $0.source != $0.target }
    let outgoing = Dictionary(grouping: edges, by: \.source).mapValues { $0.map(\.target) }
    var missing = Array(repeating: 0, count: nodes.count)
    for edge in edges { missing[edge.target] += 1 }
    let parentCounts = missing

    var layers = Array(repeating: 0, count: nodes.count)
    var queue = nodes.indices.filter { missing[$0] == 0 }
    var next = 0
    while next < queue.count {
      let node = queue[next]
      next += 1
      for target in outgoing[node] ?? [] {
        layers[target] = max(layers[target], layers[node] + 1)
        missing[target] -= 1
        if missing[target] == 0 { queue.append(target) }
      }
    }
    for node in queue.reversed() {
      let targets = outgoing[node] ?? []
      guard targets.count > parentCounts[node], let nearest = targets.map({ layers[$0] }).min() else { continue }
      layers[node] = nearest - 1
    }
    return layers
  }
}

// MARK: Places

/// The nodes and, in every layer that an edge crosses, one bend of that edge: all with an order and coordinates.
private struct Places {
  struct Place {
    let layer: Int
    let breadth: Double
    let depth: Double
    let isBend: Bool
    /// Neighbours in the layers before and after, and how much they pull.
    var before: [(place: Int, pull: Double)] = []
    var after: [(place: Int, pull: Double)] = []
    /// The centre.
    var across = 0.0
    var along = 0.0
  }

  var places: [Place]
  /// The places of each layer in order.
  var rows: [[Int]]
  /// For each edge, the places it passes, its ends included.
  let chains: [[Int]]
  /// The depth at which each layer starts and ends.
  var spans: [ClosedRange<Double>] = []

  static let margin = 8.0
  static let loopRoom = 22.0
  static let weakPull = 1e-3

  init(_ picture: GraphPicture, layers: [Int], forward: [(source: Int, target: Int)]) {
    let loops = Set(forward.filter { $0.source == $0.target }.map(\.source))
    var places = picture.nodes.enumerated().map { index, node in
      let size = picture.size(of: node)
      let (breadth, depth) = picture.direction == .down ? (size.width, size.height) : (size.height, size.width)
      return Place(
        layer: layers[index], breadth: breadth + (loops.contains(index) ? 2 * Self.loopRoom : 0), depth: depth,
        isBend: false)
    }
    chains = forward.map { edge in
      guard edge.source != edge.target else { return [edge.source] }
      let first = places.count
      let crossed = layers[edge.source] + 1..<layers[edge.target]
      places += crossed.map { Place(layer: $0, breadth: 4, depth: 0, isBend: true) }
      let chain = [edge.source] + (first..<places.count) + [edge.target]
      // A parameter goes where its consumer is, not the other way round.
      let weight = picture.nodes[edge.source].kind == .parameter ? Self.weakPull : 1
      for (place, next) in zip(chain, chain.dropFirst()) {
        // Long edges should be straight, above all between bends (the factors are those of Gansner et al., 1993).
        let pull = weight * [1.0, 2, 8][(places[place].isBend ? 1 : 0) + (places[next].isBend ? 1 : 0)]
        places[place].after.append((next, pull))
        places[next].before.append((place, pull))
      }
      return chain
    }
    self.places = places
    rows = Array(repeating: [], count: (layers.max() ?? -1) + 1)
  }

  // MARK: Order

  /// Sorts each layer by the mean position of neighbours, down and up in turn, and keeps the order with fewest crossings.
  mutating func order(sweeps: Int) {
    // Depth first from the sources: chains and branches start out side by side.
    var seen = Array(repeating: false, count: places.count)
    for root in places.indices where places[root].before.isEmpty {
      var stack = [root]
      while let place = stack.popLast() {
        if seen[place] { continue }
        seen[place] = true
        rows[places[place].layer].append(place)
        stack += places[place].after.reversed().map(\.place)
      }
    }

    var best = (rows: rows, crossings: crossings())
    for sweep in 0..<sweeps where best.crossings > 0 {
      let isDown = sweep % 2 == 0
      for layer in isDown ? Array(rows.indices.dropFirst()) : rows.indices.dropLast().reversed() {
        sort(layer, by: isDown ? \.before : \.after)
      }
      exchangeNeighbours()
      let count = crossings()
      if count < best.crossings { best = (rows, count) }
    }
    rows = best.rows
  }

  private mutating func sort(_ layer: Int, by neighbours: KeyPath<Place, [(place: Int, pull: Double)]>) {
    let ranks = ranks()
    let keys = rows[layer].enumerated().map { rank, place in
      let others = places[place][keyPath: neighbours]
      let mean = others.reduce(0) { $0 + Double(ranks[$1.place]) } / Double(max(others.count, 1))
      return (place: place, key: others.isEmpty ? Double(rank) : mean, rank: rank)
    }
    rows[layer] = keys.sorted { ($0.key, $0.rank) < ($1.key, $1.rank) }.map(\.place)
  }

  /// Swaps adjacent places as long as that removes crossings.
  private mutating func exchangeNeighbours() {
    for layer in rows.indices where rows[layer].count > 1 {
      var improved = true
      var rounds = 0
      while improved && rounds < 8 {
        improved = false
        rounds += 1
        let ranks = ranks()
        for left in 0..<rows[layer].count - 1 {
          let (a, b) = (rows[layer][left], rows[layer][left + 1])
          var gain = 0
          for neighbours in [\Place.before, \Place.after] {
            for first in places[a][keyPath: neighbours] {
              for second in places[b][keyPath: neighbours] {
                gain += (ranks[first.place] - ranks[second.place]).signum()
              }
            }
          }
          if gain > 0 {
            rows[layer].swapAt(left, left + 1)
            improved = true
          }
        }
      }
    }
  }

  private func ranks() -> [Int] {
    var ranks = Array(repeating: 0, count: places.count)
    for row in rows { for (rank, place) in row.enumerated() { ranks[place] = rank } }
    return ranks
  }

  /// Inversions among the edges between each two layers, counted with a Fenwick tree.
  private func crossings() -> Int {
    let ranks = ranks()
    var total = 0
    for (row, next) in zip(rows, rows.dropFirst()) {
      var tree = Array(repeating: 0, count: next.count + 1)
      var added = 0
      for place in row {
        let targets = places[place].after.map { ranks[$0.place] }
        for target in targets {
          var index = target + 1
          var atMost = 0
          while index > 0 {
            atMost += tree[index]
            index -= index & -index
          }
          total += added - atMost
        }
        for target in targets {
          var index = target + 1
          while index < tree.count {
            tree[index] += 1
            index += index & -index
          }
        }
        added += targets.count
      }
    }
    return total
  }

  // MARK: Coordinates

  /// Moves every place toward its neighbours, layer by layer, as far as the order and the widths in its layer allow.
  mutating func placeAcross() {
    for row in rows {
      for (left, place) in zip(row, row.dropFirst()) { places[place].across = places[left].across + gap(left, place) }
    }
    for sweep in 0..<40 {
      // Down and up first, so that distances travel far; then both neighbours at once, for balance.
      let useBefore = sweep >= 16 || sweep % 2 == 0
      let useAfter = sweep >= 16 || sweep % 2 == 1
      for row in sweep % 2 == 0 ? rows : rows.reversed() {
        let pulls = row.map { (useBefore ? places[$0].before : []) + (useAfter ? places[$0].after : []) }
        // What nothing pulls keeps its place, weakly.
        let weights = pulls.map { max(Self.weakPull, $0.reduce(0) { $0 + $1.pull }) }
        let wishes = row.indices.map { index in
          pulls[index].isEmpty
            ? places[row[index]].across
            : pulls[index].reduce(0) { $0 + $1.pull * places[$1.place].across } / weights[index]
        }
        let gaps = zip(row, row.dropFirst()).map { gap($0, $1) }
        for (place, across) in zip(row, spread(wishes, gaps: gaps, weights: weights)) {
          places[place].across = across
        }
      }
    }
  }

  /// The least distance between the centres of two neighbours.
  private func gap(_ left: Int, _ right: Int) -> Double {
    let bends = (places[left].isBend ? 1 : 0) + (places[right].isBend ? 1 : 0)
    return (places[left].breadth + places[right].breadth) / 2 + [22, 14, 10][bends]
  }

  /// Draws each unbranched stretch as straight as its neighbours allow.
  mutating func straighten() {
    let stretches = stretches()
    let ranks = ranks()
    for _ in 0..<12 {
      for stretch in stretches {
        var start = 0
        var (low, high) = (-Double.infinity, Double.infinity)
        for (index, place) in stretch.enumerated() {
          let room = room(place, rank: ranks[place])
          if max(low, room.low) > min(high, room.high) {
            move(stretch[start..<index], low: low, high: high)
            (start, low, high) = (index, room.low, room.high)
          } else {
            (low, high) = (max(low, room.low), min(high, room.high))
          }
        }
        // Where neighbours leave no room at all, rounding can make it less than none.
        if low <= high { move(stretch[start...], low: low, high: high) }
      }
    }
  }

  /// All places, in sequences of bends or of vertices with one parent and one consumer, parameters not counted.
  private func stretches() -> [[Int]] {
    func only(_ neighbours: [(place: Int, pull: Double)]) -> Int? {
      let strong = Set(neighbours.filter { $0.pull > 8 * Self.weakPull }.map(\.place))
      return strong.count == 1 ? strong.first : nil
    }
    func next(_ place: Int) -> Int? {
      only(places[place].after).flatMap { only(places[$0].before) == place ? $0 : nil }
    }
    let continuations = Set(places.indices.compactMap { next($0) })
    return places.indices.filter { !continuations.contains($0) }.map { Array(sequence(first: $0, next: next)) }
  }

  /// How far a place can go before it meets its neighbours.
  private func room(_ place: Int, rank: Int) -> (low: Double, high: Double) {
    let row = rows[places[place].layer]
    return (
      rank == 0 ? -.infinity : places[row[rank - 1]].across + gap(row[rank - 1], place),
      rank == row.count - 1 ? .infinity : places[row[rank + 1]].across - gap(place, row[rank + 1])
    )
  }

  /// Puts all of `run` at one coordinate, the best for what it is connected with.
  private mutating func move(_ run: ArraySlice<Int>, low: Double, high: Double) {
    let members = Set(run)
    let pulls = run.flatMap { places[$0].before + places[$0].after }.filter { !members.contains($0.place) }
    let weight = pulls.reduce(0) { $0 + $1.pull }
    let wish =
      weight > 0
      ? pulls.reduce(0) { $0 + $1.pull * places[$1.place].across } / weight
      : run.reduce(0) { $0 + places[$1].across } / Double(run.count)
    for place in run { places[place].across = min(max(wish, low), high) }
  }

  /// Stacks the layers from the margins on, further apart where edges run far to the side.
  mutating func placeAlong() {
    let left = places.map { $0.across - $0.breadth / 2 }.min() ?? 0
    for place in places.indices { places[place].across += Self.margin - left }
    var start = Self.margin
    spans = rows.map { row in
      let depth = row.map { places[$0].depth }.max() ?? 0
      let reach = row.flatMap { place in
        places[place].after.map { abs(places[$0.place].across - places[place].across) }
      }
      for place in row { places[place].along = start + depth / 2 }
      defer { start += depth + min(70, 28 + 0.07 * (reach.max() ?? 0)) }
      return start...start + depth
    }
  }

  // MARK: Result

  func layout(of picture: GraphPicture, layers: [Int], feedback: Set<Int>) -> GraphPicture.Layout {
    let isDown = picture.direction == .down
    let frames = picture.nodes.indices.map { index in
      let size = picture.size(of: picture.nodes[index])
      let (x, y) =
        isDown ? (places[index].across, places[index].along) : (places[index].along, places[index].across)
      return GraphPicture.Frame(x: x - size.width / 2, y: y - size.height / 2, width: size.width, height: size.height)
    }
    // Parallel edges of one step lie side by side. (Longer ones have bends of their own.)
    let counts = Dictionary(chains.map { ($0, 1) }, uniquingKeysWith: +)
    var drawn: [[Int]: Int] = [:]
    let routes = chains.indices.map { edge in
      let chain = chains[edge]
      let twin = drawn[chain, default: 0]
      drawn[chain] = twin + 1
      let count = Double(counts[chain, default: 1])
      let shift = min(8, 32 / count) * (Double(twin) - (count - 1) / 2)
      let isFeedback = feedback.contains(edge)
      return route(chain, isFeedback: isFeedback, shift: isFeedback ? shift + 12 : shift, isDown: isDown)
    }
    let breadth = (places.map { $0.across + $0.breadth / 2 }.max() ?? 0) + Self.margin
    let depth = (spans.last?.upperBound ?? 0) + Self.margin
    return GraphPicture.Layout(
      width: isDown ? breadth : depth, height: isDown ? depth : breadth, layers: layers, frames: frames,
      routes: routes)
  }

  /// Straight within layers, where other vertices may be on both sides, and curved between them.
  private func route(_ chain: [Int], isFeedback: Bool, shift: Double, isDown: Bool) -> GraphPicture.Route {
    typealias Point = (across: Double, along: Double)
    func text(_ point: Point) -> String {
      isDown
        ? SVG.number(point.across) + " " + SVG.number(point.along)
        : SVG.number(point.along) + " " + SVG.number(point.across)
    }
    func head(at tip: Point, along direction: Double) -> String {
      [(0.0, 0.0), (-3.6, -8.0), (3.6, -8.0)].map { side, back in
        text((tip.across + side, tip.along + back * direction))
      }.joined(separator: " ")
    }
    func result(_ path: String, _ arrow: String, _ middle: Point) -> GraphPicture.Route {
      let middle = isDown ? (x: middle.across, y: middle.along) : (x: middle.along, y: middle.across)
      return GraphPicture.Route(path: path, arrow: arrow, middle: middle, isFeedback: isFeedback)
    }

    let source = places[chain[0]]
    guard chain.count > 1 else {
      let side = source.across + source.breadth / 2 - Places.loopRoom
      let far = side + Places.loopRoom
      let (start, end) = (source.along + source.depth / 4, source.along - source.depth / 4)
      let path =
        "M" + text((side, start)) + "C" + text((far, start + 6)) + " " + text((far, end - 6)) + " "
        + text((side, end))
      let arrow = [(0.0, 0.0), (8.0, -3.0), (6.5, 4.0)].map { text((side + $0, end + $1)) }.joined(separator: " ")
      return result(path, arrow, (far, source.along))
    }

    let target = places[chain[chain.count - 1]]
    let start: Point = (source.across + shift, source.along + source.depth / 2 + (isFeedback ? 8 : 0))
    let tip: Point = (target.across + shift, target.along - target.depth / 2)
    var path = "M" + text((start.across, isFeedback ? start.along - 1 : start.along))
    var current: Point = (start.across, spans[source.layer].upperBound)
    if current.along > start.along { path += "L" + text(current) } else { current = start }
    var middle = current
    for (index, place) in chain.enumerated().dropFirst() {
      let next = places[place]
      let isLast = index == chain.count - 1
      let entry: Point = (
        next.across + (isLast ? shift : 0), spans[next.layer].lowerBound - (isLast && !isFeedback ? 5 : 0)
      )
      let halfway = (current.along + entry.along) / 2
      path += "C" + text((current.across, halfway)) + " " + text((entry.across, halfway)) + " " + text(entry)
      if index == (chain.count) / 2 { middle = ((current.across + entry.across) / 2, halfway) }
      current = (entry.across, isLast ? tip.along - (isFeedback ? 0 : 5) : spans[next.layer].upperBound)
      if current.along > entry.along { path += "L" + text(current) }
    }
    let arrow =
      isFeedback ? head(at: (start.across, start.along - 8), along: -1) : head(at: tip, along: 1)
    return result(path, arrow, middle)
  }
}
