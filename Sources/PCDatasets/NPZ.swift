// NumPy's archives: a ZIP file (PKWARE, APPNOTE.TXT 6.3) whose members are .npy files, stored or deflated. The members are
// found by the central directory at the file's end; what a local header says besides its own length is not needed.

import PCInterchange
import PCZlib

/// The arrays of a `.npz` file, each read when it is asked for.
package struct NPZFile {
  /// The arrays' names, in the order of the file.
  package var names: [String] { members.map(\.name) }

  private let file: InputFile
  private let members: [Member]

  private struct Member {
    var name: String
    var method: Int
    var checksum: UInt32
    var packedSize: Int
    var size: Int
    var headerOffset: Int
  }

  /// Reads the directory of the file.
  ///
  /// - Throws: `DataError` if it cannot be read or is damaged.
  package init(path: String) throws(DataError) {
    let file = try reportingUnreadable { () throws(FileError) in try InputFile(path) }
    self.file = file
    func damaged(_ problem: String) -> DataError { .damagedArchive(path: path, problem: problem) }

    // The end record, 22 bytes and a comment of at most 65,535.
    let tailStart = max(0, file.size - 22 - 65_535)
    let tail = try reportingUnreadable { () throws(FileError) in try file.read(tailStart..<file.size) }
    guard
      let end = stride(from: tail.count - 22, through: 0, by: -1).first(where: {
        tail[$0...].starts(with: [0x50, 0x4b, 5, 6])
      })
    else { throw damaged("it has no directory at its end") }
    let count = number(tail, end + 10, 2)
    let directorySize = number(tail, end + 12, 4)
    let directoryStart = number(tail, end + 16, 4)
    guard directoryStart != 0xFFFF_FFFF, count != 0xFFFF else {
      throw damaged("it is larger than the 4 GB that are read here")
    }
    guard directoryStart + directorySize <= tailStart + end else { throw damaged("its directory ends too early") }
    let directory = try reportingUnreadable { () throws(FileError) in
      try file.read(directoryStart..<directoryStart + directorySize)
    }

    var members: [Member] = []
    var names: Set<String> = []
    var at = 0
    for _ in 0..<count {
      guard directory.count - at >= 46, directory[at...].starts(with: [0x50, 0x4b, 1, 2]) else {
        throw damaged("its directory is cut short")
      }
      let nameSize = number(directory, at + 28, 2)
      let next = at + 46 + nameSize + number(directory, at + 30, 2) + number(directory, at + 32, 2)
      guard next <= directory.count else { throw damaged("its directory is cut short") }
      var name = String(decoding: directory[(at + 46)..<(at + 46 + nameSize)], as: UTF8.self)
      guard number(directory, at + 8, 2) & 1 == 0 else { throw damaged("its member \(name) is encrypted") }
      if name.hasSuffix(".npy") { name.removeLast(4) }
      guard names.insert(name).inserted else { throw damaged("it has two members named \(name)") }
      members.append(
        Member(
          name: name, method: number(directory, at + 10, 2), checksum: UInt32(number(directory, at + 16, 4)),
          packedSize: number(directory, at + 20, 4), size: number(directory, at + 24, 4),
          headerOffset: number(directory, at + 42, 4)))
      at = next
    }
    self.members = members
  }

  /// The array of this name, or nil if there is none.
  ///
  /// - Throws: `DataError` about a damaged member, before memory is taken that it does not fill; a `FormatError` about one
  ///   that is not a `.npy` file of numbers.
  package func array(_ name: String) throws -> NamedArray? {
    guard let member = members.first(where: { $0.name == name }) else { return nil }
    return try NamedArray(decodingNPY: bytes(of: member), name: name, source: "\(file.path), member \(name)")
  }

  private func bytes(of member: Member) throws(DataError) -> [UInt8] {
    func damaged(_ problem: String) -> DataError {
      .damagedArchive(path: file.path, problem: "its member \(member.name) \(problem)")
    }
    let headerEnd = member.headerOffset + 30
    guard headerEnd <= file.size else { throw damaged("lies beyond its end") }
    let header = try reportingUnreadable { () throws(FileError) in try file.read(member.headerOffset..<headerEnd) }
    guard header.starts(with: [0x50, 0x4b, 3, 4]) else { throw damaged("does not begin where the directory says") }
    let start = headerEnd + number(header, 26, 2) + number(header, 28, 2)
    guard start + member.packedSize <= file.size else { throw damaged("lies beyond its end") }
    let range = start..<start + member.packedSize

    let bytes: [UInt8]
    switch member.method {
    case 0:
      guard member.size == member.packedSize else { throw damaged("is stored in another size than its own") }
      bytes = try reportingUnreadable { () throws(FileError) in try file.read(range) }
    case 8:
      // A deflated byte makes at most 1032: a longer match than 258 bytes needs two more bits.
      guard member.size / 1032 <= member.packedSize else { throw damaged("cannot be as long as it declares") }
      guard canAllocate(member.size) else { throw .tooLarge(path: file.path, size: member.size) }
      let packed = try GzipReader(file, range, format: .deflate)
      do throws(DataError) {
        bytes = try packed.read(member.size)
        guard bytes.count == member.size, try packed.read(1).isEmpty, !packed.endsTooEarly else {
          throw damaged("unpacks to another size than it declares")
        }
      } catch .corruptGzip(_, let reason) {
        throw damaged("is damaged (\(reason))")
      }
    default: throw damaged("is packed by method \(member.method); only stored and deflated ones are read")
    }
    let checksum = bytes.withUnsafeBufferPointer { crc32_z(0, $0.baseAddress, $0.count) }
    guard bytes.isEmpty || checksum == UInt(member.checksum) else { throw damaged("does not have its checksum") }
    return bytes
  }
}

/// The little-endian number of `size` bytes at `offset`.
private func number(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> Int {
  bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | Int($1) }
}
