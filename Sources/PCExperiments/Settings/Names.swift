import PCDatasets
import PCGraphs
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

extension NamedModel: Named {
  package static let noun = "model"
}

extension LossKind: Named {
  package static let noun = "loss"
}

extension GradientReduction: Named {
  package static let noun = "reduction"
}

extension FixedPredictions.Solver: Named {
  package static let noun = "solver"
}

extension CPU.InstructionSet: Named {
  package static let noun = "instruction set"
}

/// The rules, by the names that the command line uses.
public enum NamedRule: String, Codable, CaseIterable, Sendable, Named {
  /// `FixedPredictions`.
  case fixed
  /// `StandardPredictiveCoding`.
  case standard
  /// `Backprop`.
  case backprop

  package static let noun = "rule"

  /// What prose calls it.
  public var title: String {
    switch self {
    case .fixed: "fixed predictions"
    case .standard: "standard predictive coding"
    case .backprop: "backprop"
    }
  }

  /// What files of a run by it are called, such as `fixed-seed0`.
  func runName(seed: UInt64) -> String { "\(rawValue)-seed\(seed)" }

  /// Whether it takes T steps of size h.
  public var isIterative: Bool { self != .backprop }

  /// T, unless chosen.
  var defaultSteps: Int { self == .fixed ? FixedPredictions().steps : StandardPredictiveCoding().steps }

  /// h, unless chosen.
  var defaultRate: Double { self == .fixed ? FixedPredictions().rate : StandardPredictiveCoding().rate }
}

/// The optimisers, by the names that the command line uses.
public enum NamedOptimizer: String, CaseIterable, Sendable, Named {
  /// SGD without momentum.
  case sgd
  /// SGD with momentum 0.9.
  case momentum
  /// SGD with Nesterov's momentum 0.9.
  case nesterov
  /// RMSprop.
  case rmsprop
  /// Adam, with the paper's moments.
  case adam
  /// Adam with a weight decay, 0.01 unless chosen.
  case adamw

  package static let noun = "optimizer"

  /// The optimiser with its default settings; `weightDecay` is `adamw`'s alone.
  public func make(learningRate: Double, weightDecay: Double? = nil) -> any Optimizer {
    switch self {
    case .sgd: SGD(learningRate: learningRate)
    case .momentum: SGD(learningRate: learningRate, momentum: 0.9)
    case .nesterov: SGD(learningRate: learningRate, momentum: 0.9, isNesterov: true)
    case .rmsprop: RMSprop(learningRate: learningRate)
    case .adam: Adam(learningRate: learningRate)
    case .adamw: Adam(learningRate: learningRate, weightDecay: weightDecay ?? 0.01)
    }
  }

  /// Whether it divides by the gradient's size, so that the reduction means nothing to its learning rate.
  var isScaleFree: Bool { self == .adam || self == .adamw || self == .rmsprop }
}

/// How the learning rate goes over a run, by the names that the command line uses; U is the number of updates in all epochs.
public enum NamedSchedule: String, CaseIterable, Sendable, Named {
  /// As it is.
  case constant
  /// A tenth after each third of U.
  case step
  /// Half a cosine down to 0 over U.
  case cosine
  /// Up over the first 30 % of U, then down.
  case oneCycle = "one-cycle"
  /// A tenth after each three epochs in which the validation loss, or without one the training loss, did not fall.
  case plateau

  package static let noun = "schedule"

  /// The schedule for so many updates, `warmUp` of them growing; nil where every update has the same factor, or the losses
  /// decide.
  func make(updates: Int, warmUp: Int) -> (any LearningRateSchedule)? {
    let rest = max(updates - warmUp, 1)
    let schedule: (any LearningRateSchedule)? =
      switch self {
      case .constant, .plateau: nil
      case .step: StepDecay(interval: (rest + 2) / 3)
      case .cosine: CosineDecay(updates: rest)
      case .oneCycle: OneCycle(updates: rest)
      }
    return warmUp > 0 ? WarmUp(updates: warmUp, then: schedule) : schedule
  }
}

/// The backends, by the names that the command line uses.
public enum NamedBackend: String, CaseIterable, Sendable, Named {
  /// `CPU`: Float, fast.
  case cpu
  /// `Reference`: Double, plain and slow.
  case reference

  package static let noun = "backend"
}
