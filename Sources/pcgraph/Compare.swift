#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train by several rules from the same start on the same batches.",
      discussion: """
        Every seed draws parameters and an order of the examples, which all rules share. With --output the folder also \
        gets results.json, report.html and, in checkpoints/, a folder for every run such as fixed-seed0. The same command \
        with --resume keeps the runs that are finished and goes on with the one that is not, bit for bit as if it had never \
        stopped; it may give other --epochs and --max-steps, and more --rules and --seeds. Times are those since it was \
        last resumed.

        EXAMPLE
          pcgraph compare --rules fixed,standard,backprop --hidden 32 --epochs 2 --seeds 2
        """)

    @Option(
      help: "The rules: \(NamedRule.names.joined(separator: ", ")), between commas.",
      completion: .list(NamedRule.names))
    var rules = "fixed,backprop"

    @Option(help: ArgumentHelp("How many seeds: --seed, the next, ….", valueName: "N"))
    var seeds = 1

    @OptionGroup var model: ModelOptions
    @OptionGroup var own: OwnDataOptions
    @OptionGroup var inference: InferenceOptions
    @OptionGroup var training: TrainingOptions
    @OptionGroup var keeping: KeepingOptions

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        var choices = Choices(rules: try pcgraph.rules(rules))
        choices.seedCount = seeds
        try model.apply(to: &choices)
        try own.apply(to: &choices)
        try inference.apply(to: &choices)
        try training.apply(to: &choices)
        try keeping.check(output: training.output)

        let log = try training.trainingLog()
        let session = try Session(choices, output: training.output)
        let display = ProgressDisplay(format)
        try keeping.keepingRuns(of: .comparison, in: session.folder, display, log) { checkpoints in
          let comparison = try session.experiment.compare(
            keeping: checkpoints.map { folder in { try keeping.keeping(folder, of: $0) } }
          ) { progress in
            log?.record(progress)
            display.show(progress)
          }
          display.finish()
          defer { log?.report() }
          switch format {
          case .text: printResult("\(comparison.table)\n\n\(comparison.legend)")
          case .json: printResult("\(comparison.json)")
          }
          guard training.output != nil else { return }
          // All runs are kept, and what follows takes no requests.
          Interruption.uninstall()
          printToStandardError("Measuring the gradients of 1 … 100 inference steps for the report.")
          let reach = try session.experiment.inferenceReach()
          let record = session.record()
          let report = comparison.report(record, graph: session.experiment.model.graph, reach: reach)
          try session.write(
            record,
            [.results: Array(comparison.json.indented.utf8), .report: Array(report.document.utf8)])
        }
      }
    }
  }
#endif
