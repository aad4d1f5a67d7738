import Foundation
import PCInterchange
import Testing

@Suite struct SafetensorsTests {
  static let mixed = Safetensors(
    [
      NamedArray(name: "b.bias", shape: [3], values: .float32([1.5, -2, 0.25])),
      NamedArray(name: "a.weight", shape: [2, 3], values: .float64((0..<6).map { Double($0) / 3 })),
      NamedArray(name: "steps", shape: [], values: .int64([7])),
      NamedArray(name: "labels", shape: [2, 1], values: .int32([-1, .max])),
      NamedArray(name: "pixels", shape: [2], values: .uint8([0, 255])),
      NamedArray(name: "mask", shape: [3], values: .bool([true, false, true])),
      NamedArray(name: "empty", shape: [0, 4], values: .float32([])),
    ], metadata: ["seed": "7", "é \"quoted\"": "line\nbreak"])

  @Test func readsWhatPythonWrote() throws {
    let file = try Safetensors(decoding: Fixtures.mixedSafetensors, source: "fixture")
    #expect(file.metadata == Self.mixed.metadata)
    #expect(file.arrays.count == Self.mixed.arrays.count)
    for array in Self.mixed.arrays { #expect(file[array.name] == array) }
    #expect(file["none"] == nil)
  }

  @Test func writesWhatPythonWrites() throws {
    let arrays = [
      NamedArray(name: "weight", shape: [2, 2], values: .float32([1, 2, 3, 4])),
      NamedArray(name: "bias", shape: [1], values: .float32([0.5])),
    ]
    let bytes = try Safetensors(arrays, metadata: ["seed": "7"]).encoded()
    #expect(bytes == Fixtures.safetensorsOfOneType)
  }

  @Test func bytesDoNotDependOnTheOrder() throws {
    var reversed = Self.mixed
    reversed.arrays.reverse()
    let bytes = try Self.mixed.encoded()
    #expect(try reversed.encoded() == bytes)
    let headerCount = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    #expect(headerCount % 8 == 0)
    // By name; the numbers themselves by width, then name.
    let header = String(decoding: bytes[8..<8 + headerCount], as: UTF8.self)
    let entries = [
      #"{"__metadata__":{"seed":"7","é \"quoted\"":"line\u000abreak"}"#,
      #""a.weight":{"dtype":"F64","shape":[2,3],"data_offsets":[0,48]}"#,
      #""b.bias":{"dtype":"F32","shape":[3],"data_offsets":[56,68]}"#,
      #""empty":{"dtype":"F32","shape":[0,4],"data_offsets":[68,68]}"#,
      #""labels":{"dtype":"I32","shape":[2,1],"data_offsets":[68,76]}"#,
      #""mask":{"dtype":"BOOL","shape":[3],"data_offsets":[76,79]}"#,
      #""pixels":{"dtype":"U8","shape":[2],"data_offsets":[79,81]}"#,
      #""steps":{"dtype":"I64","shape":[],"data_offsets":[48,56]}}"#,
    ]
    #expect(header.trimmingCharacters(in: .whitespaces) == entries.joined(separator: ","))
  }

  @Test func roundTripKeepsBits() throws {
    let floats: [Float] = [.nan, -.nan, -0.0, .infinity, .leastNonzeroMagnitude, Float(bitPattern: 0x7FC0_1234)]
    let file = Safetensors([NamedArray(name: "\u{1}\"\\/é😀", shape: [6], values: .float32(floats))])
    let back = try Safetensors(decoding: file.encoded(), source: "memory")
    #expect(back.arrays.first?.name == "\u{1}\"\\/é😀")
    guard case .float32(let values) = back.arrays.first?.values else {
      Issue.record("not float32")
      return
    }
    #expect(values.map(\.bitPattern) == floats.map(\.bitPattern))
    let none = try Safetensors(decoding: Safetensors([]).encoded(), source: "memory")
    #expect(none.arrays.isEmpty && none.metadata.isEmpty)
  }

  @Test func namesMustBeUniqueAndFree() {
    func message(_ names: String...) -> String? {
      let file = Safetensors(names.map { NamedArray(name: $0, shape: [], values: .bool([true])) })
      return #expect(throws: FormatError.self) { try file.encoded(source: "f") }?.description
    }
    #expect(message("a", "b", "a") == "f has two entries of the name a.")
    // One name to Swift, though of different bytes: é composed and decomposed.
    #expect(message("\u{E9}", "z", "e\u{301}") == "f has two entries of the name é.")
    #expect(
      message("__metadata__")
        == "f cannot have an array named __metadata__, which the format uses for itself; rename it.")
  }

  private static func file(_ header: String, data: Int = 0) -> [UInt8] {
    let length = header.utf8.count
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
      + [UInt8](repeating: 2, count: data)
  }

  private static func entry(_ type: String, _ shape: String, _ offsets: String) -> String {
    #"{"dtype":"\#(type)","shape":\#(shape),"data_offsets":\#(offsets)}"#
  }

  @Test(
    arguments: [
      ([], "truncated: 8 bytes expected, 0 found."),
      ([9, 0, 0, 0, 0, 0, 0, 0, 1], "truncated: 17 bytes expected, 9 found."),
      (
        [UInt8](repeating: 0xFF, count: 9),
        "declares a header of 18446744073709551615 bytes; the format allows 100000000, so the file is damaged."
      ),
      (file(""), "a damaged header: \"{\" expected at byte 0 of it."),
      (file("{} x"), "a damaged header: the end expected at byte 3 of it."),
      (file("{\"a\":3}"), "a damaged header: \"{\" expected at byte 5 of it."),
      (
        file("{\"a\":{\"dtype\":\"F32\",\"size\":3}}"),
        "a damaged header: dtype, shape or data_offsets expected at byte 27 of it."
      ),
      (
        file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}"),
        "a damaged header: dtype, shape and two data_offsets before the end of the entry expected at byte 32 of it."
      ),
      (
        file("{\"a\":" + entry("F32", "[1]", "[0,-4]") + "}"),
        "a damaged header: an integer from 0 to 9223372036854775807 expected at byte 50 of it."
      ),
      (
        file("{\"a\":" + entry("F32", "[99999999999999999999]", "[0,4]") + "}"),
        "a damaged header: an integer from 0 to 9223372036854775807 expected at byte 29 of it."
      ),
      (file("{\"a\":" + entry("F32", "[1]", "[0,4]")), "a damaged header: \",\" expected at byte 53 of it."),
      (file("{\"\\ud800x\":1}"), "a damaged header: a low surrogate expected at byte 8 of it."),
      (file("{\"\\q\":1}"), "a damaged header: an escape expected at byte 3 of it."),
      (file("{\"a\":" + entry("F32", "[1]", "[0,4]") + "}", data: 3), "truncated: 66 bytes expected, 65 found."),
      (file("{\"a\":" + entry("F32", "[1]", "[0,4]") + "}", data: 5), "data from byte 4 that belong to no array."),
      (file("{\"a\":" + entry("F32", "[1]", "[1,5]") + "}", data: 5), "data from byte 0 that belong to no array."),
      (
        file("{\"a\":" + entry("BF16", "[1]", "[0,2]") + "}", data: 2),
        "the array a of type BF16; the types read here are F32 (<f4), F64 (<f8), I32 (<i4), I64 (<i8), U8 (|u1), "
          + "BOOL (|b1)."
      ),
      (
        file("{\"a\":" + entry("F32", "[2]", "[0,4]") + "}", data: 4),
        "4 bytes for the array a, but its shape and type make 8."
      ),
      (file("{\"a\":" + entry("F32", "[1]", "[4,0]") + "}", data: 4), "the array a end before it begins."),
      (
        file("{\"a\":" + entry("F32", "[4611686018427387904,4]", "[0,0]") + "}"),
        "the array a of the impossible shape [4611686018427387904, 4]."
      ),
      (
        file("{\"a\":" + entry("U8", "[3]", "[0,3]") + ",\"b\":" + entry("U8", "[2]", "[2,4]") + "}", data: 4),
        "the arrays a and b share bytes."
      ),
      (
        file("{\"a\":" + entry("U8", "[1]", "[0,1]") + ",\"a\":" + entry("U8", "[1]", "[1,2]") + "}", data: 2),
        "two entries of the name a."
      ),
      (
        file("{\"a\":" + entry("BOOL", "[1]", "[0,1]") + "}", data: 1),
        "a truth value other than 0 and 1 in the array a."
      ),
    ] as [([UInt8], String)])
  func damagedFilesAreRefused(bytes: [UInt8], message: String) {
    let error = #expect(throws: FormatError.self) { try Safetensors(decoding: bytes, source: "f") }
    #expect(error?.description.hasSuffix(message) == true, "\(error?.description ?? "none")")
    #expect(error?.description.hasPrefix("f ") == true)
  }

  /// Nesting far beyond the grammar is an error, not an exhausted stack.
  @Test func deepNestingIsRefused() {
    #expect(throws: FormatError.self) {
      try Safetensors(decoding: Self.file(String(repeating: "{\"a\":", count: 1_000_000)), source: "f")
    }
  }

  @Test func mutatedFilesNeverTrap() {
    for length in 0..<Fixtures.mixedSafetensors.count {
      #expect(throws: FormatError.self, "length \(length)") {
        try Safetensors(decoding: Array(Fixtures.mixedSafetensors.prefix(length)), source: "f")
      }
    }
    for index in Fixtures.mixedSafetensors.indices {
      for mask: UInt8 in [0x01, 0x02, 0x10, 0x80, 0xFF] {
        var bytes = Fixtures.mixedSafetensors
        bytes[index] ^= mask
        _ = try? Safetensors(decoding: bytes, source: "f")
      }
    }
  }
}

@Suite struct NPYTests {
  static let pairs: [([UInt8], NamedArray)] = [
    (Fixtures.float32NPY, NamedArray(name: "x", shape: [1, 3], values: .float32([1.5, -2, 0.25]))),
    (Fixtures.float64NPY, NamedArray(name: "x", shape: [], values: .float64([1.0 / 3]))),
    (Fixtures.int64NPY, NamedArray(name: "x", shape: [2], values: .int64([-1, 1 << 40]))),
    (Fixtures.boolNPY, NamedArray(name: "x", shape: [2], values: .bool([true, false]))),
    (Fixtures.emptyUInt8NPY, NamedArray(name: "x", shape: [2, 0], values: .uint8([]))),
  ]

  @Test(arguments: pairs)
  func readsAndWritesNumPysBytes(bytes: [UInt8], array: NamedArray) throws {
    #expect(try NamedArray(decodingNPY: bytes, name: "x", source: "f") == array)
    #expect(array.npyEncoded() == bytes)
  }

  @Test func readsVersion2() throws {
    let array = try NamedArray(decodingNPY: Fixtures.version2NPY, name: "x", source: "f")
    #expect(array == NamedArray(name: "x", shape: [3], values: .int32([1, 2, 3])))
  }

  private static func file(_ header: String, data: Int) -> [UInt8] {
    [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
      + [UInt8](repeating: 2, count: data)
  }

  @Test(
    arguments: [
      ([1, 2, 3], "is not a file of the format npy."),
      (Array(Fixtures.float32NPY.prefix(7)), "is truncated: 8 bytes expected, 7 found."),
      (Array(Fixtures.float32NPY.prefix(9)), "is truncated: 10 bytes expected, 9 found."),
      (Array(Fixtures.float32NPY.prefix(100)), "is truncated: 128 bytes expected, 100 found."),
      (Array(Fixtures.float32NPY.dropLast()), "is truncated: 140 bytes expected, 139 found."),
      (Fixtures.float32NPY + [0], "is too long: 140 bytes expected, 141 found."),
      (
        Fixtures.columnMajorNPY,
        "keeps its elements in column-major order; save it in row-major order (NumPy's ascontiguousarray)."
      ),
      (
        Fixtures.bigEndianNPY,
        "has the array x of type >i4; the types read here are F32 (<f4), F64 (<f8), I32 (<i4), I64 (<i8), U8 (|u1), "
          + "BOOL (|b1)."
      ),
      (
        Array(Fixtures.float32NPY.prefix(6)) + [9] + Array(Fixtures.float32NPY.dropFirst(7)),
        "is of version 9 of its format, which is not known here; save it in an older one."
      ),
      (
        file("{'descr': '|b1', 'fortran_order': False, 'shape': (1,)}", data: 1),
        "has a truth value other than 0 and 1 in the array x."
      ),
      (
        file("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 2)}", data: 0),
        "has the array x of the impossible shape [9223372036854775807, 2]."
      ),
      (
        file("{'descr': '<f8', 'fortran_order': False}", data: 0),
        "has a damaged header: descr, fortran_order and shape before the end of the dictionary expected at byte 40 of "
          + "it."
      ),
      (
        file("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': ()}", data: 8),
        "has a damaged header: \"\"\" expected at byte 10 of it."
      ),
    ] as [([UInt8], String)])
  func badFilesAreRefused(bytes: [UInt8], message: String) {
    let error = #expect(throws: FormatError.self) { try NamedArray(decodingNPY: bytes, name: "x", source: "f") }
    #expect(error?.description == "f " + message)
  }

  @Test func mutatedFilesNeverTrap() {
    for bytes in [Fixtures.float32NPY, Fixtures.boolNPY, Fixtures.version2NPY] {
      for index in bytes.indices {
        for mask: UInt8 in [0x01, 0x02, 0x10, 0x80, 0xFF] {
          var changed = bytes
          changed[index] ^= mask
          _ = try? NamedArray(decodingNPY: changed, name: "x", source: "f")
        }
        #expect(throws: FormatError.self, "length \(index)") {
          try NamedArray(decodingNPY: Array(bytes.prefix(index)), name: "x", source: "f")
        }
      }
    }
  }
}

@Suite struct FileTests {
  @Test func filesReplaceEachOtherWhole() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/weights.safetensors"
    try SafetensorsTests.mixed.write(to: path)
    let second = Safetensors([NamedArray(name: "only", shape: [2], values: .int32([3, 4]))])
    try second.write(to: path)
    #expect(try Safetensors(path: path) == second)
    #expect(try folder.names() == ["weights.safetensors"], "no temporary file is left")
  }

  @Test func npyFilesRoundTrip() throws {
    let folder = try TemporaryFolder()
    let array = NamedArray(name: "x", shape: [2, 2], values: .int32([1, -2, 3, .min]))
    try array.writeNPY(to: "\(folder.path)/x.npy")
    #expect(try NamedArray(npyPath: "\(folder.path)/x.npy", name: "x") == array)
  }

  @Test func oddPathsAreRefused() throws {
    let folder = try TemporaryFolder()
    let array = NamedArray(name: "x", shape: [], values: .bool([true]))
    let missing = #expect(throws: FileError.self) { try Safetensors(path: folder.path + "/none") }
    #expect(missing?.description == "\(folder.path)/none cannot be read: No such file or directory.")
    #expect(canAllocate(0) && canAllocate(1 << 20) && !canAllocate(.max) && !canAllocate(-1))
    let isFolder = #expect(throws: FileError.self) { try NamedArray(npyPath: folder.path, name: "x") }
    #expect(isFolder?.description == "\(folder.path) cannot be read: it is a folder.")
    let nowhere = #expect(throws: FileError.self) { try array.writeNPY(to: folder.path + "/none/x.npy") }
    #expect(nowhere?.description == "\(folder.path)/none/x.npy cannot be written: No such file or directory.")
    try folder.write("taken/file", [1])
    let taken = #expect(throws: FileError.self) { try array.writeNPY(to: folder.path + "/taken") }
    #expect(taken?.description == "\(folder.path)/taken cannot be written: Is a directory.")
    #expect(try folder.names() == ["taken"], "the temporary file is gone")
  }
}

@Suite struct SHA256Tests {
  /// The examples of FIPS 180-4 and its long message of a million letters.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      String(repeating: "a", count: 1_000_000),
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    ),
  ])
  func standardVectors(message: String, expected: String) {
    var digest = SHA256()
    digest.update(message.utf8)
    #expect(digest.finalize() == expected)
  }

  @Test func piecesMakeOneMessage() {
    let message = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7) }
    var whole = SHA256()
    whole.update(message)
    let expected = whole.finalize()
    for size in 1...130 {
      var digest = SHA256()
      for start in stride(from: 0, to: message.count, by: size) {
        digest.update(message[start..<min(start + size, message.count)])
      }
      #expect(digest.finalize() == expected, "pieces of \(size)")
    }
  }
}

@Suite struct NearestMatchTests {
  @Test(
    arguments: [
      ("minst", "mnist"), ("MNIST", "mnist"), ("cifar", "cifar10"), ("digit", "digits"), ("cifar-10", "cifar10"),
      ("imagenet", nil), ("", nil), ("x", nil),
    ] as [(String, String?)])
  func suggestsWhatWasMeant(name: String, expected: String?) {
    #expect(nearestMatch(to: name, in: ["digits", "mnist", "cifar10"]) == expected)
  }

  /// Distances counted by hand.
  @Test func swappedNeighboursAreOneEdit() {
    #expect(nearestMatch(to: "mpl", in: ["cnn", "mlp"]) == "mlp")
    // "ca" is one swap from "ac" and two edits from "abc"; both are near enough alone.
    #expect(nearestMatch(to: "ca", in: ["abcd", "ac"]) == "ac")
    // Two letters of four swapped twice over: 2 of 4.
    #expect(nearestMatch(to: "badc", in: ["abcd"]) == "abcd")
    #expect(nearestMatch(to: "cab", in: ["abcxyz"]) == nil)
  }

  @Test func firstOfEquals() {
    #expect(nearestMatch(to: "ab", in: ["ax", "ay"]) == "ax")
    #expect(nearestMatch(to: "ab", in: [String]()) == nil)
  }
}
