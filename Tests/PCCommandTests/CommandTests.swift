import Foundation
import PredictiveCoding
import Testing

struct CommandTests {
  let workplace: Workplace

  init() throws { workplace = try Workplace() }

  @Test(
    arguments: [
      [], ["compare"], ["train"], ["gradients"], ["inspect"], ["trace"], ["bench"], ["data", "list"],
    ])
  func `every help has an example that runs`(_ command: [String]) throws {
    let help = try workplace.pcgraph(command + ["--help"])
    #expect(help.status == 0)
    let lines = help.lines
    let start = try #require(lines.firstIndex(of: "EXAMPLE"), "\(help.output)")
    let examples = lines[(start + 1)...].prefix { $0.hasPrefix("  pcgraph ") }
    #expect(!examples.isEmpty)
    for example in examples {
      let arguments = example.split(separator: " ").dropFirst().map(String.init)
      let result = try workplace.pcgraph(arguments)
      #expect(result.status == 0, "\(example)\n\(result.error)")
      #expect(!result.output.isEmpty, "\(example)")
    }
    #expect(workplace.contents.isEmpty, "an example wrote files")
  }

  @Test func `reproduce keeps to its folder, and says the numbers as JSON when they are asked for`() throws {
    let first = try workplace.pcgraph("reproduce scalar --output paper")
    #expect(first.status == 0, "\(first.error)")
    #expect(workplace.contents.allSatisfy { $0 == "paper" || $0.hasPrefix("paper/") })
    #expect(workplace.contents.contains("paper/index.html"))
    let again = try workplace.pcgraph("reproduce scalar --quick --output paper --format json")
    #expect(again.error.contains("14 of 14 found finished"))
    let updates = try #require(again.objects().last?["updates"] as? [String: [String: Int]])
    #expect(updates["vertices"]?["0.01"] == 708)
    #expect(try workplace.pcgraph("reproduce scalr --output paper").error.contains("did you mean scalar?"))
  }

  @Test func `the version is the library's`() throws {
    #expect(try workplace.pcgraph("--version").output == "\(softwareVersion)\n")
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func `shells complete names`(_ shell: String) throws {
    let result = try workplace.pcgraph("--generate-completion-script \(shell)")
    #expect(result.status == 0)
    for name in ["gradients", "closed-form", "branching", "cifar10"] {
      #expect(result.output.contains(name), "\(name)")
    }
  }

  // MARK: JSON

  @Test func `compare prints an object for each epoch and last the summary`() throws {
    let result = try workplace.pcgraph(
      "compare --rules fixed,standard,backprop --hidden 8 --epochs 2 --max-steps 25 --seed 4 --seeds 2 --format json")
    #expect(result.status == 0, "\(result.error)")
    let objects = result.objects()
    #expect(objects.count == 3 * 2 * 2 + 1)
    for epoch in objects.dropLast() {
      #expect(Set(epoch.keys) == ["rule", "seed", "epoch", "testAccuracy", "trainLoss"])
    }
    let rules = try #require(objects.last?["rules"] as? [String: [String: Any]])
    #expect(Set(rules.keys) == ["fixed", "standard", "backprop"])
    for (name, rule) in rules {
      for key in [
        "solver", "steps", "rate", "testAccuracy", "trainLoss", "gradientShortfall", "gradientCosine",
        "stepMilliseconds", "seeds",
      ] {
        #expect(rule[key] != nil, "\(name) has no \(key)")
      }
      let accuracy = try #require(rule["testAccuracy"] as? [Double])
      #expect(accuracy.count == 2 && accuracy.allSatisfy { (0...1).contains($0) })
      #expect((rule["stepMilliseconds"] as? [String: Double])?["median"] != nil)
    }
    #expect(rules["fixed"]?["solver"] as? String == "stepwise")
    #expect(rules["standard"]?["steps"] as? Int == 20)
    #expect(workplace.contents.isEmpty, "nothing is written without --output")
  }

  @Test func `compare compares fixed predictions with backprop unless asked otherwise`() throws {
    let result = try workplace.pcgraph("compare --hidden 4 --max-steps 1 --format json")
    let rules = try #require(result.objects().last?["rules"] as? [String: Any])
    #expect(Set(rules.keys) == ["fixed", "backprop"])
  }

  @Test func `bench writes a trace that lists every call, and inspect prints the plan`() throws {
    let choice = "--hidden 8,8 --batch-size 16 --rule fixed --solver stepwise --steps 3 --threads 1"
    let bench = try workplace.pcgraph("bench \(choice) --count 2 --profile trace.json --format json")
    #expect(bench.status == 0, "\(bench.error)")
    let figures = try #require(bench.objects().first)
    #expect(figures["steps"] as? Int == 2)
    // Three steps of the message from 8 hidden units to 8 others, of 16 examples; what the output sends never changes.
    #expect(figures["floorFlop"] as? Int == 2 * 3 * 16 * 64)
    let events = try #require(try workplace.object("trace.json")["traceEvents"] as? [[String: Any]])
    let bars = events.filter { $0["ph"] as? String == "X" }
    #expect(bars.count > 10)
    for bar in bars { #expect(bar["ts"] is NSNumber && bar["dur"] is NSNumber && bar["tid"] as? Int == 0) }

    let plan = try workplace.pcgraph("inspect --plan \(choice) --format json").objects().dropLast()
    // The forward pass and the weight gradients; messages of the output once, of the hidden units in three steps, in the first of
    // which there is no error yet; the length of the gradient.
    let weights = 64 * 8 + 8 * 8 + 8 * 10
    let flop = plan.reduce(0) { $0 + ($1["flop"] as? Int ?? 0) }
    #expect(flop == 2 * (16 * (2 * weights + 80 + 2 * 64) + weights + 26))
    #expect(plan.allSatisfy { ($0["seconds"] as? Double ?? -1) >= 0 })
    #expect(Set(plan.compactMap { $0["phase"] as? String }).isSuperset(of: ["batch", "step", "close", "update"]))

    // Some 140 MB, of which the description of the plan and the program itself are little.
    let large = try workplace.pcgraph("bench --hidden 2048,2048 --batch-size 256 --steps 3 --count 1 --format json")
    let memory = try #require(large.objects().first)
    let planned = try #require(memory["plannedBytes"] as? Int)
    // Four matrices of 2048 × 2048 numbers at least: weight, gradient, and the moments of Adam.
    #expect(planned > 4 * 4 * 2048 * 2048)
    #if os(Linux)
      let resident = try #require(memory["residentBytes"] as? Int)
      #expect(Double(resident) <= 1.5 * Double(planned), "planned \(planned), resident \(resident)")
      #expect(Double(resident) >= 0.5 * Double(planned), "planned \(planned), resident \(resident)")
    #endif
    let refused = try workplace.pcgraph("inspect --plan --svg a.svg")
    #expect(refused.status != 0 && refused.error.contains("--plan shows no graph"))
  }

  @Test func `train prints the same keys at top level`() throws {
    let result = try workplace.pcgraph("train --hidden 8 --max-steps 2 --steps 5 --rate 0.5 --format json")
    let summary = try #require(result.objects().last)
    #expect(summary["rule"] as? String == "fixed")
    #expect(summary["steps"] as? Int == 5)
    #expect(summary["rate"] as? Double == 0.5)
    #expect((summary["stepMilliseconds"] as? [String: Any])?["count"] as? Int == 2)
  }

  @Test func `gradients prints an object for each parameter`() throws {
    let result = try workplace.pcgraph(
      "gradients --model cnn --backend reference --batch-size 2 --steps 5 --format json")
    let objects = result.objects()
    #expect(objects.allSatisfy { Set($0.keys) == ["parameter", "depths", "bound", "measured", "exact"] })
    #expect(
      objects.compactMap { $0["parameter"] as? String }
        == ["conv1.weight", "conv2.weight", "dense1.weight", "dense2.weight", "output.weight", "all"])
    // With T = 5 and h = 0.2, P[Binomial = 0] = 0.8⁵, so depth 1 lacks 0.32768.
    #expect(abs((objects[3]["measured"] as? Double ?? 0) - 0.32768) < 1e-12)
  }

  @Test func `inspect draws on standard output alone, or into files`() throws {
    let drawn = try workplace.pcgraph("inspect --model branching --svg -")
    #expect(drawn.output.hasPrefix("<?xml") && drawn.output.hasSuffix("</svg>\n"))
    let result = try workplace.pcgraph("inspect --model branching --svg a.svg --dot a.dot --format json")
    #expect(workplace.contents == ["a.dot", "a.svg"])
    #expect(String(decoding: try workplace.bytes("a.svg"), as: UTF8.self) == drawn.output)
    #expect(String(decoding: try workplace.bytes("a.dot"), as: UTF8.self).hasPrefix("digraph"))
    let summary = try #require(result.objects().last)
    // 64·64 + 64 of encoder, gate and shared, 128·10 + 10 and 64·10 + 10 of the heads.
    #expect(summary["parameterCount"] as? Int == 3 * 4160 + 1290 + 650)
  }

  @Test func `trace follows every vertex, step by step`() throws {
    let result = try workplace.pcgraph(
      "trace --model scalar --steps 3 --rate 0.5 --csv a.csv --svg a.svg --format json")
    let states = result.objects()
    #expect(
      states.allSatisfy { Set($0.keys) == ["step", "vertex", "kind", "value", "prediction", "message", "backprop"] })
    // v0, θ, target and four vertices, after 0 to 3 steps.
    #expect(states.count == 4 * 7, "\(result.error)")
    let root = states.filter { $0["vertex"] as? String == "root" }.compactMap { $0["message"] as? Double }
    // One relaxed vertex from the loss: 1 − 0.5ᵀ of −∂L/∂v, which is known.
    #expect(root.count == 4)
    for (step, message) in root.enumerated() {
      let expected = 1.1121395756 * (1 - pow(0.5, Double(step)))
      #expect(abs(message - expected) < 1e-9, "step \(step): \(message), not \(expected)")
    }
    #expect(workplace.contents == ["a.csv", "a.svg"])
    #expect(
      String(decoding: try workplace.bytes("a.csv"), as: UTF8.self).split(whereSeparator: \.isNewline).count == 29)

    let nets = "trace --model branching --steps 2 --backend reference --format json"
    for rule in NamedRule.names {
      let traced = try workplace.pcgraph("\(nets) --rule \(rule) --example 5")
      #expect(traced.status == 0, "\(traced.error)")
      #expect(!traced.objects().contains { $0["message"] is NSNull })
    }
    for (arguments, word) in [
      ("--example 1437", "1436"), ("--element 100000", "no"), ("--element=-1", "from 0"),
      ("--solver closed-form", "stepwise"),
      ("--operations", "scalar"), ("--rate 2", "(0, 1]"),
    ] {
      let refused = try workplace.pcgraph("\(nets) \(arguments)")
      #expect(refused.status == 1 && refused.error.contains(word), "\(arguments): \(refused.error)")
    }
  }

  // MARK: The same again

  @Test func `the same run twice differs in times only`() throws {
    func run(_ threads: Int) throws -> [String] {
      try workplace.pcgraph(
        "compare --rules fixed,standard,backprop --hidden 8 --max-steps 30 --threads \(threads) --format json"
      ).lines.map { line in
        line.replacing(/"stepMilliseconds":\{[^}]*\}/, with: "")
      }
    }
    let first = try run(1)
    #expect(first.count > 4)
    #expect(try run(1) == first)
    #expect(try run(3) == first, "threads changed a result")
  }

  @Test func `parameters depend on nothing but the training`() throws {
    func train(_ output: String, _ threads: Int) throws -> Data {
      let result = try workplace.pcgraph(
        "train --hidden 8 --max-steps 30 --seed 3 --threads \(threads) --output \(output)")
      #expect(result.status == 0, "\(result.error)")
      return try workplace.bytes("\(output)/parameters.safetensors")
    }
    let first = try train("a", 1)
    #expect(try train("deep/b", 2) == first)
    #expect(try train("c", 1) == first)
    let arrays = try Safetensors(decoding: Array(first), source: "a").arrays
    #expect(Set(arrays.map(\.name)) == ["hidden1.weight", "hidden1.bias", "output.weight", "output.bias"])
    #expect(
      workplace.contents.filter { $0.hasPrefix("a/") } == [
        "a/checkpoints", "a/checkpoints/last.safetensors", "a/checkpoints/lock", "a/parameters.safetensors",
        "a/results.json", "a/run.json",
      ])
  }

  @Test func `a run folder says how it came about`() throws {
    let arguments = "compare --hidden 8 --max-steps 2 --seed 9 --seeds 2 --threads 1 --output run"
    #expect(try workplace.pcgraph(arguments).status == 0)
    let runs = ["backprop-seed10", "backprop-seed9", "fixed-seed10", "fixed-seed9"].map { "run/checkpoints/\($0)" }
    #expect(
      workplace.contents == ["run", "run/checkpoints"] + runs.flatMap { [$0, "\($0)/last.safetensors"] } + [
        "run/checkpoints/lock", "run/report.html", "run/results.json", "run/run.json",
      ])
    let record = try workplace.object("run/run.json")
    #expect(record["program"] as? String == "pcgraph")
    #expect((record["command"] as? [String])?.joined(separator: " ") == "pcgraph \(arguments)")
    #expect(record["seeds"] as? [Int] == [9, 10])
    #expect(record["threads"] as? Int == 1)
    let results = try workplace.object("run/results.json")
    #expect((results["rules"] as? [String: Any])?.count == 2)
  }
}
