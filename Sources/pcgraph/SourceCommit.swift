#if CommandLine
  import Foundation

  /// The commit of the source that the command was built from, with `-dirty` where files had changed; nil where the
  /// executable does not lie in a build folder inside that source, or git is missing.
  func sourceCommit() -> String? {
    guard let executable = Bundle.main.executableURL?.resolvingSymlinksInPath() else { return nil }
    var folder = executable.deletingLastPathComponent()
    while folder.path != "/" {
      if FileManager.default.fileExists(atPath: folder.appendingPathComponent("Sources/pcgraph").path) {
        return output(of: ["git", "-C", folder.path, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
      }
      folder.deleteLastPathComponent()
    }
    return nil
  }

  private func output(of command: [String]) -> String? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return process.terminationStatus == 0 && !line.isEmpty ? line : nil
  }
#endif
