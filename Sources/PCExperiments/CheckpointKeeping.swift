#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import PCInterchange
import PCLearning

/// Where a training keeps its checkpoints, and which.
///
/// The newest is always kept. Beside it, where that is asked for, are `best.safetensors` and `step-N.safetensors`, further
/// names of a file that was the newest once: a checkpoint is written once, whatever its names.
package struct CheckpointKeeping: Sendable {
  /// The file of the newest.
  package var newest: String
  /// A checkpoint after every so many updates, which also gets a name with its number; nil keeps the newest alone, about
  /// every minute and after each pass.
  package var interval: Int?
  /// How many with numbers are kept, the newest of them.
  package var numberedCount: Int
  /// Asked after every batch: whether the training should write a checkpoint and stop.
  package var shouldStop: @Sendable () -> Bool

  /// The newest checkpoint alone, in this file.
  package init(
    newest: String, interval: Int? = nil, numberedCount: Int = 3,
    shouldStop: @escaping @Sendable () -> Bool = { false }
  ) {
    self.newest = newest
    self.interval = interval
    self.numberedCount = numberedCount
    self.shouldStop = shouldStop
  }

  private var folder: String { newest.lastIndex(of: "/").map { String(newest[...$0]) } ?? "" }

  func isNumbered(_ updates: Int) -> Bool { interval.map { updates % $0 == 0 } ?? false }

  func write(_ checkpoint: Checkpoint, isBest: Bool) throws {
    try checkpoint.write(to: newest)
    try name(updates: checkpoint.state.updateCount, isBest: isBest)
  }

  /// Gives the newest checkpoint the further names that it should have. A run that is resumed does so again, since one that was
  /// killed may have stopped between the file and its names.
  func name(updates: Int, isBest: Bool) throws {
    if isBest { try addName("best.safetensors") }
    guard isNumbered(updates) else { return }
    try addName("step-\(updates).safetensors")
    let numbers = numberedCheckpoints()
    for number in numbers.dropLast(numberedCount) { unlink("\(folder)step-\(number).safetensors") }
  }

  /// Gives the newest checkpoint a second name, in place of what bears it. A file system without hard links gets a copy.
  private func addName(_ name: String) throws {
    let temporary = "\(folder).\(name).\(getpid())"
    unlink(temporary)
    guard link(newest, temporary) == 0 else { return try writeFile(readFile(newest), to: folder + name) }
    guard rename(temporary, folder + name) == 0 else { throw FileError(folder + name, .written) }
    // Two names of one file: the renaming did nothing.
    unlink(temporary)
    try flushFolder(of: folder + name)
  }

  /// The updates after which the numbered checkpoints in the folder were taken, in order.
  package func numberedCheckpoints() -> [Int] {
    names(in: folder.isEmpty ? "." : folder).compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".safetensors") else { return nil }
      return Int(name.dropFirst("step-".count).dropLast(".safetensors".count))
    }.sorted()
  }
}

/// The names in a folder, but for `.` and `..`; none where it cannot be read.
func names(in folder: String) -> [String] {
  guard let handle = opendir(folder) else { return [] }
  defer { closedir(handle) }
  var names: [String] = []
  while let entry = readdir(handle) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

/// Locks an open file or folder by which a process holds a folder for its run, until it is closed.
///
/// - Throws: a `SettingsError` where another process holds it; the descriptor is closed then.
func lockForRun(_ descriptor: CInt, in place: String) throws(SettingsError) {
  guard flock(descriptor, LOCK_EX | LOCK_NB) != 0 else { return }
  close(descriptor)
  throw SettingsError("Another run is at work in \(place); wait until it ends, or choose another output folder.")
}

// MARK: - In a run folder

/// The folder `checkpoints` of a run folder, held by one process at a time.
///
/// It is known as ours by the file `lock` in it, which is locked as long as this lives.
package final class CheckpointFolder {
  /// Whose checkpoints they are.
  package enum Contents: String, Sendable {
    /// One run's, in the folder itself.
    case training = "train"
    /// Those of several runs, in a folder for each.
    case comparison = "compare"
  }

  package let path: String
  private let contents: Contents
  private let lock: CInt
  /// The folders that were not there before, outermost first.
  private var made: [String]

  /// Makes the folder, or takes up the one that is there.
  ///
  /// - Parameters:
  ///   - runFolder: the folder around it.
  ///   - contents: what is to be kept in it.
  ///   - isResumed: whether what is there goes on.
  /// - Throws: a `SettingsError` where there is a run and none should go on or the reverse, where it is one of another kind,
  ///   where another process is at work in it, or where the folder is not ours or cannot be made; nothing is written then.
  package init(_ runFolder: RunFolder, for contents: Contents, isResumed: Bool) throws {
    let place = runFolder.path
    path = "\(place)/checkpoints"
    self.contents = contents
    let lockFile = "\(path)/lock"
    if fileExists(path), !isRegularFile(lockFile) {
      throw SettingsError("\(path) was not written by pcgraph; choose another output folder.")
    }
    let isThere = fileExists(lockFile)
    if isResumed, !isThere {
      throw SettingsError("There is no run to resume in \(place); start one without --resume.")
    }
    let runs = Self.runs(in: path)
    if !isResumed, !runs.isEmpty || (!isThere && runFolder.holdsResults()) {
      throw SettingsError(
        "\(place) already holds a run; go on with it by --resume, or choose another output folder.")
    }
    if let run = runs.first {
      let found = run == path ? Contents.training : .comparison
      guard found == contents else {
        throw SettingsError(
          "\(place) holds a run of pcgraph \(found.rawValue), which alone can go on with it; choose another output folder."
        )
      }
    }
    made = try makeFolders(path)
    lock = open(lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard lock >= 0 else {
      let error = FileError(lockFile, .written)
      for folder in made.reversed() { rmdir(folder) }
      throw error
    }
    try lockForRun(lock, in: place)
    runFolder.removeLeftovers()
  }

  deinit { close(lock) }

  /// The folders that hold a run.
  private static func runs(in path: String) -> [String] {
    ([path] + names(in: path).sorted().map { "\(path)/\($0)" }).filter { fileExists("\($0)/last.safetensors") }
  }

  /// The keeping of the run, or of one of several by its name.
  ///
  /// - Throws: a `SettingsError` where its folder cannot be made.
  package func keeping(
    of run: String? = nil, interval: Int?, numberedCount: Int, shouldStop: @escaping @Sendable () -> Bool
  ) throws -> CheckpointKeeping {
    let folder = run.map { "\(path)/\($0)" } ?? path
    made += try makeFolders(folder)
    // What a run that was killed left half written.
    for name in names(in: folder) where name.hasPrefix(".") && name.contains(".safetensors.") {
      unlink("\(folder)/\(name)")
    }
    return CheckpointKeeping(
      newest: "\(folder)/last.safetensors", interval: interval, numberedCount: numberedCount, shouldStop: shouldStop)
  }

  /// What there is to go on with, in a sentence; nil where there is nothing, or nothing that can be read.
  package var kept: String? {
    let updates = Self.runs(in: path).compactMap { try? Checkpoint(path: "\($0)/last.safetensors").state.updateCount }
    guard let first = updates.first else { return nil }
    switch (contents, updates.count) {
    case (.training, _): return "The checkpoint after step \(first) is whole."
    case (.comparison, 1): return "The checkpoint of one run, after step \(first), is whole."
    case (.comparison, let count): return "The checkpoints of \(count) runs are whole."
    }
  }

  /// Removes the folder where the first run failed before its first checkpoint.
  package func discardIfEmpty() {
    guard made.contains(path), Self.runs(in: path).isEmpty else { return }
    unlink("\(path)/lock")
    for folder in made.reversed() { rmdir(folder) }
  }
}
