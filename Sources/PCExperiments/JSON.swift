import PCInterchange

/// A JSON value that keeps the order of its keys, for results that people and scripts read.
///
/// ```swift
/// print(JSON.object([("rule", .string("fixed")), ("accuracy", .number(0.97))]))   // {"rule":"fixed","accuracy":0.97}
/// ```
package indirect enum JSON: Sendable, CustomStringConvertible {
  case null
  /// A number or a truth value, as it is printed.
  case literal(String)
  case string(String)
  case array([JSON])
  case object([(key: String, value: JSON)])

  package static func bool(_ value: Bool) -> JSON { .literal("\(value)") }
  package static func integer(_ value: some FixedWidthInteger) -> JSON { .literal("\(value)") }

  /// The shortest text that reads back as `value`; `null` for infinity, NaN and nil, which JSON cannot say.
  package static func number(_ value: Double?) -> JSON {
    guard let value, value.isFinite else { return .null }
    return .literal("\(value)")
  }

  /// On one line.
  package var description: String { text(indentation: nil) }

  /// Over several lines, short arrays and objects on one.
  package var indented: String { text(indentation: 0) + "\n" }

  private func text(indentation: Int?) -> String {
    switch self {
    case .null: "null"
    case .literal(let text): text
    case .string(let text): jsonString(text)
    case .array(let values):
      join(values.map { $0.text(indentation: indentation.map { $0 + 2 }) }, "[", "]", indentation)
    case .object(let members):
      join(
        members.map { key, value in
          jsonString(key) + (indentation == nil ? ":" : ": ") + value.text(indentation: indentation.map { $0 + 2 })
        }, "{", "}", indentation)
    }
  }

  private func join(_ parts: [String], _ open: String, _ close: String, _ indentation: Int?) -> String {
    guard let indentation else { return open + parts.joined(separator: ",") + close }
    let line = open + parts.joined(separator: ", ") + close
    if indentation > 0 && line.count + indentation <= 100 && !line.contains("\n") { return line }
    let margin = "\n" + String(repeating: " ", count: indentation + 2)
    return open + margin + parts.joined(separator: "," + margin) + "\n" + String(repeating: " ", count: indentation)
      + close
  }
}
