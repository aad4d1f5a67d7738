import Foundation
import PCExperiments
import Testing

/// Charts are read back as a person would: from gridlines, tick marks and their labels, never from the code's own scale.
@Suite struct PicturesLineChartTests {
  /// What a chart's axes say: two ticks fix the map from pixels to values.
  struct Reading {
    let x: [(value: Double, pixel: Double)]
    let y: [(value: Double, pixel: Double)]
    let tree: XMLElementTree

    init?(_ chart: LineChart, sourceLocation: SourceLocation = #_sourceLocation) {
      guard let tree = XMLElementTree.parse(chart.svg.document, sourceLocation: sourceLocation) else { return nil }
      self.tree = tree
      func unit(_ name: String) -> Double {
        tree.all("text", class: name).first?.children.first.map { pow(10, Self.number($0.text)) } ?? 1
      }
      func values(_ name: String) -> [Double] {
        tree.all("text", class: name).map { Self.value($0) * unit(name.prefix(1) + "-title") }
      }
      let gridlines = tree.all("g", class: "grid").flatMap { $0.all("line") }.map { $0.number("y1") }
      x = Array(zip(values("x-tick"), tree.all("text", class: "x-tick").map { $0.number("x") }))
      y = Array(zip(values("y-tick"), gridlines))
      #expect(gridlines.count == tree.all("text", class: "y-tick").count, sourceLocation: sourceLocation)
    }

    static func number(_ text: String) -> Double {
      let plain = text.replacingOccurrences(of: "−", with: "-").replacingOccurrences(of: "\u{2009}", with: "")
      if plain.hasSuffix("%") { return (Double(plain.dropLast()) ?? .nan) / 100 }
      return Double(plain) ?? .nan
    }

    static func value(_ tick: XMLElementTree) -> Double {
      guard let exponent = tick.children.first?.text else { return number(tick.text) }
      let base = String(tick.text.dropLast(exponent.count))
      let digit = base == "10" ? 1 : number(base.replacingOccurrences(of: " · 10", with: ""))
      return digit * pow(10, number(exponent))
    }

    static func pixel(_ value: Double, _ ticks: [(value: Double, pixel: Double)], log isLog: Bool) -> Double {
      guard let first = ticks.first, let last = ticks.last else { return .nan }
      func scale(_ value: Double) -> Double { isLog ? log10(value) : value }
      let fraction = (scale(value) - scale(first.value)) / (scale(last.value) - scale(first.value))
      return first.pixel + fraction * (last.pixel - first.pixel)
    }

    /// The corners of all curves, in order.
    var corners: [(x: Double, y: Double)] {
      tree.all("path", class: "curve").flatMap { pathPoints($0.attributes["d"] ?? "") }
    }
  }

  static func expectPoints(_ points: [LineChart.Point], on chart: LineChart, _ context: String) {
    guard let reading = Reading(chart) else { return }
    let corners = reading.corners
    #expect(corners.count == points.count, "\(context)")
    for (point, corner) in zip(points, corners) {
      let x = Reading.pixel(point.x, reading.x, log: chart.x.scale == .logarithmic)
      let y = Reading.pixel(point.y, reading.y, log: chart.y.scale == .logarithmic)
      #expect(
        abs(corner.x - x) < 0.011 && abs(corner.y - y) < 0.011,
        "\(context): (\(point.x), \(point.y)) belongs at \((x, y)) and is at \(corner)")
    }
  }

  @Test(arguments: 0..<60)
  func everyPointIsWhereTheTicksSayOnLinearAxes(seed: Int) {
    var random = SeededGenerator(seed: seed)
    let unit = pow(10, Double.random(in: -8...8, using: &random))
    let offset = Bool.random(using: &random) ? 0 : unit * Double.random(in: -20...20, using: &random)
    let points = (0..<Int.random(in: 2...40, using: &random)).map {
      LineChart.Point(Double($0) * unit, offset + unit * Double.random(in: -1...1, using: &random))
    }
    let chart = LineChart(title: "t", x: .init("x"), y: .init("y"), series: [.init("s", points: points)])
    Self.expectPoints(points, on: chart, "seed \(seed)")
  }

  @Test(arguments: 0..<60)
  func everyPointIsWhereTheTicksSayOnLogarithmicAxes(seed: Int) {
    var random = SeededGenerator(seed: 1000 + seed)
    let low = Double.random(in: -12...3, using: &random)
    let span = Double.random(in: 0.1...15, using: &random)
    let points = (1...30).map { index in
      LineChart.Point(pow(2, Double(index) / 3), pow(10, low + span * Double.random(in: 0...1, using: &random)))
    }
    let chart = LineChart(
      title: "t", x: .init("x", scale: .logarithmic), y: .init("y", scale: .logarithmic),
      series: [.init("s", points: points)])
    Self.expectPoints(points, on: chart, "seed \(seed)")
  }

  @Test func percentLabelsAreHundredths() {
    let points = [LineChart.Point(1, 0.125), .init(2, 0.5), .init(3, 0.999)]
    let chart = LineChart(
      title: "t", x: .init("epoch"), y: .init("accuracy", format: .percent), series: [.init("s", points: points)])
    Self.expectPoints(points, on: chart, "percent")
    #expect(Reading(chart)?.tree.all("text", class: "y-tick").allSatisfy { $0.text.hasSuffix("%") } == true)
  }

  @Test(arguments: 0..<100)
  func ticksCoverTheDataAtRoundNumbers(seed: Int) throws {
    var random = SeededGenerator(seed: 2000 + seed)
    let unit = pow(10, Double.random(in: -9...9, using: &random))
    let values = (0..<5).map { _ in unit * Double.random(in: -1...1, using: &random) }
    let points = values.enumerated().map { LineChart.Point(Double($0), $1) }
    let chart = LineChart(title: "t", x: .init("x"), y: .init("y"), series: [.init("s", points: points)])
    let ticks = try #require(Reading(chart)).y.map(\.value)
    let first = try #require(ticks.first)
    let last = try #require(ticks.last)
    let step = (last - first) / Double(ticks.count - 1)
    let low = try #require(values.min())
    let high = try #require(values.max())
    #expect(first <= low + step * 1e-6 && last >= high - step * 1e-6, "seed \(seed): \(ticks) for \(values)")
    #expect(first > low - step * 1.001 && last < high + step * 1.001, "seed \(seed): \(ticks) leave room to spare")
    let mantissa = step / pow(10, floor(log10(step * 1.000001)))
    #expect([1, 2, 5].contains { abs($0 - mantissa) < 1e-6 }, "seed \(seed): step \(step)")
    #expect(3...12 ~= ticks.count, "seed \(seed): \(ticks.count) ticks")
  }

  @Test func epochsHaveNoFractions() throws {
    let points = [LineChart.Point(1, 0.5), .init(2, 0.6)]
    let chart = LineChart(title: "t", x: .init("epoch"), y: .init("y"), series: [.init("s", points: points)])
    #expect(try #require(Reading(chart)).x.map(\.value) == [1, 2])
  }

  @Test func theAxisSpansWhatItIsToldTo() throws {
    let chart = LineChart(
      title: "t", x: .init("x"), y: .init("y", including: [0, 1]),
      series: [.init("s", points: [.init(0, 0.4), .init(1, 0.5)])])
    let ticks = try #require(Reading(chart)).y.map(\.value)
    #expect(ticks.first == 0 && ticks.last == 1, "\(ticks)")
  }

  @Test func whatAnAxisCannotShowInterruptsTheLineAndIsCounted() throws {
    let ys = [1e-1, 0, 1e-3, 1e-4, .nan, .infinity, -1, 1e-5]
    let points = ys.enumerated().map { LineChart.Point(Double($0), $1) }
    let chart = LineChart(
      title: "t", x: .init("x"), y: .init("y", scale: .logarithmic), series: [.init("s", points: points)])
    let reading = try #require(Reading(chart))
    let lengths = reading.tree.all("path", class: "curve").map { pathPoints($0.attributes["d"] ?? "").count }
    #expect(lengths == [1, 2, 1])
    #expect(reading.tree.text.contains("Not shown: 4 points (zero, negative or not finite)."))
    Self.expectPoints(points.filter { $0.y > 0 && $0.y.isFinite }, on: chart, "log with gaps")
  }

  @Test(
    arguments: [
      [], [(0, 0)], [(1, 5), (2, 5), (3, 5)], [(3, 1), (3, 2)], [(.nan, 1)], [(1, .infinity)],
      [(0, 1e308), (1, -1e308)],
      [(0, .leastNonzeroMagnitude), (1, 4 * .leastNonzeroMagnitude)], [(1, 1), (2, 1 + 1e-15)],
      [(-1e299, 1e-299), (1e299, 1e299)], [(0, 0), (0, 0)],
      [(1e15, 1e15), (1e15 + 1, 1e15 + 2)],
    ] as [[(Double, Double)]])
  func unusualDataGiveAWholeChart(data: [(Double, Double)]) throws {
    for scale in [LineChart.Scale.linear, .logarithmic] {
      for style in [LineChart.Style.line, .dashed, .markers] {
        let points = data.map { LineChart.Point($0.0, $0.1, low: $0.1 - 1, high: $0.1 + 1) }
        let chart = LineChart(
          title: "t", x: .init("x", scale: scale), y: .init("y", scale: scale),
          series: [.init("s", points: points, style: style), .init("empty", points: [], style: style)])
        let document = chart.svg.document
        let tree = try #require(XMLElementTree.parse(document))
        #expect(!document.contains("nan") && !document.contains("inf"), "\(data), \(scale), \(style)")
        #expect(tree.all("text", class: "x-tick").count >= 2 && tree.all("text", class: "y-tick").count >= 2)
      }
    }
  }

  @Test func noSeriesAtAllGiveEmptyAxes() throws {
    let reading = try #require(Reading(LineChart(title: "t", x: .init("x"), y: .init("y"), series: [])))
    #expect(reading.corners.isEmpty && reading.y.count >= 2)
  }

  @Test func markersAndBandsFollowTheirPoints() throws {
    let points = [LineChart.Point(0, 2, low: 1, high: 4), .init(1, 3, spread: 0.5)]
    func chart(_ style: LineChart.Style) -> LineChart {
      LineChart(title: "t", x: .init("x"), y: .init("y"), series: [.init("s", points: points, style: style)])
    }
    let line = try #require(Reading(chart(.line)))
    let band = pathPoints(line.tree.all("path", class: "band").first?.attributes["d"] ?? "")
    let expected = [(0.0, 4.0), (1, 3.5), (1, 2.5), (0, 1)].map {
      (x: Reading.pixel($0.0, line.x, log: false), y: Reading.pixel($0.1, line.y, log: false))
    }
    #expect(band.count == 4)
    for (corner, wanted) in zip(band, expected) {
      #expect(abs(corner.x - wanted.x) < 0.011 && abs(corner.y - wanted.y) < 0.011, "\(corner) for \(wanted)")
    }

    let markers = try #require(Reading(chart(.markers)))
    #expect(markers.tree.all("path", class: "curve").isEmpty && markers.tree.all("path", class: "band").isEmpty)
    #expect(markers.tree.all("path", class: "marker").count == 2)
    let bars = markers.tree.all("g", class: "data0").flatMap { $0.all("line") }.map {
      ($0.number("y1"), $0.number("y2"))
    }
    #expect(bars.count == 2)
    for (bar, interval) in zip(bars, [(1.0, 4.0), (2.5, 3.5)]) {
      #expect(abs(bar.0 - Reading.pixel(interval.0, markers.y, log: false)) < 0.011)
      #expect(abs(bar.1 - Reading.pixel(interval.1, markers.y, log: false)) < 0.011)
    }
  }

  @Test func coincidingLinesDifferInWidthAndDashes() throws {
    let points = (1...12).map { LineChart.Point(Double($0), 0.9) }
    let chart = LineChart(
      title: "t", x: .init("x"), y: .init("y"), series: ["a", "b", "c"].map { .init($0, points: points) })
    let curves = try #require(Reading(chart)).tree.all("path", class: "curve")
    let widths = curves.map { $0.number("stroke-width") }
    #expect(widths == widths.sorted(by: >) && Set(widths).count == 3, "\(widths)")
    #expect(Set(curves.map { $0.attributes["stroke-dasharray"] ?? "solid" }).count == 3)
  }

  /// Names stand clear of each other and of the data, beside the plot if they fit there and else under it.
  @Test(arguments: [1, 3, 8, 20], [4, 60])
  func namesCoverNothing(count: Int, length: Int) throws {
    let series = (0..<count).map { index in
      LineChart.Series(
        String(repeating: "n", count: length) + "\(index)", points: (0...9).map { .init(Double($0), 0.5) })
    }
    let chart = LineChart(title: "t", x: .init("x"), y: .init("y"), series: series)
    let reading = try #require(Reading(chart))
    let names = reading.tree.all("text", class: "name")
    #expect(names.count == count)
    let right = try #require(reading.x.last).pixel
    let bottom = try #require(reading.y.first).pixel
    let viewBox = (reading.tree.attributes["viewBox"] ?? "").split(separator: " ").compactMap { Double($0) }
    var seen: Set<String> = []
    for name in names {
      let (x, y) = (name.number("x"), name.number("y"))
      #expect(x > right || y - 13 > bottom, "\(count) names of length \(length): one at \((x, y)) lies in the plot")
      #expect(y < viewBox[1] + viewBox[3] && x < viewBox[0] + viewBox[2])
      #expect(seen.insert("\(x) \(y)").inserted, "Two names at \((x, y))")
    }
    for (first, second) in zip(
      names.map { $0.number("y") }.sorted(), names.map { $0.number("y") }.sorted().dropFirst())
    {
      #expect(second == first || second - first > 15, "Names \(second - first) pixels apart")
    }
  }

  @Test func longLinesAreThinnedButKeepTheirExtremes() throws {
    var random = SeededGenerator(seed: 1)
    var points = (0..<100_000).map { LineChart.Point(Double($0), Double.random(in: 0...1, using: &random)) }
    points[31_415].y = 40
    points[27_182].y = -30
    let chart = LineChart(title: "t", x: .init("x"), y: .init("y"), series: [.init("s", points: points)])
    let reading = try #require(Reading(chart))
    #expect(reading.corners.count < 8 * Int(chart.width), "\(reading.corners.count) corners")
    for index in [0, 31_415, 27_182, 99_999] {
      let x = Reading.pixel(points[index].x, reading.x, log: false)
      let y = Reading.pixel(points[index].y, reading.y, log: false)
      #expect(reading.corners.contains { abs($0.x - x) < 0.011 && abs($0.y - y) < 0.011 }, "point \(index)")
    }
  }

  @Test func titlesAreEscapedAndAnnounced() throws {
    let words = "a < b & \"c\" > 'd' – ½"
    let chart = LineChart(
      title: words, x: .init(words), y: .init(words), series: [.init(words, points: [.init(0, 1), .init(1, 2)])])
    let root = try #require(XMLElementTree.parse(chart.svg.document))
    #expect(root.attributes["role"] == "img")
    #expect(root.children.first?.name == "title" && root.children.first?.text == words)
    #expect(root.all("desc").first?.text.contains(words) == true)
    #expect(root.all("text", class: "x-title").map(\.text) == [words])
    #expect(root.all("text", class: "y-title").map(\.text) == [words])
  }

  @Test func theSameChartGivesTheSameText() {
    func chart() -> String {
      LineChart(
        title: "t", x: .init("x"), y: .init("y"),
        series: (0..<9).map { .init("\($0)", points: [.init(0, Double($0)), .init(1, 1)]) }
      ).svg.document
    }
    #expect(chart() == chart())
  }
}
