/// One value for every rule that takes it, or values rule by rule: what `--steps 50` and `--steps fixed=50,standard=20`
/// say.
public struct PerRule<Value: Sendable>: Sendable {
  /// For every rule that takes one and has none of its own.
  public var common: Value?
  /// For single rules.
  public var byRule: [NamedRule: Value]

  /// The same value for all rules, others for those in `byRule`.
  public init(_ common: Value? = nil, byRule: [NamedRule: Value] = [:]) {
    self.common = common
    self.byRule = byRule
  }

  /// What a rule gets; nil leaves it at its default.
  public subscript(rule: NamedRule) -> Value? { byRule[rule] ?? common }
}

extension PerRule {
  /// Reads a value, or `rule=value` pairs between commas.
  ///
  /// - Parameters:
  ///   - option: what errors call it.
  ///   - kind: what a value is, for errors: "a whole number".
  ///   - read: a value from its text; nil where it is none.
  package init(
    _ text: String, option: String, kind: String, _ read: (String) throws(SettingsError) -> Value?
  ) throws(SettingsError) {
    self.init()
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let value = try read(sides.last ?? "") else {
        throw SettingsError(
          "\(option) takes \(kind), or rule=value pairs such as fixed=…,standard=…; \"\(part)\" is neither.")
      }
      if sides.count == 1 {
        guard common == nil else { throw SettingsError("\(option) \(text) gives two values without a rule's name.") }
        common = value
      } else {
        let rule = try NamedRule(named: sides[0])
        guard byRule.updateValue(value, forKey: rule) == nil else {
          throw SettingsError("\(option) \(text) names the rule \(rule.rawValue) twice.")
        }
      }
    }
  }
}
