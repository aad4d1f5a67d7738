#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Train by one rule.",
      discussion: """
        With --output the folder also gets results.json and the final parameters in parameters.safetensors.

        EXAMPLE
          pcgraph train --rule fixed --hidden 32 --epochs 2
        """)

    @Option(help: "The rule: \(NamedRule.names.joined(separator: ", ")).", completion: .list(NamedRule.names))
    var rule = NamedRule.fixed.rawValue

    @OptionGroup var model: ModelOptions
    @OptionGroup var inference: InferenceOptions
    @OptionGroup var training: TrainingOptions

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        var choices = Choices(rules: [try NamedRule(named: rule)])
        try model.apply(to: &choices)
        try inference.apply(to: &choices)
        try training.apply(to: &choices)

        let log = try training.eventLog()
        let session = try Session(choices, output: training.output)
        let display = ProgressDisplay(format)
        let (result, network) = try session.experiment.train { progress in
          log?.record(progress)
          display.show(progress)
        }
        display.finish()
        defer { log?.report() }
        switch format {
        case .text: printResult("\(result.table)\n\n\(RuleResult.legend)")
        case .json: printResult("\(result.json)")
        }
        let parameters = try Safetensors(network.namedArrays()).encoded()
        try session.write(
          session.record(), [.results: Array(result.json.indented.utf8), .parameters: parameters])
      }
    }
  }
#endif
