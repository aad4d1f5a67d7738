#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Time training steps, beside the floor of this machine.",
      discussion: """
        Steps run from a batch in memory to updated parameters, on random numbers: no data are read. The floor is the \
        multiply-adds that a step cannot do without over the peak of all threads, measured in the same run. Milliseconds are \
        this machine's: quote multiples of the floor. Where the time goes says `pcgraph inspect --plan`, and --profile \
        call by call.

        EXAMPLE
          pcgraph bench --model cnn --rule fixed --solver stepwise --threads 1
        """)

    @Option(help: "The rule: \(NamedRule.names.joined(separator: ", ")).", completion: .list(NamedRule.names))
    var rule = NamedRule.fixed.rawValue

    @OptionGroup var model: ModelOptions
    @OptionGroup var inference: InferenceOptions
    @OptionGroup var update: UpdateOptions

    @Option(help: ArgumentHelp("Training steps that are timed.", valueName: "N"))
    var count = 30

    @Option(
      help: ArgumentHelp(
        "Writes when each call of one more step ran, for Chrome's tracing page and Perfetto; - is standard output.",
        valueName: "FILE"),
      completion: .file(extensions: ["json"]))
    var profile: String?

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        try Settings.check("the number of steps", count, in: 1...1_000_000)
        var choices = Choices(rules: [try NamedRule(named: rule)])
        try model.apply(to: &choices)
        try inference.apply(to: &choices)
        try update.apply(to: &choices)
        warnIfUnoptimized()
        let benchmark = try StepBenchmark(Settings(choices), count: count)
        if profile != nil, benchmark.profile == nil {
          throw SettingsError(
            "The backend \(model.backend) does not tell how long its calls take; --profile needs cpu.")
        }
        let isStreamed = try writeTexts(
          [(profile, benchmark.profile.map { "\($0.trace)\n" } ?? "")], format,
          orElse: "Standard output takes the trace or the JSON lines; give the trace a file of its own.")
        if isStreamed { return }
        switch format {
        case .text: printResult("\(benchmark.table)")
        case .json: for line in benchmark.jsonLines(withPlan: false) { printResult("\(line)") }
        }
      }
    }
  }
#endif
