import PCInterchange

/// Training as tables: `RULE-seedN-steps.csv` with a line for each training step, `RULE-seedN-epochs.csv` with one for each
/// epoch. A run that is resumed goes on in them; lines of steps that are repeated come again, the last of a number counts.
package final class TableLog: TrainingLog {
  private let folder: String
  private var tables: [String: AppendedFile] = [:]
  private var failure: (any Error)?

  /// - Parameter folder: is made when there is something to write.
  package init(folder: String) { self.folder = folder }

  package func record(_ progress: TrainingProgress) {
    guard failure == nil else { return }
    do {
      switch progress {
      case .step(let step):
        try table("\(step.rule.runName(seed: step.seed))-steps", "step,epoch,loss").append(
          "\(step.step),\(step.epoch),\(step.loss)\n")
      case .epoch(let epoch):
        let name = epoch.rule.runName(seed: epoch.seed)
        let table = try table(
          "\(name)-epochs", "epoch,training loss,validation loss,validation accuracy,test accuracy")
        let cells = [epoch.trainLoss, epoch.validationLoss, epoch.validationAccuracy, epoch.testAccuracy]
        let numbers = cells.map { $0.map { "\($0)" } ?? "" }.joined(separator: ",")
        try table.append("\(epoch.epoch),\(numbers)\n")
      case .messages, .sample: break
      }
    } catch {
      failure = error
    }
  }

  package func finish() throws {
    tables = [:]
    if let failure { throw failure }
  }

  private func table(_ name: String, _ heading: String) throws -> AppendedFile {
    if let known = tables[name] { return known }
    try makeFolders(folder)
    let table = try AppendedFile("\(folder)/\(name).csv")
    if table.isEmpty { try table.append(heading + "\n") }
    tables[name] = table
    return table
  }
}
