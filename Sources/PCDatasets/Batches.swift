import PCRandomness

/// Some examples of a data set, ready to be uploaded.
public struct Batch: Sendable, Equatable {
  /// `count` × the example's size numbers: example by example, each in row-major order.
  public var inputs: [Float]
  /// The class of each example.
  public var labels: [Int32]
  /// Where each example stands in the data set: the key of the randomness that belongs to it.
  public var exampleIndices: [Int]
  /// The shape of one example.
  public var inputShape: [Int]

  /// The number of examples.
  public var count: Int { labels.count }

  /// Stops where the counts do not fit one another and the shape.
  public init(inputs: [Float], labels: [Int32], exampleIndices: [Int], inputShape: [Int]) {
    guard exampleIndices.count == labels.count, inputs.count == labels.count * inputShape.reduce(1, *) else {
      fatalError(
        "Batch: \(inputs.count) inputs, \(labels.count) labels and \(exampleIndices.count) indices do not fit "
          + "the shape \(inputShape).")
    }
    self.inputs = inputs
    self.labels = labels
    self.exampleIndices = exampleIndices
    self.inputShape = inputShape
  }
}

/// One pass over a data set in batches, each made when it is asked for.
///
/// Every example comes once. If the batch size does not divide the number of examples, the last batch is smaller.
public struct BatchSequence: Sendable, RandomAccessCollection {
  /// The order of the examples in a pass.
  public enum Order: Sendable, Hashable {
    /// As stored.
    case stored
    /// A permutation that depends on the seed and the epoch alone, all being equally likely.
    case shuffled(seed: UInt64, epoch: Int)

    /// The indices of `count` examples in this order.
    func indices(_ count: Int) -> [Int] {
      switch self {
      case .stored: return Array(0..<count)
      case .shuffled(let seed, let epoch):
        var stream = RandomStream(seed: seed, "shuffle", epoch)
        return stream.shuffledIndices(count)
      }
    }
  }

  /// Where the examples come from.
  public let dataset: Dataset
  /// Examples in every batch but perhaps the last.
  public let batchSize: Int
  /// The examples' indices in the order of this pass.
  public let exampleOrder: [Int]
  private let change: (augmentation: Augmentation, seed: UInt64, epoch: Int)?

  /// A pass that makes no batch yet; the order is drawn here.
  ///
  /// With an augmentation each image is changed as the seed and the epoch of a shuffled order say; in the stored order
  /// images stay as they are.
  ///
  /// - Throws: `DataError.batchSize` if `batchSize` is below 1 or above the number of examples.
  public init(
    _ dataset: Dataset, batchSize: Int, order: Order = .stored, augmentation: Augmentation? = nil
  ) throws(DataError) {
    guard 1...dataset.count ~= batchSize else {
      throw .batchSize(dataset: dataset.name, size: batchSize, count: dataset.count)
    }
    self.dataset = dataset
    self.batchSize = batchSize
    exampleOrder = order.indices(dataset.count)
    switch (augmentation, order) {
    case (let augmentation?, .shuffled(let seed, let epoch)): change = (augmentation, seed, epoch)
    default: change = nil
    }
  }

  public var startIndex: Int { 0 }
  /// The number of batches.
  public var endIndex: Int { (dataset.count + batchSize - 1) / batchSize }

  public subscript(position: Int) -> Batch {
    guard 0..<endIndex ~= position else {
      fatalError("BatchSequence: there is no batch \(position) among \(endIndex).")
    }
    let first = position * batchSize
    let batch = dataset.batch(exampleOrder[first..<Swift.min(first + batchSize, dataset.count)])
    guard let change else { return batch }
    let (mean, deviation) = dataset.scaling
    return batch.augmented(change.augmentation, seed: change.seed, epoch: change.epoch, black: -mean / deviation)
  }
}
