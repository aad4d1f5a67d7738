#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  // Names and numbers that only mean something to an experiment are read as text and checked by `Settings`, whose
  // errors are one sentence with the nearest known name. What is left to ArgumentParser is the form of the flags.

  /// What every command that computes takes.
  struct ThreadOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "Threads of the cpu backend; results do not depend on them. (default: one for each processor)", valueName: "N"
      ))
    var threads: Int?
  }

  /// How much memory training may take.
  struct MemoryOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "Memory that parameters and plans may take, such as 500M or 2G; more is refused before it is taken.",
        valueName: "bytes"))
    var memoryLimit: String?

    /// The limit in bytes, where one was given; letters are powers of 1000.
    func limit() throws -> Int? {
      guard let text = memoryLimit else { return nil }
      let units: [Character: Double] = ["K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12]
      let unit = text.last.flatMap { units[Character($0.uppercased())] }
      let number = Double(unit == nil ? text : String(text.dropLast()))
      guard let number, number > 0, number * (unit ?? 1) < 1e18 else {
        throw SettingsError("--memory-limit takes a number of bytes, such as 500M or 2G; \"\(text)\" is none.")
      }
      return Int(number * (unit ?? 1))
    }
  }

  /// What every command takes: a model, a data set and where to compute.
  struct ModelOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "The network: \(NamedModel.names.joined(separator: ", ")).",
        discussion: """
          mlp has tanh layers (512, 512 unless --hidden says otherwise); cnn is the paper's, on images below 28×28 with \
          3×3 kernels; residual has three convolutional blocks; branching has a gate, products and a shared layer.
          """),
      completion: .list(NamedModel.names))
    var model = NamedModel.mlp.rawValue

    @Option(help: ArgumentHelp("The widths of mlp's hidden layers, such as 64,64.", valueName: "widths"))
    var hidden: String?

    @Option(
      help: "\(LossKind.names.joined(separator: " or ")). (default: squared-error for cnn, else cross-entropy)",
      completion: .list(LossKind.names))
    var loss: String?

    @Option(
      help: "The images: \(NamedDataset.allCases.map(\.rawValue).joined(separator: ", ")).",
      completion: .list(NamedDataset.allCases.map(\.rawValue)))
    var dataset = NamedDataset.digits.rawValue

    @Option(
      help: ArgumentHelp(
        "The folder D of the data set's files.",
        discussion: """
          They are looked for in D, then in D/mnist, D/cifar-10, D/cifar-100 or D/svhn (fashion-mnist: D/fashion-mnist first), and in each also in the folder \
          that the published archive unpacks to. digits is built in.
          """, valueName: "D"),
      completion: .directory)
    var dataDir: String?

    @Option(help: ArgumentHelp("Examples in a batch; the last one of an epoch may have fewer.", valueName: "B"))
    var batchSize = 64

    @Option(help: "The seed of the parameters and of the order of the examples.")
    var seed: UInt64 = 0

    @Option(
      help: "cpu (Float, fast) or reference (Double, plain and slow).", completion: .list(NamedBackend.names))
    var backend = NamedBackend.cpu.rawValue

    @OptionGroup var compute: ThreadOptions

    @Option(
      help:
        "Instruction set of the cpu backend: \(CPU.InstructionSet.names.joined(separator: ", ")). (default: the widest there is)",
      completion: .list(CPU.InstructionSet.names))
    var isa: String?

    @Option(
      help: "text, or json: one object a line on standard output, the summary last.",
      completion: .list(OutputFormat.names))
    var format = OutputFormat.text.rawValue

    func apply(to choices: inout Choices) throws {
      choices.model = try NamedModel(named: model)
      choices.hidden = try hidden.map(Self.widths)
      choices.loss = try loss.map { try LossKind(named: $0) }
      choices.dataset = try NamedDataset(named: dataset)
      choices.dataDirectory = dataDir
      choices.batchSize = batchSize
      choices.seed = seed
      choices.backend = try NamedBackend(named: backend)
      choices.threads = compute.threads
      choices.instructionSet = try isa.map { try CPU.InstructionSet(named: $0) }
    }

    func outputFormat() throws -> OutputFormat { try OutputFormat(named: format) }

    private static func widths(_ text: String) throws -> [Int] {
      try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
        guard let width = Int(part) else {
          throw SettingsError("--hidden takes whole numbers between commas, such as 64,64; \"\(part)\" is none.")
        }
        return width
      }
    }
  }

  /// Examples of one's own.
  struct OwnDataOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "Examples of your own, in place of --dataset: .npy, .npz, .safetensors or .csv.",
        discussion: """
          .npz and .safetensors hold x and y, or x_train, y_train, x_test and y_test; .npy takes its labels from --labels, \
          .csv from a column. Examples are [N, features], [N, rows, columns] or [N, channels, rows, columns]; labels are \
          whole numbers from 0.
          """, valueName: "file"),
      completion: .file(extensions: ["npy", "npz", "safetensors", "csv"]))
    var data: String?

    @Option(
      help: ArgumentHelp("The labels of --data X.npy.", valueName: "file"), completion: .file(extensions: ["npy"]))
    var labels: String?

    @Option(
      help: ArgumentHelp(
        "The column of --data X.csv that has the labels, its heading or its number from 1. (default: the last)",
        valueName: "column"))
    var labelColumn: String?

    @Option(
      help: ArgumentHelp(
        "The share of --data, drawn by the seed, that measures the learning where the file has no test part. (default: 0.2)",
        valueName: "share"))
    var testShare: Double?

    /// The files, where some were named.
    func files() throws -> ArrayFiles? {
      guard data != nil || labels == nil && labelColumn == nil && testShare == nil else {
        throw SettingsError("--labels, --label-column and --test-share go with --data, which is missing.")
      }
      return data.map { ArrayFiles($0, labels: labels, labelColumn: labelColumn, testShare: testShare ?? 0.2) }
    }

    func apply(to choices: inout Choices) throws { choices.ownData = try files() }
  }

  /// How a rule infers.
  struct InferenceOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "How fixed predictions are solved: \(FixedPredictions.Solver.names.joined(separator: ", ")).",
        discussion: """
          stepwise makes T local updates; closed-form gives their result at once; automatic takes whichever of the two \
          needs fewer backward passes and says so; equilibrium is T → ∞. (default: automatic for train, else stepwise) \
          Like --steps \
          and --rate, the option takes one value for every rule that has a choice, or rule=value,…. T = 100 and \
          h = 0.2 are the paper's, T counting updates of all values.
          """),
      completion: .list(FixedPredictions.Solver.names))
    var solver: String?

    @Option(
      help: ArgumentHelp("T, the updates of inference in a batch. (default: fixed=100,standard=20)", valueName: "T"))
    var steps: String?

    @Option(
      help: ArgumentHelp("h, the size of an update, in (0, 1]. (default: fixed=0.2,standard=0.1)", valueName: "h"))
    var rate: String?

    func apply(to choices: inout Choices) throws {
      if let solver {
        choices.solver = try PerRule(solver, option: "--solver", kind: "a solver's name") {
          text throws(SettingsError) in try FixedPredictions.Solver(named: text)
        }
      }
      if let steps { choices.steps = try PerRule(steps, option: "--steps", kind: "a whole number") { Int($0) } }
      if let rate { choices.rate = try PerRule(rate, option: "--rate", kind: "a number") { Double($0) } }
    }
  }

  /// What makes updates of gradients.
  struct UpdateOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp(
        "\(NamedOptimizer.names.joined(separator: ", ")) (momentum is sgd with 0.9, nesterov the same looking ahead).",
        discussion: """
          Unless chosen: cnn learns by sgd 0.002 on the gradient of ½Σ(p − t)² summed over the batch and clipped by value \
          at ±12.5, as in the paper (cross-entropy: 0.0005, ±25); mlp by adam 0.0003, the others by adam 0.001, on the \
          mean over the batch. With another optimizer or reduction: adam, adamw and rmsprop 0.001, sgd 0.1 for means \
          and 0.002 for sums, momentum and nesterov a tenth of these, not clipped.
          """),
      completion: .list(NamedOptimizer.names))
    var optimizer: String?

    func apply(to choices: inout Choices) throws {
      choices.optimizer = try optimizer.map { try NamedOptimizer(named: $0) }
    }
  }

  /// How parameters are updated, and for how long.
  struct TrainingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Passes over the training images.", valueName: "N"))
    var epochs = 10

    @Option(
      help: ArgumentHelp("Ends each run after so many training steps, in the middle of an epoch too.", valueName: "N")
    )
    var maxSteps: Int?

    @Option(
      help: ArgumentHelp(
        "crop, flip or both between commas: moves training images by up to 4 pixels, mirrors half of them.",
        valueName: "list"))
    var augment: String?

    @OptionGroup var update: UpdateOptions

    @Option(
      help: ArgumentHelp("The factor of the update, or rule=value,…. (default: see --optimizer)", valueName: "rate"))
    var learningRate: String?

    @Option(help: ArgumentHelp("The weight decay of adamw. (default: 0.01)", valueName: "decay"))
    var weightDecay: Double?

    @Option(
      help: ArgumentHelp(
        "How the learning rate goes over the epochs: \(NamedSchedule.names.joined(separator: ", ")).",
        discussion: """
          step: a tenth after each third; cosine: down to 0; one-cycle: up from a 25th over the first 30 %, then down to 0; \
          plateau: a tenth after each three epochs whose loss (on the images held out, where there are some) did not fall.
          """),
      completion: .list(NamedSchedule.names))
    var schedule = NamedSchedule.constant.rawValue

    @Option(help: ArgumentHelp("Updates over which the learning rate grows at first.", valueName: "N"))
    var warmUp = 0

    @Option(help: ArgumentHelp("Batches whose gradients make one update together.", valueName: "N"))
    var accumulate = 1

    @Option(
      help: ArgumentHelp(
        "Keep the moving average of the weights, with this decay, and measure results by it.", valueName: "decay"))
    var average: Double?

    @Option(
      help: ArgumentHelp(
        "Parameters, by a pattern with *, that keep their first values; may be repeated.", valueName: "pattern"))
    var freeze: [String] = []

    @Option(
      help: ArgumentHelp(
        "Parameters that learn otherwise: '*.bias:rate=0.1,decay=0' multiplies their learning rate and sets adamw's decay; may be repeated, and factors of groups that overlap multiply.",
        valueName: "group"))
    var group: [String] = []

    @Option(
      help: ArgumentHelp(
        "The share of the training images that is held out, drawn by the seed, to choose the best epoch by.",
        valueName: "share"))
    var validation: Double?

    @Option(
      help: ArgumentHelp(
        "End a run after so many epochs in a row whose loss on the images held out is no better than the best.",
        valueName: "N"))
    var patience: Int?

    @Option(
      help: "sum or mean, over the examples of a batch. (default: sum for cnn, else mean)",
      completion: .list(GradientReduction.names))
    var reduction: String?

    @Option(
      help: ArgumentHelp("A folder for run.json and the results. (default: nothing is written)", valueName: "folder"),
      completion: .directory)
    var output: String?

    @Option(
      help:
        "tensorboard: event files in events/ of the output folder, with curves and histograms of messages; csv: a line for each step and each epoch in logs/.",
      completion: .list(NamedLog.names))
    var log: String?

    @OptionGroup var memory: MemoryOptions

    /// The log of the training's progress, where one was asked for.
    func trainingLog() throws -> (any TrainingLog)? {
      guard let log else { return nil }
      let kind = try NamedLog(named: log)
      guard let output else { throw SettingsError("--log needs --output, the folder in which the log goes.") }
      return kind == .tensorboard ? EventLog(folder: "\(output)/events") : TableLog(folder: "\(output)/logs")
    }

    func apply(to choices: inout Choices) throws {
      choices.epochs = epochs
      choices.maximalSteps = maxSteps
      choices.augmentation = try augment.map { try Augmentation(named: $0) }
      try update.apply(to: &choices)
      if let learningRate {
        choices.learningRate = try PerRule(learningRate, option: "--learning-rate", kind: "a number") { Double($0) }
      }
      choices.reduction = try reduction.map { try GradientReduction(named: $0) }
      choices.weightDecay = weightDecay
      choices.schedule = try NamedSchedule(named: schedule)
      choices.warmUp = warmUp
      choices.accumulation = accumulate
      choices.averageDecay = average
      choices.groups = try freeze.map { ParameterGroup($0, learningRateFactor: 0) } + group.map(parameterGroup)
      choices.validation = validation
      choices.patience = patience
      choices.reportsMessages = log == NamedLog.tensorboard.rawValue
      choices.memoryLimit = try memory.limit()
    }
  }

  /// What training can be logged as.
  enum NamedLog: String, Named {
    case tensorboard, csv

    static let noun = "log"
  }

  /// The group that `PATTERN:rate=F,decay=W` says.
  func parameterGroup(_ text: String) throws -> ParameterGroup {
    let refusal = SettingsError("--group takes a pattern, a colon and rate=F, decay=W or both; \"\(text)\" is none.")
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex else { throw refusal }
    var group = ParameterGroup(String(text[..<colon]))
    for part in text[text.index(after: colon)...].split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1)
      guard sides.count == 2, let value = Double(sides[1]) else { throw refusal }
      switch sides[0] {
      case "rate": group.learningRateFactor = value
      case "decay": group.weightDecay = value
      default: throw refusal
      }
    }
    return group
  }

  enum OutputFormat: String, Named {
    case text, json

    static let noun = "format"
  }

  /// The rules of a list such as `fixed,backprop`.
  func rules(_ text: String) throws -> [NamedRule] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { try NamedRule(named: String($0)) }
  }
#endif
