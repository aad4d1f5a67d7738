#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Reproduce: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run the paper's experiments again, and report what came out.",
      discussion: """
        The folder gets index.html, which needs nothing but itself, a JSON file for each experiment, and a CSV and a \
        JSON file for each figure. What is finished is kept: a run that was interrupted goes on where it was when the \
        same command is started again, and experiments that ran before stay on the page. An experiment whose data are \
        missing is left out, and the page says why.

        EXAMPLE
          pcgraph reproduce scalar --output paper
        """)

    @Argument(
      help: "\(NamedPaperExperiment.names.joined(separator: ", ")), or all.",
      completion: .list(NamedPaperExperiment.names + ["all"]))
    var experiment: String

    @Flag(help: "A small version of each: minutes instead of hours.")
    var quick = false

    @Option(help: ArgumentHelp("How often training is repeated. (default: 5, quick 2)", valueName: "N"))
    var seeds: Int?

    @Option(
      help: ArgumentHelp("The folder of the results.", valueName: "folder"), completion: .directory)
    var output: String

    @Option(
      help: ArgumentHelp(
        "The folder D of the data: D/cifar-10 and so on, as for other commands.", valueName: "D"),
      completion: .directory)
    var dataDir: String?

    @OptionGroup var compute: ThreadOptions

    @OptionGroup var memory: MemoryOptions

    @Option(
      help: "tensorboard: event files of all training in events/ of the folder.", completion: .list(NamedLog.names))
    var log: String?

    @Option(
      help: "text, or json: an object for each experiment on standard output.", completion: .list(OutputFormat.names))
    var format = OutputFormat.text.rawValue

    func run() throws {
      try reportingFailure {
        let format = try OutputFormat(named: format)
        warnIfUnoptimized()
        let experiments =
          experiment == "all" ? NamedPaperExperiment.allCases : [try NamedPaperExperiment(named: experiment)]
        var reproduction = Reproduction(
          experiments, output: output,
          provenance: Provenance(command: ["pcgraph"] + CommandLine.arguments.dropFirst(), commit: sourceCommit()))
        reproduction.isQuick = quick
        reproduction.seedCount = seeds
        reproduction.dataDirectory = dataDir
        reproduction.threads = compute.threads
        reproduction.memoryLimit = try memory.limit()
        reproduction.logsEvents = try log.map { try NamedLog(named: $0) } != nil

        reproduction.shouldStop = { Interruption.signal != 0 }
        Interruption.install()

        var display = ProgressDisplay(format)
        do {
          try reproduction.run { progress in
            if case .training(let training) = progress { return display.show(training, inJSON: false) }
            display.finish()
            // Each piece of work has a pace of its own.
            if case .begins = progress { display = ProgressDisplay(format) }
            show(progress, format)
          }
        } catch let stop as TrainingInterrupted {
          display.finish()
          printToStandardError(
            "Stopped after \(stop.place); the same command goes on from there.")
          throw ExitCode(128 + Interruption.signal)
        }
        display.finish()
        printToStandardError("Written to \(output): index.html.")
      }
    }

    private func show(_ progress: ReproductionProgress, _ format: OutputFormat) {
      switch progress {
      case .training: break
      case .begins(let name, let work, let number, let count):
        printToStandardError("\(name.rawValue)  \(number)/\(count)  \(work)")
      case .found(let name, let count, let all):
        printToStandardError("\(name.rawValue)  \(count) of \(all) found finished")
      case .leftOut(let name, let reason): printToStandardError("\(name.rawValue) leaves out: \(reason)")
      case .ended(let name, let findings):
        switch format {
        case .text: printResult("\(name.rawValue): \(findings.outcome)")
        case .json:
          printResult("\(JSON.object([("experiment", .string(name.rawValue))] + findings.numbers))")
        }
      }
    }
  }
#endif
