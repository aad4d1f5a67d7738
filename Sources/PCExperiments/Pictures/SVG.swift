/// A drawing: elements on a canvas whose unit is the CSS pixel, with a title and a description for those who cannot see it.
///
/// Colours come as attributes for viewers without style sheets, and as classes by which a page can restyle them: a class
/// sets `color`, and shapes are painted in `currentColor`. So one drawing serves print, light and dark pages.
public struct SVG: Sendable {
  /// The canvas's natural width in CSS pixels.
  public let width: Double
  /// The canvas's natural height in CSS pixels.
  public let height: Double
  /// What a screen reader announces; one sentence.
  public let title: String
  /// What the drawing shows, for someone who cannot see it.
  public let summary: String
  /// What is drawn, later elements above earlier ones; (0, 0) is the upper left corner.
  public let elements: [Markup]

  /// A drawing of these elements.
  public init(width: Double, height: Double, title: String, summary: String, elements: [Markup]) {
    self.width = width
    self.height = height
    self.title = title
    self.summary = summary
    self.elements = elements
  }

  /// A complete file, with a white margin and background; of its natural size unless the window is narrower.
  public var document: String {
    let margin = 14.0
    let (outerWidth, outerHeight) = (Self.number(width + 2 * margin), Self.number(height + 2 * margin))
    let corner = Self.number(-margin)
    let background = Markup.element(
      "rect", ["x": corner, "y": corner, "width": outerWidth, "height": outerHeight, "fill": Ink.paperLight])
    let root = element(
      width: outerWidth, height: outerHeight, viewBox: "\(corner) \(corner) \(outerWidth) \(outerHeight)",
      style: "max-width:100%;height:auto", background: [background])
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\(root)\n"
  }

  /// An element for an HTML page: as wide as its column, but neither wider than its natural size nor so narrow that its
  /// text could not be read; a column narrower than that has to scroll.
  public var markup: Markup {
    element(
      width: "100%", height: nil, viewBox: "0 0 \(Self.number(width)) \(Self.number(height))",
      style: "max-width:\(Self.number(width))px;min-width:\(Self.number(width * 0.6))px", background: [])
  }

  private func element(
    width: String, height: String?, viewBox: String, style: String, background: [Markup]
  ) -> Markup {
    let words: [Markup] = [.element("title", [:], [.text(title)]), .element("desc", [:], [.text(summary)])]
    return .element(
      "svg",
      [
        "xmlns": "http://www.w3.org/2000/svg", "role": "img", "width": width, "height": height, "viewBox": viewBox,
        "style": style, "font-family": Self.fonts, "font-size": "13",
      ], words + background + elements)
  }

  static let fonts = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
}

// MARK: Elements

extension SVG {
  /// A coordinate or length, to a hundredth of a pixel.
  static func number(_ value: Double) -> String {
    NumberText.withoutTrailingZeros(NumberText.fixed(value, places: 2))
  }

  /// Children painted in one colour of the palette.
  static func group(_ ink: Ink, _ children: [Markup]) -> Markup {
    .element("g", ["class": ink.name, "color": ink.light], children)
  }

  enum Anchor: String { case start, middle, end }

  static func text(
    _ string: String, x: Double, y: Double, anchor: Anchor = .start, size: Double? = nil, bold: Bool = false,
    class name: String? = nil
  ) -> Markup {
    .element(
      "text",
      [
        "class": name, "x": number(x), "y": number(y), "fill": "currentColor",
        "text-anchor": anchor == .start ? nil : anchor.rawValue, "font-size": size.map(number),
        "font-weight": bold ? "600" : nil,
      ], [.text(string)])
  }

  static func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, width: Double = 1, dash: String? = nil,
    opacity: Double? = nil
  ) -> Markup {
    .element(
      "line",
      [
        "x1": number(x1), "y1": number(y1), "x2": number(x2), "y2": number(y2), "stroke": "currentColor",
        "stroke-width": number(width), "stroke-dasharray": dash, "stroke-opacity": opacity.map(number),
      ])
  }
}
