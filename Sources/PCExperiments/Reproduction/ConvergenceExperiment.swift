#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCDatasets
import PCGraphs
import PCKernels
import PCKernelsCPU
import PCLearning
import PCRandomness

/// How many steps bring the gradient within 1 % and 0.1 % of backprop's, on graphs of many depths, widths and shapes, in
/// Double: what the certificate says before any run, beside what a run needs.
///
/// g(T) = Σ_d c_d(T) g^(d) (`Certificate`), so with the parts g^(d) in hand the smallest T comes from arithmetic; two
/// stepwise runs, of T and of T − 1 steps, then say whether it is right.
package struct ConvergenceExperiment: PaperExperiment {
  package static let name = NamedPaperExperiment.convergence
  package static let title = "How many steps inference needs"
  package static let claim = """
    Inference converges to backprop's gradients on any graph; 100 to 200 steps are enough for the paper's networks, and \
    recurrent ones are relaxed one time step after the other, from the last to the first.
    """

  /// One graph under one schedule.
  package struct Work: PaperWork, Hashable {
    package var shape: ConvergenceGraph.Shape
    /// Relaxed vertices; for `sequence` its length.
    package var size: Int
    package var width = 16
    package var rate = 0.2
    package var isTimeReversed = false
    /// Whether the time on the CPU backend is measured, instead of the steps.
    package var isTimed = false
    package var seed: UInt64? = 0

    package var name: String {
      "\(shape.rawValue)-\(size)-width\(width)-h\(rate)" + (isTimeReversed ? "-reversed" : "")
        + (isTimed ? "-timed" : "")
    }

    /// What a path over d relaxed vertices still lacks after T steps.
    func shortfall(_ depth: Int, _ steps: Int) -> Double {
      let certificate = Certificate(steps: steps, rate: rate)
      guard isTimeReversed else { return certificate.shortfall(depth) }
      // Each step of the sequence is a block with one relaxed vertex.
      return certificate.shortfall(timeReversed: Array(repeating: 1, count: depth))
    }
  }

  /// When a gradient is there.
  package struct Arrival: Codable, Sendable {
    /// The relative distance that counts as there.
    package var tolerance: Double
    /// The smallest T with which a path over the largest depth has arrived but for `tolerance`: known before any run.
    package var law: Int
    /// The smallest T for which Σ (1 − c_d) ‖g^(d)‖ / ‖g‖ is at most `tolerance`.
    package var bound: Int
    /// The smallest T from which on ‖g(T) − g‖ / ‖g‖ is at most `tolerance`.
    package var measured: Int
    /// ‖g(T) − g‖ / ‖g‖ of a stepwise run of `measured` steps.
    package var error: Double
    /// The same one step earlier; nil where there is none.
    package var errorBefore: Double?

    /// Whether the stepwise runs say what arithmetic said.
    package var isConfirmed: Bool { error <= tolerance && (errorBefore.map { $0 > tolerance } ?? true) }
  }

  /// A gradient: of the parameter that is farthest from the loss, or of all.
  package struct Reach: Codable, Sendable {
    /// A parameter, or `all`.
    package var parameter: String
    package var depths: [Int]
    package var arrivals: [Arrival]
  }

  package struct Result: Codable, Sendable {
    /// The farthest parameter, then all; none where time was measured.
    package var reaches: [Reach] = []
    /// T for each vertex, and the median seconds of inference on one batch.
    package var time: Time?

    package struct Time: Codable, Sendable {
      package var steps: Int
      package var seconds: Double
      package var batchSize: Int
    }
  }

  package static let tolerances = [0.01, 0.001]
  private static let examples = 4
  private let isQuick: Bool
  private let threads: Int?

  package init(_ settings: Reproduction) {
    isQuick = settings.isQuick
    threads = settings.threads
  }

  // MARK: Plan

  static let depths = [1, 2, 4, 8, 16, 32, 64]
  static let lengths = [1, 2, 5, 10, 20, 50, 100]
  static let rates = [0.05, 0.1, 0.2, 0.5, 1]
  /// The paper's RNN has h = 0.1.
  static let sequenceRate = 0.1
  static let timedWidth = 64

  package func plan() -> (works: [Work], omissions: [String]) {
    var works = Self.depths.map { Work(shape: .chain, size: $0) }
    works += (isQuick ? [4, 16, 64] : [4, 16, 64, 256]).map { Work(shape: .chain, size: 8, width: $0) }
    works += Self.rates.map { Work(shape: .chain, size: 8, rate: $0) }
    works += ConvergenceGraph.Shape.allCases.filter { $0 != .sequence }.map { Work(shape: $0, size: 13) }
    for isTimed in [false, true] {
      for isTimeReversed in [false, true] {
        works += Self.lengths.map {
          Work(
            shape: .sequence, size: $0, width: isTimed ? Self.timedWidth : 16, rate: Self.sequenceRate,
            isTimeReversed: isTimeReversed, isTimed: isTimed)
        }
      }
    }
    var seen: Set<Work> = []
    return (works.filter { seen.insert($0).inserted }, [])
  }

  package func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) throws -> Result {
    try work.isTimed ? time(work) : reach(work)
  }

  // MARK: Steps

  private func reach(_ work: Work) throws -> Result {
    let graph = ConvergenceGraph(work.shape, size: work.size, width: work.width)
    let network = try Network(graph.model, on: Reference(), seed: work.seed ?? 0)
    let feed = graph.feed(count: Self.examples, seed: work.seed ?? 0)
    let exact = try network.gradients(Backprop(), on: feed)

    let parameters = network.graph.parameters.filter(\.isTrainable)
    let depths = parameters.map { network.graph.gradientDepths(ofValue: $0.value) }
    let all = Set(depths.joined()).sorted()
    let deepest = all.last ?? 0
    var parts: [Int: Gradients] = [:]
    for depth in all {
      parts[depth] = try network.gradients(
        weightingDepthsBy: (0...deepest).map { $0 == depth ? 1 : 0 }, on: feed)
    }

    func reach(_ title: String, _ names: [String], _ depths: [Int]) throws -> Reach {
      let products = Products(parts, depths, names)
      func error(_ steps: Int) -> Double { products.error(depths.map { work.shortfall($0, steps) }) }
      func bound(_ steps: Int) -> Double { products.bound(depths.map { work.shortfall($0, steps) }) }
      func measured(_ steps: Int) throws -> Double {
        let order: FixedPredictions.Schedule = work.isTimeReversed ? .timeReversed : .synchronous
        let rule = FixedPredictions(steps: steps, rate: work.rate, order: order)
        return try network.gradients(rule, on: feed).restricted(to: names)
          .compared(with: exact.restricted(to: names)).relativeError
      }
      return Reach(
        parameter: title, depths: depths,
        arrivals: try Self.tolerances.map { tolerance in
          let law = Self.smallest { work.shortfall(depths.last ?? 0, $0) <= tolerance }
          // The bound falls with T, so nothing is out of tolerance beyond it.
          let bound = Self.smallest { bound($0) <= tolerance }
          var steps = bound
          while steps > 0, error(steps - 1) <= tolerance { steps -= 1 }
          return Arrival(
            tolerance: tolerance, law: law, bound: bound, measured: steps, error: try measured(steps),
            errorBefore: steps > 0 ? try measured(steps - 1) : nil)
        })
    }
    // Where several are equally far, one that is reached over paths of one depth alone.
    func distance(_ index: Int) -> (Int, Int) { (depths[index].last ?? 0, -depths[index].count) }
    let farthest = parameters.indices.max { distance($0) < distance($1) } ?? 0
    return Result(reaches: [
      try reach(parameters[farthest].name, [parameters[farthest].name], depths[farthest]),
      try reach("all", parameters.map(\.name), all),
    ])
  }

  /// The smallest T ≥ 0 that satisfies what every larger one satisfies, too.
  private static func smallest(_ isEnough: (Int) -> Bool) -> Int {
    var high = 1
    while !isEnough(high) { high *= 2 }
    var low = -1
    while high - low > 1 {
      let middle = (low + high) / 2
      if isEnough(middle) { high = middle } else { low = middle }
    }
    return high
  }

  /// ⟨g^(d), g^(e)⟩ for all depths of some parameters: lengths of weighted sums without summing vectors again.
  private struct Products {
    var products: [[Double]]

    init(_ parts: [Int: Gradients], _ depths: [Int], _ names: [String]) {
      func product(_ a: Int, _ b: Int) -> Double {
        guard let a = parts[a], let b = parts[b] else { return 0 }
        return names.reduce(0) { sum, name in
          zip(a[name]?.values ?? [], b[name]?.values ?? []).reduce(sum) { $0 + $1.0 * $1.1 }
        }
      }
      products = depths.map { a in depths.map { b in product(a, b) } }
    }

    /// ‖Σ w_d g^(d)‖.
    func length(_ weights: [Double]) -> Double {
      let squared = weights.indices.reduce(0.0) { sum, a in
        weights.indices.reduce(sum) { $0 + weights[a] * weights[$1] * products[a][$1] }
      }
      return max(0, squared).squareRoot()
    }

    private var total: Double { length(products.map { _ in 1 }) }

    func error(_ shortfalls: [Double]) -> Double { length(shortfalls) / total }

    func bound(_ shortfalls: [Double]) -> Double {
      shortfalls.indices.reduce(0) { $0 + shortfalls[$1] * products[$1][$1].squareRoot() } / total
    }
  }

  // MARK: Time

  /// The first state's gradient within 0.1 %, with the steps that the law asks for.
  private func time(_ work: Work) throws -> Result {
    let batchSize = 32
    let length = work.size
    let graph = ConvergenceGraph(work.shape, size: length, width: work.width)
    let network = try Network(graph.model, on: CPU(threads: threads), seed: work.seed ?? 0)
    let feed = graph.feed(count: batchSize, seed: work.seed ?? 0)
    let tolerance = Self.tolerances.last ?? 0
    let steps = Self.smallest { work.shortfall(length, $0) <= tolerance }
    let rule = FixedPredictions(
      steps: steps, rate: work.rate, order: work.isTimeReversed ? .timeReversed : .synchronous)
    let run = try network.run(rule, on: feed)
    run.runAll()
    let clock = ContinuousClock()
    let seconds = (0..<(isQuick ? 3 : 9)).map { _ in clock.measure { run.runAll() }.seconds }
    return Result(
      time: Result.Time(steps: steps, seconds: Statistics(seconds).median, batchSize: batchSize))
  }
}

extension Gradients {
  fileprivate func restricted(to names: [String]) -> Gradients {
    Gradients(byParameter: byParameter.filter { names.contains($0.key) })
  }
}

// MARK: - Graphs

/// Graphs of one kind of vertex, tanh of a sum of matrix products, in different shapes.
package struct ConvergenceGraph {
  package enum Shape: String, Codable, CaseIterable, Sendable {
    /// Each vertex reads the one before it.
    case chain
    /// A stem, then blocks of two vertices: tanh(W x), and x plus a product of that.
    case residual
    /// Each vertex reads the input and all vertices before it.
    case dense
    /// Each vertex reads one to three of the five before it, drawn at random; those that nobody reads feed the output.
    case random
    /// One recurrent vertex, unrolled, with a trained first state.
    case sequence

    var title: String {
      switch self {
      case .chain: "chain"
      case .residual: "residual"
      case .dense: "all to all"
      case .random: "random"
      case .sequence: "sequence"
      }
    }
  }

  package let model: Model
  private let inputShape: [Int]
  private static let outputs = 4

  /// - Parameters:
  ///   - size: relaxed vertices; for `sequence` its length, for `residual` an odd number.
  ///   - width: elements of each.
  package init(_ shape: Shape, size: Int, width: Int) {
    inputShape = shape == .sequence ? [size, width] : [width]
    let inputShape = inputShape
    model = Model { graph in
      let x = graph.input("x", PCGraphs.Shape([.batch] + inputShape.map(Axis.fixed)))
      let target = graph.input("target", [.batch, .fixed(Self.outputs)])
      let ends: [Value]
      switch shape {
      case .sequence: ends = [Self.sequence(graph, x, width: width)]
      case .chain: ends = Self.vertices(graph, x, size, width) { [$0 - 1] }
      case .dense: ends = Self.vertices(graph, x, size, width) { Array(-1..<$0) }
      case .random:
        var stream = RandomStream(seed: 0, "random graph", size)
        ends = Self.vertices(graph, x, size, width) { vertex in
          let candidates = Array(max(-1, vertex - 5)..<vertex)
          let order = stream.shuffledIndices(candidates.count)
          return order.prefix(1 + stream.integer(below: 3)).map { candidates[$0] }
        }
      case .residual: ends = [Self.residual(graph, x, size, width)]
      }
      graph.loss(.squaredError(Self.sum(graph, "output", ends, Self.outputs), target))
    }
  }

  /// Σ x W, each W of a variance that keeps the sum's.
  private static func sum(_ graph: GraphBuilder, _ name: String, _ parents: [Value], _ units: Int) -> Value {
    let weights = parents.enumerated().map { index, parent in
      let width = parent.shape.count
      let deviation = (1 / Double(width * parents.count)).squareRoot()
      return graph.parameter(
        "\(name).weight\(index)", [width, units], .normal(standardDeviation: deviation))
    }
    return graph.vertex(name, name == "output" ? .deterministic : .relaxed) {
      let terms = zip(parents, weights).map { matmul($0, $1) }
      let total = terms.dropFirst().reduce(terms[0]) { $0 + $1 }
      return name == "output" ? total : tanh(total)
    }
  }

  /// - Returns: the vertices that no other one reads.
  private static func vertices(
    _ graph: GraphBuilder, _ x: Value, _ size: Int, _ width: Int, parents: (Int) -> [Int]
  ) -> [Value] {
    var values: [Value] = []
    var isRead = Array(repeating: false, count: size)
    for vertex in 0..<size {
      let parents = parents(vertex)
      for parent in parents where parent >= 0 { isRead[parent] = true }
      values.append(sum(graph, "vertex\(vertex + 1)", parents.map { $0 < 0 ? x : values[$0] }, width))
    }
    return zip(values, isRead).filter { !$1 }.map(\.0)
  }

  private static func residual(_ graph: GraphBuilder, _ x: Value, _ size: Int, _ width: Int) -> Value {
    var x = sum(graph, "vertex1", [x], width)
    for block in 1...max(1, size / 2) {
      let inner = sum(graph, "vertex\(2 * block)", [x], width)
      let weight = graph.parameter("vertex\(2 * block + 1).weight0", [width, width], .glorot)
      let before = x
      x = graph.vertex("vertex\(2 * block + 1)") { before + matmul(inner, weight) }
    }
    return x
  }

  private static func sequence(_ graph: GraphBuilder, _ x: Value, width: Int) -> Value {
    let input = graph.parameter("input", [width, width], .normal(standardDeviation: 1 / Double(width).squareRoot()))
    let recurrent = graph.parameter("recurrent", [width, width], .orthogonal())
    let start = graph.parameter("start", [1, width], .normal(standardDeviation: 0.5))
    var state = start
    graph.unroll("rnn", x.shape.extents[1]) { step in
      let now = x.sliced(axis: 1, step..<(step + 1)).reshaped([.batch, .fixed(width)])
      let before = state
      state = graph.vertex("state") { tanh(matmul(now, input) + matmul(before, recurrent)) }
    }
    return state
  }

  /// Standard normal inputs and targets.
  package func feed(count: Int, seed: UInt64) -> Feed {
    func numbers(_ name: String, _ each: Int) -> Feed.Numbers {
      var stream = RandomStream(seed: seed, "convergence", name)
      return .doubles((0..<count * each).map { _ in stream.normal() })
    }
    return Feed(
      count: count, ["x": numbers("x", inputShape.reduce(1, *)), "target": numbers("target", Self.outputs)])
  }
}
