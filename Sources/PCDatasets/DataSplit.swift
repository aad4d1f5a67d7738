import PCInterchange

/// A data set in two parts: what is learned from, and what measures the learning.
public struct DataSplit: Sendable {
  /// What is learned from.
  public var training: Dataset
  /// What measures the learning, and is never learned from.
  public var test: Dataset

  /// The training part's name.
  public var name: String { training.name }

  /// Two parts of one kind; the name is the training part's.
  ///
  /// - Throws: `DataError.splitDiffers` unless the parts agree on the examples' shape and the number of classes.
  public init(training: Dataset, test: Dataset) throws(DataError) {
    guard training.inputShape == test.inputShape, training.classes == test.classes else {
      func form(_ part: Dataset) -> String { "shape \(part.inputShape) in \(part.classes) classes" }
      throw .splitDiffers(dataset: training.name, training: form(training), test: form(test))
    }
    self.training = training
    self.test = test
  }

  /// Both parts with `normalization` applied, `.standardised` by the statistics of the training part.
  public func normalized(_ normalization: Normalization) -> DataSplit {
    var result = self
    switch normalization {
    case .none, .centred:
      result.training = training.normalized(normalization)
      result.test = test.normalized(normalization)
    case .standardised:
      let (mean, deviation) = training.statistics()
      result.training = training.normalized(mean: mean, deviation: deviation)
      result.test = test.normalized(mean: mean, deviation: deviation)
    }
    return result
  }

  /// The SHA-256 digest of the two parts' checksums, one after the other: what a record of a run says about its data.
  public func checksum() -> String {
    var digest = SHA256()
    digest.update((training.checksum() + test.checksum()).utf8)
    return digest.finalize()
  }
}
