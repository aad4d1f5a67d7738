import Foundation
import PCDatasets
import PCInterchange
import PCRandomness
import Testing

@Suite struct LanguageNamesTests {
  /// Oracle: Python's unicodedata over the published files (Scripts/make-names.py): names, different names once
  /// folded, letters.
  static let counts = [
    ("Arabic", 2000, 108, 11190),
    ("Chinese", 268, 246, 975),
    ("Czech", 519, 502, 3396),
    ("Dutch", 297, 286, 2054),
    ("English", 3668, 3668, 23457),
    ("French", 277, 273, 1885),
    ("German", 724, 690, 4820),
    ("Greek", 203, 193, 1778),
    ("Irish", 232, 226, 1625),
    ("Italian", 709, 701, 4933),
    ("Japanese", 991, 990, 6631),
    ("Korean", 94, 94, 329),
    ("Polish", 139, 138, 1009),
    ("Portuguese", 74, 74, 475),
    ("Russian", 9384, 9340, 75762),
    ("Scottish", 100, 100, 652),
    ("Spanish", 298, 293, 1933),
    ("Vietnamese", 73, 71, 266),
  ]

  @Test func namesAreThoseOfTheTutorial() {
    let names = Names()
    #expect(names.count == 20_050)
    #expect(names.languages == Self.counts.map(\.0))
    for (list, (language, count, different, letters)) in zip(names.names, Self.counts) {
      #expect(list.count == count, "\(language)")
      #expect(Set(list).count == different, "\(language)")
      #expect(list.reduce(0) { $0 + $1.utf8.count } == letters, "\(language)")
    }
    var digest = SHA256()
    for (language, list) in zip(names.languages, names.names) {
      for name in list { digest.update("\(language)\t\(name)\n".utf8) }
    }
    #expect(digest.finalize() == "42f6da914d120e8c9c9ae1c464dc0614a5ee970e8b45a0e49bcc34945449a64e")
  }

  @Test func alphabetIsTheTutorials() {
    #expect(Names.alphabet.count == 57)
    #expect(Names.encode("azAZ .,;'") == [0, 25, 26, 51, 52, 53, 54, 55, 56])
    #expect(Names.encode("Ślusàrski") == [44, 11, 20, 18, 0, 17, 18, 10, 8], "the tutorial's own example")
    #expect(Names.encode("e\u{301}") == [4], "decomposed already")
    #expect(Names.encode("").isEmpty)
  }

  /// Oracle: Foundation's canonical decomposition, over every character that there is.
  @Test func foldingIsDecompositionWithoutMarks() {
    let alphabet = Set(Names.alphabet.flatMap(\.unicodeScalars))
    for scalar in (UInt32(0)...0x10FFFF).lazy.compactMap(Unicode.Scalar.init) {
      let decomposed = String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars
      let expected = decomposed.filter { $0.properties.generalCategory != .nonspacingMark && alphabet.contains($0) }
      let folded = Names.fold(String(scalar))
      if folded != String(String.UnicodeScalarView(expected)) {
        Issue.record("U+\(String(scalar.value, radix: 16)) folds to \"\(folded)\", expected \"\(expected)\"")
      }
    }
  }

  @Test(arguments: [(0.1, 7), (0.1, 8), (0.25, 7), (1e-9, 7), (0.999_999, 7)] as [(Double, UInt64)])
  func splitKeepsCopiesTogether(share: Double, seed: UInt64) {
    let all = Names()
    let parts = all.split(heldOut: share, seed: seed)
    #expect(parts.training.languages == all.languages)
    #expect(parts.heldOut.languages == all.languages)
    for (index, (language, _, different, _)) in Self.counts.enumerated() {
      let (training, heldOut) = (parts.training.names[index], parts.heldOut.names[index])
      #expect(Set(training).isDisjoint(with: heldOut), "\(language), seed \(seed)")
      #expect((training + heldOut).sorted() == all.names[index].sorted(), "\(language), seed \(seed)")
      let wanted = min(max(Int((share * Double(different)).rounded()), 1), different - 1)
      #expect(Set(heldOut).count == wanted, "\(language), seed \(seed)")
      let places = training.map { all.names[index].firstIndex(of: $0) ?? -1 }
      #expect(zip(training, places).allSatisfy { all.names[index][$1] == $0 })
    }
    #expect(all.split(heldOut: share, seed: seed) == parts)
    #expect(all.split(heldOut: share, seed: seed + 100) != parts)
  }

  @Test func partsKeepTheOrder() throws {
    let names = try Names(languages: ["A"], names: [["c", "a", "b", "a", "d", "c", "é"]])
    let parts = names.split(heldOut: 0.5, seed: 3)
    func isInOrder(_ part: [String]) -> Bool {
      var rest = names.names[0][...]
      return part.allSatisfy { name in
        guard let place = rest.firstIndex(of: name) else { return false }
        rest = rest[(place + 1)...]
        return true
      }
    }
    #expect(names.names == [["c", "a", "b", "a", "d", "c", "e"]])
    #expect(isInOrder(parts.training.names[0]) && isInOrder(parts.heldOut.names[0]))
  }

  /// Frequencies of 18 equally likely languages: within 5 standard deviations of 36,000 draws, and names of one
  /// language likewise.
  @Test func drawsAreUniformOverLanguagesThenNames() throws {
    let names = Names()
    var counts = Array(repeating: 0, count: 18)
    for number in 0..<36_000 {
      let draw = names.draw(number, seed: 11)
      counts[draw.language] += 1
      #expect(names.names[draw.language].contains(draw.name))
    }
    let deviation = (36_000.0 * 1 / 18 * 17 / 18).squareRoot()
    for (language, count) in zip(names.languages, counts) {
      #expect(abs(Double(count) - 2000) < 5 * deviation, "\(language): \(count), seed 11")
    }
    let copies = try Names(languages: ["A", "B"], names: [["x", "y", "x"], ["z"]])
    let draws = (0..<6000).map { copies.draw($0, seed: 12) }
    #expect(abs(draws.count { $0.name == "x" } - 2000) < 200, "seed 12")
    #expect(draws.allSatisfy { ($0.name == "z") == ($0.language == 1) })
  }

  @Test func drawIsAFunctionOfSeedAndNumber() {
    let names = Names()
    let forward = (0..<100).map { names.draw($0, seed: 5) }
    let backward = (0..<100).reversed().map { names.draw($0, seed: 5) }
    #expect(backward.reversed() == forward)
    #expect((0..<100).map { names.draw($0, seed: 6) } != forward)
    #expect(Set(forward.map(\.name)).count > 80)
    // The documented stream, read by hand.
    var stream = RandomStream(seed: 5, "names", 42)
    let language = stream.integer(below: 18)
    let place = stream.integer(below: names.names[language].count)
    #expect(forward[42].language == language)
    #expect(forward[42].name == names.names[language][place])
  }

  @Test func emptyLanguagesAreRefused() {
    #expect(throws: DataError.empty(source: "names")) { try Names(languages: [], names: []) }
    #expect(throws: DataError.empty(source: "B")) { try Names(languages: ["A", "B"], names: [["a"], ["ß", "-"]]) }
  }
}
