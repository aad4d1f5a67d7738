/// Counts in a square of cells, shaded by their share of the row.
///
/// ```swift
/// let file = matrix.picture(title: "Names are taken for related languages.").svg.document
/// ```
///
/// One colour that only gets darker, so that print and any kind of colour vision keep the order; the shade follows the
/// square root of the share, which shows rare confusions too. Cells hold their counts if all of these fit, else the shares
/// in per cent if those fit, else nothing; the diagonal is outlined. Cost: linear in the number of cells.
public struct HeatMap: Sendable {
  /// What the picture shows, in one sentence.
  public var title: String
  /// Of what the rows are.
  public var rowTitle: String
  /// Of what the columns are.
  public var columnTitle: String
  /// The names of the rows, and of the columns.
  public var labels: [String]
  /// Row by row; none is negative.
  public var counts: [[Int]]

  /// Stops the program unless there are as many rows and columns as labels, and at least one.
  public init(title: String, rowTitle: String, columnTitle: String, labels: [String], counts: [[Int]]) {
    guard !labels.isEmpty, counts.count == labels.count, counts.allSatisfy({ $0.count == labels.count }) else {
      fatalError("A HeatMap needs as many rows and columns of counts as labels, and at least one.")
    }
    self.title = title
    self.rowTitle = rowTitle
    self.columnTitle = columnTitle
    self.labels = labels
    self.counts = counts
  }

  /// The drawing.
  public var svg: SVG { Layout(self).svg }
}

extension HeatMap {
  private enum Numbers { case counts, shares, none }

  private struct Layout {
    let map: HeatMap
    let cell: Double
    let textSize: Double
    let numberSize: Double
    let numbers: Numbers
    let labels: [String]
    let left: Double
    let top: Double
    /// Whether the columns' names have room side by side.
    let isUpright: Bool
    let darkest: Double

    private static let titleSize = 13.0
    private static let longestLabel = 160.0

    init(_ map: HeatMap) {
      self.map = map
      let count = map.labels.count
      cell = min(max(10, 640 / Double(count)), 44)
      let labelSize = min(12, cell)
      textSize = labelSize
      numberSize = min(12, cell / 3)
      numbers =
        [.counts, .shares].first { [cell, numberSize] numbers in
          numberSize >= 8
            && map.counts.allSatisfy { row in
              row.allSatisfy { TextMetrics.width(map.text($0, in: row, numbers), size: numberSize) <= cell - 3 }
            }
        } ?? .none
      // With numbers on them, cells stay so light that text in the page's ink has a contrast of 4.5 or more.
      darkest = numbers == .none ? 1 : 0.55
      labels = map.labels.map { TextMetrics.clipped($0, size: labelSize, width: Self.longestLabel) }
      let longest = labels.map { TextMetrics.width($0, size: labelSize) }.max() ?? 0
      left = Self.titleSize + 12 + longest + 6
      isUpright = longest <= cell - 6
      top = isUpright ? Self.titleSize + 12 + labelSize + 6 : left
    }

    var svg: SVG {
      let side = cell * Double(map.labels.count)
      let legend = self.legend(below: top + side + 30)
      return SVG(
        width: max(left + side + 2, legend.width), height: top + side + 42, title: map.title, summary: map.summary,
        elements: [axes(side), cells, frame(side), legend.markup])
    }

    private func axes(_ side: Double) -> Markup {
      let titles = [
        SVG.text(map.columnTitle, x: left + side / 2, y: Self.titleSize, anchor: .middle),
        turned(map.rowTitle, x: Self.titleSize, y: top + side / 2, size: Self.titleSize, anchor: .middle),
      ]
      let names = labels.enumerated().flatMap { index, label in
        let middle = (Double(index) + 0.5) * cell + textSize * 0.35
        return [
          SVG.text(label, x: left - 6, y: top + middle, anchor: .end, size: textSize, class: "row-label"),
          isUpright
            ? SVG.text(
              label, x: left + (Double(index) + 0.5) * cell, y: top - 6, anchor: .middle, size: textSize,
              class: "column-label")
            : turned(label, x: left + middle, y: top - 6, size: textSize, anchor: .start, class: "column-label"),
        ]
      }
      return SVG.group(.ink, titles + names)
    }

    /// Text that reads upwards.
    private func turned(
      _ text: String, x: Double, y: Double, size: Double, anchor: SVG.Anchor, class name: String? = nil
    ) -> Markup {
      .element(
        "text",
        [
          "class": name, "transform": "translate(\(SVG.number(x)) \(SVG.number(y))) rotate(-90)",
          "fill": "currentColor", "text-anchor": anchor.rawValue, "font-size": SVG.number(size),
        ], [.text(text)])
    }

    /// A cell for every count but 0, with what it stands for as its tooltip; numbers above all of them.
    private var cells: Markup {
      var shades: [Markup] = []
      var texts: [Markup] = []
      for (row, counts) in map.counts.enumerated() {
        for (column, count) in counts.enumerated() where count > 0 {
          let (x, y) = (left + Double(column) * cell, top + Double(row) * cell)
          let meaning =
            "\(map.rowTitle) \(map.labels[row]), \(map.columnTitle) \(map.labels[column]): \(count) "
            + "(\(map.text(count, in: counts, .shares)) %)"
          shades.append(shade(x, y, cell, map.share(count, in: counts), tooltip: meaning))
          guard numbers != .none else { continue }
          texts.append(
            SVG.text(
              map.text(count, in: counts, numbers), x: x + cell / 2, y: y + cell / 2 + numberSize * 0.35,
              anchor: .middle, size: numberSize, class: "count"))
        }
      }
      return .element("g", [:], [SVG.group(.data(0), shades), SVG.group(.ink, texts)])
    }

    private func shade(_ x: Double, _ y: Double, _ size: Double, _ share: Double, tooltip: String?) -> Markup {
      .element(
        "rect",
        [
          "class": tooltip == nil ? nil : "cell", "x": SVG.number(x), "y": SVG.number(y), "width": SVG.number(size),
          "height": SVG.number(size), "fill": "currentColor",
          "fill-opacity": NumberText.fixed(darkest * share.squareRoot(), places: 3),
        ], tooltip.map { [.element("title", [:], [.text($0)])] } ?? [])
    }

    private func frame(_ side: Double) -> Markup {
      let count = map.labels.count
      let lines = (cell < 20 ? [0, count] : Array(0...count)).flatMap { index in
        let offset = Double(index) * cell
        return [
          SVG.line(left + offset, top, left + offset, top + side),
          SVG.line(left, top + offset, left + side, top + offset),
        ]
      }
      let diagonal = (0..<count).map { index in
        Markup.element(
          "rect",
          [
            "x": SVG.number(left + Double(index) * cell), "y": SVG.number(top + Double(index) * cell),
            "width": SVG.number(cell), "height": SVG.number(cell), "fill": "none", "stroke": "currentColor",
            "stroke-width": cell < 20 ? "0.5" : "1.2",
          ])
      }
      return .element("g", [:], [SVG.group(.grid, lines), SVG.group(.ink, diagonal)])
    }

    private func legend(below y: Double) -> (markup: Markup, width: Double) {
      let size = 14.0
      let content: String =
        switch numbers {
        case .counts: "numbers: counts"
        case .shares: "numbers: per cent of the row"
        case .none: "shades"
        }
      let words = content + (numbers == .none ? ": share of the row" : "; shades: share of the row")
      var x = TextMetrics.width(words, size: 12) + 14
      var shades: [Markup] = []
      var texts = [SVG.text(words, x: 0, y: y + size * 0.8, size: 12)]
      for percent in [1, 10, 25, 50, 100] {
        shades.append(shade(x, y, size, Double(percent) / 100, tooltip: nil))
        let label = "\(percent) %"
        texts.append(SVG.text(label, x: x + size + 4, y: y + size * 0.8, size: 12))
        x += size + 4 + TextMetrics.width(label, size: 12) + 12
      }
      return (.element("g", [:], [SVG.group(.data(0), shades), SVG.group(.muted, texts)]), x)
    }
  }

  private func share(_ count: Int, in row: [Int]) -> Double {
    let total = row.reduce(0, +)
    return total == 0 ? 0 : Double(count) / Double(total)
  }

  private func text(_ count: Int, in row: [Int], _ numbers: Numbers) -> String {
    switch numbers {
    case .counts: NumberText.typeset(String(count))
    case .shares: share(count, in: row) < 0.005 ? "<1" : NumberText.fixed(100 * share(count, in: row), places: 0)
    case .none: ""
    }
  }

  /// What the picture says, in words: the largest shares off the diagonal.
  private var summary: String {
    let confusions = counts.enumerated().flatMap { row, counts in
      counts.enumerated().filter { $0.offset != row && $0.element > 0 }.map { column, count in
        (row: row, column: column, count: count, share: share(count, in: counts))
      }
    }
    let worst = confusions.sorted { ($0.share, $1.row, $1.column) > ($1.share, $0.row, $0.column) }.prefix(3)
    let size = "\(labels.count) rows (\(rowTitle)) and as many columns (\(columnTitle))."
    guard !worst.isEmpty else { return "\(size) All counts are on the diagonal." }
    let words = worst.map {
      "\(labels[$0.row]) taken for \(labels[$0.column]) (\($0.count), \(text($0.count, in: counts[$0.row], .shares)) %)"
    }
    return "\(size) The largest shares off the diagonal: \(words.joined(separator: ", "))."
  }
}
