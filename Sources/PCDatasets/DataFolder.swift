import PCInterchange

/// Where the files of a published data set may lie below the folder that a user names.
struct DataFolder {
  let dataset: String
  let folders: [String]

  /// Searches `directory` and, in it, the folder called `name`; in either, also the folder `archive` that the
  /// published archive unpacks to.
  init(dataset: String, directory: String, name: String, archive: String) {
    self.dataset = dataset
    folders = [directory, "\(directory)/\(name)"].flatMap { [$0, "\($0)/\(archive)"] }
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

/// The bytes of a file, with the data sets' kind of error.
func readBytes(_ path: String) throws(DataError) -> [UInt8] {
  do {
    return try readFile(path)
  } catch {
    throw .unreadable(path: path, reason: error.reason)
  }
}
