#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
import PCInterchange
import PCLearning

/// Training pass after pass, kept in checkpoints with what was noted on the way, so that a run that is interrupted goes on
/// from there, bit for bit.
struct ResumableTraining<Notes: Codable> {
  let trainer: Trainer
  /// Where the run is kept; nil keeps nothing.
  let keeping: CheckpointKeeping?
  /// What was noted after the passes so far.
  private(set) var notes: Notes
  /// Whether the run goes on from a checkpoint.
  private let isResumed: Bool
  /// Called before each checkpoint; what it throws keeps it from being written.
  var check: () throws -> Void = {}
  private let interval = Duration.seconds(60)

  /// Goes on from the newest checkpoint, where there is one; else begins with these notes.
  ///
  /// - Parameter check: throws where the notes found are those of another run; nothing is changed then.
  init(
    _ trainer: Trainer, keeping: CheckpointKeeping?, notes: Notes,
    check: (Notes) throws -> Void = { _ in }
  ) throws {
    self.trainer = trainer
    self.keeping = keeping
    guard let keeping, fileExists(keeping.newest) else {
      self.notes = notes
      isResumed = false
      return
    }
    let checkpoint = try Checkpoint(path: keeping.newest)
    let found: Notes
    do {
      found = try checkpoint.notes()
    } catch {
      throw CheckpointError("\(keeping.newest) is the checkpoint of something else than this training.")
    }
    try check(found)
    try trainer.restore(checkpoint)
    self.notes = found
    isResumed = true
  }

  /// Runs the passes 1, 2, … that are still to be run.
  ///
  /// - Parameters:
  ///   - passes: how many there are in all.
  ///   - updates: how many updates there are at most, over all passes.
  ///   - feeds: the batches of a pass.
  ///   - progress: called after each batch with the pass, the number of the batch, all batches of the pass, and its report;
  ///     what it notes is kept with the state after that batch.
  ///   - note: called after each pass that is complete; what it notes is kept with the state after that pass.
  ///   - isDone: whether the run ends before its last pass.
  ///   - isBest: whether the state after the pass just noted is the best so far, and kept as such.
  /// - Throws: `TrainingInterrupted` where the keeping says that the run should stop.
  mutating func run(
    passes: Int, updates: Int = .max, feeds: (Int) throws -> FeedSequence,
    progress: (_ pass: Int, _ batch: Int, _ of: FeedSequence, BatchReport, inout Notes) throws -> Void,
    note: (EpochReport, inout Notes) throws -> Void,
    isDone: (Notes) -> Bool = { _ in false }, isBest: (Notes) -> Bool = { _ in false }
  ) throws {
    let clock = ContinuousClock()
    var saved = clock.now
    func isPassComplete() throws -> Bool {
      try trainer.pass.epoch > 0 && trainer.pass.batches == feeds(trainer.pass.epoch).count
    }
    if isResumed, let keeping {
      try keeping.name(updates: trainer.updateCount, isBest: isPassComplete() && isBest(notes))
    }
    while !isDone(notes), trainer.updateCount < updates {
      // A pass is complete in a checkpoint only together with its notes.
      let pass = try max(trainer.pass.epoch + (isPassComplete() ? 1 : 0), 1)
      guard pass <= passes else { return }
      let batches = try feeds(pass)
      let report = try trainer.trainEpoch(
        pass, on: batches, maximalUpdates: updates - trainer.updateCount
      ) { batch, count, report in
        try progress(pass, batch, batches, report, &notes)
        guard batch < count else { return }
        if keeping?.shouldStop() == true {
          try save()
          throw TrainingInterrupted(place: "step \(trainer.updateCount)")
        }
        guard keeping?.isNumbered(trainer.updateCount) == true || clock.now - saved > interval else { return }
        try save()
        saved = clock.now
      }
      guard trainer.pass.batches == batches.count else { return try save() }
      try note(report, &notes)
      try save(isBest: isBest(notes))
      saved = clock.now
      if keeping?.shouldStop() == true, pass < passes, trainer.updateCount < updates, !isDone(notes) {
        throw TrainingInterrupted(place: "step \(trainer.updateCount)")
      }
    }
  }

  /// Writes the run as it is. One with numbers that are not finite never takes a good one's place.
  private func save(isBest: Bool = false) throws {
    guard let keeping else { return }
    try check()
    let checkpoint = try trainer.checkpoint(noting: notes)
    for array in checkpoint.arrays where !array.values.doubles.allSatisfy(\.isFinite) {
      throw TrainingError.setting(
        "training diverged: \(array.name) is not finite after update \(trainer.updateCount); lower the learning rate "
          + "(\(trainer.optimizer.learningRate))")
    }
    try keeping.write(checkpoint, isBest: isBest)
  }
}

/// Training that stopped because it was asked to; its checkpoint is written.
package struct TrainingInterrupted: Error {
  /// What was done last, such as `step 12`.
  package var place: String
}

extension Trainer {
  /// The run as it is now, with notes that `Checkpoint.notes()` reads.
  func checkpoint(noting notes: some Encodable) throws -> Checkpoint {
    try checkpoint(notes: String(decoding: JSONEncoder.withNonFinite.encode(notes), as: UTF8.self))
  }
}

extension Checkpoint {
  /// What was noted, or the part of it that `Notes` describes.
  func notes<Notes: Decodable>() throws -> Notes {
    try JSONDecoder.withNonFinite.decode(Notes.self, from: Data(state.notes.utf8))
  }
}

extension JSONEncoder {
  /// With sorted keys; JSON has no infinities and no NaN, so they are words.
  static var withNonFinite: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }
}

extension JSONDecoder {
  /// Reads what `JSONEncoder.withNonFinite` writes.
  static var withNonFinite: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }
}
