/// The paper's experiments, by the names that the command line uses, in the order of the page.
package enum NamedPaperExperiment: String, CaseIterable, Sendable, Named {
  /// The scalar graph y = tan √(θ v0) + sin v0².
  case scalar
  /// How many steps inference needs, on which graphs.
  case convergence
  /// The paper's convolutional network on images.
  case cnn
  /// The recurrent network on names.
  case rnn
  /// The LSTM on Shakespeare.
  case lstm

  package static let noun = "experiment"

  /// The file of its numbers.
  var jsonName: String { "\(rawValue).json" }

  /// What runs it: the one place where a new experiment is entered.
  var type: any PaperExperiment.Type {
    switch self {
    case .scalar: ScalarExperiment.self
    case .convergence: ConvergenceExperiment.self
    case .cnn: CNNExperiment.self
    case .rnn: NamesExperiment.self
    case .lstm: CharacterExperiment.self
    }
  }
}

/// Which of the paper's experiments are run, how large, and where their results go.
///
/// ```swift
/// let reproduction = Reproduction([.scalar], output: "paper", provenance: Provenance(command: ["pcgraph"], commit: nil))
/// try reproduction.run { print($0) }          // leaves paper/index.html
/// ```
package struct Reproduction: Sendable {
  /// In any order; each once.
  package var experiments: [NamedPaperExperiment]
  /// A small version of each, for a look: minutes instead of hours.
  package var isQuick = false
  /// How often training is repeated; nil for each experiment's own number.
  package var seedCount: Int?
  /// The folder of the results.
  package var output: String
  /// The folder that holds `cifar-10/` and the other data sets.
  package var dataDirectory: String?
  /// Threads of the CPU backend; nil for as many as there are processors. Results do not depend on them.
  package var threads: Int?
  /// Bytes that parameters and plans of one training may take; nil for no limit. More is refused before it is taken.
  package var memoryLimit: Int?
  /// Whether training leaves event files for TensorBoard, under `events/` of the output folder.
  package var logsEvents = false
  /// Asked between pieces of work and after every batch: whether to write what there is and stop.
  package var shouldStop: @Sendable () -> Bool = { false }
  /// What results are labelled with.
  package var provenance: Provenance

  package init(_ experiments: [NamedPaperExperiment], output: String, provenance: Provenance) {
    self.experiments = experiments
    self.output = output
    self.provenance = provenance
  }
}

/// What a reproduction tells while it runs.
package enum ReproductionProgress: Sendable {
  /// A piece of work begins, the `number`th of `count`.
  case begins(NamedPaperExperiment, work: String, number: Int, count: Int)
  /// So many of an experiment's pieces were found finished in the folder.
  case found(NamedPaperExperiment, count: Int, of: Int)
  /// The training inside of a piece of work.
  case training(TrainingProgress)
  /// All that could be done of an experiment is done, and the page tells it.
  case ended(NamedPaperExperiment, Findings)
  /// An experiment, or a part of it, could not be run.
  case leftOut(NamedPaperExperiment, reason: String)
}

// MARK: - Running

extension Reproduction {
  /// How the training inside of a piece of work is kept.
  func keeping(_ checkpoint: String) -> CheckpointKeeping {
    CheckpointKeeping(newest: checkpoint, shouldStop: shouldStop)
  }

  /// Does all the work that the folder does not yet hold, and brings its page up to date after each experiment.
  ///
  /// - Throws: a `SettingsError` where a setting cannot be, where something foreign is in the folder's way, or where a
  ///   single experiment is asked for and its data are missing; `TrainingInterrupted` where it should stop; and what an
  ///   experiment itself throws.
  package func run(progress: (ReproductionProgress) -> Void = { _ in }) throws {
    if let seedCount { try Settings.check("the number of seeds", seedCount, in: 1...100_000) }
    if let memoryLimit { try Settings.check("the memory limit", memoryLimit, in: 1...Int.max) }
    if let threads { try Settings.check("the number of threads", threads, in: 1...1024) }
    let archive = try ReproductionArchive(output, for: experiments)
    for name in NamedPaperExperiment.allCases where experiments.contains(name) {
      try run(name.type.init(self), in: archive, progress)
    }
  }

  private func run<Experiment: PaperExperiment>(
    _ experiment: Experiment, in archive: ReproductionArchive, _ progress: (ReproductionProgress) -> Void
  ) throws {
    let (works, omissions) = try experiment.plan()
    if works.isEmpty, experiments.count == 1 {
      throw SettingsError("\(Experiment.name.rawValue) cannot run: \(omissions.joined(separator: " "))")
    }
    for reason in omissions { progress(.leftOut(Experiment.name, reason: reason)) }
    // Where an earlier run found more, the page keeps it.
    if works.isEmpty, archive.record.experiments[Experiment.name.rawValue] != nil { return }

    let missing = works.filter { archive.finished($0, of: Experiment.self) == nil }
    if missing.count < works.count {
      progress(.found(Experiment.name, count: works.count - missing.count, of: works.count))
    }
    for (number, work) in missing.enumerated() {
      if shouldStop() {
        throw TrainingInterrupted(place: "\(number) of \(missing.count) pieces of \(Experiment.name.rawValue)")
      }
      progress(.begins(Experiment.name, work: work.name, number: number + 1, count: missing.count))
      let clock = ContinuousClock()
      var provenance = provenance
      provenance.started = currentTime()
      let start = clock.now
      let checkpoint = try archive.checkpoint(of: work, Experiment.self)
      let log = logsEvents ? try archive.eventLog(of: work, Experiment.self) : nil
      let result: Experiment.Result
      do {
        result = try experiment.perform(work, checkpoint: checkpoint) {
          log?.record($0)
          progress(.training($0))
        }
      } catch {
        // A damaged checkpoint is named by what it is refused with.
        guard "\(error)".contains(checkpoint) else { throw error }
        throw SettingsError("\(error) Remove it to begin this piece of work again.")
      }
      try log?.finish()
      provenance.seconds = (clock.now - start).seconds
      try archive.keep(FinishedWork(work: work, result: result, provenance: provenance), of: Experiment.self)
    }
    try archive.enter(Experiment.name, works.map { archive.fileName(of: $0, Experiment.self) }, omissions)
    try archive.writeReport()
    if let findings = try archive.findings(of: Experiment.self)?.findings {
      progress(.ended(Experiment.name, findings))
    }
  }
}
