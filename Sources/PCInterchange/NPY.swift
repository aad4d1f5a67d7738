// NumPy's format for one array: "\x93NUMPY", a version, the header's length, a Python dictionary with the type, the
// order and the shape, then the elements (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).

private let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

extension NamedArray {
  /// The array of a `.npy` file: little-endian float32, float64, int32 or int64, or uint8 or bool, in row-major
  /// order.
  ///
  /// - Parameter name: what the array is called here, because the file does not say.
  /// - Throws: `FileError` if the file cannot be read, `FormatError` if it is damaged or holds something else.
  public init(npyPath path: String, name: String) throws {
    try self.init(decodingNPY: readFile(path), name: name, source: path)
  }

  /// The array of the bytes of a `.npy` file; `source` is what errors call it.
  public init(decodingNPY bytes: [UInt8], name: String, source: String) throws(FormatError) {
    func fail(_ problem: FormatError.Problem) -> FormatError { FormatError(source: source, problem) }

    guard bytes.starts(with: magic) else { throw fail(.badMagic(format: "npy")) }
    guard bytes.count >= 8 else { throw fail(.truncated(expected: 8, found: bytes.count)) }
    let version = Int(bytes[6])
    guard 1...3 ~= version else { throw fail(.unknownVersion(version)) }
    let headerStart = version == 1 ? 10 : 12
    guard bytes.count >= headerStart else { throw fail(.truncated(expected: headerStart, found: bytes.count)) }
    let dataStart = headerStart + bytes[8..<headerStart].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard bytes.count >= dataStart else { throw fail(.truncated(expected: dataStart, found: bytes.count)) }

    var scanner = HeaderScanner(Array(bytes[headerStart..<dataStart]), source: source)
    var typeName: String?
    var isColumnMajor: Bool?
    var shape: [Int]?
    try scanner.expect("{")
    try scanner.list(upTo: "}", trailingComma: true) { scanner throws(FormatError) in
      let key = try scanner.pythonString()
      try scanner.expect(":")
      switch key {
      case "descr": typeName = try scanner.pythonString()
      case "fortran_order": isColumnMajor = try scanner.pythonBool()
      case "shape": shape = try scanner.pythonTuple()
      default: throw scanner.failure(expected: "descr, fortran_order or shape")
      }
    }
    guard let typeName, let isColumnMajor, let shape else {
      throw scanner.failure(expected: "descr, fortran_order and shape before the end of the dictionary")
    }
    try scanner.expectEnd()

    guard let type = ElementType.allCases.first(where: { $0.numpyName == typeName }) else {
      throw fail(.unsupportedType(array: name, type: typeName))
    }
    guard !isColumnMajor || shape.count < 2 else { throw fail(.columnMajor) }
    guard let size = elementCount(shape + [type.byteCount]), size <= .max - dataStart else {
      throw fail(.badShape(array: name, shape: shape))
    }
    let end = dataStart + size
    guard bytes.count >= end else { throw fail(.truncated(expected: end, found: bytes.count)) }
    guard bytes.count == end else { throw fail(.oversized(expected: end, found: bytes.count)) }
    guard let values = Values(type, bytes: bytes[dataStart...]) else { throw fail(.badBool(array: name)) }
    self.init(name: name, shape: shape, values: values)
  }

  /// The bytes of a `.npy` file of this array, version 1.0; the data begin at a multiple of 64 bytes, as NumPy has
  /// it.
  public func npyEncoded() -> [UInt8] {
    guard shape.count <= 64 else {
      fatalError("NamedArray.npyEncoded: NumPy allows 64 dimensions, not the \(shape.count) of \(name).")
    }
    // A tuple of one element needs its comma.
    let dimensions = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let dictionary =
      "{'descr': '\(values.elementType.numpyName)', 'fortran_order': False, 'shape': (\(dimensions)), }"
    var header = Array(dictionary.utf8)
    header += [UInt8](repeating: UInt8(ascii: " "), count: 63 - (10 + header.count) % 64)
    header.append(UInt8(ascii: "\n"))

    var bytes = magic + [1, 0]
    appendLittleEndian([UInt16(header.count)], to: &bytes)
    bytes += header
    values.append(to: &bytes)
    return bytes
  }

  /// Writes a `.npy` file in such a way that a crash leaves either the old one or the new one, whole.
  ///
  /// - Throws: `FileError` if it cannot be written.
  public func writeNPY(to path: String) throws(FileError) {
    try writeFile(npyEncoded(), to: path)
  }
}
