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
        let display = ProgressDisplay(format)
        try keeping.keepingRuns(of: .training, in: session.folder, display, log) { checkpoints in
          let (result, network) = try session.experiment.train(keeping: checkpoints.map { try keeping.keeping($0) }) {
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
        }
      }
    }
  }
#endif
