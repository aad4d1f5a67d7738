/// The data sets that a user can ask for by name.
public enum NamedDataset: String, Codable, Sendable, CaseIterable {
  /// 1437 training and 360 test images of handwritten digits, [1, 8, 8], built in.
  case digits
  /// 60,000 training and 10,000 test images of handwritten digits, [1, 28, 28].
  case mnist
  /// 60,000 training and 10,000 test images of ten kinds of clothing, [1, 28, 28].
  case fashionMNIST = "fashion-mnist"
  /// 50,000 training and 10,000 test photographs of 10 kinds of thing, [3, 32, 32].
  case cifar10
  /// 50,000 training and 10,000 test photographs of 100 kinds of thing, [3, 32, 32].
  case cifar100
  /// 73,257 training and 26,032 test photographs of the digits of house numbers, [3, 32, 32].
  case svhn

  /// The shape of one image, [channels, rows, columns]; known without the files.
  public var inputShape: [Int] {
    switch self {
    case .digits: [1, 8, 8]
    case .mnist, .fashionMNIST: [1, 28, 28]
    case .cifar10, .cifar100, .svhn: [3, 32, 32]
    }
  }

  /// How many images there are to learn from, as published.
  public var trainingCount: Int {
    switch self {
    case .digits: 1437
    case .mnist, .fashionMNIST: 60_000
    case .cifar10, .cifar100: 50_000
    case .svhn: 73_257
    }
  }

  /// How many kinds of thing the images show.
  public var classes: Int { self == .cifar100 ? 100 : 10 }

  /// The data set of this name.
  ///
  /// - Throws: `DataError.unknownDataset`, which names the nearest known one.
  public init(named name: String) throws(DataError) {
    guard let dataset = NamedDataset(rawValue: name) else {
      throw .unknownDataset(name: name, known: Self.allCases.map(\.rawValue))
    }
    self = dataset
  }

  /// The images, between 0 and 1, and their labels, as published; order too.
  ///
  /// - Parameter directory: the folder D that holds the published files, themselves or in the folder that their
  ///   archive unpacks to, or in D/mnist, D/fashion-mnist, D/cifar-10, D/cifar-100 or D/svhn (train_32x32.mat and
  ///   test_32x32.mat). MNIST's and Fashion-MNIST's files have the same names, so those of the latter are looked for in
  ///   folders of its name first; they may be packed by gzip or not. `digits` needs none.
  /// - Throws: `DataError` about a file that is missing, unreadable, damaged or of another size than published.
  public func load(directory: String? = nil) throws(DataError) -> DataSplit {
    func folder() throws(DataError) -> String {
      guard let directory else { throw .missingDirectory(dataset: rawValue) }
      return directory
    }
    return switch self {
    case .digits: try loadDigits()
    case .mnist: try loadMNIST(directory: folder())
    case .fashionMNIST: try loadFashionMNIST(directory: folder())
    case .cifar10: try loadCIFAR10(directory: folder())
    case .cifar100: try loadCIFAR100(directory: folder())
    case .svhn: try loadSVHN(directory: folder())
    }
  }
}
