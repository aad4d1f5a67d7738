import PCLearning
import PCModels

extension CharacterExperiment {
  package typealias Finished = FinishedWork<Work, Result>

  package static func findings(_ finished: [Finished]) -> Findings {
    var parts: [Findings.Part] = []
    for setting in [CharacterSetting.modern, .paper] {
      let runs = finished.filter { $0.work.setting == setting }
      guard let work = runs.first?.work else { continue }
      parts.append(.block(.paragraph(explanation(work))))
      parts.append(.figure(curves(setting, runs, "held-out", \.heldOutLoss)))
      parts.append(.figure(curves(setting, runs, "training", \.trainLoss)))
      parts.append(.figure(byEpoch(setting, runs)))
      if let gradients = gradients(setting, runs) { parts.append(.figure(gradients)) }
      for piece in runs where piece.work.rule == .fixed { parts += samples(piece) }
    }
    return Findings(outcome: outcome(finished), parts: parts, numbers: numbers(finished))
  }

  private static func unit(_ setting: CharacterSetting) -> String {
    setting == .modern ? "nats per character" : "squared error per character"
  }

  private static func explanation(_ work: Work) -> String {
    let size = work.length.map { "the first \($0) characters of the text" } ?? "the whole text"
    let rule = """
      Predictive coding by the time-reversed schedule, T = \(work.steps) updates a time step with \
      h = \(NumberText.significant(work.rate)), \(work.solver.rawValue) (the stepwise gradient is measured beside it after \
      each epoch).
      """
    switch work.setting {
    case .modern:
      return """
        As one would train today: \(size), the last tenth held out; hidden width \(work.hidden), \(work.streams) parallel \
        streams in windows of \(work.window) characters, state carried from window to window in training and in evaluation \
        and starting again after \(work.restart) windows, cross-entropy, Adam with learning rate \(NumberText.significant(work.learningRate)) (times \
        \(NumberText.significant(work.decay)) after each epoch), gradient clipped at norm 1, dropout \
        \(NumberText.significant(work.dropout)) before the readout. \(rule)
        """
    case .paper:
      return """
        The paper's setting: \(size), the last tenth held out; hidden width \(work.hidden), batches of \(work.streams) windows \
        of \(work.window) characters, each from the same fixed state, an untrained embedding, squared error on the one-hot \
        character, SGD with learning rate \(NumberText.significant(work.learningRate)), gradients clipped at ±50. \(rule)
        """
    }
  }

  // MARK: Pairs of runs

  /// For each seed the run of predictive coding and that of backprop.
  private static func pairs(_ runs: [Finished]) -> [(fixed: Finished, backprop: Finished)] {
    runs.filter { $0.work.rule == .fixed }.compactMap { fixed in
      runs.first { $0.work.rule == .backprop && $0.work.number == fixed.work.number }.map { (fixed, $0) }
    }
  }

  /// The largest |predictive coding − backprop| of the held-out loss after any epoch.
  private static func largestGap(_ runs: [Finished]) -> Double? {
    pairs(runs).flatMap { pair in
      zip(pair.fixed.result.heldOutLoss, pair.backprop.result.heldOutLoss).map { abs($0 - $1) }
    }.max()
  }

  private static func outcome(_ finished: [Finished]) -> String {
    let sentences = [CharacterSetting.modern, .paper].compactMap { setting -> String? in
      let runs = finished.filter { $0.work.setting == setting }
      let ends = [NamedRule.fixed, .backprop].compactMap { rule -> String? in
        let losses = runs.filter { $0.work.rule == rule }.compactMap(\.result.heldOutLoss.last)
        guard !losses.isEmpty else { return nil }
        return "\(rule.title) \(NumberText.fixed(Statistics(losses).mean, places: 4))"
      }
      guard !ends.isEmpty else { return nil }
      let gap = largestGap(runs).map {
        ", never more than \(NumberText.significant($0, digits: 2)) apart after an epoch"
      }
      return "in the \(setting == .modern ? "modern" : "paper's") setting the held-out text costs "
        + ends.joined(separator: " and ") + " \(unit(setting))\(gap ?? "")"
    }
    return sentences.joined(separator: "; ").asSentence + "."
  }

  // MARK: Figures

  private static func curves(
    _ setting: CharacterSetting, _ runs: [Finished], _ part: String, _ quantity: KeyPath<Result, [Double]>
  ) -> Figure {
    let series = runs.map { piece in
      LineChart.Series(
        piece.work.rule.title + (runs.count > 2 ? ", seed \(piece.work.number)" : ""),
        points: piece.result[keyPath: quantity].enumerated().map { .init(Double($0 + 1), $1) })
    }
    let title = "\(part == "training" ? "Training" : "Held-out") loss, \(unit(setting))"
    // A tenth of the loss at least, so that rounding does not look like a difference.
    let last = runs.first?.result[keyPath: quantity].last ?? 0
    let chart = LineChart(
      title: title, x: .init("epoch"), y: .init(unit(setting), including: [0.95 * last, 1.05 * last]), series: series)
    return Figure(
      "\(setting.rawValue)-\(part)-loss",
      DataTable(
        ["rule", "seed", "epoch", unit(setting)],
        rows: runs.flatMap { piece in
          piece.result[keyPath: quantity].enumerated().map { epoch, loss in
            [.string(piece.work.rule.rawValue), .integer(piece.work.number), .integer(epoch + 1), .number(loss)]
          }
        }),
      picture: chart.svg,
      caption: "\(title), after each epoch"
        + (part == "training" ? ": the mean over the epoch, each batch before its update." : "."))
  }

  private static func byEpoch(_ setting: CharacterSetting, _ runs: [Finished]) -> Figure {
    let rows = pairs(runs).flatMap { fixed, backprop in
      zip(fixed.result.heldOutLoss, backprop.result.heldOutLoss).enumerated().map { epoch, losses in
        (seed: fixed.work.number, epoch: epoch, fixed: fixed.result, backprop: backprop.result, losses: losses)
      }
    }
    return Figure(
      "\(setting.rawValue)-by-epoch",
      DataTable(
        [
          "seed", "epoch", "fixed predictions", "backprop", "difference", "accuracy fixed predictions",
          "accuracy backprop",
        ],
        rows: rows.map { row in
          [
            .integer(row.seed), .integer(row.epoch + 1), .number(row.losses.0), .number(row.losses.1),
            .number(row.losses.0 - row.losses.1), .number(row.fixed.heldOutAccuracy[row.epoch]),
            .number(row.backprop.heldOutAccuracy[row.epoch]),
          ]
        }),
      table: ResultTable(
        [
          .init("epoch", .right), .init("fixed predictions", .decimal), .init("backprop", .decimal),
          .init("difference", .decimal), .init("accuracy, fixed", .right), .init("accuracy, backprop", .right),
        ],
        rows: rows.map { row in
          func percent(_ share: Double) -> String { NumberText.fixed(100 * share, places: 2) + " %" }
          return [
            "\(row.epoch + 1)", NumberText.fixed(row.losses.0, places: 4), NumberText.fixed(row.losses.1, places: 4),
            NumberText.fixed(row.losses.0 - row.losses.1, places: 4), percent(row.fixed.heldOutAccuracy[row.epoch]),
            percent(row.backprop.heldOutAccuracy[row.epoch]),
          ]
        }),
      caption:
        "The held-out text after each epoch, in \(unit(setting)), and the share of its characters that were the "
        + "net's first guess.")
  }

  private static func gradients(_ setting: CharacterSetting, _ runs: [Finished]) -> Figure? {
    let rows = runs.filter { $0.work.rule == .fixed }.flatMap { piece in
      zip(piece.result.gradientErrors, piece.result.stepwiseErrors).enumerated().map {
        (seed: piece.work.number, epoch: $0 + 1, trained: $1.0, stepwise: $1.1)
      }
    }
    guard !rows.isEmpty else { return nil }
    return Figure(
      "\(setting.rawValue)-gradients",
      DataTable(
        ["seed", "epoch", "relative error as trained", "relative error stepwise"],
        rows: rows.map { [.integer($0.seed), .integer($0.epoch), .number($0.trained), .number($0.stepwise)] }),
      table: ResultTable(
        [.init("epoch", .right), .init("as trained", .right), .init("stepwise", .right)],
        rows: rows.map { row in
          [
            "\(row.epoch)", NumberText.significant(row.trained, digits: 2),
            NumberText.significant(row.stepwise, digits: 2),
          ]
        }),
      caption:
        "‖g′ − g‖ / ‖g‖ on one batch after each epoch, where g is backprop's gradient: of predictive coding as it "
        + "trained, and of all its updates made one by one.")
  }

  private static func samples(_ piece: Finished) -> [Findings.Part] {
    let stages = Set([1, 2, 4, piece.result.samples.count])
    return piece.result.samples.enumerated().filter { stages.contains($0.offset + 1) }.flatMap { epoch, sample in
      [
        Findings.Part.block(
          .paragraph(
            "Written after epoch \(epoch + 1) by the net that learned by predictive coding, at temperature 0.8:")),
        .block(.listing(sample)),
      ]
    }
  }

  private static func numbers(_ finished: [Finished]) -> [(key: String, value: JSON)] {
    [CharacterSetting.modern, .paper].compactMap { setting in
      let runs = finished.filter { $0.work.setting == setting }
      guard !runs.isEmpty else { return nil }
      func array(_ values: [Double]) -> JSON { .array(values.map { .number($0) }) }
      let rows = runs.map { piece in
        JSON.object([
          ("rule", .string(piece.work.rule.rawValue)), ("seed", .integer(piece.work.number)),
          ("heldOutLoss", array(piece.result.heldOutLoss)), ("trainLoss", array(piece.result.trainLoss)),
          ("heldOutAccuracy", array(piece.result.heldOutAccuracy)),
          ("gradientErrors", array(piece.result.gradientErrors)),
          ("stepwiseErrors", array(piece.result.stepwiseErrors)),
          ("stepMilliseconds", .number(piece.result.stepMilliseconds)),
          ("stepwiseMilliseconds", .number(piece.result.stepwiseMilliseconds)),
          ("samples", .array(piece.result.samples.map(JSON.string))),
        ])
      }
      return (
        setting.rawValue,
        .object([
          ("unit", .string(unit(setting))), ("largestDifference", .number(largestGap(runs))), ("runs", .array(rows)),
        ])
      )
    }
  }
}
