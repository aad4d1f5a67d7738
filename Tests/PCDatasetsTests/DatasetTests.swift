import PCDatasets
import Testing

@Suite struct DatasetTests {
  static func small() throws -> Dataset {
    try Dataset(
      name: "small", inputs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], labels: [0, 1, 2, 1, 0], inputShape: [2], classes: 3)
  }

  @Test func batchGathersExamples() throws {
    let batch = try Self.small().batch([3, 0, 3])
    #expect(batch.inputs == [6, 7, 0, 1, 6, 7])
    #expect(batch.labels == [1, 0, 1])
    #expect(batch.exampleIndices == [3, 0, 3])
    #expect(batch.count == 3)
    #expect(batch.inputShape == [2])
  }

  @Test func subsetIsRenumbered() throws {
    let part = try Self.small().subset(1..<5).subset(1..<3)
    #expect(part.count == 2)
    #expect(part.labels == [2, 1])
    #expect(part.batch(0..<2).inputs == [4, 5, 6, 7])
  }

  @Test func bytesAreDividedByTheirMaximum() throws {
    let data = try Dataset(
      name: "bytes", bytes: [0, 51, 255, 1], labels: [0, 0], inputShape: [1, 1, 2], classes: 1)
    #expect(data.batch(0..<2).inputs == [0, 51 / 255, 1, 1 / 255])
  }

  @Test func normalizationsCompose() throws {
    let data = try Dataset(name: "bytes", bytes: [0, 255, 0, 255], labels: [0, 0], inputShape: [2], classes: 1)
    #expect(data.normalized(.none).batch([0]).inputs == [0, 1])
    #expect(data.normalized(.centred).batch([0]).inputs == [-1, 1])
    // ((x − ½)/½ − 3)/4 at 0 and 1
    #expect(data.normalized(.centred).normalized(mean: 3, deviation: 4).batch([1]).inputs == [-1, -0.5])
    // Mean ½, deviation ½; then already standardised.
    let standardised = data.normalized(.standardised)
    #expect(standardised.batch([0]).inputs == [-1, 1])
    #expect(standardised.normalized(.standardised).batch([0]).inputs == [-1, 1])
    // A constant has no deviation to divide by.
    let constant = try Dataset(name: "c", inputs: [4, 4], labels: [0, 0], inputShape: [1], classes: 1)
    #expect(constant.normalized(.standardised).batch([0, 1]).inputs == [0, 0])
  }

  /// Oracle: mean and deviation of the training images by NumPy in double precision.
  @Test func standardisingUsesTheTrainingPart() throws {
    let digits = try NamedDataset.digits.load()
    let statistics = digits.training.statistics()
    #expect(abs(Double(statistics.mean) - 0.305_386_112_560_890_77) < 1e-7)
    #expect(abs(Double(statistics.deviation) - 0.375_507_108_830_758_1) < 1e-7)
    let pixel = digits.normalized(.standardised).test.batch([359]).inputs[2]
    #expect(abs(Double(pixel) - (10.0 / 16 - 0.305_386_112_560_890_77) / 0.375_507_108_830_758_1) < 1e-6)
  }

  @Test(
    arguments: [
      (
        [1, 2, 3], [0, 0], [2], 1,
        "d has 3 input numbers, but its labels and shape make 4."
      ),
      (
        [1, 2], [0, 3], [1], 3,
        "d has the label 3 at record 1, but labels go from 0 to 2."
      ),
      (
        [1, 2], [-1, 0], [1], 3,
        "d has the label -1 at record 0, but labels go from 0 to 2."
      ),
      (
        [1, 2, 3, .nan], [0, 0], [2], 1,
        "d has the value nan at element 1 of example 1; inputs must be finite."
      ),
      (
        [-.infinity, 2], [0, 0], [1], 1,
        "d has the value -inf at element 0 of example 0; inputs must be finite."
      ),
      ([], [], [2], 1, "d has no examples."),
      (
        [], [0], [2, 0], 1,
        "d has examples of shape [2, 0] and 1 classes; all of these must be at least 1."
      ),
      (
        [1], [0], [-1, -1], 1,
        "d has examples of shape [-1, -1] and 1 classes; all of these must be at least 1."
      ),
      (
        [1], [0], [.max, .max], 1,
        "d has examples of shape [9223372036854775807, 9223372036854775807] and 1 classes; all of these must be at "
          + "least 1."
      ),
      (
        [1], [0], [1], 0,
        "d has examples of shape [1] and 0 classes; all of these must be at least 1."
      ),
    ] as [([Float], [Int32], [Int], Int, String)])
  func badArraysAreRefused(
    inputs: [Float], labels: [Int32], shape: [Int], classes: Int, message: String
  ) {
    let error = #expect(throws: DataError.self) {
      try Dataset(name: "d", inputs: inputs, labels: labels, inputShape: shape, classes: classes)
    }
    #expect(error?.description == message)
  }

  @Test func splitNeedsOneShape() throws {
    let a = try Dataset(name: "a", inputs: [1], labels: [0], inputShape: [1], classes: 2)
    let b = try Dataset(name: "b", inputs: [1], labels: [0], inputShape: [1, 1], classes: 3)
    let error = #expect(throws: DataError.self) { try DataSplit(training: a, test: b) }
    #expect(
      error?.description
        == "The data set a has training examples of shape [1] in 2 classes, but test examples of shape [1, 1] in 3 "
        + "classes.")
  }

  /// Oracle: sha256 of the little-endian bytes, by Python's hashlib:
  /// `sha256(struct.pack("<2f2i", 1.5, -2, 0, 1))`.
  @Test func checksumOfNumbers() throws {
    let data = try Dataset(name: "a", inputs: [9, 1.5, -2], labels: [1, 0, 1], inputShape: [1], classes: 2)
    let expected = "3e648045070aba1fe18a375ea3d28203533aa8d3f891f29947f2a37c8a861f24"
    #expect(data.subset(1..<3).checksum() == expected)
    #expect(data.subset(1..<3).normalized(.centred).checksum() == expected, "normalisation does not change it")
    #expect(data.checksum() != expected)
  }
}

@Suite struct BatchSequenceTests {
  @Test func everyExampleComesOnce() throws {
    let batches = try BatchSequence(DatasetTests.small(), batchSize: 2)
    #expect(batches.count == 3)
    #expect(batches.map(\.count) == [2, 2, 1])
    #expect(batches.flatMap(\.exampleIndices) == [0, 1, 2, 3, 4])
    #expect(batches.flatMap(\.inputs) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    #expect(batches[2] == batches.last)
  }

  @Test func shufflingIsAPermutationOfSeedAndEpoch() throws {
    let digits = try NamedDataset.digits.load().training
    func order(_ seed: UInt64, _ epoch: Int) throws -> [Int] {
      try BatchSequence(digits, batchSize: 100, order: .shuffled(seed: seed, epoch: epoch)).flatMap(\.exampleIndices)
    }
    let first = try order(7, 0)
    #expect(first.sorted() == Array(0..<1437))
    #expect(try order(7, 0) == first, "seed 7")
    #expect(try order(7, 1) != first, "seed 7")
    #expect(try order(8, 0) != first, "seed 8")
    #expect(try order(7, 1).sorted() == Array(0..<1437))
  }

  @Test func shuffledBatchesCarryTheirLabels() throws {
    let digits = try NamedDataset.digits.load().training
    for batch in try BatchSequence(digits, batchSize: 500, order: .shuffled(seed: 1, epoch: 2)) {
      #expect(batch.labels == batch.exampleIndices.map { digits.labels[$0] })
    }
  }

  @Test(arguments: [0, -3, 6])
  func batchSizeMustFit(size: Int) throws {
    let data = try DatasetTests.small()
    let error = #expect(throws: DataError.self) { try BatchSequence(data, batchSize: size) }
    #expect(
      error?.description == "A batch of \(size) cannot be drawn from the 5 examples of small; choose 1 to 5.")
    #expect(error == .batchSize(dataset: "small", size: size, count: 5))
  }
}
