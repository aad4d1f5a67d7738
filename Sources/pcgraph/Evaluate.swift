#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  /// What commands that use a trained net take.
  struct TrainedOptions: ParsableArguments {
    @Argument(
      help: ArgumentHelp(
        "A run folder of pcgraph train (its best checkpoint, or else the newest), or a checkpoint's file.",
        valueName: "run"),
      completion: .directory)
    var run: String

    @OptionGroup var compute: ThreadOptions

    func load() throws -> TrainedModel {
      warnIfUnoptimized()
      if let threads = compute.threads { try Settings.check("the number of threads", threads, in: 1...1024) }
      return try Model.load(from: run, on: CPU(threads: compute.threads))
    }
  }

  struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure a trained net on a data set.",
      discussion: """
        Loss, accuracy, how often the label is among the five highest outputs, perplexity, and with json the confusion \
        matrix: for each class, in order, how often its examples were taken for each class.

        With --data the examples are your own, as pcgraph train takes them: what it held out as a test part is held out \
        here, by the run's seed. Of a file with other examples than those learned from, take --part all.

        EXAMPLE
          pcgraph evaluate run
          pcgraph evaluate run --data new.npz --part all
        """)

    @OptionGroup var trained: TrainedOptions

    @Option(
      help: "The images. (default: those that the net learned)",
      completion: .list(NamedDataset.allCases.map(\.rawValue)))
    var dataset: String?

    @Option(help: ArgumentHelp("The folder of the data set's files.", valueName: "D"), completion: .directory)
    var dataDir: String?

    @OptionGroup var own: OwnDataOptions

    @Option(help: "test, training, or all of both.", completion: .list(NamedPart.names))
    var part = NamedPart.test.rawValue

    @Option(help: "text, or json: one object on standard output.", completion: .list(OutputFormat.names))
    var format = OutputFormat.text.rawValue

    enum NamedPart: String, Named {
      case test, training, all
      static let noun = "part"
    }

    func run() throws {
      try reportingFailure {
        let format = try OutputFormat(named: format)
        let part = try NamedPart(named: part)
        let asked = try dataset.map { try NamedDataset(named: $0) }
        var files = try own.files()
        guard asked == nil || files == nil else {
          throw SettingsError("--dataset and --data both say which examples; give one of them.")
        }
        let model = try trained.load()
        // What the net did not learn from, unless said otherwise.
        if own.testShare == nil, let share = model.net.testShare { files?.testShare = share }
        let data = try files?.load(seed: model.net.testSeed ?? 0) ?? model.dataset(asked).load(directory: dataDir)
        let parts = part == .all ? [data.training, data.test] : [part == .test ? data.test : data.training]
        let found = try model.evaluate(parts, allowingFewerClasses: files != nil)
        switch format {
        case .text: printResult("\(found.table)")
        case .json: printResult("\(found.json)")
        }
      }
    }
  }

  extension TrainedModel {
    /// The data set asked for, or the one that the net learned from.
    fileprivate func dataset(_ asked: NamedDataset?) throws -> NamedDataset {
      if let asked { return asked }
      guard let known = NamedDataset(rawValue: net.dataset) else {
        throw SettingsError("The net learned from \(net.dataset); say with --data where the examples are.")
      }
      return known
    }
  }

  struct Predict: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Apply a trained net to examples of your own.",
      discussion: """
        The input is an array [examples, …] of numbers as the data set has them, before normalisation (pixels between 0 and \
        1): a .npy file, or a .csv file with an example in each line. The output has a row of outputs for each, one for each \
        class; for cross-entropy they are the logarithms of the probabilities up to a constant.

        EXAMPLE
          pcgraph predict run --input X.npy --output Y.npy
        """)

    @OptionGroup var trained: TrainedOptions

    @Option(
      help: ArgumentHelp("The examples, .npy or .csv.", valueName: "file"),
      completion: .file(extensions: ["npy", "csv"]))
    var input: String

    @Option(
      help: ArgumentHelp("Gets the outputs, .npy or .csv.", valueName: "file"),
      completion: .file(extensions: ["npy", "csv"]))
    var output: String

    func run() throws {
      try reportingFailure {
        for (option, path) in [("--input", input), ("--output", output)] {
          guard path.hasSuffix(".npy") || path.hasSuffix(".csv") else {
            throw SettingsError("\(option) takes a .npy or a .csv file; \(path) is neither.")
          }
        }
        let model = try trained.load()
        let numbers = try NumberTable(path: input)
        let size = model.net.inputShape.reduce(1, *)
        guard numbers.rowSize == size else {
          throw SettingsError(
            "\(input) has \(numbers.rowSize) numbers in an example; the model takes \(size), of shape "
              + "\(model.net.inputShape).")
        }
        let outputs = try model.predict(numbers.values)
        let table = NumberTable(values: outputs.map(Float.init), rowSize: model.net.classes)
        try table.write(to: output)
        printToStandardError("Written to \(output): \(numbers.rowCount) rows of \(model.net.classes) outputs.")
      }
    }
  }
#endif
