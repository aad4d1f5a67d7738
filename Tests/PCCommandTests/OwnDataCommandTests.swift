import Foundation
import PredictiveCoding
import Testing

/// Commands on the user's own arrays: the built-in digits, written to files, give what the digits give.
struct OwnDataCommandTests {
  let workplace: Workplace

  init() throws { workplace = try Workplace() }

  private func succeeded(_ command: String) throws -> CommandResult {
    let result = try workplace.pcgraph(command)
    try #require(result.status == 0, "\(command): \(result.error)")
    return result
  }

  private func arrays(_ data: Dataset, _ ending: String) -> [NamedArray] {
    let batch = data.batch(0..<data.count)
    return [
      NamedArray(name: "x\(ending)", shape: [data.count, 8, 8], values: .float32(batch.inputs)),
      NamedArray(name: "y\(ending)", shape: [data.count], values: .int64(batch.labels.map(Int64.init))),
    ]
  }

  /// All digits in one file, in the parts that the built-in set has.
  private func writeDigits(_ name: String) throws {
    let digits = try NamedDataset.digits.load()
    try writeFile(
      Safetensors(arrays(digits.training, "_train") + arrays(digits.test, "_test")).encoded(),
      to: workplace.path(name))
  }

  /// Three numbers to an example, four classes that they tell apart.
  private func writeTable(_ name: String, classes: Int = 4, count: Int = 60) throws {
    let rows = (0..<count).map { row in
      let label = row % classes
      return "\(label == 0 ? 1 : 0),\(Double(label) / 4 + Double(row) / 1000),\(label == 2 ? -1 : 0.5),\(label)\n"
    }
    try writeFile(Array(("a,b,c,kind\n" + rows.joined()).utf8), to: workplace.path(name))
  }

  @Test(arguments: [
    "gradients --hidden 8 --steps 5 --backend reference --batch-size 4", "trace --hidden 8 --steps 3 --example 2",
    "inspect --hidden 8",
  ])
  func `digits from a file are the digits`(_ command: String) throws {
    try writeDigits("digits.safetensors")
    let builtIn = try succeeded("\(command) --format json")
    let own = try succeeded("\(command) --data digits.safetensors --format json")
    #expect(builtIn.lines.count > 3)
    #expect(own.output == builtIn.output)
  }

  @Test func `what was trained is evaluated on files`() throws {
    _ = try succeeded("train --hidden 16 --epochs 2 --learning-rate 0.01 --output run")
    let whole = try #require(try succeeded("evaluate run --format json").objects().first)
    let test = try NamedDataset.digits.load().test
    for (array, file) in zip(arrays(test, ""), ["x.npy", "y.npy"]) { try array.writeNPY(to: workplace.path(file)) }
    let own = try #require(
      try succeeded("evaluate run --data x.npy --labels y.npy --part all --format json").objects().first)
    #expect(own["examples"] as? Int == 360)
    #expect(own["confusion"] as? [[Int]] == whole["confusion"] as? [[Int]])
    for key in ["loss", "accuracy", "top5Accuracy", "perplexity"] {
      let (ours, theirs) = try (#require(own[key] as? Double), #require(whole[key] as? Double))
      #expect(abs(ours - theirs) < 1e-6 * (1 + theirs), "\(key): \(ours) and \(theirs)")
    }
    // A fifth of them is the test part, the others the training part.
    let parts = try ["test", "training"].map { part in
      try #require(
        try succeeded("evaluate run --data x.npy --labels y.npy --part \(part) --format json").objects().first)
    }
    #expect(parts.map { $0["examples"] as? Int } == [72, 288])
    let confusions = try parts.map { try #require($0["confusion"] as? [[Int]]) }
    #expect(zip(confusions[0], confusions[1]).map { zip($0, $1).map(+) } == whole["confusion"] as? [[Int]])
  }

  @Test func `a net that learned from a table is evaluated on the part that was held out`() throws {
    try writeTable("own.csv")
    let data = "--data own.csv --label-column kind --test-share 0.3"
    _ = try succeeded("train \(data) --hidden 5 --epochs 3 --batch-size 8 --seed 3 --output run")
    let trained = try #require(try workplace.object("run/results.json")["testAccuracy"] as? [Double])
    let found = try #require(try succeeded("evaluate run \(data) --format json").objects().first)
    #expect(found["examples"] as? Int == 18)
    #expect(found["accuracy"] as? Double == trained.last)
    // The net knows how much was held out, too.
    let unsaid = try #require(
      try succeeded("evaluate run --data own.csv --label-column kind --format json").objects().first)
    #expect(unsaid["examples"] as? Int == 18)
    #expect(unsaid["accuracy"] as? Double == trained.last)
    // Examples of the first classes alone are examples.
    try writeTable("few.csv", classes: 2, count: 10)
    let few = try #require(try succeeded("evaluate run --data few.csv --part all --format json").objects().first)
    #expect(few["examples"] as? Int == 10)
    #expect((few["confusion"] as? [[Int]])?.map { $0.reduce(0, +) } == [5, 5, 0, 0])

    let unnamed = try workplace.pcgraph("evaluate run")
    #expect(
      unnamed.status == 1 && unnamed.error.contains("learned from own.csv; say with --data"), "\(unnamed.error)")
    let both = try workplace.pcgraph("evaluate run --dataset digits --data own.csv")
    #expect(both.status == 1 && both.error.contains("give one of them"), "\(both.error)")
    let other = try workplace.pcgraph("evaluate run --dataset digits")
    #expect(other.status == 1 && other.error.contains("takes examples of shape [1, 1, 3]"), "\(other.error)")
    try writeTable("more.csv", classes: 5)
    let more = try workplace.pcgraph("evaluate run --data more.csv --part all")
    #expect(more.status == 1 && more.error.contains("in 4 classes"), "\(more.error)")
  }

  /// 3·5 + 5 + 5·4 + 4 numbers, and no digits.
  @Test func `a table's shape is the graph's`() throws {
    try writeTable("own.csv")
    let rows = try succeeded("inspect --data own.csv --hidden 5 --batch-size 8 --format json").objects()
    #expect(rows.last?["parameterCount"] as? Int == 44)
    let picture = try succeeded("inspect --data own.csv --hidden 5 --batch-size 8 --svg -").output
    #expect(picture.contains("mlp on own.csv"))
    let gradients = try succeeded("gradients --data own.csv --hidden 5 --batch-size 8 --output run --format json")
    #expect(gradients.objects().count > 4)
    #expect((try workplace.object("run/run.json")["dataset"] as? [String: Any])?["name"] as? String == "own.csv")
    let trace = try succeeded("trace --data own.csv --hidden 5 --steps 2 --example 41")
    #expect(trace.output.contains("example 41"))
    let beyond = try workplace.pcgraph("trace --data own.csv --hidden 5 --example 48")
    #expect(
      beyond.status == 1 && beyond.error.contains("own.csv has training examples from 0 to 47"), "\(beyond.error)")
    let large = try workplace.pcgraph("inspect --data own.csv --hidden 5 --batch-size 49")
    #expect(large.status == 1 && large.error.contains("the 48 examples of own.csv"), "\(large.error)")
  }

  @Test(arguments: ["evaluate run", "inspect", "gradients", "trace", "train", "compare"])
  func `options of one's own data go with it`(_ command: String) throws {
    let result = try workplace.pcgraph("\(command) --labels y.npy")
    #expect(result.status == 1 && result.error.contains("go with --data, which is missing"), "\(result.error)")
    if command.hasPrefix("evaluate") { return }
    let missing = try workplace.pcgraph("\(command) --data none.csv")
    #expect(missing.status == 1 && missing.error.contains("none.csv cannot be read"), "\(missing.error)")
    #expect(workplace.contents.isEmpty)
  }

  @Test func `the scalar graph takes no data`() throws {
    let result = try workplace.pcgraph("trace --model scalar --data own.csv")
    #expect(result.status == 1 && result.error.contains("--model scalar has an input of its own"), "\(result.error)")
  }

  /// One reader: what training takes as a table, prediction does, heading, blanks, quotes and empty lines included.
  @Test func `tables are read alike by all commands`() throws {
    try writeTable("own.csv")
    _ = try succeeded("train --data own.csv --hidden 5 --epochs 1 --batch-size 8 --output run")
    let tidy = "1,0.25,-1\n0,0.5,0.5\n"
    let untidy = "a, b,c\r\n\r\n 1 ,\t0.25,\"-1\"\r\n\n0,\"0.5\", .5e0\n\n"
    for (name, text) in [("tidy", tidy), ("untidy", untidy)] {
      try writeFile(Array(text.utf8), to: workplace.path("\(name).csv"))
      _ = try succeeded("predict run --input \(name).csv --output \(name)-out.csv")
    }
    #expect(try workplace.bytes("untidy-out.csv") == workplace.bytes("tidy-out.csv"))
    for (text, fragment) in [
      ("1,2,3\n1,x,3\n", "Line 2, column 2 of bad.csv holds \"x\""),
      ("1,2,3\n\n1,inf,3\n", "Line 3, column 2 of bad.csv holds \"inf\""),
      ("1,2,3\n1,2\n", "bad.csv has 2 cells in line 2, but 3 in the first"), ("a,b,c\n", "bad.csv holds no numbers"),
      ("\n", "bad.csv has no examples"), ("1,2\n", "2 numbers in an example; the model takes 3"),
    ] {
      try writeFile(Array(text.utf8), to: workplace.path("bad.csv"))
      let result = try workplace.pcgraph("predict run --input bad.csv --output none.csv")
      #expect(result.status == 1 && result.error.contains(fragment), "\(result.error)")
    }
  }
}

/// `pcgraph data`.
struct DataCommandTests {
  let workplace: Workplace

  init() throws { workplace = try Workplace() }

  @Test func `the list has every published file`() throws {
    let text = try workplace.pcgraph("data list")
    #expect(text.status == 0, "\(text.error)")
    let sets = try workplace.pcgraph("data list --format json").objects()
    #expect(
      sets.map { $0["dataset"] as? String } == ["digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"])
    let files = try sets.map { try #require($0["files"] as? [[String: Any]]) }
    #expect(files.map(\.count) == [0, 4, 4, 1, 1, 2])
    for file in files.joined() {
      let (name, address) = try (#require(file["name"] as? String), #require(file["address"] as? String))
      let (bytes, digest) = try (#require(file["bytes"] as? Int), #require(file["sha256"] as? String))
      #expect(address.hasPrefix("http") && address.hasSuffix("/\(name)"))
      #expect(digest.wholeMatch(of: /[0-9a-f]{64}/) != nil)
      #expect(text.output.contains("  \(address)  \(bytes) bytes\n    \(digest)\n"))
    }
  }

  @Test func `verify says of each file how it is`() throws {
    let folder = workplace.folder.appendingPathComponent("data/mnist")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    // Of the published size, of another size, fetched in part, and missing.
    try Data(count: 4542).write(to: folder.appendingPathComponent("t10k-labels-idx1-ubyte.gz"))
    try Data(count: 5).write(to: folder.appendingPathComponent("train-labels-idx1-ubyte.gz"))
    try Data(count: 100).write(to: folder.appendingPathComponent(".t10k-images-idx3-ubyte.gz.part"))
    let text = try workplace.pcgraph("data verify mnist --data-dir data")
    #expect(text.status == 1)
    for line in [
      "data/mnist/train-images-idx3-ubyte.gz: missing",
      "data/mnist/train-labels-idx1-ubyte.gz: not the published file: 5 bytes instead of 28881",
      "data/mnist/t10k-images-idx3-ubyte.gz: fetched in part, 100 of 1648877 bytes",
      "data/mnist/t10k-labels-idx1-ubyte.gz: not the published file: the SHA-256 digest ",
    ] {
      #expect(text.lines.contains { $0.hasPrefix(line) }, "\(line)\n\(text.output)")
    }
    let json = try workplace.pcgraph("data verify mnist --data-dir data --format json")
    #expect(json.status == 1)
    #expect(json.objects().map { $0["state"] as? String } == ["missing", "different", "partial", "different"])
    #expect(json.objects().first?["path"] as? String == "data/mnist/train-images-idx3-ubyte.gz")
    #expect(try workplace.pcgraph("data verify mnst --data-dir data").error.contains("did you mean mnist?"))
    let builtIn = try workplace.pcgraph("data verify digits --data-dir data")
    #expect(builtIn.status == 1 && builtIn.error.contains("built in"), "\(builtIn.error)")
  }

  /// A program in curl's place that answers every address from a file.
  private func writeCurl(answering file: String) throws {
    try FileManager.default.createDirectory(atPath: workplace.path("bin"), withIntermediateDirectories: true)
    let script = """
      #!/bin/sh
      while [ $# -gt 0 ]; do
        case "$1" in --output) output=$2;; --url) name=${2##*/};; esac
        shift
      done
      cat "\(file)" > "$output"
      """
    try Data(script.utf8).write(to: workplace.folder.appendingPathComponent("bin/curl"))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: workplace.path("bin/curl"))
  }

  @Test func `fetch keeps nothing that is not published`() throws {
    try writeCurl(answering: workplace.path("answer"))
    try Data(count: 9_912_422).write(to: workplace.folder.appendingPathComponent("answer"))
    let result = try workplace.shell("PATH=\"$PWD/bin:$PATH\" $P data fetch mnist --data-dir data")
    #expect(result.status == 1 && result.error.contains("does not send the published file"), "\(result.error)")
    #expect(result.output.isEmpty)
    #expect(!workplace.contents.contains { $0.hasPrefix("data/mnist/") }, "\(workplace.contents)")
    let without = try workplace.shell("PATH=\"$PWD/none\" $P data fetch mnist --data-dir data")
    #expect(without.status == 1 && without.error.contains("fetched by the program curl, which is not here"))
  }

  /// MNIST's files in the folder named by PC_DATA_DIR, or in ../shared/data beside the package, if they are there.
  private static let mnist: String? = {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let beside = package.deletingLastPathComponent().appendingPathComponent("shared/data").path
    return [ProcessInfo.processInfo.environment["PC_DATA_DIR"], beside].compactMap { $0.map { "\($0)/mnist" } }
      .first { FileManager.default.fileExists(atPath: "\($0)/train-images-idx3-ubyte.gz") }
  }()

  @Test(.enabled(if: mnist != nil, "MNIST's files are not here; say with PC_DATA_DIR where"))
  func `fetch names what is published, and verify finds it whole`() throws {
    try writeCurl(answering: "\(#require(Self.mnist))/$name")
    let fetched = try workplace.shell(
      "PATH=\"$PWD/bin:$PATH\" $P data fetch mnist --data-dir data --format json")
    #expect(fetched.status == 0, "\(fetched.error)")
    let paths = fetched.objects().compactMap { $0["path"] as? String }
    #expect(paths.count == 4 && paths.allSatisfy { FileManager.default.fileExists(atPath: workplace.path($0)) })
    let whole = try workplace.pcgraph("data verify mnist --data-dir data --format json")
    #expect(whole.status == 0, "\(whole.output)")
    #expect(whole.objects().map { $0["state"] as? String } == Array(repeating: "whole", count: 4))
  }
}
