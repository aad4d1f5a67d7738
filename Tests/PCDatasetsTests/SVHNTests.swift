import Foundation
import PCDatasets
import Testing

/// Oracle: SciPy's writer (Scripts/make-format-fixtures.py).
@Suite struct MATFileTests {
  private func read(_ bytes: [UInt8]) throws -> MATFile {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    return try MATFile(path: folder.write("file.mat", bytes))
  }

  private func message(_ bytes: [UInt8]) -> String? {
    let error = #expect(throws: DataError.self) { try read(bytes) }
    return error?.description.split(separator: "/").last.map(String.init)
  }

  @Test(arguments: [FormatFixtures.matPlain, FormatFixtures.matPacked])
  func numbersOfEveryType(bytes: [UInt8]) throws {
    let file = try read(bytes)
    #expect(file.arrays.map(\.name) == ["bytes", "doubles", "long_name_of_words", "halves"])
    #expect(try file["bytes"].shape == [2, 3])
    #expect(try file["bytes"].values.numbers == [0, 3, 1, 4, 2, 5])
    #expect(try file["doubles"].shape == [1, 2])
    #expect(try file["doubles"].values.numbers == [1.5, -2])
    #expect(try file["long_name_of_words"].values.numbers == [-1, 2_147_483_647])
    #expect(try file["halves"].values.numbers == [300, 2])
    let error = #expect(throws: DataError.self) { try file["X"] }
    #expect(
      error?.description.hasSuffix(
        "file.mat has no array X; its arrays are: bytes, doubles, long_name_of_words, halves. "
          + "Is it another data set's file?") == true)
  }

  @Test func textIsPassedOver() throws {
    let file = try read(FormatFixtures.matText)
    #expect(file.arrays.map(\.name) == ["after"])
    #expect(try file["after"].values.numbers == [7])
  }

  @Test func damageIsNamed() {
    #expect(message([]) == "file.mat is truncated: 128 bytes expected, 0 found; download it again.")
    #expect(
      message([UInt8](repeating: 32, count: 128))
        == "file.mat is a damaged MATLAB file: it does not begin as MATLAB's format 5, little-endian, does; "
        + "download it again.")
    var packed = FormatFixtures.matPacked
    packed[140] ^= 0xFF
    #expect(message(packed)?.hasPrefix("file.mat is a damaged MATLAB file: ") == true)
    let end = FormatFixtures.matPacked.count
    #expect(
      message(FormatFixtures.matPacked.dropLast())
        == "file.mat is truncated: \(end) bytes expected, \(end - 1) found; download it again.")
    // zlib.compress(struct.pack("<2I", 14, 2**32 - 1)): four gigabytes out of 14 bytes.
    let greedy: [UInt8] = [15, 0, 0, 0, 14, 0, 0, 0] + [120, 156, 227, 99, 96, 96, 248, 15, 4, 0, 10, 110, 4, 11]
    #expect(
      message(FormatFixtures.matPacked.prefix(128) + greedy)
        == "file.mat is a damaged MATLAB file: a packed element declares 4294967295 bytes, more than 14 can unpack to; "
        + "download it again.")
  }

  /// Every prefix throws but where it ends between two arrays; two changes of every byte and 400 random corruptions read or
  /// throw.
  @Test func damagedFilesNeverTrap() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("file.mat", [])
    func read(_ bytes: [UInt8]) throws -> MATFile? {
      let file = try #require(fopen(path, "w"))
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
      return try? MATFile(path: path)
    }
    for file in [FormatFixtures.matPlain, FormatFixtures.matPacked] {
      let complete = try self.read(file)
      var whole = 0
      for length in 0..<file.count {
        guard let partial = try read(Array(file.prefix(length))) else { continue }
        whole += 1
        #expect(partial.arrays.count < 4, "length \(length)")
        for array in partial.arrays {
          let values = array.values.numbers
          #expect(try complete[array.name].values.numbers == values, "length \(length)")
        }
      }
      #expect(whole == 4, "the header alone, and after each of the first three arrays")
      for index in file.indices {
        for mask: UInt8 in [0x01, 0xFF] {
          var bytes = file
          bytes[index] ^= mask
          _ = try read(bytes)
        }
      }
      var random = LinearGenerator(state: 99)
      for _ in 0..<200 {
        var bytes = file
        for _ in 0..<Int.random(in: 1...8, using: &random) {
          bytes[Int.random(in: 128..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        _ = try read(bytes)
      }
    }
  }
}

/// A linear congruential generator (Knuth's MMIX): the same corruptions in every run.
private struct LinearGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 33
  }
}

/// Small files of the published form by SciPy: pixel (image n, colour, row, column) is (n + 2 colour + 3 row + 5 column)
/// mod 256.
@Suite struct SVHNTests {
  @Test(arguments: ["", "svhn/"])
  func imagesAndLabelsAreTurnedRound(place: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("\(place)train_32x32.mat", FormatFixtures.svhn)
    try folder.write("\(place)test_32x32.mat", FormatFixtures.svhnDoubles)
    let split = try loadSVHN(directory: folder.path, trainingCount: 3, testCount: 3)
    #expect(split.name == "svhn")
    #expect(split.training.labels == [0, 1, 9])
    #expect(split.test.labels == [0, 1, 9])
    #expect(split.training.inputShape == NamedDataset.svhn.inputShape)
    #expect(split.training.classes == NamedDataset.svhn.classes)
    for image in 0..<3 {
      var expected: [Float] = []
      for colour in 0..<3 {
        for row in 0..<32 {
          for column in 0..<32 {
            let byte = (image + 2 * colour + 3 * row + 5 * column) % 256
            expected.append(Float(byte) / 255)
          }
        }
      }
      #expect(split.training.batch([image]).inputs == expected, "image \(image)")
    }
  }

  @Test func otherFilesAreRefusedByName() throws {
    let folder = try TemporaryFolder()
    func message(_ count: Int, _ bytes: [UInt8]? = nil) throws -> String? {
      if let bytes { try folder.write("train_32x32.mat", bytes) }
      let error = #expect(throws: DataError.self) {
        try loadSVHN(directory: folder.path, trainingCount: count, testCount: 3)
      }
      return error?.description.replacingOccurrences(of: folder.path, with: "D")
    }
    #expect(
      try message(3)
        == "A file of the data set svhn is missing; tried: D/train_32x32.mat, D/svhn/train_32x32.mat.")
    #expect(
      try message(4, FormatFixtures.svhn)
        == "D/train_32x32.mat has bytes of shape [32, 32, 3, 3] in the array X, but bytes of shape [32, 32, 3, 4] are "
        + "expected; is it another data set's file?")
    #expect(
      try message(3, FormatFixtures.matPlain)
        == "D/train_32x32.mat has no array X; its arrays are: bytes, doubles, long_name_of_words, halves. "
        + "Is it another data set's file?")
    #expect(
      try message(3, FormatFixtures.svhnBadLabel)
        == "D/train_32x32.mat has 0.0 at record 1 in the array y, but whole numbers from 1 to 10 are expected; "
        + "is it another data set's file?")
    #expect(
      try message(3, FormatFixtures.svhnFewLabels)
        == "D/train_32x32.mat has bytes of shape [2, 1] in the array y, but 3 labels are expected; "
        + "is it another data set's file?")
  }
}
