/// A result that is not finite: infinite, or not a number.
///
/// Training itself stops at the first loss or gradient that is not finite (`TrainingError`). This one is about what is left
/// then: the last update, evaluation, and the gradients that are compared.
public struct DivergenceError: Error, Sendable, CustomStringConvertible {
  /// The rule whose result it is.
  public var rule: NamedRule
  /// The seed of its run.
  public var seed: UInt64
  /// What is not finite: "the loss on the test images after update 23".
  public var what: String
  /// What could help.
  public var remedy: String

  /// - Parameter isTrained: whether updates led there, so that their factor is to blame as well.
  init(_ rule: RuleSettings, seed: UInt64, _ what: String, isTrained: Bool = true) {
    self.rule = rule.name
    self.seed = seed
    self.what = what
    let factors = [
      rule.rate.map { "the rate (\($0))" }, isTrained ? "the learning rate (\(rule.learningRate))" : nil,
    ].compactMap { $0 }
    remedy =
      factors.isEmpty ? "compute in Double by the backend reference" : "lower " + factors.joined(separator: " or ")
  }

  public var description: String {
    "With the rule \(rule.rawValue) and seed \(seed), \(what) is not finite; \(remedy)."
  }
}
