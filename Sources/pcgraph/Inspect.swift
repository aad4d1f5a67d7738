#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a model's vertices, and draw its graph.",
      discussion: """
        For every vertex its kind, the shape of its value, the numbers of relaxed vertices that its message crosses \
        (depths), the numbers in its parameters, and the memory of value, message and parameters for one batch. Reads no \
        data but those of --data.

        EXAMPLE
          pcgraph inspect --model branching --svg -
          pcgraph inspect --model cnn --plan
        """)

    @Option(help: "The rule whose memory is counted.", completion: .list(NamedRule.names))
    var rule = NamedRule.fixed.rawValue

    @OptionGroup var model: ModelOptions
    @OptionGroup var own: OwnDataOptions
    @OptionGroup var inference: InferenceOptions
    @OptionGroup var update: UpdateOptions

    @Option(
      help: ArgumentHelp("Write the graph for Graphviz; - is standard output.", valueName: "FILE"),
      completion: .file(extensions: ["dot"]))
    var dot: String?

    @Option(
      help: ArgumentHelp("Write a picture of the graph; - is standard output.", valueName: "FILE"),
      completion: .file(extensions: ["svg"]))
    var svg: String?

    @Flag(
      help:
        "Show the plan of a training step by the rule: its calls by vertex, with their work, what it must take at least and what it took."
    )
    var plan = false

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        var choices = Choices(rules: [try NamedRule(named: rule)])
        try model.apply(to: &choices)
        try own.apply(to: &choices)
        try inference.apply(to: &choices)
        try update.apply(to: &choices)
        warnIfUnoptimized()
        let settings = try Settings(choices)
        if plan {
          guard dot == nil, svg == nil else {
            throw SettingsError("--plan shows no graph; leave --dot and --svg out.")
          }
          let benchmark = try StepBenchmark(settings, count: 20)
          switch format {
          case .text: printResult("\(benchmark.planTable)\n\n\(benchmark.planLegend)\n\n\(benchmark.table)")
          case .json: for line in benchmark.jsonLines(withPlan: true) { printResult("\(line)") }
          }
          return
        }
        let (inspection, graph) = try Inspection.of(settings)

        let picture = GraphPicture(title: "\(settings.model.rawValue) on \(settings.dataName)", graph)
        let isStreamed = try writeTexts(
          [(dot, picture.dot), (svg, picture.svg.document)], format,
          orElse: "Standard output takes one drawing or the JSON lines; give a drawing a file of its own.")
        if isStreamed { return }
        switch format {
        case .text: printResult("\(inspection)")
        case .json: for line in inspection.jsonLines { printResult("\(line)") }
        }
      }
    }
  }
#endif
