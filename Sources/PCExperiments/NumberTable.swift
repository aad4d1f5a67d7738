import PCInterchange

/// Rows of numbers in a `.npy` or a `.csv` file: examples that come from elsewhere, and what a net makes of them.
package struct NumberTable: Sendable, Equatable {
  /// Row by row.
  package var values: [Float]
  /// Numbers in a row.
  package var rowSize: Int

  package var rowCount: Int { values.count / max(rowSize, 1) }

  package init(values: [Float], rowSize: Int) {
    self.values = values
    self.rowSize = rowSize
  }

  /// Reads a file by its name's end: in `.npy` the first axis counts the rows; in `.csv` a line is a row, with commas
  /// between its numbers, and a first line without any number is a heading.
  ///
  /// - Throws: a `FileError` or `FormatError` where it cannot be read, a `SettingsError` where it holds no finite numbers or
  ///   rows of different lengths.
  package init(path: String) throws {
    if path.hasSuffix(".csv") {
      try self.init(csv: String(decoding: readFile(path), as: UTF8.self), source: path)
    } else {
      let array = try NamedArray(npyPath: path, name: "array")
      guard let rows = array.shape.first, rows > 0, array.shape.count > 1, array.values.doubles.count > 0 else {
        throw SettingsError(
          "\(path) has the shape \(array.shape); it takes one of [rows, …] with at least one number.")
      }
      self.init(values: array.values.doubles.map(Float.init), rowSize: array.values.doubles.count / rows)
    }
    guard let place = values.firstIndex(where: { !$0.isFinite }) else { return }
    throw SettingsError("\(path) holds \(values[place]) in row \(place / rowSize + 1); numbers must be finite.")
  }

  package init(csv text: String, source: String) throws(SettingsError) {
    values = []
    rowSize = 0
    for (index, line) in text.split(whereSeparator: \.isNewline).enumerated() {
      let cells = line.split(separator: ",", omittingEmptySubsequences: false)
      let numbers = cells.map { Float($0.filter { !$0.isWhitespace }) }
      if index == 0, numbers.allSatisfy({ $0 == nil }) { continue }
      guard let place = numbers.firstIndex(of: nil) else {
        if rowSize == 0 { rowSize = numbers.count }
        guard numbers.count == rowSize else {
          throw SettingsError(
            "Line \(index + 1) of \(source) has \(numbers.count) numbers, those before it \(rowSize); give all as many."
          )
        }
        values += numbers.compactMap { $0 }
        continue
      }
      throw SettingsError("Line \(index + 1) of \(source) holds \"\(cells[place].prefix(30))\", which is no number.")
    }
    guard rowSize > 0 else { throw SettingsError("\(source) holds no numbers.") }
  }

  /// Writes the file whole or not at all, in the format of its name's end.
  package func write(to path: String) throws {
    guard path.hasSuffix(".csv") else {
      let array = NamedArray(name: "array", shape: [rowCount, rowSize], values: .float32(values))
      return try writeFile(array.npyEncoded(), to: path)
    }
    let lines = (0..<rowCount).map { row in
      values[(row * rowSize)..<((row + 1) * rowSize)].map { "\($0)" }.joined(separator: ",") + "\n"
    }
    try writeFile(Array(lines.joined().utf8), to: path)
  }
}
