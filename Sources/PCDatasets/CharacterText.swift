import PCInterchange
import PCRandomness

/// A text as a sequence of characters, each known by its index in the text's vocabulary: what a recurrent network learns
/// to continue.
///
/// ```swift
/// let text = try CharacterText.shakespeare(directory: "data")      // 1,115,394 characters, 65 different ones
/// for batch in try text.training.streams(count: 64, window: 50) {  // 313 batches
///   batch.inputs                                                   // [64, 50], and batch.targets the next characters
/// }
/// text.decode(text.heldOut.codes.prefix(20))
/// ```
///
/// A character is a Unicode scalar, so "\r\n" are two and an accent may be one of its own.
public struct CharacterText: Sendable {
  /// What errors and records of runs call it.
  public let name: String
  /// The different characters of the whole text, sorted by scalar value.
  public let vocabulary: [Unicode.Scalar]
  /// The text: for each character its index in the vocabulary.
  public let codes: [Int32]

  private let indices: [Unicode.Scalar: Int32]

  /// A text from memory.
  ///
  /// - Throws: `DataError.shortText` for fewer than 20 characters, of which the held-out tenth has nothing to predict.
  public init(name: String, text: String) throws(DataError) {
    let scalars = text.unicodeScalars
    let vocabulary = Set(scalars).sorted()
    let indices = Dictionary(uniqueKeysWithValues: zip(vocabulary, Int32(0)...))
    self.name = name
    self.vocabulary = vocabulary
    self.indices = indices
    codes = scalars.compactMap { indices[$0] }
    guard codes.count >= 20 else { throw .shortText(source: name, count: codes.count, needed: 20) }
  }

  /// A file of your own, in UTF-8.
  ///
  /// - Throws: `DataError` if it cannot be read, is not UTF-8 or too short.
  public init(path: String) throws(DataError) {
    try self.init(name: path, utf8: readData(path), path: path)
  }

  private init(name: String, utf8: [UInt8], path: String) throws(DataError) {
    guard let text = String(validating: utf8, as: UTF8.self) else { throw .notUTF8(path: path) }
    try self.init(name: name, text: text)
  }

  /// A. Karpathy's file of Shakespeare's plays, "tiny Shakespeare": 1,115,394 characters, 65 different ones
  /// (https://github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt).
  ///
  /// - Parameter directory: the folder D that holds tinyshakespeare/input.txt or input.txt, or that file itself.
  /// - Throws: `DataError` if the file is missing, unreadable, or not, byte by byte, the published one.
  public static func shakespeare(directory: String?) throws(DataError) -> CharacterText {
    let name = "tinyshakespeare"
    guard let directory else { throw .missingDirectory(dataset: name) }
    let candidates = ["\(directory)/tinyshakespeare/input.txt", "\(directory)/input.txt"]
    let path = isRegularFile(directory) ? directory : candidates.first(where: fileExists)
    guard let path else { throw .missingFile(dataset: name, tried: candidates) }
    let bytes = try readData(path, size: 1_115_394)
    let digest = SHA256.digest(of: bytes)
    let published = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    guard digest == published else { throw .wrongDigest(path: path, expected: published, found: digest) }
    return try CharacterText(name: name, utf8: bytes, path: path)
  }
}

// MARK: - Characters

extension CharacterText {
  /// The indices of the characters of `text`, to be continued by a network that has learned this one.
  ///
  /// - Throws: `DataError.unknownCharacter` about one that is not in the vocabulary.
  public func encode(_ text: String) throws(DataError) -> [Int32] {
    var result: [Int32] = []
    for scalar in text.unicodeScalars {
      guard let index = indices[scalar] else { throw .unknownCharacter(source: name, character: scalar) }
      result.append(index)
    }
    return result
  }

  /// The text of these indices, each in 0 ..< `vocabulary.count`.
  public func decode(_ codes: some Sequence<Int32>) -> String {
    var result = String.UnicodeScalarView()
    for code in codes {
      guard vocabulary.indices.contains(Int(code)) else {
        fatalError("CharacterText.decode: there is no character \(code) among the \(vocabulary.count) of \(name).")
      }
      result.append(vocabulary[Int(code)])
    }
    return String(result)
  }
}

// MARK: - Parts

extension CharacterText {
  /// A stretch of the text.
  public struct Part: Sendable {
    /// The text's name.
    public let name: String
    /// The stretch, as indices in the text's vocabulary.
    public let codes: ArraySlice<Int32>
  }

  /// The first nine tenths, rounded down to whole characters.
  public var training: Part {
    Part(name: name, codes: codes.prefix(codes.count * 9 / 10))
  }

  /// The rest, the last tenth, which measures the learning and is never learned from.
  public var heldOut: Part { Part(name: name, codes: codes.dropFirst(training.codes.count)) }
}

extension CharacterText.Part {
  /// The part cut into `count` streams of equal length that are read side by side, `window` characters at a time: row r of
  /// batch k + 1 goes on where row r of batch k ended, so that a network's state can be carried from batch to batch.
  ///
  /// With n characters there are ⌊(n − 1) / (count · window)⌋ batches, all full; the streams follow one another without a
  /// gap. No character is read twice or predicted twice; those at the part's end that do not fill another batch, fewer
  /// than count · window, are left out (`leftOut`). The defaults are the paper's batch and sequence length.
  ///
  /// - Throws: `DataError.shortText` if there is not one batch.
  public func streams(count: Int = 64, window: Int = 50) throws(DataError) -> TextBatches {
    guard count > 0, window > 0 else {
      fatalError("CharacterText.streams needs a positive count and window, not \(count) and \(window).")
    }
    let batchCount = (codes.count - 1) / window / count
    guard batchCount > 0 else { throw .shortText(source: name, count: codes.count, needed: product(count, window)) }
    let starts = (0..<batchCount).flatMap { batch in (0..<count).map { ($0 * batchCount + batch) * window } }
    return TextBatches(codes, starts: starts, rows: count, window: window)
  }

  /// The part cut into windows one after the other, each an example of its own, as in the paper: `batchSize` of them in a
  /// batch, in the order given, the last batch being smaller if need be.
  ///
  /// With n characters there are ⌊(n − 1) / window⌋ windows. No character is read twice or predicted twice; fewer than
  /// `window` at the part's end are left out (`leftOut`).
  ///
  /// - Throws: `DataError.shortText` if there is no window, `DataError.batchSize` if the batch size is below 1 or above
  ///   the number of windows.
  public func windows(
    _ window: Int = 50, batchSize: Int = 64, order: BatchSequence.Order = .stored
  ) throws(DataError) -> TextBatches {
    guard window > 0 else { fatalError("CharacterText.windows needs a positive length, not \(window).") }
    let count = (codes.count - 1) / window
    guard count > 0 else { throw .shortText(source: name, count: codes.count, needed: product(1, window)) }
    guard 1...count ~= batchSize else { throw .batchSize(dataset: name, size: batchSize, count: count) }
    let starts = order.indices(count).map { $0 * window }
    return TextBatches(codes, starts: starts, rows: batchSize, window: window)
  }

  /// The characters that so many windows need: one more than they predict.
  private func product(_ count: Int, _ window: Int) -> Int {
    let (product, overflow) = count.multipliedReportingOverflow(by: window)
    return overflow || product == .max ? .max : product + 1
  }
}

// MARK: - Batches

/// Windows of a text, side by side.
public struct TextBatch: Sendable, Equatable {
  /// [rowCount, window] indices, row by row: what is read.
  public var inputs: [Int32]
  /// [rowCount, window] indices, row by row: after each character read, the one that follows it.
  public var targets: [Int32]
  /// How many windows there are.
  public var rowCount: Int
  /// How many characters a window has.
  public var window: Int
}

/// One pass over a part of a text in batches, each made when it is asked for.
public struct TextBatches: Sendable, RandomAccessCollection {
  /// Windows in every batch but perhaps the last.
  public let rowCount: Int
  /// Characters in a window.
  public let window: Int
  /// How many characters at the part's end are in no batch, neither read nor predicted.
  public let leftOut: Int

  private let codes: ArraySlice<Int32>
  /// Where each window begins in `codes`, counted from its beginning; batch after batch.
  private let starts: [Int]

  fileprivate init(_ codes: ArraySlice<Int32>, starts: [Int], rows: Int, window: Int) {
    self.codes = codes
    self.starts = starts
    self.window = window
    rowCount = rows
    leftOut = codes.count - 1 - starts.count * window
  }

  public var startIndex: Int { 0 }
  /// The number of batches.
  public var endIndex: Int { (starts.count + rowCount - 1) / rowCount }

  public subscript(position: Int) -> TextBatch {
    guard 0..<endIndex ~= position else {
      fatalError("TextBatches: there is no batch \(position) among \(endIndex).")
    }
    let rows = starts[position * rowCount..<Swift.min((position + 1) * rowCount, starts.count)]
    func gathered(shift: Int) -> [Int32] {
      rows.flatMap { codes[(codes.startIndex + shift + $0)...].prefix(window) }
    }
    return TextBatch(inputs: gathered(shift: 0), targets: gathered(shift: 1), rowCount: rows.count, window: window)
  }
}
