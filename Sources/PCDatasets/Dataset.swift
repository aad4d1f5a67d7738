import PCInterchange
import PCRandomness

/// Labelled examples in memory, all of one shape: images, usually.
///
/// ```swift
/// let digits = try NamedDataset.digits.load().normalized(.centred)
/// for batch in try BatchSequence(digits.training, batchSize: 64, order: .shuffled(seed: 7, epoch: 0)) {
///   print(batch.count, batch.inputs.count)     // 64 4096, 22 times; then 29 1856
/// }
/// ```
///
/// Pixels that come as bytes are kept as bytes and become numbers when a batch is made, so CIFAR-10 takes 180 MB and
/// not 740. Subsets and normalised copies share that memory.
public struct Dataset: Sendable {
  /// What errors and records of runs call it.
  public var name: String
  /// The shape of one example, for example [3, 32, 32]: channels, rows, columns.
  public let inputShape: [Int]
  /// How many labels there are, from 0.
  public let classes: Int
  /// The class of each example, 0 ..< `classes`.
  public let labels: [Int32]

  private let values: Values
  /// Where the first example begins in `values`.
  private let start: Int
  /// A number is (stored value − mean) / deviation.
  private var mean: Float = 0
  private var deviation: Float = 1

  private enum Values: Sendable {
    /// A byte b stands for b / maximum.
    case bytes([UInt8], maximum: Float)
    case reals([Float])

    var count: Int {
      switch self {
      case .bytes(let bytes, _): bytes.count
      case .reals(let reals): reals.count
      }
    }
  }

  /// The number of examples.
  public var count: Int { labels.count }

  /// How many numbers an example has.
  public var exampleSize: Int { inputShape.reduce(1, *) }
}

// MARK: - Making one

extension Dataset {
  /// A data set of finite numbers, used as they are.
  ///
  /// - Parameters:
  ///   - name: what errors and records of runs call it.
  ///   - inputs: one example after another, each in row-major order.
  ///   - labels: one for each example, 0 ..< `classes`.
  ///   - inputShape: the shape of one example, for example [3, 32, 32].
  ///   - classes: how many labels there are.
  /// - Throws: `DataError` if there is no example, sizes do not fit, a label is out of range or an input not finite.
  public init(
    name: String, inputs: [Float], labels: [Int32], inputShape: [Int], classes: Int
  ) throws(DataError) {
    try self.init(name, .reals(inputs), labels, inputShape, classes)
    if let index = inputs.firstIndex(where: { !$0.isFinite }) {
      let (example, element) = index.quotientAndRemainder(dividingBy: exampleSize)
      throw .nonFinite(source: name, example: example, element: element, value: "\(inputs[index])")
    }
  }

  /// A data set of bytes, of which `maximum` stands for 1.
  ///
  /// - Throws: `DataError` if there is no example, sizes do not fit or a label is out of range.
  public init(
    name: String, bytes: [UInt8], maximum: UInt8 = 255, labels: [Int32], inputShape: [Int], classes: Int
  ) throws(DataError) {
    guard maximum > 0 else { fatalError("Dataset: the byte that stands for 1 cannot be 0.") }
    try self.init(name, .bytes(bytes, maximum: Float(maximum)), labels, inputShape, classes)
  }

  private init(
    _ name: String, _ values: Values, _ labels: [Int32], _ inputShape: [Int], _ classes: Int
  ) throws(DataError) {
    guard classes > 0, let size = elementCount(inputShape), size > 0 else {
      throw .badShape(source: name, shape: inputShape, classes: classes)
    }
    guard !labels.isEmpty else { throw .empty(source: name) }
    let (expected, overflow) = labels.count.multipliedReportingOverflow(by: size)
    guard !overflow, values.count == expected else {
      throw .inputCount(source: name, expected: overflow ? .max : expected, found: values.count)
    }
    if let record = labels.firstIndex(where: { $0 < 0 || $0 >= classes }) {
      throw .labelOutOfRange(source: name, record: record, value: Int(labels[record]), classes: classes)
    }
    self.name = name
    self.values = values
    self.labels = labels
    self.inputShape = inputShape
    self.classes = classes
    start = 0
  }
}

// MARK: - Parts

extension Dataset {
  /// The examples of `range`, numbered from 0 again.
  public func subset(_ range: Range<Int>) -> Dataset {
    guard range.lowerBound >= 0, range.upperBound <= count, !range.isEmpty else {
      fatalError("Dataset.subset: \(range) is not a part of the \(count) examples of \(name).")
    }
    return Dataset(
      name: name, inputShape: inputShape, classes: classes, labels: Array(labels[range]), values: values,
      start: start + range.lowerBound * exampleSize, mean: mean, deviation: deviation)
  }

  /// The examples of these indices, in their order, as a data set of their own: a copy of what is stored.
  public func subset(_ indices: [Int]) -> Dataset {
    guard !indices.isEmpty, indices.allSatisfy({ 0..<count ~= $0 }) else {
      fatalError("Dataset.subset: the indices are not all among the \(count) examples of \(name).")
    }
    func picked<Number>(_ numbers: [Number]) -> [Number] {
      var result: [Number] = []
      result.reserveCapacity(indices.count * exampleSize)
      for index in indices { result += numbers[(start + index * exampleSize)...].prefix(exampleSize) }
      return result
    }
    let values: Values =
      switch values {
      case .bytes(let bytes, let maximum): .bytes(picked(bytes), maximum: maximum)
      case .reals(let reals): .reals(picked(reals))
      }
    return Dataset(
      name: name, inputShape: inputShape, classes: classes, labels: indices.map { labels[$0] }, values: values,
      start: 0, mean: mean, deviation: deviation)
  }

  /// A part held out from the examples, drawn by a seed: `fraction` of them, at least one and not all, each part in stored
  /// order.
  ///
  /// - Returns: nil where there is but one example.
  public func split(holdingOut fraction: Double, seed: UInt64) -> (rest: Dataset, heldOut: Dataset)? {
    split(holdingOut: fraction, seed: seed, purpose: "validation")
  }

  /// The same with a draw of its own for each purpose.
  func split(holdingOut fraction: Double, seed: UInt64, purpose: String) -> (rest: Dataset, heldOut: Dataset)? {
    guard count > 1 else { return nil }
    let size = min(max(Int((fraction * Double(count)).rounded()), 1), count - 1)
    var stream = RandomStream(seed: seed, purpose)
    let order = stream.shuffledIndices(count)
    return (subset(order[size...].sorted()), subset(order[..<size].sorted()))
  }

  /// The examples of these indices, in their order; an index may come more than once.
  public func batch(_ indices: some Collection<Int>) -> Batch {
    let size = exampleSize
    for index in indices where index < 0 || index >= count {
      fatalError("Dataset.batch: there is no example \(index) among the \(count) of \(name).")
    }
    let inputs = [Float](unsafeUninitializedCapacity: indices.count * size) { buffer, initialized in
      func fill(_ number: (_ position: Int) -> Float) {
        for index in indices {
          let first = start + index * size
          for position in first..<first + size {
            buffer[initialized] = number(position)
            initialized += 1
          }
        }
      }
      switch values {
      case .bytes(let bytes, let maximum):
        let table = (0..<256).map { (Float($0) / maximum - mean) / deviation }
        fill { table[Int(bytes[$0])] }
      case .reals(let reals):
        fill { (reals[$0] - mean) / deviation }
      }
    }
    return Batch(
      inputs: inputs, labels: indices.map { labels[$0] }, exampleIndices: Array(indices), inputShape: inputShape)
  }
}

// MARK: - Normalisation

/// What is done to the numbers x of a data set before they are learned from.
public enum Normalization: String, Sendable, CaseIterable {
  /// x, which for images is between 0 and 1.
  case none
  /// (x − ½) / ½: images between −1 and 1.
  case centred
  /// (x − mean) / deviation, of all numbers of the training examples together.
  case standardised
}

extension Dataset {
  /// The data set with `normalization` applied; `.standardised` by its own statistics.
  /// For training and test data together use `DataSplit.normalized`.
  public func normalized(_ normalization: Normalization) -> Dataset {
    switch normalization {
    case .none: return self
    case .centred: return normalized(mean: 0.5, deviation: 0.5)
    case .standardised:
      let (mean, deviation) = statistics()
      return normalized(mean: mean, deviation: deviation)
    }
  }

  /// The data set whose numbers are (x − mean) / deviation.
  public func normalized(mean: Float, deviation: Float) -> Dataset {
    guard mean.isFinite, deviation.isFinite, deviation > 0 else {
      fatalError("Dataset.normalized needs a finite mean and a positive deviation, not \(mean) and \(deviation).")
    }
    var result = self
    // ((v − m) / d − m′) / d′ = (v − (m + d m′)) / (d d′)
    result.mean = self.mean + self.deviation * mean
    result.deviation = self.deviation * deviation
    return result
  }

  /// What the numbers are normalised by: x became (x − mean) / deviation.
  package var scaling: (mean: Float, deviation: Float) { (mean, deviation) }

  /// The mean and the standard deviation (divisor n) of all numbers of all examples; a deviation of 1 if all are
  /// equal.
  public func statistics() -> (mean: Float, deviation: Float) {
    let chunk = 1000
    func average(_ term: (Double) -> Double) -> Double {
      var sum = 0.0
      for first in stride(from: 0, to: count, by: chunk) {
        for x in batch(first..<min(first + chunk, count)).inputs { sum += term(Double(x)) }
      }
      return sum / Double(count * exampleSize)
    }
    let mean = average { $0 }
    let deviation = average { ($0 - mean) * ($0 - mean) }.squareRoot()
    return (Float(mean), deviation > 0 ? Float(deviation) : 1)
  }
}

// MARK: - Checksum

extension Dataset {
  /// The SHA-256 digest, in hexadecimal, of the inputs as stored and then the labels: bytes as they are, before
  /// normalisation, numbers as Float and Int32 in little-endian order. For records of runs; about 5 ns a byte.
  public func checksum() -> String {
    var digest = SHA256()
    let range = start..<start + count * exampleSize
    switch values {
    case .bytes(let bytes, _): digest.update(bytes[range])
    case .reals(let reals):
      var bytes: [UInt8] = []
      appendLittleEndian(reals[range].lazy.map(\.bitPattern), to: &bytes)
      digest.update(bytes)
    }
    var bytes: [UInt8] = []
    appendLittleEndian(labels, to: &bytes)
    digest.update(bytes)
    return digest.finalize()
  }
}
