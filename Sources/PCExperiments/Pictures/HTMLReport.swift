/// A page that needs nothing but itself: no scripts, no fonts, no connection.
///
/// ```swift
/// let page = HTMLReport(
///   title: "Three rules on digits", lead: "Fixed predictions reach backprop's accuracy.",
///   sections: [.init("Accuracy", [.figure(chart.svg, caption: "Mean of five seeds."), .table(table, caption: "The last epoch.")])])
/// let file = page.document
/// ```
///
/// All text is plain and is escaped; words between backquotes are set as code. Figures and tables are numbered through
/// the page. It follows the reader's light or dark mode, and prints in light.
public struct HTMLReport: Sendable {
  /// A part of a section, set below the one before it.
  public enum Block: Sendable {
    /// Running text.
    case paragraph(String)
    /// Items with bullets.
    case list([String])
    /// Numbered "Figure 1." and so on.
    case figure(SVG, caption: String)
    /// Numbered "Table 1." and so on.
    case table(ResultTable, caption: String)
    /// Short facts by name: command, seed, commit, processor.
    case facts([(name: String, value: String)])
    /// Lines shown as they are: a log, a configuration.
    case listing(String)
    /// Folded away until the reader opens it; printers print it only if open.
    indirect case details(summary: String, [Block])
  }

  /// A heading with what belongs under it.
  public struct Section: Sendable {
    /// Linked to as `#section-1`, `#section-2`, … in the order of the page.
    public var heading: String
    /// In reading order.
    public var blocks: [Block]

    /// A section of these blocks.
    public init(_ heading: String, _ blocks: [Block]) {
      self.heading = heading
      self.blocks = blocks
    }
  }

  /// The page's first heading and the browser's title.
  public var title: String
  /// The findings in a few sentences, set larger than the rest; empty for none.
  public var lead: String
  /// In reading order.
  public var sections: [Section]
  /// The language of the text, for hyphenation and screen readers.
  public var language: String

  /// A page in English unless `language`, a tag such as `de`, says otherwise.
  public init(title: String, lead: String, sections: [Section], language: String = "en") {
    self.title = title
    self.lead = lead
    self.sections = sections
    self.language = language
  }

  /// The file: HTML 5 in UTF-8.
  public var document: String {
    var numbering = Numbering()
    let head: [Markup] = [
      .element("meta", ["charset": "utf-8"]),
      .element("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
      .element("meta", ["name": "color-scheme", "content": "light dark"]),
      // An empty icon, lest the browser ask for one that is not there.
      .element("link", ["rel": "icon", "href": "data:,"]),
      .element("title", [:], [.text(title)]),
      .element("style", [:], [.verbatim(Self.styleSheet)]),
    ]
    let header =
      [Markup.element("h1", [:], [.text(title)])]
      + (lead.isEmpty ? [] : [.element("p", ["class": "lead"], Self.prose(lead))])
    let body = sections.enumerated().map { index, section in
      Markup.element(
        "section", ["id": "section-\(index + 1)"],
        [.element("h2", [:], Self.prose(section.heading))] + section.blocks.map { $0.markup(&numbering) })
    }
    let main = Markup.element("main", [:], [.element("header", [:], header)] + contents + body)
    let page = Markup.element(
      "html", ["lang": language], [.element("head", [:], head), .element("body", [:], [main])])
    return "<!DOCTYPE html>\n\(page)\n"
  }

  /// Links to the sections, once there are too many to see at a glance.
  private var contents: [Markup] {
    guard sections.count >= 5 else { return [] }
    let items = sections.enumerated().map { index, section in
      Markup.element("li", [:], [.element("a", ["href": "#section-\(index + 1)"], Self.prose(section.heading))])
    }
    return [.element("nav", ["aria-label": "Contents"], [.element("ol", [:], items)])]
  }

  /// Text with every second stretch between backquotes as code; one without a partner is a character like any other.
  fileprivate static func prose(_ text: String) -> [Markup] {
    var parts = text.split(separator: "`", omittingEmptySubsequences: false).map(String.init)
    if parts.count % 2 == 0 {
      let tail = parts.removeLast()
      parts[parts.count - 1] += "`" + tail
    }
    return parts.enumerated().filter { !$1.isEmpty }.map { index, part in
      index % 2 == 0 ? .text(part) : .element("code", [:], [.text(part)])
    }
  }
}

// MARK: Blocks

extension HTMLReport {
  fileprivate struct Numbering {
    var figures = 0
    var tables = 0
  }
}

extension HTMLReport.Block {
  fileprivate func markup(_ numbering: inout HTMLReport.Numbering) -> Markup {
    switch self {
    case .paragraph(let text): return .element("p", [:], HTMLReport.prose(text))
    case .list(let items): return .element("ul", [:], items.map { .element("li", [:], HTMLReport.prose($0)) })
    case .figure(let drawing, let caption):
      numbering.figures += 1
      let label = Markup.element("b", [:], [.text("Figure \(numbering.figures).")])
      return .element(
        "figure", [:],
        [
          .element("div", ["class": "wide"], [drawing.markup]),
          .element("figcaption", [:], [label, .text(" ")] + HTMLReport.prose(caption)),
        ])
    case .table(let table, let caption):
      numbering.tables += 1
      let label = Markup.element("b", [:], [.text("Table \(numbering.tables).")])
      let words = Markup.element("caption", [:], [label, .text(" ")] + HTMLReport.prose(caption))
      return .element("div", ["class": "table wide"], [table.markup(caption: words)])
    case .facts(let facts):
      return .element(
        "dl", [:],
        facts.flatMap { fact -> [Markup] in
          [.element("dt", [:], HTMLReport.prose(fact.name)), .element("dd", [:], HTMLReport.prose(fact.value))]
        })
    case .listing(let text): return .element("pre", ["tabindex": "0"], [.element("code", [:], [.text(text)])])
    case .details(let summary, let blocks):
      var inner: [Markup] = []
      for block in blocks { inner.append(block.markup(&numbering)) }
      return .element("details", [:], [.element("summary", [:], HTMLReport.prose(summary))] + inner)
    }
  }
}

extension ResultTable {
  fileprivate func markup(caption: Markup) -> Markup {
    func style(_ column: Int) -> String? { isNumeric(column) ? "number" : nil }
    let header = columns.indices.map { column in
      Markup.element("th", ["scope": "col", "class": style(column)], HTMLReport.prose(columns[column].title))
    }
    let tailWidths = columns.indices.map { column in
      rows.map { column < $0.count ? TextMetrics.width(parts(of: $0[column], in: column).tail, size: 1) : 0 }.max()
        ?? 0
    }
    func cell(_ text: String, _ column: Int) -> Markup {
      guard tailWidths[column] > 0 else { return .element("td", ["class": style(column)], HTMLReport.prose(text)) }
      let parts = self.parts(of: text, in: column)
      let width = NumberText.fixed(tailWidths[column] / TextMetrics.digit, places: 1)
      let tail = Markup.element("span", ["class": "tail", "style": "min-width:\(width)ch"], [.text(parts.tail)])
      return .element("td", ["class": style(column)], [.text(parts.head), tail])
    }
    let body = rows.map { row in
      Markup.element("tr", [:], columns.indices.map { cell($0 < row.count ? row[$0] : "", $0) })
    }
    return .element(
      "table", [:],
      [caption, .element("thead", [:], [.element("tr", [:], header)]), .element("tbody", [:], body)])
  }
}

// MARK: Style

extension HTMLReport {
  fileprivate static let styleSheet = """

    :root { --paper: \(Ink.paperLight); --tint: #f5f6f7;\(variables(\.light)) }
    @media screen and (prefers-color-scheme: dark) {
      :root { --paper: \(Ink.paperDark); --tint: #1e2125;\(variables(\.dark)) }
    }
    \(Ink.all.map { ".\($0.name) { color: var(--\($0.name)) }" }.joined(separator: "\n"))
    .halo { stroke: var(--paper) }
    html { background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
    body { margin: 0; font: 17px/1.55 \(SVG.fonts); text-rendering: optimizeLegibility }
    main { max-width: 860px; margin: 0 auto; padding: 3.5rem 1.5rem 5rem }
    h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 0.8rem; text-wrap: balance }
    h2 { font-size: 1.3rem; line-height: 1.3; letter-spacing: -0.005em; margin: 3rem 0 0.8rem; text-wrap: balance }
    p, ul { max-width: 42rem; margin: 0 0 1rem; text-wrap: pretty; hanging-punctuation: first last }
    ul { padding-left: 1.3rem }
    li { margin: 0.2rem 0 }
    .lead { font-size: 1.18rem; line-height: 1.5; color: var(--muted); margin-bottom: 1.5rem }
    a { color: var(--data0); text-underline-offset: 0.15em }
    nav { border-top: 1px solid var(--grid); border-bottom: 1px solid var(--grid); padding: 0.7rem 0; font-size: 0.94rem }
    nav ol { margin: 0; padding-left: 1.6rem; columns: 2 16rem }
    nav li { margin: 0; padding: 0.1rem 0; break-inside: avoid }
    figure { margin: 1.8rem 0 2.2rem }
    figure svg { display: block; height: auto; margin: 0 auto }
    figcaption, caption { font-size: 0.88rem; line-height: 1.45; color: var(--muted); text-align: left; max-width: 48rem }
    figcaption { margin-top: 0.9rem }
    figcaption b, caption b { color: var(--ink); font-weight: 600 }
    .wide { overflow-x: auto }
    .table { margin: 1.8rem 0 2.2rem }
    table { border-collapse: collapse; font-size: 0.94rem; line-height: 1.4; font-variant-numeric: tabular-nums lining-nums;
      border-bottom: 1.5px solid var(--ink) }
    caption { padding-bottom: 0.6rem }
    th, td { text-align: left; vertical-align: baseline; padding: 0.34rem 1.6rem 0.34rem 0 }
    th:last-child, td:last-child { padding-right: 0 }
    th { font-weight: 600; border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); vertical-align: bottom }
    tr + tr td { border-top: 1px solid var(--grid) }
    .number { text-align: right; white-space: nowrap }
    .tail { display: inline-block; text-align: left; white-space: pre }
    dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.4rem; margin: 1.2rem 0 1.6rem; font-size: 0.94rem }
    dt { color: var(--muted) }
    dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
    code { font: 0.88em/1.4 ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace }
    p code, dd code, li code, td code { background: var(--tint); border-radius: 3px; padding: 0.1em 0.3em }
    pre { background: var(--tint); border-radius: 6px; padding: 0.9rem 1.1rem; overflow-x: auto; margin: 1.2rem 0;
      white-space: pre-wrap }
    details { border-top: 1px solid var(--grid); border-bottom: 1px solid var(--grid); margin: 1.4rem 0; padding: 0.6rem 0 }
    details + details { border-top: 0; margin-top: -1.4rem }
    summary { cursor: pointer; font-weight: 600; font-size: 0.94rem }
    details[open] summary { margin-bottom: 0.9rem }
    @media (max-width: 520px) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: 0.5rem } }
    @media print {
      @page { margin: 18mm }
      body { font-size: 10.5pt }
      main { max-width: none; padding: 0 }
      h2 { break-after: avoid; margin-top: 1.6rem }
      figure, .table, tr, dl { break-inside: avoid }
      figure svg { min-width: 0 !important; max-height: 215mm }
      .wide, pre { overflow: visible }
      .wide table { font-size: 8pt; width: auto }
      .wide :is(th, td) { padding-inline: 0.35em }
      * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
    }

    """

  private static func variables(_ shade: KeyPath<Ink, String>) -> String {
    Ink.all.map { " --\($0.name): \($0[keyPath: shade]);" }.joined()
  }
}
