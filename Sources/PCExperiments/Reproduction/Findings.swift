/// What an experiment found, from which the page, the JSON and the CSV files are made alike.
package struct Findings: Sendable {
  /// What came out, in a few sentences.
  package var outcome: String
  /// What the page shows under it, in reading order.
  package var parts: [Part]
  /// What `NAME.json` holds.
  package var numbers: [(key: String, value: JSON)]

  package enum Part: Sendable {
    case block(HTMLReport.Block)
    case figure(Figure)
    /// Folded away until the reader opens it.
    case details(summary: String, [Figure])
  }

  package var figures: [Figure] {
    parts.flatMap { part -> [Figure] in
      switch part {
      case .block: []
      case .figure(let figure): [figure]
      case .details(_, let figures): figures
      }
    }
  }
}

/// Numbers with what shows them: a picture, a table or both.
package struct Figure: Sendable {
  /// The name of its files.
  package var name: String
  /// What it shows, for its place on the page.
  package var caption: String
  /// What the CSV and JSON files hold.
  package var data: DataTable
  package var picture: SVG?
  /// The numbers as a reader wants them; nil where the picture says enough.
  package var table: ResultTable?

  package init(_ name: String, _ data: DataTable, picture: SVG? = nil, table: ResultTable? = nil, caption: String) {
    self.name = name
    self.data = data
    self.picture = picture
    self.table = table
    self.caption = caption
  }

  var blocks: [HTMLReport.Block] {
    [picture.map { .figure($0, caption: caption) }, table.map { .table($0, caption: caption) }].compactMap { $0 }
  }
}

/// Rows of numbers and words under named columns, at full precision.
package struct DataTable: Sendable {
  package var columns: [String]
  package var rows: [[JSON]]

  /// Stops where a row has another number of cells than there are columns.
  package init(_ columns: [String], rows: [[JSON]]) {
    if let row = rows.firstIndex(where: { $0.count != columns.count }) {
      fatalError("DataTable: row \(row) has \(rows[row].count) cells, but there are \(columns.count) columns.")
    }
    self.columns = columns
    self.rows = rows
  }

  /// RFC 4180, with a header; what is missing is empty.
  package var csv: String {
    ([columns] + rows.map { $0.map(\.cell) }).map { $0.map(Self.quoted).joined(separator: ",") + "\r\n" }.joined()
  }

  /// An object for each row.
  package var jsonLines: [JSON] {
    rows.map { row in .object(zip(columns, row).map { (key: $0, value: $1) }) }
  }

  /// The same as one array.
  package var json: JSON { .array(jsonLines) }

  /// A cell of a CSV file, in quotes where it needs them.
  static func quoted(_ cell: String) -> String {
    guard cell.contains(where: { ",\"\r\n".contains($0) || $0.isNewline }) else { return cell }
    return "\"" + cell.replacing("\"", with: "\"\"") + "\""
  }
}

extension JSON {
  fileprivate var cell: String {
    switch self {
    case .null: ""
    case .string(let text): text
    default: description
    }
  }
}
