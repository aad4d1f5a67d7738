import PCNames
import PCRandomness

/// Names, each labelled by its language: a small task for recurrent networks.
///
/// ```swift
/// let parts = Names().split(seed: 7)
/// let draw = parts.training.draw(0, seed: 7)          // a language, then one of its names, uniformly
/// Names.encode("Ślusàrski")                           // S l u s a r s k i: [44, 11, 20, 18, 0, 17, 18, 10, 8]
/// ```
///
/// The built-in names are those of the tutorial that the paper's recurrent network follows
/// (https://github.com/spro/practical-pytorch). They are unbalanced, 9384 of 20,050 being Russian, and repeat
/// themselves: the 2000 Arabic ones are 108 different names.
public struct Names: Sendable, Equatable {
  /// The languages; a name's label is its language's index here. Alphabetical for the built-in names.
  public let languages: [String]
  /// The names of each language, folded to the alphabet; in the published order, copies too.
  public let names: [[String]]

  /// The number of names of all languages.
  public var count: Int { names.reduce(0) { $0 + $1.count } }

  /// The built-in names: 20,050 of 18 languages. About 10 ms.
  public init() {
    let indices = 0..<Int32(pc_names_language_count)
    languages = indices.map { String(cString: pc_names_language($0)) }
    names = indices.map { language in
      String(cString: pc_names_text(language)).split(separator: "\n").map { Names.fold(String($0)) }
    }
  }

  /// Names of your own, which are folded to the alphabet.
  ///
  /// - Throws: `DataError.empty` if there is no language, or about a language that has no name, or only names of which
  ///   the alphabet leaves nothing; the latter ones are left out.
  public init(languages: [String], names: [[String]]) throws(DataError) {
    guard languages.count == names.count else {
      fatalError("Names: \(languages.count) languages need as many lists of names, not \(names.count).")
    }
    guard !languages.isEmpty else { throw .empty(source: "names") }
    let folded = names.map { list in list.map(Names.fold).filter { !$0.isEmpty } }
    for (language, list) in zip(languages, folded) where list.isEmpty { throw .empty(source: language) }
    self.init(languages, folded)
  }

  private init(_ languages: [String], _ names: [[String]]) {
    self.languages = languages
    self.names = names
  }
}

// MARK: - Letters

extension Names {
  /// The 57 letters and signs that names are made of, in the tutorial's order: a–z, A–Z, space, full stop, comma,
  /// semicolon, apostrophe.
  public static let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'")

  /// The name in the letters of the alphabet: accents and other marks are taken off (é becomes e, Unicode's canonical
  /// decomposition without its combining marks), and what is then not in the alphabet is left out (ß, ł, hyphens).
  public static func fold(_ name: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in name.unicodeScalars {
      if indices[scalar] != nil {
        result.append(scalar)
      } else if let letter = folds[scalar] {
        result.append(letter)
      }
    }
    return String(result)
  }

  /// The place in the alphabet of each letter of the folded name.
  public static func encode(_ name: String) -> [Int32] {
    fold(name).unicodeScalars.compactMap { indices[$0] }
  }

  private static let indices: [Unicode.Scalar: Int32] = Dictionary(
    uniqueKeysWithValues: zip(alphabet.flatMap(\.unicodeScalars), 0...))

  /// Decomposition as a table, since the standard library offers none: to ask Foundation for 491 letters would cost
  /// every program that links this module the tables for all languages.
  private static let folds: [Unicode.Scalar: Unicode.Scalar] = {
    let table = UnsafeBufferPointer(start: pc_names_folds(), count: 2 * pc_names_fold_count)
    var result: [Unicode.Scalar: Unicode.Scalar] = [:]
    for pair in stride(from: 0, to: table.count, by: 2) {
      guard let scalar = Unicode.Scalar(table[pair]), let letter = Unicode.Scalar(table[pair + 1]) else { continue }
      result[scalar] = letter
    }
    return result
  }()
}

// MARK: - Parts

extension Names {
  /// What is learned from, and what measures the learning; both have all languages.
  public struct Split: Sendable, Equatable {
    /// What is learned from.
    public var training: Names
    /// What measures the learning, and is never learned from.
    public var heldOut: Names
  }

  /// Two parts, drawn by the seed for each language on its own.
  ///
  /// Different names are drawn, and all copies of a name within its language go where it goes: none is in both parts,
  /// and the parts keep the order. A name that two languages share is two examples with different labels, which may
  /// part.
  ///
  /// - Parameters:
  ///   - share: the share of each language's different names that is held out, rounded to the nearest number, but at
  ///     least one name and not all. With the default of a tenth, the smallest languages have 7, enough to see that
  ///     something was learned of them.
  ///   - seed: decides which.
  /// - Precondition: every language has two different names; the built-in ones do.
  public func split(heldOut share: Double = 0.1, seed: UInt64) -> Split {
    guard share > 0, share < 1 else { fatalError("Names.split holds out a share between 0 and 1, not \(share).") }
    let chosen = zip(languages, names).map { language, list in
      let different = Set(list).sorted()
      guard different.count > 1 else {
        fatalError("Names.split: \(language) needs two different names, one for each part.")
      }
      var stream = RandomStream(seed: seed, "names", "held out", language)
      let count = Int((share * Double(different.count)).rounded())
      let order = stream.shuffledIndices(different.count)
      return Set(order.prefix(min(max(count, 1), different.count - 1)).map { different[$0] })
    }
    func part(isHeldOut: Bool) -> Names {
      Names(languages, zip(names, chosen).map { list, chosen in list.filter { chosen.contains($0) == isHeldOut } })
    }
    return Split(training: part(isHeldOut: false), heldOut: part(isHeldOut: true))
  }
}

// MARK: - Draws

extension Names {
  /// A name with its label.
  public struct Draw: Sendable, Equatable {
    /// The index of the name's language in `languages`.
    public var language: Int
    /// The name, folded.
    public var name: String
  }

  /// Draw number `number` of the paper's endless training set: a language, all being equally likely, then one of its
  /// names, copies counting as often as they come.
  ///
  /// A function of seed and number alone (a random stream of its own for each number), so a run that is taken up again
  /// at draw k sees what the unbroken run saw.
  public func draw(_ number: Int, seed: UInt64) -> Draw {
    var stream = RandomStream(seed: seed, "names", number)
    let language = stream.integer(below: languages.count)
    return Draw(language: language, name: names[language][stream.integer(below: names[language].count)])
  }
}
