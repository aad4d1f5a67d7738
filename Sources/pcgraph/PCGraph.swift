#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  @main
  struct PCGraph: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "pcgraph",
      abstract: "Predictive coding on computation graphs, beside backprop.",
      discussion: """
        Trains networks by local rules and compares them with backprop, from the same start on the same batches.

        EXAMPLE
          pcgraph compare --rules fixed,standard,backprop --hidden 32 --epochs 2
        """,
      version: softwareVersion,
      subcommands: [
        Compare.self, Train.self, Evaluate.self, Predict.self, GradientsCommand.self, Inspect.self, TraceCommand.self,
        Bench.self, Reproduce.self, Generate.self, DataCommand.self,
      ])

    static func main() {
      var arguments = Array(CommandLine.arguments.dropFirst())
      do {
        try reportingFailure {
          guard arguments.first == "train" else { return }
          arguments = try Configuration.expanded(arguments, names: Train.optionNames)
        }
      } catch {
        exit(withError: error)
      }
      main(arguments)
    }
  }
#else
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #elseif canImport(Darwin)
    import Darwin
  #endif

  // Built by a dependent that switched the trait `CommandLine` off: there is no argument parser to build the command with.
  @main
  struct PCGraph {
    static func main() {
      print("pcgraph was built without the package trait CommandLine, which it needs.")
      exit(1)
    }
  }
#endif
