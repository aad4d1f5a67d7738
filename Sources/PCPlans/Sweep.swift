import PCGraphs
import PCPrimitives

/// One visit of the vertices' pullbacks: what arrives at a value from those who read it.
///
/// Each vertex is pulled back once, when the first of its operands is asked for, with the message that `messages` holds
/// then, and only along the operations that lead to `wanted` values.
public final class Sweep {
  /// For each vertex, the message that it passes on; `nil` where it has none.
  public var messages: [Term?]

  private let plan: PlanBuilder
  private let wanted: Set<Int>
  private let lossMessages: [Term]
  private var pulled: [Int: [Int: [Term]]] = [:]

  /// Writes nothing yet: vertices are pulled back when `arriving(at:)` first asks.
  ///
  /// - Parameters:
  ///   - plan: receives the instructions.
  ///   - messages: for each vertex, the message that it passes on; those that are found later go into `messages`.
  ///   - wanted: the values that will be asked for.
  ///   - lossMessages: for each loss, its message; none for a sweep that the losses stay out of.
  public init(_ plan: PlanBuilder, messages: [Term?], wanted: Set<Int>, lossMessages: [Term]) {
    self.plan = plan
    self.messages = messages
    self.wanted = wanted
    self.lossMessages = lossMessages
  }

  /// The messages that arrive at a value, each with the value's extents: Jᵀm of every reader, and those of the losses
  /// that it feeds.
  public func arriving(at value: Int) -> [Term] {
    guard wanted.contains(value) else {
      fatalError("\(plan.graph.values[value].name) is not among the values that this sweep was made for")
    }
    var terms: [Term] = []
    for (message, loss) in zip(lossMessages, plan.graph.losses) where loss.prediction == value {
      terms.append(message)
    }
    for reader in plan.readers(of: value) { terms += pull(reader)[value] ?? [] }
    return terms
  }

  /// Whether broadcasting `target` could have made `extents`.
  private static func canSumBack(_ extents: [Int], to target: [Int]) -> Bool {
    extents.count >= target.count
      && zip(extents.suffix(target.count), target).allSatisfy { $0 == $1 || $1 == 1 }
  }

  /// What a vertex sends to each wanted operand.
  private func pull(_ vertex: Int) -> [Int: [Term]] {
    if let known = pulled[vertex] { return known }
    var sent: [Int: [Term]] = [:]
    defer { pulled[vertex] = sent }
    guard let message = messages[vertex] else { return sent }
    let graph = plan.graph
    let nodes = graph.vertices[vertex].nodes
    // The operations that lead to a wanted operand.
    var leads = Set<Int>()
    for index in nodes {
      let node = graph.nodes[index]
      if node.operands.contains(where: { wanted.contains($0) && graph.vertex(making: $0) != vertex })
        || node.operands.contains(where: { leads.contains($0) })
      {
        leads.insert(node.result)
      }
    }
    var inner: [Int: [Term]] = [graph.vertices[vertex].result: [message]]
    for index in nodes.reversed() {
      let node = graph.nodes[index]
      guard leads.contains(node.result), let arrived = inner[node.result],
        let total = plan.sum(arrived, name: plan.name(vertex, "inner"))
      else { continue }
      let (operands, result) = plan.point(index)
      let point = Linearization(operands: operands, result: result, message: total)
      for (position, operand) in node.operands.enumerated() {
        let isInner = graph.vertex(making: operand) == vertex
        guard isInner ? leads.contains(operand) : wanted.contains(operand) else { continue }
        plan.emit.label = graph.vertices[vertex].name
        guard let term = node.operation.pullback(to: position, point, plan.emit) else { continue }
        let shape = graph.values[operand].shape
        guard Self.canSumBack(term.extents, to: shape.extents) else {
          fatalError(
            "\(node.operation.name)'s pullback to operand \(position) has extents \(term.extents), which do not sum back to "
              + "the operand's \(shape.extents)")
        }
        let back = plan.emit.sumBack(term, to: shape.extents, isBatched: shape.isBatched)
        if isInner { inner[operand, default: []].append(back) } else { sent[operand, default: []].append(back) }
      }
    }
    return sent
  }
}

extension PlanBuilder {
  /// The vertices that read a value, in order and once each.
  func readers(of value: Int) -> [Int] {
    if let maker = graph.vertex(making: value) { return children[maker] }
    return graph.vertices.indices.filter { graph.vertices[$0].operands.contains(value) }
  }
}
