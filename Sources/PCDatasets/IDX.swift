// MNIST's file format: a magic number (two zero bytes, the element type, 8 for bytes, and the number of dimensions),
// the dimensions, then the elements in row-major order; all integers are 32 bits, most significant byte first.
// The files are published packed by gzip. http://yann.lecun.com/exdb/mnist

import PCInterchange

extension Dataset {
  /// Images and labels from two IDX files, packed by gzip or not; shape [1, rows, columns].
  ///
  /// - Throws: `DataError` about a file that is unreadable, damaged, truncated or too long, about labels out of range
  ///   and about files that do not belong together.
  public init(name: String, idxImages: String, idxLabels: String, classes: Int = 10) throws(DataError) {
    let (shape, pixels) = try readIDX(idxImages, dimensions: 3)
    let (_, labels) = try readIDX(idxLabels, dimensions: 1)
    guard shape[0] == labels.count else {
      throw .countsDiffer(
        images: idxImages, imageCount: shape[0], labels: idxLabels, labelCount: labels.count)
    }
    if let record = labels.firstIndex(where: { $0 >= classes }) {
      throw .labelOutOfRange(source: idxLabels, record: record, value: Int(labels[record]), classes: classes)
    }
    if labels.isEmpty { throw .empty(source: idxImages) }
    try self.init(
      name: name, bytes: pixels, labels: labels.map(Int32.init), inputShape: [1, shape[1], shape[2]],
      classes: classes)
  }
}

func loadMNIST(directory: String) throws(DataError) -> DataSplit {
  try loadIDX(
    DataFolder(dataset: NamedDataset.mnist.rawValue, directory: directory, name: "mnist", archive: "MNIST/raw"))
}

/// Zalando's articles of clothing, in MNIST's format and by the names of its files: in one folder with MNIST's they would be
/// taken for each other, so the folder of their own comes first. https://github.com/zalandoresearch/fashion-mnist
func loadFashionMNIST(directory: String) throws(DataError) -> DataSplit {
  let own = DataFolder(
    dataset: NamedDataset.fashionMNIST.rawValue, directory: "\(directory)/fashion-mnist", name: "data/fashion",
    archive: "FashionMNIST/raw")
  return try loadIDX(
    DataFolder(dataset: own.dataset, folders: own.folders + ["\(directory)/FashionMNIST/raw", directory]))
}

private func loadIDX(_ folder: DataFolder) throws(DataError) -> DataSplit {
  func dataset(_ part: String) throws(DataError) -> Dataset {
    func path(_ kind: String) throws(DataError) -> String {
      try folder.path("\(part)-\(kind)-ubyte", "\(part)-\(kind)-ubyte.gz")
    }
    return try Dataset(name: folder.dataset, idxImages: path("images-idx3"), idxLabels: path("labels-idx1"))
  }

  return try DataSplit(training: dataset("train"), test: dataset("t10k"))
}

/// The dimensions and the bytes of an IDX file of bytes with so many dimensions.
private func readIDX(_ path: String, dimensions: Int) throws(DataError) -> (shape: [Int], bytes: [UInt8]) {
  func read(_ file: InputFile, _ range: Range<Int>) throws(DataError) -> [UInt8] {
    try reportingUnreadable { () throws(FileError) in try file.read(range.clamped(to: 0..<file.size)) }
  }
  let file = try reportingUnreadable { () throws(FileError) in try InputFile(path) }
  let headerSize = 4 + 4 * dimensions
  let start = try read(file, 0..<headerSize)

  guard isGzip(start) else {
    guard start.count == headerSize else {
      throw .truncated(path: path, expected: headerSize, found: start.count)
    }
    let (shape, size) = try idxShape(start, path)
    try checkSize(of: file, size)
    return (shape, try read(file, headerSize..<size))
  }

  let packed = try GzipReader(file)
  let header = try packed.read(headerSize)
  guard header.count == headerSize else {
    throw .truncatedGzip(path: path, expected: headerSize, found: header.count)
  }
  let (shape, size) = try idxShape(header, path)
  guard canAllocate(size) else { throw .tooLarge(path: path, size: size) }
  let bytes = try packed.read(size - headerSize)
  guard bytes.count == size - headerSize else {
    throw .truncatedGzip(path: path, expected: size, found: headerSize + bytes.count)
  }
  // Reading on also verifies the checksum.
  guard try packed.read(1).isEmpty else { throw .oversized(path: path, expected: size, found: size + 1) }
  guard !packed.endsTooEarly else { throw .corruptGzip(path: path, reason: "it ends too early") }
  return (shape, bytes)
}

/// The dimensions that a header declares, and the size of the file, header included, that they make.
private func idxShape(_ header: [UInt8], _ path: String) throws(DataError) -> (shape: [Int], size: Int) {
  let words = stride(from: 0, to: header.count, by: 4).map { at in
    header[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
  }
  let magic = 0x0800 | UInt32(words.count - 1)
  guard words[0] == magic else { throw .badMagic(path: path, expected: magic, found: words[0]) }
  let shape = words[1...].map(Int.init)
  return (shape, header.count + min(elementCount(shape) ?? .max, .max - header.count - 1))
}
