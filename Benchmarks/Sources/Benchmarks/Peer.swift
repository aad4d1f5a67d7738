import Foundation
import PredictiveCoding

/// Another library in a process of its own that steps when it is told to.
final class Peer {
  /// Who can be asked; `Peers/` holds a program for each.
  enum Library: String, CaseIterable {
    case pytorch, pcx, fabricpc, ngclearn, deepity
    /// Of products and convolutions alone.
    case openblas, onednn

    var name: String { self == .pytorch ? "PyTorch" : rawValue }

    fileprivate var program: String {
      switch self {
      case .pytorch: "pytorch.py"
      case .openblas, .onednn: "peer_kernels.py"
      default: "peer_\(rawValue).py"
      }
    }
  }

  private let process = Process()
  private let commands = Pipe()
  private let answers = Pipe()
  private let name: String

  /// - Parameter folder: what `Contestant.hand` wrote.
  init(_ library: Library, _ options: Options, at folder: URL) throws {
    name = library.name
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      options.python(library) ?? "python3", root.appendingPathComponent("Peers/\(library.program)").path, folder.path,
    ]
    // Some hosts pin an older OpenBLAS's kernels by these, which would slow the peer.
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("OPENBLAS") }
    process.standardInput = commands
    process.standardOutput = answers
    try process.run()
  }

  deinit {
    kill(process.processIdentifier, SIGCONT)
    try? commands.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  func steps(_ count: Int) throws -> [Double] { try ask("steps \(count)") }
  func loss() throws -> Double { try ask("loss").first ?? .nan }

  /// Between its turns a peer is stopped: threads of its that wait for work by spinning would slow everyone else.
  private func ask(_ command: String) throws -> [Double] {
    kill(process.processIdentifier, SIGCONT)
    defer { kill(process.processIdentifier, SIGSTOP) }
    try commands.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    var line = Data()
    while true {
      guard let byte = try answers.fileHandleForReading.read(upToCount: 1), !byte.isEmpty else {
        throw BenchmarkError("\(name) ended before it answered '\(command)'; can its interpreter import it?")
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

extension Contestant {
  /// Writes parameters and a batch as raw little-endian numbers, with `case.json`, for a peer to start from; returns the
  /// folder.
  func hand(over work: Workload, isChannelsLast: Bool, _ options: Options) throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pc-benchmark-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let network = trainer.network
    for (name, tensor) in network.parameters() {
      let floats = tensor.values.map(Float.init)
      let file = name.replacingOccurrences(of: "/", with: "_") + ".bin"
      try floats.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent(file)) }
    }
    let batch = work.batch
    try batch.inputs.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent("image.bin")) }
    try batch.labels.withUnsafeBytes { try Data($0).write(to: folder.appendingPathComponent("label.bin")) }
    var description: [String: Any] = [
      "model": work.name, "learningRate": work.optimizer.learningRate, "channelsLast": isChannelsLast,
      "threads": options.threads, "classes": batch.classes, "activation": work.activation,
      "optimizer": work.optimizer.name,
      "image": [batch.count] + batch.inputShape, "label": [batch.count, batch.labels.count / batch.count],
      "parameters": Dictionary(uniqueKeysWithValues: network.graph.parameters.map { ($0.name, $0.extents) }),
    ]
    if let rule = entry.rule as? any IterativeRule { description["rule"] = ["steps": rule.steps, "rate": rule.rate] }
    try JSONSerialization.data(withJSONObject: description, options: .sortedKeys)
      .write(to: folder.appendingPathComponent("case.json"))
    return folder
  }
}
