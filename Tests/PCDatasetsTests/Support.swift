// What these tests compare with. Random words: the published vectors of Random123. Normal numbers: the C library's
// erfc and the known moments. Digits: scikit-learn's array. MNIST and CIFAR-10: NumPy over the published files.
// Digests: FIPS 180-4. Downloads: Scripts/unreliable-server.py. Augmentation: padded copies, cut and mirrored. Files: bytes that Python's gzip, NumPy, safetensors, SciPy and TensorBoard wrote. Every kind of bad input asserts
// its message, and every single-byte change and every prefix of a small file must read or throw.

import Foundation
import Testing

/// A folder that is removed when the last reference to it goes.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "pcgraph-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, making the folders above it, and returns its path.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let url = URL(fileURLWithPath: "\(path)/\(name)")
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return "\(path)/\(name)"
  }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

  func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}

/// The published data sets, if they are on this machine: the folder named by PC_DATA_DIR, or ../shared/data beside
/// the package.
let publishedData: String? = {
  let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  let candidates: [String?] = [
    ProcessInfo.processInfo.environment["PC_DATA_DIR"],
    package.deletingLastPathComponent().appendingPathComponent("shared/data").path,
  ]
  return candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: $0) }
}()

/// Integers as big-endian 32-bit words, the form of an IDX header.
func words(_ values: UInt32...) -> [UInt8] {
  values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) } }
}
