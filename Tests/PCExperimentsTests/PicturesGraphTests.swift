import Foundation
import PCExperiments
import Testing

@Suite struct PicturesGraphTests {
  /// A graph whose edges lead from lower indices to higher ones, with nodes in shuffled order and texts of all lengths.
  static func randomGraph(seed: Int, direction: GraphPicture.Direction) -> GraphPicture {
    var random = SeededGenerator(seed: seed)
    let count = Int.random(in: 1...60, using: &random)
    let nodes = (0..<count).map { index in
      GraphPicture.Node(
        "\(index)", String(repeating: "w", count: Int.random(in: 0...30, using: &random)),
        Bool.random(using: &random) ? "B × \(index)" : "",
        GraphPicture.Kind.allCases.randomElement(using: &random) ?? .relaxed)
    }
    let density = Double.random(in: 0.3...2.2, using: &random)
    let edges = (0..<Int(Double(count) * density)).compactMap { _ -> GraphPicture.Edge? in
      let (a, b) = (Int.random(in: 0..<count, using: &random), Int.random(in: 0..<count, using: &random))
      return a == b ? nil : .init("\(min(a, b))", "\(max(a, b))", label: Bool.random(using: &random) ? "e" : nil)
    }
    return GraphPicture(
      title: "Graph \(seed)", nodes: nodes.shuffled(using: &random), edges: edges, direction: direction)
  }

  static func expectSoundLayout(_ picture: GraphPicture, acyclic: Bool, _ context: String) {
    let layout = picture.layout()
    let frames = layout.frames
    #expect(frames.count == picture.nodes.count && layout.routes.count == picture.edges.count)
    for (index, frame) in frames.enumerated() {
      #expect(
        frame.x >= 0 && frame.y >= 0 && frame.maxX <= layout.width && frame.maxY <= layout.height,
        "\(context): node \(index) at \(frame) leaves \(layout.width) × \(layout.height)")
      let covered = frames[..<index].filter { other in
        frame.x < other.maxX && other.x < frame.maxX && frame.y < other.maxY && other.y < frame.maxY
      }
      #expect(covered.isEmpty, "\(context): \(frame) overlaps \(covered)")
    }

    let indices = Dictionary(uniqueKeysWithValues: picture.nodes.enumerated().map { ($1.id, $0) })
    let isDown = picture.direction == .down
    for (edge, route) in zip(picture.edges, layout.routes) {
      guard let source = indices[edge.source], let target = indices[edge.target] else { continue }
      let points = pathPoints(route.path)
      if acyclic {
        #expect(!route.isFeedback && layout.layers[source] < layout.layers[target], "\(context): \(edge)")
        let (start, end) = (frames[source], frames[target])
        #expect(isDown ? start.maxY < end.y : start.maxX < end.x, "\(context): \(edge) does not lead forward")
        // It leaves the middle of one side and arrives at the middle of the other, give or take parallel edges.
        if let first = points.first, let last = points.last {
          let leaves = isDown ? first.y - start.maxY : first.x - start.maxX
          let arrives = isDown ? end.y - last.y : end.x - last.x
          #expect(abs(leaves) < 0.02 && abs(arrives - 5) < 0.02, "\(context): \(edge) from \(first) to \(last)")
        }
      }
      let outside = points.filter { $0.x < 0 || $0.y < 0 || $0.x > layout.width || $0.y > layout.height }
      #expect(outside.isEmpty, "\(context): \(edge) leaves the picture at \(outside)")
      let hit = frames.indices.filter { index in
        let frame = frames[index]
        return index != source && index != target
          && points.contains { $0.x > frame.x && $0.x < frame.maxX && $0.y > frame.y && $0.y < frame.maxY }
      }
      #expect(hit.isEmpty, "\(context): \(edge) runs through nodes \(hit.map { picture.nodes[$0].id })")
    }
  }

  @Test(arguments: 0..<100, [GraphPicture.Direction.down, .right])
  func randomGraphsAreDrawnForwardAndClear(seed: Int, direction: GraphPicture.Direction) {
    let picture = Self.randomGraph(seed: seed, direction: direction)
    Self.expectSoundLayout(picture, acyclic: true, "seed \(seed), \(direction)")
  }

  @Test(arguments: 0..<40)
  func cyclesAndLoopsAreDrawnToo(seed: Int) {
    var random = SeededGenerator(seed: 500 + seed)
    let plain = Self.randomGraph(seed: seed, direction: .down)
    let back = (0..<5).map { _ in
      GraphPicture.Edge(
        plain.nodes.randomElement(using: &random)?.id ?? "0", plain.nodes.randomElement(using: &random)?.id ?? "0")
    }
    let picture = GraphPicture(title: plain.title, nodes: plain.nodes, edges: plain.edges + back)
    Self.expectSoundLayout(picture, acyclic: false, "seed \(seed)")
    #expect(XMLElementTree.parse(picture.svg.document) != nil)
  }

  @Test func oneEdgeOfACycleIsFeedback() {
    let nodes = ["a", "b", "c"].map { GraphPicture.Node($0, $0, "", .relaxed) }
    let picture = GraphPicture(title: "", nodes: nodes, edges: [.init("a", "b"), .init("b", "c"), .init("c", "a")])
    #expect(picture.layout().routes.map(\.isFeedback) == [false, false, true])
    #expect(picture.layout().layers == [0, 1, 2])
  }

  @Test func aChainIsOneStraightLineWhateverItsParameters() {
    let names = (0..<20).map { "v\($0)" }
    let nodes =
      names.map {
        GraphPicture.Node(
          $0, String(repeating: "x", count: $0.unicodeScalars.reduce(0) { $0 + Int($1.value) } % 8), "", .relaxed)
      }
      + names.dropFirst().map { GraphPicture.Node("w" + $0, "weight of " + $0, "", .parameter) }
    let edges =
      zip(names, names.dropFirst()).map { GraphPicture.Edge($0, $1) } + names.dropFirst().map { .init("w" + $0, $0) }
    let layout = GraphPicture(title: "", nodes: nodes, edges: edges).layout()
    #expect(Array(layout.layers.prefix(20)) == Array(0..<20))
    #expect(Array(layout.layers.dropFirst(20)) == Array(0..<19), "A parameter belongs one layer above its consumer.")
    let centres = layout.frames.prefix(20).map { $0.x + $0.width / 2 }
    for centre in centres { #expect(abs(centre - centres[0]) < 0.5, "\(centres)") }
  }

  /// Trees can be drawn without any crossing, whatever the order of their nodes.
  @Test(arguments: 0..<20)
  func aForestIsDrawnWithoutCrossings(seed: Int) {
    var random = SeededGenerator(seed: 900 + seed)
    let count = 30
    var edges: [(Int, Int)] = []
    for child in 1..<count { edges.append((Int.random(in: max(0, child - 6)..<child, using: &random), child)) }
    let nodes = (0..<count).map { GraphPicture.Node("\($0)", "\($0)", "", .relaxed) }.shuffled(using: &random)
    let picture = GraphPicture(title: "", nodes: nodes, edges: edges.map { .init("\($0.0)", "\($0.1)") })
    let layout = picture.layout()
    let indices = Dictionary(uniqueKeysWithValues: nodes.enumerated().map { ($1.id, $0) })
    func centre(_ id: Int) -> Double {
      indices["\(id)"].map { layout.frames[$0].x + layout.frames[$0].width / 2 } ?? 0
    }
    func layer(_ id: Int) -> Int { indices["\(id)"].map { layout.layers[$0] } ?? 0 }
    for (index, first) in edges.enumerated() {
      for second in edges[..<index] where first.0 != second.0 && layer(first.0) == layer(second.0) {
        let crosses = (centre(first.0) - centre(second.0)) * (centre(first.1) - centre(second.1)) < 0
        #expect(!crosses, "seed \(seed): \(first) crosses \(second)")
      }
    }
  }

  @Test func everyNodeAndEdgeIsInTheDrawing() throws {
    let words = "a < b & \"c\""
    let nodes = GraphPicture.Kind.allCases.map { GraphPicture.Node($0.rawValue, words, "B × 3", $0) }
    let edges = zip(nodes, nodes.dropFirst()).map { GraphPicture.Edge($0.id, $1.id, label: words) }
    let root = try #require(XMLElementTree.parse(GraphPicture(title: words, nodes: nodes, edges: edges).svg.document))
    #expect(root.all("g", class: "node").count == 6)
    #expect(root.all("g", class: "node").allSatisfy { $0.all("text").map(\.text) == [words, "B × 3"] })
    #expect(root.all("path", class: "edge").count == 5)
    #expect(root.all("text", class: "halo").map(\.text) == Array(repeating: words, count: 5))
    #expect(
      root.all("g", class: "legend").flatMap { $0.all("text") }.map(\.text)
        == GraphPicture.Kind.allCases.map(\.rawValue))
    let viewBox = (root.attributes["viewBox"] ?? "").split(separator: " ").compactMap { Double($0) }
    #expect(viewBox.count == 4 && viewBox.allSatisfy(\.isFinite))
  }

  @Test func anEmptyGraphAndALoneNodeAreDrawn() throws {
    for nodes in [[], [GraphPicture.Node("a", "", "", .input)]] {
      let document = GraphPicture(title: "", nodes: nodes, edges: []).svg.document
      #expect(XMLElementTree.parse(document) != nil)
      #expect(!document.contains("nan") && !document.contains("inf"))
    }
  }

  @Test func dotIsEscaped() {
    let picture = GraphPicture(
      title: "Say \"hi\"",
      nodes: [.init("a\\b", "x\ny", "", .deterministic), .init("c", "c", "B × 2", .relaxed)],
      edges: [.init("a\\b", "c", label: "\"q\"")])
    let lines = picture.dot.split(separator: "\n").map(String.init)
    #expect(lines.first == #"digraph "Say \"hi\"" {"# && lines.last == "}")
    #expect(lines.contains { $0.hasPrefix(#"  "a\\b" [label="x\ny", shape=box, style=dashed"#) })
    #expect(lines.contains { $0.hasPrefix(#"  "c" [label="c\nB × 2", shape=box, style="rounded,filled""#) })
    #expect(lines.contains(#"  "a\\b" -> "c" [label="\"q\""];"#))
  }

  @Test func theSameGraphGivesTheSamePicture() {
    for seed in 0..<10 {
      let first = Self.randomGraph(seed: seed, direction: .down)
      let second = Self.randomGraph(seed: seed, direction: .down)
      #expect(first.svg.document == second.svg.document && first.dot == second.dot, "seed \(seed)")
    }
  }
}
