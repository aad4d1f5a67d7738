#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train by several rules from the same start on the same batches.",
      discussion: """
        Every seed draws parameters and an order of the examples, which all rules share. With --output the folder also \
        gets results.json and report.html.

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

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        var choices = Choices(rules: try pcgraph.rules(rules))
        choices.seedCount = seeds
        try model.apply(to: &choices)
        try own.apply(to: &choices)
        try inference.apply(to: &choices)
        try training.apply(to: &choices)

        let log = try training.trainingLog()
        let session = try Session(choices, output: training.output)
        let display = ProgressDisplay(format)
        let comparison = try session.experiment.compare { progress in
          log?.record(progress)
          display.show(progress)
        }
        display.finish()
        defer { log?.report() }
        switch format {
        case .text: printResult("\(comparison.table)\n\n\(comparison.legend)")
        case .json: printResult("\(comparison.json)")
        }
        if training.output != nil {
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
