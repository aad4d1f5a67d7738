/// Curves over a common horizontal axis.
///
/// ```swift
/// let chart = LineChart(
///   title: "Predictive coding follows backprop from the first epoch on.",
///   x: .init("epoch"), y: .init("test accuracy", format: .percent),
///   series: [.init("backprop", points: [.init(1, 0.71), .init(2, 0.84)])])
/// let file = chart.svg.document
/// ```
///
/// Lines stay distinguishable without colour and where they coincide: each is thinner than the one before and dashed in
/// its own way, so that the lower one shows beside and through the upper. Names stand at the ends of their lines, or
/// under the chart where that is impossible; nothing covers the data.
///
/// Points that an axis cannot show (not finite, beyond 10^±300, or at most 0 on a logarithmic axis) interrupt their line;
/// a note under the chart counts them. Empty charts are drawn as empty axes. Lines of thousands of points are thinned to
/// what can be seen. Cost: linear in the number of points.
public struct LineChart: Sendable {
  /// A measurement, with the interval it is uncertain by, if known.
  public struct Point: Sendable {
    public var x: Double
    public var y: Double
    public var low: Double?
    public var high: Double?

    public init(_ x: Double, _ y: Double, low: Double? = nil, high: Double? = nil) {
      self.x = x
      self.y = y
      self.low = low
      self.high = high
    }

    /// `y` ± `spread`: a standard deviation over seeds, say.
    public init(_ x: Double, _ y: Double, spread: Double) {
      self.init(x, y, low: y - spread, high: y + spread)
    }
  }

  public enum Style: Sendable {
    /// A line, with markers if there are at most 30 points, and a band between `low` and `high`.
    case line
    /// A thin dashed line: a prediction or a limit.
    case dashed
    /// Markers alone, with bars from `low` to `high`: measurements beside a prediction.
    case markers
  }

  public struct Series: Sendable {
    public var name: String
    /// In the order in which the line connects them.
    public var points: [Point]
    public var style: Style
    /// Series of one colour belong together. By default each has its own; there are seven.
    public var color: Int?

    public init(_ name: String, points: [Point], style: Style = .line, color: Int? = nil) {
      self.name = name
      self.points = points
      self.style = style
      self.color = color
    }
  }

  public enum Scale: Sendable { case linear, logarithmic }

  public enum Format: Sendable {
    case number
    /// 0.25 is written 25%. On linear axes.
    case percent
  }

  public struct Axis: Sendable {
    public var title: String
    public var scale: Scale
    public var format: Format
    /// Values that the axis spans even if no data are there: 0, or a range shared by several charts.
    public var including: [Double]

    public init(_ title: String, scale: Scale = .linear, format: Format = .number, including: [Double] = []) {
      self.title = title
      self.scale = scale
      self.format = format
      self.including = including
    }
  }

  /// What the chart shows, as a sentence.
  public var title: String
  public var x: Axis
  public var y: Axis
  /// Those that come first are drawn first: underneath and, among lines, widest.
  public var series: [Series]
  /// The width of the whole picture in pixels. 860 by default, as wide as an `HTMLReport`.
  public var width: Double
  /// The height of the plot alone, without titles and legend.
  public var plotHeight: Double

  public init(
    title: String, x: Axis, y: Axis, series: [Series], width: Double = 860, plotHeight: Double = 320
  ) {
    self.title = title
    self.x = x
    self.y = y
    self.series = series
    self.width = width
    self.plotHeight = plotHeight
  }

  public var svg: SVG { Drawing(self).svg }
}

// MARK: Strokes and markers

extension LineChart {
  /// How one series is drawn.
  fileprivate struct Pen {
    let ink: Ink
    var width = 1.6
    var dash: String?
    var opacity: Double?
    var lineIsDrawn = true
    /// Nil where there would be too many.
    var marker: Marker?
    var markerRadius = 3.6
  }

  fileprivate enum Marker: CaseIterable {
    case circle, square, triangle, diamond, cross

    /// A path of about equal area for each shape.
    func path(_ x: Double, _ y: Double, radius: Double) -> String {
      func polygon(_ corners: [(Double, Double)]) -> String {
        "M" + corners.map { SVG.number(x + $0 * radius) + " " + SVG.number(y + $1 * radius) }.joined(separator: "L")
          + "Z"
      }
      switch self {
      case .circle:
        let (r, d) = (SVG.number(radius), SVG.number(2 * radius))
        return "M\(SVG.number(x - radius)) \(SVG.number(y))a\(r) \(r) 0 1 0 \(d) 0a\(r) \(r) 0 1 0 -\(d) 0Z"
      case .square: return polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
      case .triangle: return polygon([(0, -1.25), (1.15, 0.8), (-1.15, 0.8)])
      case .diamond: return polygon([(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)])
      case .cross:
        return polygon([
          (-1.1, -0.6), (-0.6, -1.1), (0, -0.5), (0.6, -1.1), (1.1, -0.6), (0.5, 0), (1.1, 0.6), (0.6, 1.1), (0, 0.5),
          (-0.6, 1.1), (-1.1, 0.6), (-0.5, 0),
        ])
      }
    }
  }

  fileprivate var pens: [Pen] {
    let widths = [6, 2.8, 2, 1.8, 1.6]
    let dashes: [String?] = [nil, "9 4.5", "1.6 4.4", "12 3.5 2.5 3.5", "5 3"]
    let lineCount = series.count { $0.style == .line }
    var line = 0
    var measurement = 0
    return series.enumerated().map { index, series in
      var pen = Pen(ink: .data(series.color ?? index))
      let markers = Marker.allCases
      switch series.style {
      case .line:
        pen.width = lineCount == 1 ? 2.2 : widths[min(line, widths.count - 1)]
        pen.dash = dashes[line % dashes.count]
        // A pale broad track for the others to run on.
        if lineCount > 1 && line == 0 { pen.opacity = 0.5 }
        if series.points.count <= 30 {
          pen.marker = markers[line % markers.count]
          pen.markerRadius = lineCount == 1 ? 3.6 : max(2.8, 5.8 - 1.4 * Double(line))
        }
        line += 1
      case .dashed:
        pen.dash = "5 4"
      case .markers:
        pen.lineIsDrawn = false
        pen.marker = markers[measurement % markers.count]
        measurement += 1
      }
      return pen
    }
  }
}

// MARK: Drawing

extension LineChart {
  /// A chart with everything measured and placed.
  fileprivate struct Drawing {
    let chart: LineChart
    let pens: [Pen]
    let xRuler: Ruler
    let yRuler: Ruler
    /// The points that can be shown, cut where others were dropped.
    let runs: [[[Point]]]
    let droppedCount: Int
    let titleLines: [String]
    let namesAreBeside: Bool
    let left: Double
    let right: Double
    let top: Double
    var bottom: Double { top + chart.plotHeight }

    static let titleSize = 16.0
    static let nameSize = 13.0
    static let tickSize = 12.0
    static let rowHeight = 20.0
    static let sampleLength = 30.0

    init(_ chart: LineChart) {
      self.chart = chart
      pens = chart.pens
      runs = chart.series.map { series in
        series.points
          .split { !Ruler.shows($0.x, on: chart.x.scale) || !Ruler.shows($0.y, on: chart.y.scale) }
          .map(Array.init)
      }
      let shown = runs.joined().joined()
      droppedCount = chart.series.reduce(0) { $0 + $1.points.count } - shown.count
      xRuler = Ruler(covering: shown.map(\.x), on: chart.x, count: max(2, Int(chart.width / 90)), whole: true)
      yRuler = Ruler(
        covering: shown.flatMap { [$0.y, $0.low ?? $0.y, $0.high ?? $0.y] }, on: chart.y,
        count: max(2, Int(chart.plotHeight / 55)))

      let nameWidth = chart.series.map { TextMetrics.width($0.name, size: Self.nameSize) }.max() ?? 0
      let ends = runs.map { $0.last?.last?.x ?? .nan }
      namesAreBeside =
        chart.series.count > 1 && nameWidth <= chart.width * 0.26
        && Double(chart.series.count) * Self.rowHeight <= chart.plotHeight && ends.allSatisfy { $0 == ends.first }
      let labelWidth = yRuler.ticks.map { Self.width(of: $0) }.max() ?? 0
      left = labelWidth.rounded(.up) + 12
      let lastLabelWidth = xRuler.ticks.last.map { Self.width(of: $0) } ?? 0
      right =
        chart.width
        - (namesAreBeside ? nameWidth.rounded(.up) + Self.sampleLength + 34 : max(8, lastLabelWidth.rounded(.up) / 2))
      titleLines = TextMetrics.lines(chart.title, size: Self.titleSize, bold: true, width: chart.width)
      top = Double(titleLines.count) * 21 + 36
    }

    func x(_ value: Double) -> Double { left + xRuler.position(value) * (right - left) }
    func y(_ value: Double) -> Double { bottom - yRuler.position(value) * chart.plotHeight }

    /// The height of a band's or bar's end; what the scale cannot show lies beyond the nearer edge of the plot.
    func clampedY(_ value: Double) -> Double {
      if Ruler.shows(value, on: chart.y.scale) { return min(max(y(value), top), bottom) }
      return value > 0 && !value.isNaN ? top : bottom
    }

    var svg: SVG {
      let names = namesAreBeside ? namesBeside : namesUnder(at: bottom + 66)
      var height = bottom + 50 + names.height
      var note: [Markup] = []
      if droppedCount > 0 {
        let reason =
          chart.y.scale == .logarithmic || chart.x.scale == .logarithmic
          ? "zero, negative or not finite" : "not finite"
        let text = "Not shown: \(droppedCount) \(droppedCount == 1 ? "point" : "points") (\(reason))."
        note = [SVG.group(.muted, [SVG.text(text, x: left, y: height + 12, size: 12)])]
        height += 22
      }
      let elements =
        [heading] + axes + chart.series.indices.flatMap(spread(of:)) + chart.series.indices.map(curve(of:))
        + names.elements + note
      return SVG(width: chart.width, height: height, title: chart.title, summary: summary, elements: elements)
    }

    var heading: Markup {
      SVG.group(
        .ink,
        titleLines.enumerated().map { row, line in
          SVG.text(line, x: 0, y: 17 + 21 * Double(row), size: Self.titleSize, bold: true)
        })
    }

    // MARK: Axes

    var axes: [Markup] {
      let grid = yRuler.ticks.map { SVG.line(left, y($0.value), right, y($0.value)) }
      let marks =
        [SVG.line(left, bottom, right, bottom)]
        + xRuler.ticks.map { SVG.line(x($0.value), bottom, x($0.value), bottom + 5) }
        + xRuler.minor.map { SVG.line(x($0), bottom, x($0), bottom + 3) }
        + yRuler.minor.map { SVG.line(left, y($0), left + 3, y($0)) }
      let labels =
        xRuler.ticks.map { Self.label($0, x: x($0.value), y: bottom + 19, anchor: .middle, class: "x-tick") }
        + yRuler.ticks.map { Self.label($0, x: left - 8, y: y($0.value) + 4, anchor: .end, class: "y-tick") }
      let titles =
        Self.title(chart.y.title, ruler: yRuler, x: 0, y: top - 16, anchor: .start, class: "y-title")
        + Self.title(
          chart.x.title, ruler: xRuler, x: (left + right) / 2, y: bottom + 41, anchor: .middle, class: "x-title")
      return [SVG.group(.grid, grid), SVG.group(.muted, marks + labels + titles)]
    }

    static func width(of tick: Ruler.Tick) -> Double {
      TextMetrics.width(tick.label, size: tickSize)
        + (tick.exponent.map { TextMetrics.width(NumberText.typeset("\($0)"), size: tickSize * 0.75) } ?? 0)
    }

    static func label(_ tick: Ruler.Tick, x: Double, y: Double, anchor: SVG.Anchor, class name: String) -> Markup {
      .element(
        "text",
        [
          "class": name, "x": SVG.number(x), "y": SVG.number(y), "fill": "currentColor",
          "text-anchor": anchor.rawValue, "font-size": SVG.number(tickSize),
        ], power(tick.label, exponent: tick.exponent))
    }

    static func power(_ base: String, exponent: Int?) -> [Markup] {
      guard let exponent else { return [.text(base)] }
      return [
        .text(base),
        .element("tspan", ["dy": "-0.45em", "font-size": "75%"], [.text(NumberText.typeset("\(exponent)"))]),
      ]
    }

    static func title(
      _ title: String, ruler: Ruler, x: Double, y: Double, anchor: SVG.Anchor, class name: String
    ) -> [Markup] {
      let content =
        ruler.exponent == 0
        ? [.text(title)]
        : [.text(title.isEmpty ? "× " : title + ", × ")] + power("10", exponent: ruler.exponent)
      return [
        .element(
          "text",
          [
            "class": name, "x": SVG.number(x), "y": SVG.number(y), "fill": "currentColor",
            "text-anchor": anchor.rawValue,
          ], content)
      ]
    }

    // MARK: Data

    /// The band of a line, or the bars of markers.
    func spread(of index: Int) -> [Markup] {
      let intervals = runs[index].map { run in
        run.compactMap { point -> (x: Double, low: Double, high: Double)? in
          guard point.low != nil || point.high != nil else { return nil }
          return (x(point.x), clampedY(point.low ?? point.y), clampedY(point.high ?? point.y))
        }
      }.filter { !$0.isEmpty }
      guard !intervals.isEmpty else { return [] }

      let pen = pens[index]
      guard pen.lineIsDrawn else {
        return [
          SVG.group(
            pen.ink, intervals.joined().map { SVG.line($0.x, $0.low, $0.x, $0.high, width: 1.4, opacity: 0.7) })
        ]
      }
      return [
        SVG.group(
          pen.ink,
          intervals.map { run in
            let outline = run.map { ($0.x, $0.high) } + run.reversed().map { ($0.x, $0.low) }
            return .element(
              "path",
              ["class": "band", "d": Self.path(outline) + "Z", "fill": "currentColor", "fill-opacity": "0.14"])
          })
      ]
    }

    func curve(of index: Int) -> Markup {
      let pen = pens[index]
      let series = chart.series[index]
      var elements: [Markup] = []
      if pen.lineIsDrawn {
        elements = runs[index].map { run in
          stroke(Self.path(Self.thinned(run.map { (x($0.x), y($0.y)) })), pen, class: "curve")
        }
      }
      if let marker = pen.marker {
        elements += runs[index].joined().map { point in
          let text =
            "\(series.name): \(chart.x.title) \(Self.spoken(point.x)), \(chart.y.title) \(Self.spoken(point.y))"
          return .element(
            "path",
            [
              "class": "marker", "d": marker.path(x(point.x), y(point.y), radius: pen.markerRadius),
              "fill": "currentColor",
            ],
            [.element("title", [:], [.text(text)])])
        }
      } else {
        // Without markers, a point between two gaps would be a line of no length.
        elements += runs[index].filter { $0.count == 1 }.joined().map { point in
          .element("path", ["d": Marker.circle.path(x(point.x), y(point.y), radius: 2.4), "fill": "currentColor"])
        }
      }
      return SVG.group(pen.ink, elements)
    }

    func stroke(_ path: String, _ pen: Pen, class name: String) -> Markup {
      .element(
        "path",
        [
          "class": name, "d": path, "fill": "none", "stroke": "currentColor", "stroke-width": SVG.number(pen.width),
          "stroke-opacity": pen.opacity.map(SVG.number), "stroke-dasharray": pen.dash, "stroke-linejoin": "round",
          // Round caps turn the shortest dashes into dots.
          "stroke-linecap": pen.dash?.hasPrefix("1.6") == true ? "round" : "butt",
        ])
    }

    static func path(_ points: [(Double, Double)]) -> String {
      "M" + points.map { SVG.number($0) + " " + SVG.number($1) }.joined(separator: "L")
    }

    /// At most four points for each half pixel of a long line: its first, lowest, highest and last there, which look the
    /// same as all of them (Jugel et al., VLDB 2014).
    static func thinned(_ points: [(Double, Double)]) -> [(Double, Double)] {
      guard points.count > 4000 else { return points }
      var kept: [(Double, Double)] = []
      var start = 0
      while start < points.count {
        let column = (points[start].0 * 2).rounded(.down)
        let end = points[start...].firstIndex { ($0.0 * 2).rounded(.down) != column } ?? points.count
        let lowest = (start..<end).min { points[$0].1 < points[$1].1 } ?? start
        let highest = (start..<end).max { points[$0].1 < points[$1].1 } ?? start
        kept += Set([start, lowest, highest, end - 1]).sorted().map { points[$0] }
        start = end
      }
      return kept
    }

    static func spoken(_ value: Double) -> String { NumberText.significant(value, digits: 4) }

    // MARK: Names

    /// A piece of the line as it is drawn, centred on `y`.
    func sample(of index: Int, x: Double, y: Double) -> Markup {
      let pen = pens[index]
      var elements: [Markup] = []
      if pen.lineIsDrawn {
        elements.append(stroke(Self.path([(x, y), (x + Self.sampleLength, y)]), pen, class: "sample"))
      }
      if let marker = pen.marker {
        let path = marker.path(x + Self.sampleLength / 2, y, radius: pen.markerRadius)
        elements.append(.element("path", ["d": path, "fill": "currentColor"]))
      }
      return SVG.group(pen.ink, elements)
    }

    var namesBeside: (elements: [Markup], height: Double) {
      let ends = chart.series.indices.compactMap { index in
        runs[index].last?.last.map { (index: index, x: x($0.x), y: y($0.y)) }
      }.sorted { ($0.y, $0.index) < ($1.y, $1.index) }
      let heights = PCExperiments.spread(
        ends.map(\.y), gaps: ends.dropFirst().map { _ in Self.rowHeight }, weights: ends.map { _ in 1 },
        within: top + 4...bottom - 4)
      let start = right + 20
      let elements = zip(ends, heights).flatMap { end, height in
        [
          SVG.group(pens[end.index].ink, [SVG.line(end.x + 6, end.y, start - 3, height, width: 0.8, opacity: 0.6)]),
          sample(of: end.index, x: start, y: height),
          SVG.group(
            .ink,
            [SVG.text(chart.series[end.index].name, x: start + Self.sampleLength + 7, y: height + 4.5, class: "name")]
          ),
        ]
      }
      return (elements, 0)
    }

    func namesUnder(at firstRow: Double) -> (elements: [Markup], height: Double) {
      var elements: [Markup] = []
      var cursor = left
      var row = firstRow
      for index in chart.series.indices {
        let limit = chart.width - left - Self.sampleLength - 7
        let name = TextMetrics.clipped(chart.series[index].name, size: Self.nameSize, width: limit)
        let width = Self.sampleLength + 7 + TextMetrics.width(name, size: Self.nameSize)
        if cursor > left && cursor + width > chart.width {
          cursor = left
          row += Self.rowHeight
        }
        elements.append(sample(of: index, x: cursor, y: row))
        elements.append(
          SVG.group(.ink, [SVG.text(name, x: cursor + Self.sampleLength + 7, y: row + 4.5, class: "name")]))
        cursor += width + 24
      }
      return (elements, elements.isEmpty ? 0 : row - firstRow + Self.rowHeight + 8)
    }

    var summary: String {
      let curves = chart.series.indices.map { index in
        let points = runs[index].flatMap { $0 }
        guard let first = points.first, let last = points.last else {
          return "\(chart.series[index].name): no points"
        }
        return
          "\(chart.series[index].name): \(points.count) points, from \(Self.spoken(first.y)) at \(Self.spoken(first.x))"
          + " to \(Self.spoken(last.y)) at \(Self.spoken(last.x))"
      }
      let scale = chart.y.scale == .logarithmic ? " (logarithmic)" : ""
      return "\(chart.y.title)\(scale) against \(chart.x.title). " + curves.joined(separator: "; ") + "."
    }
  }
}
