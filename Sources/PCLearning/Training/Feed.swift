import PCDatasets
import PCGraphs
import PCKernels
import PCPlans
import PCPrimitives
import PCRandomness

/// The numbers of one batch, by the names of the graph's inputs.
public struct Feed: Sendable {
  /// Numbers of one input: example by example, each in row-major order.
  public enum Numbers: Sendable {
    /// For real inputs.
    case floats([Float])
    /// For real inputs; a backend in Float rounds them.
    case doubles([Double])
    /// For labels.
    case integers([Int32])

    /// How many numbers there are, over all examples.
    public var count: Int {
      switch self {
      case .floats(let values): values.count
      case .doubles(let values): values.count
      case .integers(let values): values.count
      }
    }
  }

  /// Examples in the batch.
  public var count: Int
  /// The numbers of each input, by its path.
  public var arrays: [String: Numbers] {
    didSet { isKnownFinite = false }
  }
  /// What dropout draws its factors from; `nil`, as in evaluation, drops nothing, and batch normalisation takes its running
  /// statistics. Training sets it where it is `nil`.
  public var noise: Noise?
  /// Where each example stands in its data set, a key of its randomness; `nil` numbers the examples of the batch.
  public var exampleIndices: [Int]?
  /// Steps of the sequences, for a model of any length; `nil` for its usual one.
  public var length: Int?
  /// Whether the examples go on where those of the batch before ended, so that carried state is theirs too; if not, a
  /// stream starts here and its state is 0.
  public var continuesStream = false
  /// Data sets refuse numbers that are not finite when they are made.
  private var isKnownFinite = false

  /// The key of a batch's random numbers: rules that are compared, and any number of threads, see the same.
  public struct Noise: Sendable, Hashable {
    /// The run's.
    public var seed: UInt64
    /// The number of the pass.
    public var epoch: Int
    /// The number of the batch in its pass, from 0.
    public var batch: Int

    /// The key of batch number `batch` of a pass.
    public init(seed: UInt64, epoch: Int, batch: Int) {
      self.seed = seed
      self.epoch = epoch
      self.batch = batch
    }
  }

  /// Numbers from anywhere; `check(_:)` says whether they fit a graph.
  public init(count: Int, _ arrays: [String: Numbers]) {
    self.count = count
    self.arrays = arrays
  }

  /// A batch of a data set for a graph with one input and one set of labels, whatever they are called.
  ///
  /// - Throws: a `FeedError` where the graph has other inputs.
  public init(_ batch: Batch, for graph: Graph) throws(FeedError) {
    let asked = graph.inputs.filter { $0.origin == .batch }
    let reals = asked.filter { $0.classes == nil }
    let labels = asked.filter { $0.classes != nil }
    guard reals.count == 1, labels.count <= 1 else {
      throw FeedError(
        "a data set feeds a graph with one input and one set of labels; this one has "
          + asked.map(\.name).joined(separator: ", "))
    }
    var arrays: [String: Numbers] = [reals[0].name: .floats(batch.inputs)]
    if let label = labels.first { arrays[label.name] = .integers(batch.labels) }
    self.init(count: batch.count, arrays)
    exampleIndices = batch.exampleIndices
    isKnownFinite = true
  }

  /// Throws where the numbers are not what the graph takes: a missing input, a wrong count, a number that is not
  /// finite, a label out of range.
  ///
  /// - Parameters:
  ///   - graph: the graph to be fed.
  ///   - largest: the largest number that the backend holds.
  public func check(_ graph: Graph, largest: Double = .greatestFiniteMagnitude) throws(FeedError) {
    guard count > 0 else { throw FeedError("the batch has no examples") }
    guard count <= Int(Int32.max) else { throw FeedError("a batch of \(count) examples is too large") }
    if let exampleIndices, exampleIndices.count != count {
      throw FeedError("the batch has \(count) examples and the indices of \(exampleIndices.count)")
    }
    for input in graph.inputs {
      guard let numbers = arrays[input.name] else {
        guard input.origin == .batch else { continue }
        throw FeedError("the batch has no numbers for \(input.name)")
      }
      let expected = graph.values[input.value].shape.count * count
      guard numbers.count == expected else {
        throw FeedError(
          "\(input.name) takes \(expected) numbers for \(count) examples of shape "
            + "\(graph.values[input.value].shape), but there are \(numbers.count)")
      }
      let each = graph.values[input.value].shape.count
      switch numbers {
      case .floats(let values):
        if isKnownFinite || isWithin(Float(min(largest, Double(Float.greatestFiniteMagnitude))), values) { break }
        try check(finite: values, input.name, each: each, largest)
      case .doubles(let values):
        try check(finite: values, input.name, each: each, largest)
      case .integers(let values):
        guard let classes = input.classes else {
          throw FeedError("\(input.name) takes real numbers, not integers")
        }
        if let place = values.firstIndex(where: { $0 < 0 || $0 >= classes }) {
          throw FeedError("label \(values[place]) of example \(place / each) is outside 0..<\(classes)")
        }
        continue
      }
      guard input.classes == nil else { throw FeedError("\(input.name) takes integer labels") }
    }
  }

  private func check<T: BinaryFloatingPoint>(
    finite values: [T], _ name: String, each: Int, _ largest: Double
  ) throws(FeedError) {
    guard !isKnownFinite else { return }
    let bound = T(min(largest, Double(T.greatestFiniteMagnitude)))
    guard let place = values.firstIndex(where: { !($0.magnitude <= bound) }) else { return }
    throw FeedError(
      "\(name) of example \(place / each) holds \(values[place]); numbers must be finite and at most \(largest)")
  }
}

/// Whether no number is beyond ±bound or NaN: sixteen at a time, since a large batch is looked through before each step.
private func isWithin(_ bound: Float, _ values: [Float]) -> Bool {
  values.withUnsafeBytes { bytes in
    let size = MemoryLayout<SIMD16<Float>>.size
    let whole = bytes.count / size * size
    var isWithin = SIMDMask<SIMD16<Int32>>(repeating: true)
    for offset in stride(from: 0, to: whole, by: size) {
      let numbers = bytes.loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self)
      isWithin = isWithin .& (numbers .<= bound) .& (numbers .>= -bound)
    }
    return all(isWithin) && values[(whole / MemoryLayout<Float>.size)...].allSatisfy { $0.magnitude <= bound }
  }
}

// MARK: - Numbers that come without the batch

extension Feed {
  /// The numbers of an input: the batch's, or what its origin says where the batch brings none.
  func numbers(of input: Graph.Input, in graph: Graph) -> Numbers? {
    if let numbers = arrays[input.name] { return numbers }
    let each = graph.values[input.value].shape.count
    switch input.origin {
    case .batch: return nil
    case .carried: return .floats(Array(repeating: 0, count: count * each))
    case .training: return .floats(Array(repeating: noise == nil ? 0 : 1, count: count * each))
    case .dropout(let rate): return .floats(dropoutFactors(input.name, rate: rate, each: each))
    }
  }

  private func dropoutFactors(_ name: String, rate: Double, each: Int) -> [Float] {
    guard let noise else { return Array(repeating: 1, count: count * each) }
    let kept = Float(1 / (1 - rate))
    // Half a word for each element: kept where it is not below rate · 2³².
    let bound = UInt64(rate * 0x1p32)
    return [Float](unsafeUninitializedCapacity: count * each) { factors, initialized in
      for example in 0..<count {
        var stream = RandomStream(
          seed: noise.seed, "dropout", name, noise.epoch, noise.batch, exampleIndices?[example] ?? example)
        var word: UInt64 = 0
        for element in 0..<each {
          word = element & 1 == 0 ? stream.next() : word >> 32
          factors[initialized] = word & 0xFFFF_FFFF < bound ? 0 : kept
          initialized += 1
        }
      }
    }
  }
}

/// What carried inputs hold from one batch to the next: the feedforward values of the batch before.
struct CarriedState: Sendable, Equatable {
  /// By the input's name, example by example.
  var values: [String: [Double]] = [:]

  /// Gives a feed that goes on with its stream the state that belongs to it.
  func fill(_ feed: inout Feed, for graph: Graph) throws(FeedError) {
    guard feed.continuesStream else { return }
    for input in graph.inputs {
      guard case .carried = input.origin, feed.arrays[input.name] == nil, let known = values[input.name] else {
        continue
      }
      guard known.count == feed.count * graph.values[input.value].shape.count else {
        throw FeedError(
          "the batch of \(feed.count) examples goes on with a stream of another number; let it start one")
      }
      feed.arrays[input.name] = .doubles(known)
    }
  }

  /// Takes the values that a batch ended with.
  mutating func read(_ plan: Plan, _ executable: any Executable) {
    for (index, term) in plan.carried { values[plan.graph.inputs[index].name] = executable.download(term) }
  }
}

/// Why a batch does not fit a graph, in a sentence.
public struct FeedError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  /// A sentence that names the input.
  public init(_ description: String) { self.description = description }
}
