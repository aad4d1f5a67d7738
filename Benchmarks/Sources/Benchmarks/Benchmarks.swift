import Foundation
import PredictiveCoding

struct Options {
  var works: [String] = []
  private var interpreters: [Peer.Library: String] = [.pytorch: "python3"]
  /// As many as the work states, unless given.
  var rounds: Int?
  var isa: CPU.InstructionSet?
  var threads = 2
  /// Measures only the steps whose name holds this.
  var only = ""
  var isJSON = false
  /// Shows where our steps' time goes, in place of a contest.
  var showsPlan = false
  /// Where `scaling` writes.
  var output: String?

  static let help = """
    Training steps of ours and of other libraries in turn, on the same data from the same weights, beside the machine's floor.

      swift run -c release --package-path Benchmarks Benchmarks [WORK …] [OPTIONS]

    WORK is \(Workload.names.joined(separator: ", ")), all (default); kernels, which sets our products beside
    OpenBLAS's and oneDNN's; or scaling, which needs --output.

      --python PATH        interpreter that can import torch (default python3); 'none' leaves PyTorch out
      --pcx PATH, --fabricpc PATH, --ngclearn PATH, --deepity PATH
                           interpreters that can import these; without one the library is left out
      --rounds N           rounds of steps (default: as many as the work states)
      --threads N          ours and the peers' (default 2)
      --isa NAME           amx, avx512, avx2 or 128 (default: the best there is)
      --only TEXT          only our steps, or the kernels, whose name holds this
      --plan               where the time of our steps goes, by phase, vertex and operation, in place of a contest
      --format json        a line of JSON for each work, in place of a table
      --output FOLDER      where scaling leaves its CSV and pictures

    Every figure is a whole training step: batch in memory to updated parameters. The floor is the multiply-adds of the
    step (of stepwise rules, those of the T inference steps alone) over the float32 FMA peak of the threads together,
    which is measured in each round: medians over medians, and the least time over the highest peak. Quote ratios, not milliseconds.

      Example: swift run -c release --package-path Benchmarks Benchmarks cnn mlp --python /tmp/venv/bin/python
    """

  func python(_ library: Peer.Library) -> String? {
    // One interpreter serves all that needs no other library than PyTorch.
    interpreters[library == .openblas || library == .onednn ? .pytorch : library]
  }

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    func value(_ option: String) throws -> String {
      guard let value = rest.popFirst() else { throw BenchmarkError("\(option) needs a value") }
      return value
    }
    func number(_ option: String) throws -> Int {
      let text = try value(option)
      guard let number = Int(text), number > 0 else {
        throw BenchmarkError("\(option) is \(text); give a count from 1")
      }
      return number
    }
    while let word = rest.popFirst() {
      let library = Peer.Library.allCases.first { word == ($0 == .pytorch ? "--python" : "--\($0.rawValue)") }
      switch word {
      case _ where library != nil:
        let path = try value(word)
        if let library { interpreters[library] = path == "none" ? nil : path }
      case "--rounds": rounds = try number(word)
      case "--threads": threads = try number(word)
      case "--only": only = try value(word)
      case "--plan": showsPlan = true
      case "--output": output = try value(word)
      case "--format":
        let format = try value(word)
        guard format == "json" || format == "text" else {
          throw BenchmarkError("--format is \(format); give text or json")
        }
        isJSON = format == "json"
      case "--isa":
        let name = try value(word)
        guard let set = CPU.InstructionSet(rawValue: name) else {
          throw BenchmarkError("no instruction set is called \(name); give amx, avx512, avx2 or 128")
        }
        isa = set
      case "all": works += Workload.names
      case "scaling", "kernels": works.append(word)
      case _ where Workload.names.contains(word): works.append(word)
      default: throw BenchmarkError("unknown argument \(word); --help lists what there is")
      }
    }
    if works.isEmpty { works = Workload.names }
  }
}

@main
struct Benchmarks {
  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    if arguments.contains("--help") || arguments.contains("-h") { return print(Options.help) }
    do {
      try run(Options(arguments))
    } catch {
      FileHandle.standardError.write(Data("error: \(error)\n".utf8))
      exit(1)
    }
  }

  static func run(_ options: Options) throws {
    let backend = try CPU(threads: options.threads, instructionSet: options.isa)
    for name in options.works {
      if name == "scaling" {
        guard let output = options.output else { throw BenchmarkError("scaling needs --output FOLDER") }
        var scaling = Scaling(options, backend)
        try scaling.write(to: URL(fileURLWithPath: output))
        continue
      }
      if name == "kernels" {
        try Kernels(options, backend).run()
        continue
      }
      for work in try Workload.named(name) ?? [] {
        if options.showsPlan {
          for entry in work.entries where options.only.isEmpty || entry.name.contains(options.only) {
            print(try Shares(Contestant(entry, work, backend), "\(work.title): \(entry.name)").markdown)
          }
          continue
        }
        var contest = try Contest(work, options, backend)
        let outcome = try contest.measure()
        if options.isJSON {
          print(String(decoding: try JSONEncoder().encode(outcome), as: UTF8.self))
        } else {
          print(outcome.markdown)
        }
      }
    }
  }
}
