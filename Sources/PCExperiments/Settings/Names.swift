import PCDatasets
import PCGraphs
import PCKernels
import PCKernelsCPU
import PCLearning
import PCModels

extension NamedModel: Named {
  public static let noun = "model"
}

extension LossKind: Named {
  public static let noun = "loss"
}

extension GradientReduction: Named {
  public static let noun = "reduction"
}

extension FixedPredictions.Solver: Named {
  public static let noun = "solver"
}

extension CPU.InstructionSet: Named {
  public static let noun = "instruction set"
}

/// The rules, by the names that the command line uses.
public enum NamedRule: String, Named {
  case fixed, standard, backprop

  public static let noun = "rule"

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
public enum NamedOptimizer: String, Named {
  case sgd
  /// SGD with momentum 0.9.
  case momentum
  case adam

  public static let noun = "optimizer"

  public func make(learningRate: Double) -> any Optimizer {
    switch self {
    case .sgd: SGD(learningRate: learningRate)
    case .momentum: SGD(learningRate: learningRate, momentum: 0.9)
    case .adam: Adam(learningRate: learningRate)
    }
  }
}

/// The backends, by the names that the command line uses.
public enum NamedBackend: String, Named {
  case cpu, reference

  public static let noun = "backend"
}
