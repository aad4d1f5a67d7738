/// Street View House Numbers, the cropped digits: X, bytes of [32, 32, 3, count] (row, column, colour, image), and y, labels
/// of which 10 stands for the digit 0. http://ufldl.stanford.edu/housenumbers
package func loadSVHN(
  directory: String, trainingCount: Int = 73_257, testCount: Int = 26_032
) throws(DataError) -> DataSplit {
  let name = NamedDataset.svhn.rawValue
  let folder = DataFolder(dataset: name, directory: directory, name: "svhn")

  func dataset(_ file: String, _ count: Int) throws(DataError) -> Dataset {
    let path = try folder.path(file)
    let arrays = try MATFile(path: path)
    let images = try arrays["X"]
    let shape = [32, 32, 3, count]
    guard case .bytes(let bytes) = images.values, images.shape == shape else {
      throw .unexpectedArray(path: path, array: "X", found: images.summary, expected: "bytes of shape \(shape)")
    }
    let answers = try arrays["y"]
    let numbers = answers.values.numbers
    guard numbers.count == count else {
      throw .unexpectedArray(path: path, array: "y", found: answers.summary, expected: "\(count) labels")
    }
    var labels: [Int32] = []
    for (index, number) in numbers.enumerated() {
      guard let label = Int32(exactly: number), 1...10 ~= label else {
        throw .unexpectedArray(
          path: path, array: "y", found: "\(number) at record \(index)", expected: "whole numbers from 1 to 10")
      }
      labels.append(label % 10)
    }
    return try Dataset(
      name: name, bytes: rowMajor(bytes, count), labels: labels, inputShape: [3, 32, 32], classes: 10)
  }

  return try DataSplit(
    training: dataset("train_32x32.mat", trainingCount), test: dataset("test_32x32.mat", testCount))
}

/// Images whose rows vary fastest, then columns, as images whose columns do.
private func rowMajor(_ bytes: ArraySlice<UInt8>, _ count: Int) -> [UInt8] {
  bytes.withUnsafeBufferPointer { source in
    [UInt8](unsafeUninitializedCapacity: source.count) { result, initialized in
      for plane in 0..<3 * count {
        for row in 0..<32 {
          for column in 0..<32 {
            result[plane * 1024 + row * 32 + column] = source[plane * 1024 + column * 32 + row]
          }
        }
      }
      initialized = source.count
    }
  }
}
