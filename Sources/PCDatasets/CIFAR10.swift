import PCInterchange

/// The binary version of CIFAR-10: files of records, each a label byte and 3072 pixel bytes (1024 red, 1024 green,
/// 1024 blue, row by row). https://www.cs.toronto.edu/~kriz/cifar.html
package func loadCIFAR10(
  directory: String, recordsPerFile: Int = 10_000
) throws(DataError) -> DataSplit {
  let name = NamedDataset.cifar10.rawValue
  let folder = DataFolder(dataset: name, directory: directory, name: "cifar-10", archive: "cifar-10-batches-bin")

  func dataset(_ files: [String]) throws(DataError) -> Dataset {
    let shape = [3, 32, 32]
    let classes = 10
    let recordSize = 1 + 3072
    var labels: [Int32] = []
    var pixels: [UInt8] = []
    pixels.reserveCapacity(files.count * recordsPerFile * 3072)
    for file in files {
      let path = try folder.path(file)
      let bytes = try readData(path, size: recordsPerFile * recordSize)
      for record in 0..<recordsPerFile {
        let first = record * recordSize
        let label = Int(bytes[first])
        guard label < classes else {
          throw .labelOutOfRange(source: path, record: record, value: label, classes: classes)
        }
        labels.append(Int32(label))
        pixels += bytes[first + 1..<first + recordSize]
      }
    }
    return try Dataset(name: name, bytes: pixels, labels: labels, inputShape: shape, classes: classes)
  }

  return try DataSplit(
    training: dataset((1...5).map { "data_batch_\($0).bin" }), test: dataset(["test_batch.bin"]))
}
