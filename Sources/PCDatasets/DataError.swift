import PCInterchange

/// What can be wrong with data from outside. The description is one sentence for the user.
public enum DataError: Error, Equatable {
  /// No data set has this name.
  case unknownDataset(name: String, known: [String])
  /// The data set is read from files, and no folder was given.
  case missingDirectory(dataset: String)
  /// None of the paths exists.
  case missingFile(dataset: String, tried: [String])
  /// The system refused, for this reason.
  case unreadable(path: String, reason: String)
  /// The file is shorter than its format says. Sizes in bytes.
  case truncated(path: String, expected: Int, found: Int)
  /// The file is longer than its format says; of a packed file only `found` bytes were unpacked.
  case oversized(path: String, expected: Int, found: Int)
  /// The first four bytes are not those of the format.
  case badMagic(path: String, expected: UInt32, found: UInt32)
  /// The gzip file unpacks to less than its format says. Sizes in bytes, unpacked.
  case truncatedGzip(path: String, expected: Int, found: Int)
  /// What the packed file declares to hold does not fit into memory.
  case tooLarge(path: String, size: Int)
  /// The gzip stream is damaged.
  case corruptGzip(path: String, reason: String)
  /// A label is not in 0 ..< `classes`. `source` is a file or, for arrays from memory, the data set's name.
  case labelOutOfRange(source: String, record: Int, value: Int, classes: Int)
  /// An input is infinite or not a number.
  case nonFinite(source: String, example: Int, element: Int, value: String)
  /// As many images as labels are needed.
  case countsDiffer(images: String, imageCount: Int, labels: String, labelCount: Int)
  /// The inputs are not `expected` numbers, the number of labels times the size of an example.
  case inputCount(source: String, expected: Int, found: Int)
  /// The examples' shape has a dimension below 1, or no classes were declared.
  case badShape(source: String, shape: [Int], classes: Int)
  /// There is no example.
  case empty(source: String)
  /// The examples of training and test differ in shape or number of classes.
  case splitDiffers(dataset: String, training: String, test: String)
  /// The batch size is below 1 or above the number of examples.
  case batchSize(dataset: String, size: Int, count: Int)
  /// The file is not, byte by byte, the published one. SHA-256 digests.
  case wrongDigest(path: String, expected: String, found: String)
  /// The text is not in UTF-8.
  case notUTF8(path: String)
  /// The text is too short to be cut as asked; counts are in characters.
  case shortText(source: String, count: Int, needed: Int)
  /// A character does not occur in the text whose vocabulary is used.
  case unknownCharacter(source: String, character: Unicode.Scalar)
  /// The MATLAB file is damaged, or of another version of the format.
  case damagedMAT(path: String, problem: String)
  /// The file has no array of this name among its arrays of numbers.
  case missingArray(path: String, array: String, found: [String])
  /// An array of the file is not what the data set has there.
  case unexpectedArray(path: String, array: String, found: String, expected: String)
  /// The archive of arrays is damaged.
  case damagedArchive(path: String, problem: String)
  /// A cell of a table is not what its column has; lines and columns count from 1.
  case badCell(path: String, line: Int, column: Int, text: String, expected: String)
  /// The table has no such column.
  case missingColumn(path: String, column: String, headings: [String], count: Int)
  /// A file cannot be used as asked; the problem completes the sentence.
  case unusable(path: String, problem: String)
}

extension DataError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownDataset(let name, let known):
      let hint = nearestMatch(to: name, in: known).map { "; did you mean \($0)? The" } ?? ". The"
      return "There is no data set named \"\(name)\"\(hint) names are \(known.joined(separator: ", "))."
    case .missingDirectory(let dataset):
      return "The data set \(dataset) is read from files: say with --data-dir which folder they are in."
    case .missingFile(let dataset, let tried):
      return "A file of the data set \(dataset) is missing; tried: \(tried.joined(separator: ", "))."
    case .unreadable(let path, let reason):
      return "\(path) cannot be read: \(reason)."
    case .truncated(let path, let expected, let found):
      return "\(path) is truncated: \(expected) bytes expected, \(found) found; download it again."
    case .oversized(let path, let expected, let found):
      return "\(path) is too long: \(expected) bytes expected, \(found) found; is it another data set's file?"
    case .badMagic(let path, let expected, let found):
      return "\(path) is not a file of the expected format: it begins with \(hex(found)) instead of \(hex(expected))."
    case .truncatedGzip(let path, let expected, let found):
      return
        "\(path) is truncated: it unpacks to \(found) bytes, but \(expected) are expected; download it again."
    case .tooLarge(let path, let size):
      return "\(path) declares \(size) bytes, which do not fit into memory; is it another data set's file?"
    case .corruptGzip(let path, let reason):
      return "\(path) is a damaged gzip file (\(reason)); download it again."
    case .labelOutOfRange(let source, let record, let value, let classes):
      return "\(source) has the label \(value) at record \(record), but labels go from 0 to \(classes - 1)."
    case .nonFinite(let source, let example, let element, let value):
      return "\(source) has the value \(value) at element \(element) of example \(example); inputs must be finite."
    case .countsDiffer(let images, let imageCount, let labels, let labelCount):
      return "\(images) has \(imageCount) images, but \(labels) has \(labelCount) labels; they must be a pair."
    case .inputCount(let source, let expected, let found):
      return "\(source) has \(found) input numbers, but its labels and shape make \(expected)."
    case .badShape(let source, let shape, let classes):
      return "\(source) has examples of shape \(shape) and \(classes) classes; all of these must be at least 1."
    case .empty(let source):
      return "\(source) has no examples."
    case .splitDiffers(let dataset, let training, let test):
      return "The data set \(dataset) has training examples of \(training), but test examples of \(test)."
    case .batchSize(let dataset, let size, let count):
      return "A batch of \(size) cannot be drawn from the \(count) examples of \(dataset); choose 1 to \(count)."
    case .wrongDigest(let path, let expected, let found):
      return "\(path) is not the published file: its SHA-256 digest is \(found), not \(expected); download it again."
    case .notUTF8(let path):
      return "\(path) is not a text in UTF-8; convert it."
    case .shortText(let source, let count, let needed):
      return
        "\(source) has \(count) characters where at least \(needed) are needed; take a longer text or smaller batches."
    case .unknownCharacter(let source, let character):
      return "The character \(String(character).debugDescription) does not occur in \(source); leave it out."
    case .damagedMAT(let path, let problem):
      return "\(path) is a damaged MATLAB file: \(problem); download it again."
    case .damagedArchive(let path, let problem):
      return "\(path) is a damaged or unknown archive: \(problem); write or download it again."
    case .badCell(let path, let line, let column, let text, let expected):
      return "Line \(line), column \(column) of \(path) holds \"\(text)\" where \(expected) is expected."
    case .missingColumn(let path, let column, let headings, let count):
      let hint = nearestMatch(to: column, in: headings).map { "; did you mean \($0)?" } ?? "."
      let known = headings.isEmpty ? "it has no heading" : "its headings are \(headings.joined(separator: ", "))"
      return "\(path) has no column \(column) among its \(count); \(known)\(hint)"
    case .unusable(let path, let problem):
      return "\(path) \(problem)."
    case .missingArray(let path, let array, let found):
      let names = found.isEmpty ? "none" : found.joined(separator: ", ")
      return "\(path) has no array \(array); its arrays are: \(names). Is it another data set's file?"
    case .unexpectedArray(let path, let array, let found, let expected):
      return
        "\(path) has \(found) in the array \(array), but \(expected) are expected; is it another data set's file?"
    }
  }

  private func hex(_ word: UInt32) -> String {
    let digits = String(word, radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}
