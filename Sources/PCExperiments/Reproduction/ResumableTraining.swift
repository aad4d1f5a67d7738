#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
import PCInterchange
import PCLearning

/// Training pass after pass, kept in a checkpoint with what was noted on the way, so that a run that is interrupted goes on
/// from there: after each pass, and about every minute in between.
struct ResumableTraining<Notes: Codable> {
  let trainer: Trainer
  /// The checkpoint's file.
  let path: String
  /// What was noted after the passes so far.
  private(set) var notes: Notes
  private let interval = Duration.seconds(60)

  /// Goes on from the file, where there is one; else begins with these notes.
  init(_ trainer: Trainer, path: String, notes: Notes) throws {
    self.trainer = trainer
    self.path = path
    self.notes = notes
    guard fileExists(path) else { return }
    let checkpoint = try Checkpoint(path: path)
    try trainer.restore(checkpoint)
    self.notes = try checkpoint.notes()
  }

  /// Runs the passes 1, 2, … that are still to be run.
  ///
  /// - Parameters:
  ///   - passes: how many there are in all.
  ///   - feeds: the batches of a pass.
  ///   - progress: called after each batch with the pass, the number of the batch, all batches of the pass, and its report;
  ///     what it notes is kept with the state after that batch.
  ///   - note: called after each pass; what it notes is kept with the state after that pass.
  mutating func run(
    passes: Int, feeds: (Int) throws -> FeedSequence,
    progress: (_ pass: Int, _ batch: Int, _ of: FeedSequence, BatchReport, inout Notes) throws -> Void,
    note: (EpochReport, inout Notes) throws -> Void
  ) throws {
    let clock = ContinuousClock()
    var saved = clock.now
    while true {
      // A pass is complete in a checkpoint only together with its notes.
      let isComplete = try trainer.pass.epoch > 0 && trainer.pass.batches == feeds(trainer.pass.epoch).count
      let pass = max(trainer.pass.epoch + (isComplete ? 1 : 0), 1)
      guard pass <= passes else { return }
      let batches = try feeds(pass)
      let report = try trainer.trainEpoch(pass, on: batches) { batch, count, report in
        try progress(pass, batch, batches, report, &notes)
        guard batch < count, clock.now - saved > interval else { return }
        try save(to: path)
        saved = clock.now
      }
      try note(report, &notes)
      try save(to: path)
      saved = clock.now
    }
  }

  /// Writes the run as it is.
  private func save(to path: String) throws { try trainer.checkpoint(noting: notes).write(to: path) }
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
