#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct GradientsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "gradients",
      abstract: "Set a rule's gradients beside backprop's and the certificate.",
      discussion: """
        At the initial parameters, on the first batch of training. For every parameter, relative to the length of \
        backprop's gradient: the bound that is known before the run, the measured distance after T steps, and what \
        theory says exactly. The last row is about all parameters together. Bound and exact value belong to fixed \
        predictions; other rules have the measured one alone.

        EXAMPLE
          pcgraph gradients --model branching --steps 20 --backend reference --batch-size 4
        """)

    @Option(help: "The rule: \(NamedRule.names.joined(separator: ", ")).", completion: .list(NamedRule.names))
    var rule = NamedRule.fixed.rawValue

    @OptionGroup var model: ModelOptions
    @OptionGroup var own: OwnDataOptions
    @OptionGroup var inference: InferenceOptions

    @Option(
      help: ArgumentHelp(
        "A folder for run.json and results.json. (default: nothing is written)", valueName: "folder"),
      completion: .directory)
    var output: String?

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        var choices = Choices(rules: [try NamedRule(named: rule)])
        try model.apply(to: &choices)
        try own.apply(to: &choices)
        try inference.apply(to: &choices)

        let session = try Session(choices, output: output)
        let gradients = try session.experiment.gradientTable()
        switch format {
        case .text: printResult("\(gradients.table)\n\n\(GradientTable.legend)")
        case .json: for line in gradients.jsonLines { printResult("\(line)") }
        }
        try session.write(session.record(), [.results: Array(JSON.array(gradients.jsonLines).indented.utf8)])
      }
    }
  }
#endif
