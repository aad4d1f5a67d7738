import PCZlib

/// The version of the zlib that is loaded, for records of runs.
package func zlibLibraryVersion() -> String { String(cString: zlibVersion()) }

func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1f, 0x8b]) }

/// The first `limit` bytes that the gzip file `packed` unpacks to, or all of them if they are fewer.
///
/// Memory grows with what is there, not with what a header promises. The checksum at the end of the file is verified
/// if the end is reached. A file may have several members, one after the other (RFC 1952).
func gunzip(_ packed: [UInt8], limit: Int, _ path: String) throws(DataError) -> [UInt8] {
  var stream = z_stream()
  let gzipOnly = 16 + MAX_WBITS
  guard inflateInit2_(&stream, gzipOnly, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
    throw .corruptGzip(path: path, reason: "zlib could not be started")
  }
  defer { inflateEnd(&stream) }

  var unpacked: [UInt8] = []
  var read = 0
  while unpacked.count < limit {
    let outputCount = min(limit - unpacked.count, 1 << 20)
    let inputCount = min(packed.count - read, 1 << 30)
    var status = Z_OK
    unpacked += [UInt8](unsafeUninitializedCapacity: outputCount) { output, count in
      packed.withUnsafeBufferPointer { input in
        // zlib's pointer to the input is not const for historical reasons only.
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.advanced(by: read))
        stream.avail_in = UInt32(inputCount)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(outputCount)
        status = inflate(&stream, Z_NO_FLUSH)
        count = outputCount - Int(stream.avail_out)
      }
    }
    read += inputCount - Int(stream.avail_in)
    switch status {
    case Z_OK: continue
    case Z_STREAM_END:
      if read == packed.count { return unpacked }
      inflateReset(&stream)
    case Z_BUF_ERROR:
      throw .corruptGzip(path: path, reason: "it ends too early")
    default:
      throw .corruptGzip(path: path, reason: stream.msg.map { String(cString: $0) } ?? "zlib error \(status)")
    }
  }
  return unpacked
}
