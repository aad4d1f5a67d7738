import Foundation
import PredictiveCoding
import Testing

struct RunFolderTests {
  private let base = FileManager.default.temporaryDirectory.appendingPathComponent("pc-run-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true) }

  private func path(_ name: String) -> String { base.appendingPathComponent(name).path }

  private func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path(folder))) ?? []).sorted()
  }

  private func record() throws -> RunRecord {
    RunRecord(
      try Experiment(Settings(Choices())), command: ["pcgraph"], commit: nil, started: 1_000_000_000, seconds: 2)
  }

  @Test func `checking leaves nothing behind`() throws {
    _ = try RunFolder(path("a/b/c"))
    #expect(names(".").isEmpty)
    try FileManager.default.createDirectory(atPath: path("there"), withIntermediateDirectories: false)
    _ = try RunFolder(path("there"))
    #expect(names("there").isEmpty)
  }

  @Test func `foreign files are left alone, older files of ours are replaced or removed`() throws {
    let folder = try RunFolder(path("run"))
    try folder.write(record(), [.results: Array("1".utf8), .parameters: Array("2".utf8)])
    try Data("mine".utf8).write(to: base.appendingPathComponent("run/notes.txt"))
    #expect(names("run") == ["notes.txt", "parameters.safetensors", "results.json", "run.json"])
    try RunFolder(path("run/")).write(record(), [.results: Array("3".utf8), .report: Array("4".utf8)])
    #expect(names("run") == ["notes.txt", "report.html", "results.json", "run.json"])
    #expect(try String(contentsOfFile: path("run/results.json"), encoding: .utf8) == "3")
    #expect(try String(contentsOfFile: path("run/notes.txt"), encoding: .utf8) == "mine")
  }

  @Test(arguments: ["run.json", "results.json", "report.html", "parameters.safetensors"])
  func `a file of ours by name alone is not overwritten`(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: path("theirs"), withIntermediateDirectories: false)
    try Data(#"{"program": "another"}"#.utf8).write(to: base.appendingPathComponent("theirs/\(name)"))
    let error = #expect(throws: SettingsError.self) { try RunFolder(path("theirs")) }
    #expect(error?.description.contains(name) == true)
    #expect(names("theirs") == [name])
  }

  @Test func `what an earlier run did not write is not touched`() throws {
    let folder = try RunFolder(path("run"))
    try folder.write(record(), [.results: Array("1".utf8)])
    let report = path("run/report.html")
    try Data("mine".utf8).write(to: URL(fileURLWithPath: report))
    let before = names("run")
    #expect(throws: SettingsError.self) { try RunFolder(path("run")) }
    // The user's file may have come while the run was under way; everything then stays.
    let error = #expect(throws: SettingsError.self) { try folder.write(record(), [.results: Array("2".utf8)]) }
    #expect(error?.description.contains("run/report.html") == true)
    #expect(names("run") == before)
    #expect(try String(contentsOfFile: path("run/results.json"), encoding: .utf8) == "1")
    try FileManager.default.removeItem(atPath: report)
    // A link that leads nowhere is something, too.
    try FileManager.default.createSymbolicLink(atPath: report, withDestinationPath: "nowhere")
    #expect(throws: SettingsError.self) { try RunFolder(path("run")) }
    #expect(names("run") == before)
  }

  @Test(arguments: ["run.json", "results.json"])
  func `a folder or a link in the place of a file of ours is refused`(_ name: String) throws {
    try RunFolder(path("run")).write(record(), [.results: Array("1".utf8)])
    try FileManager.default.moveItem(atPath: path("run/\(name)"), toPath: path("moved"))
    try FileManager.default.createDirectory(atPath: path("run/\(name)"), withIntermediateDirectories: false)
    #expect(throws: SettingsError.self) { try RunFolder(path("run")) }
    try FileManager.default.removeItem(atPath: path("run/\(name)"))
    try FileManager.default.createSymbolicLink(atPath: path("run/\(name)"), withDestinationPath: path("moved"))
    #expect(throws: SettingsError.self) { try RunFolder(path("run")) }
  }

  @Test func `the record lists the files, and may be of any size`() throws {
    let folder = try RunFolder(path("run"))
    try folder.write(record(), [.results: Array("1".utf8), .report: Array("2".utf8)])
    let url = URL(fileURLWithPath: path("run/run.json"))
    let object = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    #expect(object["files"] as? [String] == ["run.json", "results.json", "report.html"])
    // A hole of 200 GB after the record's own bytes.
    try #require(truncate(url.path, 200 << 30) == 0)
    try RunFolder(path("run")).write(record(), [.results: Array("3".utf8)])
    #expect(names("run") == ["results.json", "run.json"])
    #expect(try Data(contentsOf: url).count < 10_000)
  }

  @Test func `a file in the folder's place is refused`() throws {
    try Data().write(to: base.appendingPathComponent("file"))
    #expect(throws: SettingsError.self) { try RunFolder(path("file")) }
    #expect(throws: SettingsError.self) { try RunFolder(path("file/below")) }
    #expect(throws: SettingsError.self) { try RunFolder("") }
  }

  @Test func `the record says what could change the result`() throws {
    let text = try record().json.indented
    let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    for key in ["program", "version", "command", "seed", "settings", "threads", "processor", "libraries", "backend"] {
      #expect(object[key] != nil && !(object[key] is NSNull), "\(key)")
    }
    #expect(object["commit"] is NSNull)
    // 10⁹ seconds after 1970, as is well known.
    #expect(object["started"] as? String == "2001-09-09T01:46:40Z")
    let dataset = try #require(object["dataset"] as? [String: String])
    #expect(dataset["name"] == "digits" && dataset["sha256"]?.count == 64)
  }
}
