import PCInterchange

/// A table of numbers in a text file: lines of as many cells each, between commas.
///
/// Lines end in a line feed, with a carriage return before it or not; empty ones are passed over. A first line without any
/// number is a heading. A cell may stand in double quotes; commas and line feeds within them are not for tables of numbers.
package struct CSVFile {
  /// A line of the table.
  package struct Row {
    private let path: String
    /// Its number in the file, from 1.
    fileprivate let line: Int
    /// Without the blanks and the quotes around them.
    package let cells: [Substring]

    /// nil where the line is empty.
    fileprivate init?(_ path: String, _ line: Int, _ text: Substring.UTF8View) {
      self.path = path
      self.line = line
      cells = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        .map { trimmed(Substring($0)) }
      guard cells.count > 1 || !cells[0].isEmpty else { return nil }
    }

    /// The number in a cell.
    ///
    /// - Throws: `DataError.badCell` where there is none that is finite.
    package func number(_ column: Int) throws(DataError) -> Float {
      guard let number = Float(cells[column]), number.isFinite else { throw bad(column, "a finite number") }
      return number
    }

    /// The error that a cell holds something else than what is expected.
    package func bad(_ column: Int, _ expected: String) -> DataError {
      .badCell(
        path: path, line: line, column: column + 1, text: String(cells[column].prefix(30)), expected: expected)
    }
  }

  private let path: String
  private let lines: [Substring.UTF8View]
  /// The first line that is not empty.
  package let first: Row
  /// Whether it is a heading.
  package let hasHeading: Bool

  /// Cells in each line.
  package var width: Int { first.cells.count }

  /// Reads the file.
  ///
  /// - Throws: a `DataError` where it cannot be read, is no UTF-8 or holds nothing.
  package init(path: String) throws(DataError) {
    var bytes = try readData(path)[...]
    // The mark of UTF-8 that spreadsheets write.
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8(path: path) }
    let lines = text[...].utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    guard let first = lines.indices.lazy.compactMap({ Row(path, $0 + 1, lines[$0]) }).first else {
      throw .empty(source: path)
    }
    self.path = path
    self.lines = lines
    self.first = first
    hasHeading = first.cells.allSatisfy { Double($0) == nil }
  }

  /// Calls `body` with each row of numbers, in order.
  ///
  /// - Throws: a `DataError` about the first row of another length, or what `body` throws.
  package func forEachRow(_ body: (Row) throws(DataError) -> Void) throws(DataError) {
    for index in (first.line - (hasHeading ? 0 : 1))..<lines.count {
      guard let row = Row(path, index + 1, lines[index]) else { continue }
      guard row.cells.count == width else {
        throw .unusable(
          path: path,
          problem: "has \(row.cells.count) cells in line \(row.line), but \(width) in the first; give all as many")
      }
      try body(row)
    }
  }
}

/// The cell without the blanks and the quotes around it.
private func trimmed(_ cell: Substring) -> Substring {
  func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }
  var cell = cell.drop(while: isBlank)
  while let last = cell.last, isBlank(last) { cell.removeLast() }
  if cell.count >= 2, cell.first == "\"", cell.last == "\"" { cell = cell.dropFirst().dropLast() }
  return cell
}
