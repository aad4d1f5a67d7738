import Foundation
import PredictiveCoding
import Testing

/// The paper's recurrent experiments in miniature.
struct SequenceExperimentTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "pc-sequence-\(UUID().uuidString)")

  private func withFolder(_ body: (String) throws -> Void) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  private var reproduction: Reproduction {
    var settings = Reproduction([], output: folder.path, provenance: Provenance(command: [], commit: nil))
    settings.threads = 1
    return settings
  }

  // MARK: Names

  private func namesWork(_ rule: NamedRule, draws: Int = 60) -> NamesExperiment.Work {
    var work = NamesExperiment.Work(rule, seed: 3)
    (work.hidden, work.draws, work.drawsPerPoint, work.learningRate) = (12, draws, 20, 0.02)
    return work
  }

  @Test func `names learned by predictive coding are those learned by backprop, and a resumed run is the whole one`()
    throws
  {
    try withFolder { folder in
      let experiment = try NamesExperiment(reproduction)
      func run(_ work: NamesExperiment.Work, _ file: String) throws -> NamesExperiment.Result {
        var result = try experiment.perform(work, checkpoint: "\(folder)/\(file)") { _ in }
        result.stepMilliseconds = 0
        return result
      }
      let fixed = try run(namesWork(.fixed), "fixed")
      let backprop = try run(namesWork(.backprop), "backprop")
      #expect(fixed.draws == [20, 40, 60])
      // T = 100 and h = 0.1 leave 3e-5 of a path through one vertex a step (P[Binomial(100, 0.1) < 1]).
      for (ours, theirs) in zip(fixed.runningLoss, backprop.runningLoss) { #expect(abs(ours / theirs - 1) < 1e-3) }
      #expect(fixed.gradientError < 1e-3 && fixed.gradientError > 0)
      #expect(fixed.gradientCosine > 0.999999)
      // Every held-out name is counted once.
      let heldOut = Names().split(seed: 3).heldOut
      #expect(fixed.confusion.map { $0.reduce(0, +) } == heldOut.names.map(\.count))
      #expect(fixed.examples.count == 18 && fixed.examples.allSatisfy { Set($0.guesses).count == 3 })

      // Forty names, and then the rest from the state that they left.
      _ = try run(namesWork(.fixed, draws: 40), "part")
      let resumed = try run(namesWork(.fixed), "part")
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      #expect(try encoder.encode(resumed) == encoder.encode(fixed))
    }
  }

  @Test func `the page's numbers are the JSON's`() throws {
    try withFolder { folder in
      let experiment = try NamesExperiment(reproduction)
      let finished = try [NamedRule.fixed, .backprop].map { (rule: NamedRule) in
        let work = namesWork(rule, draws: 20)
        return NamesExperiment.Finished(
          work: work, result: try experiment.perform(work, checkpoint: "\(folder)/\(rule.rawValue)") { _ in },
          provenance: reproduction.provenance)
      }
      let findings = NamesExperiment.findings(finished)
      let numbers = JSON.object(findings.numbers).description
      let parsed = try #require(try JSONSerialization.jsonObject(with: Data(numbers.utf8)) as? [String: Any])
      let rules = try #require(parsed["rules"] as? [String: [String: Any]])
      for piece in finished {
        let held = try #require(rules[piece.work.rule.rawValue]?["heldOutAccuracy"] as? [String: Any])
        let mean = try #require(held["mean"] as? Double)
        #expect(abs(mean - (piece.result.heldOutAccuracy.last ?? .nan)) < 1e-12)
        #expect(
          findings.outcome.contains(
            NumberText.fixed(100 * (piece.result.heldOutAccuracy.last ?? .nan), places: 2) + " %"))
      }
      let final = try #require(findings.figures.first { $0.name == "final" })
      #expect(final.data.rows.count == 2)
      #expect(final.data.csv.contains("\(finished[0].result.heldOutAccuracy[0])"))
      #expect(
        Set(findings.figures.map(\.name)).isSuperset(of: ["running-accuracy", "confusion-fixed", "examples"]))
    }
  }

  // MARK: Characters

  /// A text that a small net learns: the next character follows from the last.
  private static let text = String(repeating: "abcdefgh", count: 100)

  private func charactersWork(
    _ setting: CharacterSetting, _ rule: NamedRule, epochs: Int = 3
  ) -> CharacterExperiment.Work {
    var work = CharacterExperiment.Work(setting, rule, seed: 1)
    (work.hidden, work.epochs, work.learningRate, work.decay) = (8, epochs, setting == .modern ? 0.05 : 0.01, 1)
    (work.window, work.streams, work.dropout) = (6, 4, setting == .modern ? 0.1 : 0)
    return work
  }

  @Test(arguments: CharacterSetting.allCases)
  func `characters learned by predictive coding are those learned by backprop`(_ setting: CharacterSetting) throws {
    try withFolder { folder in
      let experiment = try CharacterExperiment(reproduction)
      let text = try CharacterText(name: "letters", text: Self.text)
      func run(_ rule: NamedRule, epochs: Int = 3, _ file: String) throws -> CharacterExperiment.Result {
        var result = try experiment.perform(
          charactersWork(setting, rule, epochs: epochs), on: text, checkpoint: "\(folder)/\(file).checkpoint"
        ) { _ in }
        (result.stepMilliseconds, result.stepwiseMilliseconds) = (0, 0)
        return result
      }
      let fixed = try run(.fixed, "fixed")
      let backprop = try run(.backprop, "backprop")
      #expect(fixed.heldOutLoss.count == 3 && fixed.samples.allSatisfy { $0.count == 400 })
      #expect(fixed.heldOutLoss[2] < fixed.heldOutLoss[0], "\(fixed.heldOutLoss)")
      for (ours, theirs) in zip(fixed.heldOutLoss, backprop.heldOutLoss) { #expect(abs(ours - theirs) < 1e-3) }
      // T = 200, h = 0.1: 1.9e-7 of each step's part is missing, and Float's rounding.
      #expect(fixed.gradientErrors.allSatisfy { $0 < 1e-4 })
      #expect(fixed.stepwiseErrors.allSatisfy { $0 < 1e-4 })

      _ = try run(.fixed, epochs: 2, "part")
      let resumed = try run(.fixed, "part")
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      #expect(try encoder.encode(resumed) == encoder.encode(fixed))

      // The kept net is the one that wrote the last sample.
      let generator = try TextGenerator(Checkpoint(path: "\(folder)/fixed.safetensors"), on: CPU(threads: 1))
      #expect(try generator.text(after: "a", count: 30, temperature: 0.8, seed: 5).count == 30)
      #expect(throws: SettingsError.self) { try generator.text(after: "z", count: 1, seed: 0) }
      #expect(throws: SettingsError.self) { try generator.text(after: "", count: 1, seed: 0) }
      #expect(throws: SettingsError.self) { try generator.text(after: "a", count: 1, temperature: -1, seed: 0) }
    }
  }

  /// The greedy continuation of a net that has learned the alphabet's order, whatever the length of the prompt.
  @Test func `a generator goes on with the text`() throws {
    try withFolder { folder in
      let text = try CharacterText(name: "letters", text: Self.text)
      var work = charactersWork(.modern, .backprop, epochs: 12)
      work.dropout = 0
      _ = try CharacterExperiment(reproduction).perform(work, on: text, checkpoint: "\(folder)/net.checkpoint") { _ in
      }
      let generator = try TextGenerator(Checkpoint(path: "\(folder)/net.safetensors"), on: Reference())
      for start in ["a", "cdefgh", String(repeating: "abcdefgh", count: 3) + "abc"] {
        let written = try generator.text(after: start, count: 16, temperature: 0, seed: 0)
        let whole = start + written
        let place = try #require(Self.text.firstIndex(of: start.first ?? "a"))
        #expect(Self.text[place...].hasPrefix(whole), "\(start) → \(written)")
      }
      #expect(
        try generator.text(after: "a", count: 20, temperature: 5, seed: 1)
          == generator.text(after: "a", count: 20, temperature: 5, seed: 1))
      #expect(
        try generator.text(after: "a", count: 20, temperature: 5, seed: 1)
          != generator.text(after: "a", count: 20, temperature: 5, seed: 2))
    }
  }

  /// Draws have the probabilities that scores and temperature say.
  @Test func `draws follow the prediction`() {
    func frequencies(_ scores: [Double], areLogits: Bool, _ temperature: Double) -> [Double] {
      var counts = Array(repeating: 0.0, count: scores.count)
      for step in 0..<10_000 {
        counts[TextGenerator.draw(scores, areLogits: areLogits, temperature, (Double(step) + 0.5) / 10_000)] += 1e-4
      }
      return counts
    }
    // Logarithms of 1, 2, 5: at temperature ½ the squares 1, 4, 25.
    let logits = [0, 0.6931471805599453, 1.6094379124341003]
    for (observed, expected) in zip(frequencies(logits, areLogits: true, 0.5), [1.0 / 30, 4.0 / 30, 25.0 / 30]) {
      #expect(abs(observed - expected) < 2e-4)
    }
    for (observed, expected) in zip(frequencies([-1, 1, 3], areLogits: false, 1), [0, 0.25, 0.75]) {
      #expect(abs(observed - expected) < 2e-4)
    }
    #expect(frequencies([1, 3, 2], areLogits: true, 0)[1] > 0.9999)
    #expect(frequencies([-1, -2], areLogits: false, 1)[0] > 0.9999)
  }
}
