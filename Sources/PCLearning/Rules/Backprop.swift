import PCGraphs
import PCPlans

/// Backpropagation: every vertex deterministic, one reverse sweep. The yardstick of all other rules.
public struct Backprop: Rule {
  public let name = "backprop"
  /// The rule; it has no settings.
  public init() {}

  public func write(_ plan: PlanBuilder) {
    plan.predictAll()
    plan.writeLosses()
    let graph = plan.graph
    let lossMessages = graph.losses.indices.map(plan.lossMessage)
    let sweep = Sweep(
      plan, messages: plan.messages, wanted: Set(graph.vertices.map(\.result)), lossMessages: lossMessages)
    for vertex in graph.vertices.indices.reversed() where graph.vertices[vertex].kind != .parametric {
      sweep.messages[vertex] = plan.message(of: vertex, from: sweep)
      plan.messages[vertex] = sweep.messages[vertex]
    }
    plan.begin(.close)
    plan.writeGradients(
      Sweep(plan, messages: plan.messages, wanted: plan.closingValues, lossMessages: lossMessages))
    plan.writeMonitor(moving: [], lossMessages: lossMessages)
  }
}
