/// Bytes that are not what their format says, or arrays that a format cannot hold.
public struct FormatError: Error, Equatable {
  /// The file, or whatever else the caller named the bytes.
  public var source: String
  public var problem: Problem

  public enum Problem: Sendable, Equatable {
    /// The file does not begin as the format does.
    case badMagic(format: String)
    /// The version of the format is not one that is known.
    case unknownVersion(Int)
    /// Fewer or more bytes than the header says.
    case truncated(expected: Int, found: Int)
    case oversized(expected: Int, found: Int)
    /// The header's length is beyond the format's limit.
    case headerLength(UInt64, limit: Int)
    /// The header's text is not of the format's grammar at this byte of the header.
    case syntax(offset: Int, expected: String)
    /// The numbers are of a type that is not read here.
    case unsupportedType(array: String, type: String)
    /// A dimension is negative or the number of elements overflows.
    case badShape(array: String, shape: [Int])
    /// Shape and type make another number of bytes than the array has.
    case sizeDiffers(array: String, expected: Int, found: Int)
    /// The array's end is before its beginning.
    case reversedOffsets(array: String)
    /// Two arrays share bytes.
    case overlap(array: String, with: String)
    /// Bytes of the data, from this one, belong to no array.
    case gap(offset: Int)
    /// Two arrays have one name, or one array has the name that the format keeps for itself.
    case duplicateName(String)
    case reservedName(String)
    /// A truth value is neither 0 nor 1.
    case badBool(array: String)
    /// The elements are in column-major order.
    case columnMajor
  }

  public init(source: String, _ problem: Problem) {
    self.source = source
    self.problem = problem
  }
}

extension FormatError: CustomStringConvertible {
  public var description: String {
    switch problem {
    case .badMagic(let format):
      "\(source) is not a file of the format \(format)."
    case .unknownVersion(let version):
      "\(source) is of version \(version) of its format, which is not known here; save it in an older one."
    case .truncated(let expected, let found):
      "\(source) is truncated: \(expected) bytes expected, \(found) found."
    case .oversized(let expected, let found):
      "\(source) is too long: \(expected) bytes expected, \(found) found."
    case .headerLength(let length, let limit):
      "\(source) declares a header of \(length) bytes; the format allows \(limit), so the file is damaged."
    case .syntax(let offset, let expected):
      "\(source) has a damaged header: \(expected) expected at byte \(offset) of it."
    case .unsupportedType(let array, let type):
      "\(source) has the array \(array) of type \(type); the types read here are "
        + ElementType.allCases.map { "\($0.safetensorsName) (\($0.numpyName))" }.joined(separator: ", ") + "."
    case .badShape(let array, let shape):
      "\(source) has the array \(array) of the impossible shape \(shape)."
    case .sizeDiffers(let array, let expected, let found):
      "\(source) has \(found) bytes for the array \(array), but its shape and type make \(expected)."
    case .reversedOffsets(let array):
      "\(source) has the array \(array) end before it begins."
    case .overlap(let array, let other):
      "\(source) has the arrays \(other) and \(array) share bytes."
    case .gap(let offset):
      "\(source) has data from byte \(offset) that belong to no array."
    case .duplicateName(let name):
      "\(source) has two entries of the name \(name)."
    case .reservedName(let name):
      "\(source) cannot have an array named \(name), which the format uses for itself; rename it."
    case .badBool(let array):
      "\(source) has a truth value other than 0 and 1 in the array \(array)."
    case .columnMajor:
      "\(source) keeps its elements in column-major order; save it in row-major order (NumPy's ascontiguousarray)."
    }
  }
}
