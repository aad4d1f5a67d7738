/// Rows of results under a header, printed in the terminal or in a page.
///
/// ```swift
/// print(ResultTable(["rule", "accuracy"], rows: [["backprop", "97.25"], ["fixed predictions", "7.9"]]))
/// // rule               accuracy
/// // ─────────────────  ────────
/// // backprop              97.25
/// // fixed predictions      7.9
/// ```
public struct ResultTable: Sendable, CustomStringConvertible {
  /// Where the cells of a column stand.
  public enum Alignment: Sendable {
    /// At that edge of the column.
    case left, right
    /// Decimal points under each other.
    case decimal
    /// Decimal if every cell begins like a number or is empty or a dash; else left.
    case automatic
  }

  /// A column's header and how its cells stand; a string literal makes one that decides for itself.
  public struct Column: Sendable, ExpressibleByStringLiteral {
    /// The header.
    public var title: String
    /// By default automatic.
    public var alignment: Alignment

    /// A column under this header.
    public init(_ title: String, _ alignment: Alignment = .automatic) {
      self.title = title
      self.alignment = alignment
    }

    public init(stringLiteral title: String) { self.init(title) }
  }

  /// From left to right.
  public var columns: [Column]
  /// Missing cells at the end of a row are empty.
  public var rows: [[String]]

  /// Stops the program if a row has more cells than there are columns.
  public init(_ columns: [Column], rows: [[String]]) {
    if let row = rows.firstIndex(where: { $0.count > columns.count }) {
      fatalError("Row \(row) of a table has \(rows[row].count) cells, but there are \(columns.count) columns.")
    }
    self.columns = columns
    self.rows = rows
  }

  /// Columns two spaces apart, a rule under the header, no spaces at the ends of lines.
  public var description: String {
    let cells = rows.map { row in columns.indices.map { $0 < row.count ? Self.singleLine(row[$0]) : "" } }
    let texts = columns.indices.map { column in
      let parts = cells.map { self.parts(of: $0[column], in: column) }
      let longest = parts.map { TextMetrics.columns($0.tail) }.max() ?? 0
      return parts.map { $0.head + $0.tail + String(repeating: " ", count: longest - TextMetrics.columns($0.tail)) }
    }
    let titles = columns.map { Self.singleLine($0.title) }
    let widths = columns.indices.map { column in
      ([titles[column]] + texts[column]).map(TextMetrics.columns).max() ?? 0
    }
    func line(_ parts: [String]) -> String {
      var line = Substring(parts.joined(separator: "  "))
      while line.last == " " { line.removeLast() }
      return String(line)
    }
    func padded(_ text: String, _ column: Int) -> String {
      let padding = String(repeating: " ", count: widths[column] - TextMetrics.columns(text))
      return isNumeric(column) ? padding + text : text + padding
    }
    let header = line(columns.indices.map { padded(titles[$0], $0) })
    let rule = line(widths.map { String(repeating: "─", count: $0) })
    let body = rows.indices.map { row in line(columns.indices.map { padded(texts[$0][row], $0) }) }
    return ([header, rule] + body).joined(separator: "\n")
  }
}

// MARK: Alignment

extension ResultTable {
  /// Whether the column is flush right.
  func isNumeric(_ column: Int) -> Bool { resolvedAlignment(column) != .left }

  private func resolvedAlignment(_ column: Int) -> Alignment {
    guard columns[column].alignment == .automatic else { return columns[column].alignment }
    let cells = rows.map { column < $0.count ? $0[column] : "" }.filter { !Self.isBlank($0) }
    let looksNumeric = cells.allSatisfy { Self.wholeLength($0) > 0 && $0.contains(where: \.isNumber) }
    return !cells.isEmpty && looksNumeric ? .decimal : .left
  }

  /// A cell up to its decimal point, and the rest, which starts at the same place in every row: empty unless the column
  /// is aligned by decimal points.
  func parts(of cell: String, in column: Int) -> (head: String, tail: String) {
    guard resolvedAlignment(column) == .decimal, !Self.isBlank(cell) else { return (cell, "") }
    let length = Self.wholeLength(cell)
    return (String(cell.prefix(length)), String(cell.dropFirst(length)))
  }

  private static func isBlank(_ cell: String) -> Bool { ["", "-", "–", "—"].contains(cell) }

  /// The number of characters in front of the decimal point, or where it would be: sign, digits, thousands separators.
  private static func wholeLength(_ cell: String) -> Int {
    let characters = Array(cell)
    var length = 0
    if let first = characters.first, "+-−±<>≤≥≈".contains(first) { length = 1 }
    while length < characters.count && characters[length] == " " { length += 1 }
    let start = length
    while length < characters.count {
      let isSeparator = ",\u{2009} ".contains(characters[length]) && length > start
      let digitFollows = length + 1 < characters.count && characters[length + 1].isNumber
      guard characters[length].isNumber || isSeparator && digitFollows else { break }
      length += 1
    }
    return length == start ? 0 : length
  }

  static func singleLine(_ text: String) -> String {
    String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
  }
}
