// MARK: dot

extension GraphPicture {
  /// The graph in the language of Graphviz, in the colours of `svg` and the shapes nearest to its.
  public var dot: String {
    var lines = [
      "digraph \(Self.quoted(title.isEmpty ? "graph" : title)) {",
      "  rankdir=\(direction == .down ? "TB" : "LR");",
      "  node [fontname=\"Helvetica\", fontsize=11, penwidth=1.4];",
      "  edge [fontname=\"Helvetica\", fontsize=9, color=\"\(Ink.muted.light)\", arrowsize=0.7];",
    ]
    if !title.isEmpty { lines.insert("  label=\(Self.quoted(title)); labelloc=t; fontname=\"Helvetica\";", at: 1) }
    lines += nodes.map { node in
      let label = node.sublabel.isEmpty ? node.label : node.label + "\n" + node.sublabel
      return "  \(Self.quoted(node.id)) [label=\(Self.quoted(label)), \(node.kind.dotStyle)];"
    }
    lines += edges.map { edge in
      let label = edge.label.map { " [label=\(Self.quoted($0))]" } ?? ""
      return "  \(Self.quoted(edge.source)) -> \(Self.quoted(edge.target))\(label);"
    }
    return (lines + ["}"]).joined(separator: "\n") + "\n"
  }

  /// A quoted string of dot. A backslash is doubled, since labels give it a meaning of their own.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for character in text {
      switch character {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where character.isNewline: result += "\\n"
      default: result.append(character)
      }
    }
    return result + "\""
  }
}

extension GraphPicture.Kind {
  fileprivate var dotStyle: String {
    let shape =
      switch self {
      case .input: "shape=oval, style=filled"
      case .parameter: "shape=parallelogram, style=filled"
      case .relaxed: "shape=box, style=\"rounded,filled\""
      case .deterministic: "shape=box, style=dashed"
      case .loss: "shape=hexagon, style=filled"
      case .clamped: "shape=box, peripheries=2, style=filled"
      }
    return fillOpacity == 0
      ? "\(shape), color=\"\(ink.light)\""
      : "\(shape), color=\"\(ink.light)\", fillcolor=\"\(ink.light)\(Self.hexadecimal(fillOpacity))\""
  }

  private static func hexadecimal(_ fraction: Double) -> String {
    let text = String(Int((fraction * 255).rounded()), radix: 16)
    return text.count < 2 ? "0" + text : text
  }
}
