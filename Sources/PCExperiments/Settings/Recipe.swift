import PCDatasets
import PCLearning
import PCModels

/// What a model is trained with unless the user chooses otherwise: the table at `Settings.init(_:)`.
///
/// The two of `cnn` are those of Millidge, Tschantz and Buckley (2022) in our units. Their code forms
/// η · clip(c · g, ±50) with c = 4, η = 0.0005 for the squared error and c = 2, η = 0.00025 for cross-entropy, where g is
/// the gradient of ½Σ(p − t)² or −Σ t log p over the batch; that is cη · clip(g, ±50/c).
struct Recipe {
  var normalization: Normalization
  var loss: LossKind
  var update: Update

  struct Update {
    var optimizer: NamedOptimizer
    var learningRate: Double
    var reduction: GradientReduction
    var clipping: Clipping = .none
  }

  init(_ model: NamedModel, loss: LossKind?) {
    self.loss = loss ?? model.defaultLoss
    switch model {
    case .cnn:
      normalization = .centred
      update =
        self.loss == .squaredError
        ? Update(optimizer: .sgd, learningRate: 0.002, reduction: .sum, clipping: .byValue(12.5))
        : Update(optimizer: .sgd, learningRate: 0.0005, reduction: .sum, clipping: .byValue(25))
    case .mlp:
      normalization = .standardised
      update = Update(optimizer: .adam, learningRate: 3e-4, reduction: .meanOverExamples)
    case .residual, .branching, .resnext:
      normalization = .standardised
      update = Update(optimizer: .adam, learningRate: 1e-3, reduction: .meanOverExamples)
    }
  }

  /// The update with another optimiser or reduction, for which the model's own learning rate and clipping would mean
  /// nothing: 0.1 for the mean of a gradient, 0.002 for the sum, a tenth of these with momentum 0.9, 0.001 for Adam, AdamW and
  /// RMSprop, which look at no scale; never clipped.
  func update(optimizer: NamedOptimizer?, reduction: GradientReduction?) -> Update {
    let optimizer = optimizer ?? update.optimizer
    let reduction = reduction ?? update.reduction
    if optimizer == update.optimizer && reduction == update.reduction { return update }
    let plain = reduction == .sum ? 0.002 : 0.1
    let hasMomentum = optimizer == .momentum || optimizer == .nesterov
    let learningRate = optimizer.isScaleFree ? 1e-3 : hasMomentum ? plain / 10 : plain
    return Update(optimizer: optimizer, learningRate: learningRate, reduction: reduction)
  }
}
