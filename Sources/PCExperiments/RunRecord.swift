#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCDatasets
import PCKernelsCPU
import PCLearning

/// The version of this software.
public let softwareVersion = "0.1.0"

/// How a result came about: enough to run it again, and to see what else could have changed it.
package struct RunRecord: Sendable {
  /// The command and its arguments.
  package var command: [String]
  /// The commit that the command was built from, if known.
  package var commit: String?
  package var settings: Settings
  /// SHA-256 of the data set, before normalisation.
  package var dataChecksum: String
  package var threads: Int
  package var instructionSet: String?
  /// When the run began, in seconds since 1970.
  package var started: Int
  package var seconds: Double
  package var machine: Machine
  /// The files of the run's folder.
  package var files: [RunFolder.File] = []

  package init(
    _ experiment: Experiment, command: [String], commit: String?, started: Int, seconds: Double
  ) {
    self.command = command
    self.commit = commit
    settings = experiment.settings
    dataChecksum = experiment.data.checksum()
    let cpu = experiment.backend as? CPU
    threads = cpu?.threads ?? 1
    instructionSet = cpu?.instructionSet.rawValue
    self.started = started
    self.seconds = seconds
    machine = Machine()
  }

  package var json: JSON {
    .object([
      // These two come first: RunFolder knows its own files by them.
      ("program", .string("pcgraph")),
      ("files", .array(files.map { .string($0.rawValue) })),
      ("version", .string(softwareVersion)),
      ("commit", commit.map(JSON.string) ?? .null),
      ("command", .array(command.map(JSON.string))),
      ("seed", .integer(settings.seeds[0])),
      ("seeds", .array(settings.seeds.map { .integer($0) })),
      ("dataset", .object([("name", .string(settings.dataName)), ("sha256", .string(dataChecksum))])),
      ("settings", settings.json),
      ("backend", .string(settings.backend.rawValue)),
      ("instructionSet", instructionSet.map(JSON.string) ?? .null),
      ("threads", .integer(threads)),
      ("processor", .string(machine.processor)),
      ("system", .string(machine.system)),
      ("libraries", .object(machine.libraries.map { ($0.name, .string($0.version)) })),
      ("started", .string(Self.text(ofTime: started))),
      ("seconds", .number(seconds)),
    ])
  }

  /// Short facts for a report.
  var facts: [(name: String, value: String)] {
    let kernels = instructionSet.map { ", \($0) kernels" } ?? ""
    return [
      ("command", "`\(command.joined(separator: " "))`"),
      ("software", "pcgraph \(softwareVersion)" + (commit.map { ", commit \($0)" } ?? "")),
      ("data", "\(settings.dataName), SHA-256 \(dataChecksum)"),
      (settings.seeds.count > 1 ? "seeds" : "seed", settings.seeds.map(String.init).joined(separator: ", ")),
      ("update", settings.updateSummary),
      ("processor", "\(machine.processor), \(threads) thread\(threads == 1 ? "" : "s")\(kernels)"),
      ("system", ([machine.system] + machine.libraries.map { "\($0.name) \($0.version)" }).joined(separator: ", ")),
      ("run", "\(Self.text(ofTime: started)), \(NumberText.significant(seconds)) s"),
    ]
  }

  /// `2026-01-31T12:00:00Z`.
  private static func text(ofTime seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
      + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
  }
}

extension Settings {
  /// All settings, by the names of the command line's flags.
  var json: JSON {
    .object([
      ("model", .string(model.rawValue)),
      ("hidden", hidden.map { .array($0.map { .integer($0) }) } ?? .null),
      ("loss", .string(loss.rawValue)),
      ("normalization", .string(normalization.rawValue)),
      ("augmentation", augmentation.map { .string($0.summary) } ?? .null),
      ("optimizer", .string(optimizer.rawValue)),
      ("reduction", .string(reduction.rawValue)),
      ("clipping", .string(clipping.summary)),
      ("weightDecay", .number(weightDecay)),
      ("averageDecay", .number(averageDecay)),
      (
        "groups",
        .array(
          groups.map {
            .object([
              ("pattern", .string($0.pattern)), ("learningRateFactor", .number($0.learningRateFactor)),
              ("weightDecay", .number($0.weightDecay)),
            ])
          })
      ),
      ("accumulation", .integer(accumulation)),
      ("schedule", .string(schedule.rawValue)),
      ("warmUp", .integer(warmUp)),
      ("validation", .number(validation)),
      ("patience", patience.map { .integer($0) } ?? .null),
      ("epochs", .integer(epochs)),
      ("maxSteps", maximalSteps.map { .integer($0) } ?? .null),
      ("batchSize", .integer(batchSize)),
      (
        "rules",
        .array(
          rules.map { rule in
            .object([
              ("rule", .string(rule.name.rawValue)), ("solver", rule.rule.solverName.map(JSON.string) ?? .null),
              ("steps", rule.steps.map { .integer($0) } ?? .null), ("rate", .number(rule.rate)),
              ("learningRate", .number(rule.learningRate)),
            ])
          })
      ),
    ])
  }

  /// `adam, learning rate 0.0003, mean over the batch, batches of 64`.
  var updateSummary: String {
    let rates = Set(rules.map(\.learningRate))
    let learningRate =
      rates.count == 1
      ? "learning rate \(NumberText.significant(rules[0].learningRate))"
      : "learning rates "
        + rules.map { "\($0.name.rawValue) \(NumberText.significant($0.learningRate))" }.joined(separator: ", ")
    let clipped = clipping == .none ? "" : ", clipped \(clipping.summary)"
    return
      "\(optimizer.rawValue), \(learningRate), \(reduction.rawValue) over the batch\(clipped), batches of \(batchSize)"
  }
}

extension Clipping {
  var summary: String {
    switch self {
    case .none: "none"
    case .byValue(let limit): "by value at \(NumberText.significant(limit))"
    case .byNorm(let limit): "by norm at \(NumberText.significant(limit))"
    }
  }
}
