import Foundation
import PCExperiments
import Testing

@Suite struct PicturesMarkupTests {
  @Test(arguments: 0..<100)
  func anyTextSurvivesElementsAndAttributes(seed: Int) throws {
    var random = SeededGenerator(seed: seed)
    let alphabet = Array("<>&\"'`;#x]-ab é×\u{1F600}\n\t")
    let text = String((0..<40).compactMap { _ in alphabet.randomElement(using: &random) })
    let markup = Markup.element(
      "p", ["title": text, "absent": nil], [.text(text), .element("b", [:], [.text(text)])])
    let root = try #require(XMLElementTree.parse("\(markup)"))
    #expect(root.text == text + text, "seed \(seed)")
    // XML turns a tab in an attribute into a space.
    #expect(root.attributes == ["title": text.replacingOccurrences(of: "\t", with: " ")], "seed \(seed)")
  }

  @Test func charactersThatXMLCannotHoldAreReplaced() throws {
    let root = try #require(XMLElementTree.parse("\(Markup.element("p", ["a": "\u{1}"], [.text("x\u{0}y\u{1B}z")]))"))
    #expect(root.text == "x\u{FFFD}y\u{FFFD}z" && root.attributes["a"] == "\u{FFFD}")
  }

  @Test func runningTextHasNoSpacesAdded() {
    let markup = Markup.element(
      "div", [:], [.element("p", [:], [.text("a"), .element("i", [:], [.element("b", [:], [.text("c")])])])])
    #expect("\(markup)" == "<div>\n  <p>a<i><b>c</b></i></p>\n</div>")
  }
}

@Suite struct PicturesPageTests {
  static let words = "1 < 2 & \"three\" > 'two'"

  static var page: HTMLReport {
    let chart = LineChart(
      title: words, x: .init("x"), y: .init("y"), series: [.init(words, points: [.init(0, 1), .init(1, 2)])])
    let graph = GraphPicture(
      title: words, nodes: [.init("a", words, "", .input), .init("b", words, "", .loss)], edges: [.init("a", "b")])
    let table = ResultTable(["rule", "accuracy"], rows: [[words, "97.5"], ["b", "8.25"], ["c"]])
    return HTMLReport(
      title: words, lead: words,
      sections: [
        .init(words, [.paragraph(words), .figure(chart.svg, caption: words), .list([words, "`\(words)`"])]),
        .init("Graph", [.figure(graph.svg, caption: words), .table(table, caption: words)]),
        .init("Facts", [.facts([("command", "`\(words)`"), ("seed", "7")])]),
        .init(
          "More",
          [.details(summary: words, [.listing("line 1\n  \(words)"), .table(table, caption: "again")])]),
        .init("End", []),
      ])
  }

  @Test func thePageIsWellFormedAndComplete() throws {
    let document = Self.page.document
    #expect(document.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">"))
    let root = try #require(XMLElementTree.parse(document))
    let words = Self.words
    #expect(root.children.map(\.name) == ["head", "body"])
    #expect(root.children.first?.all("title").map(\.text) == [words])
    #expect(root.all("h1").map(\.text) == [words] && root.all("p", class: "lead").map(\.text) == [words])
    #expect(root.all("h2").map(\.text) == [words, "Graph", "Facts", "More", "End"])
    #expect(root.all("figcaption").map(\.text) == ["Figure 1. " + words, "Figure 2. " + words])
    #expect(root.all("caption").map(\.text) == ["Table 1. " + words, "Table 2. again"])
    #expect(root.all("li").suffix(2).map(\.text) == [words, words])
    #expect(root.all("dt").map(\.text) == ["command", "seed"] && root.all("dd").map(\.text) == [words, "7"])
    #expect(root.all("pre").map(\.text) == ["line 1\n  \(words)"])
    #expect(root.all("code").map(\.text) == [words, words, "line 1\n  \(words)"])
    #expect(root.all("summary").map(\.text) == [words])
    #expect(root.all("svg").count == 2)
    #expect(
      root.all("tr").map { $0.children.map(\.text) }.prefix(4) == [
        ["rule", "accuracy"], [words, "97.5"], ["b", "8.25"], ["c", ""],
      ])
  }

  /// HTML ignores the slash of an element that may have content, so that all that follows would be its content.
  @Test func onlyElementsWithoutContentCloseThemselves() {
    let allowed: Set<String> = ["meta", "link", "br", "path", "line", "rect", "polygon", "polyline", "circle"]
    for tag in Self.page.document.split(separator: "<") {
      guard let end = tag.firstIndex(of: ">"), tag[..<end].hasSuffix("/") else { continue }
      let name = tag.prefix { $0.isLetter || $0.isNumber }
      #expect(allowed.contains(String(name)), "<\(name)/>")
    }
  }

  @Test func thePageNeedsNothingElse() throws {
    let document = Self.page.document
    let root = try #require(XMLElementTree.parse(document))
    for element in root.descendants {
      for name in ["src", "srcset", "xlink:href", "onload"] { #expect(element.attributes[name] == nil) }
      if let target = element.attributes["href"] { #expect(target.hasPrefix("#") || target == "data:,", "\(target)") }
    }
    #expect(root.all("script").isEmpty)
    for loader in ["@import", "url("] { #expect(!document.contains(loader)) }
  }

  @Test func linksHaveTargetsAndIdsAreUnique() throws {
    let root = try #require(XMLElementTree.parse(Self.page.document))
    let ids = root.descendants.compactMap { $0.attributes["id"] }
    #expect(Set(ids).count == ids.count)
    let links = root.all("a").compactMap { $0.attributes["href"] }
    #expect(links.count == 5 && links.allSatisfy { ids.contains(String($0.dropFirst())) })
  }

  @Test func everyClassOfAPictureHasAColourInBothModes() throws {
    let root = try #require(XMLElementTree.parse(Self.page.document))
    let style = try #require(root.all("style").first).text
    for group in root.all("svg").flatMap({ $0.all("g") }) where group.attributes["color"] != nil {
      let name = try #require(group.attributes["class"])
      #expect(style.contains(".\(name) { color: var(--\(name)) }"))
      #expect(style.components(separatedBy: "--\(name): #").count == 3, "\(name) needs a light and a dark colour")
    }
  }

  @Test func aLoneBackquoteIsACharacter() throws {
    let page = HTMLReport(title: "t", lead: "", sections: [.init("s", [.paragraph("a `b` c ` d"), .paragraph("`")])])
    let root = try #require(XMLElementTree.parse(page.document))
    #expect(root.all("p").map(\.text) == ["a b c ` d", "`"] && root.all("code").map(\.text) == ["b"])
  }
}

@Suite struct PicturesTableTests {
  @Test func decimalPointsStandUnderEachOther() {
    let table = ResultTable(
      ["rule", "accuracy", "ms"],
      rows: [["backprop", "97.25", "4"], ["fixed predictions", "7.9", "1 157.5"], ["none", "–", ""]])
    #expect(
      table.description == """
        rule               accuracy       ms
        ─────────────────  ────────  ───────
        backprop              97.25      4
        fixed predictions      7.9   1 157.5
        none                   –
        """)
  }

  @Test func textIsFlushLeftUnlessAskedOtherwise() {
    let table = ResultTable(
      ["name", .init("unit", .right), .init("v", .left)], rows: [["a", "ms", "12"], ["bcd", "µs", "3"], ["e"]])
    #expect(
      table.description == """
        name  unit  v
        ────  ────  ──
        a       ms  12
        bcd     µs  3
        e
        """)
  }

  @Test func wideCharactersTakeTwoColumnsAndMarksNone() {
    let table = ResultTable(["x", "y"], rows: [["日本", "a"], ["e\u{301}t", "b"], ["abcd", "c"]])
    let lines = table.description.split(separator: "\n").map(String.init)
    #expect(lines[2] == "日本  a" && lines[3] == "e\u{301}t    b" && lines[4] == "abcd  c")
  }

  @Test func lineBreaksInCellsBecomeSpaces() {
    #expect(ResultTable(["a"], rows: [["x\ny\tz"]]).description.hasSuffix("\nx y z"))
  }

  @Test func noRowsLeaveTheHeader() {
    #expect(ResultTable(["a", "bc"], rows: []).description == "a  bc\n─  ──")
    #expect(ResultTable([], rows: []).description == "\n")
  }
}

@Suite struct PicturesNumberTests {
  @Test(arguments: 0..<200)
  func fixedAgreesWithTheCLibrary(seed: Int) {
    var random = SeededGenerator(seed: seed)
    let value = Double.random(in: -1...1, using: &random) * pow(10, Double.random(in: -5...7, using: &random))
    for places in 0...6 {
      #expect(NumberText.fixed(value, places: places) == withoutSignOfZero(String(format: "%.\(places)f", value)))
    }
  }

  @Test(arguments: 0..<200)
  func significantIsTheValueToThatManyDigits(seed: Int) {
    var random = SeededGenerator(seed: 300 + seed)
    let value = Double.random(in: -1...1, using: &random) * pow(10, Double.random(in: -12...12, using: &random))
    for digits in 1...6 {
      let text = NumberText.significant(value, digits: digits)
      let expected = Double(String(format: "%.\(digits - 1)e", value))
      #expect(Double(text) == expected, "seed \(seed): \(value) to \(digits) digits is \(text)")
    }
  }

  @Test func theDocumentedExamplesHold() {
    #expect(NumberText.fixed(0.5, places: 2) == "0.50")
    #expect(NumberText.fixed(-0.001, places: 2) == "0.00")
    #expect(NumberText.significant(1.90e-7) == "1.9e-7")
    #expect(NumberText.significant(9.996) == "10" && NumberText.significant(999_999) == "1e6")
    #expect(NumberText.significant(0.00012345) == "0.000123" && NumberText.significant(12345) == "12300")
    #expect(NumberText.significant(.nan) == "nan" && NumberText.fixed(.infinity, places: 1) == "inf")
  }

  private func withoutSignOfZero(_ text: String) -> String {
    text.hasPrefix("-") && !text.contains(where: { ("1"..."9").contains($0) }) ? String(text.dropFirst()) : text
  }
}
