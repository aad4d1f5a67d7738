/// Reads the text of a header: the little of JSON and of Python's literals that the formats use.
///
/// Neither nests beyond what the caller asks for, so no input can exhaust the stack.
struct HeaderScanner {
  private let bytes: [UInt8]
  private let source: String
  private var position = 0

  init(_ bytes: [UInt8], source: String) {
    self.bytes = bytes
    self.source = source
  }

  func failure(expected: String) -> FormatError {
    FormatError(source: source, .syntax(offset: position, expected: expected))
  }

  func failure(_ problem: FormatError.Problem) -> FormatError { FormatError(source: source, problem) }

  // MARK: Tokens

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  /// Moves past `token`, and past the space before it, if it comes next.
  mutating func skip(_ token: StaticString) -> Bool {
    skipSpace()
    let wanted = UnsafeBufferPointer(start: token.utf8Start, count: token.utf8CodeUnitCount)
    guard bytes[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  mutating func expect(_ token: StaticString) throws(FormatError) {
    guard skip(token) else { throw failure(expected: "\"\(token)\"") }
  }

  mutating func expectEnd() throws(FormatError) {
    skipSpace()
    guard position == bytes.count else { throw failure(expected: "the end") }
  }

  /// Digits that make an `Int`.
  mutating func integer() throws(FormatError) -> Int {
    skipSpace()
    let digits = bytes[position...].prefix { (0x30...0x39).contains($0) }
    guard let value = Int(String(decoding: digits, as: UTF8.self)) else {
      throw failure(expected: "an integer from 0 to \(Int.max)")
    }
    position += digits.count
    return value
  }

  /// What `element` reads, once or more with commas between, up to `close`; nothing if `close` comes first. Python
  /// also allows a comma after the last one.
  mutating func list(
    upTo close: StaticString, trailingComma: Bool = false,
    element: (inout HeaderScanner) throws(FormatError) -> Void
  ) throws(FormatError) {
    if skip(close) { return }
    repeat {
      try element(&self)
      if skip(close) { return }
      try expect(",")
    } while !(trailingComma && skip(close))
  }

  // MARK: JSON

  /// A JSON object; `value` reads the value of each key. No key may come twice.
  mutating func object(
    value: (_ key: String, inout HeaderScanner) throws(FormatError) -> Void
  ) throws(FormatError) {
    var keys: Set<String> = []
    try expect("{")
    try list(upTo: "}") { scanner throws(FormatError) in
      let key = try scanner.string()
      guard keys.insert(key).inserted else { throw scanner.failure(.duplicateName(key)) }
      try scanner.expect(":")
      try value(key, &scanner)
    }
  }

  mutating func integers() throws(FormatError) -> [Int] {
    var result: [Int] = []
    try expect("[")
    try list(upTo: "]") { scanner throws(FormatError) in result.append(try scanner.integer()) }
    return result
  }

  /// A JSON string of well-formed UTF-8, its escapes undone.
  mutating func string() throws(FormatError) -> String {
    try expect("\"")
    var units: [UInt8] = []
    while true {
      guard position < bytes.count, bytes[position] >= 0x20 else { throw failure(expected: "\"\"\"") }
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: units, as: UTF8.self) else { throw failure(expected: "UTF-8 text") }
        return text
      case UInt8(ascii: "\\"): units += try escape()
      default: units.append(byte)
      }
    }
  }

  /// The UTF-8 of the escape whose backslash has been read.
  private mutating func escape() throws(FormatError) -> [UInt8] {
    guard position < bytes.count else { throw failure(expected: "an escape") }
    position += 1
    switch bytes[position - 1] {
    case UInt8(ascii: "\""): return [0x22]
    case UInt8(ascii: "\\"): return [0x5C]
    case UInt8(ascii: "/"): return [0x2F]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var units = [try hexadecimalUnit()]
      if UTF16.isLeadSurrogate(units[0]) {
        guard bytes[position...].starts(with: "\\u".utf8) else { throw failure(expected: "a low surrogate") }
        position += 2
        units.append(try hexadecimalUnit())
      }
      guard let text = String(validating: units, as: UTF16.self) else {
        throw failure(expected: "a pair of surrogates")
      }
      return Array(text.utf8)
    default:
      position -= 1
      throw failure(expected: "an escape")
    }
  }

  private mutating func hexadecimalUnit() throws(FormatError) -> UInt16 {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4, digits.first != UInt8(ascii: "+"), digits.first != UInt8(ascii: "-"),
      let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure(expected: "four hexadecimal digits") }
    position += 4
    return unit
  }

  // MARK: Python

  /// A string in single or double quotes without escapes, which the keys and types of NumPy's headers never need.
  mutating func pythonString() throws(FormatError) -> String {
    let quote: UInt8 = skip("'") ? 0x27 : 0x22
    if quote == 0x22 { try expect("\"") }
    let text = bytes[position...].prefix { $0 != quote && $0 != 0x5C && (0x20..<0x7F).contains($0) }
    position += text.count
    guard position < bytes.count, bytes[position] == quote else { throw failure(expected: "a quotation mark") }
    position += 1
    return String(decoding: text, as: UTF8.self)
  }

  mutating func pythonBool() throws(FormatError) -> Bool {
    if skip("True") { return true }
    guard skip("False") else { throw failure(expected: "True or False") }
    return false
  }

  /// A tuple of integers.
  mutating func pythonTuple() throws(FormatError) -> [Int] {
    var result: [Int] = []
    try expect("(")
    try list(upTo: ")", trailingComma: true) { scanner throws(FormatError) in result.append(try scanner.integer()) }
    return result
  }
}
