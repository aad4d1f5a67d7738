/// What training tells while it runs.
public enum TrainingProgress: Sendable {
  /// A training step is done.
  case step(StepProgress)
  /// An epoch is done and evaluated.
  case epoch(EpochProgress)
  /// What the vertices sent on one batch after an epoch, where that was asked for.
  case messages(MessageProgress)
  /// What the net wrote after an epoch, where it writes.
  case sample(SampleProgress)
}

/// The messages of one batch after an epoch.
public struct MessageProgress: Sendable {
  /// The rule that is training.
  public var rule: NamedRule
  /// The seed that it started from.
  public var seed: UInt64
  /// The epoch, from 1.
  public var epoch: Int
  /// All elements of all examples; those of the steps of a sequence together.
  public var byVertex: [(vertex: String, values: [Double])]
}

/// A text that a net wrote after an epoch.
public struct SampleProgress: Sendable {
  /// The rule that is training.
  public var rule: NamedRule
  /// The seed that it started from.
  public var seed: UInt64
  /// The epoch, from 1.
  public var epoch: Int
  /// What it wrote.
  public var text: String

  package init(rule: NamedRule, seed: UInt64, epoch: Int, text: String) {
    self.rule = rule
    self.seed = seed
    self.epoch = epoch
    self.text = text
  }
}

/// How far one rule has come with one seed.
public struct StepProgress: Sendable {
  /// The rule that is training.
  public var rule: NamedRule
  /// The seed that it started from.
  public var seed: UInt64
  /// The present epoch, from 1.
  public var epoch: Int
  /// Epochs that the run reaches, fewer than asked for where its training steps are limited.
  public var epochs: Int
  /// This run of a rule and a seed among all, from 1.
  public var run: Int
  /// Runs in all.
  public var runs: Int
  /// Training steps of this run that are done.
  public var step: Int
  /// Training steps of this run in all.
  public var steps: Int
  /// The last batch's mean loss.
  public var loss: Double
}

/// One epoch of one rule and seed.
public struct EpochProgress: Sendable {
  /// The rule that is training.
  public var rule: NamedRule
  /// The seed that it started from.
  public var seed: UInt64
  /// The present epoch, from 1.
  public var epoch: Int
  /// Epochs that the run reaches, fewer than asked for where its training steps are limited.
  public var epochs: Int
  /// The mean loss of an example, each batch before its update.
  public var trainLoss: Double
  /// The fraction of test images that are classified correctly.
  public var testAccuracy: Double
  /// The mean loss of an image that is held out; nil where none is.
  public var validationLoss: Double?
  /// The fraction of the images held out that are classified correctly.
  public var validationAccuracy: Double?
  /// Whether this rule and seed are done.
  public var isLast: Bool

  /// The object that `--format json` prints for an epoch.
  package var json: JSON {
    .object(
      [
        ("rule", .string(rule.rawValue)), ("seed", .integer(seed)), ("epoch", .integer(epoch)),
        ("testAccuracy", .number(testAccuracy)), ("trainLoss", .number(trainLoss)),
      ]
        + (validationLoss == nil
          ? []
          : [("validationLoss", .number(validationLoss)), ("validationAccuracy", .number(validationAccuracy))]))
  }
}
