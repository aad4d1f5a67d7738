import Foundation
import Testing

/// Every kind of bad input ends with exit code 1 and one line on standard error, and leaves nothing behind.
struct BadInputTests {
  let workplace: Workplace

  init() throws { workplace = try Workplace() }

  private func expectSentence(
    _ arguments: [String], _ fragments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let before = workplace.contents
    let result = try workplace.pcgraph(arguments)
    let command = arguments.joined(separator: " ")
    #expect(result.status == 1, "\(command): \(result.error)", sourceLocation: sourceLocation)
    #expect(result.output.isEmpty, "\(command) printed results", sourceLocation: sourceLocation)
    let lines = result.error.split(separator: "\n")
    #expect(
      lines.count == 1 && lines[0].hasPrefix("error: ") && (lines[0].hasSuffix(".") || lines[0].hasSuffix("?")),
      "\(command): \(result.error)",
      sourceLocation: sourceLocation)
    for fragment in fragments {
      #expect(result.error.contains(fragment), "\(command): \(result.error)", sourceLocation: sourceLocation)
    }
    #expect(workplace.contents == before, "\(command) wrote something", sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    ("--model cnnn", "did you mean cnn?"), ("--dataset cifar", "did you mean cifar10?"),
    ("--rule fixd", "did you mean fixed?"),
    ("--solver stepwsie", "did you mean stepwise?"), ("--loss cross-entrpy", "did you mean cross-entropy?"),
    ("--optimizer adm", "did you mean adam?"), ("--reduction men", "did you mean mean?"),
    ("--backend cpuu", "did you mean cpu?"),
    ("--isa avx51", "did you mean avx512?"), ("--format jsn", "did you mean json?"),
    ("--rate 0", "(0, 1]"), ("--rate 1.01", "(0, 1]"), ("--rate nan", "(0, 1]"), ("--rate fast", "a number"),
    ("--steps=-1", "steps is -1"), ("--steps many", "whole number"), ("--steps backprop=3", "backprop"),
    ("--epochs 0", "at least"), ("--max-steps 0", "at least"), ("--batch-size 0", "at least"),
    ("--threads 0", "from 1"),
    ("--batch-size 1438", "choose 1 to 1437"), ("--hidden 8,", "whole numbers"), ("--hidden 0", "hidden layer is 0"),
    ("--hidden 1000000,1000000", "fewer hidden units"), ("--model mpl", "did you mean mlp?"),
    (
      "--hidden 8 --optimizer sgd --learning-rate 3e38 --reduction sum --batch-size 256 --max-steps 1",
      "rule fixed and seed 0"
    ),
    ("--hidden 8 --optimizer sgd --learning-rate 1e300 --max-steps 1", "more than the backend's numbers hold"),
    ("--model cnn --hidden 8", "only mlp"), ("--learning-rate 0", "positive"),
    ("--learning-rate inf", "positive"), ("--backend reference --isa avx2", "--backend cpu"),
    ("--dataset mnist", "--data-dir"), ("--model cnn --learning-rate 1e12", "lower the learning rate"),
  ])
  func `settings`(_ arguments: String, _ fragment: String) throws {
    let fragment = fragment == "at least" ? "must be" : fragment
    try expectSentence(["train"] + arguments.split(separator: " ").map(String.init) + ["--output", "run"], fragment)
  }

  @Test func `divergence names vertex, step and what to lower`() throws {
    // Rate 1 is too large for the energy of this net once its weights are large.
    try expectSentence(
      ["train", "--model", "residual", "--rule", "standard", "--rate", "1", "--steps", "200", "--output", "run"],
      "is not finite in step", "lower the rate (1.0)")
  }

  @Test func `seeds`() throws {
    try expectSentence(["compare", "--seeds", "0"], "number of seeds")
    try expectSentence(["compare", "--seed", "18446744073709551615", "--seeds", "2"], "64 bits")
    try expectSentence(["compare", "--rules", "fixed,fixed"], "twice")
    try expectSentence(["compare", "--rules", ""], "no rule named")
    try expectSentence(["train", "--data-dir", ""], "no name")
  }

  @Test func `output folders`() throws {
    try Data("theirs".utf8).write(to: workplace.folder.appendingPathComponent("file"))
    try expectSentence(["train", "--output", "file"], "cannot be written")
    try expectSentence(["train", "--output", "file/below"], "cannot be made")
    try expectSentence(["train", "--output", ""], "no name")
    try FileManager.default.createDirectory(atPath: workplace.path("foreign"), withIntermediateDirectories: false)
    try Data("theirs".utf8).write(to: workplace.folder.appendingPathComponent("foreign/results.json"))
    try expectSentence(["train", "--output", "foreign"], "foreign/results.json")
    try FileManager.default.removeItem(atPath: workplace.path("foreign"))
    #expect(try workplace.pcgraph("train --hidden 2 --max-steps 1 --output ours").status == 0)
    try Data("notes".utf8).write(to: workplace.folder.appendingPathComponent("ours/report.html"))
    try expectSentence(["train", "--hidden", "2", "--max-steps", "1", "--output", "ours"], "ours/report.html")
    #expect(try workplace.bytes("ours/report.html") == Data("notes".utf8))
  }

  @Test func `drawings`() throws {
    try expectSentence(["inspect", "--svg", "missing/a.svg"], "missing/a.svg")
    try expectSentence(["inspect", "--dot", "a.dot", "--svg", "missing/a.svg"], "missing/a.svg")
    try expectSentence(["inspect", "--dot", "a", "--svg", "a"], "a file of its own")
    try expectSentence(["inspect", "--dot", "a", "--svg", "./a"], "a file of its own")
    try expectSentence(["inspect", "--dot", "-", "--svg", "-"], "one drawing")
    try expectSentence(["inspect", "--dot", "-", "--format", "json"], "one drawing")
    try expectSentence(["inspect", "--batch-size", "1438"], "choose 1 to 1437")
  }

  @Test func `gradients that are not finite`() throws {
    try expectSentence(
      "gradients --model residual --rule standard --rate 1 --steps 200 --output run".split(separator: " ").map(
        String.init), "rule standard and seed 0", "is not finite; lower the rate (1.0).")
  }

  @Test(
    arguments: [
      "train --hidden 2 --max-steps 1 --output run", "train --hidden 2 --max-steps 1 --format json --output run",
      "compare --hidden 2 --max-steps 1 --output run", "gradients --hidden 2 --output run", "inspect",
      "inspect --svg -",
    ], [">&-", ">/dev/full"])
  func `results that cannot be printed`(_ command: String, _ output: String) throws {
    if output == ">/dev/full", !FileManager.default.fileExists(atPath: "/dev/full") { return }
    let result = try workplace.shell("$P \(command) \(output)")
    #expect(result.status == 1)
    let last = result.error.split(separator: "\n").last ?? ""
    #expect(last.hasPrefix("error: Standard output cannot be written: "), "\(result.error)")
    // A training's checkpoints are of use; results are not.
    #expect(workplace.contents.allSatisfy { $0 == "run" || $0.hasPrefix("run/checkpoints") })
  }

  @Test func `progress that nobody wants does not land in a file`() throws {
    let result = try workplace.shell("$P train --hidden 2 --max-steps 1 --output run 2>&- <&-")
    #expect(result.status == 0)
    #expect(try workplace.object("run/run.json")["program"] as? String == "pcgraph")
    #expect(try workplace.object("run/results.json")["rule"] as? String == "fixed")
  }

  @Test func `a run that is killed while it writes leaves the earlier one whole`() throws {
    func files() throws -> [Data] {
      try ["run.json", "results.json", "parameters.safetensors"].map { try workplace.bytes("run/\($0)") }
    }
    #expect(try workplace.pcgraph("train --hidden 64 --max-steps 1 --output run").status == 0)
    let before = try files()
    // Files of at most 8 blocks of 512 or 1024 bytes: the parameters alone have 19 kB.
    let result = try workplace.shell("ulimit -f 8; exec $P train --hidden 64 --max-steps 2 --output run")
    #expect(result.status != 0)
    #expect(try files() == before)
  }

  @Test func `a net that the process may not hold`() throws {
    let result = try workplace.shell("ulimit -v 3000000; $P train --hidden 20000,20000 --max-steps 1")
    #expect(result.status == 1)
    #expect(result.error.contains("fewer hidden units"), "\(result.error)")
  }

  @Test(arguments: [["train", "--bogus"], ["train", "--epochs", "many"], ["train", "--seed", "-1"], ["trian"]])
  func `a wrong flag is the argument parser's`(_ arguments: [String]) throws {
    let result = try workplace.pcgraph(arguments)
    #expect(result.status == 64)
    #expect(result.error.contains("Usage: pcgraph"), "\(result.error)")
    #expect(workplace.contents.isEmpty)
  }

  // MARK: Data files

  private func write(_ bytes: [UInt8], to name: String, size: UInt64? = nil) throws {
    let url = workplace.folder.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    guard let size else { return }
    let file = try FileHandle(forWritingTo: url)
    try file.truncate(atOffset: size)
    try file.close()
  }

  private func train(_ dataset: String, _ more: String...) -> [String] {
    ["train", "--dataset", dataset, "--data-dir", "data", "--output", "run"] + more
  }

  @Test func `CIFAR-10's files`() throws {
    try expectSentence(
      train("cifar10"), "data/data_batch_1.bin", "data/cifar-10/data_batch_1.bin",
      "data/cifar-10/cifar-10-batches-bin/data_batch_1.bin")
    try write([3], to: "data/data_batch_1.bin", size: 3073)
    try expectSentence(train("cifar10"), "data/data_batch_1.bin is truncated: 30730000 bytes expected, 3073 found")
    try write([3], to: "data/data_batch_1.bin", size: 30_730_001)
    try expectSentence(train("cifar10"), "30730000 bytes expected, 30730001 found")
    try write([3], to: "data/data_batch_1.bin", size: 200 << 30)
    try expectSentence(train("cifar10"), "30730000 bytes expected, \(200 << 30) found")
    try write([10], to: "data/data_batch_1.bin", size: 30_730_000)
    try expectSentence(train("cifar10"), "label 10 at record 0")
  }

  /// An IDX file: magic number, dimensions, then zeros.
  private func idx(_ dimensions: [UInt8], first: UInt8 = 0, magic: UInt8? = nil) -> [UInt8] {
    [0, 0, 8, magic ?? UInt8(dimensions.count)] + dimensions.flatMap { [0, 0, 0, $0] }
      + [first] + Array(repeating: 0, count: dimensions.reduce(1) { $0 * Int($1) } - 1)
  }

  @Test func `MNIST's files`() throws {
    try expectSentence(train("mnist"), "data/train-images-idx3-ubyte", ".gz")
    try write(idx([4, 28, 28]), to: "data/train-images-idx3-ubyte")
    for (labels, fragment) in [
      (idx([3]), "4 images"), (idx([4], first: 10), "label 10 at record 0"), (idx([4], magic: 3), "0x00000801"),
      (Array(idx([4]).dropLast()), "12 bytes expected, 11 found"), (idx([4]) + [0], "too long"),
      ([0x1f, 0x8b, 7, 0, 1, 2, 3], "damaged gzip"), ([0x1f, 0x8b, 8, 0, 1, 2, 3], "it unpacks to 0 bytes, but 8"),
      ([0, 0], "truncated"),
    ] {
      try write(labels, to: "data/train-labels-idx1-ubyte")
      try expectSentence(train("mnist"), "data/train-", fragment)
    }
    try write(idx([4]), to: "data/train-labels-idx1-ubyte")
    try write(idx([2, 28, 28]), to: "data/t10k-images-idx3-ubyte")
    try write(idx([2]), to: "data/t10k-labels-idx1-ubyte")
    try expectSentence(train("mnist"), "batch of 64", "4 examples")
  }

  @Test func `images that a model does not fit`() throws {
    for (part, count) in [("train", UInt8(4)), ("t10k", 2)] {
      try write(idx([count, 1, 1]), to: "data/\(part)-images-idx3-ubyte")
      try write(idx([count]), to: "data/\(part)-labels-idx1-ubyte")
    }
    try expectSentence(train("mnist", "--model", "cnn", "--batch-size", "2"), "at least 2×2 pixels")
    try expectSentence(train("mnist", "--model", "residual", "--batch-size", "2"), "at least 2×2 pixels")
  }
}
