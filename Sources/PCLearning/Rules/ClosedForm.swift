import PCGraphs
import PCPlans
import PCPrimitives

/// Messages under fixed predictions as a sum over depths, without steps.
///
/// After T steps of size h, m_i(T) = Σ_d c_d(T) g_i^(d), where g_i^(d) is backprop's negative gradient restricted to the
/// paths from i to a loss that cross d relaxed vertices, and c_d(T) = P[Binomial(T, h) ≥ d]. The parts g^(d) come from
/// one backward pass for each distinct depth; the sum is taken before parameters are touched.
///
/// Two savings leave the result exact to rounding: a part with c_d < ε may be dropped, since c falls with d. And a part
/// may be *pooled* with others once it is saturated even at the deepest place it can still reach: at vertex i if
/// 1 − c_{d + a_i} < ε, with a_i the largest number of relaxed vertices above i. A graph with one depth for each vertex
/// costs one backward pass.
struct ClosedForm {
  enum Part: Hashable {
    case dropped
    /// Coefficient 1 here and everywhere above.
    case pooled
    case depth(Int)
  }

  /// Vertices that are relaxed together, in the order of the schedule. Depths count inside of a block; what a block hears
  /// from those before it is their final message, like that of a loss. So coefficients multiply along a path.
  var blocks: [[Int]]
  /// What becomes of the part of depth d (the vertex included) at a vertex with so many relaxed ancestors in its block.
  var part: (_ depth: Int, _ ancestors: Int) -> Part
  var coefficient: (_ depth: Int) -> Scalar

  func write(_ plan: PlanBuilder) {
    plan.predictAll()
    plan.writeLosses()
    let lossMessages = plan.graph.losses.indices.map(plan.lossMessage)
    for block in blocks { write(block, lossMessages, plan) }
    plan.begin(.close)
    plan.writeGradients(
      Sweep(plan, messages: plan.messages, wanted: plan.closingValues, lossMessages: lossMessages))
    plan.writeMonitor(moving: plan.freeVertices, lossMessages: lossMessages)
  }

  private func write(_ block: [Int], _ lossMessages: [Term], _ plan: PlanBuilder) {
    let graph = plan.graph
    let ancestors = graph.relaxedAncestors(within: Set(block))
    let wanted = Set(block.map { graph.vertices[$0].result })
    let nothing: [Term?] = Array(repeating: nil, count: graph.vertices.count)
    var combined: [[Part: Term]: Term] = [:]
    let held = Sweep(plan, messages: plan.messages, wanted: wanted, lossMessages: lossMessages)
    var sweeps: [Part: Sweep] = [:]
    func sweep(_ part: Part) -> Sweep {
      if let known = sweeps[part] { return known }
      let made = Sweep(plan, messages: nothing, wanted: wanted, lossMessages: [])
      sweeps[part] = made
      return made
    }

    for vertex in block.reversed() {
      let own = graph.vertices[vertex].kind == .relaxed ? 1 : 0
      let clamp = graph.vertices[vertex].clamp
      let value = graph.vertices[vertex].result
      var arriving: [Part: [Term]] = [:]
      if clamp == nil || clamp?.mask != nil {
        let constant = held.arriving(at: value)
        if !constant.isEmpty { arriving[part(own, ancestors[vertex])] = constant }
        for (source, sweep) in sweeps.sorted(by: { $0.key < $1.key }) {
          let target: Part = if case .depth(let d) = source { part(d + own, ancestors[vertex]) } else { source }
          guard target != .dropped else { continue }
          let terms = sweep.arriving(at: value)
          if !terms.isEmpty { arriving[target, default: []] += terms }
        }
      }
      arriving[.dropped] = nil
      plan.emit.label = graph.vertices[vertex].name
      var parts: [Part: Term] = [:]
      for (key, terms) in arriving.sorted(by: { $0.key < $1.key }) {
        guard let sum = plan.sum(terms, name: plan.name(vertex, "\(key)")) else { continue }
        // No path crosses a clamped element.
        parts[key] = clamp == nil ? sum : plan.clamping(vertex, sum) { _ in plan.zero(like: vertex) }
      }
      if clamp != nil {
        let error = plan.clamping(vertex, plan.zero(like: vertex), to: plan.clampedError(vertex))
        let key = part(0, ancestors[vertex])
        parts[key] = parts[key].map { plan.emit.add($0, error) } ?? error
      }
      for (key, term) in parts { sweep(key).messages[vertex] = term }
      // A vertex that passes on what one child sent, unchanged, has that child's message.
      plan.messages[vertex] = combined[parts] ?? combine(parts, vertex, plan)
      combined[parts] = plan.messages[vertex]
    }
  }

  /// The backward passes of the block that needs most: how many parts there are that some vertex receives.
  func passes(on graph: Graph) -> Int {
    let children = graph.children()
    let fed = graph.lossesFed()
    return blocks.map { block in
      let members = Set(block)
      let ancestors = graph.relaxedAncestors(within: members)
      var parts: [Int: Set<Part>] = [:]
      for vertex in block.reversed() {
        let own = graph.vertices[vertex].kind == .relaxed ? 1 : 0
        let clamp = graph.vertices[vertex].clamp
        var found: Set<Part> = []
        if clamp == nil || clamp?.mask != nil {
          let hearsOthers = children[vertex].contains { !members.contains($0) }
          if !fed[vertex].isEmpty || hearsOthers { found.insert(part(own, ancestors[vertex])) }
          for source in children[vertex].flatMap({ parts[$0] ?? [] }) {
            let target = if case .depth(let d) = source { part(d + own, ancestors[vertex]) } else { source }
            found.insert(target)
          }
        }
        if clamp != nil { found.insert(part(0, ancestors[vertex])) }
        found.remove(.dropped)
        parts[vertex] = found
      }
      return Set(parts.values.joined()).count
    }.max() ?? 0
  }

  /// Σ_d c_d g^(d).
  private func combine(_ parts: [Part: Term], _ vertex: Int, _ plan: PlanBuilder) -> Term? {
    func scale(_ part: Part) -> Scalar { if case .depth(let d) = part { coefficient(d) } else { .one } }
    let ordered = parts.sorted { $0.key < $1.key }
    guard let first = ordered.first else { return nil }
    if ordered.count == 1, scale(first.key) == .one { return first.value }
    let total = plan.emit.makeTerm(
      plan.name(vertex, "message"), first.value.extents, isBatched: true, stage: .batch)
    for (position, (key, term)) in ordered.enumerated() {
      plan.emit.blend(term, into: total, alpha: scale(key), beta: position == 0 ? .zero : .one)
    }
    return total
  }
}

extension ClosedForm.Part: Comparable {
  private var order: Int {
    switch self {
    case .dropped: -2
    case .pooled: -1
    case .depth(let d): d
    }
  }

  static func < (lhs: ClosedForm.Part, rhs: ClosedForm.Part) -> Bool { lhs.order < rhs.order }
}
