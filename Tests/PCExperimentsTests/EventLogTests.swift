import Foundation
import PredictiveCoding
import Testing

/// Training as event files, and the limit on its memory.
struct EventLogTests {
  private var choices: Choices {
    var choices = Choices(rules: [.fixed, .backprop])
    choices.hidden = [8]
    choices.maximalSteps = 30
    choices.epochs = 2
    choices.steps = PerRule(20)
    choices.threads = 1
    choices.reportsMessages = true
    return choices
  }

  @Test func `every rule and seed has its curves and the messages of every vertex`() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pc-events-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let log = EventLog(folder: folder.appendingPathComponent("deep/events").path)
    let experiment = try Experiment(Settings(choices))
    var messages: [MessageProgress] = []
    _ = try experiment.compare { progress in
      log.record(progress)
      if case .messages(let report) = progress { messages.append(report) }
    }
    log.record(.sample(SampleProgress(rule: .fixed, seed: 0, epoch: 2, text: "To be")))
    try log.finish()

    // 30 steps and 2 epochs; what predictive coding sends is near what backprop sends.
    #expect(messages.map(\.epoch) == [1, 2, 1, 2])
    #expect(
      messages[0].byVertex.map(\.vertex) == ["hidden1", "output"]
        || messages[0].byVertex.map(\.vertex) == ["reshape", "hidden1", "output"])
    for report in messages {
      let output = try #require(report.byVertex.last)
      #expect(output.values.count == 10 * (report.epoch == 1 ? 29 : 64), "\(output.values.count)")
      // Target less softmax sums to 0 for each image.
      #expect(abs(output.values.reduce(0, +)) < 1e-4)
    }
    for run in ["fixed-seed0", "backprop-seed0"] {
      let place = folder.appendingPathComponent("deep/events/\(run)")
      let files = try FileManager.default.contentsOfDirectory(atPath: place.path)
      #expect(files.count == 1)
      let bytes = try Data(contentsOf: place.appendingPathComponent(files[0]))
      let records = try Self.records(bytes)
      func count(_ tag: String) -> Int { records.count { $0.range(of: Data(tag.utf8)) != nil } }
      #expect(count("training/batch loss") == 30)
      #expect(count("test/accuracy") == 2)
      #expect(count("messages/hidden1") == 2)
      #expect(count("To be") == (run == "fixed-seed0" ? 1 : 0))
    }
  }

  @Test func `a log that cannot be written says so in the end`() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pc-events-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data().write(to: folder)
    let log = EventLog(folder: folder.path)
    _ = try Experiment(Settings(choices)).train { log.record($0) }
    #expect(throws: (any Error).self) { try log.finish() }
  }

  @Test func `memory is counted before it is taken`() throws {
    var settings = try Settings(choices)
    let experiment = try Experiment(settings)
    let trainer = try Trainer(
      experiment.model, rule: settings.rules[0].rule, optimizer: settings.optimizer.make(learningRate: 0.1),
      clipping: settings.clipping, reduction: settings.reduction, on: experiment.backend, seed: 0)
    let needed = try trainer.byteCount(batchSize: settings.batchSize)
    // Parameters, gradients and Adam's two states alone.
    let parameters = experiment.model.graph.parameters.reduce(0) { $0 + $1.extents.reduce(1, *) }
    #expect(needed > 4 * 4 * parameters && needed < 10_000_000, "\(needed) bytes for \(parameters) parameters")
    settings.memoryLimit = needed
    _ = try Experiment(settings).train()
    settings.memoryLimit = needed - 1
    let error = #expect(throws: SettingsError.self) { try Experiment(settings).train() }
    #expect(error?.description.contains("memory limit") == true)
  }

  /// The data of TFRecord's frames: length, its checksum, data, its checksum.
  private static func records(_ bytes: Data) throws -> [Data] {
    var (records, place): ([Data], Int) = ([], 0)
    while place < bytes.count {
      try #require(place + 12 <= bytes.count)
      let length = bytes[place..<(place + 8)].reversed().reduce(0) { $0 << 8 | Int($1) }
      try #require(place + 16 + length <= bytes.count)
      records.append(bytes.subdata(in: (place + 12)..<(place + 12 + length)))
      place += 16 + length
    }
    return records
  }
}
