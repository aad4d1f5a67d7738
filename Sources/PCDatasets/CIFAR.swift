// The binary versions of CIFAR-10 and CIFAR-100: files of records, each with its label bytes and then 3072 pixel bytes
// (1024 red, 1024 green, 1024 blue, row by row). https://www.cs.toronto.edu/~kriz/cifar.html

/// One label byte a record; the training examples are in five files of 10,000.
package func loadCIFAR10(
  directory: String, recordsPerFile: Int = 10_000
) throws(DataError) -> DataSplit {
  let name = NamedDataset.cifar10.rawValue
  let folder = DataFolder(dataset: name, directory: directory, name: "cifar-10", archive: "cifar-10-batches-bin")
  func dataset(_ files: [String]) throws(DataError) -> Dataset {
    try readCIFAR(folder, files, recordsPerFile: recordsPerFile, labelCounts: [10])
  }
  return try DataSplit(
    training: dataset((1...5).map { "data_batch_\($0).bin" }), test: dataset(["test_batch.bin"]))
}

/// Two label bytes a record: one of 20 groups, which is left out, and one of the 100 classes.
package func loadCIFAR100(
  directory: String, trainingCount: Int = 50_000, testCount: Int = 10_000
) throws(DataError) -> DataSplit {
  let name = NamedDataset.cifar100.rawValue
  let folder = DataFolder(dataset: name, directory: directory, name: "cifar-100", archive: "cifar-100-binary")
  func dataset(_ file: String, _ count: Int) throws(DataError) -> Dataset {
    try readCIFAR(folder, [file], recordsPerFile: count, labelCounts: [20, 100])
  }
  return try DataSplit(training: dataset("train.bin", trainingCount), test: dataset("test.bin", testCount))
}

/// - Parameter labelCounts: for each label byte of a record how many values it may have; the last is the class.
private func readCIFAR(
  _ folder: DataFolder, _ files: [String], recordsPerFile: Int, labelCounts: [Int]
) throws(DataError) -> Dataset {
  let recordSize = labelCounts.count + 3072
  var labels: [Int32] = []
  var pixels: [UInt8] = []
  pixels.reserveCapacity(files.count * recordsPerFile * 3072)
  for file in files {
    let path = try folder.path(file)
    let bytes = try readData(path, size: recordsPerFile * recordSize)
    for record in 0..<recordsPerFile {
      let first = record * recordSize
      var label = 0
      for (offset, count) in labelCounts.enumerated() {
        label = Int(bytes[first + offset])
        guard label < count else {
          throw .labelOutOfRange(source: path, record: record, value: label, classes: count)
        }
      }
      labels.append(Int32(label))
      pixels += bytes[first + labelCounts.count..<first + recordSize]
    }
  }
  return try Dataset(
    name: folder.dataset, bytes: pixels, labels: labels, inputShape: [3, 32, 32],
    classes: labelCounts[labelCounts.count - 1])
}
