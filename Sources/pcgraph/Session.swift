#if CommandLine
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #elseif canImport(Darwin)
    import Darwin
  #endif
  import ArgumentParser
  import PredictiveCoding

  /// One run of a command: the experiment, and the folder that it leaves.
  struct Session {
    let experiment: Experiment
    private let folder: RunFolder?
    private let started = time(nil)
    private let clock = ContinuousClock.now

    /// Everything that can be wrong is found here, before any work.
    init(_ choices: Choices, output: String?) throws {
      warnIfUnoptimized()
      let settings = try Settings(choices)
      folder = try output.map { try RunFolder($0) }
      experiment = try Experiment(settings)
    }

    func record() -> RunRecord {
      RunRecord(
        experiment, command: ["pcgraph"] + CommandLine.arguments.dropFirst(), commit: sourceCommit(),
        started: Int(started), seconds: (ContinuousClock.now - clock).seconds)
    }

    /// Writes the run folder, where one was asked for.
    func write(_ record: @autoclosure () -> RunRecord, _ files: [RunFolder.File: [UInt8]]) throws {
      guard let folder else { return }
      try folder.write(record(), files)
      let names = RunFolder.File.allCases.filter { $0 == .record || files[$0] != nil }.map(\.rawValue)
      printToStandardError("Written to \(folder.path): \(names.joined(separator: ", ")).")
    }
  }

  /// Turns an error into one line on standard error and the exit code 1.
  func reportingFailure(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let code as ExitCode {
      throw code
    } catch {
      let line = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      printToStandardError("error: \(line)\(line.last.map(".?!".contains) == true ? "" : ".")")
      throw ExitCode.failure
    }
  }

  /// Writes a file by its name, which may be that of a pipe or a device.
  func writeText(_ text: String, to path: String) throws {
    var isWritten = false
    if let file = fopen(path, "w") {
      isWritten = fputs(text, file) >= 0
      isWritten = fclose(file) == 0 && isWritten
    }
    guard isWritten else { throw SettingsError("\(path) cannot be written: \(String(cString: strerror(errno))).") }
  }

  func printToStandardError(_ text: String, terminator: String = "\n") {
    // What was printed before comes first where both streams go to one place.
    fflush(nil)
    let line = Array((text + terminator).utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
#endif
