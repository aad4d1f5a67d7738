import PCInterchange
import PCKernels
import PCLearning

/// What keeps what training tells.
package protocol TrainingLog {
  /// Writes what training told.
  func record(_ progress: TrainingProgress)
  /// - Throws: the first failure; it ended no training.
  func finish() throws
}

/// Training as TensorBoard shows it: curves of loss and accuracy, histograms of messages by vertex, samples of text.
///
/// Every rule and seed has a folder of its own, in which a run that is resumed goes on. What cannot be written ends no
/// training: the first failure is kept for `finish()`.
package final class EventLog: TrainingLog {
  private let folder: String
  private let runName: String?
  private var writers: [String: EventFileWriter] = [:]
  private var failure: (any Error)?

  /// - Parameters:
  ///   - folder: gets a folder for each rule and seed, such as `fixed-seed0`; is made when there is something to write.
  ///   - runName: the one folder for all that is recorded, instead.
  package init(folder: String, runName: String? = nil) {
    self.folder = folder
    self.runName = runName
  }

  /// Writes what training told.
  package func record(_ progress: TrainingProgress) {
    guard failure == nil else { return }
    do {
      switch progress {
      case .step(let step):
        try writer(step.rule, step.seed).scalar("training/batch loss", step.loss, step: step.step)
      case .epoch(let epoch):
        let writer = try writer(epoch.rule, epoch.seed)
        try writer.scalar("training/epoch loss", epoch.trainLoss, step: epoch.epoch)
        try writer.scalar("test/accuracy", epoch.testAccuracy, step: epoch.epoch)
        try writer.flush()
      case .messages(let messages):
        let writer = try writer(messages.rule, messages.seed)
        for (vertex, values) in messages.byVertex {
          try writer.histogram("messages/\(vertex)", values, step: messages.epoch)
        }
      case .sample(let sample):
        try writer(sample.rule, sample.seed).text("sample", sample.text, step: sample.epoch)
      }
    } catch {
      failure = error
    }
  }

  /// - Throws: the first failure.
  package func finish() throws {
    writers = [:]
    if let failure { throw failure }
  }

  private func writer(_ rule: NamedRule, _ seed: UInt64) throws -> EventFileWriter {
    let name = runName ?? rule.runName(seed: seed)
    if let known = writers[name] { return known }
    try makeFolders(folder)
    let writer = try EventFileWriter(folder: "\(folder)/\(name)")
    writers[name] = writer
    return writer
  }
}

extension Network {
  /// The messages of all vertices that have one after inference by a rule; those of the steps of a sequence together, under
  /// the name without the step's number.
  package func messagesByVertex(_ rule: any Rule, on feed: Feed) throws -> [(vertex: String, values: [Double])] {
    let run = try run(rule, on: feed)
    run.runAll()
    var order: [String] = []
    var values: [String: [Double]] = [:]
    for (vertex, message) in zip(run.plan.graph.vertices, run.plan.messages)
    where vertex.kind != .parametric && message != nil {
      let name = vertex.name.replacing(/\[\d+\]/, with: "")
      if values[name] == nil { order.append(name) }
      values[name, default: []] += run[vertex.name].message.values
    }
    return order.map { ($0, values[$0] ?? []) }
  }
}
