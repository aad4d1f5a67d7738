// MATLAB's file format, level 5, as far as arrays of numbers go: a header of 128 bytes, then elements of a tag (type and
// size) and data. An element of the type `matrix` holds elements of its own: flags, dimensions, name, numbers; one of the
// type `compressed` holds the zlib stream of another element. "MAT-File Format", The MathWorks, chapter 1.

import PCInterchange

/// The arrays of numbers in a file that MATLAB or SciPy wrote (format 5, little-endian), packed or not.
///
/// Text, structures, complex and sparse arrays are passed over. Memory holds what the file really unpacks to, and no more is
/// asked for than zlib can make of the bytes that there are.
package struct MATFile {
  /// An array whose elements are in column-major order: the first index varies fastest.
  package struct Array {
    package var name: String
    package var shape: [Int]
    package var values: Values

    /// For errors: what it is.
    var summary: String {
      let kind = if case .bytes = values { "bytes" } else { "numbers" }
      return "\(kind) of shape \(shape)"
    }
  }

  /// Unsigned bytes as they are, all other numbers as Double.
  package enum Values {
    case bytes(ArraySlice<UInt8>)
    case reals([Double])

    package var numbers: [Double] {
      switch self {
      case .bytes(let bytes): bytes.map(Double.init)
      case .reals(let reals): reals
      }
    }
  }

  package let path: String
  package let arrays: [Array]

  package init(path: String) throws(DataError) {
    let file = try reportingUnreadable { () throws(FileError) in try InputFile(path) }
    func read(_ range: Range<Int>) throws(DataError) -> [UInt8] {
      try reportingUnreadable { () throws(FileError) in try file.read(range) }
    }
    let headerSize = 128
    guard file.size >= headerSize else { throw .truncated(path: path, expected: headerSize, found: file.size) }
    let header = try read(0..<headerSize)
    guard header[124...] == [0x00, 0x01, 0x49, 0x4D] else {
      throw .damagedMAT(path: path, problem: "it does not begin as MATLAB's format 5, little-endian, does")
    }

    var arrays: [Array] = []
    var position = headerSize
    while position < file.size {
      guard file.size - position >= 8 else {
        throw .damagedMAT(path: path, problem: "it ends within an element's tag")
      }
      let (type, size) = Elements.tag(try read(position..<position + 8)[...])
      let data = position + 8..<position + 8 + size
      guard data.upperBound <= file.size else {
        throw .truncated(path: path, expected: data.upperBound, found: file.size)
      }
      switch type {
      case Elements.compressed:
        if let array = try MATFile.array(packed: file, data) { arrays.append(array) }
      case Elements.matrix:
        if let array = try MATFile.array(Elements(read(data)[...], path: path)) { arrays.append(array) }
      default: break
      }
      position = data.upperBound
    }
    self.path = path
    self.arrays = arrays
  }

  /// The array of this name.
  package subscript(name: String) -> Array {
    get throws(DataError) {
      guard let array = arrays.first(where: { $0.name == name }) else {
        throw .missingArray(path: path, array: name, found: arrays.map(\.name))
      }
      return array
    }
  }

  private static func array(packed file: InputFile, _ range: Range<Int>) throws(DataError) -> Array? {
    func damaged(_ problem: String) -> DataError { .damagedMAT(path: file.path, problem: problem) }
    do throws(DataError) {
      let stream = try GzipReader(file, range, format: .zlib)
      let tag = try stream.read(8)
      guard tag.count == 8 else { throw damaged("a packed element ends within its tag") }
      let (type, size) = Elements.tag(tag[...])
      // A byte of a zlib stream makes 1032 at most.
      guard size <= 1032 * range.count else {
        throw damaged("a packed element declares \(size) bytes, more than \(range.count) can unpack to")
      }
      guard canAllocate(size) else { throw .tooLarge(path: file.path, size: size) }
      let bytes = try stream.read(size)
      // Reading on also verifies the checksum.
      guard bytes.count == size, try stream.read(1).isEmpty, !stream.endsTooEarly else {
        throw damaged("a packed element does not unpack to the \(size) bytes that it declares")
      }
      return type == Elements.matrix ? try array(Elements(bytes[...], path: file.path)) : nil
    } catch {
      guard case .corruptGzip(_, let reason) = error else { throw error }
      throw damaged("an element does not unpack (\(reason))")
    }
  }

  /// The array that a matrix's elements make; nil if it is not one of real numbers.
  private static func array(_ elements: Elements) throws(DataError) -> Array? {
    var elements = elements
    let flags = try elements.next()
    guard flags.type == Elements.uint32, flags.data.count == 8 else {
      throw elements.damaged("an array has no flags")
    }
    let dense = 6...15
    let complex: UInt8 = 0x08
    guard dense ~= Int(flags.data[flags.data.startIndex]), flags.data[flags.data.startIndex + 1] & complex == 0 else {
      return nil
    }
    let dimensions = try elements.next()
    guard dimensions.type == Elements.int32, dimensions.data.count % 4 == 0 else {
      throw elements.damaged("an array has no dimensions")
    }
    let shape = words(dimensions.data, as: Int32.self).map(Int.init)
    let label = try elements.next()
    let name = String(decoding: label.data, as: UTF8.self)
    let numbers = try elements.next()
    guard let values = values(numbers.data, type: numbers.type) else {
      throw elements.damaged("the array \(name) has elements of an unknown type or length")
    }
    let count = if case .reals(let reals) = values { reals.count } else { numbers.data.count }
    guard elementCount(shape) == count else {
      throw elements.damaged("the array \(name) of shape \(shape) has \(count) elements")
    }
    return Array(name: name, shape: shape, values: values)
  }

  /// Numbers of the types that the format stores arrays in, whatever the array's class: whole numbers as small as they fit.
  private static func values(_ data: ArraySlice<UInt8>, type: Int) -> Values? {
    func reals<Word: FixedWidthInteger>(_ word: Word.Type, _ number: (Word) -> Double) -> Values? {
      guard data.count % MemoryLayout<Word>.size == 0 else { return nil }
      return .reals(words(data, as: word).map(number))
    }
    switch type {
    case 1: return reals(Int8.self) { Double($0) }
    case 2: return .bytes(data)
    case 3: return reals(Int16.self) { Double($0) }
    case 4: return reals(UInt16.self) { Double($0) }
    case 5: return reals(Int32.self) { Double($0) }
    case 6: return reals(UInt32.self) { Double($0) }
    case 7: return reals(UInt32.self) { Double(Float(bitPattern: $0)) }
    case 9: return reals(UInt64.self) { Double(bitPattern: $0) }
    case 12: return reals(Int64.self) { Double($0) }
    case 13: return reals(UInt64.self) { Double($0) }
    default: return nil
    }
  }
}

/// Elements one after the other in memory.
private struct Elements {
  static let int32 = 5
  static let uint32 = 6
  static let matrix = 14
  static let compressed = 15

  private var rest: ArraySlice<UInt8>
  private let path: String

  init(_ bytes: ArraySlice<UInt8>, path: String) {
    rest = bytes
    self.path = path
  }

  func damaged(_ problem: String) -> DataError { .damagedMAT(path: path, problem: problem) }

  /// The type and the size of the data that the first 8 bytes announce.
  static func tag(_ bytes: ArraySlice<UInt8>) -> (type: Int, size: Int) {
    let tag = words(bytes.prefix(8), as: UInt32.self)
    return (Int(tag[0]), Int(tag[1]))
  }

  mutating func next() throws(DataError) -> (type: Int, data: ArraySlice<UInt8>) {
    guard rest.count >= 8 else { throw damaged("an array ends too early") }
    var (type, size) = Elements.tag(rest)
    // Up to four bytes of data stand in the tag itself, their number in the upper half of the type.
    let isSmall = type >> 16 != 0
    if isSmall { (type, size) = (type & 0xFFFF, type >> 16) }
    let header = isSmall ? 4 : 8
    guard size <= (isSmall ? 4 : rest.count - 8) else { throw damaged("an array ends too early") }
    let data = rest.dropFirst(header).prefix(size)
    rest = rest.dropFirst(isSmall ? 8 : 8 + (size + 7) / 8 * 8)
    return (type, data)
  }
}

/// Little-endian words; bytes at the end that do not make one are left out.
private func words<Word: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, as type: Word.Type) -> [Word] {
  bytes.withUnsafeBytes { buffer in
    (0..<buffer.count / MemoryLayout<Word>.size).map { index in
      Word(littleEndian: buffer.loadUnaligned(fromByteOffset: index * MemoryLayout<Word>.size, as: Word.self))
    }
  }
}
