/// Numbers with a name and a shape: what a checkpoint or a file of weights is made of.
public struct NamedArray: Sendable, Equatable {
  /// A parameter's path, or what a file calls it.
  public let name: String
  /// The dimensions, outermost first; [] for a single number.
  public let shape: [Int]
  /// The numbers in row-major order.
  public let values: Values

  /// The numbers, in the precision that a file keeps.
  public enum Values: Sendable, Equatable {
    /// 32-bit floating point: `F32` in safetensors, `<f4` in npy.
    case float32([Float])
    /// 64-bit floating point: `F64`, `<f8`.
    case float64([Double])
    /// 32-bit integers with a sign: `I32`, `<i4`.
    case int32([Int32])
    /// 64-bit integers with a sign: `I64`, `<i8`.
    case int64([Int64])
    /// Bytes: `U8`, `|u1`.
    case uint8([UInt8])
    /// Truth values, a byte each: `BOOL`, `|b1`.
    case bool([Bool])
  }

  /// Stops unless there are as many values as the product of the shape.
  public init(name: String, shape: [Int], values: Values) {
    guard elementCount(shape) == values.count else {
      fatalError("NamedArray \(name): \(values.count) values do not fill the shape \(shape).")
    }
    self.name = name
    self.shape = shape
    self.values = values
  }
}

extension NamedArray.Values {
  /// How many numbers there are.
  public var count: Int {
    switch self {
    case .float32(let values): values.count
    case .float64(let values): values.count
    case .int32(let values): values.count
    case .int64(let values): values.count
    case .uint8(let values): values.count
    case .bool(let values): values.count
    }
  }

  /// The numbers as `Double`, which is exact but for 64-bit integers beyond 2⁵³; truth is 1.
  public var doubles: [Double] {
    switch self {
    case .float32(let values): values.map(Double.init)
    case .float64(let values): values
    case .int32(let values): values.map(Double.init)
    case .int64(let values): values.map(Double.init)
    case .uint8(let values): values.map(Double.init)
    case .bool(let values): values.map { $0 ? 1 : 0 }
    }
  }
}

/// The product of a shape's dimensions, 1 for none; nil if one is negative or the product overflows.
package func elementCount(_ shape: [Int]) -> Int? {
  var product = 1
  for dimension in shape {
    let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
    guard dimension >= 0, !overflow else { return nil }
    product = next
  }
  return product
}

// MARK: - Bytes

/// The types of number that files have here, under the names that formats give them.
enum ElementType: CaseIterable {
  case float32, float64, int32, int64, uint8, bool

  var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .uint8, .bool: 1
    }
  }

  var safetensorsName: String {
    switch self {
    case .float32: "F32"
    case .float64: "F64"
    case .int32: "I32"
    case .int64: "I64"
    case .uint8: "U8"
    case .bool: "BOOL"
    }
  }

  /// NumPy's type string: byte order (irrelevant to single bytes), kind, size.
  var numpyName: String {
    switch self {
    case .float32: "<f4"
    case .float64: "<f8"
    case .int32: "<i4"
    case .int64: "<i8"
    case .uint8: "|u1"
    case .bool: "|b1"
    }
  }
}

extension NamedArray.Values {
  var elementType: ElementType {
    switch self {
    case .float32: .float32
    case .float64: .float64
    case .int32: .int32
    case .int64: .int64
    case .uint8: .uint8
    case .bool: .bool
    }
  }

  /// The numbers as a file keeps them.
  package var littleEndianBytes: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  /// Appends the numbers in little-endian order.
  func append(to bytes: inout [UInt8]) {
    switch self {
    case .float32(let values): appendLittleEndian(values.lazy.map(\.bitPattern), to: &bytes)
    case .float64(let values): appendLittleEndian(values.lazy.map(\.bitPattern), to: &bytes)
    case .int32(let values): appendLittleEndian(values, to: &bytes)
    case .int64(let values): appendLittleEndian(values, to: &bytes)
    case .uint8(let values): bytes += values
    case .bool(let values): bytes += values.lazy.map { $0 ? 1 : 0 }
    }
  }

  /// Numbers from their little-endian bytes, whose count divides by the type's; nil if a truth value is not 0 or 1.
  init?(_ type: ElementType, bytes: ArraySlice<UInt8>) {
    switch type {
    case .float32: self = .float32(littleEndianWords(bytes) { Float(bitPattern: $0) })
    case .float64: self = .float64(littleEndianWords(bytes) { Double(bitPattern: $0) })
    case .int32: self = .int32(littleEndianWords(bytes) { $0 })
    case .int64: self = .int64(littleEndianWords(bytes) { $0 })
    case .uint8: self = .uint8(Array(bytes))
    case .bool:
      guard bytes.allSatisfy({ $0 <= 1 }) else { return nil }
      self = .bool(bytes.map { $0 == 1 })
    }
  }
}

/// Appends the words' bytes, least significant first.
package func appendLittleEndian<Word: FixedWidthInteger>(_ words: some Collection<Word>, to bytes: inout [UInt8]) {
  let size = MemoryLayout<Word>.size
  bytes += [UInt8](unsafeUninitializedCapacity: words.count * size) { buffer, count in
    let memory = UnsafeMutableRawBufferPointer(buffer)
    for word in words {
      memory.storeBytes(of: word.littleEndian, toByteOffset: count, as: Word.self)
      count += size
    }
  }
}

private func littleEndianWords<Word: FixedWidthInteger, Number>(
  _ bytes: ArraySlice<UInt8>, _ number: (Word) -> Number
) -> [Number] {
  bytes.withUnsafeBytes { memory in
    stride(from: 0, to: memory.count, by: MemoryLayout<Word>.size).map {
      number(Word(littleEndian: memory.loadUnaligned(fromByteOffset: $0, as: Word.self)))
    }
  }
}
