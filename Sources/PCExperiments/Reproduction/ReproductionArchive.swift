#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCInterchange

/// The folder of a reproduction: every finished piece of work in a file of its own under `work/`, and what is made from
/// them, `index.html`, `NAME.json` and `NAME/FIGURE.csv` and `.json`.
///
/// Each file is written whole under another name and then renamed, so a run that is killed at any moment leaves a folder
/// from which the next one goes on. The name of a piece's file holds a digest of its settings: what was made with others
/// is never taken for it, and both may lie side by side.
///
/// `reproduce.json` lists the names in the folder that are ours, and is written before anything gets such a name for the
/// first time. What has one of our names and is not listed is the user's, and is never replaced.
package final class ReproductionArchive {
  package let path: String
  private(set) var record: Record
  /// The folder `work`, locked as long as this lives; none before the first piece of work begins.
  private var lock: CInt?

  deinit { if let lock { close(lock) } }

  /// What the folder holds that is ours.
  struct Record: Codable, Sendable {
    var program = "pcgraph reproduce"
    /// Names in the folder that may be replaced.
    var names: Set<String> = []
    /// What each experiment last consisted of.
    var experiments: [String: Entry] = [:]
  }

  struct Entry: Codable, Sendable {
    /// Files of its finished pieces, in order.
    var works: [String]
    /// Why parts are missing.
    var omissions: [String]
  }

  private static let recordName = "reproduce.json"
  private static let workName = "work"
  private static let pageName = "index.html"
  private static let eventsName = "events"

  /// Looks at the folder, if there is one; it is made when the first piece of work begins.
  ///
  /// - Throws: a `FileError` where the system refuses, a `SettingsError` where something of the user's is in the way of
  ///   the experiments; nothing is written then.
  package init(_ path: String, for experiments: [NamedPaperExperiment]) throws {
    guard !path.isEmpty else { throw SettingsError("The output folder has no name.") }
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    record = Record()
    try readRecord()
    // Found now rather than after hours of work.
    _ = try unlisted([Self.pageName, Self.workName] + experiments.flatMap { [$0.jsonName, $0.rawValue] })
  }

  // MARK: Ownership

  private func readRecord() throws {
    let file = "\(path)/\(Self.recordName)"
    guard fileExists(file) else { return }
    guard isRegularFile(file), let record: Record = try decode(file), record.program == Record().program else {
      throw SettingsError("\(file) was not written by pcgraph; choose another output folder.")
    }
    self.record = record
  }

  private func writeRecord() throws {
    try makeFolders(path)
    try write(encode(record), Self.recordName)
  }

  /// Those of the names that are not yet ours.
  ///
  /// - Throws: a `SettingsError` where one of them is somebody else's.
  private func unlisted(_ names: [String]) throws(SettingsError) -> [String] {
    let new = names.filter { !record.names.contains($0) }
    for name in new where fileExists("\(path)/\(name)") {
      throw SettingsError("\(path)/\(name) was not written by pcgraph; choose another output folder.")
    }
    return new
  }

  /// Makes sure that names in the folder are ours, before anything is written under them.
  private func claim(_ names: String...) throws {
    // Another run may have added to the record meanwhile.
    try readRecord()
    let new = try unlisted(names)
    guard !new.isEmpty else { return }
    record.names.formUnion(new)
    try writeRecord()
  }

  private func write(_ bytes: [UInt8], _ name: String) throws { try writeFile(bytes, to: "\(path)/\(name)") }

  // MARK: Coding

  private func encode(_ value: some Encodable) throws -> [UInt8] {
    try [UInt8](JSONEncoder.withNonFinite.encode(value))
  }

  /// nil where the file is none of this kind.
  private func decode<Value: Decodable>(_ file: String) throws(FileError) -> Value? {
    try? JSONDecoder.withNonFinite.decode(Value.self, from: Data(readFile(file)))
  }

  // MARK: Pieces of work

  /// `NAME/PIECE-DIGEST`, below `work`.
  func fileName<E: PaperExperiment>(of work: E.Work, _: E.Type) -> String {
    let bytes = (try? encode(work)) ?? []
    var digest = SHA256()
    digest.update(bytes)
    return "\(E.name.rawValue)/\(work.name)-\(digest.finalize().prefix(12)).json"
  }

  private func place(_ file: String) -> String { "\(path)/\(Self.workName)/\(file)" }

  /// A finished piece with exactly these settings.
  func finished<E: PaperExperiment>(_ work: E.Work, of _: E.Type) -> FinishedWork<E.Work, E.Result>? {
    let found = finished(fileName(of: work, E.self), of: E.self)
    // A name is a digest; the settings themselves decide.
    guard let found, let ours = try? encode(work), let theirs = try? encode(found.work) else { return nil }
    return ours == theirs ? found : nil
  }

  private func finished<E: PaperExperiment>(_ file: String, of _: E.Type) -> FinishedWork<E.Work, E.Result>? {
    isRegularFile(place(file)) ? (try? decode(place(file))) ?? nil : nil
  }

  /// The file for the state of a piece that is under way.
  func checkpoint<E: PaperExperiment>(of work: E.Work, _: E.Type) throws -> String {
    try claim(Self.workName)
    try makeFolders(place(E.name.rawValue))
    try hold()
    return place(fileName(of: work, E.self).dropLast(".json".count) + ".checkpoint")
  }

  /// Keeps other processes from working in the folder.
  private func hold() throws {
    guard lock == nil else { return }
    let folder = open("\(path)/\(Self.workName)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw FileError("\(path)/\(Self.workName)", .read) }
    try lockForRun(folder, in: path)
    lock = folder
  }

  /// Event files of a piece, in `events/EXPERIMENT/PIECE`.
  func eventLog<E: PaperExperiment>(of work: E.Work, _: E.Type) throws -> EventLog {
    try claim(Self.eventsName)
    return EventLog(folder: "\(path)/\(Self.eventsName)/\(E.name.rawValue)", runName: work.name)
  }

  /// Keeps a finished piece, and removes its checkpoint.
  func keep<E: PaperExperiment>(_ finished: FinishedWork<E.Work, E.Result>, of _: E.Type) throws {
    let checkpoint = try checkpoint(of: finished.work, E.self)
    try writeFile(encode(finished), to: place(fileName(of: finished.work, E.self)))
    unlink(checkpoint)
  }

  /// Says what an experiment consists of.
  func enter(_ name: NamedPaperExperiment, _ works: [String], _ omissions: [String]) throws {
    try readRecord()
    record.experiments[name.rawValue] = Entry(works: works, omissions: omissions)
    try writeRecord()
  }

  // MARK: Report

  /// What an experiment that is in the record found; nil where it is not, or where nothing of it is finished.
  func findings<E: PaperExperiment>(of _: E.Type) throws -> (findings: Findings, made: [Provenance], seeds: [UInt64])?
  {
    let entry = record.experiments[E.name.rawValue]
    let finished = (entry?.works ?? []).compactMap { self.finished($0, of: E.self) }
    guard !finished.isEmpty else { return nil }
    return (
      E.findings(finished), finished.map(\.provenance), Set(finished.compactMap(\.work.seed)).sorted()
    )
  }

  /// Writes the page and all files of figures, for every experiment in the record.
  func writeReport() throws {
    var chapters: [ReproductionPage.Chapter] = []
    for name in NamedPaperExperiment.allCases {
      if let chapter = try chapter(name.type) { chapters.append(chapter) }
    }
    for chapter in chapters where chapter.findings != nil {
      let name = chapter.name.rawValue
      try claim(chapter.name.jsonName, name)
      try makeFolders("\(path)/\(name)")
      try write(Array(chapter.json.indented.utf8), chapter.name.jsonName)
      for figure in chapter.findings?.figures ?? [] {
        try write(Array(figure.data.csv.utf8), "\(name)/\(figure.name).csv")
        try write(Array(chapter.json(of: figure).indented.utf8), "\(name)/\(figure.name).json")
      }
    }
    try claim(Self.pageName)
    try write(Array(ReproductionPage(chapters: chapters).html.document.utf8), Self.pageName)
  }

  private func chapter<E: PaperExperiment>(_: E.Type) throws -> ReproductionPage.Chapter? {
    guard let entry = record.experiments[E.name.rawValue] else { return nil }
    let found = try findings(of: E.self)
    return ReproductionPage.Chapter(
      name: E.name, title: E.title, claim: E.claim, findings: found?.findings, made: found?.made ?? [],
      seeds: found?.seeds ?? [], omissions: entry.omissions)
  }
}
