#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCInterchange

/// A folder that holds what one run of the command wrote: `run.json`, which says how it came about and which files it
/// wrote, and these.
///
/// The folder may hold other files, which are left alone. Under our names only what `run.json` lists is replaced or
/// removed; anything else there keeps a run from starting. All files are complete under other names before the first one
/// takes its place; then `run.json` goes first and comes last, so that it never stands beside the results of another run.
/// In between, `.run.json` says which files are ours, for a run that is killed then.
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
    _ = try earlierFiles()
    let made = try makeFolders(self.path)
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

  // MARK: What is there

  /// The files of an earlier run.
  ///
  /// - Throws: a `SettingsError` where anything else has one of our names.
  private func earlierFiles() throws -> [File] {
    let listed = try listedFiles()
    let there = File.allCases.filter { fileExists(self[$0]) }
    for file in there where !listed.contains(file) || !isRegularFile(self[file]) {
      throw SettingsError(
        "\(self[file]) was not written by pcgraph, or no run.json beside it says so; choose another output folder.")
    }
    return there
  }

  /// Whether a run has written its results here.
  func holdsResults() -> Bool { (try? listedFiles().contains(.results)) ?? false }

  /// How every `run.json` of ours begins, spaces apart; the names of the run's files follow.
  static let signature = #"{"program":"pcgraph","files":["#

  /// The files that the `run.json` in the folder lists; none where there is none of ours.
  private func listedFiles() throws(FileError) -> [File] {
    try listedFiles(in: self[.record]) + listedFiles(in: coming)
  }

  /// What becomes `run.json` when the results are in their places.
  private var coming: String { "\(path)/.run.json" }

  private func listedFiles(in path: String) throws(FileError) -> [File] {
    guard isRegularFile(path) else { return [] }
    let record = try InputFile(path)
    // The beginning is enough, whatever the size.
    let start = try record.read(0..<min(record.size, 1000))
    let text = String(decoding: start.filter { $0 > UInt8(ascii: " ") }, as: UTF8.self)
    guard text.hasPrefix(Self.signature), let end = text.firstIndex(of: "]") else { return [] }
    return text[..<end].dropFirst(Self.signature.count).split(separator: ",").compactMap { name in
      File.allCases.first { name == "\"\($0.rawValue)\"" }
    }
  }

  // MARK: Writing

  /// Writes `run.json` and the files in place of those of an earlier run.
  ///
  /// - Throws: as `init` does. Where no room is left for the files, the folder is as it was.
  package func write(_ record: RunRecord, _ files: [File: [UInt8]]) throws {
    let made = try makeFolders(path)
    var staged: [StagedFile] = []
    do {
      // Looked at again, since training may have taken hours.
      let earlier = try earlierFiles()
      let results = File.allCases.filter { files[$0] != nil && $0 != .record }
      for file in results { staged.append(try StagedFile(files[file] ?? [], for: self[file])) }
      var record = record
      record.files = [.record] + results
      try writeFile(Array(record.json.indented.utf8), to: coming)

      for file in earlier where file == .record || !results.contains(file) { unlink(self[file]) }
      try flushFolder(of: self[.record])
      for file in staged { try file.commit() }
      try flushFolder(of: self[.record])
      guard rename(coming, self[.record]) == 0 else { throw FileError(self[.record], .written) }
      try flushFolder(of: self[.record])
    } catch {
      for file in staged { file.discard() }
      for folder in made.reversed() { rmdir(folder) }
      throw error
    }
  }
}

extension RunFolder {
  /// Removes what runs that were killed left half written. Only for who holds the folder: another's files may be at work.
  func removeLeftovers() {
    let ours = File.allCases.map { ".\($0.rawValue)." } + [".pcgraph-", "..pcgraph-", "..run.json."]
    for name in names(in: path) where ours.contains(where: name.hasPrefix) { unlink("\(path)/\(name)") }
  }
}

/// Makes a folder and those above it.
///
/// - Returns: the folders that had to be made, outermost first.
@discardableResult
func makeFolders(_ path: String) throws(SettingsError) -> [String] {
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
