import Foundation
import PredictiveCoding

/// PyTorch in a process of its own that steps when it is told to.
final class Peer {
  private let process = Process()
  private let commands = Pipe()
  private let answers = Pipe()

  static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Peers/pytorch.py").path

  /// - Parameter python: an interpreter that can import torch.
  init(python: String, script: String, folder: String) throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [python, script, folder]
    // Some hosts pin an older OpenBLAS's kernels by these, which would slow the peer.
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("OPENBLAS") }
    process.standardInput = commands
    process.standardOutput = answers
    try process.run()
  }

  deinit {
    try? commands.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  func steps(_ count: Int) throws -> [Double] { try ask("steps \(count)") }
  func loss() throws -> Double { try ask("loss").first ?? .nan }

  private func ask(_ command: String) throws -> [Double] {
    try commands.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    var line = Data()
    while true {
      guard let byte = try answers.fileHandleForReading.read(upToCount: 1), !byte.isEmpty else {
        throw BenchmarkError("the peer ended before it answered '\(command)'; can it import torch?")
      }
      if byte[0] == UInt8(ascii: "\n") { break }
      line += byte
    }
    return try JSONDecoder().decode([Double].self, from: line)
  }
}

struct BenchmarkError: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

extension Network {
  /// Writes parameters and a batch as raw little-endian numbers, with `case.json`, for a peer to start from.
  func hand(
    over batch: Examples, model: String, learningRate: Double, channelsLast: Bool, threads: Int, classes: Int,
    to folder: URL
  ) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, tensor) in parameters() {
      let floats = tensor.values.map(Float.init)
      let file = name.replacingOccurrences(of: "/", with: "_") + ".bin"
      try floats.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent(file)) }
    }
    try batch.inputs.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent("image.bin")) }
    try batch.labels.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent("label.bin")) }
    let description: [String: Any] = [
      "model": model, "learningRate": learningRate, "channelsLast": channelsLast, "threads": threads,
      "classes": classes,
      "image": [batch.count] + batch.inputShape, "label": [batch.count, batch.labels.count / batch.count],
      "parameters": Dictionary(uniqueKeysWithValues: graph.parameters.map { ($0.name, $0.extents) }),
    ]
    try JSONSerialization.data(withJSONObject: description, options: .sortedKeys)
      .write(to: folder.appendingPathComponent("case.json"))
  }
}
