extension Graph: CustomStringConvertible {
  /// The graph as text, one vertex a line, in topological order:
  ///
  /// ```
  /// input image [B, 1, 8, 8]
  /// parameter hidden.weight [64, 32]
  /// deterministic reshape [B, 64] = reshape(image)
  /// relaxed hidden [B, 32] = tanh(add(matmul(reshape, hidden.weight), hidden.bias))
  /// deterministic output [B, 10] = matmul(hidden, output.weight)
  /// loss cross-entropy(output, one hot)
  /// ```
  public var description: String {
    var lines = inputs.map { "input \($0.name) \(values[$0.value].shape)" }
    lines += parameters.map { "\($0.isTrainable ? "parameter" : "constant") \($0.name) \(values[$0.value].shape)" }
    lines += vertices.indices.map { "\(vertices[$0].kind.rawValue) \(vertices[$0].name) \(formula(ofVertex: $0))" }
    lines += losses.map { loss in
      let weight = loss.weight == 1 ? "" : "\(loss.weight) · "
      return "loss \(loss.name) = \(weight)\(loss.function.name)(\(values[loss.prediction].name), "
        + "\(values[loss.target].name))"
    }
    return lines.joined(separator: "\n")
  }

  private func formula(ofVertex index: Int) -> String {
    let vertex = vertices[index]
    func text(_ value: Int) -> String {
      guard case .node(let node) = values[value].source, nodes[node].vertex == index else {
        return values[value].name
      }
      let operation = nodes[node].operation
      let attributes = operation.attributes.isEmpty ? "" : "{\(operation.attributes)}"
      return "\(operation.name)\(attributes)(\(nodes[node].operands.map(text).joined(separator: ", ")))"
    }
    let clamp = vertex.clamp.map { clamp in
      let mask = clamp.mask.map { " where \(values[$0].name)" } ?? ""
      return ", clamped to \(values[clamp.target].name)\(mask)"
    }
    return "\(values[vertex.result].shape) = \(text(vertex.result))\(clamp ?? "")"
  }
}
