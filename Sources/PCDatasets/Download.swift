// Downloads by the system's curl: Foundation's networking would not link statically, and a protocol of one's own would be
// one more parser of what strangers send.

import PCInterchange

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Why a file could not be fetched, in a sentence.
public struct DownloadError: Error, Equatable, CustomStringConvertible {
  public var description: String

  init(_ description: String) { self.description = description }
}

extension PublishedFile {
  /// Fetches the file into `folder`, which is made if need be, unless it is there.
  ///
  /// What has come is kept in a hidden file beside it (`.name.part`), from which the next attempt, in this call or a later
  /// one, goes on. Only when it has the published size and digest is it flushed to the disk and renamed to its name; what
  /// has the size and not the digest is removed. A file of the name that is another one is left as it is.
  ///
  /// - Parameters:
  ///   - folder: where to.
  ///   - attempts: how often a transfer that breaks off is taken up before giving up.
  ///   - stallSeconds: a transfer of less than 1 kB/s for so long counts as broken off.
  ///   - curl: the program.
  /// - Throws: a `DownloadError`, a `FileError` where the folder cannot be written.
  public func fetch(
    into folder: String, attempts: Int = 5, stallSeconds: Int = 30, curl: String = "curl"
  ) throws {
    switch try state(in: folder) {
    case .whole: return
    case .different(let difference):
      throw DownloadError("\(folder)/\(name) is there with \(difference); move it away or remove it.")
    case .missing, .partial: break
    }
    try makeFolders(folder)
    let part = partialPath(in: folder)
    var reason = ""
    for attempt in 1...max(attempts, 1) {
      let before = fileSize(part)
      if before > size { unlink(part) }
      if before != size {
        let arguments = [
          "--fail", "--location", "--max-redirs", "5", "--proto", "=http,https", "--silent", "--show-error",
          "--connect-timeout", "\(stallSeconds)", "--speed-limit", "1000", "--speed-time", "\(stallSeconds)",
          "--max-filesize", "\(size)", "--continue-at", "-", "--output", part, "--url", address,
        ]
        let (status, message) = try run(curl, arguments)
        reason = message
        // 33: the server cannot go on in the middle; 416, which is 22: there is nothing from there on.
        if status == 33 || status == 22 && message.hasSuffix("416") { unlink(part) }
      }
      let got = fileSize(part)
      guard got == size else {
        if got > size {
          unlink(part)
          throw DownloadError("\(address) sends more than the \(size) bytes that are published; nothing was kept.")
        }
        // Without progress a pause may help: 1, 2, 4, … seconds.
        if attempt < attempts, got <= before { sleep(UInt32(min(1 << (attempt - 1), 30))) }
        continue
      }
      let file = try InputFile(part)
      let found = try Self.digest(of: file)
      guard found == digest else {
        unlink(part)
        throw DownloadError(
          "\(address) does not send the published file: its SHA-256 digest is \(found), not \(digest); nothing was kept."
        )
      }
      return try commit(part, folder)
    }
    let got = fileSize(part)
    let rest = got > 0 ? "; \(got) of \(size) bytes are kept, and the next fetch goes on from there" : ""
    throw DownloadError("\(address) could not be fetched (\(reason.isEmpty ? "it ends too early" : reason))\(rest).")
  }

  private func commit(_ part: String, _ folder: String) throws(FileError) {
    let path = "\(folder)/\(name)"
    let descriptor = open(part, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(path, .written) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0, rename(part, path) == 0 else { throw FileError(path, .written) }
    try flushFolder(of: path)
  }
}

/// The size of the file at `path`, 0 where there is none.
private func fileSize(_ path: String) -> Int {
  var status = stat()
  return lstat(path, &status) == 0 ? Int(status.st_size) : 0
}

private func makeFolders(_ path: String) throws(FileError) {
  var made = path.hasPrefix("/") ? "/" : ""
  for name in path.split(separator: "/") {
    made += name + "/"
    guard mkdir(made, 0o777) == 0 || errno == EEXIST || errno == EROFS || errno == EISDIR else {
      throw FileError(path, .written)
    }
  }
  // What is there may be no folder.
  guard access(path + "/.", W_OK) == 0 else { throw FileError(path, .written) }
}

/// Runs a program found by PATH and waits for its end; returns its status and the last line that it says on standard error.
private func run(_ program: String, _ arguments: [String]) throws -> (status: CInt, message: String) {
  var ends: [CInt] = [0, 0]
  guard pipe(&ends) == 0 else {
    throw DownloadError("\(program) cannot be started: \(String(cString: strerror(errno))).")
  }
  #if canImport(Darwin)
    var actions: posix_spawn_file_actions_t?
  #else
    var actions = posix_spawn_file_actions_t()
  #endif
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
  posix_spawn_file_actions_addclose(&actions, ends[0])
  posix_spawn_file_actions_addclose(&actions, ends[1])
  var words = ([program] + arguments).map { strdup($0) } + [nil]
  defer { for word in words { free(word) } }
  var process = pid_t()
  let status = posix_spawnp(&process, program, &actions, nil, &words, environ)
  close(ends[1])
  defer { close(ends[0]) }
  guard status == 0 else {
    guard status == ENOENT else {
      throw DownloadError("\(program) cannot be started: \(String(cString: strerror(status))).")
    }
    throw DownloadError(
      "Files are fetched by the program \(program), which is not here; install it, or download the files yourself.")
  }
  var text: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = read(ends[0], &buffer, buffer.count)
    if count < 0 && errno == EINTR { continue }
    guard count > 0 else { break }
    // The rest is read and forgotten, so that the program never waits.
    if text.count < 1 << 16 { text += buffer[..<count] }
  }
  var ended: CInt = 0
  while waitpid(process, &ended, 0) < 0 && errno == EINTR {}
  let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
  // Killed by a signal n counts as 128 + n, as shells have it.
  let code = ended & 0x7f == 0 ? ended >> 8 & 0xff : 128 + ended & 0x7f
  return (code, lines.last.map(String.init) ?? "")
}
