import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// An element as Foundation's XML parser read it: an opinion on our markup from someone else.
final class XMLElementTree {
  let name: String
  let attributes: [String: String]
  var children: [XMLElementTree] = []
  /// All text inside, in order, elements within included.
  var text = ""

  init(name: String, attributes: [String: String]) {
    self.name = name
    self.attributes = attributes
  }

  var descendants: [XMLElementTree] { children + children.flatMap(\.descendants) }

  func all(_ name: String, class wanted: String? = nil) -> [XMLElementTree] {
    descendants.filter { element in
      element.name == name
        && (wanted.map { (element.attributes["class"] ?? "").split(separator: " ").contains(Substring($0)) } ?? true)
    }
  }

  func number(_ attribute: String) -> Double {
    guard let value = attributes[attribute].flatMap(Double.init) else {
      Issue.record("<\(name)> has no number in \(attribute): \(attributes)")
      return .nan
    }
    return value
  }

  /// Nil, with a recorded issue, if `document` is not well-formed.
  static func parse(_ document: String, sourceLocation: SourceLocation = #_sourceLocation) -> XMLElementTree? {
    let parser = XMLParser(data: Data(document.utf8))
    let builder = Builder()
    parser.delegate = builder
    guard parser.parse(), let root = builder.root else {
      Issue.record(
        "Not well-formed, line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "no root")\n\(document.prefix(3000))",
        sourceLocation: sourceLocation)
      return nil
    }
    return root
  }

  private final class Builder: NSObject, XMLParserDelegate {
    var root: XMLElementTree?
    var open: [XMLElementTree] = []

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) {
      let element = XMLElementTree(name: name, attributes: attributes)
      open.last?.children.append(element)
      if open.isEmpty { root = element }
      open.append(element)
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
      open.removeLast()
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
      for element in open { element.text += string }
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same cases in every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  init(seed: Int) { state = UInt64(truncatingIfNeeded: seed) }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// The points at which an SVG path with the commands M, L and C (absolute) starts, bends and ends, curves sampled.
func pathPoints(_ path: String, samples: Int = 24) -> [(x: Double, y: Double)] {
  var points: [(x: Double, y: Double)] = []
  var command: Character = "M"
  var numbers: [Double] = []
  func flush() {
    let pairs = stride(from: 0, to: numbers.count - 1, by: 2).map { (x: numbers[$0], y: numbers[$0 + 1]) }
    numbers = []
    switch command {
    case "C":
      guard pairs.count == 3, let start = points.last else {
        Issue.record("Bad curve in \(path)")
        return
      }
      for step in 1...samples {
        let t = Double(step) / Double(samples)
        let s = 1 - t
        let weights = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t]
        let controls = [start] + pairs
        points.append(
          (
            zip(weights, controls).reduce(0) { $0 + $1.0 * $1.1.x },
            zip(weights, controls).reduce(0) { $0 + $1.0 * $1.1.y }
          ))
      }
    default: points += pairs
    }
  }
  var token = ""
  for character in path + "Z" {
    if character.isLetter || character == " " || character == "," {
      if let number = Double(token) { numbers.append(number) }
      token = ""
      if character.isLetter {
        flush()
        command = character
      }
    } else {
      token.append(character)
    }
  }
  return points
}
