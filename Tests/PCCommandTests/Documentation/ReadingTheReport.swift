import Foundation
import PredictiveCoding
import Testing

enum ReadingTheReport {
  static func run() throws {
    let reading = try Reading("ReadingTheReport")

    try reading.shell()
    #expect(["report.html", "results.json", "run.json"].allSatisfy { reading.has("demo/\($0)") })
    let report = try String(contentsOfFile: "demo/report.html", encoding: .utf8)
    for heading in ["Learning", "What inference steps buy", "The graph", "This run"] {
      #expect(report.contains(">\(heading)</h2>"), "\(heading)")
    }

    try reading.shell()

    var choices = Choices(rules: [.fixed, .backprop])
    choices.model = .branching
    choices.solver = PerRule(.automatic)
    choices.epochs = 3
    choices.seedCount = 3
    let comparison = try Experiment(Settings(choices)).compare()
    print(comparison.table)
    for rule in comparison.rules {
      let accuracies = Statistics(rule.runs.compactMap(\.testAccuracy.last))
      print(rule.settings.name.title, accuracies.mean, accuracies.deviation)
    }
    #expect(comparison.rules.map(\.runs.count) == [3, 3])
    #expect(comparison.rules.allSatisfy { ($0.testAccuracy.last ?? 0) > 0.75 })

    reading.end()
  }
}
