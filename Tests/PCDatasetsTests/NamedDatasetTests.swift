import Foundation
import PCDatasets
import PCInterchange
import Testing

@Suite struct DigitsTests {
  /// Oracles: scikit-learn's array through NumPy's bincount and Python's hashlib (Scripts/make-digits.py).
  @Test func digitsAreThoseOfScikitLearn() throws {
    let digits = try NamedDataset.digits.load()
    #expect(digits.training.count == 1437)
    #expect(digits.test.count == 360)
    #expect(digits.training.inputShape == [1, 8, 8])
    #expect(NamedDataset.digits.trainingCount == digits.training.count)
    func histogram(_ labels: [Int32]) -> [Int] { (0..<10).map { digit in labels.count { $0 == digit } } }
    #expect(histogram(digits.training.labels) == [143, 146, 142, 146, 144, 145, 144, 143, 141, 143])
    #expect(histogram(digits.test.labels) == [35, 36, 35, 37, 37, 37, 37, 36, 33, 37])
    let firstImage: [Float] = [
      0, 0, 5, 13, 9, 1, 0, 0,
      0, 0, 13, 15, 10, 15, 5, 0,
      0, 3, 15, 2, 0, 11, 8, 0,
      0, 4, 12, 0, 0, 8, 8, 0,
      0, 5, 8, 0, 0, 9, 8, 0,
      0, 4, 11, 0, 1, 12, 7, 0,
      0, 2, 14, 5, 10, 12, 0, 0,
      0, 0, 6, 13, 10, 0, 0, 0,
    ]
    #expect(digits.training.batch([0]).inputs == firstImage.map { $0 / 16 })
    #expect(
      digits.training.checksum() == "84400885ae459a7290df41632e5a0f546ad33f33fdcc172b4debf044e64fd735")
    #expect(digits.test.checksum() == "c91264280a3ea378cd831b9f76c1943c6b729af64169c71cf8b5e06bfcf7988e")
    #expect(digits.checksum() == "e741ed965d6e7b3b0badc05809450682020e0f4ace58a69bc0b96e1aa944bc8b")
  }
}

@Suite struct NamesTests {
  @Test func unknownNamesSuggestTheNearest() {
    let near = #expect(throws: DataError.self) { try NamedDataset(named: "CIFAR-10") }
    #expect(
      near?.description
        == "There is no data set named \"CIFAR-10\"; did you mean cifar10? The names are digits, mnist, fashion-mnist, cifar10, "
        + "cifar100, svhn.")
    let far = #expect(throws: DataError.self) { try NamedDataset(named: "imagenet") }
    #expect(
      far?.description
        == "There is no data set named \"imagenet\". The names are digits, mnist, fashion-mnist, cifar10, "
        + "cifar100, svhn.")
    #expect(throws: Never.self) { try NamedDataset(named: "mnist") }
  }

  @Test(arguments: [NamedDataset.mnist, .fashionMNIST, .cifar10, .cifar100, .svhn])
  func filesNeedAFolder(dataset: NamedDataset) {
    let error = #expect(throws: DataError.self) { try dataset.load() }
    #expect(
      error?.description
        == "The data set \(dataset.rawValue) is read from files: say with --data-dir which folder they are in.")
  }

  @Test func missingFilesListEveryPathTried() {
    let mnist = #expect(throws: DataError.self) { try NamedDataset.mnist.load(directory: "/nowhere") }
    let folders = ["/nowhere", "/nowhere/MNIST/raw", "/nowhere/mnist", "/nowhere/mnist/MNIST/raw"]
    let tried = folders.flatMap { ["\($0)/train-images-idx3-ubyte", "\($0)/train-images-idx3-ubyte.gz"] }
    #expect(
      mnist?.description
        == "A file of the data set mnist is missing; tried: \(tried.joined(separator: ", ")).")
    let cifar = #expect(throws: DataError.self) { try NamedDataset.cifar10.load(directory: "/nowhere") }
    #expect(
      cifar
        == .missingFile(
          dataset: "cifar10",
          tried: [
            "/nowhere/data_batch_1.bin", "/nowhere/cifar-10-batches-bin/data_batch_1.bin",
            "/nowhere/cifar-10/data_batch_1.bin", "/nowhere/cifar-10/cifar-10-batches-bin/data_batch_1.bin",
          ]))
  }
}

@Suite struct IDXTests {
  static let images: [UInt8] = words(0x803, 3, 2, 2) + [0, 255, 51, 102, 1, 2, 3, 4, 5, 6, 7, 8]
  static let labels: [UInt8] = words(0x801, 3) + [7, 0, 9]

  /// The same two files as Python's `gzip.compress(…, 9, mtime=0)` packs them.
  static let packedImages: [UInt8] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 96, 224, 96, 102, 96, 96, 0, 97, 38, 48, 254, 111, 156, 198, 200, 196, 204,
    194, 202, 198, 206, 1, 0, 122, 78, 164, 195, 28, 0, 0, 0,
  ]
  static let packedLabels: [UInt8] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 96, 224, 96, 100, 96, 96, 96, 102, 103, 224, 4, 0, 165, 18, 211, 114, 11, 0,
    0, 0,
  ]

  private func read(_ images: [UInt8], _ labels: [UInt8]) throws -> Dataset {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    return try Dataset(
      name: "idx", idxImages: folder.write("images", images), idxLabels: folder.write("labels", labels))
  }

  /// The error's description with the folder's name taken out.
  private func message(_ images: [UInt8], _ labels: [UInt8]) -> String? {
    let error = #expect(throws: DataError.self) { try read(images, labels) }
    return error?.description.split(separator: " ").map { word in
      word.hasPrefix("/") ? word.split(separator: "/").last.map(String.init) ?? "" : String(word)
    }.joined(separator: " ")
  }

  @Test(arguments: [
    (images, labels), (packedImages, labels), (images, packedLabels), (packedImages, packedLabels),
  ])
  func packedAndPlainFilesAreOne(images: [UInt8], labels: [UInt8]) throws {
    let data = try read(images, labels)
    #expect(data.inputShape == [1, 2, 2])
    #expect(data.labels == [7, 0, 9])
    #expect(data.batch([0]).inputs == [0, 1, 51 / 255, 102 / 255])
    #expect(data.batch([2]).inputs == [5, 6, 7, 8].map { Float($0) / 255 })
  }

  @Test func everyFolderIsSearched() throws {
    for place in ["", "MNIST/raw/", "mnist/", "mnist/MNIST/raw/"] {
      let folder = try TemporaryFolder()
      try folder.write(place + "train-images-idx3-ubyte", Self.images)
      try folder.write(place + "train-labels-idx1-ubyte.gz", Self.packedLabels)
      try folder.write(place + "t10k-images-idx3-ubyte.gz", Self.packedImages)
      try folder.write(place + "t10k-labels-idx1-ubyte", Self.labels)
      let split = try NamedDataset.mnist.load(directory: folder.path)
      #expect(split.training.count == 3, "\(place)")
      #expect(split.training.checksum() == split.test.checksum())
    }
  }

  @Test func badFilesAreRefusedByName() {
    let (images, labels) = (Self.images, Self.labels)
    #expect(
      message(Array(images.dropLast()), labels)
        == "images is truncated: 28 bytes expected, 27 found; download it again.")
    #expect(
      message(images + [0], labels)
        == "images is too long: 28 bytes expected, 29 found; is it another data set's file?")
    #expect(message([], labels) == "images is truncated: 16 bytes expected, 0 found; download it again.")
    #expect(
      message(images, Array(labels.prefix(5)))
        == "labels is truncated: 8 bytes expected, 5 found; download it again.")
    #expect(
      message(labels + [0, 0, 0, 0, 0], labels)
        == "images is not a file of the expected format: it begins with 0x00000801 instead of 0x00000803.")
    #expect(
      message(images, words(0x801, 3) + [7, 10, 9])
        == "labels has the label 10 at record 1, but labels go from 0 to 9.")
    #expect(
      message(images, words(0x801, 2) + [7, 9])
        == "images has 3 images, but labels has 2 labels; they must be a pair.")
    #expect(message(words(0x803, 0, 2, 2), words(0x801, 0)) == "images has no examples.")
    #expect(
      message(words(0x803, 3, 0, 2), labels)
        == "idx has examples of shape [1, 0, 2] and 10 classes; all of these must be at least 1.")
    // Headers that promise more than memory, and more than an integer, can hold.
    #expect(
      message(words(0x803, 0xFFFF_FFFF, 0xFFFF, 1) + [1], labels)
        == "images is truncated: \(16 + 0xFFFF_FFFF * 0xFFFF) bytes expected, 17 found; download it again.")
    #expect(
      message(words(0x803, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF), labels)
        == "images is truncated: \(Int.max - 1) bytes expected, 16 found; download it again.")
  }

  /// Oracle: how much Python's zlib unpacks of the same beginnings.
  @Test func damagedGzipIsRefused() {
    let labels = Self.labels
    #expect(
      message(Array(Self.packedImages.dropLast(20)), labels)
        == "images is truncated: it unpacks to 17 bytes, but 28 are expected; download it again.")
    #expect(
      message(Array(Self.packedImages.prefix(15)), labels)
        == "images is truncated: it unpacks to 4 bytes, but 16 are expected; download it again.")
    // Without its last byte the pixels are all there, but not the checksum's confirmation.
    #expect(
      message(Array(Self.packedImages.dropLast()), labels)
        == "images is a damaged gzip file (it ends too early); download it again.")
    var flipped = Self.packedImages
    flipped[flipped.count - 8] ^= 1
    #expect(
      message(flipped, labels) == "images is a damaged gzip file (incorrect data check); download it again.")
  }

  /// Megabytes, which take several pieces of a packed file as well as of its contents; gzip packed them.
  @Test func packedFilesAreReadInPieces() throws {
    let size = 4_000_000
    let folder = try TemporaryFolder()
    try folder.write(
      "images", words(0x803, 4, 1000, 1000) + (0..<size).map { UInt8(truncatingIfNeeded: $0 * $0 >> 7) })
    try folder.write("labels", words(0x801, 4) + [1, 2, 3, 4])
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["gzip", "--keep", "--fast", "\(folder.path)/images"]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    func checksum(_ images: String) throws -> String {
      try Dataset(name: "", idxImages: "\(folder.path)/\(images)", idxLabels: "\(folder.path)/labels").checksum()
    }
    #expect(try checksum("images.gz") == checksum("images"))
  }

  @Test func sizesAreLookedAtBeforeMemoryIsAskedFor() throws {
    let folder = try TemporaryFolder()
    let labels = try folder.write("labels", Self.labels)
    // Without data on the disk: a hole reads as zeros.
    let images = try folder.write("images", Self.images)
    let size = 200 << 30
    try #require(truncate(images, size) == 0)
    #expect(throws: DataError.oversized(path: images, expected: 28, found: size)) {
      try Dataset(name: "idx", idxImages: images, idxLabels: labels)
    }
    #expect(throws: FileError.self) { try NamedArray(npyPath: images, name: "x") }
    // Python: gzip.compress(struct.pack(">4I", 0x803, 0xFFFFFFFF, 0xFFFF, 1) + b"\1", 9, mtime=0)
    let greedy: [UInt8] = [
      31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 96, 224, 96, 254, 15, 4, 12, 12, 32, 204, 192, 200, 8, 0, 183, 65, 98, 146,
      17, 0, 0, 0,
    ]
    #expect(
      message(greedy, Self.labels)
        == "images declares \(16 + 0xFFFF_FFFF * 0xFFFF) bytes, which do not fit into memory; "
        + "is it another data set's file?")
  }

  /// Every prefix and every single-byte change of a packed file either reads or throws a `DataError`.
  @Test func mutatedFilesNeverTrap() throws {
    let folder = try TemporaryFolder()
    let labels = try folder.write("labels", Self.labels)
    func read(_ images: [UInt8]) throws -> Dataset {
      try Dataset(name: "idx", idxImages: folder.write("images", images), idxLabels: labels)
    }
    for length in 0..<Self.packedImages.count {
      #expect(throws: DataError.self, "length \(length)") { try read(Array(Self.packedImages.prefix(length))) }
    }
    for file in [Self.packedImages, Self.images] {
      for index in file.indices {
        for mask: UInt8 in [0x01, 0x80, 0xFF] {
          var bytes = file
          bytes[index] ^= mask
          do { _ = try read(bytes) } catch is DataError {}
        }
      }
    }
  }

  /// Two members, as `cat a.gz b.gz` makes them: 16 bytes of header, then the pixels (Python's `gzip.compress`
  /// twice).
  @Test func membersFollowEachOther() throws {
    let members: [UInt8] = [
      31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 96, 224, 96, 102, 96, 96, 0, 97, 38, 16, 6, 0, 36, 55, 107, 207, 16, 0,
      0, 0, 31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 248, 111, 156, 198, 200, 196, 204, 194, 202, 198, 206, 1, 0, 124,
      195, 187, 151, 12, 0, 0, 0,
    ]
    #expect(try read(members, Self.labels).batch([2]).inputs == [5, 6, 7, 8].map { Float($0) / 255 })
    #expect(
      message(members + [1], Self.labels)
        == "images is a damaged gzip file (it ends too early); download it again.")
  }

  @Test func oddPathsAreRefused() throws {
    let folder = try TemporaryFolder()
    let labels = try folder.write("labels", Self.labels)
    for (path, reason) in [
      (folder.path, "it is a folder"), ("/dev/zero", "it is not a regular file"),
      (folder.path + "/none", "No such file or directory"),
    ] {
      let error = #expect(throws: DataError.self) {
        try Dataset(name: "idx", idxImages: path, idxLabels: labels)
      }
      #expect(error?.description == "\(path) cannot be read: \(reason).")
    }
  }
}

@Suite struct CIFAR10Tests {
  /// Record r of file f: label (f + r) mod 10, then bytes that name their position.
  private func file(_ number: Int, records: Int = 2) -> [UInt8] {
    (0..<records).flatMap { record in
      let pixels = (0..<3072).map { UInt8(truncatingIfNeeded: $0 + 7 * number + record) }
      return [UInt8((number + record) % 10)] + pixels
    }
  }

  private func write(_ folder: TemporaryFolder, _ place: String = "") throws {
    for number in 1...5 { try folder.write("\(place)data_batch_\(number).bin", file(number)) }
    try folder.write("\(place)test_batch.bin", file(6))
  }

  @Test(arguments: ["", "cifar-10-batches-bin/", "cifar-10/", "cifar-10/cifar-10-batches-bin/"])
  func recordsComeInOrder(place: String) throws {
    let folder = try TemporaryFolder()
    try write(folder, place)
    let split = try loadCIFAR10(directory: folder.path, recordsPerFile: 2)
    #expect(split.training.count == 10)
    #expect(split.training.inputShape == [3, 32, 32])
    #expect(split.training.labels == [1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
    #expect(split.test.labels == [6, 7])
    let pixels = split.training.batch([5]).inputs
    #expect(pixels == (0..<3072).map { Float(UInt8(truncatingIfNeeded: $0 + 7 * 3 + 1)) / 255 })
  }

  @Test func badFilesAreRefusedByName() throws {
    let folder = try TemporaryFolder()
    func message(recordsPerFile: Int = 2) -> String? {
      let error = #expect(throws: DataError.self) {
        try loadCIFAR10(directory: folder.path, recordsPerFile: recordsPerFile)
      }
      return error?.description.replacingOccurrences(of: folder.path, with: "D")
    }
    try write(folder)
    try folder.write("data_batch_3.bin", Array(file(3).dropLast()))
    #expect(
      message() == "D/data_batch_3.bin is truncated: 6146 bytes expected, 6145 found; download it again.")
    try #require(truncate("\(folder.path)/data_batch_3.bin", 200 << 30) == 0)
    #expect(
      message()
        == "D/data_batch_3.bin is too long: 6146 bytes expected, \(200 << 30) found; is it another data set's file?")
    try folder.write("data_batch_3.bin", file(3) + [1])
    #expect(
      message()
        == "D/data_batch_3.bin is too long: 6146 bytes expected, 6147 found; is it another data set's file?")
    var mislabelled = file(3)
    mislabelled[3073] = 200
    try folder.write("data_batch_3.bin", mislabelled)
    #expect(message() == "D/data_batch_3.bin has the label 200 at record 1, but labels go from 0 to 9.")
    try folder.remove("data_batch_3.bin")
    #expect(message()?.hasPrefix("A file of the data set cifar10 is missing; tried: D/data_batch_3.bin, ") == true)
    try FileManager.default.createDirectory(
      atPath: "\(folder.path)/data_batch_3.bin", withIntermediateDirectories: false)
    #expect(message() == "D/data_batch_3.bin cannot be read: it is a folder.")
  }
}

@Suite struct CIFAR100Tests {
  /// Record r: group r mod 20, class (7 + 31 r) mod 100, then bytes that name their position.
  private func file(_ records: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    for record in 0..<records {
      bytes += [UInt8(record % 20), UInt8((7 + 31 * record) % 100)]
      for position in 0..<3072 { bytes.append(UInt8(truncatingIfNeeded: position + record)) }
    }
    return bytes
  }

  @Test(arguments: ["", "cifar-100-binary/", "cifar-100/", "cifar-100/cifar-100-binary/"])
  func fineLabelsAreTheClasses(place: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("\(place)train.bin", file(4))
    try folder.write("\(place)test.bin", file(1))
    let split = try loadCIFAR100(directory: folder.path, trainingCount: 4, testCount: 1)
    #expect(split.name == "cifar100")
    #expect(split.training.classes == 100 && NamedDataset.cifar100.classes == 100)
    #expect(split.training.inputShape == NamedDataset.cifar100.inputShape)
    #expect(split.training.labels == [7, 38, 69, 0])
    #expect(split.test.labels == [7])
    #expect(split.training.batch([3]).inputs == (0..<3072).map { Float(UInt8(truncatingIfNeeded: $0 + 3)) / 255 })
  }

  @Test func badFilesAreRefusedByName() throws {
    let folder = try TemporaryFolder()
    func message(_ bytes: [UInt8]) throws -> String? {
      try folder.write("train.bin", bytes)
      let error = #expect(throws: DataError.self) {
        try loadCIFAR100(directory: folder.path, trainingCount: 2, testCount: 1)
      }
      return error?.description.replacingOccurrences(of: folder.path, with: "D")
    }
    let good = file(2)
    #expect(
      try message(good)
        == "A file of the data set cifar100 is missing; tried: D/test.bin, D/cifar-100-binary/test.bin, "
        + "D/cifar-100/test.bin, D/cifar-100/cifar-100-binary/test.bin.")
    #expect(
      try message(good.dropLast()) == "D/train.bin is truncated: 6148 bytes expected, 6147 found; download it again.")
    var wrong = good
    wrong[3075] = 100
    #expect(try message(wrong) == "D/train.bin has the label 100 at record 1, but labels go from 0 to 99.")
    wrong = good
    wrong[0] = 20
    #expect(try message(wrong) == "D/train.bin has the label 20 at record 0, but labels go from 0 to 19.")
  }
}

/// Oracles: NumPy over the published files (digest, counts, mean and deviation in double precision).
@Suite(.enabled(if: publishedData != nil, "set PC_DATA_DIR to the folder that holds cifar-10 and mnist"))
struct PublishedDataTests {
  @Test func mnist() throws {
    let split = try NamedDataset.mnist.load(directory: publishedData)
    #expect(split.training.count == 60_000)
    #expect(NamedDataset.mnist.trainingCount == 60_000)
    #expect(split.test.count == 10_000)
    #expect(split.test.inputShape == [1, 28, 28])
    #expect(
      split.training.checksum() == "6a364e333ea1f8ab86e4d641d64a8cf8d8644433f54b0a78e32c2b9e143672d0")
    #expect(split.test.checksum() == "45a60edfded3b2bb860a7fd195c83431011e7f04318268b4f2de30030af9444e")
    let statistics = split.test.statistics()
    #expect(abs(statistics.mean - 0.132_514_6) < 1e-6)
    #expect(abs(statistics.deviation - 0.310_480_25) < 1e-6)
  }

  @Test func cifar10() throws {
    let split = try NamedDataset.cifar10.load(directory: publishedData)
    #expect(split.training.count == 50_000)
    #expect(NamedDataset.cifar10.trainingCount == 50_000)
    #expect(split.test.count == 10_000)
    #expect(
      (0..<10).map { label in split.training.labels.count { $0 == label } } == Array(repeating: 5000, count: 10))
    #expect(
      split.training.checksum() == "65009437f7d926b853c81cc5d37590a354069151cb02dd0c23ff318aaa42b8ca")
    #expect(split.test.checksum() == "d08a31e33951b0be0b384aaa7c5712d996a6fc5539c926687fb13fcb00edfbee")
    let statistics = split.test.statistics()
    #expect(abs(statistics.mean - 0.476_584_92) < 1e-6)
    #expect(abs(statistics.deviation - 0.251_219_49) < 1e-6)
  }
}
