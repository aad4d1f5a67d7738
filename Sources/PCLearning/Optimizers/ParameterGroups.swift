/// Parameters whose names match a pattern, and what is different for them.
public struct ParameterGroup: Sendable, Hashable {
  /// Their paths, where `*` stands for any text: `*.bias`, `block1/*`.
  public var pattern: String
  /// Multiplies the learning rate; 0 freezes them.
  public var learningRateFactor: Double
  /// Their weight decay, where the optimiser has one; nil for the optimiser's own.
  public var weightDecay: Double?

  /// The parameters of a pattern; frozen with the factor 0.
  public init(_ pattern: String, learningRateFactor: Double = 1, weightDecay: Double? = nil) {
    self.pattern = pattern
    self.learningRateFactor = learningRateFactor
    self.weightDecay = weightDecay
  }

  /// Whether the path of a parameter matches the pattern.
  public func contains(_ parameter: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard let first = parts.first, let last = parts.last, parts.count > 1 else { return parameter == pattern }
    guard parameter.count >= first.count + last.count, parameter.hasPrefix(first), parameter.hasSuffix(last) else {
      return false
    }
    var rest = parameter.dropFirst(first.count).dropLast(last.count)
    for part in parts[1..<(parts.count - 1)] where !part.isEmpty {
      guard let found = rest.firstRange(of: part) else { return false }
      rest = rest[found.upperBound...]
    }
    return true
  }
}

/// An optimiser with other learning rates and weight decays for some parameters; a parameter belongs to the first group whose
/// pattern it matches.
///
/// ```swift
/// // Biases do not decay, the first layer stays as it is.
/// GroupedOptimizer(
///   Adam(learningRate: 1e-3, weightDecay: 0.01),
///   [ParameterGroup("conv1.*", learningRateFactor: 0), ParameterGroup("*.bias", weightDecay: 0)])
/// ```
public struct GroupedOptimizer: Optimizer {
  private var base: any Optimizer
  /// In the order in which they are asked.
  public let groups: [ParameterGroup]

  /// The optimiser, with these exceptions.
  public init(_ base: any Optimizer, _ groups: [ParameterGroup]) {
    self.base = base
    self.groups = groups
  }

  public var name: String { base.name }
  public var planKey: String { "\(base.planKey) \(groups)" }

  public var learningRate: Double {
    get { base.learningRate }
    set { base.learningRate = newValue }
  }

  public var settings: [(name: String, value: Double, range: ClosedRange<Double>)] {
    base.settings
      + groups.flatMap { group in
        [("learning rate factor of \(group.pattern)", group.learningRateFactor, 0...Double.greatestFiniteMagnitude)]
          + (group.weightDecay.map {
            [("weight decay of \(group.pattern)", $0, 0...Double.greatestFiniteMagnitude)]
          } ?? [])
      }
  }

  public func trains(_ parameter: String) -> Bool {
    index(of: parameter).map { groups[$0].learningRateFactor != 0 } ?? true
  }

  public func write(_ update: ParameterUpdate) {
    var update = update
    if let index = index(of: update.path) { update.prefix += Self.prefix(index) }
    base.write(update)
  }

  public func coefficients(step: Int) -> [String: Double] {
    var all = base.coefficients(step: step)
    for (index, group) in groups.enumerated() {
      var own = base
      own.learningRate *= group.learningRateFactor
      if let decay = group.weightDecay, var decaying = own as? any DecayingOptimizer {
        decaying.weightDecay = decay
        own = decaying
      }
      for (name, value) in own.coefficients(step: step) { all[Self.prefix(index) + name] = value }
    }
    return all
  }

  private func index(of parameter: String) -> Int? { groups.firstIndex { $0.contains(parameter) } }
  private static func prefix(_ index: Int) -> String { "group \(index): " }
}
