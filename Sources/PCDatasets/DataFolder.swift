import PCInterchange

/// Where the files of a published data set may lie below the folder that a user names.
struct DataFolder {
  let dataset: String
  let folders: [String]

  init(dataset: String, folders: [String]) {
    self.dataset = dataset
    self.folders = folders
  }

  /// Searches `directory` and, in it, the folder called `name`; in either, also the folder `archive` that the
  /// published archive unpacks to, if there is one.
  init(dataset: String, directory: String, name: String, archive: String? = nil) {
    self.dataset = dataset
    folders = [directory, "\(directory)/\(name)"].flatMap { folder in
      [folder] + (archive.map { ["\(folder)/\($0)"] } ?? [])
    }
  }

  /// The first path that exists, all names tried in one folder before the next folder.
  func path(_ names: String...) throws(DataError) -> String {
    let candidates = folders.flatMap { folder in names.map { "\(folder)/\($0)" } }
    guard let path = candidates.first(where: fileExists) else {
      throw .missingFile(dataset: dataset, tried: candidates)
    }
    return path
  }
}

/// Opens a file or reads it, with the data sets' kind of error.
func reportingUnreadable<Result>(_ body: () throws(FileError) -> Result) throws(DataError) -> Result {
  do {
    return try body()
  } catch {
    throw .unreadable(path: error.path, reason: error.reason)
  }
}

/// All bytes of a file, which must have `size` of them if that is given.
func readData(_ path: String, size: Int? = nil) throws(DataError) -> [UInt8] {
  let file = try reportingUnreadable { () throws(FileError) in try InputFile(path) }
  if let size { try checkSize(of: file, size) }
  return try reportingUnreadable { () throws(FileError) in try file.read(0..<file.size) }
}

/// Looks at the size that the file has before anything of it is read.
func checkSize(of file: InputFile, _ expected: Int) throws(DataError) {
  guard file.size >= expected else { throw .truncated(path: file.path, expected: expected, found: file.size) }
  guard file.size <= expected else { throw .oversized(path: file.path, expected: expected, found: file.size) }
}
