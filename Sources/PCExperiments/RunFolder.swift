#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCInterchange

/// A folder that holds what one run of the command wrote: `run.json`, which says how it came about, and results.
///
/// The folder may hold other files, which are left alone. A file under one of our names is replaced only where a
/// `run.json` of ours shows that an earlier run wrote it.
package struct RunFolder: Sendable {
  package enum File: String, Sendable, CaseIterable {
    case record = "run.json"
    case results = "results.json"
    case report = "report.html"
    case parameters = "parameters.safetensors"
  }

  package let path: String

  /// Checks, before the work that it is for, that the folder can be written. Leaves everything as it was.
  ///
  /// - Throws: a `FileError` where the system refuses, a `SettingsError` where something of the user's is in the way.
  package init(_ path: String) throws {
    guard !path.isEmpty else { throw SettingsError("The output folder has no name.") }
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let isOurs = try isOurs()
    for file in File.allCases where !isOurs && fileExists(self[file]) {
      throw SettingsError(
        "\(self[file]) was not written by pcgraph, or its run.json is missing; choose another output folder.")
    }
    let made = try makeFolders()
    defer { for folder in made.reversed() { rmdir(folder) } }
    let probe = "\(self.path)/.pcgraph-\(getpid())"
    do throws(FileError) {
      try writeFile([], to: probe)
    } catch {
      throw SettingsError("The output folder \(self.path) cannot be written: \(error.reason).")
    }
    unlink(probe)
  }

  private subscript(file: File) -> String { "\(path)/\(file.rawValue)" }

  /// How every `run.json` of ours begins, spaces apart.
  static let signature = "{\"program\":\"pcgraph\","

  /// Whether there is a `run.json` of ours.
  private func isOurs() throws(FileError) -> Bool {
    guard fileExists(self[.record]) else { return false }
    let start = try readFile(self[.record]).prefix(100).filter { $0 > UInt8(ascii: " ") }
    return start.starts(with: Self.signature.utf8)
  }

  /// The folders that had to be made, outermost first.
  private func makeFolders() throws(SettingsError) -> [String] {
    var made: [String] = []
    var prefix = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      prefix += (prefix.isEmpty || prefix.hasSuffix("/") ? "" : "/") + part
      if mkdir(prefix, 0o777) == 0 {
        made.append(prefix)
      } else if errno != EEXIST {
        let reason = String(cString: strerror(errno))
        for folder in made.reversed() { rmdir(folder) }
        throw SettingsError("The output folder \(path) cannot be made: \(reason).")
      }
    }
    return made
  }

  /// Writes the files, each whole or not at all, and removes those of an earlier run that this one has not.
  ///
  /// `run.json` comes first: from then on the folder is known as ours, even where the rest is interrupted.
  package func write(_ record: RunRecord, _ files: [File: [UInt8]]) throws {
    _ = try makeFolders()
    try writeFile(Array(record.json.indented.utf8), to: self[.record])
    for file in File.allCases where file != .record {
      if let bytes = files[file] {
        try writeFile(bytes, to: self[file])
      } else {
        unlink(self[file])
      }
    }
  }
}
