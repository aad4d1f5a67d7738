/// How much room text takes, without a font at hand.
///
/// Widths are those of DejaVu Sans and Verdana, the widest sans-serifs in common use: boxes made for text hold it in any.
enum TextMetrics {
  /// The width in pixels of `text` set in `size` pixels.
  static func width(_ text: String, size: Double, bold: Bool = false) -> Double {
    size * (bold ? 1.12 : 1) * text.reduce(0) { $0 + advance($1) }
  }

  /// `text` broken at spaces into as few lines as possible, of about equal length and no wider than `limit` (except
  /// where one word is).
  static func lines(_ text: String, size: Double, bold: Bool = false, width limit: Double) -> [String] {
    let greedy = broken(text, size: size, bold: bold, width: limit)
    guard greedy.count > 1 else { return greedy }
    // The narrowest measure that needs no more lines, to a hundredth of the limit.
    var balanced = greedy
    for percent in stride(from: 99.0, to: 0, by: -1) {
      let narrower = broken(text, size: size, bold: bold, width: limit * percent / 100)
      guard narrower.count == greedy.count else { break }
      balanced = narrower
    }
    return balanced
  }

  private static func broken(_ text: String, size: Double, bold: Bool, width limit: Double) -> [String] {
    var lines: [String] = []
    for word in text.split(whereSeparator: \.isWhitespace) {
      if let last = lines.last, width(last + " " + word, size: size, bold: bold) <= limit {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }

  /// `text`, or as much of it as fits into `width` with an ellipsis.
  static func clipped(_ text: String, size: Double, bold: Bool = false, width limit: Double) -> String {
    guard width(text, size: size, bold: bold) > limit else { return text }
    var kept = Substring(text)
    while !kept.isEmpty && width(kept + "…", size: size, bold: bold) > limit { kept.removeLast() }
    return kept + "…"
  }

  /// The columns that `text` takes in a terminal: two for East Asian wide characters and emoji, none for combining marks.
  static func columns(_ text: String) -> Int {
    text.reduce(0) { $0 + ($1.unicodeScalars.first.map(columns) ?? 0) }
  }

  private static func columns(_ scalar: Unicode.Scalar) -> Int {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x300...0x36F, 0x200B...0x200F, 0xFE00...0xFE0F: 0
    case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
      0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1FAFF, 0x20000...0x3FFFD:
      2
    default: 1
    }
  }

  /// The width of a digit in units of the font size, and of most lowercase letters.
  static let digit = 0.625

  /// In units of the font size.
  private static func advance(_ character: Character) -> Double {
    switch character {
    case "i", "j", "l", "I", "'", "|", "!", ".", ",", ":", ";", "·", "\u{2009}": 0.32
    case "f", "t", "r", " ", "(", ")", "[", "]", "/", "-", "\"": 0.41
    case "m", "M", "W", "%", "@", "…", "—": 1
    case "w", "→", "≤", "≥": 0.84
    default: columns(String(character)) == 2 ? 1.1 : character.isUppercase ? 0.73 : digit
    }
  }
}
