import PCDatasets
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

  /// Reads a file by its name's end: in `.npy` the first axis counts the rows, and bytes are pixels, of which 255 stands
  /// for 1; in `.csv` a line is a row (see `CSVFile`).
  ///
  /// - Throws: a `FileError`, `FormatError` or `DataError` where it cannot be read or holds rows of different lengths, a
  ///   `SettingsError` where it holds no finite numbers.
  package init(path: String) throws {
    var values: [Float] = []
    if path.hasSuffix(".csv") {
      let file = try CSVFile(path: path)
      try file.forEachRow { row throws(DataError) in
        for column in row.cells.indices { values.append(try row.number(column)) }
      }
      guard !values.isEmpty else { throw SettingsError("\(path) holds no numbers.") }
      self.init(values: values, rowSize: file.width)
    } else {
      let array = try NamedArray(npyPath: path, name: "array")
      // As a net learns them.
      if case .uint8(let bytes) = array.values {
        values = bytes.map { Float($0) / 255 }
      } else {
        values = array.values.doubles.map(Float.init)
      }
      guard let rows = array.shape.first, rows > 0, array.shape.count > 1, !values.isEmpty else {
        throw SettingsError(
          "\(path) has the shape \(array.shape); it takes one of [rows, …] with at least one number.")
      }
      self.init(values: values, rowSize: values.count / rows)
      guard let place = values.firstIndex(where: { !$0.isFinite }) else { return }
      throw SettingsError("\(path) holds \(values[place]) in row \(place / rowSize + 1); numbers must be finite.")
    }
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
