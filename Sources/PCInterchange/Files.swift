// Files as arrays of bytes, through POSIX: an error keeps the system's reason, and an odd path (a folder, a pipe, a
// device without end) is refused before anything is read.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that could not be read or written.
public struct FileError: Error, Equatable, CustomStringConvertible {
  public enum Action: String, Sendable { case read, written }

  public var path: String
  public var action: Action
  /// What the system says, for example "Permission denied".
  public var reason: String

  public var description: String { "\(path) cannot be \(action.rawValue): \(reason)." }

  init(_ path: String, _ action: Action, _ reason: String? = nil) {
    self.path = path
    self.action = action
    self.reason = reason ?? String(cString: strerror(errno))
  }
}

/// Whether there is anything at `path`, readable or not.
package func fileExists(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0
}

/// The bytes of the regular file at `path`.
package func readFile(_ path: String) throws(FileError) -> [UInt8] {
  // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
  let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard file >= 0 else { throw FileError(path, .read) }
  defer { close(file) }
  var status = stat()
  guard fstat(file, &status) == 0 else { throw FileError(path, .read) }
  guard status.st_mode & S_IFMT == S_IFREG else {
    let isFolder = status.st_mode & S_IFMT == S_IFDIR
    throw FileError(path, .read, isFolder ? "it is a folder" : "it is not a regular file")
  }
  var failure: FileError?
  let size = Int(status.st_size)
  let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
    while count < size {
      let got = read(file, buffer.baseAddress?.advanced(by: count), size - count)
      if got < 0 && errno == EINTR { continue }
      if got < 0 { failure = FileError(path, .read) }
      if got <= 0 { return }
      count += got
    }
  }
  if let failure { throw failure }
  return bytes
}

/// Puts `bytes` at `path`, replacing what was there, so that a reader or a crash at any moment finds either the whole
/// old file or the whole new one: written beside it under another name, flushed to the disk, then renamed.
package func writeFile(_ bytes: [UInt8], to path: String) throws(FileError) {
  let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
  let folder = cut == path.startIndex ? "." : String(path[..<cut])
  var temporary = ""
  var file: CInt = -1
  for attempt in 0..<100 {
    temporary = "\(path[..<cut]).\(path[cut...]).\(getpid()).\(attempt)"
    file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    if file >= 0 || errno != EEXIST { break }
  }
  guard file >= 0 else { throw FileError(path, .written) }
  do throws(FileError) {
    defer { close(file) }
    try writeAll(bytes, to: file, path)
    guard fsync(file) == 0 else { throw FileError(path, .written) }
    guard rename(temporary, path) == 0 else { throw FileError(path, .written) }
  } catch {
    unlink(temporary)
    throw error
  }
  // The rename itself is on the disk once the folder is. Some file systems cannot flush a folder (EINVAL): there the
  // rename is as durable as they make it.
  let parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard parent >= 0 else { return }
  defer { close(parent) }
  guard fsync(parent) == 0 || errno == EINVAL else { throw FileError(path, .written) }
}

private func writeAll(_ bytes: [UInt8], to file: CInt, _ path: String) throws(FileError) {
  var done = 0
  while done < bytes.count {
    let wrote = bytes.withUnsafeBytes { buffer in
      write(file, buffer.baseAddress?.advanced(by: done), buffer.count - done)
    }
    if wrote < 0 && errno == EINTR { continue }
    guard wrote > 0 else { throw FileError(path, .written) }
    done += wrote
  }
}
