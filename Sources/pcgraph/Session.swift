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
    let folder: RunFolder?
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

  extension TrainingLog {
    /// Says on standard error what could not be written; the results are not concerned.
    func report() {
      do { try finish() } catch { printToStandardError("The log is incomplete: \(error)") }
    }
  }

  /// Turns an error into one line on standard error and the exit code 1.
  func reportingFailure(_ body: () throws -> Void) throws {
    do {
      // A file that may not grow any more is an error of the write then, like a full disk.
      signal(SIGXFSZ, SIG_IGN)
      try checkStandardStreams()
      try body()
    } catch let code as ExitCode {
      throw code
    } catch {
      printFailure(error)
      throw ExitCode.failure
    }
  }

  private func printFailure(_ error: any Error) {
    let line = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
    printToStandardError("error: \(line)\(line.last.map(".?!".contains) == true ? "" : ".")")
  }

  // MARK: Output

  /// A standard stream that is closed would be lent to the next file that is opened, and results or progress end up in it:
  /// without standard output nothing runs, the others are put to rest.
  private func checkStandardStreams() throws {
    guard fcntl(STDOUT_FILENO, F_GETFD) >= 0 else { throw FileError("Standard output", .written) }
    var file: CInt
    repeat { file = open("/dev/null", O_RDWR) } while 0...STDERR_FILENO ~= file
    if file >= 0 { close(file) }
  }

  /// Prints a result; where that fails, ends the command with a sentence and the exit code 1, whatever is still to come.
  func printResult(_ text: String, terminator: String = "\n") {
    do {
      try writeAll(Array((text + terminator).utf8), to: STDOUT_FILENO, "Standard output")
    } catch {
      printFailure(error)
      exit(1)
    }
  }

  func printToStandardError(_ text: String, terminator: String = "\n") {
    try? writeAll(Array((text + terminator).utf8), to: STDERR_FILENO, "Standard error")
  }

  /// Writes texts to the files that were asked for. One may go to standard output, as "-", and stands alone there, so that it
  /// can be piped on; `refusal` says so where there is more.
  ///
  /// - Returns: whether standard output is taken.
  func writeTexts(
    _ texts: [(path: String?, text: String)], _ format: OutputFormat, orElse refusal: String
  ) throws -> Bool {
    let wanted = texts.compactMap { path, text in path.map { (path: $0, text: text) } }
    let streamed = wanted.filter { $0.path == "-" }
    guard streamed.isEmpty || streamed.count == 1 && format == .text else { throw SettingsError(refusal) }
    try writeTexts(wanted.filter { $0.path != "-" })
    for (_, text) in streamed { printResult(text, terminator: "") }
    return !streamed.isEmpty
  }

  /// Writes files by their names, which may be those of pipes or devices. All are opened before one is written, and where
  /// that fails none is changed.
  private func writeTexts(_ texts: [(path: String, text: String)]) throws {
    var files: [(path: String, descriptor: CInt, isNew: Bool)] = []
    defer { for file in files { close(file.descriptor) } }
    var known: Set<[UInt64]> = []
    do {
      for (path, _) in texts {
        let isNew = !fileExists(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError(path, .written) }
        files.append((path, descriptor, isNew))
        // Two names may be one file's; a device or a pipe takes several texts.
        var status = stat()
        fstat(descriptor, &status)
        let isFile = status.st_mode & S_IFMT == S_IFREG
        guard !isFile || known.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted else {
          throw SettingsError("Both drawings would go to \(path); give each a file of its own.")
        }
      }
    } catch {
      for file in files where file.isNew { unlink(file.path) }
      throw error
    }
    for (file, text) in zip(files, texts.map(\.text)) {
      // Pipes and devices have no length to cut; they refuse, and need not.
      ftruncate(file.descriptor, 0)
      try writeAll(Array(text.utf8), to: file.descriptor, file.path)
    }
  }
#endif
