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
        abstract: "The files of each data set: size, address, SHA-256 digest.")

      func run() throws {
        try reportingFailure {
          for dataset in NamedDataset.allCases {
            printResult("\(dataset.rawValue)\(dataset.publishedFiles.isEmpty ? "  built in" : "")")
            for file in dataset.publishedFiles {
              printResult("  \(file.address)  \(file.size) bytes\n    \(file.digest)")
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

      func run() throws {
        try reportingFailure {
          let (files, folder) = try chosen.files()
          for file in files {
            printToStandardError("\(file.address), \(file.size) bytes")
            try file.fetch(into: folder)
            printResult("\(folder)/\(file.name)")
            if file.isArchive {
              printToStandardError(
                "Unpack it: tar -xzf \(shellQuoted("\(folder)/\(file.name)")) -C \(shellQuoted(folder))")
            }
          }
        }
      }
    }

    struct Verify: ParsableCommand {
      static let configuration = CommandConfiguration(
        abstract: "Compare a data set's files with the published digests.",
        discussion: "Ends with the exit code 1 unless all files are there as published.")

      @OptionGroup var chosen: ChosenDataset

      func run() throws {
        try reportingFailure {
          let (files, folder) = try chosen.files()
          var isWhole = true
          for file in files {
            let state = try file.state(in: folder)
            if state != .whole { isWhole = false }
            let words =
              switch state {
              case .whole: "as published"
              case .missing: "missing"
              case .partial(let size): "fetched in part, \(size) of \(file.size) bytes"
              case .different(let difference): "not the published file: \(difference)"
              }
            printResult("\(folder)/\(file.name): \(words)")
          }
          guard isWhole else { throw ExitCode.failure }
        }
      }
    }
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
