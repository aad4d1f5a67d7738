#if CommandLine
  import ArgumentParser
  import PredictiveCoding
  import Yams

  /// `--config FILE`: flags from a YAML file, one key for each, by the flags' names. Flags of the command line win.
  ///
  ///     model: cnn
  ///     epochs: 5
  ///     freeze: [conv1.*]
  enum Configuration {
    /// The arguments with those of the file in `--config` put before them.
    ///
    /// - Parameter names: the options that the command takes, without dashes.
    /// - Throws: a `FileError` or `SettingsError` where the file cannot be read or says what is no option.
    static func expanded(_ arguments: [String], names: [String]) throws -> [String] {
      var rest: [String] = []
      var path: String?
      var position = 0
      while position < arguments.count {
        let argument = arguments[position]
        position += 1
        let value: String
        if argument == "--config", position < arguments.count {
          value = arguments[position]
          position += 1
        } else if argument.hasPrefix("--config=") {
          value = String(argument.dropFirst("--config=".count))
        } else {
          rest.append(argument)
          continue
        }
        guard path == nil else { throw SettingsError("--config is given twice; one file holds all.") }
        path = value
      }
      guard let path, let command = rest.first else { return arguments }
      let given = Set(
        rest.filter { $0.hasPrefix("--") }.map { String($0.dropFirst(2).prefix { $0 != "=" }) })
      return try [command] + read(path, names: names, without: given) + rest.dropFirst()
    }

    private static func read(_ path: String, names: [String], without given: Set<String>) throws -> [String] {
      let text = try String(decoding: readFile(path), as: UTF8.self)
      let root: Node?
      do {
        root = try Yams.compose(yaml: text)
      } catch {
        let reason = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
        throw SettingsError("\(path) is no YAML: \(reason)")
      }
      guard let root else { return [] }
      guard case .mapping(let mapping) = root else {
        throw SettingsError("\(path) holds no options; each is a line such as \"epochs: 5\".")
      }
      var arguments: [String] = []
      var seen: Set<String> = []
      for (key, value) in mapping {
        let name = key.string ?? ""
        guard names.contains(name) else {
          let hint = nearestMatch(to: name, in: names).map { "; did you mean \($0)?" } ?? "."
          throw SettingsError("\(path) says \"\(name)\", which is no option of this command\(hint)")
        }
        guard seen.insert(name).inserted else { throw SettingsError("\(path) says \(name) twice.") }
        guard !given.contains(name) else { continue }
        arguments += try self.arguments(name, value, path)
      }
      return arguments
    }

    private static func arguments(_ name: String, _ value: Node, _ path: String) throws -> [String] {
      if name == "resume" {
        guard let isOn = value.bool else { throw SettingsError("\(path): resume is true or false.") }
        return isOn ? ["--resume"] : []
      }
      if case .sequence(let sequence) = value {
        let parts = sequence.compactMap(\.string)
        guard parts.count == sequence.count else {
          throw SettingsError("\(path): \(name) holds more than plain values.")
        }
        // Those that may be repeated; the others take a list between commas.
        if name == "freeze" || name == "group" { return parts.map { "--\(name)=\($0)" } }
        return parts.isEmpty ? [] : ["--\(name)=\(parts.joined(separator: ","))"]
      }
      guard case .scalar = value, let text = value.string else {
        throw SettingsError("\(path): \(name) takes a plain value or a list.")
      }
      return value.null == nil ? ["--\(name)=\(text)"] : []
    }

    /// YAML of these options, in order, that reads back as them.
    static func text(_ options: [(name: String, value: JSON)]) -> String {
      options.map { "\($0.name): \($0.value)\n" }.joined()
    }
  }

  extension Train {
    /// All options that a file may say.
    static let optionNames: [String] = [
      "rule", "model", "hidden", "loss", "dataset", "data-dir", "data", "labels", "label-column", "test-share",
      "augment", "batch-size", "seed", "backend", "threads", "isa",
      "format",
      "solver", "steps", "rate", "epochs", "max-steps", "optimizer", "learning-rate", "weight-decay", "schedule",
      "warm-up",
      "accumulate", "average", "freeze", "group", "validation", "patience", "reduction", "output", "log",
      "memory-limit",
      "resume", "checkpoint-every", "keep",
    ]

    /// All options with the values that this run has: those that were left to the model are decided. JSON is YAML.
    func configuration(_ settings: Settings) -> [(name: String, value: JSON)] {
      func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
      func whole(_ value: Int?) -> JSON { value.map { .integer($0) } ?? .null }
      let first = settings.rules[0]
      let values: [String: JSON] = [
        "rule": .string(rule), "model": .string(settings.model.rawValue),
        "hidden": settings.hidden.map { .array($0.map { .integer($0) }) } ?? .null,
        "loss": .string(settings.loss.rawValue), "dataset": .string(settings.dataset.rawValue),
        "data-dir": text(settings.dataDirectory), "data": text(own.data), "labels": text(own.labels),
        "label-column": text(own.labelColumn), "test-share": .number(own.testShare),
        "augment": text(training.augment),
        "batch-size": .integer(settings.batchSize),
        "seed": .integer(settings.seeds[0]), "backend": .string(settings.backend.rawValue),
        "threads": whole(settings.threads), "isa": text(settings.instructionSet?.rawValue),
        "format": .string(model.format), "solver": text(first.rule.solverName), "steps": whole(first.steps),
        "rate": .number(first.rate), "epochs": .integer(settings.epochs), "max-steps": whole(settings.maximalSteps),
        "optimizer": .string(settings.optimizer.rawValue), "learning-rate": .number(first.learningRate),
        "weight-decay": .number(settings.weightDecay), "schedule": .string(settings.schedule.rawValue),
        "warm-up": .integer(settings.warmUp), "accumulate": .integer(settings.accumulation),
        "average": .number(settings.averageDecay), "freeze": .array(training.freeze.map(JSON.string)),
        "group": .array(training.group.map(JSON.string)), "validation": .number(settings.validation),
        "patience": whole(settings.patience), "reduction": .string(settings.reduction.rawValue),
        "output": text(training.output), "log": text(training.log), "memory-limit": text(training.memory.memoryLimit),
        "resume": .bool(keeping.resume), "checkpoint-every": whole(keeping.checkpointEvery),
        "keep": .integer(keeping.keep),
      ]
      return Self.optionNames.map { ($0, values[$0] ?? .null) }
    }
  }
#endif
