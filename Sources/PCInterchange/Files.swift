// Files as arrays of bytes, through POSIX: an error keeps the system's reason, an odd path (a folder, a pipe, a device
// without end) is refused before anything is read, and a size before memory is asked for: Swift stops the program where
// an array cannot be made.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that could not be read or written.
public struct FileError: Error, Equatable, CustomStringConvertible {
  /// What was to be done with the file.
  public enum Action: String, Sendable {
    /// The participle that completes the description.
    case read, written
  }

  /// The file, as the caller named it.
  public var path: String
  /// Whether reading or writing failed.
  public var action: Action
  /// What the system says, for example "Permission denied".
  public var reason: String

  public var description: String { "\(path) cannot be \(action.rawValue): \(reason)." }

  package init(_ path: String, _ action: Action, _ reason: String? = nil) {
    self.path = path
    self.action = action
    self.reason = reason ?? String(cString: strerror(errno))
  }
}

/// Whether there is anything at `path`, readable or not; a link counts even where it leads nowhere.
package func fileExists(_ path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0
}

/// Whether a regular file is at `path` itself: not a folder, and not a link to one.
package func isRegularFile(_ path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}

/// Whether so many bytes fit into this machine and into what the system lets this process have.
package func canAllocate(_ byteCount: Int) -> Bool {
  let machine = sysconf(Int32(_SC_PHYS_PAGES)).multipliedReportingOverflow(by: sysconf(Int32(_SC_PAGESIZE)))
  guard byteCount > 0 else { return byteCount == 0 }
  guard machine.overflow || machine.partialValue <= 0 || byteCount <= machine.partialValue else { return false }
  // Asked for and given back untouched. A pair of malloc and free would do, but the optimiser takes those away.
  let place = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
  guard let place, place != UnsafeMutableRawPointer(bitPattern: -1) else { return false }
  munmap(place, byteCount)
  return true
}

// MARK: - Reading

/// A regular file that is open for reading.
package final class InputFile {
  package let path: String
  /// In bytes, when the file was opened.
  package let size: Int
  private let descriptor: CInt

  package init(_ path: String) throws(FileError) {
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw FileError(path, .read) }
    var status = stat()
    let isKnown = fstat(file, &status) == 0
    self.path = path
    size = Int(status.st_size)
    descriptor = file
    guard isKnown else { throw FileError(path, .read) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      throw FileError(path, .read, isFolder ? "it is a folder" : "it is not a regular file")
    }
  }

  deinit { close(descriptor) }

  /// The bytes of `range`, which must lie in the file. All of them are there, or it throws.
  package func read(_ range: Range<Int>) throws(FileError) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= size else {
      fatalError("InputFile.read: \(range) is not a part of the \(size) bytes of \(path).")
    }
    guard canAllocate(range.count) else {
      throw FileError(path, .read, "its \(range.count) bytes do not fit into memory")
    }
    var failure: FileError?
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      while count < range.count {
        let place = buffer.baseAddress?.advanced(by: count)
        let got = pread(descriptor, place, range.count - count, off_t(range.lowerBound + count))
        if got < 0 && errno == EINTR { continue }
        if got < 0 { failure = FileError(path, .read) }
        if got == 0 { failure = FileError(path, .read, "it became shorter meanwhile") }
        if got <= 0 { return }
        count += got
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// All bytes of the regular file at `path`, where they fit into memory.
package func readFile(_ path: String) throws(FileError) -> [UInt8] {
  let file = try InputFile(path)
  return try file.read(0..<file.size)
}

// MARK: - Writing

/// A file that is on the disk under another name beside its own, to which `commit` renames it: a reader or a crash at any
/// moment finds either the whole old file or the whole new one.
package struct StagedFile: Sendable {
  package let path: String
  private let temporary: String

  /// Writes the bytes and flushes them to the disk; what is at `path` stays as it is.
  package init(_ bytes: [UInt8], for path: String) throws(FileError) {
    let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    var temporary = ""
    var file: CInt = -1
    for attempt in 0..<100 {
      temporary = "\(path[..<cut]).\(path[cut...]).\(getpid()).\(attempt)"
      file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if file >= 0 || errno != EEXIST { break }
    }
    guard file >= 0 else { throw FileError(path, .written) }
    self.path = path
    self.temporary = temporary
    do throws(FileError) {
      defer { close(file) }
      try writeAll(bytes, to: file, path)
      guard fsync(file) == 0 else { throw FileError(path, .written) }
    } catch {
      discard()
      throw error
    }
  }

  /// Replaces what is at `path`.
  package func commit() throws(FileError) {
    guard rename(temporary, path) == 0 else {
      let error = FileError(path, .written)
      discard()
      throw error
    }
  }

  /// Removes the file, where it has not been committed.
  package func discard() { unlink(temporary) }
}

/// Puts `bytes` at `path`, replacing what was there, whole or not at all.
package func writeFile(_ bytes: [UInt8], to path: String) throws(FileError) {
  try StagedFile(bytes, for: path).commit()
  try flushFolder(of: path)
}

/// Makes the names in the folder of `path` durable: what was renamed or removed there is so on the disk. Some file systems
/// cannot flush a folder (EINVAL): there a name is as durable as they make it.
package func flushFolder(of path: String) throws(FileError) {
  let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
  let parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard parent >= 0 else { return }
  defer { close(parent) }
  guard fsync(parent) == 0 || errno == EINVAL else { throw FileError(path, .written) }
}

/// A text file that grows by whole lines, whoever else reads it, and loses none when the process is killed.
package final class AppendedFile {
  private let path: String
  private let descriptor: CInt
  /// Whether there was nothing in it when it was opened.
  package let isEmpty: Bool

  /// Opens the file, or makes one.
  package init(_ path: String) throws(FileError) {
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o666)
    guard file >= 0 else { throw FileError(path, .written) }
    var status = stat()
    isEmpty = fstat(file, &status) == 0 && status.st_size == 0
    self.path = path
    descriptor = file
  }

  deinit { close(descriptor) }

  /// Adds whole lines, or nothing: where the disk is full, what got through of them is taken back.
  package func append(_ lines: String) throws(FileError) {
    let end = lseek(descriptor, 0, SEEK_END)
    do throws(FileError) {
      try writeAll(Array(lines.utf8), to: descriptor, path)
    } catch {
      if end >= 0 { _ = ftruncate(descriptor, end) }
      throw error
    }
  }
}

/// Writes all bytes to an open file; `path` is what errors call it.
package func writeAll(_ bytes: [UInt8], to file: CInt, _ path: String) throws(FileError) {
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
