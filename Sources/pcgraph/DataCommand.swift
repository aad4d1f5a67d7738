#if CommandLine
  import ArgumentParser
  import PredictiveCoding

  struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "data",
      abstract: "List, fetch and verify the published data sets.",
      subcommands: [List.self, Fetch.self, Verify.self])

    struct List: ParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "The files of each data set: size, address, SHA-256 digest.",
        discussion: """
          EXAMPLE
            pcgraph data list
          """)

      @OptionGroup var output: FormatOption

      func run() throws {
        try reportingFailure {
          let format = try output.format()
          for dataset in NamedDataset.allCases {
            let files = dataset.publishedFiles
            switch format {
            case .text:
              printResult("\(dataset.rawValue)\(files.isEmpty ? "  built in" : "")")
              for file in files { printResult("  \(file.address)  \(file.size) bytes\n    \(file.digest)") }
            case .json:
              printResult(
                "\(JSON.object([("dataset", .string(dataset.rawValue)), ("files", .array(files.map(\.json)))]))")
            }
          }
        }
      }
    }

    struct Fetch: ParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Fetch a data set's files from their publisher.",
        discussion: """
          By the program curl, into the data set's folder below D, where --data-dir D finds them. A transfer that breaks \
          off is taken up where it was, by the next fetch too; a file gets its name when it has the published digest.

          EXAMPLE
            pcgraph data fetch mnist --data-dir data
          """)

      @OptionGroup var chosen: ChosenDataset
      @OptionGroup var output: FormatOption

      func run() throws {
        try reportingFailure {
          let format = try output.format()
          let (files, folder) = try chosen.files()
          for file in files {
            printToStandardError("\(file.address), \(file.size) bytes")
            try file.fetch(into: folder)
            let path = "\(folder)/\(file.name)"
            switch format {
            case .text: printResult(path)
            case .json: printResult("\(JSON.object([("path", .string(path))] + file.members))")
            }
            if file.isArchive {
              printToStandardError("Unpack it: tar -xzf \(shellQuoted(path)) -C \(shellQuoted(folder))")
            }
          }
        }
      }
    }

    struct Verify: ParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Compare a data set's files with the published digests.",
        discussion: """
          Ends with the exit code 1 unless all files are there as published.

          EXAMPLE
            pcgraph data verify mnist --data-dir data
          """)

      @OptionGroup var chosen: ChosenDataset
      @OptionGroup var output: FormatOption

      func run() throws {
        try reportingFailure {
          let format = try output.format()
          let (files, folder) = try chosen.files()
          var isWhole = true
          for file in files {
            let state = try file.state(in: folder)
            if state != .whole { isWhole = false }
            let (name, words) =
              switch state {
              case .whole: ("whole", "as published")
              case .missing: ("missing", "missing")
              case .partial(let size): ("partial", "fetched in part, \(size) of \(file.size) bytes")
              case .different(let difference): ("different", "not the published file: \(difference)")
              }
            let path = "\(folder)/\(file.name)"
            switch format {
            case .text: printResult("\(path): \(words)")
            case .json:
              printResult(
                "\(JSON.object([("path", .string(path)), ("state", .string(name)), ("explanation", .string(words))]))"
              )
            }
          }
          guard isWhole else { throw ExitCode.failure }
        }
      }
    }
  }

  extension PublishedFile {
    fileprivate var members: [(key: String, value: JSON)] {
      [("address", .string(address)), ("bytes", .integer(size)), ("sha256", .string(digest))]
    }

    fileprivate var json: JSON { .object([("name", .string(name))] + members) }
  }

  /// How results are printed.
  struct FormatOption: ParsableArguments {
    @Option(
      name: .customLong("format"), help: "text, or json: one object a line on standard output.",
      completion: .list(OutputFormat.names))
    var name = OutputFormat.text.rawValue

    func format() throws -> OutputFormat { try OutputFormat(named: name) }
  }

  struct ChosenDataset: ParsableArguments {
    @Argument(help: "The data set.", completion: .list(NamedDataset.allCases.map(\.rawValue)))
    var dataset: String

    @Option(
      help: ArgumentHelp("The folder D below which the files are or go.", valueName: "D"), completion: .directory)
    var dataDir: String

    func files() throws -> (files: [PublishedFile], folder: String) {
      let set = try NamedDataset(named: dataset)
      guard let name = set.folderName else {
        throw SettingsError("The data set \(set.rawValue) is built in; there is nothing to fetch.")
      }
      guard !dataDir.isEmpty else { throw SettingsError("The data folder has no name.") }
      return (set.publishedFiles, "\(dataDir)/\(name)")
    }
  }
#endif
