/// A computation graph, drawn in layers from inputs to losses.
///
/// ```swift
/// let picture = GraphPicture(
///   title: "A perceptron.",
///   nodes: [.init("x", "image", "784", .input), .init("y", "dense", "10", .relaxed), .init("l", "squared error", "", .loss)],
///   edges: [.init("x", "y"), .init("y", "l")])
/// let file = picture.svg.document, graphviz = picture.dot
/// ```
///
/// Every edge leads to a later layer and runs past all other vertices; an edge that closes a cycle is drawn dashed, against
/// the direction of the others. Cost: dominated by ordering the layers, about (sweeps) × (edges, long ones counted once
/// for each layer they cross) × log; a graph of 60 vertices takes a few milliseconds.
public struct GraphPicture: Sendable {
  /// What a vertex does during inference. Kinds differ in shape and outline as well as in colour.
  public enum Kind: String, Sendable, CaseIterable {
    /// In this order: a pill, a parallelogram, a rounded box, a dashed box, a hexagon, a double box.
    case input, parameter, relaxed, deterministic, loss, clamped
  }

  /// A box with one or two lines of text.
  public struct Node: Sendable {
    /// Unique; edges refer to it.
    public var id: String
    /// The first line; shortened in the drawing where it is too long.
    public var label: String
    /// A second, smaller line, such as the shape of the value; empty for none.
    public var sublabel: String
    /// Decides shape, outline and colour.
    public var kind: Kind

    /// A node, in the order id, label, sublabel, kind.
    public init(_ id: String, _ label: String, _ sublabel: String = "", _ kind: Kind) {
      self.id = id
      self.label = label
      self.sublabel = sublabel
      self.kind = kind
    }
  }

  /// An arrow between two nodes; several between the same two are drawn side by side.
  public struct Edge: Sendable {
    /// The id of the node that it leaves.
    public var source: String
    /// The id of the node that it enters.
    public var target: String
    /// Text beside the arrow; `nil` for none.
    public var label: String?

    /// An edge between the nodes of two ids.
    public init(_ source: String, _ target: String, label: String? = nil) {
      self.source = source
      self.target = target
      self.label = label
    }
  }

  /// Where the layers follow one another.
  public enum Direction: Sendable {
    /// The way from inputs to losses.
    case down, right
  }

  /// One sentence; drawn above the graph unless empty.
  public var title: String
  /// The boxes; their order decides between drawings that are equally good.
  public let nodes: [Node]
  /// The arrows.
  public let edges: [Edge]
  /// By default down.
  public var direction: Direction
  /// The ends of each edge as indices of `nodes`.
  let ends: [(source: Int, target: Int)]

  /// Stops the program if two nodes have the same id or an edge refers to none.
  public init(title: String, nodes: [Node], edges: [Edge], direction: Direction = .down) {
    var indices: [String: Int] = [:]
    for (index, node) in nodes.enumerated() where indices.updateValue(index, forKey: node.id) != nil {
      fatalError("Two nodes of the graph picture have the id \"\(node.id)\".")
    }
    self.title = title
    self.nodes = nodes
    self.edges = edges
    self.direction = direction
    ends = edges.map { edge in
      guard let source = indices[edge.source], let target = indices[edge.target] else {
        fatalError(
          "The edge from \"\(edge.source)\" to \"\(edge.target)\" of the graph picture refers to a node that is not there."
        )
      }
      return (source, target)
    }
  }
}

// MARK: Look

extension GraphPicture.Kind {
  var ink: Ink {
    switch self {
    case .input: .ink
    case .parameter: .data(4)
    case .relaxed: .data(0)
    case .deterministic: .muted
    case .loss: .data(1)
    case .clamped: .data(2)
    }
  }

  var dash: String? { self == .deterministic ? "4 3" : nil }
  var fillOpacity: Double { self == .deterministic ? 0 : self == .input ? 0.06 : 0.13 }

  /// The room that slanted or round sides take from the text, on each side.
  fileprivate func inset(height: Double) -> Double {
    switch self {
    case .input, .parameter, .loss: height * 0.28
    case .relaxed, .deterministic: 0
    case .clamped: 4
    }
  }

  /// The outline within a frame. Its top and bottom are flat at the middle, where edges end.
  fileprivate func outline(_ frame: GraphPicture.Frame) -> Markup {
    .element(
      "g",
      [
        "fill": "currentColor", "fill-opacity": SVG.number(fillOpacity), "stroke": "currentColor",
        "stroke-width": "1.4", "stroke-dasharray": dash,
      ], shapes(frame))
  }

  private func shapes(_ frame: GraphPicture.Frame) -> [Markup] {
    func polygon(_ corners: [(Double, Double)]) -> Markup {
      .element(
        "polygon", ["points": corners.map { SVG.number($0) + " " + SVG.number($1) }.joined(separator: " ")])
    }
    func rectangle(radius: Double = 0, inset: Double = 0) -> Markup {
      .element(
        "rect",
        [
          "x": SVG.number(frame.x + inset), "y": SVG.number(frame.y + inset),
          "width": SVG.number(frame.width - 2 * inset), "height": SVG.number(frame.height - 2 * inset),
          "rx": radius == 0 ? nil : SVG.number(radius), "fill": inset == 0 ? nil : "none",
          "stroke-width": inset == 0 ? nil : "1",
        ])
    }
    let (slant, middle) = (inset(height: frame.height), frame.y + frame.height / 2)
    switch self {
    case .input: return [rectangle(radius: frame.height / 2)]
    case .relaxed: return [rectangle(radius: 7)]
    case .deterministic: return [rectangle()]
    case .clamped: return [rectangle(), rectangle(inset: 3)]
    case .parameter:
      return [
        polygon([
          (frame.x + slant, frame.y), (frame.maxX, frame.y), (frame.maxX - slant, frame.maxY), (frame.x, frame.maxY),
        ])
      ]
    case .loss:
      return [
        polygon([
          (frame.x, middle), (frame.x + slant, frame.y), (frame.maxX - slant, frame.y), (frame.maxX, middle),
          (frame.maxX - slant, frame.maxY), (frame.x + slant, frame.maxY),
        ])
      ]
    }
  }
}

// MARK: Drawing

extension GraphPicture {
  static let labelSize = 13.0
  static let sublabelSize = 11.0
  private static let widestText = 210.0
  private static let feedbackDash = "5 3"

  /// A box for the node's text.
  func size(of node: Node) -> (width: Double, height: Double) {
    let text = max(
      min(TextMetrics.width(node.label, size: Self.labelSize, bold: true), Self.widestText),
      min(TextMetrics.width(node.sublabel, size: Self.sublabelSize), Self.widestText))
    let height = node.sublabel.isEmpty ? 30.0 : 42
    return (max(48, (text + 20 + 2 * node.kind.inset(height: height)).rounded(.up)), height)
  }

  /// The drawing, with a legend of the kinds that occur. Cost: laid out anew each time.
  public var svg: SVG {
    let layout = layout()
    let hasFeedback = layout.routes.contains(where: \.isFeedback)
    let legend = legend(width: max(layout.width, 640), hasFeedback: hasFeedback)
    let lines = TextMetrics.lines(title, size: 16, bold: true, width: max(layout.width, 640))
    let titleHeight = lines.isEmpty ? 0 : Double(lines.count) * 21 + 12
    let titleWidth = lines.map { TextMetrics.width($0, size: 16, bold: true) }.max() ?? 0
    let width = max(layout.width, legend.width, titleWidth).rounded(.up)

    let heading = SVG.group(
      .ink,
      lines.enumerated().map {
        SVG.text($1, x: width / 2, y: 17 + 21 * Double($0), anchor: .middle, size: 16, bold: true)
      })
    let graph = Markup.element(
      "g",
      [
        "class": "graph",
        "transform": "translate(\(SVG.number((width - layout.width) / 2)) \(SVG.number(titleHeight)))",
      ],
      [SVG.group(.muted, layout.routes.indices.flatMap { drawing(of: layout.routes[$0], edges[$0]) })]
        + zip(nodes, layout.frames).map { drawing(of: $0, in: $1) })
    let key = Markup.element(
      "g",
      [
        "class": "legend",
        "transform":
          "translate(\(SVG.number((width - legend.width) / 2)) \(SVG.number(titleHeight + layout.height + 14)))",
      ], legend.elements)
    return SVG(
      width: width, height: titleHeight + layout.height + 14 + legend.height, title: title.isEmpty ? "Graph" : title,
      summary: summary, elements: [heading, graph, key])
  }

  private func drawing(of node: Node, in frame: Frame) -> Markup {
    let middle = frame.x + frame.width / 2
    let label = TextMetrics.clipped(node.label, size: Self.labelSize, bold: true, width: Self.widestText)
    var texts = [
      SVG.text(
        label, x: middle, y: frame.y + (node.sublabel.isEmpty ? frame.height / 2 + 4.5 : 18), anchor: .middle,
        bold: true)
    ]
    var words = [SVG.group(.ink, texts)]
    if !node.sublabel.isEmpty {
      let sublabel = TextMetrics.clipped(node.sublabel, size: Self.sublabelSize, width: Self.widestText)
      texts = [SVG.text(sublabel, x: middle, y: frame.y + 33, anchor: .middle, size: Self.sublabelSize)]
      words.append(SVG.group(.muted, texts))
    }
    let hint = [node.id, node.label, node.sublabel, node.kind.rawValue].filter { !$0.isEmpty }.joined(separator: ", ")
    return .element(
      "g", ["class": "node"],
      [.element("title", [:], [.text(hint)]), SVG.group(node.kind.ink, [node.kind.outline(frame)])] + words)
  }

  private func drawing(of route: Route, _ edge: Edge) -> [Markup] {
    var elements: [Markup] = [
      .element(
        "path",
        [
          "class": "edge", "d": route.path, "fill": "none", "stroke": "currentColor", "stroke-width": "1.3",
          "stroke-dasharray": route.isFeedback ? Self.feedbackDash : nil,
        ]),
      .element("polygon", ["points": route.arrow, "fill": "currentColor"]),
    ]
    if let label = edge.label, !label.isEmpty {
      elements.append(
        .element(
          "text",
          [
            "class": "halo", "x": SVG.number(route.middle.x + 5), "y": SVG.number(route.middle.y + 4),
            "fill": "currentColor", "font-size": SVG.number(Self.sublabelSize), "stroke": Ink.paperLight,
            "stroke-width": "3", "paint-order": "stroke",
          ], [.text(label)]))
    }
    return elements
  }

  /// The kinds that occur, in rows no wider than `limit` if possible.
  private func legend(width limit: Double, hasFeedback: Bool) -> (elements: [Markup], width: Double, height: Double) {
    let kinds = Kind.allCases.filter { kind in nodes.contains { $0.kind == kind } }
    guard !kinds.isEmpty else { return ([], 0, 0) }
    var (cursor, row, widest) = (0.0, 0.0, 0.0)
    var elements: [Markup] = []
    func add(_ name: String, _ ink: Ink, _ sample: (Frame) -> Markup) {
      let width = 37 + TextMetrics.width(name, size: 12)
      if cursor > 0 && cursor + width > limit { (cursor, row) = (0, row + 24) }
      elements.append(SVG.group(ink, [sample(Frame(x: cursor + 1, y: row + 2, width: 29, height: 15))]))
      elements.append(SVG.group(.muted, [SVG.text(name, x: cursor + 37, y: row + 14, size: 12)]))
      widest = max(widest, cursor + width)
      cursor += width + 20
    }
    for kind in kinds { add(kind.rawValue, kind.ink, kind.outline) }
    if hasFeedback {
      add("feedback", .muted) { SVG.line($0.x, $0.y + 7.5, $0.maxX, $0.y + 7.5, width: 1.3, dash: Self.feedbackDash) }
    }
    return (elements, widest.rounded(.up), row + 24)
  }

  private var summary: String {
    let counts = Kind.allCases.compactMap { kind -> String? in
      let count = nodes.count { $0.kind == kind }
      return count == 0 ? nil : "\(count) \(kind.rawValue)"
    }
    return "A graph of \(nodes.count) vertices (\(counts.joined(separator: ", "))) and \(edges.count) edges."
  }
}
