#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write text with a net that learned to predict characters.",
      discussion: """
        Takes a net that pcgraph reproduce lstm left in its folder, under work/lstm, or a checkpoint of one that is still \
        learning. The same seed writes the same text.

        EXAMPLE
          pcgraph generate --checkpoint paper/work/lstm/NET.safetensors --prompt "ROMEO:" --temperature 0.8
        """)

    @Option(help: ArgumentHelp("The file of the net.", valueName: "file"), completion: .file())
    var checkpoint: String

    @Option(help: "What the text goes on from; \\n is a new line.")
    var prompt = "\\n"

    @Option(help: ArgumentHelp("Characters to write.", valueName: "N"))
    var count = 500

    @Option(
      help: ArgumentHelp(
        "1 draws from the net's prediction, less prefers what is likely, 0 takes the likeliest.", valueName: "T"))
    var temperature = 0.8

    @Option(help: "The seed of the draws.")
    var seed: UInt64 = 0

    @OptionGroup var compute: ThreadOptions

    @Option(
      help: "text, or json: an object with prompt and text on standard output.", completion: .list(OutputFormat.names)
    )
    var format = OutputFormat.text.rawValue

    func run() throws {
      try reportingFailure {
        let format = try OutputFormat(named: format)
        warnIfUnoptimized()
        let prompt = prompt.replacing("\\n", with: "\n")
        let threads = compute.threads
        if let threads { try Settings.check("the number of threads", threads, in: 1...1024) }
        let generator = try TextGenerator(Checkpoint(path: checkpoint), on: CPU(threads: threads))
        if format == .text { printResult(prompt, terminator: "") }
        let text = try generator.text(after: prompt, count: count, temperature: temperature, seed: seed) {
          if format == .text { printResult("\($0)", terminator: "") }
        }
        switch format {
        case .text: printResult("")
        case .json: printResult("\(JSON.object([("prompt", .string(prompt)), ("text", .string(text))]))")
        }
      }
    }
  }
#endif
