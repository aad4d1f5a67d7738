#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  /// What is kept of a training, and whether one goes on.
  struct KeepingOptions: ParsableArguments {
    @Flag(help: "Go on with the run in --output.")
    var resume = false

    @Option(
      help: ArgumentHelp(
        "A checkpoint after every N training steps, kept by its number. (default: about every minute and after each epoch, the newest alone)",
        valueName: "N"))
    var checkpointEvery: Int?

    @Option(help: ArgumentHelp("How many checkpoints are kept by number, the newest ones.", valueName: "K"))
    var keep = 3

    func check(output: String?) throws {
      guard output != nil || !resume && checkpointEvery == nil else {
        throw SettingsError("--resume and --checkpoint-every need --output, the folder of the run.")
      }
      if let checkpointEvery {
        try Settings.check("the number of steps between checkpoints", checkpointEvery, in: 1...Int.max)
      }
      try Settings.check("the number of checkpoints to keep", keep, in: 1...1_000_000)
    }

    /// The keeping of the run in a folder, or of one of several by its name, with Ctrl-C and SIGTERM as requests to stop.
    func keeping(_ folder: CheckpointFolder, of run: String? = nil) throws -> CheckpointKeeping {
      try folder.keeping(of: run, interval: checkpointEvery, numberedCount: keep) { Interruption.signal != 0 }
    }

    /// Does what trains, with a folder of checkpoints where there is a run folder. Where it is asked to stop, says how to go
    /// on; where it fails, what is left to go on with.
    func keepingRuns(
      of contents: CheckpointFolder.Contents, in folder: RunFolder?, _ display: ProgressDisplay,
      _ log: (any TrainingLog)?, _ train: (CheckpointFolder?) throws -> Void
    ) throws {
      let checkpoints = try folder.map { try CheckpointFolder($0, for: contents, isResumed: resume) }
      if checkpoints != nil { Interruption.install() }
      do {
        try train(checkpoints)
      } catch let stop as TrainingInterrupted {
        display.finish()
        log?.report()
        printToStandardError(
          "Stopped after \(stop.place); the checkpoint is in \(checkpoints?.path ?? "").\nGo on with: "
            + resumingCommand())
        throw ExitCode(128 + Interruption.signal)
      } catch {
        display.finish()
        checkpoints?.discardIfEmpty()
        throw (checkpoints?.kept).map { FailureWithCheckpoint(error, kept: $0) } ?? error
      }
    }

    /// This command again, to go on.
    private func resumingCommand() -> String {
      let arguments = CommandLine.arguments.dropFirst()
      let all = ["pcgraph"] + arguments + (arguments.contains("--resume") ? [] : ["--resume"])
      return all.map(shellQuoted).joined(separator: " ")
    }
  }

  /// A failure of a training of which checkpoints are left.
  private struct FailureWithCheckpoint: Error, CustomStringConvertible {
    let description: String

    init(_ error: any Error, kept: String) {
      let text = "\(error)"
      let end = text.last.map(".?!".contains) == true ? "" : "."
      // A refusal to go on changes nothing, and says itself what to do.
      description = error is CheckpointError ? text : "\(text)\(end) \(kept)"
    }
  }

  /// The text as one word of a shell's command line.
  func shellQuoted(_ text: String) -> String {
    let plain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./=,:+".contains($0)) }
    return plain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
  }
#endif
