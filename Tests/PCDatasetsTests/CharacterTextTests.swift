import Foundation
import PCDatasets
import Testing

@Suite struct CharacterTextTests {
  /// "abcdefghij" ten times: character i is i mod 10.
  private func alphabet(_ count: Int) throws -> CharacterText {
    try CharacterText(name: "letters", text: String((0..<count).map { Array("abcdefghij")[$0 % 10] }))
  }

  @Test func vocabularyIsSortedByScalar() throws {
    let text = try CharacterText(name: "t", text: "zéa\r\n𝕏Za zéa\r\n𝕏Za 🙂!")
    #expect(text.vocabulary == ["\n", "\r", " ", "!", "Z", "a", "z", "é", "𝕏", "🙂"])
    #expect(text.codes == [6, 7, 5, 1, 0, 8, 4, 5, 2, 6, 7, 5, 1, 0, 8, 4, 5, 2, 9, 3])
    #expect(text.decode(text.codes) == "zéa\r\n𝕏Za zéa\r\n𝕏Za 🙂!")
    #expect(try text.encode("Zé\n") == [4, 7, 0])
    let error = #expect(throws: DataError.self) { try text.encode("az\tb") }
    #expect(error?.description == "The character \"\\t\" does not occur in t; leave it out.")
  }

  @Test(arguments: [20, 21, 29, 30, 99, 1000])
  func lastTenthIsHeldOut(count: Int) throws {
    let text = try alphabet(count)
    #expect(text.training.codes.count == count * 9 / 10)
    #expect(Array(text.training.codes) + Array(text.heldOut.codes) == text.codes)
  }

  /// Oracle: the streams written out by hand. 43 characters: (43 − 1) / 6 / 3 = 2 batches of 3 rows.
  @Test func streamsGoOnFromBatchToBatch() throws {
    let part = try CharacterText(name: "t", text: String((0..<47).map { Character(Unicode.Scalar(65 + $0)) }))
      .training
    #expect(part.codes.count == 42)
    let batches = try part.streams(count: 3, window: 6)
    #expect(batches.count == 2)
    #expect(batches.leftOut == 42 - 1 - 36)
    #expect(batches[0].inputs == [0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17, 24, 25, 26, 27, 28, 29])
    #expect(batches[1].inputs == [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35])
    for batch in batches {
      #expect(batch.targets == batch.inputs.map { $0 + 1 })
      #expect(batch.rowCount == 3)
      #expect(batch.window == 6)
    }
  }

  /// Every character before those left out is read once and, but for the first, predicted once.
  @Test(arguments: [(64, 50), (1, 1), (3, 7), (1, 99), (10, 1)])
  func nothingIsReadTwice(count: Int, window: Int) throws {
    let part = try CharacterText(
      name: "t",
      text: String(
        String.UnicodeScalarView(
          (0..<7001).compactMap { Unicode.Scalar(UInt32(0x4E00 + $0)) }))
    ).training
    for batches in [
      try part.streams(count: count, window: window),
      try part.windows(window, batchSize: count, order: .shuffled(seed: 5, epoch: 1)),
    ] {
      let read = part.codes.count - 1 - batches.leftOut
      #expect(batches.flatMap(\.inputs).sorted() == (0..<Int32(read)).map { $0 })
      #expect(batches.flatMap(\.targets).sorted() == (1...Int32(read)).map { $0 })
      #expect(batches.flatMap(\.targets) == batches.flatMap(\.inputs).map { $0 + 1 })
    }
    #expect(try part.streams(count: count, window: window).leftOut < count * window)
    #expect(try part.windows(window, batchSize: count).leftOut < window)
  }

  @Test func windowsAreExamplesOfTheirOwn() throws {
    let part = try alphabet(50).training
    let batches = try part.windows(6, batchSize: 4)
    #expect(batches.map(\.rowCount) == [4, 3])
    #expect(batches.flatMap(\.inputs) == (0..<42).map { Int32($0 % 10) })
    #expect(batches.leftOut == 2)
    #expect(Array(try part.windows(6, batchSize: 4)) == Array(batches))
    let shuffled = try part.windows(6, batchSize: 4, order: .shuffled(seed: 1, epoch: 0))
    #expect(shuffled.flatMap(\.inputs) != batches.flatMap(\.inputs), "seed 1")
  }

  @Test func shortTextsAreRefused() throws {
    func message(_ body: () throws -> Void) -> String? {
      #expect(throws: DataError.self, performing: body)?.description
    }
    let advice = "are needed; take a longer text or smaller batches."
    #expect(message { _ = try alphabet(19) } == "letters has 19 characters where at least 20 \(advice)")
    let part = try alphabet(100).training
    #expect(try part.streams(count: 1, window: 89).count == 1)
    #expect(
      message { _ = try part.streams(count: 1, window: 90) }
        == "letters has 90 characters where at least 91 \(advice)")
    #expect(
      message { _ = try part.streams(count: 10, window: 9) }
        == "letters has 90 characters where at least 91 \(advice)")
    #expect(
      message { _ = try part.streams(count: .max, window: .max) }
        == "letters has 90 characters where at least \(Int.max) \(advice)")
    #expect(
      message { _ = try part.windows(90, batchSize: 1) } == "letters has 90 characters where at least 91 \(advice)")
    #expect(
      message { _ = try part.windows(10, batchSize: 9) }
        == "A batch of 9 cannot be drawn from the 8 examples of letters; choose 1 to 8.")
  }

  @Test func filesAreCheckedBeforeTheyAreBelieved() throws {
    let folder = try TemporaryFolder()
    func message(_ body: () throws -> Void) -> String? {
      #expect(throws: DataError.self, performing: body)?.description.replacingOccurrences(of: folder.path, with: "D")
    }
    #expect(
      message { _ = try CharacterText.shakespeare(directory: nil) }
        == "The data set tinyshakespeare is read from files: say with --data-dir which folder they are in.")
    #expect(
      message { _ = try CharacterText.shakespeare(directory: folder.path) }
        == "A file of the data set tinyshakespeare is missing; tried: D/tinyshakespeare/input.txt, D/input.txt.")
    try folder.write("input.txt", Array("To be".utf8))
    #expect(
      message { _ = try CharacterText.shakespeare(directory: folder.path) }
        == "D/input.txt is truncated: 1115394 bytes expected, 5 found; download it again.")
    try folder.write("input.txt", [UInt8](repeating: 65, count: 1_115_394))
    // Python: hashlib.sha256(b"A" * 1115394)
    #expect(
      message { _ = try CharacterText.shakespeare(directory: folder.path) }
        == "D/input.txt is not the published file: its SHA-256 digest is "
        + "360c700739604017dcf7d082c57ad64e6f4744f3b95b28c252898c748a6afb5d, not "
        + "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed; download it again.")
    let own = try folder.write("own.txt", Array("Être ou ne pas être, telle est la question.".utf8))
    let text = try CharacterText(path: own)
    #expect(text.decode(text.codes) == "Être ou ne pas être, telle est la question.")
    try folder.write("own.txt", Array("Être ou ne pas être".utf8) + [0xC3])
    #expect(message { _ = try CharacterText(path: own) } == "D/own.txt is not a text in UTF-8; convert it.")
    try folder.write("own.txt", [])
    #expect(
      message { _ = try CharacterText(path: own) }
        == "D/own.txt has 0 characters where at least 20 are needed; take a longer text or smaller batches.")
    #expect(message { _ = try CharacterText(path: folder.path) } == "D cannot be read: it is a folder.")
  }
}

/// Oracles: Python over the published file (`len`, `sorted(set(…))`, slices).
@Suite(.enabled(if: publishedData != nil, "set PC_DATA_DIR to the folder that holds tinyshakespeare"))
struct ShakespeareTests {
  @Test func shakespeareIsThePublishedFile() throws {
    let folder = try #require(publishedData)
    let text = try CharacterText.shakespeare(directory: folder)
    #expect(text.codes.count == 1_115_394)
    let letters = "abcdefghijklmnopqrstuvwxyz"
    let expected = "\n !$&',-.3:;?" + letters.uppercased() + letters
    #expect(text.vocabulary == Array(expected.unicodeScalars))
    #expect(text.training.codes.count == 1_003_854)
    #expect(text.heldOut.codes.count == 111_540)
    #expect(text.decode(text.codes.prefix(25)) == "First Citizen:\nBefore we ")
    #expect(text.decode(text.heldOut.codes.prefix(20)) == "?\n\nGREMIO:\nGood morr")
    let streams = try text.training.streams()
    #expect(streams.count == 313)
    #expect(streams.leftOut == 1_003_853 - 313 * 3200)
    let file = try CharacterText.shakespeare(directory: "\(folder)/tinyshakespeare/input.txt")
    #expect(file.codes == text.codes)
  }
}
