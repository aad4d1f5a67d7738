import PCDatasets
import PCGraphs
import PCPrimitives

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
  /// Data sets refuse numbers that are not finite when they are made.
  private var isKnownFinite = false

  /// Numbers from anywhere; `check(_:)` says whether they fit a graph.
  public init(count: Int, _ arrays: [String: Numbers]) {
    self.count = count
    self.arrays = arrays
  }

  /// A batch of a data set for a graph with one input and one set of labels, whatever they are called.
  ///
  /// - Throws: a `FeedError` where the graph has other inputs.
  public init(_ batch: Batch, for graph: Graph) throws(FeedError) {
    let reals = graph.inputs.filter { $0.classes == nil }
    let labels = graph.inputs.filter { $0.classes != nil }
    guard reals.count == 1, labels.count <= 1 else {
      throw FeedError(
        "a data set feeds a graph with one input and one set of labels; this one has "
          + graph.inputs.map(\.name).joined(separator: ", "))
    }
    var arrays: [String: Numbers] = [reals[0].name: .floats(batch.inputs)]
    if let label = labels.first { arrays[label.name] = .integers(batch.labels) }
    self.init(count: batch.count, arrays)
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
    for input in graph.inputs {
      guard let numbers = arrays[input.name] else { throw FeedError("the batch has no numbers for \(input.name)") }
      let expected = graph.values[input.value].shape.count * count
      guard numbers.count == expected else {
        throw FeedError(
          "\(input.name) takes \(expected) numbers for \(count) examples of shape "
            + "\(graph.values[input.value].shape), but there are \(numbers.count)")
      }
      let each = graph.values[input.value].shape.count
      switch numbers {
      case .floats(let values):
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
    guard !isKnownFinite, let place = values.firstIndex(where: { !(Double($0.magnitude) <= largest) }) else { return }
    throw FeedError(
      "\(name) of example \(place / each) holds \(values[place]); numbers must be finite and at most \(largest)")
  }
}

/// Why a batch does not fit a graph, in a sentence.
public struct FeedError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  /// A sentence that names the input.
  public init(_ description: String) { self.description = description }
}
