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
  /// Adam, with the paper's moments.
  case adam

  package static let noun = "optimizer"

  /// The optimiser with its default settings.
  public func make(learningRate: Double) -> any Optimizer {
    switch self {
    case .sgd: SGD(learningRate: learningRate)
    case .momentum: SGD(learningRate: learningRate, momentum: 0.9)
    case .adam: Adam(learningRate: learningRate)
    }
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
