import Foundation
import Testing

/// What a run of the built command left.
struct CommandResult {
  var status: Int32
  var output: String
  var error: String

  /// Standard output, line by line.
  var lines: [String] { output.split(separator: "\n").map(String.init) }

  /// Each line of standard output as a JSON object, with a recorded issue where one is none.
  func objects(sourceLocation: SourceLocation = #_sourceLocation) -> [[String: Any]] {
    lines.compactMap { line in
      let object = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any]
      if object == nil { Issue.record("no JSON object: \(line)", sourceLocation: sourceLocation) }
      return object
    }
  }
}

/// An empty folder to run the command in; removed with the value's owner.
final class Workplace {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pcgraph-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// The names of everything in it, at any depth.
  var contents: [String] {
    (FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []).sorted()
  }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  func bytes(_ name: String) throws -> Data { try Data(contentsOf: folder.appendingPathComponent(name)) }

  func object(_ name: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: bytes(name)) as? [String: Any])
  }

  /// Runs `pcgraph`, which lies beside the tests, in this folder.
  func pcgraph(_ arguments: [String]) throws -> CommandResult {
    guard let executable = Self.executable else { throw CocoaError(.fileNoSuchFile) }
    return try run(executable, arguments)
  }

  /// Runs a line of shell, in which `$P` is the command.
  func shell(_ line: String) throws -> CommandResult {
    guard let executable = Self.executable else { throw CocoaError(.fileNoSuchFile) }
    return try run(URL(fileURLWithPath: "/bin/sh"), ["-c", "P='\(executable.path)'; \(line)"])
  }

  private func run(_ executable: URL, _ arguments: [String]) throws -> CommandResult {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardInput = FileHandle.nullDevice
    // Files and not pipes: nothing can block, whichever stream is longer.
    let streams = try ["output", "error"].map { name in
      let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(folder.lastPathComponent).\(name)")
      try Data().write(to: url)
      return (url, try FileHandle(forWritingTo: url))
    }
    defer { for (url, _) in streams { try? FileManager.default.removeItem(at: url) } }
    process.standardOutput = streams[0].1
    process.standardError = streams[1].1
    try process.run()
    process.waitUntilExit()
    let texts = try streams.map { String(decoding: try Data(contentsOf: $0.0), as: UTF8.self) }
    return CommandResult(status: process.terminationStatus, output: texts[0], error: texts[1])
  }

  func pcgraph(_ arguments: String) throws -> CommandResult {
    try pcgraph(arguments.split(separator: " ").map(String.init))
  }

  private static let executable: URL? = {
    let candidates = [Bundle.main.bundleURL, Bundle.main.executableURL] + Bundle.allBundles.map(\.bundleURL)
    for url in candidates.compactMap({ $0 }) {
      for folder in [url, url.deletingLastPathComponent()] {
        let file = folder.appendingPathComponent("pcgraph")
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), !isFolder.boolValue {
          return file
        }
      }
    }
    return nil
  }()
}
