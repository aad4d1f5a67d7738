import Foundation
import PredictiveCoding
import Testing

/// Nothing of a training is lost: a run that stops, however, goes on as if it never had.
struct ResumeTests {
  let workplace: Workplace
  /// Everything that has a state, in a run of a second.
  static let train =
    "train --hidden 8 --epochs 3 --threads 1 --optimizer adamw --average 0.9 --validation 0.1 --schedule cosine --warm-up 5"

  init() throws { workplace = try Workplace() }

  private func finished(_ command: String) throws {
    let result = try workplace.pcgraph(command)
    try #require(result.status == 0, "\(command): \(result.error)")
  }

  /// The run's results but for its times.
  private func results(_ folder: String) throws -> String {
    String(decoding: try workplace.bytes("\(folder)/results.json"), as: UTF8.self)
      .replacing(/"stepMilliseconds": \{[^}]*\}/, with: "")
  }

  private func expectSame(_ folder: String, as whole: String, _ what: String) throws {
    let file = "parameters.safetensors"
    #expect(try workplace.bytes("\(folder)/\(file)") == workplace.bytes("\(whole)/\(file)"), "parameters, \(what)")
    #expect(try results(folder) == results(whole), "results, \(what)")
  }

  // 1437 images less 144 held out are 21 batches of 64.
  @Test(arguments: ["adamw", "momentum", "rmsprop"])
  func `a run that stops after any number of steps ends the same`(_ optimizer: String) throws {
    let command = Self.train.replacing("--optimizer adamw", with: "--optimizer \(optimizer)")
    try finished("\(command) --output whole")
    for step in [1, 20, 21, 22, 42, 62] {
      try finished("\(command) --max-steps \(step) --output run\(step)")
      let again = try workplace.pcgraph("\(command) --max-steps \(step) --output run\(step)")
      #expect(again.status == 1 && again.error.contains("--resume"), "\(again.error)")
      try finished("\(command) --output run\(step) --resume")
      try expectSame("run\(step)", as: "whole", "stopped after \(step)")
    }
  }

  @Test func `epochs may be added, by a schedule that does not know them`() throws {
    let command = "train --hidden 8 --threads 1 --schedule plateau --output"
    try finished("\(command) whole --epochs 4")
    try finished("\(command) run --epochs 2")
    try finished("\(command) run --epochs 4 --resume")
    try expectSame("run", as: "whole", "two epochs added")
    // Nothing is left to do; the results are written again.
    try finished("\(command) run --epochs 4 --resume")
    try expectSame("run", as: "whole", "finished, and resumed")
  }

  @Test func `all differences are listed, and nothing changes`() throws {
    try finished("train --hidden 8 --max-steps 3 --output run")
    let before = try workplace.bytes("run/checkpoints/last.safetensors")
    let other = try workplace.pcgraph(
      "train --hidden 9 --optimizer sgd --batch-size 32 --seed 4 --rule backprop --max-steps 9 --output run --resume")
    #expect(other.status == 1)
    for difference in [
      "hidden is [8] there and [9] here", "optimizer is adam there and sgd here", "batchSize is 64 there and 32 here",
      "seed is 0 there and 4 here", "rule is fixed, closed-form, T = 100, h = 0.2 there and backprop here",
    ] {
      #expect(other.error.contains(difference), "\(other.error)")
    }
    #expect(!other.error.contains("maxSteps"))
    #expect(try workplace.bytes("run/checkpoints/last.safetensors") == before)
  }

  @Test func `folders that hold no run, or not ours`() throws {
    let none = try workplace.pcgraph("train --hidden 8 --max-steps 3 --output run --resume")
    #expect(none.status == 1 && none.error.contains("no run to resume in run"), "\(none.error)")
    try FileManager.default.createDirectory(
      atPath: workplace.path("run/checkpoints"), withIntermediateDirectories: true)
    let foreign = try workplace.pcgraph("train --hidden 8 --max-steps 3 --output run")
    #expect(foreign.status == 1 && foreign.error.contains("not written by pcgraph"), "\(foreign.error)")
    #expect(workplace.contents == ["run", "run/checkpoints"])
    let nowhere = try workplace.pcgraph("train --resume")
    #expect(nowhere.status == 1 && nowhere.error.contains("--output"), "\(nowhere.error)")
  }

  @Test func `checkpoints by number, and the best one`() throws {
    try finished("\(Self.train) --checkpoint-every 10 --keep 2 --output run")
    let names = workplace.contents.filter { $0.hasPrefix("run/checkpoints/") }.map { String($0.dropFirst(16)) }
    #expect(names == ["best.safetensors", "last.safetensors", "lock", "step-50.safetensors", "step-60.safetensors"])
    let losses = try #require(try workplace.object("run/results.json")["validationLoss"] as? [Double])
    let best = try Checkpoint(path: workplace.path("run/checkpoints/best.safetensors"))
    // The best epoch's last step, of 21 an epoch.
    let epoch = (losses.firstIndex(of: losses.min() ?? .nan) ?? -1) + 1
    #expect(losses.count == 3 && best.state.updateCount == 21 * epoch)
  }

  /// A run that is killed after the newest checkpoint has its name may not have come to the other names.
  @Test func `names that a checkpoint should have are made up for`() throws {
    let train = "\(Self.train) --learning-rate 0.01 --checkpoint-every 7"
    try finished("\(train) --output whole")
    // 21 is a number, and the end of the first epoch, the best so far.
    try finished("\(train) --output run --max-steps 21")
    for name in ["best", "step-21"] {
      try FileManager.default.removeItem(atPath: workplace.path("run/checkpoints/\(name).safetensors"))
    }
    try finished("\(train) --output run --max-steps 21 --resume")
    for name in ["best", "step-21"] {
      let kept = try Checkpoint(path: workplace.path("run/checkpoints/\(name).safetensors"))
      #expect(kept.state.updateCount == 21, "\(name)")
    }
    try finished("\(train) --output run --resume")
    #expect(
      try workplace.bytes("run/checkpoints/best.safetensors") == workplace.bytes("whole/checkpoints/best.safetensors")
    )
    try expectSame("run", as: "whole", "after names were lost")
  }

  /// A run that is killed while its results take their places leaves them without `run.json`.
  @Test func `results that were half written are still ours`() throws {
    try finished("\(Self.train) --output whole")
    try finished("\(Self.train) --output run")
    func move(_ from: String, _ to: String) throws {
      try FileManager.default.moveItem(atPath: workplace.path("run/\(from)"), toPath: workplace.path("run/\(to)"))
    }
    try move("run.json", ".run.json")
    try move("parameters.safetensors", ".parameters.safetensors.1234.0")
    try finished("\(Self.train) --output run --resume")
    try expectSame("run", as: "whole", "after the results were half written")
    let names = workplace.contents.filter { $0.hasPrefix("run/") && !$0.hasPrefix("run/checkpoints") }
    #expect(names == ["run/parameters.safetensors", "run/results.json", "run/run.json"])
    // Without anything that says so, they are somebody's.
    try FileManager.default.removeItem(atPath: workplace.path("run/run.json"))
    let foreign = try workplace.pcgraph("\(Self.train) --output run --resume")
    #expect(foreign.status == 1 && foreign.error.contains("was not written by pcgraph"), "\(foreign.error)")
  }

  @Test(arguments: [("INT", 130), ("TERM", 143)] as [(String, Int32)])
  func `a signal writes a checkpoint and says how to go on`(_ signal: String, _ status: Int32) throws {
    try finished("\(Self.train) --output whole --solver stepwise --steps 1000")
    let command = "\(Self.train) --output run --solver stepwise --steps 1000"
    // A checkpoint after each step shows when the training is under way.
    let result = try workplace.shell(
      "$P \(command) --checkpoint-every 1 & until test -e run/checkpoints/last.safetensors; do sleep 0.01; done; "
        + "kill -\(signal) $!; wait $!")
    #expect(result.status == status, "\(result.error)")
    #expect(result.error.contains("Stopped after step"), "\(result.error)")
    #expect(result.error.contains("Go on with: pcgraph \(command) --checkpoint-every 1 --resume"), "\(result.error)")
    #expect(!FileManager.default.fileExists(atPath: workplace.path("run/results.json")))
    try finished("\(command) --resume")
    try expectSame("run", as: "whole", "after SIG\(signal)")
  }

  @Test func `two runs at once do not share a folder`() throws {
    let command = "\(Self.train) --output run --solver stepwise --steps 1000 --epochs 100 --checkpoint-every 1"
    let result = try workplace.shell(
      "$P \(command.replacing("--epochs 3 ", with: "")) 2>first & until test -e run/checkpoints/last.safetensors; do sleep 0.01; done; "
        + "$P \(command.replacing("--epochs 3 ", with: "")) --resume; code=$?; kill -KILL $!; wait $!; exit $code")
    #expect(result.status == 1 && result.error.contains("Another run is at work in run"), "\(result.error)")
  }

  @Test func `a file that cannot grow leaves the last checkpoint whole`() throws {
    try finished("\(Self.train) --output whole")
    try finished("\(Self.train) --output run --max-steps 5")
    let before = try workplace.bytes("run/checkpoints/last.safetensors")
    // Blocks of 512 bytes, less than a checkpoint has.
    let full = try workplace.shell("ulimit -f 8; $P \(Self.train) --output run --resume 2>&1 | cat")
    #expect(full.output.contains("cannot be written: File too large"), "\(full.output)")
    #expect(full.output.contains("The checkpoint after step 5 is whole"), "\(full.output)")
    #expect(try workplace.bytes("run/checkpoints/last.safetensors") == before)
    try finished("\(Self.train) --output run --resume")
    try expectSame("run", as: "whole", "after a full disk")
  }

  @Test func `a folder that vanishes ends the run with a sentence`() throws {
    let command = "\(Self.train.replacing("--epochs 3 ", with: "--epochs 1000 ")) --output run --checkpoint-every 1"
    let result = try workplace.shell(
      "$P \(command) & until test -e run/checkpoints/last.safetensors; do sleep 0.01; done; mv run gone; wait $!")
    #expect(result.status == 1)
    // Before it writes, or while it keeps what was written: whichever meets the missing folder first.
    let sentence =
      /error: run\/checkpoints\/last\.safetensors cannot be (written|read): No such file or directory\.\n/
    #expect(result.error.contains(sentence), "\(result.error)")
  }

  /// Steps that are too large make the weights grow until they overflow; what is kept is from before.
  @Test func `divergence takes no good checkpoint's place`() throws {
    let command =
      "train --hidden 8 --threads 1 --loss squared-error --optimizer sgd --learning-rate 30 --reduction sum --checkpoint-every 1 --keep 1000 --output run"
    let result = try workplace.pcgraph(command)
    #expect(result.status == 1 && result.error.contains("The checkpoint after step"), "\(result.error)")
    let kept = workplace.contents.filter { $0.hasSuffix(".safetensors") }
    #expect(kept.count > 1)
    for name in kept {
      let checkpoint = try Checkpoint(path: workplace.path(name))
      #expect(checkpoint.arrays.allSatisfy { $0.values.doubles.allSatisfy(\.isFinite) }, "\(name)")
    }
  }

  @Test func `a damaged checkpoint is refused`() throws {
    try finished("train --hidden 8 --max-steps 3 --output run")
    let file = workplace.folder.appendingPathComponent("run/checkpoints/last.safetensors")
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: file)
    let result = try workplace.pcgraph("train --hidden 8 --output run --resume")
    #expect(result.status == 1 && result.error.contains("is damaged"), "\(result.error)")
    #expect(try Data(contentsOf: file) == bytes)
  }

  @Test func `training stops early, and where it was`() throws {
    // A rate of almost nothing: the first epoch stays the best within rounding, or the third gives up.
    let result = try workplace.pcgraph(
      "train --hidden 8 --epochs 50 --learning-rate 1 --optimizer sgd --validation 0.2 --patience 2 --format json --output run"
    )
    #expect(result.status == 0, "\(result.error)")
    let losses = try #require(result.objects().last?["validationLoss"] as? [Double])
    let best = (losses.firstIndex(of: losses.min() ?? .nan) ?? -1) + 1
    #expect(losses.count == min(best + 2, 50), "\(losses)")
  }

  // MARK: Comparisons

  static let compare =
    "compare --hidden 8 --epochs 3 --threads 1 --validation 0.1 --rules fixed,backprop --seeds 2 --steps 500"

  private static let runs = ["fixed-seed0", "backprop-seed0", "fixed-seed1", "backprop-seed1"]

  private func expectSameComparison(_ folder: String, as whole: String, _ what: String) throws {
    let (ours, theirs) = try (results(folder), results(whole))
    #expect(ours.contains(#""gradientShortfall": "#) && ours == theirs, "results, \(what): \(ours) and \(theirs)")
    for run in Self.runs {
      let file = "checkpoints/\(run)/last.safetensors"
      #expect(try workplace.bytes("\(folder)/\(file)") == workplace.bytes("\(whole)/\(file)"), "\(run), \(what)")
    }
  }

  @Test(arguments: [("INT", 0, 130), ("KILL", 1, 137), ("TERM", 2, 143)] as [(String, Int, Int32)])
  func `a comparison that is stopped ends the same`(_ signal: String, _ run: Int, _ status: Int32) throws {
    try finished("\(Self.compare) --output whole")
    let command = "\(Self.compare) --output run"
    let result = try workplace.shell(
      "$P \(command) --checkpoint-every 1 & until test -e run/checkpoints/\(Self.runs[run])/last.safetensors; do "
        + "sleep 0.01; done; kill -\(signal) $!; wait $!")
    #expect(result.status == status, "\(result.error)")
    if signal != "KILL" {
      #expect(result.error.contains("Stopped after "), "\(result.error)")
      #expect(
        result.error.contains("Go on with: pcgraph \(command) --checkpoint-every 1 --resume"), "\(result.error)")
    }
    #expect(!FileManager.default.fileExists(atPath: workplace.path("run/results.json")))

    let refused = try workplace.pcgraph(command)
    #expect(refused.status == 1 && refused.error.contains("already holds a run"), "\(refused.error)")
    let resumed = try workplace.pcgraph("\(command) --resume --format json")
    try #require(resumed.status == 0, "\(resumed.error)")
    // Whatever ended before the signal is not trained again.
    let trained = resumed.objects().compactMap { object in
      (object["rule"] as? String).flatMap { rule in object["seed"].map { "\(rule)-seed\($0)" } }
    }
    #expect(Set(trained).isSubset(of: Self.runs[run...]), "\(trained)")
    try expectSameComparison("run", as: "whole", "after SIG\(signal)")
    // Nothing is left to do; the results are written again.
    try finished("\(command) --resume")
    try expectSameComparison("run", as: "whole", "finished, and resumed")
  }

  @Test func `epochs, rules and seeds may be added to a comparison`() throws {
    try finished("\(Self.compare) --output whole")
    let less = Self.compare.replacing("--epochs 3", with: "--epochs 2").replacing("--seeds 2", with: "--seeds 1")
    try finished("\(less.replacing("fixed,backprop", with: "backprop")) --output run")
    try finished("\(Self.compare) --output run --resume")
    try expectSameComparison("run", as: "whole", "a rule, a seed and an epoch added")
  }

  @Test func `a comparison is resumed as what it is`() throws {
    let none = try workplace.pcgraph("compare --hidden 8 --max-steps 3 --output run --resume")
    #expect(none.status == 1 && none.error.contains("no run to resume in run"), "\(none.error)")
    try finished("compare --hidden 8 --max-steps 3 --output both")
    try finished("train --hidden 8 --max-steps 3 --output one")
    for (command, folder, owner) in [("train", "both", "compare"), ("compare", "one", "train")] {
      let result = try workplace.pcgraph("\(command) --hidden 8 --max-steps 3 --output \(folder) --resume")
      #expect(result.status == 1 && result.error.contains("a run of pcgraph \(owner)"), "\(result.error)")
    }
    let other = try workplace.pcgraph("compare --hidden 8 --max-steps 3 --batch-size 32 --output both --resume")
    #expect(other.status == 1 && other.error.contains("batchSize is 64 there and 32 here"), "\(other.error)")
    let nowhere = try workplace.pcgraph("compare --resume")
    #expect(nowhere.status == 1 && nowhere.error.contains("--output"), "\(nowhere.error)")
  }

  // MARK: What is trained can be used

  @Test func `evaluate and predict agree with training and with one another`() throws {
    try finished("train --hidden 16 --epochs 2 --learning-rate 0.01 --output run")
    let trained = try #require(try workplace.object("run/results.json")["testAccuracy"] as? [Double])
    let found = try #require(try workplace.pcgraph("evaluate run --format json").objects().first)
    #expect(found["accuracy"] as? Double == trained.last)
    #expect(found["examples"] as? Int == 360)
    let loss = try #require(found["loss"] as? Double)
    #expect(abs((found["perplexity"] as? Double ?? 0) - exp(loss)) < 1e-9)
    let confusion = try #require(found["confusion"] as? [[Int]])
    let hits = confusion.indices.reduce(0) { $0 + confusion[$1][$1] }
    #expect(abs(Double(hits) / 360 - (trained.last ?? .nan)) < 1e-12)

    let test = try NamedDataset.digits.load().test
    let batch = test.batch(0..<test.count)
    try NamedArray(name: "x", shape: [360, 8, 8], values: .float32(batch.inputs)).writeNPY(
      to: workplace.path("x.npy"))
    let lines = (0..<360).map { row in
      batch.inputs[(row * 64)..<(row * 64 + 64)].map { "\($0)" }.joined(separator: ",")
    }
    try Data(lines.joined(separator: "\n").utf8).write(to: workplace.folder.appendingPathComponent("x.csv"))
    try finished("predict run --input x.npy --output y.npy")
    try finished("predict run --input x.csv --output y.csv")
    let outputs = try NamedArray(npyPath: workplace.path("y.npy"), name: "y")
    #expect(outputs.shape == [360, 10])
    #expect(topHits(scores: outputs.values.doubles, labels: batch.labels, k: 1) == hits)
    let text = String(decoding: try workplace.bytes("y.csv"), as: UTF8.self)
    let table = text.split(separator: "\n").flatMap { $0.split(separator: ",").compactMap { Float($0) } }
    #expect(table.map(Double.init) == outputs.values.doubles)

    // Bytes are pixels here as in training.
    let bytes = batch.inputs.map { UInt8(($0 * 255).rounded()) }
    for (name, values) in [
      ("bytes", NamedArray.Values.uint8(bytes)), ("floats", .float32(bytes.map { Float($0) / 255 })),
    ] {
      try NamedArray(name: "x", shape: [360, 8, 8], values: values).writeNPY(to: workplace.path("\(name).npy"))
      try finished("predict run --input \(name).npy --output \(name)-y.npy")
    }
    #expect(try workplace.bytes("bytes-y.npy") == workplace.bytes("floats-y.npy"))
  }

  @Test func `a log in csv has a line for each step and each epoch`() throws {
    try finished("train --hidden 8 --epochs 2 --log csv --output run")
    func lines(_ name: String) throws -> [Substring] {
      String(decoding: try workplace.bytes("run/logs/fixed-seed0-\(name).csv"), as: UTF8.self).split(separator: "\n")
    }
    #expect(try lines("steps").count == 1 + 2 * 23)
    #expect(try lines("epochs").count == 3)
    let accuracy = try #require(try workplace.object("run/results.json")["testAccuracy"] as? [Double])
    let logged = try lines("epochs").last?.split(separator: ",").last.flatMap { Double($0) }
    #expect(abs((logged ?? .nan) - (accuracy.last ?? 0)) < 1e-12)
  }

  @Test func `the solver that is chosen is said`() throws {
    let result = try workplace.pcgraph("train --hidden 8 --max-steps 1 --format json")
    let summary = try #require(result.objects().last)
    #expect(summary["solver"] as? String == "closed-form")
    #expect((summary["solverChoice"] as? String)?.contains("1 backward pass, the steps take 100") == true)
    #expect(try workplace.pcgraph("train --hidden 8 --max-steps 1").output.contains("Solver closed-form"))
    let chosen = try #require(
      try workplace.pcgraph("train --model branching --steps 1 --max-steps 1 --format json").objects().last)
    #expect(chosen["solver"] as? String == "stepwise", "\(chosen)")
  }
}

/// Options from a file.
struct ConfigurationTests {
  let workplace: Workplace

  init() throws { workplace = try Workplace() }

  private func write(_ text: String) throws {
    try Data(text.utf8).write(to: workplace.folder.appendingPathComponent("run.yaml"))
  }

  @Test func `a file says what flags say, and flags win`() throws {
    try write("hidden: [8, 4]\nepochs: 1\n# a comment\noptimizer: sgd\nlearning-rate: 0.2\nfreeze:\n  - '*.bias'\n")
    let flags = "--hidden 8,4 --epochs 1 --optimizer sgd --freeze *.bias --format json"
    let byFile = try workplace.pcgraph("train --config run.yaml --learning-rate 0.1 --format json")
    let byFlags = try workplace.pcgraph("train \(flags) --learning-rate 0.1")
    #expect(byFile.status == 0, "\(byFile.error)")
    func result(_ result: CommandResult) -> String {
      result.output.replacing(/"stepMilliseconds":\{[^}]*\}/, with: "")
    }
    #expect(result(byFile) == result(byFlags))
    #expect(try result(workplace.pcgraph("train --config run.yaml --format json")) != result(byFlags))
  }

  @Test func `what is printed is complete, and reads back`() throws {
    let printed = try workplace.pcgraph(
      "train --print-config --model cnn --solver stepwise --freeze conv1.* --group dense*:rate=0.5 --validation 0.1 --print-config"
    )
    #expect(printed.status == 0, "\(printed.error)")
    try write(printed.output)
    #expect(try workplace.pcgraph("train --config run.yaml --print-config").output == printed.output)
    // The help knows all options.
    let help = try workplace.pcgraph("train --help").output
    let names = Set(help.matches(of: /--([a-z-]+)/).map { String($0.output.1) })
    let known = Set(printed.lines.compactMap { $0.split(separator: ":").first.map(String.init) })
    #expect(names.subtracting(["config", "print-config", "help", "version"]).isSuperset(of: known))
    let left = names.subtracting(known).subtracting(["config", "print-config", "help", "version", "rules", "output"])
    #expect(left.isEmpty, "\(left)")
  }

  @Test(arguments: [
    ("epoch: 3", "did you mean epochs?"), ("epochs: 3\nepochs: 4", "duplicated"), ("epochs: {a: 1}", "plain value"),
    ("- 3", "no options"), ("epochs: [", "no YAML"), ("resume: perhaps", "true or false"),
    ("epochs: 0", "epochs is 0"),
  ])
  func `bad files`(_ text: String, _ fragment: String) throws {
    try write(text)
    let result = try workplace.pcgraph("train --config run.yaml --output run")
    #expect(result.status == 1 || result.status == 64, "\(result.error)")
    #expect(result.error.contains(fragment), "\(result.error)")
    #expect(workplace.contents == ["run.yaml"])
  }

  @Test func `a missing file`() throws {
    let result = try workplace.pcgraph("train --config none.yaml")
    #expect(result.status == 1 && result.error.contains("none.yaml cannot be read"), "\(result.error)")
  }
}
