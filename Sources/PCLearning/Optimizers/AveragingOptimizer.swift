import PCInterchange
import PCKernels

/// An optimiser beside which the exponential moving average of the parameters is kept, a ← decay · a + (1 − decay) θ after
/// each update, with a = θ after the first: weights that are often better than the last ones.
///
/// The average is part of a checkpoint like the rest of the optimiser's state; `Trainer.averagedParameters()` reads it.
public struct AveragingOptimizer: Optimizer {
  private var base: any Optimizer
  /// The weight of the past, in [0, 1).
  public let decay: Double

  /// The optimiser, with an average of the parameters beside it.
  public init(_ base: any Optimizer, decay: Double = 0.999) {
    self.base = base
    self.decay = decay
  }

  public var name: String { base.name }
  public var planKey: String { "\(base.planKey) averaged" }

  public var learningRate: Double {
    get { base.learningRate }
    set { base.learningRate = newValue }
  }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    base.settings + [("decay of the average", decay, 0...1.0.nextDown)]
  }

  public func trains(_ parameter: String) -> Bool { base.trains(parameter) }

  public func write(_ update: ParameterUpdate) {
    base.write(update)
    update.emit.blend(
      update.parameter, into: update.state(Self.role), alpha: update.coefficient("1 - average decay"),
      beta: update.coefficient("average decay"), stage: .step)
  }

  public func coefficients(step: Int) -> [String: Double] {
    let decay = step == 1 ? 0 : decay
    return base.coefficients(step: step).merging(["average decay": decay, "1 - average decay": 1 - decay]) { $1 }
  }

  static let role = "average"
}

extension Trainer {
  /// The moving average of every trained parameter, by path; empty without an `AveragingOptimizer`.
  public func averagedParameters() throws -> [String: Tensor] {
    let prefix = "optimizer/\(optimizer.name):"
    let arrays = try network.storedArrays(of: trainingPlan().plan).filter { $0.name.hasPrefix(prefix) }
    return network.averagedParameters(among: arrays)
  }

  /// Runs something with the averages in the parameters' place, which have their own values again afterwards.
  public func withAveragedParameters<Result>(_ body: () throws -> Result) throws -> Result {
    let averages = updateCount == 0 ? [:] : try averagedParameters()
    let own = averages.keys.map { ($0, network.parameter($0)) }
    defer { for (name, value) in own { network.setParameter(name, to: value) } }
    for (name, value) in averages { network.setParameter(name, to: value) }
    return try body()
  }
}

extension Network {
  /// The moving averages among the arrays of a checkpoint, by the parameters' paths.
  package func averagedParameters(among arrays: [NamedArray]) -> [String: Tensor] {
    var averages: [String: Tensor] = [:]
    let suffix = ":\(AveragingOptimizer.role)"
    for array in arrays where array.name.hasPrefix("optimizer/") && array.name.hasSuffix(suffix) {
      guard let colon = array.name.firstIndex(of: ":") else { continue }
      let name = String(array.name[array.name.index(after: colon)...].dropLast(suffix.count))
      guard let parameter = graph.parameters.first(where: { $0.name == name }),
        parameter.extents.reduce(1, *) == array.values.count
      else { continue }
      averages[name] = Tensor(parameter.extents, array.values.doubles)
    }
    return averages
  }
}
