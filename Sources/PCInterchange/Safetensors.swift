/// Named arrays in the safetensors format, which most tools for neural networks read.
///
/// ```swift
/// try Safetensors([weight, bias], metadata: ["seed": "7"]).write(to: "model.safetensors")
/// let weight = try Safetensors(path: "model.safetensors")["conv1.weight"]
/// ```
///
/// A file is the header's length (8 bytes), the header (JSON: for each name its type, shape and the range of its
/// bytes), then the numbers; everything is little-endian (https://github.com/huggingface/safetensors). Equal arrays
/// and metadata give equal bytes: nothing depends on the time, the machine or the order in which the arrays are
/// given.
public struct Safetensors: Sendable, Equatable {
  /// The arrays, in the order of the file's header.
  public var arrays: [NamedArray]
  /// Free text beside the arrays.
  public var metadata: [String: String]

  /// A file to write; names are checked when it is encoded.
  public init(_ arrays: [NamedArray], metadata: [String: String] = [:]) {
    self.arrays = arrays
    self.metadata = metadata
  }

  /// The first array of this name.
  public subscript(name: String) -> NamedArray? { arrays.first { $0.name == name } }

  private static let metadataKey = "__metadata__"
  /// The reference implementation's limit, which keeps a damaged length from asking for memory.
  private static let largestHeader = 100_000_000
}

// MARK: - Writing

extension Safetensors {
  /// The file's bytes.
  ///
  /// The header lists the arrays by name and is filled up with spaces to a multiple of 8 bytes. The numbers come
  /// widest type first, then by name, so every array begins at a multiple of its type's size and can be mapped into
  /// memory.
  ///
  /// - Throws: `FormatError` if two arrays share a name or one is named `__metadata__`.
  public func encoded(source: String = "The set of arrays") throws(FormatError) -> [UInt8] {
    var names: Set = [Self.metadataKey]
    for array in arrays where !names.insert(array.name).inserted {
      let isReserved = array.name == Self.metadataKey
      throw FormatError(source: source, isReserved ? .reservedName(array.name) : .duplicateName(array.name))
    }
    let sorted = arrays.sorted { precedes($0.name, $1.name) }
    var ranges: [String: Range<Int>] = [:]
    var data: [UInt8] = []
    for width in [8, 4, 1] {
      for array in sorted where array.values.elementType.byteCount == width {
        let start = data.count
        array.values.append(to: &data)
        ranges[array.name] = start..<data.count
      }
    }

    var entries: [String] = []
    if !metadata.isEmpty {
      let texts = metadata.sorted { precedes($0.key, $1.key) }.map { "\(jsonString($0.key)):\(jsonString($0.value))" }
      entries.append("\(jsonString(Self.metadataKey)):{\(texts.joined(separator: ","))}")
    }
    for array in sorted {
      guard let range = ranges[array.name] else { continue }
      let shape = array.shape.map(String.init).joined(separator: ",")
      entries.append(
        "\(jsonString(array.name)):{\"dtype\":\"\(array.values.elementType.safetensorsName)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(range.lowerBound),\(range.upperBound)]}")
    }
    var header = Array("{\(entries.joined(separator: ","))}".utf8)
    header += [UInt8](repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
    guard header.count <= Self.largestHeader else {
      throw FormatError(source: source, .headerLength(UInt64(header.count), limit: Self.largestHeader))
    }

    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + header.count + data.count)
    appendLittleEndian([UInt64(header.count)], to: &bytes)
    bytes += header
    bytes += data
    return bytes
  }

  /// Writes the file in such a way that a crash leaves either the old one or the new one, whole.
  ///
  /// - Throws: `FormatError` as `encoded` does, `FileError` if the file cannot be written.
  public func write(to path: String) throws {
    try writeFile(encoded(source: path), to: path)
  }
}

/// By the bytes of UTF-8, which no version of Unicode reorders.
private func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

/// A JSON string.
package func jsonString(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"", "\\": result += "\\\(scalar)"
    case "\0"..<" ":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

// MARK: - Reading

extension Safetensors {
  /// The arrays, in the header's order, and the metadata of a file.
  ///
  /// - Throws: `FileError` if the file cannot be read, `FormatError` if it is damaged or has other types than
  ///   F32, F64, I32, I64, U8 and BOOL.
  public init(path: String) throws {
    try self.init(decoding: readFile(path), source: path)
  }

  /// The arrays and metadata of a file's bytes; `source` is what errors call it.
  public init(decoding bytes: [UInt8], source: String) throws(FormatError) {
    func fail(_ problem: FormatError.Problem) -> FormatError { FormatError(source: source, problem) }

    guard bytes.count >= 8 else { throw fail(.truncated(expected: 8, found: bytes.count)) }
    let declared = bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard declared <= Self.largestHeader else {
      throw fail(.headerLength(declared, limit: Self.largestHeader))
    }
    let dataStart = 8 + Int(declared)
    guard bytes.count >= dataStart else { throw fail(.truncated(expected: dataStart, found: bytes.count)) }

    var entries: [Entry] = []
    var metadata: [String: String] = [:]
    var scanner = HeaderScanner(Array(bytes[8..<dataStart]), source: source)
    try scanner.object { key, scanner throws(FormatError) in
      if key == Self.metadataKey {
        try scanner.object { key, scanner throws(FormatError) in metadata[key] = try scanner.string() }
      } else {
        entries.append(try Entry(name: key, &scanner))
      }
    }
    try scanner.expectEnd()
    try Entry.check(entries, dataCount: bytes.count - dataStart, dataStart: dataStart, source: source)

    var arrays: [NamedArray] = []
    for entry in entries {
      let range = dataStart + entry.begin..<dataStart + entry.end
      guard let values = NamedArray.Values(entry.type, bytes: bytes[range]) else {
        throw fail(.badBool(array: entry.name))
      }
      arrays.append(NamedArray(name: entry.name, shape: entry.shape, values: values))
    }
    self.init(arrays, metadata: metadata)
  }

  /// What the header says of one array, checked on its own.
  private struct Entry {
    var name: String
    var type: ElementType
    var shape: [Int]
    /// In the data, whose first byte is 0.
    var begin: Int
    var end: Int

    init(name: String, _ scanner: inout HeaderScanner) throws(FormatError) {
      var typeName: String?
      var shape: [Int]?
      var offsets: [Int]?
      try scanner.object { key, scanner throws(FormatError) in
        switch key {
        case "dtype": typeName = try scanner.string()
        case "shape": shape = try scanner.integers()
        case "data_offsets": offsets = try scanner.integers()
        default: throw scanner.failure(expected: "dtype, shape or data_offsets")
        }
      }
      guard let typeName, let shape, let offsets, offsets.count == 2 else {
        throw scanner.failure(expected: "dtype, shape and two data_offsets before the end of the entry")
      }
      guard let type = ElementType.allCases.first(where: { $0.safetensorsName == typeName }) else {
        throw scanner.failure(.unsupportedType(array: name, type: typeName))
      }
      guard let size = elementCount(shape + [type.byteCount]) else {
        throw scanner.failure(.badShape(array: name, shape: shape))
      }
      guard offsets[0] <= offsets[1] else { throw scanner.failure(.reversedOffsets(array: name)) }
      guard offsets[1] - offsets[0] == size else {
        throw scanner.failure(.sizeDiffers(array: name, expected: size, found: offsets[1] - offsets[0]))
      }
      self.name = name
      self.type = type
      self.shape = shape
      begin = offsets[0]
      end = offsets[1]
    }

    /// Every byte of the data belongs to exactly one array.
    static func check(
      _ entries: [Entry], dataCount: Int, dataStart: Int, source: String
    ) throws(FormatError) {
      let sorted = entries.sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }
      let last = sorted.map(\.end).max() ?? 0
      guard last <= dataCount else {
        let expected = last.addingReportingOverflow(dataStart)
        throw FormatError(
          source: source,
          .truncated(expected: expected.overflow ? .max : expected.partialValue, found: dataStart + dataCount))
      }
      var covered = 0
      var previous = ""
      for entry in sorted {
        guard entry.begin >= covered else {
          throw FormatError(source: source, .overlap(array: entry.name, with: previous))
        }
        guard entry.begin == covered else { throw FormatError(source: source, .gap(offset: covered)) }
        covered = entry.end
        previous = entry.name
      }
      guard covered == dataCount else { throw FormatError(source: source, .gap(offset: covered)) }
    }
  }
}
