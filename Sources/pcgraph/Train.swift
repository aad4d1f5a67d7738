#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train by one rule.",
      discussion: """
        With --output the folder also gets results.json, the final parameters in parameters.safetensors and, in \
        checkpoints/, the run as it is: the newest checkpoint, with --validation the best, with --checkpoint-every some \
        by number. The same command with --resume goes on from the newest, bit for bit as if it had never stopped; it may \
        give other --epochs and --max-steps. Ctrl-C and SIGTERM write a checkpoint before they end the run.

        EXAMPLE
          pcgraph train --rule fixed --hidden 32 --epochs 2
        """)

    @Option(help: "The rule: \(NamedRule.names.joined(separator: ", ")).", completion: .list(NamedRule.names))
    var rule = NamedRule.fixed.rawValue

    @Option(
      help: ArgumentHelp(
        "Options from a YAML file, such as \"epochs: 5\" in a line; those of the command line win.", valueName: "file"
      ),
      completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Flag(help: "Print all options with their values, as a file for --config, and do nothing.")
    var printConfig = false

    @OptionGroup var model: ModelOptions
    @OptionGroup var own: OwnDataOptions
    @OptionGroup var inference: InferenceOptions
    @OptionGroup var training: TrainingOptions
    @OptionGroup var keeping: KeepingOptions

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        var choices = Choices(rules: [try NamedRule(named: rule)])
        choices.solver = PerRule(.automatic)
        try model.apply(to: &choices)
        try own.apply(to: &choices)
        try inference.apply(to: &choices)
        try training.apply(to: &choices)
        try keeping.check(output: training.output)
        if printConfig {
          return printResult(Configuration.text(configuration(try Settings(choices))), terminator: "")
        }

        let log = try training.trainingLog()
        let session = try Session(choices, output: training.output)
        let checkpoints = try session.folder.map { try CheckpointFolder($0, isResumed: keeping.resume) }
        let display = ProgressDisplay(format)
        do {
          let (result, network) = try session.experiment.train(keeping: checkpoints.map(keeping.keeping)) {
            progress in
            log?.record(progress)
            display.show(progress)
          }
          display.finish()
          defer { log?.report() }
          switch format {
          case .text:
            let choice = result.settings.choice.map { "\n\nSolver \($0)." } ?? ""
            printResult("\(result.table)\n\n\(RuleResult.legend)\(choice)")
          case .json: printResult("\(result.json)")
          }
          let parameters = try Safetensors(network.namedArrays()).encoded()
          try session.write(
            session.record(), [.results: Array(result.json.indented.utf8), .parameters: parameters])
        } catch let stop as TrainingInterrupted {
          display.finish()
          log?.report()
          printToStandardError(
            "Stopped after step \(stop.updates); the checkpoint is in \(checkpoints?.path ?? "").\nGo on with: "
              + resumingCommand())
          throw ExitCode(128 + Interruption.signal)
        } catch {
          display.finish()
          checkpoints?.discardIfEmpty()
          throw checkpoints.flatMap { $0.keptUpdates }.map { FailureWithCheckpoint(error, updates: $0) } ?? error
        }
      }
    }

    /// This command again, to go on.
    private func resumingCommand() -> String {
      let arguments = CommandLine.arguments.dropFirst()
      let all = ["pcgraph"] + arguments + (arguments.contains("--resume") ? [] : ["--resume"])
      return all.map(shellQuoted).joined(separator: " ")
    }
  }

  /// A failure of a training of which a checkpoint is left.
  private struct FailureWithCheckpoint: Error, CustomStringConvertible {
    let description: String

    init(_ error: any Error, updates: Int) {
      let text = "\(error)"
      let end = text.last.map(".?!".contains) == true ? "" : "."
      // A refusal to go on changes nothing, and says itself what to do.
      description = error is CheckpointError ? text : "\(text)\(end) The checkpoint after step \(updates) is whole."
    }
  }

  /// The text as one word of a shell's command line.
  func shellQuoted(_ text: String) -> String {
    let plain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./=,:+".contains($0)) }
    return plain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
  }

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

    /// The keeping in a folder, with Ctrl-C and SIGTERM as requests to stop.
    func keeping(_ folder: CheckpointFolder) -> CheckpointKeeping {
      Interruption.install()
      return folder.keeping(interval: checkpointEvery, numberedCount: keep) { Interruption.signal != 0 }
    }
  }
#endif
