import PCInterchange

/// A file of a data set as its publisher offers it.
public struct PublishedFile: Sendable, Hashable {
  /// Its name in the folder of the data set.
  public var name: String
  /// Where it is fetched from.
  public var address: String
  /// In bytes.
  public var size: Int
  /// SHA-256, in hexadecimal.
  public var digest: String

  /// A file at an address.
  public init(name: String, address: String, size: Int, digest: String) {
    self.name = name
    self.address = address
    self.size = size
    self.digest = digest
  }

  /// Whether it has to be unpacked, by `tar -xzf`.
  public var isArchive: Bool { name.hasSuffix(".tar.gz") }
}

extension NamedDataset {
  /// The folder D/… in which the data set's files are looked for below the folder D; nil for `digits`, which is built in.
  public var folderName: String? {
    switch self {
    case .digits: nil
    case .mnist: "mnist"
    case .fashionMNIST: "fashion-mnist"
    case .cifar10: "cifar-10"
    case .cifar100: "cifar-100"
    case .svhn: "svhn"
    }
  }

  /// The files that the data set is published as; none for `digits`.
  ///
  /// MNIST's digests were computed from the files. The others, and some sizes, are as other projects record them and were
  /// not compared with the publishers' files here: a wrong one would refuse a good file, never admit a bad one. MNIST's first
  /// address, yann.lecun.com, no longer serves files; the one given is the mirror that PyTorch uses.
  public var publishedFiles: [PublishedFile] {
    func files(_ address: String, _ list: [(String, Int, String)]) -> [PublishedFile] {
      list.map { PublishedFile(name: $0.0, address: address + $0.0, size: $0.1, digest: $0.2) }
    }
    switch self {
    case .digits: return []
    case .mnist:
      return files(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        [
          (
            "train-images-idx3-ubyte.gz", 9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
          ),
          ("train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
          (
            "t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
          ),
          ("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ])
    case .fashionMNIST:
      return files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        [
          (
            "train-images-idx3-ubyte.gz", 26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
          ),
          ("train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
          (
            "t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
          ),
          ("t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ])
    case .cifar10:
      return files(
        "https://www.cs.toronto.edu/~kriz/",
        [("cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")])
    case .cifar100:
      return files(
        "https://www.cs.toronto.edu/~kriz/",
        [("cifar-100-binary.tar.gz", 168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec")]
      )
    case .svhn:
      return files(
        "http://ufldl.stanford.edu/housenumbers/",
        [
          ("train_32x32.mat", 182_040_794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
          ("test_32x32.mat", 64_275_384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
        ])
    }
  }
}

extension PublishedFile {
  /// What `folder` has of the file.
  public enum State: Sendable, Hashable {
    /// The published file, byte by byte.
    case whole
    /// Nothing.
    case missing
    /// A download that stopped after so many bytes.
    case partial(Int)
    /// A file of this name that is another one; the text says how it differs.
    case different(String)
  }

  /// The state of the file in `folder`; reads all of it, about 5 ns a byte.
  ///
  /// - Throws: `DataError.unreadable`.
  public func state(in folder: String) throws(DataError) -> State {
    let path = "\(folder)/\(name)"
    guard fileExists(path) else {
      guard fileExists(partialPath(in: folder)) else { return .missing }
      let part = try reportingUnreadable { () throws(FileError) in try InputFile(partialPath(in: folder)) }
      return .partial(part.size)
    }
    let file = try reportingUnreadable { () throws(FileError) in try InputFile(path) }
    guard file.size == size else { return .different("\(file.size) bytes instead of \(size)") }
    let found = try Self.digest(of: file)
    return found == digest ? .whole : .different("the SHA-256 digest \(found) instead of \(digest)")
  }

  func partialPath(in folder: String) -> String { "\(folder)/.\(name).part" }

  static func digest(of file: InputFile) throws(DataError) -> String {
    var digest = SHA256()
    for start in stride(from: 0, to: file.size, by: 1 << 20) {
      let piece = start..<min(start + 1 << 20, file.size)
      digest.update(try reportingUnreadable { () throws(FileError) in try file.read(piece) })
    }
    return digest.finalize()
  }
}
