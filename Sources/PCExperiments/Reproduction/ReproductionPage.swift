/// `index.html`: for each experiment what was claimed, what came out, and what made it.
struct ReproductionPage {
  /// One experiment.
  struct Chapter {
    var name: NamedPaperExperiment
    var title: String
    var claim: String
    /// nil where nothing of it could be run.
    var findings: Findings?
    /// One for each piece of work.
    var made: [Provenance]
    var seeds: [UInt64]
    var omissions: [String]
  }

  var chapters: [Chapter]

  var html: HTMLReport {
    let outcomes = chapters.compactMap { $0.findings?.outcome }
    return HTMLReport(
      title: "Predictive coding approximates backprop along arbitrary computation graphs, run again",
      lead: outcomes.isEmpty
        ? "Nothing could be run."
        : "The experiments of Millidge, Tschantz and Buckley (2022), computed by a general engine: each claim beside "
          + "what came out, each number beside the command that made it.",
      sections: chapters.map(\.section) + [Self.differences])
  }

  /// Where the paper's code does something else than its text, read from the authors' public sources.
  private static let differences = HTMLReport.Section(
    "Where the paper's own code differs from the paper, and what we do",
    [
      .paragraph(
        "The authors published their programs. Where these do something else than the text says, a result can be compared "
          + "only if one says which of the two it follows."),
      .table(
        ResultTable(
          [.init("matter", .left), .init("their code", .left), .init("here", .left)],
          rows: [
            [
              "steps of inference",
              "Parameters read the errors before the last update: T = 100 there is T = 99 here.",
              "T counts updates, and a closing sweep follows the last.",
            ],
            [
              "step size", "The CNN's 0.1 is doubled on its way into the update.",
              "h is the factor of the update: 0.2 for the CNN.",
            ],
            [
              "updates of parameters", "Predictive coding applies its update twice in a training step.",
              "Once, as backprop does.",
            ],
            [
              "what layers send back",
              "Every product of a Jacobian and a message is clamped at ±50, in inference and in backprop.",
              "Not clamped; the largest that occurred is reported.",
            ],
            [
              "parameter gradients",
              "Clipped at ±50 after a factor of 4 (squared error, two factors 2) or 2 (cross-entropy).",
              "The same update in units of the loss's gradient: clipped at ±12.5 or ±25, learning rates to match.",
            ],
            [
              "batches", "Drawn once and repeated in that order every epoch; the last two are left out.",
              "Shuffled anew each epoch; all are used, in training and in test.",
            ],
            [
              "test data of the names",
              "None: the accuracy is a running one on the names that are being learned.",
              "The running accuracy, and beside it that on names held out.",
            ],
          ]), caption: "What was found in the code, and what this project does."),
    ])
}

extension ReproductionPage.Chapter {
  var section: HTMLReport.Section {
    var blocks: [HTMLReport.Block] = [.paragraph("Claimed: \(claim)")]
    if let findings {
      blocks.append(.paragraph("Found: \(findings.outcome)"))
      for part in findings.parts {
        switch part {
        case .block(let block): blocks.append(block)
        case .figure(let figure): blocks += figure.blocks
        case .details(let summary, let figures): blocks.append(.details(summary: summary, figures.flatMap(\.blocks)))
        }
      }
    }
    if !omissions.isEmpty {
      blocks.append(.paragraph("Left out:"))
      blocks.append(.list(omissions))
    }
    if findings != nil { blocks.append(.facts(facts)) }
    return HTMLReport.Section(title, blocks)
  }

  /// The commands, commits and machines of an experiment's pieces; usually one each.
  private var facts: [(name: String, value: String)] {
    func distinct(_ texts: [String]) -> [String] {
      var seen: Set<String> = []
      return texts.filter { seen.insert($0).inserted }
    }
    func fact(_ name: String, _ texts: [String]) -> (name: String, value: String)? {
      texts.isEmpty ? nil : (name, distinct(texts).joined(separator: "; "))
    }
    let pieces = made.count == 1 ? "1 piece of work" : "\(made.count) pieces of work"
    let seconds = made.reduce(0) { $0 + $1.seconds }
    return [
      fact("command", made.map { "`\($0.command.joined(separator: " "))`" }),
      fact(
        "software", made.map { "pcgraph \($0.version), " + ($0.commit.map { "commit \($0)" } ?? "commit unknown") }),
      fact(seeds.count == 1 ? "seed" : "seeds", seeds.map(String.init).isEmpty ? [] : [ranges(seeds)]),
      fact("machine", made.map { "\($0.processor), \($0.system)" }),
      ("work", "\(pieces), \(NumberText.significant(seconds)) s"),
      ("numbers", "`\(name.jsonName)`, figures in `\(name.rawValue)/`"),
    ].compactMap { $0 }
  }

  private func ranges(_ seeds: [UInt64]) -> String { seeds.map(String.init).joined(separator: ", ") }

  private var run: (key: String, value: JSON) {
    var seen: Set<[String]> = []
    let distinct = made.filter { seen.insert($0.command + [$0.commit ?? "", $0.processor]).inserted }
    return (
      "madeBy",
      .array(
        distinct.map { provenance in
          .object([
            ("command", .array(provenance.command.map(JSON.string))),
            ("version", .string(provenance.version)), ("commit", provenance.commit.map(JSON.string) ?? .null),
            ("processor", .string(provenance.processor)), ("system", .string(provenance.system)),
          ])
        })
    )
  }

  private var origin: [(key: String, value: JSON)] {
    [("seeds", .array(seeds.map { .integer($0) })), run]
  }

  /// What `NAME.json` holds.
  var json: JSON {
    let omitted: [(key: String, value: JSON)] =
      omissions.isEmpty ? [] : [("leftOut", .array(omissions.map(JSON.string)))]
    return .object((findings?.numbers ?? []) + omitted + origin)
  }

  /// What `NAME/FIGURE.json` holds.
  func json(of figure: Figure) -> JSON {
    .object(
      [("figure", .string(figure.name)), ("caption", .string(figure.caption))] + origin + [("rows", figure.data.json)]
    )
  }
}
