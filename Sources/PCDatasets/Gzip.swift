import PCInterchange
import PCZlib

/// The version of the zlib that is loaded, for records of runs.
package func zlibLibraryVersion() -> String { String(cString: zlibVersion()) }

func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1f, 0x8b]) }

/// Unpacks a gzip file, or a stream of zlib within a file, from its beginning to its end, in pieces, so that memory holds
/// what is asked for and not what a header promises. A file may have several members, one after the other (RFC 1952).
final class GzipReader {
  /// What stands around the packed bytes.
  enum Format {
    /// RFC 1952.
    case gzip
    /// RFC 1950.
    case zlib
    /// RFC 1951: nothing stands around them, and the one stream ends where it says.
    case deflate
  }

  /// Whether the file stopped before the end of a member and its checksum.
  private(set) var endsTooEarly = false
  private let file: InputFile
  // zlib keeps the address of this structure, which therefore must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private var input: [UInt8] = []
  private var inputUsed = 0
  private var fileOffset: Int
  private let fileEnd: Int
  private var isFinished = false
  private let format: Format

  /// Reads `range` of the file, or all of it.
  init(_ file: InputFile, _ range: Range<Int>? = nil, format: Format = .gzip) throws(DataError) {
    self.file = file
    self.format = format
    fileOffset = range?.lowerBound ?? 0
    fileEnd = range?.upperBound ?? file.size
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let windowBits =
      switch format {
      case .gzip: 16 + MAX_WBITS
      case .zlib: MAX_WBITS
      case .deflate: -MAX_WBITS
      }
    guard inflateInit2_(stream, windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw .corruptGzip(path: file.path, reason: "zlib could not be started")
    }
  }

  deinit {
    // Of a stream that was never started this does nothing.
    inflateEnd(stream)
    stream.deallocate()
  }

  /// The next `count` bytes, or as many as there are. The checksum at the end is verified once it is reached.
  func read(_ count: Int) throws(DataError) -> [UInt8] {
    var unpacked: [UInt8] = []
    while unpacked.count < count, !isFinished {
      if inputUsed == input.count {
        let piece = fileOffset..<min(fileOffset + 1 << 20, fileEnd)
        input = try reportingUnreadable { () throws(FileError) in try file.read(piece) }
        inputUsed = 0
        fileOffset = piece.upperBound
      }
      let outputCount = min(count - unpacked.count, 1 << 20)
      var status = Z_OK
      unpacked += [UInt8](unsafeUninitializedCapacity: outputCount) { output, initialized in
        input.withUnsafeBufferPointer { input in
          // zlib's pointer to the input is not const for historical reasons only.
          stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.advanced(by: inputUsed))
          stream.pointee.avail_in = UInt32(input.count - inputUsed)
          stream.pointee.next_out = output.baseAddress
          stream.pointee.avail_out = UInt32(outputCount)
          status = inflate(stream, Z_NO_FLUSH)
          initialized = outputCount - Int(stream.pointee.avail_out)
        }
      }
      inputUsed = input.count - Int(stream.pointee.avail_in)
      let isAtEnd = inputUsed == input.count && fileOffset == fileEnd
      switch status {
      case Z_STREAM_END where isAtEnd || format == .deflate:
        isFinished = true
      case Z_STREAM_END:
        inflateReset(stream)
      case Z_OK, Z_BUF_ERROR:
        // Without room for output, all input can be taken and more output still come.
        guard isAtEnd, stream.pointee.avail_out > 0 else { continue }
        endsTooEarly = true
        isFinished = true
      default:
        let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)"
        throw .corruptGzip(path: file.path, reason: reason)
      }
    }
    return unpacked
  }
}
