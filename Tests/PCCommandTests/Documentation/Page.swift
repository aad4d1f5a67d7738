import Foundation
import Testing

/// A page of the documentation, with its blocks of code.
///
/// A page's Swift code stands in the file of its name beside this one, line by line and in order, in a function `run()`
/// that is compiled and run. Its other blocks are taken from the page itself: `sh` is run, `csv` is written to a file,
/// and `text` is what code or commands before it print.
struct Page: Sendable, CustomTestStringConvertible {
  struct Block {
    var language: String
    /// The line of the page on which the block begins.
    var line: Int
    var lines: [String]
  }

  /// The file without its ending.
  let name: String
  let blocks: [Block]

  static let root = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
  static let programs = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

  /// The texts in the root that hold code, and all articles.
  static let all: [Page] = {
    let catalogue = root.appendingPathComponent("Sources/PredictiveCoding/PredictiveCoding.docc")
    let articles = try? FileManager.default.contentsOfDirectory(at: catalogue, includingPropertiesForKeys: nil)
    let texts = ["README.md", "CONTRIBUTING.md"].map(root.appendingPathComponent)
    return (texts + (articles ?? [])).filter { $0.pathExtension == "md" }.compactMap(Page.init)
      .sorted { $0.name < $1.name }
  }()

  /// The article of this name.
  init(_ name: String) throws {
    self = try #require(Self.all.first { $0.name == name }, "there is no page \(name)")
  }

  private init?(_ file: URL) {
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
    name = file.deletingPathExtension().lastPathComponent
    var blocks: [Block] = []
    var open: Block?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let trimmed = line.drop { $0 == " " }
      if trimmed.hasPrefix("```") {
        if let block = open { blocks.append(block) }
        open = open == nil ? Block(language: String(trimmed.dropFirst(3)), line: index + 1, lines: []) : nil
      } else {
        open?.lines.append(String(line))
      }
    }
    self.blocks = blocks
  }

  var testDescription: String { name }

  func blocks(_ language: String) -> [Block] { blocks.filter { $0.language == language } }
}

/// A page being gone through, in a folder of its own that is the process's.
final class Reading {
  private let page: Page
  private let workplace: Workplace
  private var taken = 0

  /// Enters the folder; for a process that does nothing else.
  init(_ page: String) throws {
    self.page = try Page(page)
    workplace = try Workplace()
    try #require(FileManager.default.changeCurrentDirectoryPath(workplace.folder.path))
  }

  private func next(_ language: String) throws -> Page.Block {
    let blocks = page.blocks.filter { ["sh", "csv"].contains($0.language) }
    try #require(taken < blocks.count && blocks[taken].language == language, "\(page.name) has no such block here")
    taken += 1
    return blocks[taken - 1]
  }

  /// Writes the page's next table to a file.
  func write(_ file: String) throws {
    let text = try next("csv").lines.map { $0 + "\n" }.joined()
    try Data(text.utf8).write(to: workplace.folder.appendingPathComponent(file))
  }

  /// Runs the page's next commands, each of which must end well, and prints what they print.
  @discardableResult
  func shell() throws -> String {
    let block = try next("sh")
    let commands = block.lines.joined(separator: "\n")
    let result = try workplace.shell("set -e\npcgraph() { \"$P\" \"$@\"; }\n\(commands)")
    #expect(result.status == 0, "\(page.name).md:\(block.line): \(result.error)")
    print(result.output)
    return result.output
  }

  /// Whether the folder has a file of this name.
  func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: workplace.path(file)) }

  /// Checks that nothing of the page was left out.
  func end() {
    let rest = page.blocks.filter { ["sh", "csv"].contains($0.language) }.dropFirst(taken)
    for block in rest { Issue.record("\(page.name).md:\(block.line) was not run") }
  }
}
