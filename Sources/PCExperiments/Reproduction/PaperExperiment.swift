#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One experiment of the paper: pieces of work that can be done one by one, and what they say together.
///
/// ```swift
/// struct Doubling: PaperExperiment {
///   struct Work: PaperWork { var number: Int; var name: String { "double-\(number)" } }
///   static let name = NamedPaperExperiment.doubling
///   static let title = "Doubling", claim = "Twice two is four."
///   init(_ settings: Reproduction) {}
///   func plan() -> (works: [Work], omissions: [String]) { ([Work(number: 2)], []) }
///   func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) -> Int { 2 * work.number }
///   static func findings(_ finished: [FinishedWork<Work, Int>]) -> Findings { … }
/// }
/// ```
///
/// What is finished is kept, and a run that is interrupted goes on after it. So a result depends on its `Work` alone: all
/// that decides it (sizes, rates, seeds) is a member there. Findings are made from kept results alone, whenever they were
/// computed.
package protocol PaperExperiment: Sendable {
  /// One piece: minutes or hours that are lost at most where nothing is kept inside of it.
  associatedtype Work: PaperWork
  /// What a piece leaves.
  associatedtype Result: Codable & Sendable

  /// Its name on the command line, and of its files.
  static var name: NamedPaperExperiment { get }
  /// The heading on the page.
  static var title: String { get }
  /// What the paper says.
  static var claim: String { get }

  /// - Throws: a `SettingsError` where it cannot be run so.
  init(_ settings: Reproduction) throws

  /// The pieces that can be done here, in order, and a sentence for each part that cannot, such as one whose data are
  /// missing.
  func plan() throws -> (works: [Work], omissions: [String])

  /// Does one piece.
  ///
  /// - Parameters:
  ///   - checkpoint: a file that the piece may keep its state in, to go on from there after an interruption; it belongs
  ///     to this piece with these settings and is removed once the piece is finished.
  ///   - progress: told about training.
  func perform(_ work: Work, checkpoint: String, progress: (TrainingProgress) -> Void) throws -> Result

  /// What came out, from the pieces that are finished, in the order of the plan.
  static func findings(_ finished: [FinishedWork<Work, Result>]) -> Findings
}

/// All that decides the result of a piece of work.
package protocol PaperWork: Codable, Sendable {
  /// What progress and the file are called: letters, digits, `.`, `-` and `_`.
  var name: String { get }
  /// What drew the random numbers, where there were any.
  var seed: UInt64? { get }
}

extension PaperWork {
  package var seed: UInt64? { nil }
}

/// A piece of work with its result.
package struct FinishedWork<Work: PaperWork, Result: Codable & Sendable>: Codable, Sendable {
  package var work: Work
  package var result: Result
  package var provenance: Provenance

  package init(work: Work, result: Result, provenance: Provenance) {
    self.work = work
    self.result = result
    self.provenance = provenance
  }
}

/// What made a result.
package struct Provenance: Codable, Sendable, Hashable {
  /// The command and its arguments.
  package var command: [String]
  /// The commit that the command was built from, if known.
  package var commit: String?
  package var version = softwareVersion
  package var processor: String
  package var system: String
  /// When the work began, in seconds since 1970.
  package var started = 0
  /// How long it took; where it was interrupted, since it was last taken up.
  package var seconds = 0.0

  /// This machine and this program.
  package init(command: [String], commit: String?) {
    self.command = command
    self.commit = commit
    let machine = Machine()
    processor = machine.processor
    system = machine.system
  }
}

/// Seconds since 1970.
func currentTime() -> Int { Int(time(nil)) }
