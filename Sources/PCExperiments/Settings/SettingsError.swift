import PCInterchange

/// Why an experiment cannot be run as asked, in a sentence that says what to choose instead.
public struct SettingsError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The sentence.
  public var description: String

  /// An error of one sentence.
  public init(_ description: String) { self.description = description }
}

/// Things that a user asks for by name.
package protocol Named: RawRepresentable<String>, CaseIterable, Sendable {
  /// What one of them is called in a sentence: "rule".
  static var noun: String { get }
}

extension Named {
  /// All names, in the order in which help lists them.
  package static var names: [String] { allCases.map(\.rawValue) }

  /// - Throws: a `SettingsError` that names the nearest known name.
  package init(named name: String) throws(SettingsError) {
    guard let found = Self(rawValue: name) else {
      let hint = nearestMatch(to: name, in: Self.names).map { "; did you mean \($0)? The" } ?? ". The"
      throw SettingsError(
        "There is no \(Self.noun) named \"\(name)\"\(hint) names are \(Self.names.joined(separator: ", ")).")
    }
    self = found
  }
}
