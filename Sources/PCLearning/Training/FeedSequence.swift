import PCDatasets
import PCGraphs

/// The batches of one pass over data, each made when it is asked for.
///
/// A batch is a function of its number alone, so a run can go on from any of them.
///
/// ```swift
/// let feeds = FeedSequence(count: 1000) { number in
///   Feed(count: 1, ["x": .floats(sample(number)), "label": .integers([answer(number)])])
/// }
/// try trainer.trainEpoch(1, on: feeds)
/// ```
public struct FeedSequence: Sendable {
  /// The number of batches.
  public let count: Int
  private let make: @Sendable (Int) throws -> Feed

  /// `count` batches; `make` returns batch 0, 1, …, always the same one for a number.
  public init(count: Int, _ make: @escaping @Sendable (Int) throws -> Feed) {
    self.count = count
    self.make = make
  }

  /// Batch `index`; stops where there is none.
  public func feed(_ index: Int) throws -> Feed {
    guard 0..<count ~= index else { fatalError("there is no batch \(index) among \(count)") }
    return try make(index)
  }
}

extension Dataset {
  /// One pass over the examples, in batches for a graph with one input and one set of labels.
  ///
  /// With an augmentation, which takes time, the batches are made ahead on a thread of their own.
  ///
  /// - Throws: `DataError.batchSize` as `BatchSequence` does.
  public func feeds(
    batchSize: Int, order: BatchSequence.Order = .stored, augmentation: Augmentation? = nil, for graph: Graph
  ) throws(DataError) -> FeedSequence {
    let batches = try BatchSequence(self, batchSize: batchSize, order: order, augmentation: augmentation)
    if augmentation != nil {
      let loader = BatchLoader(batches)
      return FeedSequence(count: loader.count) { try Feed(loader.batch($0), for: graph) }
    }
    return FeedSequence(count: batches.count) { try Feed(batches[$0], for: graph) }
  }
}
