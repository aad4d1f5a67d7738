import PCInterchange

/// A user's own labelled examples: the files that they are in.
///
/// ```swift
/// let own = try ArrayFiles("flowers.csv", labelColumn: "species").load(seed: 7)
/// let images = try ArrayFiles("images.npy", labels: "labels.npy").load()
/// let digits = try ArrayFiles("mnist.npz").load()             // x_train, y_train, x_test, y_test
/// ```
///
/// | file | examples | labels |
/// |---|---|---|
/// | `.npy` | [examples, …] | a second `.npy` file |
/// | `.npz`, `.safetensors` | `x`, or `x_train` and `x_test` | `y`, or `y_train` and `y_test` |
/// | `.csv` | a line each, numbers between commas; a first line without any number is a heading | one of the columns |
///
/// Labels are whole numbers from 0. Examples have the shape [channels, rows, columns]: of an array [N, C, H, W] as it is,
/// [N, H, W] makes [1, H, W], and [N, features] and tables make [1, 1, features]. Bytes are pixels, of which 255 stands for 1; other numbers
/// are taken as they are.
public struct ArrayFiles: Sendable, Hashable, Codable {
  /// The examples, and but for `.npy` their labels.
  public var path: String
  /// The labels of examples in a `.npy` file.
  public var labels: String?
  /// The table's column that has the labels: its heading, or its number from 1; nil for the last one.
  public var labelColumn: String?
  /// The share of the examples that measures the learning, where the file has no test part of its own.
  public var testShare: Double

  /// Names the files; nothing is read yet. A fifth of the examples is a usual test part.
  public init(_ path: String, labels: String? = nil, labelColumn: String? = nil, testShare: Double = 0.2) {
    self.path = path
    self.labels = labels
    self.labelColumn = labelColumn
    self.testShare = testShare
  }

  /// The examples in two parts: those of the file, or a test part drawn by the seed, both in stored order.
  ///
  /// - Throws: `DataError` or `FormatError`, a sentence about what cannot be read, is damaged or does not fit together.
  public func load(seed: UInt64 = 0) throws -> DataSplit {
    guard testShare > 0, testShare < 1 else {
      throw DataError.unusable(
        path: path, problem: "cannot be cut at a test share of \(testShare); it must lie between 0 and 1")
    }
    let ending = path.split(separator: ".").last.map { $0.lowercased() } ?? ""
    guard labels == nil || ending == "npy" else {
      throw DataError.unusable(path: path, problem: "has its labels itself; a file of labels goes with a .npy file")
    }
    guard labelColumn == nil || ending == "csv" else {
      throw DataError.unusable(path: path, problem: "has no columns to name; a label column goes with a .csv file")
    }
    switch ending {
    case "csv": return try cut(table(), seed)
    case "npy":
      guard let labels else {
        throw DataError.unusable(path: path, problem: "has no labels; name the .npy file that has them")
      }
      let examples = try reading { try NamedArray(npyPath: path, name: "examples") }
      let answers = try reading { try NamedArray(npyPath: labels, name: "labels") }
      return try cut(Part(examples, answers, path, labelsPath: labels), seed)
    case "npz":
      let file = try NPZFile(path: path)
      return try parts(file.names, seed) { try file.array($0) }
    case "safetensors":
      let file = try reading { try Safetensors(path: path) }
      return try parts(file.arrays.map(\.name), seed) { file[$0] }
    default:
      throw DataError.unusable(
        path: path, problem: "is of no known kind; .npy, .npz, .safetensors and .csv are read")
    }
  }

  private func reading<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as FileError {
      throw DataError.unreadable(path: error.path, reason: error.reason)
    }
  }

  /// The parts of a file of named arrays.
  private func parts(_ names: [String], _ seed: UInt64, _ array: (String) throws -> NamedArray?) throws -> DataSplit {
    func part(_ ending: String) throws -> Part {
      func find(_ name: String) throws -> NamedArray {
        guard let found = try array(name) else {
          throw DataError.missingArray(path: path, array: name, found: names)
        }
        return found
      }
      return try Part(find("x" + ending), find("y" + ending), path)
    }
    guard names.contains("x_train") else { return try cut(part(""), seed) }
    let (training, test) = try (part("_train"), part("_test"))
    let classes = max(training.classes, test.classes)
    return try DataSplit(
      training: training.dataset(path, classes: classes), test: test.dataset(path, classes: classes))
  }

  /// A test part drawn from all examples.
  private func cut(_ part: Part, _ seed: UInt64) throws(DataError) -> DataSplit {
    let all = try part.dataset(path, classes: part.classes)
    guard let (rest, heldOut) = all.split(holdingOut: testShare, seed: seed, purpose: "test part") else {
      throw .unusable(path: path, problem: "has one example, where training and test need one each")
    }
    return try DataSplit(training: rest, test: heldOut)
  }
}

/// Examples and labels that have been read, before it is known how many classes there are in all.
private struct Part {
  var values: Values
  var labels: [Int32]
  var shape: [Int]

  enum Values {
    case bytes([UInt8])
    case reals([Float])
  }

  var classes: Int { Int(labels.max() ?? 0) + 1 }

  init(_ values: Values, labels: [Int32], shape: [Int]) {
    self.values = values
    self.labels = labels
    self.shape = shape
  }

  init(
    _ examples: NamedArray, _ answers: NamedArray, _ path: String, labelsPath: String? = nil
  ) throws(DataError) {
    func unexpected(_ array: NamedArray, _ expected: String, in path: String) -> DataError {
      .unexpectedArray(path: path, array: array.name, found: "the shape \(array.shape)", expected: expected)
    }
    let dimensions = Array(examples.shape.dropFirst())
    guard 1...3 ~= dimensions.count, examples.values.count > 0 else {
      throw unexpected(examples, "[N, features], [N, H, W] or [N, C, H, W] with at least one number", in: path)
    }
    shape = Array(repeating: 1, count: 3 - dimensions.count) + dimensions
    values =
      switch examples.values {
      case .uint8(let bytes): .bytes(bytes)
      case .float32(let numbers): .reals(numbers)
      case let others: .reals(others.doubles.map(Float.init))
      }

    let count = examples.shape[0]
    // One label an example, as [N] or as a column [N, 1].
    guard answers.shape == [count] || answers.shape == [count, 1] else {
      throw unexpected(answers, "[\(count)]", in: labelsPath ?? path)
    }
    labels = []
    for (record, number) in answers.values.doubles.enumerated() {
      guard let label = label(number) else {
        throw .unexpectedArray(
          path: labelsPath ?? path, array: answers.name, found: "\(number) at record \(record)",
          expected: "whole numbers from 0 to \(largestLabel)")
      }
      labels.append(label)
    }
  }

  func dataset(_ path: String, classes: Int) throws(DataError) -> Dataset {
    switch values {
    case .bytes(let bytes):
      try Dataset(name: path, bytes: bytes, labels: labels, inputShape: shape, classes: classes)
    case .reals(let reals):
      try Dataset(name: path, inputs: reals, labels: labels, inputShape: shape, classes: classes)
    }
  }
}

/// A larger one is taken for a mistake: a net needs an output for each class.
private let largestLabel: Int32 = 99_999

private func label(_ number: Double) -> Int32? {
  Int32(exactly: number).flatMap { 0...largestLabel ~= $0 ? $0 : nil }
}

// MARK: - Tables

extension ArrayFiles {
  private func table() throws(DataError) -> Part {
    let file = try CSVFile(path: path)
    let labelIndex = try labelIndex(file)
    guard file.width > 1 else { throw file.first.bad(0, "a label and at least one number in each line") }
    var numbers: [Float] = []
    var labels: [Int32] = []
    try file.forEachRow { row throws(DataError) in
      for (column, cell) in row.cells.enumerated() {
        guard column == labelIndex else {
          numbers.append(try row.number(column))
          continue
        }
        guard let label = Double(cell).flatMap(label) else {
          throw row.bad(column, "a label, a whole number from 0 to \(largestLabel),")
        }
        labels.append(label)
      }
    }
    guard !labels.isEmpty else { throw .empty(source: path) }
    return Part(.reals(numbers), labels: labels, shape: [1, 1, file.width - 1])
  }

  private func labelIndex(_ file: CSVFile) throws(DataError) -> Int {
    guard let labelColumn else { return file.width - 1 }
    let headings = file.hasHeading ? file.first.cells.map(String.init) : []
    if let index = headings.firstIndex(of: labelColumn) { return index }
    if let number = Int(labelColumn), 1...file.width ~= number { return number - 1 }
    throw .missingColumn(path: path, column: labelColumn, headings: headings, count: file.width)
  }
}
