import Foundation
import PCDatasets
import PCInterchange
import Testing

@Suite struct FashionMNISTTests {
  /// Its files have MNIST's names, so each set has to be taken from its own folder.
  @Test func isNotTakenForMNIST() throws {
    for place in ["fashion-mnist/", "fashion-mnist/data/fashion/", "FashionMNIST/raw/"] {
      let folder = try TemporaryFolder()
      let others: [UInt8] = words(0x803, 3, 2, 2) + [UInt8](repeating: 9, count: 12)
      for part in ["train", "t10k"] {
        try folder.write("\(part)-images-idx3-ubyte", others)
        try folder.write("\(part)-labels-idx1-ubyte", IDXTests.labels)
        try folder.write("\(place)\(part)-images-idx3-ubyte.gz", IDXTests.packedImages)
        try folder.write("\(place)\(part)-labels-idx1-ubyte.gz", IDXTests.packedLabels)
      }
      let fashion = try NamedDataset.fashionMNIST.load(directory: folder.path)
      let mnist = try NamedDataset.mnist.load(directory: folder.path)
      #expect(fashion.training.batch([0]).inputs == [0, 1, 51 / 255, 102 / 255], "\(place)")
      #expect(mnist.training.batch([0]).inputs == [Float](repeating: 9 / 255, count: 4), "\(place)")
      #expect(fashion.name == "fashion-mnist")
    }
  }

  @Test func itsFilesAloneInAFolderWillDo() throws {
    let folder = try TemporaryFolder()
    for part in ["train", "t10k"] {
      try folder.write("\(part)-images-idx3-ubyte", IDXTests.images)
      try folder.write("\(part)-labels-idx1-ubyte", IDXTests.labels)
    }
    #expect(try NamedDataset.fashionMNIST.load(directory: folder.path).test.labels == [7, 0, 9])
    #expect(throws: DataError.self) { try NamedDataset.fashionMNIST.load(directory: folder.path + "/none") }
  }
}

@Suite struct ArrayFilesTests {
  /// What NumPy wrote: x = 17 i mod 256.
  private func x(_ range: Range<Int>, over divisor: Float) -> [Float] { range.map { Float(17 * $0 % 256) / divisor } }

  /// All examples of both parts by label order, which does not depend on the draw of the test part.
  private func sorted(_ split: DataSplit) -> [[Float]] {
    [split.training, split.test].flatMap { part in (0..<part.count).map { part.batch([$0]).inputs } }
      .sorted { $0.lexicographicallyPrecedes($1) }
  }

  @Test func storedArchivesAreCutIntoParts() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("own.npz", ArrayFixtures.stored)
    let split = try ArrayFiles(path).load(seed: 3)
    #expect((split.training.count, split.test.count) == (3, 1))
    #expect(split.training.inputShape == [1, 2, 3])
    #expect(split.training.classes == 3)
    let expected = (0..<4).map { x(6 * $0..<6 * $0 + 6, over: 255) }.sorted { $0.lexicographicallyPrecedes($1) }
    #expect(sorted(split) == expected)
    #expect((split.training.labels + split.test.labels).sorted() == [0, 1, 2, 2])
    #expect(try ArrayFiles(path).load(seed: 3).checksum() == split.checksum())
    let tests = try (0..<20).map { try ArrayFiles(path).load(seed: $0).test.batch([0]).inputs }
    #expect(Set(tests).count > 1, "the seed has no say")
  }

  @Test func deflatedArchivesHavePartsOfTheirOwn() throws {
    let folder = try TemporaryFolder()
    let split = try ArrayFiles(folder.write("own.npz", ArrayFixtures.deflated)).load()
    #expect(split.training.inputShape == [1, 2, 3])
    #expect(split.training.labels == [2, 0, 1, 2])
    #expect(split.training.batch(0..<4).inputs == x(0..<24, over: 2))
    #expect(split.test.labels == [0])
    #expect(split.test.classes == 3)
    #expect(split.test.batch([0]).inputs == x(0..<6, over: 2))
  }

  /// Every changed byte and every prefix of an archive reads or throws, and what reads has the numbers that were written:
  /// a checksum covers each.
  @Test(arguments: [false, true]) func damagedArchivesAreRefused(isDeflated: Bool) throws {
    let bytes = isDeflated ? ArrayFixtures.deflated : ArrayFixtures.stored
    let folder = try TemporaryFolder()
    let whole = try ArrayFiles(folder.write("whole.npz", bytes)).load().checksum()
    var refused = 0
    for place in bytes.indices {
      var damaged = bytes
      damaged[place] ^= 0x41
      let path = try folder.write("damaged.npz", damaged)
      do {
        let found = try ArrayFiles(path).load().checksum()
        #expect(found == whole, "byte \(place)")
      } catch {
        refused += 1
        #expect("\(error)".last.map(".?".contains) == true, "\(error)")
      }
      if place % 7 == 0 {
        let short = try folder.write("short.npz", Array(bytes.prefix(place)))
        #expect(throws: (any Error).self, "the first \(place) bytes") { try ArrayFiles(short).load() }
      }
    }
    // The headers that a reader needs, and all packed numbers.
    #expect(refused > bytes.count / 2, "\(refused) of \(bytes.count)")
  }

  @Test func npyAndSafetensorsAgree() throws {
    let folder = try TemporaryFolder()
    let numbers = (0..<10).map { Float($0) / 4 }
    let x = NamedArray(name: "x", shape: [5, 2], values: .float32(numbers))
    let y = NamedArray(name: "y", shape: [5], values: .int64([0, 1, 0, 1, 1]))
    let one = try ArrayFiles(
      folder.write("x.npy", x.npyEncoded()), labels: folder.write("y.npy", y.npyEncoded())
    ).load(seed: 1)
    let other = try ArrayFiles(folder.write("xy.safetensors", Safetensors([x, y]).encoded())).load(seed: 1)
    #expect(one.checksum() == other.checksum())
    #expect(one.training.inputShape == [1, 1, 2])
    #expect(one.training.count == 4)
  }

  @Test(arguments: [
    ("a,species,b\n1,0,2\n 3 ,1,4.5\r\n\n-1e2,2,\"6\"\n", "species" as String?, [1, 2, 3, 4.5, -100, 6] as [Float]),
    ("1,0,2\n3,1,4.5\n-1e2,2,6", "2", [1, 2, 3, 4.5, -100, 6]),
    // With the mark that spreadsheets write before UTF-8.
    ("\u{FEFF}species,a,b\n0,1,2\n1,3,4.5\n2,-1e2,6", "species", [1, 2, 3, 4.5, -100, 6]),
    ("1,2,0\n3,4.5,1\n-1e2,6,2\n", nil, [1, 2, 3, 4.5, -100, 6]),
    ("one,two,label\n1,2,0\n3,4.5,1\n-1e2,6,2\n", nil, [1, 2, 3, 4.5, -100, 6]),
  ])
  func tablesHaveALabelColumn(text: String, column: String?, numbers: [Float]) throws {
    let folder = try TemporaryFolder()
    let split = try ArrayFiles(folder.write("own.csv", Array(text.utf8)), labelColumn: column).load()
    let examples = stride(from: 0, to: 6, by: 2).map { Array(numbers[$0..<$0 + 2]) }
    #expect(sorted(split) == examples.sorted { $0.lexicographicallyPrecedes($1) })
    #expect((split.training.labels + split.test.labels).sorted() == [0, 1, 2])
    #expect(split.training.inputShape == [1, 1, 2])
  }

  @Test(arguments: [
    ("1,2,0\n3,x,1\n", nil as String?, "Line 2, column 2 of own.csv holds \"x\" where a finite number is expected."),
    ("1,2,0\n3,inf,1\n", nil, "Line 2, column 2 of own.csv holds \"inf\" where a finite number is expected."),
    (
      "1,2,0\n\n3,4,0.5\n", nil,
      "Line 3, column 3 of own.csv holds \"0.5\" where a label, a whole number from 0 to 99999, is expected."
    ),
    ("1,2,0\n3,1\n", nil, "own.csv has 2 cells in line 2, but 3 in the first; give all as many."),
    ("a,b\n1,0\n", "c", "own.csv has no column c among its 2; its headings are a, b."),
    ("1,0\n", "3", "own.csv has no column 3 among its 2; it has no heading."),
    (
      "1\n2\n", nil,
      "Line 1, column 1 of own.csv holds \"1\" where a label and at least one number in each line is expected."
    ),
    ("a,b\n", nil, "own.csv has no examples."),
    ("", nil, "own.csv has no examples."),
    ("1,0\n", nil, "own.csv has one example, where training and test need one each."),
  ])
  func badTablesAreRefused(text: String, column: String?, message: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("own.csv", Array(text.utf8))
    let error = #expect(throws: DataError.self) { try ArrayFiles(path, labelColumn: column).load() }
    #expect(error?.description.replacingOccurrences(of: folder.path + "/", with: "") == message)
  }

  @Test func misfitsAreRefused() throws {
    let folder = try TemporaryFolder()
    func array(_ shape: [Int]) -> [UInt8] {
      NamedArray(name: "a", shape: shape, values: .float32([Float](repeating: 0, count: shape.reduce(1, *))))
        .npyEncoded()
    }
    let x = try folder.write("x.npy", array([3, 2]))
    func message(_ files: ArrayFiles) -> String? {
      let error = #expect(throws: (any Error).self) { try files.load() }
      return error.map { "\($0)".replacingOccurrences(of: folder.path + "/", with: "") }
    }
    #expect(message(ArrayFiles(x)) == "x.npy has no labels; name the .npy file that has them.")
    #expect(
      try message(ArrayFiles(x, labels: folder.write("y.npy", array([4]))))
        == "y.npy has the shape [4] in the array labels, but [3] are expected; is it another data set's file?")
    #expect(
      try message(ArrayFiles(folder.write("z.npy", array([3])), labels: x))
        == "z.npy has the shape [3] in the array examples, but [N, features], [N, H, W] or [N, C, H, W] with at least one "
        + "number are expected; is it another data set's file?")
    #expect(
      message(ArrayFiles("x.txt")) == "x.txt is of no known kind; .npy, .npz, .safetensors and .csv are read.")
    #expect(
      try message(ArrayFiles(folder.write("y.npz", ArrayFixtures.stored), labels: x))
        == "y.npz has its labels itself; a file of labels goes with a .npy file.")
    #expect(message(ArrayFiles("none.npz"))?.hasPrefix("none.npz cannot be read: ") == true)
    #expect(message(ArrayFiles("none.npy", labels: x))?.hasPrefix("none.npy cannot be read: ") == true)
  }
}

@Suite struct AugmentationTests {
  private func images(_ count: Int) throws -> Dataset {
    try Dataset(
      name: "images", inputs: (0..<count * 24).map { Float($0 + 1) }, labels: [Int32](repeating: 0, count: count),
      inputShape: [2, 3, 4], classes: 1)
  }

  private func batches(_ data: Dataset, size: Int, _ augmentation: Augmentation, epoch: Int = 1) throws
    -> BatchSequence
  {
    try BatchSequence(data, batchSize: size, order: .shuffled(seed: 5, epoch: epoch), augmentation: augmentation)
  }

  /// Each image is one of the 2 (2p + 1)² that padding, cutting and mirroring can make, and all of them come.
  @Test func imagesAreMovedAndMirrored() throws {
    let padding = 1
    let data = try images(400)
    var seen: Set<[Int]> = []
    for batch in try batches(data, size: 7, Augmentation(padding: padding, flips: true)) {
      for (place, index) in batch.exampleIndices.enumerated() {
        let found = Array(batch.inputs[24 * place..<24 * place + 24])
        let original = data.batch([index]).inputs
        let matches = candidates(original, padding).filter { $0.image == found }.map(\.key)
        #expect(matches.count == 1, "image \(index)")
        seen.formUnion(matches)
      }
    }
    #expect(seen.count == 18)
  }

  /// The plain definition: a padded copy, of which a window is cut, whose rows may be reversed.
  private func candidates(_ image: [Float], _ padding: Int) -> [(key: [Int], image: [Float])] {
    let (height, width) = (3 + 2 * padding, 4 + 2 * padding)
    var padded = [[[Float]]](
      repeating: [[Float]](repeating: [Float](repeating: 0, count: width), count: height), count: 2)
    for c in 0..<2 {
      for r in 0..<3 { for k in 0..<4 { padded[c][r + padding][k + padding] = image[12 * c + 4 * r + k] } }
    }
    var result: [(key: [Int], image: [Float])] = []
    for top in 0...2 * padding {
      for left in 0...2 * padding {
        let rows = padded.flatMap { channel in channel[top..<top + 3].map { Array($0[left..<left + 4]) } }
        result.append(([top, left, 0], rows.flatMap { $0 }))
        result.append(([top, left, 1], rows.flatMap { $0.reversed() }))
      }
    }
    return result
  }

  @Test func neitherOrderNorBatchSizeHasASay() throws {
    let data = try images(30)
    func byExample(size: Int, epoch: Int) throws -> [Int: [Float]] {
      var result: [Int: [Float]] = [:]
      for batch in try batches(data, size: size, Augmentation(), epoch: epoch) {
        for (place, index) in batch.exampleIndices.enumerated() {
          result[index] = Array(batch.inputs[24 * place..<24 * place + 24])
        }
      }
      return result
    }
    let first = try byExample(size: 1, epoch: 1)
    #expect(try byExample(size: 13, epoch: 1) == first)
    #expect(try byExample(size: 13, epoch: 2) != first)
  }

  /// What comes in is black before normalisation, and the test images stay.
  @Test func bordersAreBlack() throws {
    let data = try images(50).normalized(mean: 3, deviation: 2)
    let all = try batches(data, size: 50, Augmentation(padding: 3, flips: false))[0].inputs
    #expect(Set(all).subtracting(data.batch(0..<50).inputs) == [-1.5])
    let stored = try BatchSequence(data, batchSize: 50, augmentation: Augmentation())
    #expect(stored[0].inputs == data.batch(0..<50).inputs)
  }

  @Test func namesAreRead() throws {
    #expect(try Augmentation(named: "crop,flip") == Augmentation(padding: 4, flips: true))
    #expect(try Augmentation(named: "flip") == Augmentation(padding: 0, flips: true))
    let error = #expect(throws: DataError.self) { try Augmentation(named: "crop,turn") }
    #expect(error?.description == "The augmentation \"turn\" is not known; crop and flip are.")
  }
}

@Suite struct BatchLoaderTests {
  /// Whatever is asked for, in order or not, the loader gives what the sequence does.
  @Test(arguments: [1, 2, 5]) func batchesAreThoseOfTheSequence(ahead: Int) throws {
    let digits = try NamedDataset.digits.load().training
    let batches = try BatchSequence(
      digits, batchSize: 64, order: .shuffled(seed: 1, epoch: 2), augmentation: Augmentation(padding: 1, flips: false)
    )
    let loader = BatchLoader(batches, ahead: ahead)
    for index in batches.indices { #expect(loader.batch(index) == batches[index], "batch \(index)") }
    for index in [5, 5, 22, 0, 1, 2, 1, 21, 22] {
      #expect(loader.batch(index) == batches[index], "batch \(index)")
    }
  }

  /// A loader that is given up ends its thread, whether it waits, works or was never started.
  @Test func loadersEnd() throws {
    let digits = try NamedDataset.digits.load().training
    let batches = try BatchSequence(digits, batchSize: 8)
    for round in 0..<200 {
      let loader = BatchLoader(batches, ahead: 1 + round % 3)
      if round % 4 > 0 { #expect(loader.batch(round % 50).count == 8) }
    }
  }
}
