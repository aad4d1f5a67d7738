import PCDatasets
import PCGraphs
import PCInterchange
import PCKernels
import PCPlans

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A training run at rest: all that it needs to go on as if it had never stopped, bit for bit.
///
/// ```swift
/// try trainer.checkpoint().write(to: "run/last.safetensors")
/// …
/// try trainer.restore(Checkpoint(path: "run/last.safetensors"))
/// ```
///
/// The file is in the safetensors format. Its arrays are `parameter/PATH`, `optimizer/…` and `carried/INPUT`; its metadata
/// hold the rest as JSON under `state` and, under `sha256`, the digest of both. Random numbers need no state of their own:
/// they follow from seed, epoch, batch and example.
public struct Checkpoint: Sendable {
  /// Everything but arrays.
  public struct State: Codable, Sendable {
    /// The version of the file's layout; files of another one are refused.
    public var format = Checkpoint.format
    /// Rule, optimiser, seed and whatever else decides how the run goes on, in words; a trainer with others refuses it.
    public var settings: [String: String]
    /// Updates made.
    public var updateCount: Int
    /// The pass that is under way, which says the place in it.
    public var pass: EpochReport
    /// What the caller wants to find again.
    public var notes: String
  }

  /// The version of the file's layout.
  public static let format = 1

  /// Everything but arrays.
  public var state: State
  /// Parameters, the optimiser's state, carried state.
  public var arrays: [NamedArray]

  /// A checkpoint of these parts; `Trainer.checkpoint(notes:)` makes one.
  public init(state: State, arrays: [NamedArray]) {
    self.state = state
    self.arrays = arrays
  }

  // MARK: Files

  /// Writes the file in such a way that a crash leaves either the old one or the new one, whole and on the disk.
  ///
  /// - Throws: a `FileError` where the system refuses.
  public func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(state), as: UTF8.self)
    try Safetensors(arrays, metadata: ["state": text, "sha256": Self.digest(arrays, text)]).write(to: path)
  }

  /// Reads a file that `write(to:)` wrote.
  ///
  /// - Throws: a `FileError` or `FormatError` where it cannot be read or is no safetensors file, a `CheckpointError` where
  ///   it is no checkpoint, one of another format, or damaged.
  public init(path: String) throws {
    let file = try Safetensors(path: path)
    guard let text = file.metadata["state"], let digest = file.metadata["sha256"] else {
      throw CheckpointError("\(path) is no checkpoint: it holds arrays and no state of a run.")
    }
    struct Version: Decodable { var format: Int }
    let decoder = JSONDecoder()
    guard let version = try? decoder.decode(Version.self, from: Data(text.utf8)) else {
      throw CheckpointError("\(path) is no checkpoint: its state has no format.")
    }
    guard version.format == Self.format else {
      throw CheckpointError(
        "\(path) has format \(version.format), this version reads \(Self.format); use the version that wrote it.")
    }
    guard digest == Self.digest(file.arrays, text) else {
      throw CheckpointError("\(path) is damaged: its contents do not have the digest that it names.")
    }
    do {
      state = try decoder.decode(State.self, from: Data(text.utf8))
    } catch {
      throw CheckpointError("\(path) is damaged: its state cannot be read.")
    }
    arrays = file.arrays
  }

  /// Of the names, shapes and numbers, in the order of the names, and the state.
  private static func digest(_ arrays: [NamedArray], _ state: String) -> String {
    var digest = SHA256()
    for array in arrays.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      digest.update(Array("\(array.name) \(array.shape)\n".utf8))
      digest.update(array.values.littleEndianBytes)
    }
    digest.update(Array(state.utf8))
    return digest.finalize()
  }
}

/// Why a checkpoint cannot be used: a sentence that lists every difference.
public struct CheckpointError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  /// A sentence that names the file or the differences, and says what to do.
  public init(_ description: String) { self.description = description }
}

// MARK: - Taking and restoring

extension Trainer {
  /// The run as it is now.
  ///
  /// - Parameter notes: what the caller wants to find again, such as its results so far.
  public func checkpoint(notes: String = "") throws -> Checkpoint {
    var arrays = try network.storedArrays(of: trainingPlan().plan)
    for (name, values) in carriedValues { arrays.append(network.array("carried/\(name)", [values.count], values)) }
    return Checkpoint(
      state: .init(settings: settingsInWords, updateCount: updateCount, pass: pass, notes: notes), arrays: arrays)
  }

  /// Makes this the run that the checkpoint was taken from.
  ///
  /// - Throws: a `CheckpointError` that lists every difference, where it is one of another model, rule, optimiser or seed;
  ///   nothing is changed then.
  public func restore(_ checkpoint: Checkpoint) throws {
    var differences: [String] = []
    let settings = settingsInWords
    for name in Set(settings.keys).union(checkpoint.state.settings.keys).sorted() {
      let (saved, own) = (checkpoint.state.settings[name] ?? "none", settings[name] ?? "none")
      if saved != own { differences.append("\(name) \(saved) there, \(own) here") }
    }
    let plan = try trainingPlan().plan
    let (found, storages) = try network.differences(checkpoint, plan)
    differences += found
    var carried: [String: [Double]] = [:]
    for array in checkpoint.arrays where array.name.hasPrefix("carried/") {
      let name = String(array.name.dropFirst("carried/".count))
      if network.graph.inputs.contains(where: { $0.name == name }) {
        carried[name] = array.values.doubles
      } else {
        differences.append("the state carried into \(name) is not in the model")
      }
    }
    guard differences.isEmpty else {
      throw CheckpointError(
        "The checkpoint is of another run: \(differences.joined(separator: "; ")). Start again with the settings that it "
          + "was made with, or without it.")
    }
    for (storage, values) in storages { storage.upload(values) }
    resume(updateCount: checkpoint.state.updateCount, pass: checkpoint.state.pass, carried: carried)
  }

  /// All that decides how the run goes on, but for the learning rate, which may change from batch to batch.
  private var settingsInWords: [String: String] {
    var words = [
      "rule":
        ([rule.planKey, "T = \(rule.schedule.steps)"]
        + rule.coefficients.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }).joined(separator: ", "),
      "optimizer": optimizer.name, "clipping": "\(clipping)", "reduction": reduction.rawValue,
      "seed": "\(network.seed)", "precision": "\(network.backend.epsilon)",
    ]
    if accumulation > 1 { words["batches of an update"] = "\(accumulation)" }
    if let schedule { words["schedule"] = schedule.summary }
    for setting in optimizer.settings where setting.name != "learning rate" {
      words[setting.name] = "\(setting.value)"
    }
    var digest = SHA256()
    digest.update(Array(network.graph.description.utf8))
    words["model"] = String(digest.finalize().prefix(12))
    return words
  }
}

extension Network {
  /// Takes the parameters of a checkpoint, and nothing else of it: to evaluate, to predict, to generate.
  ///
  /// - Throws: a `CheckpointError` that lists every difference, where they are another model's; nothing is changed then.
  public func restoreParameters(of checkpoint: Checkpoint) throws {
    let (differences, storages) = try differences(checkpoint, plan(Feedforward()).plan)
    guard differences.isEmpty else {
      throw CheckpointError("The checkpoint is of another model: \(differences.joined(separator: "; ")).")
    }
    for (storage, values) in storages { storage.upload(values) }
  }

  /// What the plan keeps from run to run, under the names that a checkpoint gives it.
  private func kept(_ plan: Plan) throws -> [(name: String, extents: [Int], storage: any Storage)] {
    let parameters = Dictionary(uniqueKeysWithValues: zip(plan.parameters.map(\.view.buffer), graph.parameters))
    return try plan.program.buffers.indices.filter { plan.program.buffers[$0].isPersistent }.map { index in
      let buffer = plan.program.buffers[index]
      let storage = try storage(ofPersistent: index, in: plan)
      guard let parameter = parameters[index] else { return ("optimizer/\(buffer.name)", [buffer.count], storage) }
      return ("parameter/\(parameter.name)", parameter.extents, storage)
    }
  }

  func storedArrays(of plan: Plan) throws -> [NamedArray] {
    try kept(plan).map { array($0.name, $0.extents, $0.storage.download()) }
  }

  /// What keeps a checkpoint's arrays from being the plan's, and which numbers go where if nothing does. Arrays that a
  /// plan without optimiser does not keep are no difference to it.
  func differences(
    _ checkpoint: Checkpoint, _ plan: Plan
  ) throws -> (found: [String], storages: [(any Storage, [Double])]) {
    var found: [String] = []
    var storages: [(any Storage, [Double])] = []
    var saved: [String: NamedArray] = [:]
    for array in checkpoint.arrays { saved[array.name] = array }
    let kept = try kept(plan)
    for (name, extents, storage) in kept {
      guard let array = saved.removeValue(forKey: name) else {
        found.append("\(name) is missing")
        continue
      }
      guard array.shape == extents else {
        found.append("\(name) has shape \(array.shape) there, \(extents) here")
        continue
      }
      let values = array.values.doubles
      guard values.allSatisfy({ $0.magnitude <= backend.largestNumber }) else {
        found.append("\(name) holds numbers that are not finite")
        continue
      }
      storages.append((storage, values))
    }
    let isTraining = kept.contains { $0.name.hasPrefix("optimizer/") }
    for name in saved.keys.sorted() where name.hasPrefix("parameter/") || isTraining && name.hasPrefix("optimizer/") {
      found.append("\(name) is not in the model")
    }
    return (found, storages)
  }
}
