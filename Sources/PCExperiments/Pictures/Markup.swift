/// A tree of elements and text that prints as XML and, in the same characters, as HTML.
///
/// ```swift
/// let line = Markup.element("p", ["class": "note"], [.text("a < b")])
/// print(line)   // <p class="note">a &lt; b</p>
/// ```
public enum Markup: Sendable, CustomStringConvertible {
  case element(String, Attributes = [:], [Markup] = [])
  /// Characters to be read as they stand; escaped when printed.
  case text(String)
  /// Characters printed without escaping: style sheets, which HTML does not unescape. Must contain neither `<` nor `&`.
  case verbatim(String)

  /// Names and values in the order of printing; one whose value is nil is left out.
  public struct Attributes: Sendable, ExpressibleByDictionaryLiteral {
    var pairs: [(name: String, value: String?)]

    public init(dictionaryLiteral elements: (String, String?)...) {
      pairs = elements.map { (name: $0.0, value: $0.1) }
    }
  }

  public var description: String {
    var output = ""
    write(to: &output, indentation: "")
    return output
  }

  /// Elements that never have content; all others get a closing tag, since HTML ignores `/>` on them.
  private static let childless: Set<String> = [
    "br", "circle", "line", "link", "meta", "path", "polygon", "polyline", "rect",
  ]

  /// Elements whose children may stand on lines of their own; in all others a line break would show, as a space or worse.
  private static let containers: Set<String> = [
    "body", "details", "div", "dl", "figure", "g", "head", "header", "html", "main", "nav", "ol", "section", "svg",
    "table", "tbody", "thead", "tr", "ul",
  ]

  /// - Parameter indentation: nil inside running text.
  private func write(to output: inout String, indentation: String?) {
    switch self {
    case .text(let text): Self.escape(text, inAttribute: false, to: &output)
    case .verbatim(let text): output += text
    case .element(let name, let attributes, let children):
      output += "<" + name
      for case (let key, let value?) in attributes.pairs {
        output += " " + key + "=\""
        Self.escape(value, inAttribute: true, to: &output)
        output += "\""
      }
      if children.isEmpty && Self.childless.contains(name) {
        output += "/>"
        return
      }
      output += ">"
      let isContainer = Self.containers.contains(name) && children.allSatisfy(\.isElement)
      let inner = isContainer ? indentation.map { $0 + "  " } : nil
      for child in children {
        if let inner { output += "\n" + inner }
        child.write(to: &output, indentation: inner)
      }
      if let indentation, inner != nil, !children.isEmpty { output += "\n" + indentation }
      output += "</" + name + ">"
    }
  }

  private var isElement: Bool {
    if case .element = self { true } else { false }
  }

  private static func escape(_ text: String, inAttribute: Bool, to output: inout String) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": output += "&amp;"
      case "<": output += "&lt;"
      case ">": output += "&gt;"
      case "\"" where inAttribute: output += "&quot;"
      case "\n" where inAttribute: output += "&#10;"
      case "\t", "\n": output.unicodeScalars.append(scalar)
      // XML 1.0 has no way at all to write these characters.
      case "\u{0}"..<"\u{20}", "\u{FFFE}", "\u{FFFF}": output += "\u{FFFD}"
      default: output.unicodeScalars.append(scalar)
      }
    }
  }
}
