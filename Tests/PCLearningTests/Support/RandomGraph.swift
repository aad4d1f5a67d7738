import PredictiveCoding

/// A small graph that a seed draws: all operations, groups, declared kinds, repeated parents, shared parameters,
/// functions of parameters alone, latent roots, several weighted losses, clamped elements.
///
/// Every value carries a bound on its size, beyond which the generator only squashes it: so exponentials and products
/// stay tame and finite differences mean something.
struct RandomGraph {
  let model: Model
  let feed: Feed
  /// Inputs that no loss or clamp compares with.
  let sources: [String]

  /// - Parameter batchSize: by default one to three.
  init(seed: Int, batchSize: Int? = nil) {
    let generator = Generator(seed: seed)
    model = Model { graph in generator.build(graph) }
    feed = generator.feed(for: model.graph, batchSize: batchSize ?? 1 + seed % 3)
    sources = generator.sources
  }
}

private final class Generator {
  struct Item {
    var value: Value
    var bound: Double
    var shape: Shape { value.shape }
    var extents: [Int] { value.shape.extents }
    /// Axes that do not hold the batch.
    var freeAxes: [Int] { shape.axes.indices.filter { !shape.axes[$0].isBatch } }
  }

  var random: RandomStream
  var pool: [Item] = []
  var sources: [String] = []
  private var masks: Set<String> = []
  private var parameters: [[Int]: [Value]] = [:]
  private var parameterCount = 0
  private var maskCount = 0

  init(seed: Int) {
    random = RandomStream(seed: UInt64(seed), "random graph")
  }

  func chance(_ probability: Double) -> Bool { random.uniform() < probability }
  func pick<T>(_ elements: [T]) -> T { elements[random.integer(below: elements.count)] }
  func number(_ range: ClosedRange<Int>) -> Int { range.lowerBound + random.integer(below: range.count) }

  // MARK: The graph

  func build(_ graph: GraphBuilder) {
    for index in 0..<number(1...2) {
      let shape: Shape = pick([[.batch, 3], [.batch, 2, 3], [.batch, 2, 4, 4], [.batch], [.batch, 4]])
      let name = "x\(index)"
      sources.append(name)
      pool.append(Item(value: graph.input(name, shape), bound: 1))
    }
    if chance(0.2) {
      let prior = chance(0.7) ? parameter(graph, [3]) : nil
      pool.append(Item(value: graph.latent("latent", [.batch, 3], prior: prior), bound: 1))
    }
    let inputs = pool.count
    for _ in 0..<number(3...9) { pool.append(grow(graph)) }
    if chance(0.3) { clamp(graph, from: Array(pool[inputs...])) }
    addLoss(graph, on: pool[pool.count - 1])
    for _ in 0..<number(0...2) where pool.count > inputs { addLoss(graph, on: pick(Array(pool[inputs...]))) }
  }

  /// One more vertex, or several.
  private func grow(_ graph: GraphBuilder) -> Item {
    let kind: Graph.Kind? = pick([nil, nil, nil, .relaxed, .deterministic])
    guard chance(0.4) else {
      let start = chance(0.6) ? pool[pool.count - 1] : pick(pool)
      guard let kind else { return tamed(apply(graph, start)) }
      var item = start
      item.value = graph.vertex("single", kind) {
        item = tamed(apply(graph, start))
        return item.value
      }
      return item
    }
    let outside = pool
    defer { pool = outside }
    var item = pick(pool)
    item.value = graph.vertex("group", kind) {
      for _ in 0..<number(2...3) {
        item = tamed(apply(graph, item))
        pool.append(item)
      }
      return item.value
    }
    return item
  }

  private func tamed(_ item: Item) -> Item {
    item.bound <= 4 ? item : Item(value: chance(0.7) ? tanh(item.value) : sin(item.value), bound: 1)
  }

  /// An operation that fits; tries until one does.
  private func apply(_ graph: GraphBuilder, _ x: Item) -> Item {
    while true {
      let attempt = random.integer(below: 25)
      if let item = apply(attempt, graph, x) { return item }
    }
  }

  private func apply(_ choice: Int, _ graph: GraphBuilder, _ x: Item) -> Item? {
    let v = x.value
    switch choice {
    case 0:
      let function = pick([Pointwise.Function.tanh, .sigmoid, .sin, .cos])
      return Item(value: graph.apply(Pointwise(function), to: [v]), bound: 1)
    case 1:
      switch random.integer(below: 10) {
      case 0: return Item(value: gelu(v), bound: x.bound)
      case 1: return Item(value: silu(v), bound: x.bound)
      case 2: return Item(value: softplus(v), bound: x.bound + 0.7)
      case 3: return Item(value: elu(v), bound: x.bound)
      case 4: return Item(value: leakyRelu(v, slope: 0.1), bound: x.bound)
      case 5:
        guard x.bound <= 2 else { return nil }
        return Item(value: pow(v, 3), bound: x.bound * x.bound * x.bound)
      default: return Item(value: relu(v), bound: x.bound)
      }
    case 2:
      if x.bound <= 1.2 { return Item(value: exp(v), bound: 3.4) }
      return Item(value: graph.vertex("root") { sqrt(v * v + 1) }, bound: x.bound + 1)
    case 3: return Item(value: graph.vertex("tangent") { tan(0.7 * tanh(v)) }, bound: 0.9)
    case 4:
      switch random.integer(below: 8) {
      case 0: return Item(value: 0.5 * v + 0.3, bound: x.bound / 2 + 0.3)
      case 1: return Item(value: -v, bound: x.bound)
      case 2: return Item(value: v / 2, bound: x.bound / 2)
      case 3: return Item(value: 1 - v, bound: x.bound + 1)
      case 4: return Item(value: 0.2 - v, bound: x.bound + 1)
      case 5: return Item(value: v - 0.5, bound: x.bound + 1)
      case 6: return Item(value: 0.1 + v, bound: x.bound + 1)
      default: return Item(value: v * 0.8, bound: x.bound)
      }
    case 5, 6:
      guard let y = partner(of: x) else { return nil }
      let bound = x.bound + y.bound
      return chance(0.5) ? Item(value: v + y.value, bound: bound) : Item(value: y.value - v, bound: bound)
    case 7, 8:
      guard let y = partner(of: x), x.bound * y.bound <= 9 else { return nil }
      return Item(value: v * y.value, bound: x.bound * y.bound)
    case 9:
      guard let y = partner(of: x) else { return nil }
      return Item(value: graph.vertex("quotient") { v / (y.value * y.value + 1) }, bound: x.bound)
    case 10:
      // The denominator is a function of a parameter alone, and positive.
      let w = parameter(graph, small(x.extents, of: x))
      return Item(value: v / (w * w + 0.7), bound: x.bound / 0.7)
    case 11:
      let w = parameter(graph, small(x.extents, of: x))
      return chance(0.5) ? Item(value: v + w, bound: x.bound + 1) : Item(value: w * v, bound: x.bound)
    case 12, 13: return product(graph, x)
    case 14:
      guard let axis = x.freeAxes.first(where: { x.extents[$0] > 1 }) else { return nil }
      let lower = random.integer(below: x.extents[axis])
      let upper = number(lower + 1...x.extents[axis])
      return Item(value: v.sliced(axis: chance(0.5) ? axis : axis - x.shape.rank, lower..<upper), bound: x.bound)
    case 15:
      guard let axis = x.freeAxes.last, x.shape.count <= 32 else { return nil }
      let others = pool.filter { other in
        other.shape.rank == x.shape.rank
          && x.shape.axes.indices.allSatisfy { $0 == axis || x.shape.axes[$0] == other.shape.axes[$0] }
      }
      let parts = [x, others.isEmpty ? x : pick(others)] + (chance(0.2) ? [x] : [])
      return Item(value: concatenate(parts.map(\.value), axis: axis), bound: parts.map(\.bound).max() ?? 1)
    case 16: return reshaped(x)
    case 17:
      guard x.shape.rank > 1 else { return nil }
      var order = Array(x.shape.axes.indices)
      for last in stride(from: order.count - 1, to: 0, by: -1) { order.swapAt(last, random.integer(below: last + 1)) }
      return Item(value: v.transposed(order), bound: x.bound)
    case 18:
      guard x.shape.rank > 1 else { return nil }
      let axes = x.freeAxes.filter { _ in chance(0.6) }
      let count = axes.reduce(1) { $0 * x.extents[$1] }
      let keeps = chance(0.4)
      if chance(0.5) { return Item(value: v.mean(axes: axes, keepsAxes: keeps), bound: x.bound) }
      return Item(value: v.sum(axes: axes, keepsAxes: keeps), bound: x.bound * Double(count))
    case 19:
      guard let y = partner(of: x) else { return nil }
      maskCount += 1
      masks.insert("choice\(maskCount)")
      let mask = graph.input("choice\(maskCount)", x.shape)
      return Item(value: select(mask, v, y.value), bound: max(x.bound, y.bound))
    case 20:
      guard let y = partner(of: x) else { return nil }
      let bound = Swift.max(x.bound, y.bound)
      return Item(value: chance(0.5) ? max(v, y.value) : min(y.value, v), bound: bound)
    case 21:
      guard x.shape.rank > 1, let axis = x.freeAxes.last else { return nil }
      let count = x.extents[axis]
      switch random.integer(below: 5) {
      case 0: return Item(value: softmax(v, axis: axis), bound: 1)
      case 1: return Item(value: v.cumulativeSum(axis: axis, isReversed: chance(0.5)), bound: x.bound * Double(count))
      case 2: return Item(value: v.normalized(axes: [axis], isCentered: chance(0.5), epsilon: 0.3), bound: 3)
      case 3:
        guard x.shape.count <= 16 else { return nil }
        return Item(value: v.padded(axis: axis, before: number(0...1), after: 1), bound: x.bound)
      default: return Item(value: v.max(axes: [axis], keepsAxes: chance(0.5)), bound: x.bound)
      }
    default: return image(graph, x)
    }
  }

  private func product(_ graph: GraphBuilder, _ x: Item) -> Item? {
    guard x.shape.rank >= 2, let last = x.shape.axes.last else { return nil }
    let v = x.value
    if last.isBatch {
      // The batch on the columns: [m, k] by […, k, B].
      guard x.shape.rank == 2 else { return nil }
      let w = weight(graph, [number(1...3), x.extents[0]])
      return Item(value: matmul(w, v), bound: x.bound * Double(x.extents[0]))
    }
    let k = last.extent
    let partners = pool.filter {
      $0.shape.rank == 3 && x.shape.rank == 3 && $0.shape.axes[0] == x.shape.axes[0] && x.shape.axes[0].isBatch
        && $0.shape.axes[2] == last
    }
    if !partners.isEmpty && chance(0.5) {
      let y = pick(partners)
      return Item(value: matmul(v, y.value.transposed()), bound: x.bound * y.bound * Double(k))
    }
    let isGrouped = x.shape.rank == 3 && chance(0.3)
    guard !isGrouped || !x.shape.axes[0].isBatch || x.shape.axes[0] == .batch else { return nil }
    let extents = isGrouped && !x.shape.axes[0].isBatch ? [x.extents[0], k, number(1...3)] : [k, number(1...3)]
    return Item(value: matmul(v, weight(graph, extents)), bound: x.bound * Double(k))
  }

  private func reshaped(_ x: Item) -> Item? {
    let v = x.value
    guard let axis = x.shape.batchAxis, case .batch(let outer, let inner) = x.shape.axes[axis] else { return nil }
    let before = x.extents[..<axis].reduce(outer, *)
    let after = x.extents[(axis + 1)...].reduce(inner, *)
    switch random.integer(below: 3) {
    case 0:
      return Item(value: v.reshaped((before > 1 ? [.fixed(before)] : []) + [.batch, .fixed(after)]), bound: x.bound)
    case 1:
      // The batch swallows its neighbours: [2, B, 3] to [2·B·3].
      return Item(value: v.reshaped([.batch(outer: before, inner: after)]), bound: x.bound)
    default:
      guard axis + 1 < x.shape.rank else { return nil }
      var axes = x.shape.axes
      axes[axis] = .batch(outer: outer, inner: inner * x.extents[axis + 1])
      axes.remove(at: axis + 1)
      return Item(value: v.reshaped(axes), bound: x.bound)
    }
  }

  private func image(_ graph: GraphBuilder, _ x: Item) -> Item? {
    guard x.shape.rank == 4, x.shape.axes[0] == .batch, x.extents[2] > 1, x.extents[3] > 1 else { return nil }
    if chance(0.2) { return Item(value: averagePool(x.value, window: 2, stride: number(1...2)), bound: x.bound) }
    if chance(0.4) {
      let stride = number(1...2)
      return Item(value: maxPool(x.value, window: 2, stride: stride), bound: x.bound)
    }
    let kernel = number(1...min(3, x.extents[2], x.extents[3]))
    let filter = parameter(graph, [number(1...3), x.extents[1], kernel, kernel])
    let bound = x.bound * Double(x.extents[1] * kernel * kernel) * 0.5
    return Item(value: convolve(x.value, filter, stride: number(1...2), padding: number(0...1)), bound: bound)
  }

  /// A value that broadcasts with `x` to no more than 32 elements: from the pool, `x` itself included.
  private func partner(of x: Item) -> Item? {
    let fitting = pool.filter { other in
      guard let shape = try? Shape.broadcast(x.shape, other.shape) else { return false }
      return shape.count <= 32
    }
    if fitting.isEmpty || chance(0.15) { return x }
    return pick(fitting)
  }

  /// Trailing extents with some axes of 1 that broadcast to those of a value; 1 where the batch lies.
  private func small(_ extents: [Int], of x: Item) -> [Int] {
    let full = extents.indices.map { x.shape.axes[$0].isBatch || chance(0.3) ? 1 : extents[$0] }
    return Array(full.dropFirst(number(0...full.count)))
  }

  /// A parameter of these extents; often one that is there already.
  private func parameter(_ graph: GraphBuilder, _ extents: [Int]) -> Value {
    if let known = parameters[extents], chance(0.5) { return pick(known) }
    parameterCount += 1
    let value = graph.parameter("w\(parameterCount)", extents, .uniform(-0.9...0.9))
    parameters[extents, default: []].append(value)
    return value
  }

  /// A matrix: a parameter, or a function of parameters alone.
  private func weight(_ graph: GraphBuilder, _ extents: [Int]) -> Value {
    switch random.integer(below: 6) {
    case 0: return tanh(parameter(graph, extents))
    case 1: return parameter(graph, extents.dropLast(2) + extents.suffix(2).reversed()).transposed()
    case 2: return parameter(graph, extents) * parameter(graph, [extents[extents.count - 1]])
    default: return parameter(graph, extents)
    }
  }

  // MARK: Losses, clamps, numbers

  private func addLoss(_ graph: GraphBuilder, on x: Item) {
    lossCount += 1
    let weight = pick([1, 0.3, 0.7])
    if x.shape.rank > 1, let last = x.shape.axes.last, !last.isBatch, last.extent > 1, chance(0.4) {
      let labels = graph.labels(
        "label\(lossCount)", classes: last.extent, shape: Shape(Array(x.shape.axes.dropLast())))
      return chance(0.8)
        ? graph.loss(.crossEntropy(x.value, labels), weight: weight)
        : graph.loss(.squaredError(x.value, labels), weight: weight)
    }
    let target = graph.input("target\(lossCount)", x.shape)
    switch random.integer(below: 6) {
    case 0: graph.loss(.huber(x.value, target, delta: 0.7), weight: weight)
    case 1: graph.loss(.binaryCrossEntropy(x.value, target), weight: weight)
    default: graph.loss(.squaredError(x.value, target), weight: weight)
    }
  }
  private var lossCount = 0

  private func clamp(_ graph: GraphBuilder, from candidates: [Item]) {
    let x = pick(candidates)
    let mask = chance(0.6) ? graph.input("mask", x.shape) : nil
    if mask != nil { masks.insert("mask") }
    graph.clamp(x.value, to: graph.input("held", x.shape), where: mask)
  }

  func feed(for graph: Graph, batchSize: Int) -> Feed {
    var arrays: [String: Feed.Numbers] = [:]
    for input in graph.inputs {
      let count = graph.values[input.value].shape.count * batchSize
      if let classes = input.classes {
        arrays[input.name] = .integers((0..<count).map { _ in Int32(random.integer(below: classes)) })
      } else if masks.contains(input.name) {
        arrays[input.name] = .doubles((0..<count).map { _ in chance(0.4) ? 1 : 0 })
      } else {
        arrays[input.name] = .doubles((0..<count).map { _ in 2 * random.uniform() - 1 })
      }
    }
    return Feed(count: batchSize, arrays)
  }
}
