#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "trace",
      abstract: "Follow one example's inference, vertex by vertex and step by step.",
      discussion: """
        After every update the value, the prediction and the message of each vertex, beside what backprop would send. \
        --model scalar is the paper's graph y = tan √(θ v0) + sin v0², in Double; other models are traced at their \
        initial parameters.

        EXAMPLE
          pcgraph trace --model scalar --steps 20 --rate 0.1
        """)

    @Option(help: "The rule: \(NamedRule.names.joined(separator: ", ")).", completion: .list(NamedRule.names))
    var rule = NamedRule.fixed.rawValue

    @Option(help: ArgumentHelp("The number of the training example, from 0, as it is stored.", valueName: "N"))
    var example = 0

    @Option(
      help: ArgumentHelp("One element of every vertex, from 0, instead of the length of all.", valueName: "N"))
    var element: Int?

    @Flag(help: "With --model scalar: each operation is a vertex.")
    var operations = false

    @OptionGroup var model: ModelOptions
    @OptionGroup var own: OwnDataOptions
    @OptionGroup var inference: InferenceOptions

    @Option(
      help: ArgumentHelp("Write every step as CSV; - is standard output.", valueName: "FILE"),
      completion: .file(extensions: ["csv"]))
    var csv: String?

    @Option(
      help: ArgumentHelp("Write a picture of the messages; - is standard output.", valueName: "FILE"),
      completion: .file(extensions: ["svg"]))
    var svg: String?

    func run() throws {
      try reportingFailure {
        let format = try model.outputFormat()
        warnIfUnoptimized()
        let trace = try makeTrace()
        let isStreamed = try writeTexts(
          [(csv, trace.data.csv), (svg, trace.picture.document)], format,
          orElse: "Standard output takes one of the table, the CSV, the picture and the JSON lines.")
        if isStreamed { return }
        switch format {
        case .text: printResult("\(trace.title)\n\n\(trace.table)\n\n\(Trace.legend)")
        case .json: for line in trace.data.jsonLines { printResult("\(line)") }
        }
      }
    }

    private func makeTrace() throws -> Trace {
      let isScalar = model.model == "scalar"
      guard isScalar || !operations else { throw SettingsError("--operations goes with --model scalar.") }
      let files = try own.files()
      guard !isScalar || files == nil else {
        throw SettingsError("--model scalar has an input of its own; --data goes with the models that learn.")
      }
      var choices = Choices(rules: [try NamedRule(named: rule)])
      var options = model
      // The scalar graph takes numbers and is none of the models that learn from images.
      if isScalar { options.model = NamedModel.mlp.rawValue }
      try options.apply(to: &choices)
      choices.ownData = files
      try inference.apply(to: &choices)
      choices.batchSize = 1
      let settings = try Settings(choices)
      guard !isScalar else { return try Trace.scalar(settings.rules[0], isGrouped: !operations) }
      let reading = element.map { Trace.Reading.element($0) } ?? .norm
      return try Experiment(settings).trace(example: example, reading: reading)
    }
  }
#endif
