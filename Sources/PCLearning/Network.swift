import PCDatasets
import PCGraphs
import PCInterchange
import PCKernels
import PCPlans
import PCPrimitives
import PCRandomness

/// A model with parameters, on a backend: what rules run on.
///
/// ```swift
/// let network = try Network(model, on: CPU(), seed: 7)
/// let fixed = try network.gradients(FixedPredictions(steps: 100), on: feed)
/// let exact = try network.gradients(Backprop(), on: feed)
/// print(fixed.compared(with: exact).relativeError)      // 1.0e-05 on a graph of five layers
/// ```
///
/// Plans are compiled when they are first needed and kept. Use a network from one thread at a time.
public final class Network {
  /// The graph, and how its parameters start.
  public let model: Model
  /// Where parameters live and plans run.
  public let backend: any Backend
  /// Drew the parameters; `Trainer` shuffles by it as well.
  public let seed: UInt64
  private var storages: [String: any Storage] = [:]
  private var plans: [String: Plan] = [:]
  private var executables: [String: any Executable] = [:]
  /// Runs that may still be looked at; each keeps its executable, and so its state, to itself.
  private var lastRuns: [String: Weak] = [:]
  /// Graphs for other lengths than the usual one.
  private var graphs: [Int: Graph] = [:]

  private struct Weak {
    weak var run: InferenceRun?
  }

  /// The model's graph.
  public var graph: Graph { model.graph }

  /// The graph for a feed: that of its sequences' length, where it says one.
  ///
  /// - Throws: a `FeedError` where the model has no choice of length.
  public func graph(for feed: Feed) throws(FeedError) -> Graph {
    guard let length = feed.length else { return graph }
    if let known = graphs[length] { return known }
    guard length >= 1, let graph = model.graph(length: length) else {
      throw FeedError("the model cannot take sequences of \(length) steps; it was not made for any length")
    }
    graphs[length] = graph
    return graph
  }

  /// Draws each parameter by its path from the seed, so that a parameter's values do not depend on the others.
  public init(_ model: Model, on backend: any Backend, seed: UInt64) throws {
    self.model = model
    self.backend = backend
    self.seed = seed
    for parameter in model.graph.parameters {
      let values = parameter.initialValues(seed: seed)
      let origin = model.graph.values[parameter.value].origin
      guard values.count == parameter.extents.reduce(1, *) else {
        fatalError(
          "\(origin): the initializer of \(parameter.name) returned \(values.count) values for extents \(parameter.extents)"
        )
      }
      guard values.allSatisfy({ $0.magnitude <= backend.largestNumber }) else {
        fatalError("\(origin): the initializer of \(parameter.name) returned numbers that are not finite")
      }
      let storage = try makeStorage(parameter.name, count: values.count)
      storage.upload(values)
    }
  }

  private func makeStorage(_ name: String, count: Int) throws -> any Storage {
    if let storage = storages[name], storage.count == count { return storage }
    let storage = try backend.makeStorage(
      for: Buffer(name: name, count: count, isBatched: false, isPersistent: true))
    storages[name] = storage
    return storage
  }

  // MARK: Parameters

  /// The values of a parameter; stops if there is none of that name.
  public func parameter(_ name: String) -> Tensor {
    guard let parameter = graph.parameters.first(where: { $0.name == name }), let storage = storages[name] else {
      fatalError(absence(of: name, "parameter", among: graph.parameters.map(\.name)))
    }
    return Tensor(parameter.extents, storage.download())
  }

  /// Replaces the values of a parameter; stops if there is none of that name or the extents differ.
  public func setParameter(_ name: String, to value: Tensor) {
    guard let parameter = graph.parameters.first(where: { $0.name == name }), let storage = storages[name] else {
      fatalError(absence(of: name, "parameter", among: graph.parameters.map(\.name)))
    }
    guard parameter.extents == value.extents else {
      fatalError("parameter \(name) has extents \(parameter.extents), not \(value.extents)")
    }
    storage.upload(value.values)
  }

  /// All parameters, by path.
  public func parameters() -> [String: Tensor] {
    Dictionary(uniqueKeysWithValues: graph.parameters.map { ($0.name, parameter($0.name)) })
  }

  // MARK: Plans

  /// The plan of a rule for a feed, by default one of the usual length; the optimiser's update belongs to it where there is
  /// one. One that is not observed takes less memory (see `PlanBuilder.finish`).
  func plan(
    _ rule: any Rule, for feed: Feed? = nil, optimizer: (any Optimizer)? = nil, clipping: Clipping = .none,
    accumulates: Bool = false, wantedInputs: Set<Int> = [], isMonitored: Bool = false, isObserved: Bool = true,
    recomputing segment: Int? = nil
  ) throws -> (key: String, plan: Plan) {
    let graph = try feed.map(graph(for:)) ?? graph
    let key = [
      feed?.length.map { "\($0) steps" } ?? "",
      rule.planKey, optimizer.map { "\($0.planKey) \(clipping) \(accumulates)" } ?? "", "\(wantedInputs.sorted())",
      isMonitored ? "monitored" : "", isObserved ? "observed" : "",
      segment.map { "recomputing \($0)" } ?? "",
    ].joined(separator: "|")
    // Rules of one key may differ in their steps and rate, so each is checked.
    try rule.check(graph)
    if let known = plans[key] { return (key, known) }
    let builder = PlanBuilder(
      graph, epsilon: backend.epsilon, wantedInputs: wantedInputs, isMonitored: isMonitored)
    rule.write(builder)
    if let optimizer { optimizer.writeUpdate(builder, clipping: clipping, accumulates: accumulates) }
    let plan = builder.finish(isObserved: isObserved, recomputing: segment)
    plans[key] = plan
    return (key, plan)
  }

  func executable(_ key: String, _ plan: Plan, batchSize: Int) throws -> any Executable {
    let key = "\(key)|\(batchSize)"
    if let known = executables[key] { return known }
    let executable = try compile(plan, batchSize: batchSize)
    executables[key] = executable
    return executable
  }

  private func compile(_ plan: Plan, batchSize: Int) throws -> any Executable {
    var bindings: [Int: any Storage] = [:]
    for (index, buffer) in plan.program.buffers.enumerated() where buffer.isPersistent {
      bindings[index] = try storage(ofPersistent: index, in: plan)
    }
    return try backend.compile(plan.program, batchSize: batchSize, bindings: bindings)
  }

  /// The numbers of a persistent buffer, shared by all plans; zeros where it is new.
  func storage(ofPersistent index: Int, in plan: Plan) throws -> any Storage {
    let buffer = plan.program.buffers[index]
    // An optimiser's state must not meet a parameter that happens to bear its name.
    let isParameter = plan.parameters.contains { $0.view.buffer == index }
    return try makeStorage(isParameter ? buffer.name : "\u{0}\(buffer.name)", count: buffer.count)
  }

  // MARK: Runs

  /// Prepares inference of a rule on a batch, to be driven by hand.
  ///
  /// - Parameters:
  ///   - rule: what finds the messages.
  ///   - feed: the batch.
  ///   - isMonitored: whether `result` knows energy and residual; costs memory for the residuals.
  ///   - inputs: names of inputs whose gradient is wanted as well.
  /// - Throws: a `RuleError` or `FeedError` where rule, graph and batch do not go together.
  public func run(
    _ rule: any Rule, on feed: Feed, isMonitored: Bool = false, gradientOf inputs: [String] = []
  ) throws -> InferenceRun {
    let graph = try graph(for: feed)
    let rule = rule.resolved(for: graph, epsilon: backend.epsilon)
    let wanted = try inputs.map { name in
      guard let index = graph.inputs.firstIndex(where: { $0.name == name && $0.classes == nil }) else {
        throw FeedError("there is no input \(name) with a gradient")
      }
      return index
    }
    let (key, plan) = try plan(rule, for: feed, wantedInputs: Set(wanted), isMonitored: isMonitored)
    try feed.check(graph, largest: backend.largestNumber)
    let place = "\(key)|\(feed.count)"
    let isTaken = lastRuns[place]?.run != nil
    let executable =
      isTaken ? try compile(plan, batchSize: feed.count) : try executable(key, plan, batchSize: feed.count)
    let run = InferenceRun(
      rule: rule, plan: plan, executable: executable, batchSize: feed.count, epsilon: backend.epsilon)
    if !isTaken { lastRuns[place] = Weak(run: run) }
    run.load(feed)
    return run
  }

  /// The gradients of all parameters by a rule on a batch.
  public func gradients(_ rule: any Rule, on feed: Feed) throws -> Gradients {
    let run = try run(rule, on: feed)
    run.runAll()
    return run.gradients()
  }
}

extension Graph.Parameter {
  /// The first values for a seed, in row-major order.
  public func initialValues(seed: UInt64) -> [Double] {
    initializer.draw(extents, from: RandomStream(seed: seed, "parameters", name))
  }
}

// MARK: - Files and memory

extension Network {
  /// The parameters by path, in the backend's precision: what a file of weights holds.
  public func namedArrays() -> [NamedArray] {
    graph.parameters.map { array($0.name, $0.extents, parameter($0.name).values) }
  }

  /// Numbers in the backend's precision.
  func array(_ name: String, _ shape: [Int], _ values: [Double]) -> NamedArray {
    NamedArray(
      name: name, shape: shape,
      values: backend.epsilon < 0x1p-23 ? .float64(values) : .float32(values.map(Float.init)))
  }

  /// The bytes that the backend would take for inference by a rule on batches of this size, parameters excluded; takes none.
  public func byteCount(_ rule: any Rule, batchSize: Int) throws -> Int {
    try backend.byteCount(of: plan(rule).plan.program, batchSize: batchSize)
  }
}

// MARK: - Depth-resolved gradients

extension Network {
  /// The gradients of all parameters with the part that comes over d relaxed vertices multiplied by `coefficients[d]`;
  /// depths beyond the list count 0.
  ///
  /// All ones give backprop's gradient, a single one its part of one depth, and `Certificate.shortfall` what T steps of
  /// inference still miss.
  public func gradients(weightingDepthsBy coefficients: [Double], on feed: Feed) throws -> Gradients {
    let rule = DepthResolved(coefficients: coefficients)
    return try gradients(rule, on: feed)
  }
}

/// The closed form with its coefficients left open.
struct DepthResolved: Rule {
  let name = "depth-resolved"
  var byDepth: [Double]

  init(coefficients: [Double]) { byDepth = coefficients }

  var coefficients: [String: Double] {
    Dictionary(uniqueKeysWithValues: byDepth.enumerated().map { ("depth \($0)", $1) })
  }

  // Slots keep their value, so a list must name every depth that the plan can read.
  var planKey: String { "\(name) \(byDepth.count)" }

  func write(_ plan: PlanBuilder) {
    ClosedForm(
      blocks: [plan.graph.batchedVertices],
      part: { depth, _ in depth < byDepth.count ? .depth(depth) : .dropped },
      coefficient: { .slot(plan.emit.makeSlot("depth \($0)")) }
    ).write(plan)
  }
}
