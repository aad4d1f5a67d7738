import Foundation
import PredictiveCoding
import Synchronization
import Testing

/// A folder of its own for each test.
private struct Place {
  let base = FileManager.default.temporaryDirectory.appendingPathComponent("pc-reproduce-\(UUID().uuidString)")

  func path(_ name: String) -> String { base.appendingPathComponent(name).path }
  func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
  func object(_ name: String) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: base.appendingPathComponent(name))) as? [String: Any])
  }
  func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path(folder))) ?? []).sorted()
  }

  func reproduction(_ experiments: [NamedPaperExperiment], command: String = "first") -> Reproduction {
    Reproduction(experiments, output: base.path, provenance: Provenance(command: [command], commit: "abc"))
  }
}

struct ReproductionTests {
  private let place = Place()

  @Test func `a killed run goes on after what is finished, and other settings are not reused`() throws {
    defer { try? FileManager.default.removeItem(at: place.base) }
    try place.reproduction([.scalar]).run()
    // What a kill before the sixth piece leaves: five pieces, the record, and nothing that is made at the end.
    let all = place.names("work/scalar")
    #expect(all.count == 14)
    for name in all.dropFirst(5).map({ "work/scalar/\($0)" }) + ["index.html", "scalar.json", "scalar"] {
      try FileManager.default.removeItem(at: place.base.appendingPathComponent(name))
    }
    // And one of the five damaged.
    let files = place.names("work/scalar")
    try Data("{\"work\":".utf8).write(to: place.base.appendingPathComponent("work/scalar/\(files[0])"))

    var (found, works): (Int?, [String]) = (nil, [])
    try place.reproduction([.scalar], command: "second").run { progress in
      switch progress {
      case .found(_, let count, _): found = count
      case .begins(_, let work, _, _): works.append(work)
      default: break
      }
    }
    #expect(found == 4)
    #expect(works.count == 10)
    #expect(place.names(".") == ["index.html", "reproduce.json", "scalar", "scalar.json", "work"])
    // Each number beside what made it.
    let made = try #require(try place.object("scalar.json")["madeBy"] as? [[String: Any]])
    #expect(Set(made.compactMap { ($0["command"] as? [String])?.first }) == ["first", "second"])

    // One with other settings under the name of the first: as an older version could leave it.
    let kept = place.base.appendingPathComponent("work/scalar/\(files[1])")
    let other = try String(contentsOf: kept, encoding: .utf8)
    try Data(other.replacing(#""rate":"#, with: #""rate":0.0625,"x":"#).utf8).write(to: kept)
    works = []
    try place.reproduction([.scalar]).run { if case .begins(_, let work, _, _) = $0 { works.append(work) } }
    #expect(works.count == 1)
  }

  @Test func `a run that is asked to stop does, and nobody else works in its folder`() throws {
    defer { try? FileManager.default.removeItem(at: place.base) }
    let asked = Mutex(0)
    var stopping = place.reproduction([.scalar])
    // Asked before each piece: stops before the fourth.
    stopping.shouldStop = {
      asked.withLock {
        $0 += 1
        return $0 > 3
      }
    }
    var (pieces, refusal) = (0, "")
    #expect {
      try stopping.run { progress in
        guard case .begins = progress else { return }
        pieces += 1
        guard pieces == 2 else { return }
        do { try place.reproduction([.scalar]).run() } catch { refusal = "\(error)" }
      }
    } throws: { ($0 as? TrainingInterrupted)?.place == "3 of 14 pieces of scalar" }
    #expect(pieces == 3)
    #expect(refusal.contains("Another run is at work"), "\(refusal)")
    #expect(place.names("work/scalar").count == 3)
    try place.reproduction([.scalar]).run()
    #expect(place.names("work/scalar").count == 14)
  }

  @Test(arguments: ["index.html", "scalar.json", "scalar", "work", "reproduce.json"])
  func `what is not ours is not replaced`(_ name: String) throws {
    defer { try? FileManager.default.removeItem(at: place.base) }
    try FileManager.default.createDirectory(at: place.base, withIntermediateDirectories: true)
    try Data("mine".utf8).write(to: place.base.appendingPathComponent(name))
    let error = #expect(throws: SettingsError.self) { try place.reproduction([.scalar]).run() }
    #expect(error?.description.contains(name) == true)
    #expect(place.names(".") == [name])
    #expect(try place.text(name) == "mine")
  }

  @Test func `a user's own file among ours stays`() throws {
    defer { try? FileManager.default.removeItem(at: place.base) }
    try FileManager.default.createDirectory(at: place.base, withIntermediateDirectories: true)
    try Data("mine".utf8).write(to: place.base.appendingPathComponent("notes.txt"))
    try place.reproduction([.scalar]).run()
    try place.reproduction([.scalar]).run()
    #expect(try place.text("notes.txt") == "mine")
  }

  @Test func `an experiment without data is left out, and alone it is an error that names what is missing`() throws {
    defer { try? FileManager.default.removeItem(at: place.base) }
    let error = #expect(throws: SettingsError.self) { try place.reproduction([.cnn]).run() }
    #expect(error?.description.contains("cifar10") == true && error?.description.contains("--data-dir") == true)
    #expect(place.names(".").isEmpty)
    var reasons: [String] = []
    try place.reproduction([.scalar, .cnn]).run { if case .leftOut(.cnn, let reason) = $0 { reasons.append(reason) } }
    // One for each data set of images.
    #expect(reasons.count == CNNExperiment.datasets.count)
    let page = try place.text("index.html")
    #expect(page.contains("A convolutional network") && page.contains("Left out:") && page.contains("cifar10"))
    // The other experiment stays on the page when one alone is run again.
    try place.reproduction([.scalar]).run()
    #expect(try place.text("index.html") == page)
  }

  @Test func `a CSV cell with commas, quotes and line breaks reads back`() {
    let table = DataTable(["a", "b,c"], rows: [[.string("say \"x\""), .number(0.5)], [.null, .string("1\n2")]])
    #expect(table.csv == "a,\"b,c\"\r\n\"say \"\"x\"\"\",0.5\r\n,\"1\n2\"\r\n")
    #expect(table.json.description == #"[{"a":"say \"x\"","b,c":0.5},{"a":null,"b,c":"1\u000a2"}]"#)
  }
}

/// The numbers were computed outside of this project, twice.
struct ScalarExperimentTests {
  @Test func `the scalar graph's numbers are the ones to reach, and the page's are the JSON's`() throws {
    let place = Place()
    defer { try? FileManager.default.removeItem(at: place.base) }
    try place.reproduction([.scalar]).run()
    let json = try place.object("scalar.json")
    func near(_ value: Any?, _ expected: Double) -> Bool { abs((value as? Double ?? .nan) - expected) < 1e-10 }
    #expect(near(json["value"], -0.1116637929))
    let gradients = try #require(json["gradients"] as? [String: Double])
    for (vertex, expected) in [
      ("v0", -11.3705321867), ("theta", -0.8792235337), ("product", -0.1758447067), ("root", -1.1121395756),
      ("square", -1.1018842773), ("y", -1.1116637929),
    ] {
      #expect(near(gradients[vertex], expected), "\(vertex) \(gradients[vertex] ?? .nan)")
    }
    let rates = ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    let expected: [(String, String, [Int])] = [
      ("updates", "vertices", [708, 352, 139, 68, 32, 11, 2]),
      ("updates", "operations", [933, 465, 184, 90, 43, 15, 3]),
      ("thetaUpdates", "vertices", [920, 458, 181, 89, 42, 14, 2]),
      ("thetaUpdates", "operations", [1119, 557, 220, 108, 52, 18, 3]),
    ]
    for (key, grouping, counts) in expected {
      let found = try #require((json[key] as? [String: [String: Int]])?[grouping])
      #expect(rates.map { found[$0] } == counts, "\(key) \(grouping)")
    }

    // The page's table of updates, row by row, and the CSV.
    let page = try place.text("index.html")
    let cells = page.matches(of: /<td[^>]*>(.*?)<\/td>/).map { String($0.1).replacing(/<[^>]*>/, with: "") }
    for (row, rate) in rates.enumerated() {
      let counts = [0, 2, 1, 3].map { "\(expected[$0].2[row])" }
      let line = [rate, counts[0], counts[1], counts[2], counts[3]]
      let isThere = cells.indices.contains { start in Array(cells[start...].prefix(5)) == line }
      #expect(isThere, "\(line)")
    }
    let csv = try place.text("scalar/updates.csv")
    #expect(csv.contains("0.1,68,89,90,108\r\n"), "\(csv)")
    #expect(cells.contains("-11.3705321867") && cells.contains("-0.8792235337"))
    #expect(!page.contains("<script") && !page.contains("http-equiv") && !page.contains("src="))
  }

  @Test func `a message's distance to backprop is the certificate's`() throws {
    // θ is reached over product and root, two relaxed vertices, alone.
    let experiment = ScalarExperiment(Place().reproduction([.scalar]))
    let work = try #require(experiment.plan().works.first { $0.grouping == .vertices && $0.rate == 0.2 })
    let result = try experiment.perform(work, checkpoint: "") { _ in }
    let theta = try #require(result.trajectories.first { $0.vertex == "theta" })
    for (step, message) in zip(result.steps, theta.messages) {
      // P[Binomial(T, h) < 2].
      let t = Double(step)
      let missing: Double = pow(0.8, t) + t * 0.2 * pow(0.8, t - 1)
      let observed: Double = 1 - message / theta.exact
      #expect(abs(observed - missing) < 1e-12, "step \(step): \(observed), not \(missing)")
    }
  }
}

/// Student's distribution from published tables, and a sign-flip test that can be counted by hand.
struct PairedTestTests {
  @Test(arguments: [(1, 12.7062047362), (2, 4.3026527297), (4, 2.7764451052), (5, 2.5705818356), (30, 2.0422724563)])
  func `quantiles are the tables'`(_ degrees: Int, _ expected: Double) {
    let found = PairedTest.quantile95(degrees)
    #expect(abs(found - expected) < 1e-9, "\(degrees) degrees: \(found), not \(expected)")
  }

  @Test func `three pairs, by hand`() throws {
    // Mean 2, deviation 1: t = 2√3. For two degrees P[|t| ≤ x] = x / √(2 + x²) = √(12/14).
    let test = try #require(PairedTest([1, 2, 3]))
    #expect(abs(test.t - 2 * 3.0.squareRoot()) < 1e-12)
    #expect(abs(test.p - (1 - (12.0 / 14).squareRoot())) < 1e-12)
    let reach = 4.3026527297 / 3.0.squareRoot()
    #expect(abs(test.interval.lowerBound - (2 - reach)) < 1e-9)
    #expect(abs(test.interval.upperBound - (2 + reach)) < 1e-9)
    // Of eight choices of signs only +++ and −−− reach 6.
    #expect(test.exactP == 0.25)
    // ±1 ±1 ±1 ±1 with one −: |sum| ≥ 2 unless two are negative, 10 of 16.
    #expect(PairedTest([1, 1, 1, -1])?.exactP == 10.0 / 16)
  }

  @Test func `what cannot be tested, and what differs in nothing`() {
    #expect(PairedTest([1]) == nil)
    #expect(PairedTest([1, .nan]) == nil)
    #expect(PairedTest([0, 0])?.p == 1)
    #expect(PairedTest([0, 0])?.exactP == 1)
    #expect(PairedTest([0.5, 0.5])?.p == 0)
  }
}

struct ConvergenceExperimentTests {
  /// T by adding up P[Binomial(T, h) = k] in the plainest way.
  private func smallest(depth: Int, rate: Double, tolerance: Double) -> Int {
    var probabilities = [1.0]
    var steps = 0
    while probabilities.prefix(depth).reduce(0, +) > tolerance {
      var next = Array(repeating: 0.0, count: probabilities.count + 1)
      for (k, probability) in probabilities.enumerated() {
        next[k] += (1 - rate) * probability
        next[k + 1] += rate * probability
      }
      probabilities = next
      steps += 1
    }
    return steps
  }

  @Test func `steps are the law's for one depth, within the bound for several, and confirmed by stepwise runs`()
    throws
  {
    let experiment = ConvergenceExperiment(Place().reproduction([.convergence]))
    let works = experiment.plan().works.filter { !$0.isTimed && $0.size <= 13 && $0.width <= 16 }
    #expect(Set(works.map(\.shape)) == Set(ConvergenceGraph.Shape.allCases))
    for work in works {
      let result = try experiment.perform(work, checkpoint: "") { _ in }
      for reach in result.reaches {
        for arrival in reach.arrivals {
          let place = "\(work.name), \(reach.parameter), \(arrival)"
          #expect(arrival.isConfirmed, "\(place)")
          #expect(arrival.measured <= arrival.bound, "\(place)")
          if reach.depths.count == 1 { #expect(arrival.measured == arrival.law, "\(place)") }
          if !work.isTimeReversed {
            let deepest = try #require(reach.depths.last)
            let expected = smallest(depth: deepest, rate: work.rate, tolerance: arrival.tolerance)
            #expect(arrival.law == expected, "\(place): \(expected)")
          }
        }
      }
      // A chain's first layer is as deep as the chain, and a sequence's first state as the sequence is long.
      if [.chain, .sequence].contains(work.shape) {
        #expect(result.reaches[0].depths == [work.size], "\(work.name)")
      }
    }
  }
}
