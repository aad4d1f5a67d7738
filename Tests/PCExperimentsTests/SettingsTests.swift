import PredictiveCoding
import Testing

// The table of defaults is the one that the command line documents; for `cnn` it is the paper's, converted by hand from
// the authors' scripts: η · clip(4g, ±50) = 4η · clip(g, ±12.5) with η = 0.0005.

struct SettingsTests {
  @Test(arguments: [
    (
      NamedModel.cnn, LossKind?.none, NamedOptimizer.sgd, 0.002, GradientReduction.sum, Clipping.byValue(12.5),
      Normalization.centred
    ),
    (.cnn, .crossEntropy, .sgd, 0.0005, .sum, .byValue(25), .centred),
    (.mlp, nil, .adam, 3e-4, .meanOverExamples, .none, .standardised),
    (.residual, nil, .adam, 1e-3, .meanOverExamples, .none, .standardised),
    (.branching, nil, .adam, 1e-3, .meanOverExamples, .none, .standardised),
  ])
  func `models bring their recipe`(
    _ model: NamedModel, _ loss: LossKind?, _ optimizer: NamedOptimizer, _ learningRate: Double,
    _ reduction: GradientReduction,
    _ clipping: Clipping, _ normalization: Normalization
  ) throws {
    var choices = Choices()
    choices.model = model
    choices.loss = loss
    let settings = try Settings(choices)
    #expect(settings.loss == loss ?? model.defaultLoss)
    #expect(settings.optimizer == optimizer)
    #expect(settings.reduction == reduction)
    #expect(settings.clipping == clipping)
    #expect(settings.normalization == normalization)
    #expect(settings.rules.map(\.learningRate) == [learningRate, learningRate])
  }

  @Test func `another optimizer or reduction brings its own learning rate and no clipping`() throws {
    func settings(_ optimizer: NamedOptimizer?, _ reduction: GradientReduction?) throws -> (Double, Clipping) {
      var choices = Choices(rules: [.fixed])
      choices.model = .cnn
      choices.optimizer = optimizer
      choices.reduction = reduction
      let settings = try Settings(choices)
      return (settings.rules[0].learningRate, settings.clipping)
    }
    #expect(try settings(.adam, nil) == (1e-3, .none))
    #expect(try settings(nil, .meanOverExamples) == (0.1, .none))
    #expect(try settings(.momentum, .sum) == (0.0002, .none))
    #expect(try settings(.sgd, .sum) == (0.002, .byValue(12.5)))
  }

  @Test func `rules have their own steps and rates`() throws {
    let settings = try Settings(Choices(rules: [.standard, .backprop, .fixed]))
    #expect(settings.rules.map(\.name) == [.standard, .backprop, .fixed])
    #expect(settings.rules.map(\.steps) == [20, nil, 100])
    #expect(settings.rules.map(\.rate) == [0.1, nil, 0.2])
    #expect(settings.rules.map(\.rule.solverName) == [nil, nil, "stepwise"])
  }

  @Test func `a plain value goes to every rule with a choice, a named one to its rule`() throws {
    var choices = Choices(rules: [.fixed, .standard, .backprop])
    choices.steps = try PerRule("7,standard=3", option: "--steps", kind: "a whole number") { Int($0) }
    choices.rate = try PerRule("fixed=1", option: "--rate", kind: "a number") { Double($0) }
    choices.learningRate = try PerRule("backprop=0.5", option: "--learning-rate", kind: "a number") { Double($0) }
    choices.solver = PerRule(.closedForm)
    let rules = try Settings(choices).rules
    #expect(rules.map(\.steps) == [7, 3, nil])
    #expect(rules.map(\.rate) == [1, 0.1, nil])
    #expect(rules.map(\.learningRate) == [3e-4, 3e-4, 0.5])
    #expect(rules.map(\.rule.solverName) == ["closed-form", nil, nil])
  }

  @Test func `at equilibrium steps and rate do not matter`() throws {
    var choices = Choices(rules: [.fixed])
    choices.solver = PerRule(.equilibrium)
    let rule = try Settings(choices).rules[0]
    #expect(rule.steps == nil && rule.rate == nil)
  }

  @Test func `seeds follow one another up to the last there is`() throws {
    var choices = Choices()
    choices.seed = .max - 1
    choices.seedCount = 2
    #expect(try Settings(choices).seeds == [.max - 1, .max])
    choices.seedCount = 3
    #expect(throws: SettingsError.self) { try Settings(choices) }
  }

  @Test(arguments: [
    ("steps=", "a whole number"), ("1,2", "two values"), ("fixed=1,fixed=2", "twice"),
    ("fxed=1", "did you mean fixed"),
    ("fixed=x", "neither"), ("", "neither"), ("1,", "neither"),
  ])
  func `texts that are no values by rule`(_ text: String, _ fragment: String) {
    let error = #expect(throws: SettingsError.self) {
      try PerRule(text, option: "--steps", kind: "a whole number") { Int($0) }
    }
    let message = error?.description ?? ""
    #expect(message.contains(fragment) || message.contains("no rule named \"steps\""), "\(message)")
  }

  static let impossible: [(what: String, spoil: @Sendable (inout Choices) -> Void)] = [
    ("hidden widths", { $0.hidden = [0] }),
    ("epochs", { $0.epochs = 0 }),
    ("training steps", { $0.maximalSteps = 0 }),
    ("batch size", { $0.batchSize = 0 }),
    ("threads", { $0.threads = 0 }),
    ("seeds", { $0.seedCount = 0 }),
    ("inference steps", { $0.steps = PerRule(-1) }),
    ("rate 0", { $0.rate = PerRule(0) }),
    ("rate 1.1", { $0.rate = PerRule(1.1) }),
    ("rate NaN", { $0.rate = PerRule(.nan) }),
    ("learning rate", { $0.learningRate = PerRule(-1) }),
    ("infinite learning rate", { $0.learningRate = PerRule(.infinity) }),
    ("no rule", { $0.rules = [] }),
    ("a data folder without a name", { $0.dataDirectory = "" }),
    ("a rule twice", { $0.rules = [.fixed, .fixed] }),
    ("steps of a rule without", { $0.steps = PerRule(byRule: [.backprop: 3]) }),
    ("a solver of a rule without", { $0.solver = PerRule(byRule: [.standard: .stepwise]) }),
    ("a value for an absent rule", { $0.rate = PerRule(byRule: [.standard: 0.1]) }),
    ("instruction sets of the reference", { ($0.backend, $0.instructionSet) = (.reference, .portable) }),
  ]

  @Test(arguments: impossible.indices)
  func `settings that cannot be`(_ index: Int) {
    var choices = Choices()
    Self.impossible[index].spoil(&choices)
    let error = #expect(throws: SettingsError.self, "\(Self.impossible[index].what)") { try Settings(choices) }
    #expect(error?.description.hasSuffix(".") == true)
  }

  @Test func `a model that no machine can hold is refused before it is made`() throws {
    var choices = Choices()
    choices.hidden = [1_000_000, 1_000_000]
    let error = #expect(throws: SettingsError.self) { try Experiment(Settings(choices)) }
    #expect(error?.description.contains("GB") == true)
  }

  @Test func `a batch larger than the set is refused`() throws {
    var choices = Choices()
    choices.batchSize = 1438
    #expect(throws: DataError.batchSize(dataset: "digits", size: 1438, count: 1437)) {
      try Experiment(Settings(choices))
    }
  }

  @Test(arguments: [("cnnn", "cnn"), ("MLP", "mlp"), ("residul", "residual")])
  func `unknown names meet the nearest known one`(_ name: String, _ meant: String) {
    let error = #expect(throws: SettingsError.self) { try NamedModel(named: name) }
    #expect(error?.description.contains("did you mean \(meant)?") == true)
  }
}
